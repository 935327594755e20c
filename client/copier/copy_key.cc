#include "client/copier/copy_key.h"

#include <memory>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/hash.h"
#include "base/status_macros.h"
#include "client/copier/failure_reason.h"

namespace crr {
namespace {

using Outcome = CopyResult::Outcome;

// The first look, and three more when the source moved meanwhile.
constexpr int kMaxRounds = 4;

class KeyCopy {
 public:
  KeyCopy(const CopyRule& rule, const CopyTask& task)
      : rule_(rule), task_(task), unproven_(task.unproven) {}

  absl::StatusOr<CopyResult> Run() {
    bool any_settled = false;
    for (int round = 0; round < kMaxRounds; ++round) {
      CRR_ASSIGN_OR_RETURN(replica_,
                           rule_.destination->Head(rule_.destination_bucket,
                                                   task_.key));
      CRR_ASSIGN_OR_RETURN(origin_,
                           rule_.source->Head(rule_.source_bucket, task_.key));
      CRR_ASSIGN_OR_RETURN(const bool settled, Bring());
      if (!settled) continue;
      any_settled = true;
      if (result_.outcome == Outcome::kFiltered ||
          result_.outcome == Outcome::kStale) {
        return result_;
      }
      CRR_ASSIGN_OR_RETURN(const KeyState now,
                           rule_.source->Head(rule_.source_bucket, task_.key));
      if (now.revision == origin_.revision) return result_;
    }
    // A state that came later has a change of its own, and revisions order the
    // two: what was brought over is complete.
    if (any_settled) return result_;
    return WithReason(absl::UnavailableError(
                          "the object moves faster than it can be read"),
                      kObjectMoving);
  }

  // Of the object at the source when it was last looked at; 0 for none.
  int64_t size() const {
    return origin_.object.has_value() ? origin_.object->size : 0;
  }

 private:
  enum class Step { kAbsent, kFiltered, kEqual, kFacts, kCopy };

  // Brings the destination to `origin_`; false when that must begin anew.
  absl::StatusOr<bool> Bring() {
    std::unique_ptr<ObjectReader> reader;
    CRR_ASSIGN_OR_RETURN(Step step, Decide());
    if (step == Step::kCopy) {
      CRR_RETURN_IF_ERROR(CheckSize());
      CRR_ASSIGN_OR_RETURN(reader,
                           rule_.source->Read(rule_.source_bucket, task_.key));
      if (reader == nullptr) return false;
      // From here on the truth is what the reader reads, which may be later
      // than what the decision was made on.
      origin_ = reader->state();
      CRR_ASSIGN_OR_RETURN(step, Decide());
    }
    switch (step) {
      case Step::kAbsent:
        return BringAbsence();
      case Step::kFiltered:
        result_.outcome = Outcome::kFiltered;
        return true;
      case Step::kEqual:
        return Settle(Outcome::kEqual,
                      rule_.destination->Touch(rule_.destination_bucket,
                                               task_.key, ReplicaAsSeen()));
      case Step::kFacts:
        return Settle(Outcome::kFactsOnly,
                      rule_.destination->SetFacts(
                          rule_.destination_bucket, task_.key,
                          replica_.object->etag, Facts(), Mark(), Replica()));
      case Step::kCopy:
        CRR_RETURN_IF_ERROR(CheckSize());
        return IsLarge() ? CopyLarge(*reader) : CopySmall(*reader);
    }
    return absl::InternalError("no such step");
  }

  bool IsLarge() const {
    return task_.large_bytes > 0 && size() > task_.large_bytes;
  }

  absl::Status CheckSize() const {
    if (!IsLarge() || task_.large != nullptr) return absl::OkStatus();
    return WithReason(
        absl::OutOfRangeError(absl::StrCat("the object has ", size(),
                                           " bytes: it is copied by itself")),
        kLargeObject);
  }

  absl::StatusOr<Step> Decide() {
    if (!origin_.object.has_value()) return Step::kAbsent;
    const ObjectInfo& origin = *origin_.object;
    result_.filter_reason = FilterReasonOf(rule_, origin);
    if (!result_.filter_reason.empty()) return Step::kFiltered;
    CRR_ASSIGN_OR_RETURN(const bool same, HasContent());
    if (!same) return Step::kCopy;
    return HasOurs() && replica_.object->facts == Facts() ? Step::kEqual
                                                          : Step::kFacts;
  }

