#include "client/crrctl/objects.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "base/status_macros.h"
#include "client/crrctl/bytes.h"
#include "client/crrctl/text.h"
#include "client/store/files.h"

namespace crr {
namespace {

absl::Status NoSuchObject(absl::string_view bucket, absl::string_view key) {
  return absl::NotFoundError(absl::StrCat("there is no object \"",
                                          Printable(key), "\" in buckets/",
                                          bucket));
}

// Opens a file that a user named; "-" stands for `standard`.
absl::StatusOr<FileDescriptor> OpenNamed(const std::string& file, int flags,
                                         int standard) {
  FileDescriptor opened(file == "-"
                            ? ::fcntl(standard, F_DUPFD_CLOEXEC, 0)
                            : ::open(file.c_str(), flags | O_CLOEXEC, 0666));
  if (!opened.valid()) return ErrnoStatus(errno, "open", file);
  return opened;
}

}  // namespace

absl::Status PutObject(ObjectStore& store, absl::string_view bucket,
                       absl::string_view key, const std::string& file,
                       const ObjectFacts& facts) {
  CRR_ASSIGN_OR_RETURN(FileDescriptor input,
                       OpenNamed(file, O_RDONLY, STDIN_FILENO));
  return WriteObject(store, bucket, key, FromFile(std::move(input)), facts)
      .status();
}

absl::Status GetObject(ObjectStore& store, absl::string_view bucket,
                       absl::string_view key, const std::string& file) {
  absl::StatusOr<std::unique_ptr<ObjectReader>> reader =
      store.Read(bucket, key);
  if (absl::IsNotFound(reader.status()) ||
      (reader.ok() && *reader == nullptr)) {
    return NoSuchObject(bucket, key);
  }
  CRR_RETURN_IF_ERROR(reader.status());
  CRR_ASSIGN_OR_RETURN(
      const FileDescriptor output,
      OpenNamed(file, O_WRONLY | O_CREAT | O_TRUNC, STDOUT_FILENO));
  int64_t missing = (*reader)->state().object->size;
  for (;;) {
    CRR_ASSIGN_OR_RETURN(const std::string chunk, (*reader)->Read(kChunkBytes));
    if (chunk.empty()) break;
    CRR_RETURN_IF_ERROR(WriteAll(output, chunk));
    missing -= static_cast<int64_t>(chunk.size());
  }
  if (missing == 0) return absl::OkStatus();
  return absl::DataLossError(
      absl::StrCat(Printable(key), ": ", missing, " bytes are missing"));
}

absl::Status RemoveObject(ObjectStore& store, absl::string_view bucket,
                          absl::string_view key) {
  const absl::Status status = store.Delete(bucket, key, std::nullopt).status();
  return absl::IsNotFound(status) ? absl::OkStatus() : status;
}

absl::Status ListObjects(ObjectStore& store, absl::string_view bucket,
                         absl::string_view prefix, const Console& console) {
  ListRequest request{.prefix = std::string(prefix)};
  for (bool complete = false; !complete;) {
    absl::StatusOr<ListPage> page = store.List(bucket, request);
    if (absl::IsNotFound(page.status())) return absl::OkStatus();
    CRR_RETURN_IF_ERROR(page.status());
    for (const ObjectInfo& object : page->objects) {
      console.out(absl::StrFormat("%12d  %s  %s\n", object.size,
                                  HumanTime(object.last_modified),
                                  Printable(object.key)));
      request.after = object.key;
    }
    complete = page->complete;
  }
  return absl::OkStatus();
}

absl::Status StatObject(ObjectStore& store, absl::string_view bucket,
                        absl::string_view key, const Console& console) {
  const absl::StatusOr<KeyState> state = store.Head(bucket, key);
  if (absl::IsNotFound(state.status()) ||
      (state.ok() && !state->object.has_value())) {
    return NoSuchObject(bucket, key);
  }
  CRR_RETURN_IF_ERROR(state.status());
  console.out(DescribeObject(bucket, *state));
  return absl::OkStatus();
}

std::string DescribeObject(absl::string_view bucket, const KeyState& state) {
  std::string text;
  const auto add = [&text](absl::string_view name, absl::string_view value) {
    if (!value.empty()) {
      absl::StrAppend(&text, name, ": ", Printable(value), "\n");
    }
  };
  const ObjectInfo& object = *state.object;
  add("key", object.key);
  add("version_id", object.version_id);
  add("size", absl::StrCat(object.size));
  add("etag", object.etag);
  add("last_modified", HumanTime(object.last_modified));
  add("revision", absl::StrCat(state.revision));
  add("stamp", absl::StrCat(object.stamp));

  const ObjectFacts& facts = object.facts;
  add("creation_time", HumanTime(facts.creation_time));
  add("content_type", facts.headers.type);
  add("content_encoding", facts.headers.encoding);
  add("content_disposition", facts.headers.disposition);
  add("content_language", facts.headers.language);
  add("cache_control", facts.headers.cache_control);
  add("expires", facts.headers.expires);
  for (const auto& [name, value] : facts.user_metadata) {
    add(absl::StrCat("metadata.", Printable(name)), value);
  }
  for (const auto& [name, value] : facts.tags) {
    add(absl::StrCat("tag.", Printable(name)), value);
  }
  add("owner", facts.owner);
  add("acl", facts.acl);
  add("encryption", facts.encryption);
  add("encryption_key_id", facts.encryption_key_id);

  if (object.mark.has_value()) {
    const ReplicaMark& mark = *object.mark;
    add("replica", IsValidReplica(bucket, object) ? "yes" : "edited since");
    add("replica.source_bucket", mark.source_bucket);
    add("replica.source_etag", mark.source_etag);
    add("replica.source_stamp", absl::StrCat(mark.source_stamp));
  }
  return text;
}

}  // namespace crr
