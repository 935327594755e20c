#include "base/hash.h"

#include <xxhash.h>

#include "absl/strings/escaping.h"
#include "base/check.h"

namespace crr {

uint64_t Hash64(absl::string_view data) {
  return XXH3_64bits(data.data(), data.size());
}

struct ContentHash::State {
  State() : xxh(XXH3_createState()) { CRR_CHECK(xxh != nullptr); }
  ~State() { XXH3_freeState(xxh); }
  State(const State&) = delete;
  State& operator=(const State&) = delete;
  XXH3_state_t* xxh;
};

ContentHash::ContentHash() : state_(std::make_unique<State>()) {
  XXH3_128bits_reset(state_->xxh);
}
ContentHash::~ContentHash() = default;
ContentHash::ContentHash(ContentHash&&) noexcept = default;
ContentHash& ContentHash::operator=(ContentHash&&) noexcept = default;

void ContentHash::Update(absl::string_view data) {
  XXH3_128bits_update(state_->xxh, data.data(), data.size());
}

std::string ContentHash::Hex() const {
  XXH128_canonical_t canonical;
  XXH128_canonicalFromHash(&canonical, XXH3_128bits_digest(state_->xxh));
  return absl::BytesToHexString(absl::string_view(
      reinterpret_cast<const char*>(canonical.digest),
      sizeof(canonical.digest)));
}

std::string ContentHash::Of(absl::string_view data) {
  ContentHash hash;
  hash.Update(data);
  return hash.Hex();
}

}  // namespace crr
