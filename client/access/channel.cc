#include "client/access/channel.h"

#include <grpcpp/create_channel.h>
#include <grpcpp/security/credentials.h>
#include <grpcpp/support/channel_arguments.h>

namespace crr {
namespace {

// Calls that only read are tried again while the server is unavailable. Not so
// the others: whether a repeat of theirs is harmless (`request_id`) only their
// caller knows.
constexpr char kServiceConfig[] = R"json({
  "methodConfig": [{
    "name": [
      {"service": "crr.v1.AdminService", "method": "ListAuditEvents"},
      {"service": "crr.v1.AdminService", "method": "ListPublishers"},
      {"service": "crr.v1.BucketService", "method": "GetBucket"},
      {"service": "crr.v1.BucketService", "method": "ListBuckets"},
      {"service": "crr.v1.RegionService", "method": "GetRegion"},
      {"service": "crr.v1.RegionService", "method": "GetRegionPairPolicy"},
      {"service": "crr.v1.RegionService", "method": "ListDestinationRegions"},
      {"service": "crr.v1.RegionService", "method": "ListRegions"},
      {"service": "crr.v1.ReplicationService", "method": "GetRule"},
      {"service": "crr.v1.ReplicationService", "method": "GetRuleProgress"},
      {"service": "crr.v1.ReplicationService", "method": "ListRules"},
      {"service": "crr.v1.ReplicationService", "method": "WaitForSync"},
      {"service": "crr.v1.ReplicationService", "method": "WatchRuleProgress"}
    ],
    "retryPolicy": {
      "maxAttempts": 4,
      "initialBackoff": "0.1s",
      "maxBackoff": "1s",
      "backoffMultiplier": 3,
      "retryableStatusCodes": ["UNAVAILABLE"]
    }
  }],
  "retryThrottling": {"maxTokens": 100, "tokenRatio": 0.1}
})json";

}  // namespace

std::shared_ptr<grpc::Channel> MakeChannel(const std::string& server) {
  grpc::ChannelArguments arguments;
  arguments.SetInt(GRPC_ARG_ENABLE_HTTP_PROXY, 0);

  // A peer that vanished without a word is noticed within 30 seconds. Pings go
  // on while a stream is quiet, and while there is none, or the next call
  // would be the one to find out.
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIME_MS, 20'000);
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, 10'000);
  arguments.SetInt(GRPC_ARG_KEEPALIVE_PERMIT_WITHOUT_CALLS, 1);
  arguments.SetInt(GRPC_ARG_HTTP2_MAX_PINGS_WITHOUT_DATA, 0);

  // A restarted server is found again within seconds; gRPC's own cap is two
  // minutes. GRPC_ARG_MIN_RECONNECT_BACKOFF_MS is left alone: despite its name
  // it bounds how long one attempt may take, and a far server needs time.
  arguments.SetInt(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, 100);
  arguments.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, 2'000);

  // Room for a grant with its segment (256 KiB) and every page; no more.
  arguments.SetMaxReceiveMessageSize(4 << 20);

  // What is retried is said here, never by a TXT record.
  arguments.SetServiceConfigJSON(kServiceConfig);
  arguments.SetInt(GRPC_ARG_SERVICE_CONFIG_DISABLE_RESOLUTION, 1);

  return grpc::CreateCustomChannel(server, grpc::InsecureChannelCredentials(),
                                   arguments);
}

}  // namespace crr
