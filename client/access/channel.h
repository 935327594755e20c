#ifndef CRR_CLIENT_ACCESS_CHANNEL_H_
#define CRR_CLIENT_ACCESS_CHANNEL_H_

#include <grpcpp/channel.h>

#include <memory>
#include <string>

namespace crr {

// A channel to crr-server at HOST:PORT, with the keepalive and connection
// settings of every crr client. Calls that only read are tried again, up to
// four times within about a second, while the server is unavailable. Never
// through a proxy, not even when `http_proxy` is set: gRPC would send loopback
// addresses there too.
std::shared_ptr<grpc::Channel> MakeChannel(const std::string& server);

}  // namespace crr

#endif  // CRR_CLIENT_ACCESS_CHANNEL_H_
