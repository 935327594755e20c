#ifndef CRR_TESTS_COPIER_CHECKPOINT_MODEL_H_
#define CRR_TESTS_COPIER_CHECKPOINT_MODEL_H_

#include <gtest/gtest.h>

#include <cstdint>
#include <map>
#include <set>
#include <string>

#include "crr/v1/copier_service.pb.h"

namespace crr::test {

// What the server makes of the checkpoints of one lease: fails the test when
// one makes no sense to it (server/core/checkpoint_sense.cc), and sums them up.
class CheckpointModel {
 public:
  explicit CheckpointModel(v1::Lease lease)
      : lease_(std::move(lease)), cursor_(lease_.cursor()) {}

  void Take(const v1::Checkpoint& checkpoint) {
    SCOPED_TRACE(checkpoint.ShortDebugString().substr(0, 2'000));
    EXPECT_EQ(checkpoint.unit(), lease_.unit());
    EXPECT_EQ(checkpoint.token(), lease_.token());
    EXPECT_EQ(checkpoint.from().sequence(), cursor_.sequence());
    EXPECT_EQ(checkpoint.from().key(), cursor_.key());
    EXPECT_FALSE(complete);
    const bool changes = lease_.kind() == v1::Lease::CHANGES;
    const bool object = lease_.kind() == v1::Lease::OBJECT;
    const bool verify = lease_.kind() == v1::Lease::VERIFY;

    int64_t settled = checkpoint.applied() + checkpoint.collapsed();
    for (const auto& [reason, n] : checkpoint.filtered()) settled += n;
    int64_t failed_changes = 0;
    EXPECT_LE(checkpoint.failed_size(), 1'000);
    std::set<std::string> keys;
    for (const v1::ObjectFailure& failure : checkpoint.failed()) {
      EXPECT_FALSE(failure.key().empty());
      EXPECT_TRUE(keys.insert(failure.key()).second) << failure.key();
      EXPECT_EQ(failure.reason().find_first_not_of(
                    "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_"),
                std::string::npos);
      EXPECT_FALSE(failure.reason().empty());
      EXPECT_LE(failure.message().size(), 1'024u);
      EXPECT_EQ(failure.changes() > 0, changes);
      EXPECT_TRUE(changes || !failure.deletion());
      EXPECT_GE(failure.size_bytes(), 0);
      failed_changes += failure.changes();
    }
    const v1::Cursor& to = checkpoint.to();
    if (changes || object) {
      EXPECT_EQ(to.key(), "");
    } else {
      EXPECT_EQ(to.sequence(), 0);
    }
    EXPECT_EQ(checkpoint.has_compared(), verify);
    if (changes) {
      EXPECT_FALSE(checkpoint.complete());
      EXPECT_EQ(settled + failed_changes, to.sequence() - cursor_.sequence());
    } else if (object) {
      EXPECT_EQ(settled, checkpoint.complete() ? 1 : 0);
      EXPECT_EQ(checkpoint.failed_size(), 0);
      EXPECT_TRUE(to.sequence() >= cursor_.sequence() ||
                  checkpoint.has_upload());
    } else {
      EXPECT_GE(to.key(), cursor_.key());
      EXPECT_EQ(checkpoint.collapsed(), 0);
      const bool bounded = !verify || !lease_.range_end().empty();
      EXPECT_TRUE(!bounded || to.key() <= lease_.range_end());
      EXPECT_TRUE(!bounded || !checkpoint.complete() ||
                  to.key() == lease_.range_end());
      EXPECT_TRUE(to.key() != cursor_.key() ||
                  settled + checkpoint.failed_size() == 0);
    }
    if (verify) {
      EXPECT_EQ(settled, 0);
      EXPECT_LE(checkpoint.compared().foreign_keys_size(), 100);
      EXPECT_LE(checkpoint.compared().foreign_keys_size(),
                checkpoint.compared().foreign());
    }

    cursor_ = to;
    complete = checkpoint.complete();
    applied += checkpoint.applied();
    collapsed += checkpoint.collapsed();
    bytes += checkpoint.bytes();
    equal += checkpoint.compared().equal();
    foreign += checkpoint.compared().foreign();
    foreign_keys.insert(checkpoint.compared().foreign_keys().begin(),
                        checkpoint.compared().foreign_keys().end());
    for (const auto& [reason, n] : checkpoint.filtered()) {
      filtered[reason] += n;
    }
    for (const v1::ObjectFailure& failure : checkpoint.failed()) {
      v1::ObjectFailure& sum = failed[failure.key()];
      const int64_t before = sum.changes();
      const bool deletion = sum.deletion() || failure.deletion();
      sum = failure;
      sum.set_changes(before + failure.changes());
      sum.set_deletion(deletion);
    }
    if (checkpoint.has_upload()) upload = checkpoint.upload();
  }

  const v1::Cursor& cursor() const { return cursor_; }
  // By key, as "REASON".
  std::map<std::string, std::string> reasons() const {
    std::map<std::string, std::string> all;
    for (const auto& [key, failure] : failed) all[key] = failure.reason();
    return all;
  }

  bool complete = false;
  int64_t applied = 0;
  int64_t collapsed = 0;
  int64_t bytes = 0;
  int64_t equal = 0;
  int64_t foreign = 0;
  std::set<std::string> foreign_keys;
  std::map<std::string, int64_t> filtered;
  std::map<std::string, v1::ObjectFailure> failed;
  v1::Upload upload;

 private:
  v1::Lease lease_;
  v1::Cursor cursor_;
};

}  // namespace crr::test

#endif  // CRR_TESTS_COPIER_CHECKPOINT_MODEL_H_
