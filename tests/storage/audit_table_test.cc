#include "storage/audit_table.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "tests/storage/tables_fixture.h"

namespace crr {
namespace {

using test::At;
using test::Count;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

constexpr audit_table::Bounds kWide{absl::Hours(24), 1000};

class AuditTableTest : public test::TablesTest {
 protected:
  static AuditEvent Event(const std::string& subject, absl::Time time) {
    return {.time = time,
            .caller = "caller",
            .method = "method",
            .subject = subject,
            .before = "{}",
            .after = "{}",
            .request_id = ""};
  }
  void Add(const std::string& subject, absl::Time time,
           const audit_table::Bounds& bounds = kWide) {
    Do([&](Transaction& txn) {
      audit_table::Insert(txn, Event(subject, time), bounds);
      return 0;
    });
  }
  std::vector<AuditEvent> List(const std::string& subject = "",
                               int64_t before_number = 0, int limit = 1000) {
    return Do([&](Transaction& txn) {
      return audit_table::List(txn, subject, before_number, limit);
    });
  }
  std::vector<int64_t> Numbers(const std::string& subject = "",
                               int64_t before_number = 0, int limit = 1000) {
    std::vector<int64_t> numbers;
    for (const auto& event : List(subject, before_number, limit)) {
      numbers.push_back(event.number);
    }
    return numbers;
  }
};

TEST_F(AuditTableTest, AnEventComesBackAsItWas) {
  Do([](Transaction& txn) {
    audit_table::Insert(txn,
                        {.number = 77,  // Not the caller's to choose.
                         .time = absl::FromUnixMicros(1'800'000'000'123'456),
                         .caller = "ipv4:127.0.0.1:1",
                         .method = "crr.v1.BucketService/CreateBucket",
                         .subject = "buckets/aaa",
                         .before = "",
                         .after = "{\"name\":\"\xc3\xa9\"}",
                         .request_id = "id"},
                        kWide);
    return 0;
  });
  const auto events = List();
  ASSERT_EQ(events.size(), 1u);
  EXPECT_EQ(events[0].number, 1);
  EXPECT_EQ(events[0].time, absl::FromUnixMicros(1'800'000'000'123'456));
  EXPECT_EQ(events[0].caller, "ipv4:127.0.0.1:1");
  EXPECT_EQ(events[0].method, "crr.v1.BucketService/CreateBucket");
  EXPECT_EQ(events[0].subject, "buckets/aaa");
  EXPECT_EQ(events[0].before, "");
  EXPECT_EQ(events[0].after, "{\"name\":\"\xc3\xa9\"}");
  EXPECT_EQ(events[0].request_id, "id");
}

TEST_F(AuditTableTest, ListsNewestFirstInPages) {
  for (int i = 0; i < 5; ++i) Add("s", At(1));
  EXPECT_THAT(Numbers(), ElementsAre(5, 4, 3, 2, 1));
  EXPECT_THAT(Numbers("", 0, 2), ElementsAre(5, 4));
  EXPECT_THAT(Numbers("", 4, 2), ElementsAre(3, 2));
  EXPECT_THAT(Numbers("", 2, 2), ElementsAre(1));
  EXPECT_THAT(Numbers("", 1, 2), IsEmpty());
}

TEST_F(AuditTableTest, ListsOneSubject) {
  for (const char* subject : {"a", "b", "a", "ab", "a"}) Add(subject, At(1));
  EXPECT_THAT(Numbers("a"), ElementsAre(5, 3, 1));
  EXPECT_THAT(Numbers("a", 5), ElementsAre(3, 1));
  EXPECT_THAT(Numbers("a", 0, 1), ElementsAre(5));
  EXPECT_THAT(Numbers("c"), IsEmpty());
}

TEST_F(AuditTableTest, AnEventIsOfTheChangesTransaction) {
  EXPECT_FALSE(database_
                   ->WriteAndWait<int>(
                       [](Transaction& txn) -> absl::StatusOr<int> {
                         audit_table::Insert(txn, Event("a", At(1)), kWide);
                         return absl::FailedPreconditionError("refused");
                       })
                   .ok());
  EXPECT_THAT(List(), IsEmpty());
}

// ------------------------------------------------------------------ retention

TEST_F(AuditTableTest, AnEventIsKeptForItsAgeAndNotLonger) {
  const audit_table::Bounds bounds{absl::Seconds(100), 1000};
  Add("old", At(1000), bounds);
  Add("new", At(1100), bounds);
  EXPECT_THAT(Numbers(), ElementsAre(2, 1));
  Add("newer", At(1100) + absl::Microseconds(1), bounds);
  EXPECT_THAT(Numbers(), ElementsAre(3, 2));
}

TEST_F(AuditTableTest, SoManyEventsAreKeptAndNotMore) {
  const audit_table::Bounds bounds{absl::Hours(24), 3};
  for (int i = 0; i < 3; ++i) Add("s", At(1), bounds);
  EXPECT_THAT(Numbers(), ElementsAre(3, 2, 1));
  Add("s", At(1), bounds);
  EXPECT_THAT(Numbers(), ElementsAre(4, 3, 2));
  for (int i = 0; i < 100; ++i) Add("s", At(1), bounds);
  EXPECT_THAT(Numbers(), ElementsAre(104, 103, 102));
}

TEST_F(AuditTableTest, ALongLogShrinksInSmallSteps) {
  for (int i = 0; i < 50; ++i) Add("s", At(1));
  const audit_table::Bounds bounds{absl::Hours(24), 10};
  Add("s", At(1), bounds);
  EXPECT_EQ(Count(*database_, "audit_events"), 49);
  for (int i = 0; i < 100; ++i) Add("s", At(1), bounds);
  EXPECT_EQ(Count(*database_, "audit_events"), 10);
}

TEST_F(AuditTableTest, NumbersRiseEvenWhenAllElseHasGone) {
  const audit_table::Bounds bounds{absl::Seconds(1), 1000};
  Add("s", At(1), bounds);
  Add("s", At(1), bounds);
  Add("s", At(100), bounds);
  EXPECT_THAT(Numbers(), ElementsAre(3));
  Add("s", At(200), bounds);
  EXPECT_THAT(Numbers(), ElementsAre(4));
}

// A clock that was wrong for a while holds nothing up for ever, and takes
// nothing of today with it.
TEST_F(AuditTableTest, AnEventFromTheFutureIsBoundByNumber) {
  const audit_table::Bounds bounds{absl::Seconds(100), 5};
  Add("future", At(100'000), bounds);
  for (int i = 0; i < 4; ++i) Add("s", At(1000), bounds);
  EXPECT_THAT(Numbers(), ElementsAre(5, 4, 3, 2, 1));
  Add("s", At(5000), bounds);
  // The first by its number, the second by its age.
  EXPECT_THAT(Numbers(), ElementsAre(6, 5, 4, 3));
}

}  // namespace
}  // namespace crr
