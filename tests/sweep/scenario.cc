#include "tests/sweep/scenario.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>

#include "server/core/limits.h"

namespace crr::test {
namespace {

using Fate = WorkingCopier::Fate;
using Objects = std::vector<v1::FailedObject>;

// Two of them are more than half of a log.
std::string LargeKey() { return "a/" + std::string(kRuleLogBytesMax / 3, 'x'); }

// All that left their lanes, and is not done, are `dead` dead letters.
Step UntilDead(const std::string& source, size_t dead) {
  return UntilObjects("has dead letters only", source,
                      [dead](const Callers&, const Objects& objects) {
                        return objects.size() == dead &&
                               std::all_of(objects.begin(), objects.end(),
                                           [](const v1::FailedObject& object) {
                                             return object.state() ==
                                                    v1::FailedObject::DEAD;
                                           });
                      });
}

// Neither a kill nor what was not answered is an attempt, or hides one.
Step HadTheirAttempts(const std::vector<std::string>& keys) {
  return Do("had their attempts", [keys](Callers& callers) {
    for (const std::string& key : keys) {
      EXPECT_EQ(callers.copier().failures(key), limits::kObjectAttemptsMax);
    }
    return true;
  });
}

Step UntilObjectHeld(const std::string& source, const std::string& key) {
  return UntilObjects("holds an object", source,
                      [key](const Callers& callers, const Objects&) {
                        return callers.copier().HoldsObject(key);
                      });
}

// The rule of photos alone, about to be created, with who works for it.
std::vector<Step> OnePair() {
  return {
      SetStore(kHangzhou),
      SetStore(kShanghai),
      AddBucket("photos", kHangzhou, 11),
      AddBucket("photos-dr", kShanghai, 12),
      Do("start publisher", &Callers::StartPublisher),
      Do("start copier", &Callers::StartCopier),
  };
}

void Append(std::vector<Step>& steps, const std::vector<Step>& more) {
  steps.insert(steps.end(), more.begin(), more.end());
}

}  // namespace

Scenario LifeOfRules() {
  return {{}, {
      SetStore(kHangzhou),
      SetStore(kShanghai),
      SetStore(kVirginia),
      AddBucket("photos", kHangzhou, 11),
      AddBucket("photos-dr", kShanghai, 12),
      AddBucket("videos", kHangzhou, 13),
      AddBucket("videos-us", kVirginia, 14),
      AddBucket("logs", kShanghai, 15),
      AddBucket("logs-us", kVirginia, 16),
      AddRule("photos", "photos-dr", 21,
              R"("replicateHistorical":true,"prefixes":["a/"])"),
      AddRule("videos", "videos-us", 22,
              R"("replicateHistorical":false,"transfer":"ACCELERATED")"),
      Do("start publisher", &Callers::StartPublisher),
      Publish("while STARTING", "photos", {"a/1", "a/2", "b/1"}),
      Do("start copier", &Callers::StartCopier),
      UntilInStep("photos"),
      UntilInStep("videos"),
      Publish("while ACTIVE", "videos", {"v/1", "v/2"}),
      UntilInStep("videos"),

      PauseRule("photos"),
      UntilGivenBack("photos"),
      Publish("while PAUSED", "photos", {"a/3", "b/3"}),
      UpdateRule("videos",
                 R"("limits":{"maxLeases":2},"labels":{"team":"web"})",
                 "limits,labels"),
      SetVersioning("photos", "ENABLED"),  // Refused: a rule holds it.
      AddRule("logs", "logs-us", 23,  // Refused.
              R"("replicateHistorical":false,"transfer":"ACCELERATED")"),
      SetPolicy("any-pair"),
      AddRule("logs", "logs-us", 23,
              R"("replicateHistorical":false,"transfer":"ACCELERATED")"),
      SetPolicy("seed-2019"),
      UntilInStep("logs"),
      GetRule("logs"),  // Which the policy refuses now.
      ResumeRule("photos"),
      UntilInStep("photos"),

      DeleteRule("photos"),
      UntilGone("photos"),
      SetVersioning("photos", "ENABLED"),
      SetVersioning("photos", "UNVERSIONED"),
      AddRule("photos", "photos-dr", 24, R"("replicateHistorical":false)"),
      AddRule("photos", "photos-dr", 21,  // As the first time.
              R"("replicateHistorical":true,"prefixes":["a/"])"),
      UntilInStep("photos"),
      Publish("before the end", "videos", {"v/3", "v/4", "v/5"}),
      DeleteRule("videos"),
      UntilGone("videos"),
      Do("finish copier", &Callers::FinishCopier),
      Do("finish publisher", &Callers::FinishPublisher),
  }};
}

Scenario LifeOfObjects() {
  return {OnePair(), {
      SetFate({"a/5"}, Fate::kFailing),
      SetFate({"a/9"}, Fate::kApart),
      AddRule("photos", "photos-dr", 21, R"("replicateHistorical":true)"),
      UntilDead("photos", 1),
      HadTheirAttempts({"a/5"}),
      ListFailedObjects("photos"),

      // A change takes the dead letter up again, and the next comes while its
      // lease is held.
      SetFate({"a/5"}, Fate::kHeld),
      Publish("of a dead letter", "photos", {"a/5", "a/1"}),
      UntilObjectHeld("photos", "a/5"),
      Publish("of an object that is worked on", "photos", {"a/5", "a/2"}),
      UntilObjects("folded", "photos",
                   [](const Callers&, const Objects& objects) {
                     return objects.size() == 1 && objects[0].changes() == 2;
                   }),
      ListFailedObjects("photos"),
      SetFate({"a/5"}, Fate::kApart),
      UntilInStep("photos"),

      // One dead letter is retried, one given up, and one goes with its rule,
      // together with an object that a copier holds.
      SetFate({"a/3", "a/4", "a/6"}, Fate::kFailing),
      Publish("of what fails", "photos", {"a/3", "a/4", "a/4", "a/6"}),
      UntilDead("photos", 3),
      HadTheirAttempts({"a/3", "a/4", "a/6"}),
      ListFailedObjects("photos"),
      SetFate({"a/3"}, Fate::kApart),
      RetryFailedObjects("photos", R"({"keys":["a/3"]})"),
      UntilDead("photos", 2),
      SkipFailedObjects("photos", R"({"prefix":"a/4"})"),
      SetFate({"a/7"}, Fate::kHeld),
      Publish("of what is held", "photos", {"a/7"}),
      UntilObjectHeld("photos", "a/7"),
      ListFailedObjects("photos"),
      GetRule("photos"),
      DeleteRule("photos"),
      UntilGone("photos"),
      Do("finish copier", &Callers::FinishCopier),
      Do("finish publisher", &Callers::FinishPublisher),
  }};
}

Scenario LossOfACopier() {
  Scenario scenario{OnePair(), {
      Do("replace copier", &Callers::ReplaceCopier),
      UntilObjects("has lost a copier", "photos",
                   [](const Callers& callers, const Objects& objects) {
                     return objects.size() == 1 && objects[0].attempts() == 1 &&
                            callers.copier().HoldsObject("a/5");
                   }),
      ListFailedObjects("photos"),
      SetFate({"a/5"}, Fate::kApart),
      UntilInStep("photos"),
      Do("finish copier", &Callers::FinishCopier),
      Do("finish publisher", &Callers::FinishPublisher),
  }};
  Append(scenario.before, {
      AddRule("photos", "photos-dr", 21, R"("replicateHistorical":false)"),
      SetFate({"a/5"}, Fate::kHeld),
      Publish("of what is held", "photos", {"a/5"}),
      UntilObjectHeld("photos", "a/5"),
  });
  return scenario;
}

Scenario LifeOfVerifications() {
  const auto settle = [](bool settles) {
    return Do("settle segments", [settles](Callers& callers) {
      callers.copier().SetSettles(settles);
      return true;
    });
  };
  Scenario scenario{OnePair(), {
      SetFate({"a/5"}, Fate::kApart),
      VerifyRule("photos"),
      UntilVerified("photos", 1),
      UntilDead("photos", 0),  // All repaired.
      GetVerification("photos"),

      // The log overflows while a copier holds it, and while a verification is
      // under way, whose place the next one takes.
      settle(false),
      Publish("of half a log", "photos", {LargeKey(), LargeKey()}),
      UntilHeld("photos"),
      VerifyRule("photos"),
      Publish("of too much", "photos", {LargeKey(), LargeKey()}),
      Publish("while it is dropped", "photos", {"a/1"}),
      UntilVerified("photos", 3),
      UntilDead("photos", 0),
      GetVerification("photos"),
      settle(true),
      Publish("after it all", "photos", {"a/2"}),
      UntilInStep("photos"),
      GetRule("photos"),
      Do("finish copier", &Callers::FinishCopier),
      Do("finish publisher", &Callers::FinishPublisher),
  }};
  Append(scenario.before, {
      AddRule("photos", "photos-dr", 21, R"("replicateHistorical":false)"),
      UntilInStep("photos"),
  });
  return scenario;
}

}  // namespace crr::test