  // Whether the destination has the bytes already.
  absl::StatusOr<bool> HasContent() {
    if (!replica_.object.has_value() || damaged_) return false;
    const ObjectInfo& origin = *origin_.object;
    if (!SameContent(rule_, origin, *replica_.object)) return false;
    if (!unproven_) return true;
    // What was proven could not be compared.
    if (!EtagsCompare(rule_)) return false;
    const absl::StatusOr<Proof> proof =
        rule_.destination->Prove(rule_.destination_bucket, task_.key);
    // Damaged, or gone since: either way it is to be written again.
    if (!absl::IsDataLoss(proof.status()) &&
        !absl::IsNotFound(proof.status())) {
      CRR_RETURN_IF_ERROR(proof.status());
    }
    damaged_ = !proof.ok() || proof->size != origin.size ||
               proof->etag != origin.etag;
    unproven_ = false;
    return !damaged_;
  }

  // Whether the destination's object is, unedited, a replica of this source.
  bool HasOurs() const {
    return replica_.object.has_value() && IsOurs(rule_, *replica_.object);
  }

  // What this call wrote itself in an earlier round is marked as ours, and is
  // undone by the same rule as any other replica.
  absl::StatusOr<bool> BringAbsence() {
    const bool remove =
        rule_.operations == Operations::kAddDeleteChange &&
        (task_.reason == CopyReason::kDelete ||
         (HasOurs() && IsDeletion(rule_, origin_)));
    if (!remove) {
      return Settle(Outcome::kNothingToDo,
                    rule_.destination->Touch(rule_.destination_bucket,
                                             task_.key, ReplicaAsSeen()));
    }
    // Absence is evidence only in the bucket that the rule was made for.
    CRR_ASSIGN_OR_RETURN(const BucketInfo bucket,
                         rule_.source->GetBucket(rule_.source_bucket));
    if (bucket.identity != rule_.source_identity) {
      return WithReason(
          absl::FailedPreconditionError(absl::StrCat(
              "bucket ", rule_.source_bucket, " is not the one of the rule")),
          kBucketIdentityChanged);
    }
    return Settle(replica_.object.has_value() ? Outcome::kDeleted
                                              : Outcome::kNothingToDo,
                  rule_.destination->Delete(
                      rule_.destination_bucket, task_.key,
                      task_.reason == CopyReason::kDelete ? Replica()
                                                          : ReplicaAsSeen()));
  }

  absl::StatusOr<bool> CopySmall(ObjectReader& reader) {
    const ObjectInfo& origin = *origin_.object;
    CRR_ASSIGN_OR_RETURN(
        const std::unique_ptr<ObjectWriter> writer,
        rule_.destination->Write(rule_.destination_bucket, task_.key));
    ContentHash read_hash;
    int64_t read_size = 0;
    for (;;) {
      CRR_ASSIGN_OR_RETURN(const std::string part, reader.Read(kPartBytes));
      if (part.empty()) break;
      const auto part_size = static_cast<int64_t>(part.size());
      if (task_.before_part) CRR_RETURN_IF_ERROR(task_.before_part(part_size));
      read_hash.Update(part);
      read_size += part_size;
      CRR_RETURN_IF_ERROR(writer->Append(part));
    }
    if (read_size != origin.size) {
      return absl::DataLossError(absl::StrCat("the source gave ", read_size,
                                              " of ", origin.size, " bytes"));
    }
    CRR_ASSIGN_OR_RETURN(
        const bool settled,
        Settle(Outcome::kCopied,
               writer->Commit(Facts(), Mark(), Replica())));
    if (!settled || result_.outcome != Outcome::kCopied) return settled;
    result_.bytes += read_size;
    return IsProven(read_hash.Hex());
  }

