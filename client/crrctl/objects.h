#ifndef CRR_CLIENT_CRRCTL_OBJECTS_H_
#define CRR_CLIENT_CRRCTL_OBJECTS_H_

#include <string>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "client/crrctl/console.h"
#include "client/store/object_store.h"

namespace crr {

// The commands on single objects. A bucket that is missing in its store holds
// nothing.

// Writes the bytes of `file`, or of standard input when it is "-".
absl::Status PutObject(ObjectStore& store, absl::string_view bucket,
                       absl::string_view key, const std::string& file,
                       const ObjectFacts& facts);

// Writes the object's bytes into `file`, or to standard output when it is "-".
// NOT_FOUND when there is no such object; DATA_LOSS when it has fewer bytes
// than the store says.
absl::Status GetObject(ObjectStore& store, absl::string_view bucket,
                       absl::string_view key, const std::string& file);

// Deletes; what is absent already is fine.
absl::Status RemoveObject(ObjectStore& store, absl::string_view bucket,
                          absl::string_view key);

// A line for each object: size, time of the last change, key.
absl::Status ListObjects(ObjectStore& store, absl::string_view bucket,
                         absl::string_view prefix, const Console& console);

// `name: value` lines with everything that the store knows of the object.
// NOT_FOUND when there is no such object.
absl::Status StatObject(ObjectStore& store, absl::string_view bucket,
                        absl::string_view key, const Console& console);

// The lines of StatObject.
std::string DescribeObject(absl::string_view bucket, const KeyState& state);

}  // namespace crr

#endif  // CRR_CLIENT_CRRCTL_OBJECTS_H_
