#ifndef CRR_TESTS_STORE_STORE_HELPERS_H_
#define CRR_TESTS_STORE_STORE_HELPERS_H_

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "client/store/object_store.h"

namespace crr::test {

inline absl::StatusOr<WriteOutcome> Put(
    ObjectStore& store, absl::string_view bucket, absl::string_view key,
    absl::string_view bytes, const ObjectFacts& facts = {},
    const std::optional<ReplicaMark>& mark = std::nullopt,
    const std::optional<ReplicaWrite>& replica = std::nullopt) {
  CRR_ASSIGN_OR_RETURN(const std::unique_ptr<ObjectWriter> writer,
                       store.Write(bucket, key));
  CRR_RETURN_IF_ERROR(writer->Append(bytes));
  return writer->Commit(facts, mark, replica);
}

// What is left to read, in pieces of `chunk` bytes.
inline absl::StatusOr<std::string> ReadToEnd(ObjectReader& reader,
                                             size_t chunk = 1 << 20) {
  std::string bytes;
  while (true) {
    CRR_ASSIGN_OR_RETURN(const std::string piece, reader.Read(chunk));
    if (piece.empty()) return bytes;
    absl::StrAppend(&bytes, piece);
  }
}

// The bytes of an object; NOT_FOUND when it is absent.
inline absl::StatusOr<std::string> Get(ObjectStore& store,
                                       absl::string_view bucket,
                                       absl::string_view key) {
  CRR_ASSIGN_OR_RETURN(const std::unique_ptr<ObjectReader> reader,
                       store.Read(bucket, key));
  if (reader == nullptr) return absl::NotFoundError("absent");
  return ReadToEnd(*reader);
}

// A copier's write of the source's `revision`.
inline ReplicaWrite Revision(int64_t revision,
                             const std::string& source = "source-identity") {
  return {.source_identity = source, .revision = revision, .may_commit = {}};
}

inline ReplicaMark MarkOf(const std::string& bucket, const std::string& key,
                          int64_t stamp = 77) {
  return {.source_bucket = "source",
          .source_etag = "source-etag",
          .source_stamp = stamp,
          .destination_bucket = bucket,
          .key = key,
          .digest = ""};
}

inline std::vector<std::string> KeysOf(const ListPage& page) {
  std::vector<std::string> keys;
  for (const ObjectInfo& object : page.objects) keys.push_back(object.key);
  return keys;
}

}  // namespace crr::test

#endif  // CRR_TESTS_STORE_STORE_HELPERS_H_