  absl::StatusOr<bool> CopyLarge(ObjectReader& reader) {
    CRR_ASSIGN_OR_RETURN(const LargeCopy::Parts parts,
                         task_.large->Bring(reader));
    if (parts.upload == nullptr) return false;
    CRR_ASSIGN_OR_RETURN(
        const bool settled,
        Settle(Outcome::kCopied,
               parts.upload->Commit(size(), Facts(), Mark(), Replica())));
    if (!settled || result_.outcome != Outcome::kCopied) return settled;
    if (parts.content_hash.has_value()) return IsProven(*parts.content_hash);
    // Some parts were read by another process. In stores whose etags compare,
    // the source's stands for its bytes; otherwise they are read once more.
    if (EtagsCompare(rule_)) return IsProven(std::nullopt);
    CRR_ASSIGN_OR_RETURN(
        const std::unique_ptr<ObjectReader> again,
        rule_.source->Read(rule_.source_bucket, task_.key));
    if (again == nullptr ||
        again->state().object->etag != origin_.object->etag) {
      return false;
    }
    ContentHash hash;
    for (;;) {
      CRR_ASSIGN_OR_RETURN(const std::string bytes, again->Read(kPartBytes));
      if (bytes.empty()) return IsProven(hash.Hex());
      hash.Update(bytes);
    }
  }

  // Reads back what was written: DATA_LOSS unless it has the source's size and
  // `content_hash`, or the source's etag without that. False when it is gone
  // since.
  absl::StatusOr<bool> IsProven(
      const std::optional<std::string>& content_hash) {
    const absl::StatusOr<Proof> proof =
        rule_.destination->Prove(rule_.destination_bucket, task_.key);
    if (absl::IsNotFound(proof.status())) return false;
    CRR_RETURN_IF_ERROR(proof.status());
    const bool same = content_hash.has_value()
                          ? proof->content_hash == *content_hash
                          : proof->etag == origin_.object->etag;
    if (proof->size != size() || !same) {
      return absl::DataLossError(
          "the destination does not hold the bytes that were read");
    }
    unproven_ = false;
    damaged_ = false;
    return true;
  }

  // Turns what a write at the destination answered into the result.
  absl::StatusOr<bool> Settle(Outcome when_applied,
                              const absl::StatusOr<WriteOutcome>& outcome) {
    CRR_RETURN_IF_ERROR(outcome.status());
    switch (*outcome) {
      case WriteOutcome::kApplied:
        result_.outcome = when_applied;
        return true;
      case WriteOutcome::kStale:
        result_.outcome = Outcome::kStale;
        return true;
      case WriteOutcome::kNotAllowed:
        return absl::AbortedError("the lease is over");
      case WriteOutcome::kMissing:
        return false;
    }
    return absl::InternalError("no such outcome");
  }

  ObjectFacts Facts() const { return ReplicaFacts(rule_, *origin_.object); }

  ReplicaMark Mark() const {
    const ObjectInfo& origin = *origin_.object;
    return {.source_bucket = rule_.source_bucket,
            .source_etag = origin.etag,
            .source_stamp = origin.stamp,
            .destination_bucket = rule_.destination_bucket,
            .key = task_.key,
            .digest = ""};  // The store fills it in.
  }

  ReplicaWrite Replica() const {
    return {.source_identity = rule_.source_identity,
            .revision = origin_.revision,
            .may_commit = task_.may_commit};
  }

  // Of a write that is right only for the state that was decided on: another
  // copier's late commit or a user may have changed it since.
  ReplicaWrite ReplicaAsSeen() const {
    ReplicaWrite write = Replica();
    write.if_revision = replica_.revision;
    return write;
  }

  const CopyRule& rule_;
  const CopyTask& task_;
  bool unproven_;         // As the task's, until there was a proof.
  bool damaged_ = false;  // The proof failed: to be written again.
  KeyState replica_;      // The destination's state.
  KeyState origin_;       // The source's.
  CopyResult result_;
};

}  // namespace

absl::StatusOr<CopyResult> CopyKey(const CopyRule& rule, const CopyTask& task) {
  KeyCopy copy(rule, task);
  absl::StatusOr<CopyResult> result = copy.Run();
  if (!result.ok()) return WithSize(result.status(), copy.size());
  return result;
}

}  // namespace crr
