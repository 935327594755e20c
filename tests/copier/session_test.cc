#include "client/copier/session.h"

#include <gtest/gtest.h>

#include <atomic>
#include <future>
#include <latch>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "tests/copier/fake_transport.h"
#include "tests/support/status_matchers.h"

namespace crr {
namespace {

using ::crr::test::HasCode;
using ::crr::test::IsOk;
using test::FakeStream;

// What a runner of these tests does: sends the checkpoints that the test asks
// for, and ends when the lease does; every object fails.
class ScriptedRunner {
 public:
  RunEnd Run(LeaseLink& link) {
    {
      MutexLock lock(mu_);
      running_.insert(link.lease().token());
      changed_.NotifyAll();
    }
    const RunEnd end = Work(link);
    MutexLock lock(mu_);
    running_.erase(link.lease().token());
    changed_.NotifyAll();
    return end;
  }
  bool WaitUntil(int64_t token, bool running) {
    MutexLock lock(mu_);
    const Ticks end = Clock::Real().Now() + absl::Seconds(30);
    while (running_.contains(token) != running) {
      if (Clock::Real().Now() >= end) return false;
      changed_.WaitFor(mu_, absl::Seconds(1));
    }
    return true;
  }

 private:
  static RunEnd Work(LeaseLink& link) {
    if (link.lease().kind() == v1::Lease::OBJECT) {
      RunEnd end = RunEnd::Failed(absl::DataLossError("a bad block"));
      end.object_failed = true;
      return end;
    }
    int64_t cursor = link.lease().cursor().sequence();
    for (;;) {
      const LeaseLink::News news = link.Wait(absl::Hours(1));
      if (link.lost()) return RunEnd::Over();
      for (const v1::Segment& segment : news.segments) {
        v1::Checkpoint checkpoint;
        checkpoint.mutable_from()->set_sequence(cursor);
        cursor = segment.last_sequence();
        checkpoint.mutable_to()->set_sequence(cursor);
        link.Send(std::move(checkpoint));
      }
      if (news.ack.has_value() && news.ack->complete()) return RunEnd::Over();
      if (const auto reason = link.draining()) {
        return RunEnd::Release(*reason);
      }
    }
  }

  Mutex mu_;
  CondVar changed_;
  std::set<int64_t> running_ ABSL_GUARDED_BY(mu_);
};

class SessionTest : public ::testing::Test {
 protected:
  SessionTest() {
    options_.copier_id = "c1";
    options_.region = "regions/x";
    options_.reconnect_base = absl::Milliseconds(1);
    options_.reconnect_cap = absl::Milliseconds(5);
    options_.on_ready = [this] {
      ++ready_calls_;
      ready_.count_down();
    };
  }
  // Members end in the reverse of their order: first the result, which waits
  // for the session.
  ~SessionTest() override { transport_.SupersedeAll(); }

  void Start() {
    session_ = std::make_unique<Session>(
        options_, transport_,
        [this](LeaseLink& link) { return runner_.Run(link); }, Clock::Real());
    result_ =
        std::async(std::launch::async, [this] { return session_->Run(); });
  }
  absl::Status Result() { return result_.get(); }

  v1::SessionResponse Welcome(int64_t session) {
    v1::SessionResponse response;
    v1::Welcome& welcome = *response.mutable_welcome();
    welcome.set_session_number(session);
    SetDuration(ttl_, *welcome.mutable_ttl());
    SetDuration(ttl_ / 3, *welcome.mutable_heartbeat_interval());
    SetDuration(ttl_ / 5, *welcome.mutable_margin());
    SetDuration(ttl_ / 4, *welcome.mutable_commit_bound());
    return response;
  }
  static void SetDuration(absl::Duration from, google::protobuf::Duration& to) {
    to.set_seconds(absl::ToInt64Seconds(from));
    to.set_nanos(static_cast<int32_t>(
        absl::ToInt64Nanoseconds(from % absl::Seconds(1))));
  }
  static v1::SessionResponse Grant(int64_t unit, int64_t token) {
    v1::SessionResponse response;
    response.mutable_grant()->set_unit(unit);
    response.mutable_grant()->set_token(token);
    response.mutable_grant()->set_kind(v1::Lease::CHANGES);
    response.mutable_grant()->mutable_cursor()->set_sequence(10);
    return response;
  }
  static v1::SessionResponse Segment(int64_t unit, int64_t token,
                                     int64_t last) {
    v1::SessionResponse response;
    response.mutable_segment()->set_unit(unit);
    response.mutable_segment()->set_token(token);
    response.mutable_segment()->set_last_sequence(last);
    return response;
  }
  static v1::SessionResponse Recorded(const v1::Checkpoint& checkpoint) {
    v1::SessionResponse response;
    v1::CheckpointAck& ack = *response.mutable_checkpoint_ack();
    ack.set_unit(checkpoint.unit());
    ack.set_token(checkpoint.token());
    ack.set_result(v1::CheckpointAck::RECORDED);
    *ack.mutable_cursor() = checkpoint.to();
    return response;
  }
  static v1::SessionResponse Released(const v1::Release& release) {
    v1::SessionResponse response;
    response.mutable_release_ack()->set_unit(release.unit());
    response.mutable_release_ack()->set_token(release.token());
    return response;
  }
  static v1::HeldLease HeldLease(int64_t unit, int64_t token) {
    v1::HeldLease held;
    held.set_unit(unit);
    held.set_token(token);
    return held;
  }

