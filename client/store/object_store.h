#ifndef CRR_CLIENT_STORE_OBJECT_STORE_H_
#define CRR_CLIENT_STORE_OBJECT_STORE_H_

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"

namespace crr {

// The seam between crr and object stores: what a copier needs of one region.
//
// Statuses, in every call:
//   NOT_FOUND          the bucket is not there (a missing *object* is an
//                      answer, not an error, unless a call says otherwise)
//   INVALID_ARGUMENT   a name or key that no store may hold
//   UNAVAILABLE        the store as a whole cannot be used: it cannot be reached,
//                      is broken, or asks to come back later
//   RESOURCE_EXHAUSTED the store is full
//   DATA_LOSS          the store holds less, or other bytes, than it says; when
//                      nothing of an object is left but its name, the status is
//                      a ContentGoneError
//   INTERNAL           anything else
// Only a successful answer that says "absent" is evidence of absence.

enum class BucketVersioning { kUnversioned, kEnabled, kSuspended };

struct BucketInfo {
  std::string name;
  // Made once when the bucket is made, never reused: tells a bucket from a
  // later one of the same name.
  std::string identity;
  BucketVersioning versioning = BucketVersioning::kUnversioned;
};

struct ContentHeaders {
  std::string type;
  std::string encoding;
  std::string disposition;
  std::string language;
  std::string cache_control;
  std::string expires;
  friend bool operator==(const ContentHeaders&,
                         const ContentHeaders&) = default;
};

// Everything beside the bytes that a replica carries along.
struct ObjectFacts {
  std::map<std::string, std::string> user_metadata;
  ContentHeaders headers;
  std::map<std::string, std::string> tags;
  std::string owner;
  std::string acl;  // Canned name, such as "private"; empty for the default.
  // When the object came to be at its origin; microseconds.
  absl::Time creation_time;
  std::string encryption;         // "", "SSE-OSS" or "SSE-KMS".
  std::string encryption_key_id;  // Customer key, with SSE-KMS only.
  friend bool operator==(const ObjectFacts&, const ObjectFacts&) = default;
};

// Says of an object that a copier wrote it. Valid only while bucket, key and
// digest still match the object (see IsValidReplica): a copy or an edit made by
// a user is a user's write.
struct ReplicaMark {
  std::string source_bucket;
  std::string source_etag;
  int64_t source_stamp = 0;
  std::string destination_bucket;
  std::string key;
  std::string digest;  // DigestOf(facts, size, etag) when it was written.
  friend bool operator==(const ReplicaMark&, const ReplicaMark&) = default;
};

struct ObjectInfo {
  std::string key;
  std::string version_id;  // Empty in a bucket without versions.
  int64_t size = 0;
  // Changes with the content. Equal content has an equal etag in the stores
  // that say so (Capabilities::etag_is_content_hash).
  std::string etag;
  absl::Time last_modified;
  // Time of the user's operation in microseconds, rising per key: the order of
  // states in mutual sync.
  int64_t stamp = 0;
  ObjectFacts facts;
  std::optional<ReplicaMark> mark;
};

// The state of one key: an object, or its authoritative absence.
struct KeyState {
  std::optional<ObjectInfo> object;
  // Number of the operation that brought this state about, rising with every
  // operation of the store (absence: the deletion's number; 0 if the key never
  // was). 0 in stores without revisions.
  int64_t revision = 0;
  // The object's, or that of its deletion; 0 if the key never was.
  int64_t stamp = 0;
};

struct Capabilities {
  // The store orders a copier's writes by `ReplicaWrite::revision`.
  bool fences_by_revision = false;
  bool etag_is_content_hash = false;
};

// What a copier's write carries that a user's does not.
struct ReplicaWrite {
  // Identity of the source bucket: revisions of two sources are not compared.
  std::string source_identity;
  // Revision of the source state that is written. Applied iff not below the
  // highest that was applied to this key from this source, tombstones
  // included.
  int64_t revision = 0;
  // The destination's own revision (KeyState::revision) that the write was
  // decided on: at any other the answer is kMissing. Stores without revisions
  // pay no heed.
  std::optional<int64_t> if_revision = std::nullopt;
  // Asked at the commit point: false means that the lease is over.
  std::function<bool()> may_commit;
};

enum class WriteOutcome {
  kApplied,
  kStale,       // A higher revision was applied already: nothing changed.
  kNotAllowed,  // `may_commit` said no: nothing changed.
  // There is no object to change (SetFacts), no upload any more (ObjectUpload),
  // or no longer the state that was decided on (ReplicaWrite::if_revision):
  // nothing changed, the applied revision included.
  kMissing,
};

struct ListRequest {
  std::string prefix;
  std::string after;  // Keys above this; empty for the start.
  std::string until;  // Keys up to and with this; empty for no end.
  int limit = 1000;   // 1 to 1,000.
};

struct ListPage {
  std::vector<ObjectInfo> objects;  // In rising byte order of their keys.
  bool complete = false;            // Nothing follows.
};

// Reads one object, as it was when opened. Thread-compatible.
class ObjectReader {
 public:
  virtual ~ObjectReader() = default;
  // The state that is read: taken in the same instant as the bytes.
  virtual const KeyState& state() const = 0;
  // Up to `limit` bytes; empty at the end.
  virtual absl::StatusOr<std::string> Read(size_t limit) = 0;
  // Goes on behind so many bytes, without reading them. INVALID_ARGUMENT when
  // there are fewer.
  virtual absl::Status Skip(int64_t bytes) = 0;
};

// Writes one object. Nothing is visible before Commit, nothing is left when it
// is destroyed without. Memory is bounded whatever the size. Thread-compatible.
class ObjectWriter {
 public:
  virtual ~ObjectWriter() = default;
  virtual absl::Status Append(absl::string_view bytes) = 0;
  // Makes the object visible and durable, replacing what was there. `mark` and
  // `replica` are absent in a user's write. The mark's digest is filled in
  // here. Call once.
  virtual absl::StatusOr<WriteOutcome> Commit(
      const ObjectFacts& facts, std::optional<ReplicaMark> mark,
      const std::optional<ReplicaWrite>& replica) = 0;
};

// One object's upload in parts, which outlives the process that began it: any
// process may go on with it by its id, also several at once. Nothing is visible
// before Commit. Memory is bounded by one part. Thread-compatible.
//
// The bytes of a part are always the same, whoever writes it: when the source
// has moved, begin another upload.
class ObjectUpload {
 public:
  virtual ~ObjectUpload() = default;
  // For ResumeUpload. Says nothing of the key.
  virtual const std::string& id() const = 0;
  virtual int64_t part_bytes() const = 0;
  // Writes part `number`, counted from 0; it is durable when this returns.
  // Every part has `part_bytes()` bytes, only the last may be shorter. The same
  // part again is harmless. Statuses: INVALID_ARGUMENT no upload has such a
  // part; FAILED_PRECONDITION the upload is gone: committed, aborted, expired.
  virtual absl::Status WritePart(int64_t number, absl::string_view bytes) = 0;
  // As ObjectWriter::Commit, of an object of `size` bytes. The upload is gone
  // after kApplied and kStale, and stays after anything else. Statuses:
  // DATA_LOSS the parts are not `size` bytes without a gap.
  virtual absl::StatusOr<WriteOutcome> Commit(
      int64_t size, const ObjectFacts& facts, std::optional<ReplicaMark> mark,
      const std::optional<ReplicaWrite>& replica) = 0;
};

// What the store holds of an object, found by reading its bytes again.
struct Proof {
  int64_t size = 0;
  std::string content_hash;  // ContentHash of base/hash.h.
  std::string etag;
};

// One region's objects. Thread-safe; every call may block.
class ObjectStore {
 public:
  virtual ~ObjectStore() = default;

