#include "tests/sweep/scenario.h"

#include <gtest/gtest.h>

#include <regex>
#include <sstream>
#include <utility>

#include "absl/strings/str_cat.h"
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

Step SetStore(const std::string& region) {
  return Ask(absl::StrCat("set store of ", region), &Callers::regions,
             &v1::RegionService::Stub::UpdateRegion,
             absl::StrCat(R"({"region":{"name":"regions/)", region,
                          R"(","store":{"local":{"root":"/data/)", region,
                          R"("}}},"updateMask":"store"})"));
}

// `number` makes the request's id.
Step AddBucket(const std::string& id, const std::string& region, int number) {
  return Ask(absl::StrCat("create bucket ", id), &Callers::buckets,
             &v1::BucketService::Stub::CreateBucket,
             absl::StrCat(R"({"bucketId":")", id,
                          R"(","bucket":{"owner":"acme","region":"regions/)",
                          region, R"("},"requestId":")",
                          "00000000-0000-4000-8000-0000000000", number,
                          "\"}"));
}

std::string NameOf(const std::string& source) {
  return absl::StrCat("buckets/", source, "/rules/dr");
}

// `json`: what the rule has beside its destination.
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

template <typename Request>
Step OfRule(const std::string& name,
            grpc::Status (Rules::*method)(grpc::ClientContext*, const Request&,
                                          v1::Rule*),
            const std::string& source) {
  return Ask(absl::StrCat(name, " of ", source), &Callers::rules, method,
             absl::StrCat(R"({"name":")", NameOf(source), R"("})"));
}

// Answers CLOSING, and NOT_FOUND to a repeat that comes once the rule is gone.
Step Delete(const std::string& source) {
  Step step = OfRule("delete rule", &Rules::DeleteRule, source);
  step.run = [once = step.run, asked = false](Callers& callers) mutable {
    auto answer = once(callers);
    const bool repeated = std::exchange(asked, true);
    if (repeated && answer && answer->find("RULE_NOT_FOUND") != answer->npos) {
      answer = "";
    }
    return answer;
  };
  return step;
}

Step SetPolicy(const std::string& profile) {
  return Ask(absl::StrCat("policy ", profile), &Callers::regions,
             &v1::RegionService::Stub::UpdateRegionPairPolicy,
             absl::StrCat(R"({"regionPairPolicy":{"profile":")", profile,
                          R"("}})"));
}

