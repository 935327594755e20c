#ifndef CRR_TESTS_RPC_SCRAPER_H_
#define CRR_TESTS_RPC_SCRAPER_H_

#include <map>
#include <string>

namespace crr::test {

// A connection to HOST:PORT of this machine that says nothing by itself.
class Connection {
 public:
  explicit Connection(const std::string& address);
  ~Connection();
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  // False when nobody listens there.
  bool connected() const { return connected_; }
  // Everything that comes after `request` until the other end closes.
  std::string Ask(const std::string& request);

 private:
  int fd_;
  bool connected_;
};

// What a scrape showed, by series as Prometheus writes them, such as
// `crr_copiers` or `crr_rpcs_total{method="m",code="OK"}`.
using Series = std::map<std::string, double>;

Series Scrape(const std::string& address);

// How many series have a name that begins so.
int CountOf(const Series& series, const std::string& prefix);

}  // namespace crr::test

#endif  // CRR_TESTS_RPC_SCRAPER_H_
