#include "tests/tidy/source_rules.h"

#include <algorithm>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"

namespace crr::test {
namespace {

using Prefixes = std::vector<absl::string_view>;

bool StartsWithAny(absl::string_view text, const Prefixes& prefixes) {
  return std::any_of(
      prefixes.begin(), prefixes.end(),
      [&](absl::string_view prefix) { return absl::StartsWith(text, prefix); });
}

// Which of the tree's own files, generated ones included, a folder may include.
struct Layer {
  absl::string_view folder;
  Prefixes may_include;
};

// The first folder that fits counts. tests/ may include everything.
const std::vector<Layer>& Layers() {
  static const auto& layers = *new std::vector<Layer>{
      {"base/", {"base/"}},
      {"storage/", {"storage/", "base/"}},
      {"proto/cc/", {"proto/cc/", "base/", "crr/v1/", "google/"}},
      {"server/core/", {"server/core/", "storage/", "base/"}},
      // What runs the core: threads, the database, real time.
      {"server/durable_leases",
       {"server/durable_leases", "server/ledger_watch",
        "server/publisher_hub", "server/core/", "storage/", "base/"}},
      {"server/lease_loop",
       {"server/lease_loop", "server/durable_leases", "server/ledger_watch",
        "server/publisher_hub", "server/core/", "storage/", "base/"}},
      {"server/ledger_watch",
       {"server/ledger_watch", "server/core/", "storage/", "base/"}},
      {"server/publisher_hub",
       {"server/publisher_hub", "server/core/", "storage/", "base/"}},
      {"server/rpc/",
       {"server/rpc/", "server/core/", "server/lease_loop",
        "server/publisher_hub", "storage/", "base/", "proto/cc/", "crr/v1/",
        "google/", "grpc/health/"}},
      // app and main.
      {"server/",
       {"server/", "storage/", "base/", "proto/cc/", "crr/v1/", "google/",
        "grpc/health/"}},
      // Of the tree it sees what is installed.
      {"client/example/", {}},
      {"client/store/", {"client/store/", "storage/sqlite/", "base/"}},
      {"client/access/",
       {"client/access/", "client/store/", "base/", "proto/cc/", "crr/v1/",
        "google/"}},
      {"client/",
       {"client/", "base/", "proto/cc/", "crr/v1/", "google/"}},
  };
  return layers;
}

// The folders that speak protobuf and gRPC.
const Prefixes& WireFolders() {
  static const auto& folders = *new Prefixes{
      "proto/cc/",       "server/rpc/",      "server/app",
      "client/access/",  "client/copier/",   "client/notifier/",
      "client/crrctl/",  "tests/"};
  return folders;
}

// Something that must not stand in the files of `folders`, those of `except`
// left out.
struct Ban {
  std::string text;
  Prefixes folders;
  Prefixes except;
  absl::string_view why;
};

const std::vector<Ban>& Bans() {
  // Put together, so that this file does not hold what it looks for.
  static const auto& bans = *new std::vector<Ban>{
      {absl::StrCat("<sqlite3", ".h>"), {""},
       {"storage/sqlite/connection.cc", "tests/support/fault_vfs.cc"},
       "only the connection knows SQLite's own interface"},
      {absl::StrCat("#include <grpc", "pp/"), {""}, WireFolders(),
       "gRPC ends in the folders that speak it"},
      {absl::StrCat(".pb", ".h\""), {""}, WireFolders(),
       "plain structs, no messages, below the folders that speak protobuf"},
      {absl::StrCat("<thread", ">"), {"server/core/"}, {},
       "the core is driven by calls"},
      {absl::StrCat("\"base/mutex", ".h\""), {"server/core/"}, {},
       "the core is driven by calls"},
      {absl::StrCat("Clock::", "Real"), {"server/core/"}, {},
       "the core is given its clock"},
      // crrctl asks again every so often, for a person who watches.
      {absl::StrCat("sleep", "_for"), {""}, {"client/crrctl/watch.cc"},
       "wait for the event itself"},
      // A benchmark lets time pass: that is what it measures.
      {absl::StrCat("Sleep", "For("), {""}, {"tests/bench/"},
       "wait for the event itself"},
      {absl::StrCat("std::string", "_view"), {""}, {},
       "absl::string_view: the two do not convert into each other"},
      {absl::StrCat("using namespace", " std"), {""}, {}, "name what is used"},
      {absl::StrCat("std::", "cout"), {""}, {}, "log, or write to the file"},
      {absl::StrCat("TO", "DO"), {""}, {}, "finish it, or file it"},
  };
  return bans;
}

void FindBanned(absl::string_view path, absl::string_view line, int number,
                std::vector<std::string>& findings) {
  for (const Ban& ban : Bans()) {
    if (absl::StrContains(line, ban.text) && StartsWithAny(path, ban.folders) &&
        !StartsWithAny(path, ban.except)) {
      findings.push_back(
          absl::StrCat(path, ":", number, ": ", ban.text, ": ", ban.why));
    }
  }
}

void FindWrongInclude(absl::string_view path, absl::string_view line,
                      int number, std::vector<std::string>& findings) {
  if (!absl::ConsumePrefix(&line, "#include \"")) return;
  const absl::string_view included = line.substr(0, line.find('"'));
  if (absl::StartsWith(included, "absl/")) return;
  for (const Layer& layer : Layers()) {
    if (!absl::StartsWith(path, layer.folder)) continue;
    if (!StartsWithAny(included, layer.may_include)) {
      findings.push_back(absl::StrCat(path, ":", number, ": ", layer.folder,
                                      " may not include ", included));
    }
    return;
  }
}

// CRR_PATH_FILE_H_.
std::string GuardOf(absl::string_view path) {
  std::string guard = absl::StrCat("CRR_", absl::AsciiStrToUpper(path), "_");
  for (char& c : guard) {
    if (!absl::ascii_isalnum(c)) c = '_';
  }
  return guard;
}

}  // namespace

std::vector<std::string> SourceFindings(absl::string_view path,
                                        absl::string_view text) {
  std::vector<std::string> findings;
  int number = 0;
  for (absl::string_view line : absl::StrSplit(text, '\n')) {
    ++number;
    FindBanned(path, line, number, findings);
    FindWrongInclude(path, line, number, findings);
  }
  if (absl::EndsWith(path, ".h")) {
    const std::string guard = GuardOf(path);
    if (!absl::StrContains(text, absl::StrCat("#ifndef ", guard, "\n#define ",
                                              guard, "\n")) ||
        !absl::EndsWith(text, absl::StrCat("#endif  // ", guard, "\n"))) {
      findings.push_back(
          absl::StrCat(path, ": the include guard must be ", guard));
    }
  }
  return findings;
}

}  // namespace crr::test
