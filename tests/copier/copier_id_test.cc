#include "client/copier/copier_id.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "proto/cc/resource_name.h"

namespace crr {
namespace {

TEST(CopierIdTest, IsValidWhateverTheHostIsCalled) {
  const std::vector<std::string> hosts{
      "",   "host", "HOST.example.org",    "--x--",
      "..", "häst", std::string(255, 'h'), std::string(255, '.')};
  for (const std::string& host : hosts) {
    EXPECT_TRUE(IsId(DefaultCopierId(host, 4'194'304))) << host;
  }
}

TEST(CopierIdTest, TellsHostsAndProcessesApart) {
  EXPECT_EQ(DefaultCopierId("Node-1.rack", 42), "copier-node-1-rack-42");
  EXPECT_NE(DefaultCopierId("a", 1), DefaultCopierId("a", 2));
  EXPECT_NE(DefaultCopierId("a", 1), DefaultCopierId("b", 1));
}

}  // namespace
}  // namespace crr
