#ifndef CRR_TESTS_SWEEP_WORKING_COPIER_H_
#define CRR_TESTS_SWEEP_WORKING_COPIER_H_

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>

#include <grpcpp/grpcpp.h>

#include "crr/v1/copier_service.grpc.pb.h"

namespace crr::test {

// A copier that does at once whatever it is granted, in a way that depends on
// nothing but the grant and the fates of objects, and that comes back to a
// restarted server as the same session, with what it held: reports and releases
// that were not answered are repeated word for word. Every probe is good; every
// inventory lists two ranges; every range holds two objects, one of them its
// last key.
//
// Adds a test failure when a unit is granted under a token that is not above
// all its tokens before (I5), or again after its end was acknowledged; and when
// an object that something was folded into under its lease does not come again.
// Thread-compatible.
class WorkingCopier {
 public:
  // What becomes of an object. Without one it is copied in its lane, and equal
  // when it is compared; all others leave their lane, and differ.
  enum class Fate {
    kApart,   // Copied by itself, in two steps.
    kHeld,    // Its lease is held, and nothing is done.
    kFailing  // Cannot be copied.
  };
  void SetFate(const std::string& key, Fate fate) { fates_[key] = fate; }
  // Whether segments are settled, or only taken.
  void SetSettles(bool settles) { settles_ = settles; }

  // Begins or resumes the session. False when the stream broke.
  bool Connect(v1::CopierService::Stub& service);
  // Does what has come by now. False when the stream broke.
  bool Work();
  // Whether it holds a lease of the rule.
  bool Holds(const std::string& rule) const;
  // Whether it holds the object's own lease.
  bool HoldsObject(const std::string& key) const;
  // Leases of the object that were given back because it failed.
  int64_t failures(const std::string& key) const;
  // Dies; who connects next is another process of the same name.
  void Forget();
  // Gives everything back and ends in order. False when the stream broke.
  bool Finish();

 private:
  // Whether a lane reported an object once more while its own lease was held.
  enum class Folded { kNo, kPerhaps, kYes };
  struct Held {
    v1::Lease lease;
    v1::Cursor reached;  // Of the last report.
    std::deque<v1::Checkpoint> unanswered;
    std::optional<v1::Release> release;  // Sent; nothing is reported after it.
    Folded folded = Folded::kNo;
  };
  using Leases = std::map<int64_t, Held>;  // By unit.

  bool Send(const v1::SessionRequest& request);
  bool Report(Held& held, const v1::Checkpoint& checkpoint);
  bool Release(Held& held, const std::string& reason);
  void Drop(const v1::HeldLease& lease);

  bool OnMessage(const v1::SessionResponse& response);
  bool OnGrant(const v1::Lease& lease);
  bool OnInventory(Held& held);
  bool OnBackfill(Held& held);
  bool OnVerify(Held& held);
  bool OnObject(Held& held);
  bool OnSegment(const v1::Segment& segment);
  bool OnAck(const v1::CheckpointAck& ack);
  std::optional<Fate> FateOf(const std::string& key) const;
  // The object as its lane reports it, if it is to leave it.
  std::optional<v1::ObjectFailure> FailureOf(const std::string& key) const;
  // The lease, if it is held under this very token.
  Leases::iterator Find(int64_t unit, int64_t token);

  std::unique_ptr<grpc::ClientContext> context_;
  std::unique_ptr<grpc::ClientReaderWriter<v1::SessionRequest,
                                           v1::SessionResponse>>
      stream_;
  int64_t session_ = 0;
  int64_t heartbeats_ = 0;
  Leases held_;
  std::map<std::string, Fate> fates_;  // By key.
  bool settles_ = true;
  std::map<int64_t, int64_t> highest_token_;  // By unit.
  // Units whose ends were acknowledged, and rules with the keys of objects that
  // must come again: by the same unit, or by another where the end came first.
  std::set<int64_t> finished_;
  std::set<std::pair<std::string, std::string>> folded_;
  std::map<std::string, int64_t> failures_;  // By key.
};

}  // namespace crr::test

#endif  // CRR_TESTS_SWEEP_WORKING_COPIER_H_
