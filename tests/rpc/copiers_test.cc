#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "tests/rpc/refusal.h"
#include "tests/rpc/rule_world.h"

// Copiers and leases as operators see them, and what they may ask of them.
namespace crr {
namespace {

using test::Call;
using test::ScriptedCopier;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using Stub = v1::AdminService::Stub;
using Response = v1::SessionResponse;

class CopiersTest : public test::RuleWorld {
 protected:
  v1::ListCopiersResponse ListCopiers(int page_size = 0,
                                      const std::string& token = "") {
    v1::ListCopiersRequest request;
    request.set_page_size(page_size);
    request.set_page_token(token);
    v1::ListCopiersResponse response;
    EXPECT_TRUE(
        Call(server_.admin(), &Stub::ListCopiers, request, &response).ok());
    return response;
  }
  v1::ListLeasesResponse ListLeases(const std::string& copier = "",
                                    const std::string& rule = "",
                                    int page_size = 0,
                                    const std::string& token = "") {
    v1::ListLeasesRequest request;
    request.set_copier(copier);
    request.set_rule(rule);
    request.set_page_size(page_size);
    request.set_page_token(token);
    v1::ListLeasesResponse response;
    EXPECT_TRUE(
        Call(server_.admin(), &Stub::ListLeases, request, &response).ok());
    return response;
  }
  grpc::Status Drain(const std::string& id, v1::Copier* copier = nullptr) {
    v1::DrainCopierRequest request;
    request.set_name("copiers/" + id);
    return Call(server_.admin(), &Stub::DrainCopier, request, copier);
  }
  grpc::Status Revoke(int64_t unit, v1::LeaseStatus* lease = nullptr) {
    v1::RevokeLeaseRequest request;
    request.set_name(absl::StrCat("leases/", unit));
    return Call(server_.admin(), &Stub::RevokeLease, request, lease);
  }
  std::vector<v1::AuditEvent> Events(const std::string& subject) {
    v1::ListAuditEventsRequest request;
    request.set_subject(subject);
    v1::ListAuditEventsResponse response;
    EXPECT_TRUE(
        Call(server_.admin(), &Stub::ListAuditEvents, request, &response)
            .ok());
    return {response.audit_events().begin(), response.audit_events().end()};
  }
  v1::Revoke AwaitRevoke(ScriptedCopier& copier) {
    const auto answer = copier.Await(Response::kRevoke);
    return answer ? answer->revoke() : v1::Revoke();
  }
};

// ----------------------------------------------------------------------- lists

TEST_F(CopiersTest, WhatIsKnownOfEachIsListed) {
  v1::Hello hello = ScriptedCopier::MakeHello("a");
  hello.set_region("regions/oss-cn-hangzhou");
  hello.set_lease_credit(7);
  auto near = std::make_unique<ScriptedCopier>(server_);
  const int64_t number = near->Hello(hello);
  server_.AddRule("hz-1", "sh-1");
  near->AwaitGrant(v1::Lease::PROBE);

  v1::ListCopiersResponse all = ListCopiers();
  ASSERT_EQ(all.copiers_size(), 2);
  const v1::Copier& a = all.copiers(0);
  EXPECT_EQ(a.name(), "copiers/a");
  EXPECT_EQ(a.region(), "regions/oss-cn-hangzhou");
  EXPECT_EQ(a.session_number(), number);
  EXPECT_TRUE(a.connected());
  EXPECT_EQ(a.lease_credit(), 7);
  EXPECT_EQ(a.leases(), 1);
  EXPECT_FALSE(a.draining());
  EXPECT_EQ(all.copiers(1).name(), "copiers/copier-1");
  EXPECT_EQ(all.copiers(1).region(), "");
  EXPECT_EQ(all.copiers(1).leases(), 0);
  EXPECT_TRUE(all.copiers(1).has_leases());

  near.reset();
  EXPECT_TRUE(
      test::Eventually([&] { return !ListCopiers().copiers(0).connected(); }));
  EXPECT_EQ(ListCopiers().copiers(0).leases(), 1);
}

TEST_F(CopiersTest, CopiersArePaged) {
  std::vector<std::unique_ptr<ScriptedCopier>> copiers;
  for (int i = 0; i < 6; ++i) {
    copiers.push_back(std::make_unique<ScriptedCopier>(server_));
    ASSERT_GT(copiers.back()->Hello(absl::StrCat("c", i)), 0);
  }
  std::vector<std::string> names;
  std::vector<int> sizes;
  std::string token;
  do {
    const auto page = ListCopiers(3, token);
    sizes.push_back(page.copiers_size());
    for (const auto& copier : page.copiers()) names.push_back(copier.name());
    token = page.next_page_token();
  } while (!token.empty());
  EXPECT_THAT(sizes, ElementsAre(3, 3, 1));
  EXPECT_THAT(names, ElementsAre("copiers/c0", "copiers/c1", "copiers/c2",
                                 "copiers/c3", "copiers/c4", "copiers/c5",
                                 "copiers/copier-1"));
}

TEST_F(CopiersTest, WhatIsKnownOfEachLeaseIsListed) {
  EXPECT_EQ(ListLeases().leases_size(), 0);
  StartRule("hz-1", "sh-1");
  server_.clock().Advance(absl::Seconds(1));
  Publish("hz-1", {"k"});
  const v1::Lease log = copier_->AwaitGrant(v1::Lease::CHANGES);
  server_.AddRule("hz-2", "sh-2");
  const v1::Lease probe = copier_->AwaitGrant(v1::Lease::PROBE);

  const auto all = ListLeases();
  ASSERT_EQ(all.leases_size(), 2);
  const v1::LeaseStatus& lease = all.leases(0);
  EXPECT_EQ(lease.name(), absl::StrCat("leases/", log.unit()));
  EXPECT_EQ(lease.copier(), "copiers/copier-1");
  EXPECT_EQ(lease.rule(), "buckets/hz-1/rules/dr");
  EXPECT_EQ(lease.kind(), v1::Lease::CHANGES);
  EXPECT_EQ(lease.token(), log.token());
  EXPECT_EQ(lease.grant_time().seconds(),
            absl::ToUnixSeconds(server_.clock().WallNow()));
  EXPECT_EQ(lease.attempts(), 1);
  EXPECT_EQ(lease.revoke_reason(), "");
  EXPECT_EQ(all.leases(1).kind(), v1::Lease::PROBE);

  EXPECT_EQ(ListLeases("copiers/copier-1").leases_size(), 2);
  EXPECT_EQ(ListLeases("copiers/other").leases_size(), 0);
  const auto of_rule = ListLeases("", "buckets/hz-2/rules/dr");
  ASSERT_EQ(of_rule.leases_size(), 1);
  EXPECT_EQ(of_rule.leases(0).token(), probe.token());
  EXPECT_EQ(ListLeases("", "buckets/hz-2/rules/other").leases_size(), 0);
  EXPECT_EQ(ListLeases("", "buckets/none/rules/dr").leases_size(), 0);

  const auto first = ListLeases("", "", 1);
  ASSERT_EQ(first.leases_size(), 1);
  EXPECT_EQ(first.leases(0).name(), lease.name());
  const auto second = ListLeases("", "", 1, first.next_page_token());
  ASSERT_EQ(second.leases_size(), 1);
  EXPECT_EQ(second.leases(0).token(), probe.token());
  EXPECT_EQ(second.next_page_token(), "");
  v1::ListLeasesRequest other;
  other.set_page_token(first.next_page_token());
  other.set_copier("copiers/copier-1");
  EXPECT_REFUSED(Call(server_.admin(), &Stub::ListLeases, other),
                 INVALID_ARGUMENT, "INVALID_PAGE_TOKEN");
}

// ----------------------------------------------------------------------- drain

TEST_F(CopiersTest, ADrainedCopierGivesItsWorkToAnother) {
  StartRule("hz-1", "sh-1");
  Publish("hz-1", {"k"});
  const v1::Lease log = copier_->AwaitGrant(v1::Lease::CHANGES);
  v1::Copier drained;
  ASSERT_TRUE(Drain("copier-1", &drained).ok());
  EXPECT_EQ(drained.name(), "copiers/copier-1");
  EXPECT_TRUE(drained.draining());
  EXPECT_EQ(drained.leases(), 1);
  const v1::Revoke revoke = AwaitRevoke(*copier_);
  EXPECT_EQ(revoke.unit(), log.unit());
  EXPECT_EQ(revoke.reason(), "DRAINING");
  EXPECT_TRUE(ListCopiers().copiers(0).draining());
  EXPECT_EQ(ListLeases().leases(0).revoke_reason(), "DRAINING");

  ScriptedCopier other(server_);
  ASSERT_GT(other.Hello("other"), 0);
  copier_->Release(log, "REVOKED");
  EXPECT_EQ(other.AwaitGrant(v1::Lease::CHANGES).unit(), log.unit());
  server_.AddRule("hz-2", "sh-2");
  other.AwaitGrant(v1::Lease::PROBE);

  // Its next process starts afresh.
  Connect();
  EXPECT_FALSE(ListCopiers().copiers(0).draining());
}

TEST_F(CopiersTest, ADrainOutlivesARestart) {
  StartRule("hz-1", "sh-1");
  Publish("hz-1", {"k"});
  const v1::Lease held = copier_->AwaitGrant(v1::Lease::CHANGES);
  ASSERT_TRUE(Drain("copier-1").ok());
  Restart();
  EXPECT_TRUE(ListCopiers().copiers(0).draining());
  // It would be served first, were both able.
  ScriptedCopier other(server_);
  ASSERT_GT(other.Hello("other"), 0);
  copier_ = std::make_unique<ScriptedCopier>(server_);
  v1::Hello hello = ScriptedCopier::MakeHello("copier-1");
  hello.set_session_number(session_);
  v1::HeldLease& lease = *hello.add_held();
  lease.set_unit(held.unit());
  lease.set_token(held.token());
  ASSERT_EQ(copier_->Hello(hello), session_);
  const auto revoke = copier_->Await(ScriptedCopier::Response::kRevoke);
  ASSERT_TRUE(revoke.has_value());
  EXPECT_EQ(revoke->revoke().unit(), held.unit());
  copier_->Release(held, "REVOKED");
  EXPECT_EQ(other.AwaitGrant(v1::Lease::CHANGES).unit(), held.unit());
}

TEST_F(CopiersTest, ADrainIsAuditedOnce) {
  ASSERT_TRUE(Drain("copier-1").ok());
  v1::Copier again;
  ASSERT_TRUE(Drain("copier-1", &again).ok());
  EXPECT_TRUE(again.draining());
  const auto events = Events("copiers/copier-1");
  ASSERT_EQ(events.size(), 1u);
  EXPECT_EQ(events[0].method(), "crr.v1.AdminService/DrainCopier");
  EXPECT_THAT(events[0].before(),
              ::testing::HasSubstr(R"("draining":false)"));
  EXPECT_THAT(events[0].after(), ::testing::HasSubstr(R"("draining":true)"));
  EXPECT_REFUSED(Drain("none"), NOT_FOUND, "COPIER_NOT_FOUND");
  EXPECT_THAT(Events("copiers/none"), IsEmpty());
}

// ---------------------------------------------------------------------- revoke

TEST_F(CopiersTest, ARevokedLeaseIsAskedForAndAuditedOnce) {
  StartRule("hz-1", "sh-1");
  Publish("hz-1", {"k"});
  const v1::Lease log = copier_->AwaitGrant(v1::Lease::CHANGES);
  v1::LeaseStatus revoked;
  ASSERT_TRUE(Revoke(log.unit(), &revoked).ok());
  EXPECT_EQ(revoked.token(), log.token());
  EXPECT_EQ(revoked.revoke_reason(), "REVOKED");
  EXPECT_EQ(AwaitRevoke(*copier_).reason(), "REVOKED");
  EXPECT_EQ(ListLeases().leases(0).revoke_reason(), "REVOKED");
  ASSERT_TRUE(Revoke(log.unit(), &revoked).ok());
  EXPECT_EQ(revoked.revoke_reason(), "REVOKED");
  EXPECT_EQ(Events(absl::StrCat("leases/", log.unit())).size(), 1u);

  copier_->Release(log, "REVOKED");
  const v1::Lease next = copier_->AwaitGrant(v1::Lease::CHANGES);
  EXPECT_EQ(next.unit(), log.unit());
  EXPECT_GT(next.token(), log.token());
  EXPECT_EQ(ListLeases().leases(0).revoke_reason(), "");
  Apply(next, 1);
  EXPECT_REFUSED(Revoke(4711), NOT_FOUND, "LEASE_NOT_FOUND");
  EXPECT_THAT(Events("leases/4711"), IsEmpty());
}

}  // namespace
}  // namespace crr
