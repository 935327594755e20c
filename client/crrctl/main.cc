#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <memory>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include "absl/flags/flag.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/time/time.h"
#include "base/program.h"
#include "base/status_macros.h"
#include "client/access/channel.h"
#include "client/access/region_stores.h"
#include "client/crrctl/buckets.h"
#include "client/crrctl/compare.h"
#include "client/crrctl/console.h"
#include "client/crrctl/control.h"
#include "client/crrctl/failed.h"
#include "client/crrctl/import.h"
#include "client/crrctl/objects.h"
#include "client/crrctl/operate.h"
#include "client/crrctl/rules.h"
#include "client/crrctl/verify.h"
#include "client/crrctl/watch.h"

ABSL_FLAG(std::string, server, "127.0.0.1:7443", "crr-server, as HOST:PORT");
ABSL_FLAG(std::vector<std::string>, local_roots, {},
          "Absolute folders, comma-separated; a local store is opened only "
          "below one of them");
ABSL_FLAG(std::string, until, "",
          "rules watch: \"synced\" ends it as soon as the rule is in step");
ABSL_FLAG(std::string, prefix, "", "failed: keys that start with this");
ABSL_FLAG(std::string, reason, "", "failed: of this reason");
ABSL_FLAG(absl::Duration, min_age, absl::ZeroDuration(),
          "failed: that left their lane at least so long ago, such as 1h30m");
ABSL_FLAG(bool, all, false, "failed: all of the rule");
ABSL_FLAG(bool, read_bytes, false,
          "rules verify: read the bytes at the destination again");
ABSL_FLAG(bool, wait, false, "rules verify: wait for the end");
ABSL_FLAG(std::vector<std::string>, meta, {},
          "object put: user metadata, as k=v,k2=v2");
ABSL_FLAG(std::string, content_type, "", "object put: the content type");

