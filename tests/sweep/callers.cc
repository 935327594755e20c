#include "tests/sweep/callers.h"

#include <gtest/gtest.h>

#include <regex>

namespace crr::test {

std::string WithoutTimes(const std::string& text) {
  static const auto& time = *new std::regex(R"(\d{4}-\d\d-\d\dT[0-9:.]+Z)");
  // The time of creation is in the etags.
  static const auto& etag = *new std::regex(R"((etag\\*":\\*")[0-9a-f]{16})");
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

bool Callers::ReplaceCopier() {
  copier_.Forget();
  return copier_.Connect(*copiers_);
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

}  // namespace crr::test
