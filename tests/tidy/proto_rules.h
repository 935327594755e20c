#ifndef CRR_TESTS_TIDY_PROTO_RULES_H_
#define CRR_TESTS_TIDY_PROTO_RULES_H_

#include <google/protobuf/descriptor.h>

#include <string>
#include <vector>

namespace crr::test {

// What is wrong with the declarations of one file of the contract, a sentence
// each:
// * everything declared has a comment in front of it, and the comment of an RPC
//   lists its errors;
// * enums are nested in the message that owns them, and their zero is named
//   ..._UNSPECIFIED;
// * every field that a caller can send has a `google.api.field_behavior`. What
//   a caller can send is reached from the inputs of the RPCs without passing an
//   OUTPUT_ONLY field.
// The file's pool must hold the source info.
std::vector<std::string> ProtoFindings(
    const google::protobuf::FileDescriptor& file);

}  // namespace crr::test

#endif  // CRR_TESTS_TIDY_PROTO_RULES_H_