namespace crr {
namespace {

constexpr char kUsage[] = R"(crrctl [FLAGS] COMMAND

Shows replication rules, helps to operate them, and works on the objects of
local stores. A RULE is buckets/{source}/rules/{rule}; a BUCKET is
buckets/{bucket} or the bare id; its store is found through crr-server and must
lie below --local_roots.

Commands:
  rules list
      A table of all rules: name, destination, state, operations, conditions.
  rules watch RULE [--until=synced]
      Shows how far buckets/{source}/rules/{rule} has come: live bars on a
      terminal, one line for each change otherwise. Ends with 0 when the rule
      is gone. With --until=synced it ends with 0 as soon as historical work is
      complete (or was not asked for), no change is pending, and everything
      written before the command was started is at the destination (by the
      clocks of this machine and of the source), and with 1 when the rule is
      gone before that.
  rules verify RULE [--read_bytes] [--wait]
      Begins to compare the two buckets key by key and to repair what differs.
      With --wait it ends once all is compared, with the score, the differences
      by kind and the first of them, and with 1 when there are any.
  failed list RULE [--prefix=P] [--reason=R] [--min_age=T] [KEY...] or [--all]
      A table of the objects that left their lane because they fail or are
      large: those that fit all that is given, or all.
  failed retry RULE, selected in the same way, all by --all only
      Tries them again at once, with all their attempts.
  failed skip RULE, selected in the same way
      Gives dead letters up: their changes count as filtered.
  copiers list
      A table of the copiers that have a session.
  copiers drain COPIER
      Asks a copier for all its leases and gives it no others.
  leases list
      A table of the leases that live.
  leases revoke LEASE
      Asks for a lease back; its work goes to any copier.
  object put BUCKET KEY [FILE or -] [--meta=k=v,k2=v2] [--content_type=TYPE]
      Writes an object from a file, or from standard input.
  object get BUCKET KEY [FILE or -]
      Reads an object into a file, or to standard output.
  object rm BUCKET KEY...
      Deletes objects; one that is absent is no error.
  object ls BUCKET [PREFIX]
      Size, time of the last change and key of each object.
  object stat BUCKET KEY
      All that the store knows of an object, as "name: value" lines.
  import BUCKET DIR
      Writes every regular file below DIR as an object; its key is its path
      relative to DIR. Symbolic links, devices, unreadable files and names that
      are no valid keys are skipped, counted, and the first 20 named.
  compare A B
      Reads and compares the bytes of two sides. A side is a folder when it
      starts with "/", "./" or "../", or is the name of an existing folder
      (buckets/{bucket} is always a bucket), and a bucket otherwise. The first
      50 differences are named, all are counted.

Ends with 0 on success, 1 on an error, 2 on a wrong command line. compare: 0
when both sides are equal, 1 when they differ, 2 on any error.
)";

using Arguments = std::vector<std::string>;

void Write(std::FILE* stream, absl::string_view text) {
  std::fwrite(text.data(), 1, text.size(), stream);
  std::fflush(stream);
}

// What the commands work with.
struct Tools {
  Control& control;
  Buckets& buckets;
  const Console& console;
};

absl::StatusOr<int> ListRules(const Tools& tools, const Arguments&) {
  CRR_ASSIGN_OR_RETURN(const std::vector<v1::Rule> rules,
                       tools.control.ListRules());
  tools.console.out(RulesTable(rules));
  return 0;
}

// Waits a moment; false when the reader of standard output has gone away.
bool Pause() {
  constexpr int kMilliseconds = 250;
  pollfd output{.fd = STDOUT_FILENO, .events = 0};
  return ::poll(&output, 1, kMilliseconds) <= 0;
}

absl::StatusOr<int> Watch(const Tools& tools, const Arguments& arguments) {
  const std::string until = absl::GetFlag(FLAGS_until);
  if (!until.empty() && until != "synced") {
    tools.console.err("crrctl: --until must be \"synced\"\n");
    return 2;
  }
  CRR_RETURN_IF_ERROR(
      WatchRule(tools.control,
                {.rule = arguments[0],
                 .until_synced = !until.empty(),
                 .terminal = ::isatty(STDOUT_FILENO) == 1,
                 .pause = Pause},
                Clock::Real(), tools.console));
  return 0;
}

absl::StatusOr<int> Verify(const Tools& tools, const Arguments& arguments) {
  CRR_ASSIGN_OR_RETURN(
      const bool equal,
      VerifyRule(tools.control,
                 {.rule = arguments[0],
                  .read_bytes = absl::GetFlag(FLAGS_read_bytes),
                  .wait = absl::GetFlag(FLAGS_wait),
                  .pause = Pause},
                 tools.console));
  return equal ? 0 : 1;
}

// The command does `act` to the failed objects that the command line selects.
template <absl::Status (*act)(Control&, const std::string&,
                              const v1::FailedObjectSelection&,
                              const Console&)>
absl::StatusOr<int> Failed(const Tools& tools, const Arguments& arguments) {
  v1::FailedObjectSelection selection;
  selection.mutable_keys()->Assign(arguments.begin() + 1, arguments.end());
  selection.set_prefix(absl::GetFlag(FLAGS_prefix));
  selection.set_reason(absl::GetFlag(FLAGS_reason));
  selection.set_all(absl::GetFlag(FLAGS_all));
  if (const absl::Duration age = absl::GetFlag(FLAGS_min_age);
      age != absl::ZeroDuration()) {
    const int64_t seconds = absl::ToInt64Seconds(age);
    selection.mutable_min_age()->set_seconds(seconds);
    selection.mutable_min_age()->set_nanos(static_cast<int32_t>(
        absl::ToInt64Nanoseconds(age - absl::Seconds(seconds))));
  }
  CRR_RETURN_IF_ERROR(
      act(tools.control, arguments[0], selection, tools.console));
  return 0;
}

template <absl::Status (*list)(Control&, const Console&)>
absl::StatusOr<int> ListAll(const Tools& tools, const Arguments&) {
  CRR_RETURN_IF_ERROR(list(tools.control, tools.console));
  return 0;
}

template <absl::Status (*act)(Control&, const std::string&, const Console&)>
absl::StatusOr<int> OnOne(const Tools& tools, const Arguments& arguments) {
  CRR_RETURN_IF_ERROR(act(tools.control, arguments[0], tools.console));
  return 0;
}

absl::StatusOr<int> Put(const Tools& tools, const Arguments& arguments) {
  ObjectFacts facts;
  facts.headers.type = absl::GetFlag(FLAGS_content_type);
  for (const std::string& pair : absl::GetFlag(FLAGS_meta)) {
    const std::vector<std::string> parts =
        absl::StrSplit(pair, absl::MaxSplits('=', 1));
    if (parts.size() != 2 || parts[0].empty()) {
      tools.console.err("crrctl: --meta must be k=v,k2=v2\n");
      return 2;
    }
    facts.user_metadata[parts[0]] = parts[1];
  }
  CRR_ASSIGN_OR_RETURN(const LocatedBucket bucket,
                       tools.buckets.FindOrMake(arguments[0]));
  CRR_RETURN_IF_ERROR(PutObject(*bucket.store, bucket.id, arguments[1],
                                arguments.size() > 2 ? arguments[2] : "-",
                                facts));
  return 0;
}

absl::StatusOr<int> Get(const Tools& tools, const Arguments& arguments) {
  CRR_ASSIGN_OR_RETURN(const LocatedBucket bucket,
                       tools.buckets.Find(arguments[0]));
  CRR_RETURN_IF_ERROR(GetObject(*bucket.store, bucket.id, arguments[1],
                                arguments.size() > 2 ? arguments[2] : "-"));
  return 0;
}

absl::StatusOr<int> Remove(const Tools& tools, const Arguments& arguments) {
  CRR_ASSIGN_OR_RETURN(const LocatedBucket bucket,
                       tools.buckets.Find(arguments[0]));
  for (size_t i = 1; i < arguments.size(); ++i) {
    CRR_RETURN_IF_ERROR(RemoveObject(*bucket.store, bucket.id, arguments[i]));
  }
  return 0;
}

absl::StatusOr<int> List(const Tools& tools, const Arguments& arguments) {
  CRR_ASSIGN_OR_RETURN(const LocatedBucket bucket,
                       tools.buckets.Find(arguments[0]));
  CRR_RETURN_IF_ERROR(ListObjects(*bucket.store, bucket.id,
                                  arguments.size() > 1 ? arguments[1] : "",
                                  tools.console));
  return 0;
}

absl::StatusOr<int> Stat(const Tools& tools, const Arguments& arguments) {
  CRR_ASSIGN_OR_RETURN(const LocatedBucket bucket,
                       tools.buckets.Find(arguments[0]));
  CRR_RETURN_IF_ERROR(
      StatObject(*bucket.store, bucket.id, arguments[1], tools.console));
  return 0;
}

absl::StatusOr<int> Import(const Tools& tools, const Arguments& arguments) {
  CRR_ASSIGN_OR_RETURN(const LocatedBucket bucket,
                       tools.buckets.FindOrMake(arguments[0]));
  SkipList skipped;
  const absl::StatusOr<ImportTotals> totals =
      ImportFolder(arguments[1], *bucket.store, bucket.id, skipped);
  tools.console.err(skipped.Report());
  CRR_RETURN_IF_ERROR(totals.status());
  tools.console.out(absl::StrCat("imported ", totals->objects, " objects, ",
                                 totals->bytes, " bytes, skipped ",
                                 skipped.count(), "\n"));
  return 0;
}

bool IsFolderName(const std::string& side) {
  if (absl::StartsWith(side, "buckets/")) return false;
  std::error_code ignored;
  return absl::StartsWith(side, "/") || absl::StartsWith(side, "./") ||
         absl::StartsWith(side, "../") ||
         std::filesystem::is_directory(side, ignored);
}

absl::StatusOr<std::unique_ptr<Side>> MakeSide(const Tools& tools,
                                               const std::string& name,
                                               SkipList& skipped) {
  if (IsFolderName(name)) return FolderSide(name, skipped);
  CRR_ASSIGN_OR_RETURN(LocatedBucket bucket, tools.buckets.Find(name));
  return BucketSide(std::move(bucket.store), std::move(bucket.id));
}

absl::StatusOr<int> CompareSides(const Tools& tools,
                                 const Arguments& arguments) {
  constexpr int kNamedMax = 50;
  SkipList skipped;
  CRR_ASSIGN_OR_RETURN(const std::unique_ptr<Side> a,
                       MakeSide(tools, arguments[0], skipped));
  CRR_ASSIGN_OR_RETURN(const std::unique_ptr<Side> b,
                       MakeSide(tools, arguments[1], skipped));
  int named = 0;
  const absl::StatusOr<Comparison> result =
      Compare(*a, *b, [&](absl::string_view difference) {
        if (named == kNamedMax) return;
        ++named;
        tools.console.out(absl::StrCat(difference, "\n"));
      });
  tools.console.err(skipped.Report());
  CRR_RETURN_IF_ERROR(result.status());
  if (result->differences == 0) {
    tools.console.out(absl::StrCat("equal: ", result->a.objects, " objects, ",
                                   result->a.bytes, " bytes\n"));
    return 0;
  }
  tools.console.out(absl::StrCat(
      "A: ", result->a.objects, " objects, ", result->a.bytes, " bytes\nB: ",
      result->b.objects, " objects, ", result->b.bytes,
      " bytes\nnot equal: ", result->differences, " differences",
      result->differences > named ? absl::StrCat(", ", named, " of them named")
                                  : "",
      "\n"));
  return 1;
}

struct Command {
  absl::string_view words;
  absl::string_view usage;  // Of what follows the words.
  size_t arguments_min;
  size_t arguments_max;
  absl::StatusOr<int> (*run)(const Tools&, const Arguments&);
  int status_of_errors = 1;
};

constexpr Command kCommands[] = {
    {"rules list", "", 0, 0, ListRules},
    {"rules watch", "RULE [--until=synced]", 1, 1, Watch},
    {"rules verify", "RULE [--read_bytes] [--wait]", 1, 1, Verify},
    {"failed list", "RULE [KEY...]", 1, SIZE_MAX, Failed<ListFailed>},
    {"failed retry", "RULE [KEY...]", 1, SIZE_MAX, Failed<RetryFailed>},
    {"failed skip", "RULE [KEY...]", 1, SIZE_MAX, Failed<SkipFailed>},
    {"copiers list", "", 0, 0, ListAll<ListCopiers>},
    {"copiers drain", "COPIER", 1, 1, OnOne<DrainCopier>},
    {"leases list", "", 0, 0, ListAll<ListLeases>},
    {"leases revoke", "LEASE", 1, 1, OnOne<RevokeLease>},
    {"object put", "BUCKET KEY [FILE or -]", 2, 3, Put},
    {"object get", "BUCKET KEY [FILE or -]", 2, 3, Get},
    {"object rm", "BUCKET KEY...", 2, SIZE_MAX, Remove},
    {"object ls", "BUCKET [PREFIX]", 1, 2, List},
    {"object stat", "BUCKET KEY", 2, 2, Stat},
    {"import", "BUCKET DIR", 2, 2, Import},
    {"compare", "A B", 2, 2, CompareSides, 2},
};

// Finds the command and takes its words off `arguments`.
const Command* TakeCommand(Arguments& arguments) {
  for (const Command& command : kCommands) {
    const Arguments words = absl::StrSplit(command.words, ' ');
    if (arguments.size() >= words.size() &&
        std::equal(words.begin(), words.end(), arguments.begin())) {
      arguments.erase(arguments.begin(),
                      arguments.begin() + static_cast<ptrdiff_t>(words.size()));
      return &command;
    }
  }
  return nullptr;
}

int Main(int argc, char** argv) {
  Arguments arguments = InitProgram("crrctl", kUsage, argc, argv);
  const Command* const command = TakeCommand(arguments);
  if (command == nullptr) {
    Write(stderr,
          "usage: crrctl [FLAGS] "
          "rules|failed|copiers|leases|object|import|compare ... (see "
          "--help)\n");
    return 2;
  }
  if (arguments.size() < command->arguments_min ||
      arguments.size() > command->arguments_max) {
    Write(stderr, absl::StrCat("usage: crrctl ", command->words, " ",
                               command->usage, " (see --help)\n"));
    return 2;
  }

  Control control(MakeChannel(absl::GetFlag(FLAGS_server)));
  RegionStores stores(absl::GetFlag(FLAGS_local_roots));
  Buckets buckets(control, stores);
  const Console console{
      .out = [](absl::string_view text) { Write(stdout, text); },
      .err = [](absl::string_view text) { Write(stderr, text); }};
  const absl::StatusOr<int> result =
      command->run({.control = control, .buckets = buckets, .console = console},
                   arguments);
  if (result.ok()) return *result;
  Write(stderr, absl::StrCat("crrctl: ", result.status().message(), "\n"));
  return command->status_of_errors;
}

}  // namespace
}  // namespace crr

int main(int argc, char** argv) { return crr::Main(argc, argv); }
