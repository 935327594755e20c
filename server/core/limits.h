#ifndef CRR_SERVER_CORE_LIMITS_H_
#define CRR_SERVER_CORE_LIMITS_H_

#include <cstddef>
#include <cstdint>

#include "absl/time/time.h"

// Every bound of the control plane, with its reason.
namespace crr::limits {

// Seed 1: "a maximum of five prefixes".
inline constexpr size_t kPrefixesMax = 5;
// OSS: each at most 1,023 characters; a key has at most 1,024 bytes.
inline constexpr size_t kPrefixBytesMax = 1023;
inline constexpr size_t kKeyBytesMax = 1024;
inline constexpr size_t kVersionIdBytesMax = 512;
inline constexpr size_t kEtagBytesMax = 256;
// Room for an account name of any provider, small enough for an index.
inline constexpr size_t kOwnerBytesMax = 128;
inline constexpr size_t kKmsKeyBytesMax = 256;
// As Kubernetes labels, which users know.
inline constexpr size_t kLabelsMax = 32;
inline constexpr size_t kLabelKeyBytesMax = 63;
inline constexpr size_t kLabelValueBytesMax = 255;
// A rule that takes more leases than a fleet has is a typing error.
inline constexpr int64_t kRuleLeasesMax = 1000;
inline constexpr int64_t kRuleBytesPerSecondMax = 1'000'000'000'000;
// Leases that share `max_bytes_per_second` when `max_leases` is not set.
inline constexpr int64_t kDefaultLeasesOfLimitedRule = 4;
// PATH_MAX is 4,096; a root this long leaves room for blob names below it.
inline constexpr size_t kStoreRootBytesMax = 1024;

// As long as Kubernetes object names; credentials are names as well.
inline constexpr size_t kDisplayNameBytesMax = 255;
inline constexpr size_t kCredentialsBytesMax = 253;
// Every check of a pair walks the entries.
inline constexpr int kPolicyEntriesMax = 1000;

inline constexpr int kPageSizeDefault = 100;
inline constexpr int kPageSizeMax = 1000;
inline constexpr size_t kFilterBytesMax = 1024;
// A page ends after this, too: clients take messages of 4 MiB, and the largest
// single resource, an audit event of a policy, has about 0.5 MiB.
inline constexpr size_t kPageBytesMax = 1 << 20;
// Audit events are large, and read whole before a page ends.
inline constexpr int kAuditPageSizeMax = 100;

// Seed 2: "an object up to 2 MB in size is synchronized within 10 minutes".
inline constexpr int64_t kSmallObjectBytes = 2 << 20;
// Series of one metric that are named after rules: what a dashboard can show.
inline constexpr int kRuleSeriesMax = 100;

// How long a repeat of a request gets the first answer.
inline constexpr absl::Duration kRequestMemory = absl::Hours(24);

// The audit log: a year and a month to look back, and a bound for who is never
// done changing things: some 2 GB, at the 2 KB that a rule takes before and
// after. What is beyond either goes.
inline constexpr absl::Duration kAuditAge = absl::Hours(400 * 24);
inline constexpr int64_t kAuditEventsMax = 1'000'000;

// Calls that wait for progress (WatchRuleProgress, WaitForSync): each costs a
// stream and a look now and then.
inline constexpr size_t kWatchersMax = 10'000;

// Violations in one refusal: what a person reads at once.
inline constexpr size_t kViolationsMax = 20;
// Bytes of its details: clients take 8 KiB of metadata, and the message is a
// part of that. What is too much is left out from the end; the message says how
// many there were.
inline constexpr size_t kRefusalBytesMax = 7'300;
// Paths in an update mask: more than any resource has.
inline constexpr int kMaskPathsMax = 64;

// Between the clock of a publisher, which is its store's, and ours, which tells
// when a rule was made: machines that keep time at all are closer.
inline constexpr absl::Duration kClockSkewMax = absl::Minutes(1);

// A batch: large enough to share one commit well, small enough that its
// transaction stays in the milliseconds.
inline constexpr size_t kBatchChangesMax = 1000;
inline constexpr size_t kBatchBytesMax = 1 << 20;
// Design §4: a segment is read, sent and held in memory as a whole.
inline constexpr int64_t kSegmentBytesMax = 256 << 10;
// A rule's log: about a million changes; beyond it the log is dropped, and the
// buckets are compared whole.
inline constexpr int64_t kRuleLogBytesMax = 256 << 20;

// Logs that one rule may be split into, and the bytes of each, some 30,000
// changes, at which it is split further: then it is one copier's work no more.
inline constexpr int64_t kPartitionsMax = 16;
inline constexpr int64_t kHotPartitionBytes = 4 << 20;

// Design §5: about 10,000 objects a range: a minute's work of one lease.
inline constexpr int64_t kRangeObjects = 10'000;
// Ranges in one INVENTORY checkpoint.
inline constexpr int kRangesPerCheckpointMax = 1000;

// Objects of one rule that are kept apart because they fail: some 100 MB. More
// are no matter of single objects, and their lanes wait.
inline constexpr int64_t kFailedObjectsMax = 100'000;
// In one checkpoint, each with a key and a message of 1 KiB: half of a message.
inline constexpr int kFailuresPerCheckpointMax = 1000;
inline constexpr size_t kReasonBytesMax = 63;
// Grants of an object without progress before it is a dead letter: with the
// back-off of lease_options.h, about two minutes.
inline constexpr int64_t kObjectAttemptsMax = 8;
// For so long an object's failures may be an outage of its store, which needs
// somebody to mend the store and not the object: a day is enough for that.
inline constexpr absl::Duration kOutageMax = absl::Hours(24);
// Grants of a lane that lost their copiers without progress: then one entry is
// worked on at a time, and one grant later the first is taken out.
inline constexpr int64_t kLaneLossesMax = 2;
// Larger objects are copied by themselves, in parts: as long a copy as a lane
// may be held up by.
inline constexpr int64_t kLargeObjectBytes = 64 << 20;
inline constexpr size_t kUploadIdBytesMax = 1024;
// At which a copier reads its own destination, at the least: how long it may be
// silent over one object follows from it.
inline constexpr int64_t kReadBytesPerSecondMin = 16 << 20;
// Rows that RetryFailedObjects and SkipFailedObjects take in one transaction,
// some 100 ms of the writer.
inline constexpr int kFailedObjectsPerCallMax = 1000;
inline constexpr size_t kSelectionKeysMax = 1000;
// Of the differences that a verification found, those that are shown.
inline constexpr int kVerificationSamplesMax = 100;

inline constexpr int64_t kSlotsMax = 1024;
inline constexpr int64_t kLeaseCreditMax = 1024;
inline constexpr int64_t kSegmentCreditBytesMin = 1 << 20;
// More would only sit in a copier's memory.
inline constexpr int64_t kSegmentCreditBytesMax = 64 << 20;
// Text that copiers report, as people read it.
inline constexpr size_t kReportBytesMax = 1024;

// Messages that wait for one slow stream, before it is ended.
inline constexpr size_t kStreamOutboxMax = 4096;
inline constexpr int kMessageBytesMax = 4 << 20;
// Bytes that wait for one copier before it gets no more segments: sixteen of
// them, so that its connection is never idle.
inline constexpr int64_t kStreamOutboxBytesMax = 4 << 20;
// The same over all copiers; beyond it each gets a segment when its last was
// taken.
inline constexpr int64_t kOutboxBytesMax = 64 << 20;
// A publisher that takes no answer for so long does not read; a copier gets its
// ttl.
inline constexpr absl::Duration kPublisherStallMax = absl::Seconds(30);

// Reads of segments that the database does at once, each of kSegmentBytesMax
// and so many small segments at most: what comes on top of an outbox.
inline constexpr int kSegmentReadsMax = 16;
inline constexpr int64_t kSegmentsPerReadMax = 64;

// Sessions at once: ten thousand copiers and, after a network broke, the
// streams that they left behind.
inline constexpr size_t kSessionsMax = 20'000;
// New sessions whose commit is awaited, so that ten thousand hellos at once
// leave most of the writer's queue to others: one commit takes as many.
inline constexpr int kSessionStartsMax = 512;
// Streams of publishers: each may have one message in hand.
inline constexpr size_t kPublishStreamsMax = 1000;
// Bytes, and number, of one copier's checkpoints that are not committed, before
// no more of its stream is read: a checkpoint of the largest size, or one each
// of many leases.
inline constexpr size_t kCheckpointBytesInHandMax = 4 << 20;
inline constexpr size_t kCheckpointsInHandMax = 256;
// Reports of trouble that wait to be stored, over all copiers; what is beyond
// comes again.
inline constexpr int kNotesInHandMax = 64;

// Bodies that may wait to write, and as many to read, over all callers: a
// second of work at the pace measured for single commits; beyond it callers do
// better to come back.
inline constexpr size_t kQueueMax = 8192;
// Bytes of the batches and checkpoints among those that write: some seconds of
// work.
inline constexpr size_t kQueueBytesMax = 256 << 20;

// Segments and units deleted in one transaction while a rule is closed.
inline constexpr int kPurgeStep = 500;

}  // namespace crr::limits

#endif  // CRR_SERVER_CORE_LIMITS_H_
