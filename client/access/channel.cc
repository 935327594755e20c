#include "client/access/channel.h"

#include <grpcpp/create_channel.h>
#include <grpcpp/security/credentials.h>
#include <grpcpp/support/channel_arguments.h>

#include "proto/cc/connection_settings.h"

namespace crr {
namespace {

// Calls that only read are tried again while the server is unavailable. Not so
// the others: whether a repeat of theirs is harmless (`request_id`) only their
// caller knows.
constexpr char kServiceConfig[] = R"json({
  "methodConfig": [{
    "name": [
      {"service": "crr.v1.AdminService", "method": "ListAuditEvents"},
      {"service": "crr.v1.AdminService", "method": "ListCopiers"},
      {"service": "crr.v1.AdminService", "method": "ListLeases"},
      {"service": "crr.v1.AdminService", "method": "ListPublishers"},
      {"service": "crr.v1.BucketService", "method": "GetBucket"},
      {"service": "crr.v1.BucketService", "method": "ListBuckets"},
      {"service": "crr.v1.RegionService", "method": "GetRegion"},
      {"service": "crr.v1.RegionService", "method": "GetRegionPairPolicy"},
      {"service": "crr.v1.RegionService", "method": "ListDestinationRegions"},
      {"service": "crr.v1.RegionService", "method": "ListRegions"},
      {"service": "crr.v1.ReplicationService", "method": "GetRule"},
      {"service": "crr.v1.ReplicationService", "method": "GetRuleProgress"},
      {"service": "crr.v1.ReplicationService", "method": "ListFailedObjects"},
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

  // Pings go on while a stream is quiet, and while there is none, or the next
  // call would be the one to find out.
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIME_MS, connection::kClientPingMs);
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, connection::kPingTimeoutMs);
  arguments.SetInt(GRPC_ARG_KEEPALIVE_PERMIT_WITHOUT_CALLS, 1);
  arguments.SetInt(GRPC_ARG_HTTP2_MAX_PINGS_WITHOUT_DATA, 0);

  arguments.SetInt(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS,
                   connection::kReconnectFirstMs);
  arguments.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS,
                   connection::kReconnectMaxMs);
  arguments.SetMaxReceiveMessageSize(connection::kClientMessageBytesMax);

  // What is retried is said here, never by a TXT record.
  arguments.SetServiceConfigJSON(kServiceConfig);
  arguments.SetInt(GRPC_ARG_SERVICE_CONFIG_DISABLE_RESOLUTION, 1);

  return grpc::CreateCustomChannel(server, grpc::InsecureChannelCredentials(),
                                   arguments);
}

}  // namespace crr
