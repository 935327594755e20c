#include "tests/sweep/steps.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <sstream>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "tests/rpc/refusal.h"

namespace crr::test {
namespace {

template <typename Message>
std::string ToText(const Message& message) {
  std::string json;
  CRR_CHECK(
      google::protobuf::util::MessageToJsonString(message, &json).ok());
  return WithoutTimes(json);
}

bool Died(const grpc::Status& status) {
  return status.error_code() == grpc::StatusCode::UNAVAILABLE;
}

// A unary call with this request; its answer or refusal.
template <typename Service, typename Request, typename Response>
Step Ask(const std::string& name, Service& (Callers::*stub)(),
         grpc::Status (Service::*method)(grpc::ClientContext*, const Request&,
                                         Response*),
         const std::string& json) {
  return {name, [=](Callers& callers) -> std::optional<std::string> {
            Response response;
            const grpc::Status status = Call((callers.*stub)(), method,
                                             FromJson<Request>(json),
                                             &response);
            if (Died(status)) return std::nullopt;
            if (status.ok()) return ToText(response);
            std::ostringstream refusal;
            refusal << RefusalOf(status);
            return refusal.str();
          }};
}

using Rules = v1::ReplicationService::Stub;

std::string NameOf(const std::string& source) {
  return absl::StrCat("buckets/", source, "/rules/dr");
}

template <typename Request, typename Response>
Step OfRule(const std::string& name,
            grpc::Status (Rules::*method)(grpc::ClientContext*, const Request&,
                                          Response*),
            const std::string& source, const std::string& more = "") {
  return Ask(absl::StrCat(name, " of ", source), &Callers::rules, method,
             absl::StrCat(R"({"name":")", NameOf(source), "\"", more, "}"));
}

// A repeat that is answered with `after` only says that the first call had its
// effect.
Step AnsweredOnce(Step step, const std::string& after) {
  step.run = [once = step.run, after,
              asked = false](Callers& callers) mutable {
    auto answer = once(callers);
    const bool repeated = std::exchange(asked, true);
    if (repeated && answer && answer->find(after) != answer->npos) answer = "";
    return answer;
  };
  return step;
}

// The rule's progress, of which every look must find the ledger balanced;
// nullopt when the server died.
std::optional<v1::RuleProgress> ProgressOf(Callers& callers,
                                           const std::string& source) {
  v1::GetRuleProgressRequest request;
  request.set_name(NameOf(source));
  v1::RuleProgress progress;
  const grpc::Status status =
      Call(callers.rules(), &Rules::GetRuleProgress, request, &progress);
  if (Died(status)) return std::nullopt;
  EXPECT_TRUE(status.ok()) << RefusalOf(status);
  EXPECT_TRUE(AddsUp(progress)) << progress.DebugString();
  return progress;
}

// Lets the copier work until the rule's progress is `wanted`.
Step UntilProgress(const std::string& name, const std::string& source,
                   const std::function<bool(const v1::RuleProgress&)>& wanted) {
  return Do(absl::StrCat(source, " ", name), [=](Callers& callers) {
    return callers.WorkUntil([&]() -> std::optional<bool> {
      const auto progress = ProgressOf(callers, source);
      if (!progress) return std::nullopt;
      return wanted(*progress);
    });
  });
}

}  // namespace

Step Do(const std::string& name, const std::function<bool(Callers&)>& run) {
  return {name, [run](Callers& callers) -> std::optional<std::string> {
            if (!run(callers)) return std::nullopt;
            return "";
          }};
}

Step SetStore(const std::string& region) {
  return Ask(absl::StrCat("set store of ", region), &Callers::regions,
             &v1::RegionService::Stub::UpdateRegion,
             absl::StrCat(R"({"region":{"name":"regions/)", region,
                          R"(","store":{"local":{"root":"/data/)", region,
                          R"("}}},"updateMask":"store"})"));
}

Step AddBucket(const std::string& id, const std::string& region, int number) {
  return Ask(absl::StrCat("create bucket ", id), &Callers::buckets,
             &v1::BucketService::Stub::CreateBucket,
             absl::StrCat(R"({"bucketId":")", id,
                          R"(","bucket":{"owner":"acme","region":"regions/)",
                          region, R"("},"requestId":")",
                          "00000000-0000-4000-8000-0000000000", number,
                          "\"}"));
}

Step SetVersioning(const std::string& bucket, const std::string& versioning) {
  return Ask(absl::StrCat("versioning ", versioning, " of ", bucket),
             &Callers::buckets, &v1::BucketService::Stub::UpdateBucket,
             absl::StrCat(R"({"bucket":{"name":"buckets/)", bucket,
                          R"(","versioning":")", versioning,
                          R"("},"updateMask":"versioning"})"));
}

Step SetPolicy(const std::string& profile) {
  return Ask(absl::StrCat("policy ", profile), &Callers::regions,
             &v1::RegionService::Stub::UpdateRegionPairPolicy,
             absl::StrCat(R"({"regionPairPolicy":{"profile":")", profile,
                          R"("}})"));
}

Step AddRule(const std::string& source, const std::string& destination,
             int number, const std::string& json) {
  return Ask(absl::StrCat("create rule of ", source, ", request ", number),
             &Callers::rules, &Rules::CreateRule,
             absl::StrCat(R"({"parent":"buckets/)", source,
                          R"(","ruleId":"dr","requestId":")",
                          "00000000-0000-4000-8000-0000000000", number,
                          R"(","rule":{"operations":"ADD_DELETE_CHANGE",)",
                          R"("destinationBucket":"buckets/)", destination,
                          "\",", json, "}}"));
}

