#ifndef CRR_TESTS_TIDY_CONTRACT_H_
#define CRR_TESTS_TIDY_CONTRACT_H_

#include <google/protobuf/descriptor.h>

#include <map>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"

namespace crr::test {

// All that callers of an API can depend on: what each thing is, by its
// identity. A field is its message and number, an enum value its enum and
// number, anything else its full name. So a renamed field is one that changed,
// and one with a new number is another one. Reserved numbers and names stand
// among them: to use or to free one is a change, too.
using Contract = std::map<std::string, std::string>;

// Adds what `file` declares.
void AddToContract(const google::protobuf::FileDescriptor& file,
                   Contract& contract);

// A line each, `IDENTITY: WHAT`, sorted; and back.
std::string ToText(const Contract& contract);
Contract ParseContract(absl::string_view text);

struct ContractDiff {
  // What callers of the old one would notice, a sentence each.
  std::vector<std::string> breaks;
  // What only the new one has.
  std::vector<std::string> additions;
};
ContractDiff Compare(const Contract& before, const Contract& now);

}  // namespace crr::test

#endif  // CRR_TESTS_TIDY_CONTRACT_H_
