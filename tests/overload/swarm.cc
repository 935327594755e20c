#include "tests/overload/swarm.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"

namespace crr::test {
namespace {

using SteadyClock = std::chrono::steady_clock;

// A copier comes back after this, as RetryInfo asks for.
constexpr std::chrono::seconds kComeBack{1};
// How finely heartbeats are spread.
constexpr std::chrono::milliseconds kStep{10};

}  // namespace

class Swarm::Stream final
    : public grpc::ClientBidiReactor<v1::SessionRequest, v1::SessionResponse> {
 public:
  Stream(Swarm& swarm, size_t index) : swarm_(swarm), index_(index) {}

  void Begin(v1::CopierService::Stub& stub, int64_t session) {
    context_.set_wait_for_ready(true);
    stub.async()->Session(&context_, this);
    v1::Hello& hello = *request_.mutable_hello();
    hello.set_copier_id(absl::StrCat("copier-", index_));
    hello.set_slots(1);
    hello.set_lease_credit(1);
    hello.set_segment_credit_bytes(8 << 20);
    if (session != 0) hello.set_session_number(session);
    AddHold();  // For heartbeats.
    StartWrite(&request_);
    StartRead(&response_);
    StartCall();
  }

  void Beat() {
    MutexLock lock(mu_);
    if (over_ || writing_ || waiting_) return;  // Late: reported as it is.
    request_.mutable_heartbeat()->set_number(++number_);
    writing_ = waiting_ = true;
    sent_ = SteadyClock::now();
    StartWrite(&request_);
  }

  void Cancel() { context_.TryCancel(); }

  void OnWriteDone(bool) override {
    MutexLock lock(mu_);
    writing_ = false;
  }

  void OnReadDone(bool ok) override {
    if (!ok) {
      {
        MutexLock lock(mu_);
        over_ = true;
      }
      RemoveHold();
      return;
    }
    if (response_.has_welcome()) {
      swarm_.Welcomed(index_, response_.welcome().session_number());
    } else if (response_.has_heartbeat_ack()) {
      SteadyClock::time_point sent;
      {
        MutexLock lock(mu_);
        waiting_ = false;
        sent = sent_;
      }
      swarm_.Answered(SteadyClock::now() - sent);
    }
    StartRead(&response_);
  }

  void OnDone(const grpc::Status& status) override {
    swarm_.Ended(index_, status);
  }

 private:
  Swarm& swarm_;
  const size_t index_;
  grpc::ClientContext context_;
  v1::SessionRequest request_;
  v1::SessionResponse response_;
  Mutex mu_;
  bool writing_ ABSL_GUARDED_BY(mu_) = true;  // The hello.
  bool waiting_ ABSL_GUARDED_BY(mu_) = false;
  bool over_ ABSL_GUARDED_BY(mu_) = false;
  int64_t number_ ABSL_GUARDED_BY(mu_) = 0;
  SteadyClock::time_point sent_ ABSL_GUARDED_BY(mu_);
};

Swarm::Swarm(const RealServer& server, Options options) : options_(options) {
  for (size_t i = 0; i < options_.sessions; i += options_.per_connection) {
    stubs_.push_back(v1::CopierService::NewStub(server.Connect()));
  }
  MutexLock lock(mu_);
  copiers_.resize(options_.sessions);
  for (size_t i = 0; i < copiers_.size(); ++i) {
    copiers_[i].stub = stubs_[i / options_.per_connection].get();
    Open(i);
  }
  thread_ = std::thread([this] { Run(); });
}

Swarm::~Swarm() {
  std::vector<std::shared_ptr<Stream>> streams;
  {
    MutexLock lock(mu_);
    stopping_ = true;
    stopped_.NotifyAll();
    for (const Copier& copier : copiers_) {
      if (copier.stream != nullptr) streams.push_back(copier.stream);
    }
  }
  thread_.join();
  for (const auto& stream : streams) stream->Cancel();
  MutexLock lock(mu_);
  while (open_ > 0) changed_.Wait(mu_);
}

void Swarm::Open(size_t index) {
  Copier& copier = copiers_[index];
  copier.stream = std::make_shared<Stream>(*this, index);
  copier.due = SteadyClock::now() + options_.interval *
                                        static_cast<int64_t>(index) /
                                        static_cast<int64_t>(copiers_.size());
  ++open_;
  copier.stream->Begin(*copier.stub, copier.session);
}

void Swarm::Run() {
  while (true) {
    std::vector<std::shared_ptr<Stream>> due;
    std::vector<std::shared_ptr<Stream>> gone;  // Goes outside of the lock.
    {
      MutexLock lock(mu_);
      if (stopping_) return;
      stopped_.WaitFor(mu_, absl::FromChrono(kStep));
      if (stopping_) return;
      gone.swap(gone_);
      const auto now = SteadyClock::now();
      for (size_t i = 0; i < copiers_.size(); ++i) {
        Copier& copier = copiers_[i];
        if (copier.due > now) continue;
        if (copier.stream == nullptr) {
          Open(i);
        } else if (copier.welcomed) {
          copier.due = now + options_.interval;
          due.push_back(copier.stream);
        }
      }
    }
    for (const auto& stream : due) stream->Beat();
  }
}

void Swarm::Welcomed(size_t index, int64_t session) {
  MutexLock lock(mu_);
  Copier& copier = copiers_[index];
  if (copier.session != 0 && copier.session != session) ++report_.renumbered;
  copier.session = session;
  copier.welcomed = true;
  ++report_.welcomed;
  ++report_.welcomes;
  changed_.NotifyAll();
}

void Swarm::Answered(std::chrono::duration<double> took) {
  MutexLock lock(mu_);
  ++report_.answered;
  report_.slowest = std::max(report_.slowest, took);
  changed_.NotifyAll();
}

void Swarm::Ended(size_t index, const grpc::Status& status) {
  MutexLock lock(mu_);
  Copier& copier = copiers_[index];
  gone_.push_back(std::move(copier.stream));
  if (std::exchange(copier.welcomed, false)) --report_.welcomed;
  ++report_.ended;
  report_.last_end = status;
  copier.due = SteadyClock::now() + kComeBack;
  --open_;
  changed_.NotifyAll();
}

Swarm::Report Swarm::TakeReport() {
  MutexLock lock(mu_);
  Report report = report_;
  report_ = {.welcomed = report.welcomed, .welcomes = report.welcomes};
  return report;
}

void Swarm::AwaitAnswered(int64_t count) {
  MutexLock lock(mu_);
  int64_t seen = -1;
  while (report_.answered < count && report_.answered != seen) {
    seen = report_.answered;
    const auto end = SteadyClock::now() + std::chrono::seconds(1);
    while (report_.answered == seen && SteadyClock::now() < end) {
      changed_.WaitFor(mu_, absl::FromChrono(end - SteadyClock::now()));
    }
  }
}

bool Swarm::AwaitWelcomed(std::chrono::seconds patience) {
  const auto end = SteadyClock::now() + patience;
  MutexLock lock(mu_);
  while (report_.welcomed < copiers_.size()) {
    const auto left = end - SteadyClock::now();
    if (left <= left.zero()) return false;
    changed_.WaitFor(mu_, absl::FromChrono(left));
  }
  return true;
}

}  // namespace crr::test