Step GetRule(const std::string& source) {
  return OfRule("get rule", &Rules::GetRule, source);
}

Step UpdateRule(const std::string& source, const std::string& json,
                const std::string& mask) {
  return Ask(absl::StrCat("update rule of ", source), &Callers::rules,
             &Rules::UpdateRule,
             absl::StrCat(R"({"rule":{"name":")", NameOf(source), "\",", json,
                          R"(},"updateMask":")", mask, "\"}"));
}

Step PauseRule(const std::string& source) {
  return OfRule("pause", &Rules::PauseRule, source);
}

Step ResumeRule(const std::string& source) {
  return OfRule("resume", &Rules::ResumeRule, source);
}

// Answers CLOSING, and NOT_FOUND to a repeat that comes once the rule is gone.
Step DeleteRule(const std::string& source) {
  return AnsweredOnce(OfRule("delete rule", &Rules::DeleteRule, source),
                      "RULE_NOT_FOUND");
}

Step VerifyRule(const std::string& source) {
  return OfRule("verify", &Rules::VerifyRule, source);
}

Step GetVerification(const std::string& source) {
  return {absl::StrCat("verification of ", source),
          [source](Callers& callers) -> std::optional<std::string> {
            const auto progress = ProgressOf(callers, source);
            if (!progress) return std::nullopt;
            return ToText(progress->verification());
          }};
}

Step ListFailedObjects(const std::string& source) {
  return Ask(absl::StrCat("failed objects of ", source), &Callers::rules,
             &Rules::ListFailedObjects,
             absl::StrCat(R"({"parent":")", NameOf(source), "\"}"));
}

Step RetryFailedObjects(const std::string& source,
                        const std::string& selection) {
  return AnsweredOnce(OfRule("retry", &Rules::RetryFailedObjects, source,
                             absl::StrCat(R"(,"selection":)", selection)),
                      R"("objects":"0")");
}

Step SkipFailedObjects(const std::string& source,
                       const std::string& selection) {
  return AnsweredOnce(OfRule("skip", &Rules::SkipFailedObjects, source,
                             absl::StrCat(R"(,"selection":)", selection)),
                      R"("objects":"0")");
}

Step Publish(const std::string& name, const std::string& bucket,
             const std::vector<std::string>& keys) {
  std::vector<v1::Change> changes;
  for (const std::string& key : keys) {
    changes.push_back(MakeChange(bucket, key, v1::Change::PUT,
                                 absl::FromUnixSeconds(1'800'000'000)));
  }
  return Do(absl::StrCat("publish ", name),
            [changes](Callers& callers) { return callers.Publish(changes); });
}

Step SetFate(const std::vector<std::string>& keys, WorkingCopier::Fate fate) {
  return Do(absl::StrCat("fate of ", absl::StrJoin(keys, ", ")),
            [=](Callers& callers) {
              for (const std::string& key : keys) {
                callers.copier().SetFate(key, fate);
              }
              return true;
            });
}

Step UntilInStep(const std::string& source) {
  return UntilProgress("in step", source, [](const v1::RuleProgress& progress) {
    return progress.state() == v1::Rule::ACTIVE &&
           progress.live().pending() == 0 &&
           (!progress.has_historical() ||
            progress.historical().fraction() == 1);
  });
}

Step UntilHeld(const std::string& source) {
  return Do(absl::StrCat(source, " held"), [=](Callers& callers) {
    return callers.WorkUntil(
        [&] { return callers.copier().Holds(NameOf(source)); });
  });
}

Step UntilGivenBack(const std::string& source) {
  return Do(absl::StrCat(source, " given back"), [=](Callers& callers) {
    return callers.WorkUntil(
        [&] { return !callers.copier().Holds(NameOf(source)); });
  });
}

Step UntilGone(const std::string& source) {
  return Do(absl::StrCat(source, " gone"), [=](Callers& callers) {
    return callers.WorkUntil([&]() -> std::optional<bool> {
      v1::GetRuleRequest request;
      request.set_name(NameOf(source));
      const grpc::Status status =
          Call(callers.rules(), &Rules::GetRule, request);
      if (Died(status)) return std::nullopt;
      return status.error_code() == grpc::StatusCode::NOT_FOUND;
    });
  });
}

Step UntilVerified(const std::string& source, int64_t number) {
  return UntilProgress(
      absl::StrCat("verified ", number), source,
      [number](const v1::RuleProgress& progress) {
        const auto& conditions = progress.conditions();
        return progress.verification().number() == number &&
               progress.verification().has_end_time() &&
               std::none_of(conditions.begin(), conditions.end(),
                            [](const v1::Rule::Condition& condition) {
                              return condition.type() == "RESYNC_NEEDED";
                            });
      });
}

Step UntilObjects(
    const std::string& name, const std::string& source,
    const std::function<bool(const Callers&,
                             const std::vector<v1::FailedObject>&)>& wanted) {
  return Do(absl::StrCat(source, " ", name), [=](Callers& callers) {
    return callers.WorkUntil([&]() -> std::optional<bool> {
      v1::ListFailedObjectsRequest request;
      request.set_parent(NameOf(source));
      v1::ListFailedObjectsResponse response;
      const grpc::Status status = Call(
          callers.rules(), &Rules::ListFailedObjects, request, &response);
      if (Died(status)) return std::nullopt;
      EXPECT_TRUE(status.ok()) << RefusalOf(status);
      return wanted(callers, {response.failed_objects().begin(),
                              response.failed_objects().end()});
    });
  });
}

}  // namespace crr::test
