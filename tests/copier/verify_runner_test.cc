#include <gmock/gmock.h>
#include <google/protobuf/util/time_util.h>
#include <gtest/gtest.h>

#include <functional>
#include <map>
#include <random>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "tests/copier/forwarding_store.h"
#include "tests/copier/runner_fixture.h"

namespace crr {
namespace {

using ::crr::test::CheckpointModel;
using ::crr::test::IsOk;
using ::crr::test::kDestination;
using ::crr::test::kSource;
using ::crr::test::RunnerTest;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::Pair;
using Call = FaultStore::Call;

class VerifyRunnerTest : public RunnerTest {
 protected:
  // Brings everything over.
  void Replicate() {
    lease_.set_range_end("~");
    Start(v1::Lease::BACKFILL);
    RecordAll();
    EXPECT_FALSE(End().release);
    lease_.clear_range_end();
  }
  CheckpointModel Verify() {
    Start(v1::Lease::VERIFY);
    const CheckpointModel sum = RecordAll();
    EXPECT_FALSE(End().release);
    return sum;
  }
  void Repair(const std::string& key) {
    lease_.mutable_object()->set_key(key);
    Start(v1::Lease::OBJECT);
    RecordAll();
    EXPECT_FALSE(End().release);
    lease_.clear_object();
  }
  void PutWithFacts(const std::string& key, const ObjectFacts& facts) {
    auto writer = stores_.source_base.Write(kSource, key);
    ASSERT_OK(writer);
    ASSERT_OK((*writer)->Commit(facts, std::nullopt, std::nullopt));
  }
  void DeleteReplica(const std::string& key) {
    ASSERT_OK(stores_.destination_base.Delete(kDestination, key, std::nullopt));
  }
  // A user edits what stands at the destination.
  void EditReplica(const std::string& key) {
    const ObjectInfo replica =
        stores_.destination_base.Head(kDestination, key)->object.value();
    ObjectFacts facts = replica.facts;
    facts.tags["edited"] = "yes";
    ASSERT_OK(stores_.destination_base.SetFacts(
        kDestination, key, replica.etag, facts, std::nullopt, std::nullopt));
  }
  // One of each kind, each named after what it is.
  void PutOneOfEach() {
    for (const char* key : {"content", "damaged", "edited", "equal", "extra",
                            "extra-edited", "missing", "unmarked"}) {
      Put(key, "bytes");
    }
    Replicate();
    Put("content", "other");
    EditReplica("edited");
    EditReplica("extra-edited");
    Delete("extra");
    Delete("extra-edited");
    PutForeign("foreign", "a user's");
    DeleteReplica("missing");
    // The same bytes and facts, but a user's.
    const ObjectInfo origin =
        stores_.source_base.Head(kSource, "unmarked")->object.value();
    auto writer = stores_.destination_base.Write(kDestination, "unmarked");
    ASSERT_OK((*writer)->Append("bytes"));
    ASSERT_OK((*writer)->Commit(origin.facts, std::nullopt, std::nullopt));
    ObjectFacts kms;
    kms.encryption = "SSE-KMS";
    kms.encryption_key_id = "k";
    PutWithFacts("kms", kms);
    PutWithFacts("kms-and-foreign", kms);
    PutForeign("kms-and-foreign", "a user's");
    // What came from the destination, in mutual sync.
    writer = stores_.source_base.Write(kSource, "echo");
    ASSERT_OK((*writer)->Commit({},
                                ReplicaMark{.source_bucket = kDestination,
                                            .source_etag = "e",
                                            .source_stamp = 1,
                                            .destination_bucket = kSource,
                                            .key = "echo",
                                            .digest = ""},
                                std::nullopt));
  }
};

TEST_F(VerifyRunnerTest, NamesEveryKindOfDifference) {
  PutOneOfEach();
  const CheckpointModel sum = Verify();
  EXPECT_THAT(sum.reasons(),
              ElementsAre(Pair("content", "CONTENT"), Pair("edited", "FACTS"),
                          Pair("extra", "EXTRA"), Pair("missing", "MISSING"),
                          Pair("unmarked", "FACTS")));
  EXPECT_EQ(sum.failed.at("content").size_bytes(), 5);
  EXPECT_EQ(sum.foreign, 2);
  EXPECT_THAT(sum.foreign_keys, ElementsAre("extra-edited", "foreign"));
  // damaged, echo, equal, kms, kms-and-foreign
  EXPECT_EQ(sum.equal, 5);
  EXPECT_EQ(sum.applied, 0);
}

TEST_F(VerifyRunnerTest, WritesNothing) {
  PutOneOfEach();
  const auto before = Replicas();
  const auto revision =
      stores_.destination_base.Head(kDestination, "extra")->revision;
  Verify();
  EXPECT_EQ(Replicas(), before);
  EXPECT_EQ(stores_.destination_base.Head(kDestination, "extra")->revision,
            revision);
}

TEST_F(VerifyRunnerTest, ARuleWithoutDeletionsKeepsReplicasOfWhatIsGone) {
  PutOneOfEach();
  lease_.set_operations(v1::Rule::ADD_CHANGE);
  const CheckpointModel sum = Verify();
  EXPECT_FALSE(sum.failed.contains("extra"));
  EXPECT_EQ(sum.equal, 6);
  EXPECT_EQ(sum.foreign, 2);
}

TEST_F(VerifyRunnerTest, ARuleThatReplicatesCustomerKeysComparesThem) {
  lease_.mutable_sse_kms()->set_replicate(true);
  lease_.mutable_sse_kms()->set_replica_kms_key("ours");
  ObjectFacts kms;
  kms.encryption = "SSE-KMS";
  kms.encryption_key_id = "theirs";
  PutWithFacts("a", kms);
  PutWithFacts("b", kms);
  Replicate();
  DeleteReplica("b");
  const CheckpointModel sum = Verify();
  EXPECT_EQ(sum.equal, 1);
  EXPECT_THAT(sum.reasons(), ElementsAre(Pair("b", "MISSING")));
}

TEST_F(VerifyRunnerTest, WhatIsOlderThanTheRuleIsLeftAlone) {
  // Two replicas of an earlier rule.
  Put("new-extra", "x");
  Put("old-extra", "x");
  Replicate();
  Put("old-missing", "x");
  Put("old-other", "x");
  PutForeign("old-other", "y");
  Delete("old-extra");
  const int64_t stamp = stores_.source_base.Head(kSource, "old-extra")->stamp;
  *lease_.mutable_changed_since() =
      google::protobuf::util::TimeUtil::MicrosecondsToTimestamp(stamp + 1);
  // The clock of the store goes by microseconds.
  while (absl::ToUnixMicros(Clock::Real().WallNow()) <= stamp + 1) {
  }
  Put("new-missing", "x");
  Delete("new-extra");
  const CheckpointModel sum = Verify();
  EXPECT_THAT(sum.reasons(), ElementsAre(Pair("new-extra", "EXTRA"),
                                         Pair("new-missing", "MISSING")));
  EXPECT_EQ(sum.equal, 3);
  EXPECT_EQ(sum.foreign, 0);

  // Repairs come to the same decisions.
  for (const char* key : {"new-extra", "old-extra"}) Repair(key);
  EXPECT_THAT(Replicas(),
              ElementsAre(Pair("old-extra", "x"), Pair("old-other", "y")));
}

TEST_F(VerifyRunnerTest, ASourceBucketThatWasMadeAnewEmptiesNothing) {
  for (const char* key : {"a", "b", "c"}) Put(key, "bytes");
  Replicate();
  const auto before = Replicas();
  MemoryStore anew;
  const auto bucket = anew.EnsureBucket(kSource, BucketVersioning::kUnversioned);
  stores_.open_source = std::make_shared<FaultStore>(anew);
  lease_.mutable_source()->set_identity(bucket->identity);
  CheckpointModel sum = Verify();
  EXPECT_THAT(sum.failed, IsEmpty());
  EXPECT_EQ(sum.equal, 3);

  // What is put there and deleted again is known to be deleted.
  auto writer = anew.Write(kSource, "b");
  ASSERT_OK((*writer)->Commit({}, std::nullopt, std::nullopt));
  ASSERT_OK(anew.Delete(kSource, "b", std::nullopt));
  sum = Verify();
  EXPECT_THAT(sum.reasons(), ElementsAre(Pair("b", "EXTRA")));
  for (const char* key : {"a", "b", "c"}) Repair(key);
  EXPECT_THAT(Replicas(), ElementsAre(Pair("a", "bytes"), Pair("c", "bytes")));
  EXPECT_THAT(Verify().failed, IsEmpty());
}

TEST_F(VerifyRunnerTest, ReadsTheBytesWhenAsked) {
  for (const char* key : {"a", "b", "c"}) Put(key, "bytes");
  Replicate();
  const int proofs = stores_.destination->Calls(Call::kProve);
  EXPECT_EQ(Verify().equal, 3);
  EXPECT_EQ(stores_.destination->Calls(Call::kProve), proofs);

  lease_.set_read_bytes(true);
  EXPECT_EQ(Verify().equal, 3);
  EXPECT_EQ(stores_.destination->Calls(Call::kProve), proofs + 3);
  // "b" is looked at twice.
  for (int n : {2, 3}) {
    stores_.destination->FailCall(Call::kProve, n, absl::DataLossError("bad"));
  }
  const CheckpointModel sum = Verify();
  EXPECT_THAT(sum.reasons(), ElementsAre(Pair("b", "DAMAGED")));
  EXPECT_EQ(sum.equal, 2);
  // A damage that is gone with the second look was none.
  stores_.destination->FailCall(Call::kProve, 2, absl::DataLossError("bad"));
  EXPECT_EQ(Verify().equal, 3);
}

TEST_F(VerifyRunnerTest, ADifferenceThatIsGoneAtTheHeadsDoesNotCount) {
  Put("a", "bytes");
  Put("z", "bytes");
  Replicate();
  Delete("z");
  Put("b", "bytes");
  // Between the listings and the heads the lanes bring all of it over.
  bool done = false;
  stores_.destination->Before(Call::kHead, [&](auto, auto) {
    if (std::exchange(done, true)) return;
    auto writer = stores_.destination_base.Write(kDestination, "b");
    const ObjectInfo origin =
        stores_.source_base.Head(kSource, "b")->object.value();
    ASSERT_OK((*writer)->Append("bytes"));
    ASSERT_OK((*writer)->Commit(origin.facts,
                                ReplicaMark{.source_bucket = kSource,
                                            .source_etag = origin.etag,
                                            .source_stamp = origin.stamp,
                                            .destination_bucket = kDestination,
                                            .key = "b",
                                            .digest = ""},
                                std::nullopt));
    DeleteReplica("z");
  });
  const CheckpointModel sum = Verify();
  EXPECT_THAT(sum.failed, IsEmpty());
  EXPECT_EQ(sum.equal, 3);
}

// ---- Listings.

TEST_F(VerifyRunnerTest, AListingThatFailsMakesNoDifference) {
  for (int i = 0; i < 2'500; ++i) Put(absl::StrCat("k", 10'000 + i), "x");
  Replicate();
  for (const int n : {1, 2, 4, 5, 6}) {
    stores_.source->FailCall(Call::kList, n, absl::UnavailableError("away"));
    stores_.destination->FailCall(Call::kList, n + 1,
                                  absl::InternalError("unordered"));
  }
  const CheckpointModel sum = Verify();
  EXPECT_THAT(sum.failed, IsEmpty());
  EXPECT_EQ(sum.equal, 2'500);
}

TEST_F(VerifyRunnerTest, AListingThatNeverComesEndsNowhere) {
  Put("a", "x");
  Replicate();
  for (int n = 1; n < 1'000; ++n) {
    stores_.source->FailCall(Call::kList, n, absl::InternalError("unordered"));
  }
  test::FakeSession& session = Start(v1::Lease::VERIFY);
  const v1::SessionRequest message = session.Next();
  ASSERT_TRUE(message.has_trouble());
  session.link().Drain("REVOKED", Clock::Real().Now() + absl::Minutes(1));
  EXPECT_EQ(End().reason, "REVOKED");
}

// A page that leaves keys out, and says that it is whole.
class ForgetfulStore final : public test::ForwardingStore {
 public:
  using ForwardingStore::ForwardingStore;
  absl::StatusOr<ListPage> List(absl::string_view bucket,
                                const ListRequest& request) override {
    auto page = ForwardingStore::List(bucket, request);
    if (page.ok()) {
      std::erase_if(page->objects,
                    [](const ObjectInfo& o) { return o.key.back() % 2 == 0; });
    }
    return page;
  }
};

TEST_F(VerifyRunnerTest, AListingThatLeavesKeysOutMakesNoDifference) {
  for (int i = 0; i < 20; ++i) Put(absl::StrCat("k", 10 + i), "x");
  Replicate();
  for (const bool at_source : {true, false}) {
    const auto forgetful = std::make_shared<ForgetfulStore>(
        *(at_source ? stores_.source : stores_.destination));
    (at_source ? stores_.open_source : stores_.open_destination) = forgetful;
    const CheckpointModel sum = Verify();
    EXPECT_THAT(sum.failed, IsEmpty());
    EXPECT_EQ(sum.foreign, 0);
    EXPECT_EQ(sum.equal, 20);
    stores_.open_source = stores_.source;
    stores_.open_destination = stores_.destination;
  }
}

TEST_F(VerifyRunnerTest, LooksInsideItsRangeAndPrefixesOnly) {
  for (const char* key : {"a/1", "a/2", "b/1", "c/1", "c/2", "d/1"}) {
    Put(key, "x");
    PutForeign(absl::StrCat(key, "+"), "y");
  }
  lease_.add_prefixes("c/");
  lease_.add_prefixes("a/");
  lease_.set_range_start("a/1");
  lease_.mutable_cursor()->set_key("a/1");
  lease_.set_range_end("c/1");
  CheckpointModel sum = Verify();
  EXPECT_THAT(sum.reasons(),
              ElementsAre(Pair("a/2", "MISSING"), Pair("c/1", "MISSING")));
  EXPECT_THAT(sum.foreign_keys, ElementsAre("a/1+", "a/2+"));
  EXPECT_EQ(sum.cursor().key(), "c/1");

  lease_.set_range_start("c/1");
  lease_.mutable_cursor()->set_key("c/1");
  lease_.clear_range_end();
  sum = Verify();
  EXPECT_THAT(sum.reasons(), ElementsAre(Pair("c/2", "MISSING")));
  EXPECT_THAT(sum.foreign_keys, ElementsAre("c/1+", "c/2+"));
}

TEST_F(VerifyRunnerTest, NothingIsComplete) {
  const CheckpointModel sum = Verify();
  EXPECT_EQ(sum.equal, 0);
  EXPECT_EQ(sum.cursor().key(), "");
}

// ---- Checkpoints.

TEST_F(VerifyRunnerTest, OneCheckpointNamesAThousandAndAHundred) {
  for (int i = 0; i < 1'300; ++i) {
    Put(absl::StrCat("k", 10'000 + i), "x");
    if (i < 250) PutForeign(absl::StrCat("a", i), "x");
  }
  timing_.checkpoint_entries = 100'000;
  timing_.checkpoint_interval = absl::Hours(1);
  const CheckpointModel sum = Verify();
  EXPECT_EQ(sum.failed.size(), 1'300u);
  EXPECT_EQ(sum.foreign, 250);
  EXPECT_EQ(sum.foreign_keys.size(), 100u);
}

TEST_F(VerifyRunnerTest, WhatWasRecordedIsNotComparedAgain) {
  for (int i = 0; i < 10; ++i) Put(absl::StrCat("k", i), "x");
  timing_.checkpoint_entries = 4;
  timing_.checkpoint_interval = absl::Hours(1);
  test::FakeSession& session = Start(v1::Lease::VERIFY);
  const v1::Checkpoint first = session.NextCheckpoint();
  EXPECT_EQ(first.failed_size(), 4);
  EXPECT_EQ(first.to().key(), "k3");
  session.Answer(first, v1::CheckpointAck::OBJECTS_FULL);
  EXPECT_EQ(session.NextCheckpoint().SerializeAsString(),
            first.SerializeAsString());
  session.link().Drain("REVOKED", Clock::Real().Now() + absl::Minutes(1));
  session.Record(first);
  EXPECT_EQ(End().reason, "REVOKED");

  *lease_.mutable_cursor() = first.to();
  EXPECT_EQ(Verify().failed.size(), 6u);
}

TEST_F(VerifyRunnerTest, ADrainedLeaseTellsWhatItCompared) {
  for (int i = 0; i < 10; ++i) Put(absl::StrCat("k", i), "x");
  timing_.checkpoint_interval = absl::Hours(1);
  stores_.source->Before(Call::kHead, [&](auto, auto key) {
    if (key == "k4") {
      session_->link().Drain("REVOKED", Clock::Real().Now() + absl::Minutes(1));
    }
  });
  test::FakeSession& session = Start(v1::Lease::VERIFY);
  const v1::Checkpoint checkpoint = session.NextCheckpoint();
  EXPECT_EQ(checkpoint.to().key(), "k4");
  EXPECT_EQ(checkpoint.failed_size(), 5);
  EXPECT_FALSE(checkpoint.complete());
  session.Record(checkpoint);
  EXPECT_EQ(End().reason, "REVOKED");
}

TEST_F(VerifyRunnerTest, AKeyThatCannotBeLookedAtIsADifference) {
  for (const char* key : {"a", "b", "c"}) Put(key, "x");
  stores_.destination->FailKey("b", absl::DataLossError("a bad block"));
  const CheckpointModel sum = Verify();
  EXPECT_THAT(sum.reasons(),
              ElementsAre(Pair("a", "MISSING"), Pair("b", "CONTENT_DAMAGED"),
                          Pair("c", "MISSING")));
}

TEST_F(VerifyRunnerTest, AStoreThatIsAwayIsWaitedFor) {
  Put("a", "x");
  for (int n = 1; n <= 5; ++n) {
    stores_.destination->FailCall(Call::kHead, n,
                                  absl::UnavailableError("away"));
  }
  const CheckpointModel sum = Verify();
  EXPECT_THAT(sum.reasons(), ElementsAre(Pair("a", "MISSING")));
  EXPECT_EQ(stores_.destination->Calls(Call::kHead), 6);
}

// What a verification names, the OBJECT lane mends; users' objects stay; and
// then there is nothing to name.
TEST_F(VerifyRunnerTest, WhatItNamesIsMendedOneByOne) {
  for (uint32_t seed = 0; seed < 10; ++seed) {
    SCOPED_TRACE(seed);
    std::mt19937 random(seed);
    std::map<std::string, std::string> foreign;
    for (int i = 0; i < 40; ++i) {
      const std::string key = absl::StrCat("s", seed, "/", i);
      switch (random() % 4) {
        case 0:
          Put(key, absl::StrCat("v", random() % 3));
          break;
        case 1:
          foreign[key] = absl::StrCat("foreign", i);
          break;
        default:
          Put(key, absl::StrCat("v", random() % 3));
          break;
      }
    }
    Replicate();
    for (const auto& [key, bytes] : foreign) PutForeign(key, bytes);
    for (int i = 0; i < 40; ++i) {
      const std::string key = absl::StrCat("s", seed, "/", i);
      if (foreign.contains(key)) continue;
      switch (random() % 5) {
        case 0:
          Delete(key);
          break;
        case 1:
          DeleteReplica(key);
          break;
        case 2:
          EditReplica(key);
          break;
        case 3:
          Put(key, "later");
          break;
        default:
          break;
      }
    }
    const CheckpointModel sum = Verify();
    for (const auto& [key, failure] : sum.failed) Repair(key);
    const CheckpointModel again = Verify();
    EXPECT_THAT(again.failed, IsEmpty());
    EXPECT_EQ(again.foreign, sum.foreign);
    const auto replicas = Replicas();
    for (const auto& [key, bytes] : foreign) {
      ASSERT_TRUE(replicas.contains(key));
      EXPECT_EQ(replicas.at(key), bytes);
    }
  }
}

}  // namespace
}  // namespace crr