  virtual Capabilities capabilities() const = 0;
  virtual absl::StatusOr<BucketInfo> GetBucket(absl::string_view bucket) = 0;
  virtual absl::StatusOr<ListPage> List(absl::string_view bucket,
                                        const ListRequest& request) = 0;
  virtual absl::StatusOr<KeyState> Head(absl::string_view bucket,
                                        absl::string_view key) = 0;
  // nullptr when the key is absent.
  virtual absl::StatusOr<std::unique_ptr<ObjectReader>> Read(
      absl::string_view bucket, absl::string_view key) = 0;
  virtual absl::StatusOr<std::unique_ptr<ObjectWriter>> Write(
      absl::string_view bucket, absl::string_view key) = 0;
  virtual absl::StatusOr<std::unique_ptr<ObjectUpload>> BeginUpload(
      absl::string_view bucket, absl::string_view key, int64_t part_bytes) = 0;
  // nullptr when the key has no such upload (any more). `id` may be anything.
  virtual absl::StatusOr<std::unique_ptr<ObjectUpload>> ResumeUpload(
      absl::string_view bucket, absl::string_view key,
      absl::string_view id) = 0;
  // Forgets the upload and frees its bytes. OK when the key has no such upload.
  virtual absl::Status AbortUpload(absl::string_view bucket,
                                   absl::string_view key,
                                   absl::string_view id) = 0;
  // Changes facts alone, when the object's etag is `if_etag`; otherwise
  // kMissing.
  virtual absl::StatusOr<WriteOutcome> SetFacts(
      absl::string_view bucket, absl::string_view key,
      absl::string_view if_etag, const ObjectFacts& facts,
      std::optional<ReplicaMark> mark,
      const std::optional<ReplicaWrite>& replica) = 0;
  // Deletes the object. Deleting what is absent is kApplied and, with
  // `replica`, still records the revision.
  virtual absl::StatusOr<WriteOutcome> Delete(
      absl::string_view bucket, absl::string_view key,
      const std::optional<ReplicaWrite>& replica) = 0;
  // Records that the key's state is that of `replica.revision`, and changes
  // nothing else.
  virtual absl::StatusOr<WriteOutcome> Touch(absl::string_view bucket,
                                             absl::string_view key,
                                             const ReplicaWrite& replica) = 0;
  // Reads the stored bytes again. NOT_FOUND when the key is absent.
  virtual absl::StatusOr<Proof> Prove(absl::string_view bucket,
                                      absl::string_view key) = 0;
};

// DATA_LOSS of an object that stands in the store while its bytes are gone. (Of
// S3 it is a GET that answers 404 where a HEAD, before and after it, answers
// the same ETag.)
absl::Status ContentGoneError(absl::string_view message);
// Whether `status` is one.
bool IsContentGone(const absl::Status& status);

// Digest of what a replica carries; part of the mark.
std::string DigestOf(const ObjectFacts& facts, int64_t size,
                     absl::string_view etag);

// Whether `object` in `bucket` is, unedited, what a copier wrote there.
bool IsValidReplica(absl::string_view bucket, const ObjectInfo& object);

// INVALID_ARGUMENT unless `key` is valid UTF-8 without NUL of 1 to 1,024 bytes.
absl::Status CheckKey(absl::string_view key);

// INVALID_ARGUMENT unless `name` has 3 to 63 of [a-z0-9-], alphanumeric at both
// ends.
absl::Status CheckBucketName(absl::string_view name);

}  // namespace crr

#endif  // CRR_CLIENT_STORE_OBJECT_STORE_H_
