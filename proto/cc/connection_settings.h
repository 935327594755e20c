#ifndef CRR_PROTO_CC_CONNECTION_SETTINGS_H_
#define CRR_PROTO_CC_CONNECTION_SETTINGS_H_

// How both ends keep their connections: in one place, because they must fit
// together. Sources: gRPC 1.51's defaults, and what goes wrong with them.
namespace crr::connection {

// ---- Both ends.

// A peer that vanished without a word: gRPC itself would notice after two
// hours, or never.
inline constexpr int kServerPingMs = 30'000;
inline constexpr int kClientPingMs = 20'000;
inline constexpr int kPingTimeoutMs = 10'000;
// What a server bears without sending its client away for pinging too often.
inline constexpr int kPingIntervalMinMs = 10'000;
static_assert(kPingIntervalMinMs < kClientPingMs);

// ---- The server's.

// Calls on one connection. A copier has one stream, a back end some calls.
inline constexpr int kStreamsMax = 100;
// A peer that connects and stays silent.
inline constexpr int kHandshakeMs = 10'000;

// What a stream may send ahead of what the server has taken. gRPC would let it
// grow with the link, to tens of MiB for each publisher that sends without end.
// On a link of 200 ms this still takes 1.2 MiB, some ten thousand changes, a
// second from each.
inline constexpr int kServerWindowBytes = 256 << 10;

// ---- The client's.

// A restarted server is found again within seconds; gRPC's own cap is two
// minutes. GRPC_ARG_MIN_RECONNECT_BACKOFF_MS is left alone: despite its name it
// bounds how long one attempt may take, and a far server needs time.
inline constexpr int kReconnectFirstMs = 100;
inline constexpr int kReconnectMaxMs = 2'000;
// What a client takes: room for a grant with its segment (256 KiB) and for
// every page. What the server takes stands in server/core/limits.h.
inline constexpr int kClientMessageBytesMax = 4 << 20;

}  // namespace crr::connection

#endif  // CRR_PROTO_CC_CONNECTION_SETTINGS_H_
