#include "client/access/channel.h"

#include <grpcpp/create_channel.h>
#include <grpcpp/security/credentials.h>
#include <grpcpp/support/channel_arguments.h>

namespace crr {

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

  // Retries come from our own code, which knows what is idempotent, never from
  // a TXT record.
  arguments.SetInt(GRPC_ARG_SERVICE_CONFIG_DISABLE_RESOLUTION, 1);

  return grpc::CreateCustomChannel(server, grpc::InsecureChannelCredentials(),
                                   arguments);
}

}  // namespace crr
