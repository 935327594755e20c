#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "server/core/limits.h"
#include "storage/database.h"
#include "tests/rpc/test_server.h"

// How long the audit log remembers.
namespace crr {
namespace {

using test::Call;
using test::TestServer;
using ::testing::ElementsAre;

std::vector<std::string> Subjects(TestServer& server) {
  v1::ListAuditEventsResponse response;
  EXPECT_TRUE(Call(server.admin(), &v1::AdminService::Stub::ListAuditEvents,
                   v1::ListAuditEventsRequest(), &response)
                  .ok());
  std::vector<std::string> subjects;
  for (const auto& event : response.audit_events()) {
    subjects.push_back(event.subject());
  }
  return subjects;
}

TEST(AuditRetentionTest, AnEventIsThereForItsTime) {
  TestServer server;
  server.AddBucket("first", test::kHangzhou);
  server.clock().Advance(limits::kAuditAge);
  server.AddBucket("second", test::kHangzhou);
  EXPECT_THAT(Subjects(server), ElementsAre("buckets/second", "buckets/first"));
  server.clock().Advance(absl::Microseconds(1));
  server.AddBucket("third", test::kHangzhou);
  EXPECT_THAT(Subjects(server), ElementsAre("buckets/third", "buckets/second"));
}

TEST(AuditRetentionTest, SoManyEventsAreThere) {
  // The numbers are those of a full log; what lies between need not be there.
  TestServer server({.prepare = [](const std::string& path) {
    const auto database = Database::Open({.path = path});
    CRR_CHECK(database.ok());
    for (const int64_t number :
         {int64_t{1}, int64_t{2}, limits::kAuditEventsMax}) {
      CRR_CHECK((*database)
                    ->WriteAndWait<int>([&](Transaction& txn) {
                      txn.Execute(
                          "INSERT INTO audit_events VALUES ($1, "
                          "1799999999000000, '', '', 'old/' || $1, '', '', '')",
                          {sqlite::Int(number)});
                      return absl::StatusOr<int>(0);
                    })
                    .ok());
    }
  }});
  const std::string newest = absl::StrCat("old/", limits::kAuditEventsMax);
  EXPECT_THAT(Subjects(server), ElementsAre(newest, "old/2", "old/1"));
  server.AddBucket("one", test::kHangzhou);
  EXPECT_THAT(Subjects(server), ElementsAre("buckets/one", newest, "old/2"));
  server.AddBucket("two", test::kHangzhou);
  EXPECT_THAT(Subjects(server),
              ElementsAre("buckets/two", "buckets/one", newest));
}

}  // namespace
}  // namespace crr
