#ifndef CRR_TESTS_SWEEP_STEPS_H_
#define CRR_TESTS_SWEEP_STEPS_H_

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "tests/sweep/callers.h"

namespace crr::test {

// One thing that somebody does, small enough to be done again after a server
// died under it.
struct Step {
  std::string name;
  // What was answered, as text without times; nullopt when the server died.
  // Empty when a repeat may be answered in another way than the first call.
  std::function<std::optional<std::string>(Callers&)> run;
};

// One that answers nothing.
Step Do(const std::string& name, const std::function<bool(Callers&)>& run);

// Registry and policy. `number` makes the request's id.
Step SetStore(const std::string& region);
Step AddBucket(const std::string& id, const std::string& region, int number);
Step SetVersioning(const std::string& bucket, const std::string& versioning);
Step SetPolicy(const std::string& profile);

// Rules. They all have one id; `source` is their source bucket, and `json` what
// a rule has beside its destination.
Step AddRule(const std::string& source, const std::string& destination,
             int number, const std::string& json);
Step GetRule(const std::string& source);
Step UpdateRule(const std::string& source, const std::string& json,
                const std::string& mask);
Step PauseRule(const std::string& source);
Step ResumeRule(const std::string& source);
Step DeleteRule(const std::string& source);

// Single objects of a rule; `selection` as JSON.
Step VerifyRule(const std::string& source);
Step GetVerification(const std::string& source);
Step ListFailedObjects(const std::string& source);
Step RetryFailedObjects(const std::string& source,
                        const std::string& selection);
Step SkipFailedObjects(const std::string& source, const std::string& selection);

// Publishes changes of these keys, in one batch.
Step Publish(const std::string& name, const std::string& bucket,
             const std::vector<std::string>& keys);

// What becomes of objects from now on; no matter for the server.
Step SetFate(const std::vector<std::string>& keys, WorkingCopier::Fate fate);

// These let the copier work until something is so.
Step UntilInStep(const std::string& source);
Step UntilHeld(const std::string& source);
Step UntilGivenBack(const std::string& source);
Step UntilGone(const std::string& source);
// So many verifications have begun, the last of them has ended, and the rule
// needs no resync.
Step UntilVerified(const std::string& source, int64_t number);
// The objects that left their lanes are so, of whom `wanted` tells.
Step UntilObjects(
    const std::string& name, const std::string& source,
    const std::function<bool(const Callers&,
                             const std::vector<v1::FailedObject>&)>& wanted);

}  // namespace crr::test

#endif  // CRR_TESTS_SWEEP_STEPS_H_
