#include "client/crrctl/operate.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "tests/crrctl/fake_server.h"
#include "tests/support/status_matchers.h"

namespace crr {
namespace {

using test::HasCode;

// Two pages of each list; it knows copiers/one and leases/17.
class Operated final : public v1::AdminService::Service {
 public:
  grpc::Status ListCopiers(grpc::ServerContext*,
                           const v1::ListCopiersRequest* request,
                           v1::ListCopiersResponse* response) override {
    v1::Copier& copier = *response->add_copiers();
    if (request->page_token().empty()) {
      copier.set_name("copiers/one");
      copier.set_region("regions/hz");
      copier.set_session_number(7);
      copier.set_connected(true);
      copier.set_leases(2);
      copier.set_lease_credit(32);
      response->set_next_page_token("next");
    } else {
      copier.set_name("copiers/two");
      copier.set_draining(true);
    }
    return grpc::Status::OK;
  }
  grpc::Status DrainCopier(grpc::ServerContext*,
                           const v1::DrainCopierRequest* request,
                           v1::Copier* response) override {
    if (request->name() != "copiers/one") return Unknown();
    response->set_name(request->name());
    response->set_leases(2);
    return grpc::Status::OK;
  }
  grpc::Status ListLeases(grpc::ServerContext*,
                          const v1::ListLeasesRequest* request,
                          v1::ListLeasesResponse* response) override {
    v1::LeaseStatus& lease = *response->add_leases();
    lease.set_copier("copiers/one");
    lease.set_rule("buckets/photos/rules/dr");
    lease.mutable_grant_time()->set_seconds(1'800'000'000);
    if (request->page_token().empty()) {
      lease.set_name("leases/17");
      lease.set_kind(v1::Lease::CHANGES);
      lease.set_token(5);
      lease.set_attempts(1);
      response->set_next_page_token("next");
    } else {
      lease.set_name("leases/18");
      lease.set_kind(v1::Lease::OBJECT);
      lease.set_revoke_reason("DRAINING");
    }
    return grpc::Status::OK;
  }
  grpc::Status RevokeLease(grpc::ServerContext*,
                           const v1::RevokeLeaseRequest* request,
                           v1::LeaseStatus* response) override {
    if (request->name() != "leases/17") return Unknown();
    response->set_name(request->name());
    response->set_copier("copiers/one");
    return grpc::Status::OK;
  }

 private:
  static grpc::Status Unknown() {
    return grpc::Status(grpc::NOT_FOUND, "no such thing");
  }
};

using OperateTest = test::FakeServerTest<Operated>;

TEST_F(OperateTest, ListsCopiers) {
  EXPECT_OK(ListCopiers(*control_, console_));
  EXPECT_EQ(
      said_,
      "NAME         REGION      SESSION  LEASES  CREDIT  STATE\n"
      "copiers/one  regions/hz  7        2       32      connected\n"
      "copiers/two  -           0        0       0       gone,draining\n");
}

TEST_F(OperateTest, ListsLeases) {
  EXPECT_OK(ListLeases(*control_, console_));
  EXPECT_EQ(said_,
            "NAME       KIND     COPIER       RULE                     TOKEN  "
            "ATTEMPTS  GRANTED                   ASKED BACK\n"
            "leases/17  CHANGES  copiers/one  buckets/photos/rules/dr  5      "
            "1         2027-01-15T08:00:00.000Z  -\n"
            "leases/18  OBJECT   copiers/one  buckets/photos/rules/dr  0      "
            "0         2027-01-15T08:00:00.000Z  DRAINING\n");
}

TEST_F(OperateTest, DrainsByNameOrId) {
  for (const char* name : {"one", "copiers/one"}) {
    said_.clear();
    EXPECT_OK(DrainCopier(*control_, name, console_));
    EXPECT_EQ(said_, "copiers/one gets no leases any more; 2 are asked back\n");
  }
  EXPECT_THAT(DrainCopier(*control_, "two", console_),
              HasCode(absl::StatusCode::kNotFound));
}

TEST_F(OperateTest, RevokesByNameOrId) {
  for (const char* name : {"17", "leases/17"}) {
    said_.clear();
    EXPECT_OK(RevokeLease(*control_, name, console_));
    EXPECT_EQ(said_, "leases/17 is asked back from copiers/one\n");
  }
  EXPECT_THAT(RevokeLease(*control_, "18", console_),
              HasCode(absl::StatusCode::kNotFound));
}

}  // namespace
}  // namespace crr
