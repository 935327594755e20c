#ifndef CRR_BASE_HASH_H_
#define CRR_BASE_HASH_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

#include "absl/strings/string_view.h"

namespace crr {

// XXH3 with 64 bits: for partitions, etags and request hashes. Not for content.
uint64_t Hash64(absl::string_view data);

// XXH3 with 128 bits as 32 lower-case hex digits: proves content against
// accidents, not against an attacker. The same bytes give the same digest
// however they were cut into Update calls. Thread-compatible.
class ContentHash {
 public:
  ContentHash();
  ~ContentHash();
  ContentHash(ContentHash&&) noexcept;
  ContentHash& operator=(ContentHash&&) noexcept;

  void Update(absl::string_view data);
  std::string Hex() const;

  static std::string Of(absl::string_view data);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace crr

#endif  // CRR_BASE_HASH_H_
