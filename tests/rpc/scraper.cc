#include "tests/rpc/scraper.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstdint>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_split.h"
#include "base/check.h"

namespace crr::test {

Connection::Connection(const std::string& address)
    : fd_(socket(AF_INET, SOCK_STREAM, 0)) {
  CRR_CHECK(fd_ >= 0);
  const size_t colon = address.rfind(':');
  int port = 0;
  CRR_CHECK(absl::SimpleAtoi(address.substr(colon + 1), &port));
  sockaddr_in peer{};
  peer.sin_family = AF_INET;
  peer.sin_port = htons(static_cast<uint16_t>(port));
  CRR_CHECK(inet_pton(AF_INET, address.substr(0, colon).c_str(),
                      &peer.sin_addr) == 1);
  connected_ =
      connect(fd_, reinterpret_cast<const sockaddr*>(&peer), sizeof(peer)) == 0;
}

Connection::~Connection() { close(fd_); }

std::string Connection::Ask(const std::string& request) {
  if (send(fd_, request.data(), request.size(), MSG_NOSIGNAL) < 0) return "";
  std::string answer;
  char buffer[4096];
  ssize_t size = 0;
  while ((size = recv(fd_, buffer, sizeof(buffer), 0)) > 0) {
    answer.append(buffer, static_cast<size_t>(size));
  }
  return answer;
}

Series Scrape(const std::string& address) {
  Connection connection(address);
  const std::string answer = connection.Ask("GET /metrics HTTP/1.0\r\n\r\n");
  EXPECT_TRUE(absl::StrContains(answer.substr(0, answer.find('\n')), " 200 "))
      << answer.substr(0, 200);
  Series series;
  const size_t body = answer.find("\r\n\r\n");
  if (body == std::string::npos) return series;
  for (const absl::string_view line :
       absl::StrSplit(answer.substr(body + 4), '\n')) {
    if (line.empty() || line[0] == '#') continue;
    const size_t space = line.rfind(' ');
    double value = 0;
    EXPECT_TRUE(absl::SimpleAtod(line.substr(space + 1), &value)) << line;
    const bool is_new =
        series.emplace(std::string(line.substr(0, space)), value).second;
    EXPECT_TRUE(is_new) << line;
  }
  return series;
}

int CountOf(const Series& series, const std::string& prefix) {
  int count = 0;
  for (const auto& [name, value] : series) {
    if (absl::StartsWith(name, prefix)) ++count;
  }
  return count;
}

}  // namespace crr::test