Step Publish(const std::string& name, const std::string& bucket,
             const std::vector<std::string>& keys) {
  std::vector<v1::Change> changes;
  for (const std::string& key : keys) {
    changes.push_back(MakeChange(bucket, key, v1::Change::PUT,
                                 absl::FromUnixSeconds(1'800'000'000)));
  }
  return {absl::StrCat("publish ", name),
          [changes](Callers& callers) -> std::optional<std::string> {
            if (!callers.Publish(changes)) return std::nullopt;
            return "";
          }};
}

// One that answers nothing.
Step Do(const std::string& name, const std::function<bool(Callers&)>& run) {
  return {name, [run](Callers& callers) -> std::optional<std::string> {
            if (!run(callers)) return std::nullopt;
            return "";
          }};
}

// Lets the copier work until the rule's progress is `wanted`.
Step Until(const std::string& name, const std::string& source,
           const std::function<bool(const v1::RuleProgress&)>& wanted) {
  return Do(absl::StrCat(source, " ", name), [=](Callers& callers) {
    return callers.WorkUntil([&]() -> std::optional<bool> {
      v1::GetRuleProgressRequest request;
      request.set_name(NameOf(source));
      v1::RuleProgress progress;
      const grpc::Status status =
          Call(callers.rules(), &Rules::GetRuleProgress, request, &progress);
      if (Died(status)) return std::nullopt;
      EXPECT_TRUE(AddsUp(progress)) << progress.DebugString();
      return status.ok() && wanted(progress);
    });
  });
}

Step UntilInStep(const std::string& source) {
  return Until("in step", source, [](const v1::RuleProgress& progress) {
    return progress.state() == v1::Rule::ACTIVE &&
           progress.live().pending() == 0 &&
           (!progress.has_historical() ||
            progress.historical().fraction() == 1);
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

}  // namespace

std::string WithoutTimes(const std::string& text) {
  static const auto& time =
      *new std::regex(R"(\d{4}-\d\d-\d\dT[0-9:.]+Z)");
  // The time of creation is in the etags.
  static const auto& etag =
      *new std::regex(R"((etag\\*":\\*")[0-9a-f]{16})");
  return std::regex_replace(std::regex_replace(text, time, "TIME"), etag,
                            "$1ETAG");
}

bool Callers::Connect(const std::string& address) {
  publisher_.reset();
  grpc::ChannelArguments arguments;
  arguments.SetInt(GRPC_ARG_ENABLE_HTTP_PROXY, 0);
  arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
  channel_ = grpc::CreateCustomChannel(
      address, grpc::InsecureChannelCredentials(), arguments);
  regions_ = v1::RegionService::NewStub(channel_);
  buckets_ = v1::BucketService::NewStub(channel_);
  rules_ = v1::ReplicationService::NewStub(channel_);
  changes_ = v1::ChangeService::NewStub(channel_);
  copiers_ = v1::CopierService::NewStub(channel_);
  // The publisher first: probes want it attached.
  return (!publishes_ || ConnectPublisher()) &&
         (!copies_ || copier_.Connect(*copiers_));
}

bool Callers::ConnectPublisher() {
  publisher_ = std::make_unique<ScriptedPublisher>(*changes_);
  const auto last = publisher_->Hello("gateway", "regions/oss-cn-hangzhou");
  if (!last) return false;
  // What was acknowledged is there; of more than one batch beyond, nobody
  // knows.
  EXPECT_GE(*last, acknowledged_);
  EXPECT_LE(*last, acknowledged_ + 1);
  return true;
}

bool Callers::StartPublisher() {
  publishes_ = true;
  return ConnectPublisher();
}

bool Callers::Publish(const std::vector<v1::Change>& changes) {
  if (!publisher_->Batch(acknowledged_ + 1, changes)) return false;
  ++acknowledged_;
  return true;
}

bool Callers::FinishPublisher() {
  publishes_ = !publisher_->Finish().ok();
  return !publishes_;
}

bool Callers::StartCopier() {
  copies_ = true;
  return copier_.Connect(*copiers_);
}

bool Callers::FinishCopier() {
  copies_ = !copier_.Finish();
  return !copies_;
}

bool Callers::WorkUntil(const std::function<std::optional<bool>()>& done) {
  bool died = false;
  const bool reached = Eventually([&] {
    if (!copier_.Work()) died = true;
    if (died) return true;
    const auto answer = done();
    died = !answer;
    return answer.value_or(true);
  });
  EXPECT_TRUE(reached) << "waited in vain";
  return !died;
}

std::vector<Step> Scenario() {
  return {
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

      OfRule("pause", &Rules::PauseRule, "photos"),
      UntilGivenBack("photos"),
      Publish("while PAUSED", "photos", {"a/3", "b/3"}),
      Ask("update rule of videos", &Callers::rules, &Rules::UpdateRule,
          R"({"rule":{"name":"buckets/videos/rules/dr",
                      "limits":{"maxLeases":2},"labels":{"team":"web"}},
              "updateMask":"limits,labels"})"),
      Ask("change versioning of a held bucket", &Callers::buckets,
          &v1::BucketService::Stub::UpdateBucket,
          R"({"bucket":{"name":"buckets/photos","versioning":"ENABLED"},
              "updateMask":"versioning"})"),
      AddRule("logs", "logs-us", 23,  // Refused.
              R"("replicateHistorical":false,"transfer":"ACCELERATED")"),
      SetPolicy("any-pair"),
      AddRule("logs", "logs-us", 23,
              R"("replicateHistorical":false,"transfer":"ACCELERATED")"),
      SetPolicy("seed-2019"),
      UntilInStep("logs"),
      OfRule("get rule, which the policy refuses now,", &Rules::GetRule,
             "logs"),
      OfRule("resume", &Rules::ResumeRule, "photos"),
      UntilInStep("photos"),

      Delete("photos"),
      UntilGone("photos"),
      Ask("change versioning of a free bucket", &Callers::buckets,
          &v1::BucketService::Stub::UpdateBucket,
          R"({"bucket":{"name":"buckets/photos","versioning":"ENABLED"},
              "updateMask":"versioning"})"),
      Ask("and back", &Callers::buckets,
          &v1::BucketService::Stub::UpdateBucket,
          R"({"bucket":{"name":"buckets/photos","versioning":"UNVERSIONED"},
              "updateMask":"versioning"})"),
      AddRule("photos", "photos-dr", 24, R"("replicateHistorical":false)"),
      AddRule("photos", "photos-dr", 21,  // As the first time.
              R"("replicateHistorical":true,"prefixes":["a/"])"),
      UntilInStep("photos"),
      Publish("before the end", "videos", {"v/3", "v/4", "v/5"}),
      Delete("videos"),
      UntilGone("videos"),
      Do("finish copier", &Callers::FinishCopier),
      Do("finish publisher", &Callers::FinishPublisher),
  };
}

}  // namespace crr::test