  // A stream that was welcomed, with a lease on unit 1 that runs.
  std::shared_ptr<FakeStream> OpenWithLease() {
    Start();
    auto stream = transport_.Accept();
    EXPECT_TRUE(stream->NextButHeartbeats().has_hello());
    stream->Send(Welcome(7));
    stream->Send(Grant(1, 101));
    EXPECT_TRUE(runner_.WaitUntil(101, /*running=*/true));
    return stream;
  }

  absl::Duration ttl_ = absl::Minutes(10);
  Session::Options options_;
  std::latch ready_{1};
  std::atomic<int> ready_calls_ = 0;
  test::FakeTransport transport_;
  ScriptedRunner runner_;
  std::unique_ptr<Session> session_;
  std::future<absl::Status> result_;
};

TEST_F(SessionTest, SaysHelloAndIsReadyOnceWelcomed) {
  Start();
  const auto stream = transport_.Accept();
  const v1::Hello hello = stream->Next().hello();
  EXPECT_EQ(hello.copier_id(), "c1");
  EXPECT_EQ(hello.region(), "regions/x");
  EXPECT_EQ(hello.slots(), options_.slots);
  EXPECT_GE(hello.lease_credit(), 1);
  EXPECT_GE(hello.segment_credit_bytes(), 1 << 20);
  EXPECT_FALSE(hello.has_session_number());
  EXPECT_EQ(ready_calls_, 0);
  stream->Send(Welcome(7));
  ready_.wait();
  session_->Stop();
  EXPECT_TRUE(stream->NextButHeartbeats().has_finish());
  stream->End({});
  EXPECT_OK(Result());
}

TEST_F(SessionTest, GoesOnWithItsLeasesAndRepeatsWhatWasNotAcknowledged) {
  auto stream = OpenWithLease();
  stream->Send(Segment(1, 101, 12));
  const v1::Checkpoint checkpoint = stream->NextButHeartbeats().checkpoint();
  ASSERT_EQ(checkpoint.to().sequence(), 12);
  stream->Break();

  stream = transport_.Accept();
  ASSERT_NE(stream, nullptr);
  const v1::Hello hello = stream->Next().hello();
  EXPECT_EQ(hello.session_number(), 7);
  ASSERT_EQ(hello.held_size(), 1);
  EXPECT_EQ(hello.held(0).unit(), 1);
  EXPECT_EQ(hello.held(0).token(), 101);
  EXPECT_EQ(hello.held(0).received_sequence(), 12);
  stream->Send(Welcome(7));
  EXPECT_EQ(stream->NextButHeartbeats().checkpoint().SerializeAsString(),
            checkpoint.SerializeAsString());
  // Once acknowledged it is not repeated.
  stream->Send(Recorded(checkpoint));
  stream->Send(Segment(1, 101, 15));
  const v1::Checkpoint next = stream->NextButHeartbeats().checkpoint();
  EXPECT_EQ(next.to().sequence(), 15);
  stream->Send(Recorded(next));
  stream->Send(Segment(1, 101, 16));
  const v1::Checkpoint last = stream->NextButHeartbeats().checkpoint();
  stream->Break();
  stream = transport_.Accept();
  EXPECT_EQ(stream->Next().hello().held(0).received_sequence(), 16);
  stream->Send(Welcome(7));
  EXPECT_EQ(stream->NextButHeartbeats().checkpoint().SerializeAsString(),
            last.SerializeAsString());
  EXPECT_EQ(ready_calls_, 1);
}

TEST_F(SessionTest, AnAnswerThatComesTwiceAnswersNothingElse) {
  auto stream = OpenWithLease();
  stream->Send(Segment(1, 101, 12));
  const v1::Checkpoint first = stream->NextButHeartbeats().checkpoint();
  stream->Send(Recorded(first));
  stream->Send(Segment(1, 101, 13));
  const v1::Checkpoint second = stream->NextButHeartbeats().checkpoint();
  stream->Send(Recorded(first));
  stream->Break();
  stream = transport_.Accept();
  stream->Next();
  stream->Send(Welcome(7));
  EXPECT_EQ(stream->NextButHeartbeats().checkpoint().SerializeAsString(),
            second.SerializeAsString());
}

TEST_F(SessionTest, ARepeatedReleaseIsNamedAsHeldUntilItIsAcknowledged) {
  auto stream = OpenWithLease();
  v1::SessionResponse revoke;
  revoke.mutable_revoke()->set_unit(1);
  revoke.mutable_revoke()->set_token(101);
  revoke.mutable_revoke()->mutable_deadline()->set_seconds(10);
  stream->Send(revoke);
  const v1::Release release = stream->NextButHeartbeats().release();
  EXPECT_EQ(release.unit(), 1);
  EXPECT_EQ(release.reason(), "REVOKED");
  stream->Break();

  stream = transport_.Accept();
  EXPECT_EQ(stream->Next().hello().held_size(), 1);
  stream->Send(Welcome(7));
  EXPECT_EQ(stream->NextButHeartbeats().release().token(), 101);
  stream->Send(Released(release));
  stream->Break();
  stream = transport_.Accept();
  // The acknowledgement was read before the end of its stream.
  EXPECT_EQ(stream->Next().hello().held_size(), 0);
}

TEST_F(SessionTest, LeasesThatTheServerDoesNotKnowEndAtOnce) {
  auto stream = OpenWithLease();
  stream->Break();
  stream = transport_.Accept();
  stream->Next();
  v1::SessionResponse welcome = Welcome(8);
  *welcome.mutable_welcome()->add_not_held() = HeldLease(1, 101);
  stream->Send(welcome);
  EXPECT_TRUE(runner_.WaitUntil(101, /*running=*/false));
  stream->Break();
  stream = transport_.Accept();
  const v1::Hello hello = stream->Next().hello();
  EXPECT_EQ(hello.session_number(), 8);
  EXPECT_EQ(hello.held_size(), 0);
}

TEST_F(SessionTest, HeartbeatsRenewAllLeasesButThoseThatAreNamed) {
  ttl_ = absl::Seconds(1);
  auto stream = OpenWithLease();
  stream->Send(Grant(2, 202));
  ASSERT_TRUE(runner_.WaitUntil(202, /*running=*/true));
  const Ticks begin = Clock::Real().Now();
  int64_t number = 0;
  // Well beyond the time to live both leases are renewed.
  while (Clock::Real().Now() - begin < 1.5 * ttl_) {
    const v1::SessionRequest next = stream->Next();
    ASSERT_TRUE(next.has_heartbeat());
    EXPECT_EQ(next.heartbeat().number(), ++number);
    stream->AnswerHeartbeat(next.heartbeat());
  }
  EXPECT_GE(number, 3);
  v1::SessionResponse ack;
  ack.mutable_heartbeat_ack()->set_number(stream->Next().heartbeat().number());
  *ack.mutable_heartbeat_ack()->add_not_renewed() = HeldLease(1, 101);
  stream->Send(ack);
  EXPECT_TRUE(runner_.WaitUntil(101, /*running=*/false));
  EXPECT_TRUE(runner_.WaitUntil(202, /*running=*/true));
}

TEST_F(SessionTest, UnansweredForAWholeTimeToLiveItBeginsWithoutLeases) {
  ttl_ = absl::Milliseconds(200);
  auto stream = OpenWithLease();
  EXPECT_TRUE(stream->WaitCancelled());
  EXPECT_TRUE(runner_.WaitUntil(101, /*running=*/false));
  stream = transport_.Accept();
  ASSERT_NE(stream, nullptr);
  const v1::Hello hello = stream->Next().hello();
  EXPECT_EQ(hello.session_number(), 7);
  EXPECT_EQ(hello.held_size(), 0);
}

TEST_F(SessionTest, AStreamThatIsNotWelcomedIsGivenUp) {
  options_.welcome_timeout = absl::Milliseconds(20);
  Start();
  const auto first = transport_.Accept();
  EXPECT_TRUE(first->WaitCancelled());
  EXPECT_NE(transport_.Accept(), nullptr);
}

TEST_F(SessionTest, AFencedLeaseEndsAtOnce) {
  auto stream = OpenWithLease();
  stream->Send(Segment(1, 101, 12));
  const v1::Checkpoint checkpoint = stream->NextButHeartbeats().checkpoint();
  v1::SessionResponse fenced = Recorded(checkpoint);
  fenced.mutable_checkpoint_ack()->set_result(v1::CheckpointAck::FENCED);
  stream->Send(fenced);
  EXPECT_TRUE(runner_.WaitUntil(101, /*running=*/false));
}

TEST_F(SessionTest, ANewerGrantOfAUnitEndsTheOlder) {
  auto stream = OpenWithLease();
  stream->Send(Grant(1, 102));
  EXPECT_TRUE(runner_.WaitUntil(101, /*running=*/false));
  EXPECT_TRUE(runner_.WaitUntil(102, /*running=*/true));
}

TEST_F(SessionTest, SupersededEndsForGood) {
  auto stream = OpenWithLease();
  stream->End({.status = absl::AbortedError("a newer session"),
               .reason = "SESSION_SUPERSEDED",
               .retry_delay = {}});
  EXPECT_THAT(Result(), HasCode(absl::StatusCode::kAborted));
  EXPECT_TRUE(runner_.WaitUntil(101, /*running=*/false));
}

TEST_F(SessionTest, ARefusedHelloEndsForGood) {
  Start();
  transport_.Accept()->End(
      {.status = absl::InvalidArgumentError("a bad name"),
       .reason = "INVALID_NAME",
       .retry_delay = {}});
  EXPECT_THAT(Result(), HasCode(absl::StatusCode::kInvalidArgument));
}

TEST_F(SessionTest, AMessageThatMakesNoSenseIsNotSentAgain) {
  auto stream = OpenWithLease();
  stream->Send(Segment(1, 101, 12));
  ASSERT_TRUE(stream->NextButHeartbeats().has_checkpoint());
  stream->End({.status = absl::InvalidArgumentError("makes no sense"),
               .reason = "MALFORMED_MESSAGE",
               .retry_delay = {}});
  stream = transport_.Accept();
  EXPECT_EQ(stream->Next().hello().held_size(), 0);
  EXPECT_TRUE(runner_.WaitUntil(101, /*running=*/false));
}

TEST_F(SessionTest, ComesBackAfterTheDelayThatTheServerAsksFor) {
  options_.reconnect_base = absl::Hours(1);
  options_.reconnect_cap = absl::Hours(1);
  Start();
  transport_.Accept()->End({.status = absl::UnavailableError("draining"),
                            .reason = "DRAINING",
                            .retry_delay = absl::Milliseconds(1)});
  EXPECT_NE(transport_.Accept(), nullptr);
  session_->Stop();
  EXPECT_OK(Result());
}

TEST_F(SessionTest, StopGivesBackAllLeasesAndFinishes) {
  auto stream = OpenWithLease();
  stream->Send(Grant(2, 202));
  ASSERT_TRUE(runner_.WaitUntil(202, /*running=*/true));
  session_->Stop();
  std::set<int64_t> released;
  for (int i = 0; i < 2; ++i) {
    const v1::Release release = stream->NextButHeartbeats().release();
    EXPECT_EQ(release.reason(), "STOPPING");
    released.insert(release.token());
    stream->Send(Released(release));
  }
  EXPECT_EQ(released, (std::set<int64_t>{101, 202}));
  EXPECT_TRUE(stream->NextButHeartbeats().has_finish());
  stream->End({});
  EXPECT_OK(Result());
}

TEST_F(SessionTest, AnObjectThatFailedIsReleasedAsSuch) {
  auto stream = OpenWithLease();
  v1::SessionResponse grant = Grant(2, 202);
  grant.mutable_grant()->set_kind(v1::Lease::OBJECT);
  stream->Send(grant);
  const v1::Release release = stream->NextButHeartbeats().release();
  EXPECT_EQ(release.token(), 202);
  EXPECT_EQ(release.reason(), "CONTENT_DAMAGED");
  EXPECT_THAT(release.message(), testing::HasSubstr("a bad block"));
  EXPECT_TRUE(release.object_failed());
}

TEST_F(SessionTest, AGrantThatCrossesTheStopIsGivenBack) {
  auto stream = OpenWithLease();
  session_->Stop();
  const v1::Release first = stream->NextButHeartbeats().release();
  stream->Send(Grant(2, 202));
  const v1::Release second = stream->NextButHeartbeats().release();
  EXPECT_EQ(second.token(), 202);
  EXPECT_EQ(second.reason(), "STOPPING");
  stream->Send(Released(first));
  stream->Send(Released(second));
  EXPECT_TRUE(stream->NextButHeartbeats().has_finish());
  stream->End({});
  EXPECT_OK(Result());
}

TEST_F(SessionTest, StopWaitsNoLongerThanATimeToLive) {
  ttl_ = absl::Milliseconds(200);
  auto stream = OpenWithLease();
  session_->Stop();
  ASSERT_TRUE(stream->NextButHeartbeats().has_release());
  // Never acknowledged; the leases run out alone.
  EXPECT_OK(Result());
}

TEST_F(SessionTest, StopWithoutAServerEndsAtOnce) {
  Start();
  const auto stream = transport_.Accept();
  session_->Stop();
  EXPECT_OK(Result());
}

}  // namespace
}  // namespace crr
