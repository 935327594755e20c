#include "tests/tidy/source_rules.h"

#include <filesystem>
#include <fstream>
#include <sstream>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace crr::test {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

namespace fs = std::filesystem;

std::string ReadAll(const fs::path& file) {
  std::ostringstream text;
  text << std::ifstream(file, std::ios::binary).rdbuf();
  return text.str();
}

TEST(SourceRulesTest, TreeKeepsThem) {
  const fs::path root = CRR_SOURCE_DIR;
  int files = 0;
  for (const char* folder : {"base", "client", "cmake", "deploy", "proto",
                             "server", "storage", "tests"}) {
    for (const auto& entry : fs::recursive_directory_iterator(root / folder)) {
      const std::string kind = entry.path().extension();
      if (!entry.is_regular_file() || kind == ".pyc") continue;
      const std::string path = fs::relative(entry.path(), root);
      EXPECT_THAT(SourceFindings(path, ReadAll(entry.path())), IsEmpty());
      if (kind == ".h" || kind == ".cc") ++files;
    }
  }
  EXPECT_GT(files, 20) << "looked in the wrong place: " << root;
}

struct Planted {
  const char* path;
  std::string line;
};

class PlantedViolationTest : public testing::TestWithParam<Planted> {};

TEST_P(PlantedViolationTest, IsFound) {
  const auto& [path, line] = GetParam();
  EXPECT_THAT(SourceFindings(path, absl::StrCat("\n", line, "\n")),
              ElementsAre(HasSubstr(absl::StrCat(path, ":2: "))));
}

// Put together, so that this file keeps the rules itself.
INSTANTIATE_TEST_SUITE_P(
    All, PlantedViolationTest,
    testing::Values(
        Planted{"base/x.cc", "#include \"storage/database.h\""},
        Planted{"storage/x.cc", "#include \"server/core/lease.h\""},
        Planted{"storage/x.cc", "#include \"proto/cc/resource_name.h\""},
        Planted{"storage/x.cc", absl::StrCat("#include <grpc", "pp/server.h>")},
        Planted{"storage/x.cc", absl::StrCat("#include <sqlite3", ".h>")},
        Planted{"server/core/x.cc", "#include \"server/rpc/rules.h\""},
        Planted{"server/core/x.cc", absl::StrCat("#include <thread", ">")},
        Planted{"server/core/x.cc", absl::StrCat("#include \"base/mutex",
                                                 ".h\"")},
        Planted{"server/core/x.cc", absl::StrCat("auto& c = Clock::", "Real()")},
        Planted{"server/lease_loop.cc", "#include \"server/rpc/rules.h\""},
        Planted{"server/rpc/x.cc", "#include \"server/app.h\""},
        Planted{"server/rpc/x.cc", "#include \"client/access/channel.h\""},
        Planted{"client/example/x.cc", "#include \"proto/cc/resource_name.h\""},
        Planted{"client/store/x.cc", "#include \"storage/database.h\""},
        Planted{"client/store/x.cc", "#include \"client/access/channel.h\""},
        Planted{"client/copier/x.cc", "#include \"storage/sqlite/connection.h\""},
        Planted{"client/copier/x.cc", "#include \"server/core/lease.h\""},
        Planted{"tests/x.cc", absl::StrCat("std::string", "_view text;")},
        Planted{"tests/x.cc", absl::StrCat("using namespace", " std;")},
        Planted{"tests/x.cc", absl::StrCat("std::", "cout << 1;")},
        Planted{"tests/x.cc", absl::StrCat("this_thread::sleep", "_for(1s);")},
        Planted{"tests/x.cc", absl::StrCat("absl::Sleep", "For(d);")},
        Planted{"deploy/x.sh", absl::StrCat("# TO", "DO: more")}));

TEST(SourceRulesTest, MessagesStayOutOfTheCore) {
  // Against the layering, and against the ban on generated headers.
  EXPECT_THAT(SourceFindings("server/core/x.cc",
                             absl::StrCat("#include \"crr/v1/rule.pb", ".h\"")),
              ElementsAre(HasSubstr("messages"), HasSubstr("may not include")));
}

TEST(SourceRulesTest, GuardMatchesThePath) {
  const std::string right =
      "#ifndef CRR_BASE_X_H_\n#define CRR_BASE_X_H_\n#endif  // CRR_BASE_X_H_\n";
  EXPECT_THAT(SourceFindings("base/x.h", right), IsEmpty());
  EXPECT_THAT(SourceFindings("base/y.h", right),
              ElementsAre(HasSubstr("CRR_BASE_Y_H_")));
  EXPECT_THAT(SourceFindings("base/x.h", "#pragma once\n"),
              ElementsAre(HasSubstr("CRR_BASE_X_H_")));
}

TEST(SourceRulesTest, AllowedIncludesPass) {
  EXPECT_THAT(SourceFindings("client/store/x.cc",
                             "#include \"storage/sqlite/connection.h\"\n"
                             "#include \"absl/strings/str_cat.h\"\n"
                             "#include <string>\n"),
              IsEmpty());
}

}  // namespace
}  // namespace crr::test
