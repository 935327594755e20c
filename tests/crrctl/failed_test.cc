#include "client/crrctl/failed.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "tests/crrctl/fake_server.h"
#include "tests/support/status_matchers.h"

namespace crr {
namespace {

using test::HasCode;

constexpr char kRule[] = "buckets/photos/rules/dr";

// Lists two pages, and answers each bulk call with the next of `counts`.
class FailingRule final : public v1::ReplicationService::Service {
 public:
  grpc::Status ListFailedObjects(
      grpc::ServerContext*, const v1::ListFailedObjectsRequest* request,
      v1::ListFailedObjectsResponse* response) override {
    EXPECT_EQ(request->parent(), kRule);
    selection = request->selection();
    v1::FailedObject& object = *response->add_failed_objects();
    if (request->page_token().empty()) {
      object.set_key("a/\x1b[2J");
      object.set_state(v1::FailedObject::DEAD);
      object.set_reason("NO_ACCESS");
      object.set_message("the bucket says 403");
      object.set_attempts(8);
      object.set_changes(3);
      object.set_size_bytes(2048);
      object.mutable_last_failure_time()->set_seconds(1'800'000'000);
      response->set_next_page_token("next");
    } else {
      object.set_key("b");
      object.set_state(v1::FailedObject::RETRYING);
      object.set_reason("LARGE");
    }
    return grpc::Status::OK;
  }
  grpc::Status RetryFailedObjects(
      grpc::ServerContext*, const v1::RetryFailedObjectsRequest* request,
      v1::RetryFailedObjectsResponse* response) override {
    EXPECT_EQ(request->name(), kRule);
    selection = request->selection();
    return Answer(*response);
  }
  grpc::Status SkipFailedObjects(
      grpc::ServerContext*, const v1::SkipFailedObjectsRequest* request,
      v1::SkipFailedObjectsResponse* response) override {
    EXPECT_EQ(request->name(), kRule);
    selection = request->selection();
    return Answer(*response);
  }

  std::vector<int64_t> counts;  // -1: refused.
  size_t calls = 0;
  v1::FailedObjectSelection selection;

 private:
  template <typename Response>
  grpc::Status Answer(Response& response) {
    const int64_t objects = counts.at(calls++);
    if (objects < 0) return grpc::Status(grpc::UNAVAILABLE, "later");
    response.set_objects(objects);
    response.set_more(calls < counts.size());
    return grpc::Status::OK;
  }
};

class FailedTest : public test::FakeServerTest<FailingRule> {
 protected:
  FailedTest() { selection_.set_prefix("a/"); }
  v1::FailedObjectSelection selection_;
};

TEST_F(FailedTest, ListsAllPages) {
  EXPECT_OK(ListFailed(*control_, kRule, selection_, console_));
  EXPECT_EQ(
      said_,
      "STATE  REASON     ATTEMPTS  CHANGES  SIZE     LAST FAILURE              "
      "KEY        MESSAGE\n"
      "DEAD   NO_ACCESS  8         3        2.0 KiB  2027-01-15T08:00:00.000Z  "
      "a/\\x1b[2J  the bucket says 403\n"
      "STATE     REASON  ATTEMPTS  CHANGES  SIZE  LAST FAILURE              "
      "KEY  MESSAGE\n"
      "RETRYING  LARGE   0         0        0 B   1970-01-01T00:00:00.000Z  "
      "b    -\n");
  EXPECT_EQ(service_.selection.prefix(), "a/");
}

TEST_F(FailedTest, RetriesAsLongAsThereAreMore) {
  service_.counts = {1000, 1000, 7};
  EXPECT_OK(RetryFailed(*control_, kRule, selection_, console_));
  EXPECT_EQ(said_, "2007 objects are tried again\n");
  EXPECT_EQ(service_.calls, 3u);
  EXPECT_EQ(service_.selection.prefix(), "a/");
}

TEST_F(FailedTest, SkipsAsLongAsThereAreMore) {
  service_.counts = {1000, 1};
  EXPECT_OK(SkipFailed(*control_, kRule, selection_, console_));
  EXPECT_EQ(said_, "1001 objects were given up\n");
  EXPECT_EQ(service_.selection.prefix(), "a/");
}

TEST_F(FailedTest, DoesNotGoRoundWithNothingToDo) {
  service_.counts = {0, 1};
  EXPECT_OK(RetryFailed(*control_, kRule, selection_, console_));
  EXPECT_EQ(said_, "0 objects are tried again\n");
  EXPECT_EQ(service_.calls, 1u);
}

TEST_F(FailedTest, SaysWhatWasDoneBeforeARefusal) {
  service_.counts = {-1};
  EXPECT_THAT(SkipFailed(*control_, kRule, selection_, console_),
              HasCode(absl::StatusCode::kUnavailable));
  EXPECT_EQ(said_, "");
  service_.counts = {1000, -1};
  service_.calls = 0;
  EXPECT_THAT(SkipFailed(*control_, kRule, selection_, console_),
              HasCode(absl::StatusCode::kUnavailable));
  EXPECT_EQ(said_, "1000 objects were given up\n");
}

}  // namespace
}  // namespace crr
