#ifndef CRR_TESTS_RPC_FIELDS_ROWS_H_
#define CRR_TESTS_RPC_FIELDS_ROWS_H_

#include <string>
#include <vector>

#include "absl/strings/string_view.h"

namespace crr::test {

// A call that succeeds in the world of fields_test.cc. The calls of all
// services, in the order of GoodCalls(), succeed one after the other.
struct GoodCall {
  std::string rpc;      // Such as "GetBucket": unique over the services.
  std::string request;  // In protobuf's text format.
};

// A good call made bad, and all that is said of it.
struct BadField {
  std::string rpc;
  // What is done to the request of the good call: `path: value` puts a value,
  // in text format, in the place of what a field had; `-path` takes a field
  // away.
  std::vector<std::string> changes;
  // As `REASON field`, the first one of the refusal first.
  std::vector<std::string> violations;
};

std::vector<GoodCall> GoodCalls();

std::vector<BadField> RegionRows();
std::vector<BadField> BucketRows();
std::vector<BadField> ReplicationRows();
std::vector<BadField> AdminRows();

// `length` letters in quotes.
std::string Long(size_t length, absl::string_view before = "");

// Everything that can be wrong with a required field that names a resource,
// `prefix` and an id: missing, another form, an id too long, unknown.
std::vector<BadField> NameRows(const std::string& rpc, const std::string& field,
                               const std::string& prefix,
                               const std::string& not_found);

// All that can be wrong with the two fields of a list.
std::vector<BadField> PageRows(const std::string& rpc);

// A UUID that a CreateRegion, a CreateBucket and a CreateRule of the world have
// used, each for another request than the good call.
inline constexpr char kUsedRequestId[] =
    "6a1c2f5e-8b0d-4c7a-9a3e-2f4b5d6c7e80";

// Names of a request id: no UUID in several ways, and one used before.
std::vector<BadField> RequestIdRows(const std::string& rpc);

}  // namespace crr::test

#endif  // CRR_TESTS_RPC_FIELDS_ROWS_H_
