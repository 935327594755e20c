#include "base/program.h"

#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <map>

#include "absl/flags/parse.h"
#include "absl/flags/reflection.h"
#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "base/log.h"

namespace crr {
namespace {

// The flags that this program's own sources define, by name.
std::map<std::string, absl::CommandLineFlag*> OwnFlags() {
  std::map<std::string, absl::CommandLineFlag*> own;
  for (const auto& [name, flag] : absl::GetAllFlags()) {
    const std::string file = flag->Filename();
    // Abseil's own flags (--flagfile and the like) are defined under absl/.
    if (file.find("absl/flags/") == std::string::npos) {
      own.emplace(std::string(name), flag);
    }
  }
  return own;
}

[[noreturn]] void PrintHelp(absl::string_view usage) {
  std::string text(usage);
  absl::StrAppend(&text, "\nFlags (each also as CRR_<FLAG>):\n");
  for (const auto& [name, flag] : OwnFlags()) {
    absl::StrAppend(&text, "  --", name, "  ", flag->Help(), " (default: \"",
                    flag->DefaultValue(), "\")\n");
  }
  absl::StrAppend(&text, "  --help  This text.\n  --version  The version.\n");
  std::fputs(text.c_str(), stdout);
  std::exit(0);
}

[[noreturn]] void Refuse(absl::string_view program, absl::string_view why) {
  std::fprintf(stderr, "%s: %s (see --help)\n", std::string(program).c_str(),
               std::string(why).c_str());
  std::exit(2);
}

void SetFlag(absl::string_view program, absl::string_view origin,
             absl::CommandLineFlag& flag, absl::string_view value) {
  std::string error;
  if (!flag.ParseFrom(value, &error)) {
    Refuse(program, absl::StrCat("bad value \"", value, "\" for ", origin,
                                 error.empty() ? "" : ": ", error));
  }
}

}  // namespace

absl::string_view Version() { return CRR_VERSION; }

std::vector<std::string> InitProgram(absl::string_view program,
                                     absl::string_view usage, int argc,
                                     char** argv) {
  InitLog(program);
  const auto flags = OwnFlags();
  for (const auto& [name, flag] : flags) {
    const std::string variable = absl::StrCat("CRR_", absl::AsciiStrToUpper(name));
    if (const char* value = std::getenv(variable.c_str())) {
      SetFlag(program, variable, *flag, value);
    }
  }
  // Parsed here, not by absl: its --help and its errors exit with 1, and it
  // would take "-" (standard input, for crrctl) for a flag.
  std::vector<std::string> positional;
  bool flags_end = false;
  for (int i = 1; i < argc; ++i) {
    const std::string argument = argv[i];
    if (flags_end || argument.size() < 3 || argument.substr(0, 2) != "--") {
      if (argument == "--" && !flags_end) {
        flags_end = true;
      } else {
        positional.push_back(argument);
      }
      continue;
    }
    const size_t equals = argument.find('=');
    const bool has_value = equals != std::string::npos;
    const std::string name = argument.substr(2, has_value ? equals - 2 : equals);
    if (name == "help") PrintHelp(usage);
    if (name == "version") {
      std::printf("%s %s\n", std::string(program).c_str(), CRR_VERSION);
      std::exit(0);
    }
    auto found = flags.find(name);
    if (found == flags.end() && !has_value && name.rfind("no", 0) == 0) {
      found = flags.find(name.substr(2));
      if (found != flags.end() && found->second->IsOfType<bool>()) {
        SetFlag(program, argument, *found->second, "false");
        continue;
      }
      found = flags.end();
    }
    if (found == flags.end()) {
      Refuse(program, absl::StrCat("unknown flag --", name));
    }
    std::string value;
    if (has_value) {
      value = argument.substr(equals + 1);
    } else if (found->second->IsOfType<bool>()) {
      value = "true";
    } else if (i + 1 < argc) {
      value = argv[++i];
    } else {
      Refuse(program, absl::StrCat("--", name, " needs a value"));
    }
    SetFlag(program, absl::StrCat("--", name), *found->second, value);
  }
  return positional;
}

namespace {
sigset_t StopSignals() {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGINT);
  sigaddset(&set, SIGTERM);
  return set;
}
}  // namespace

void BlockStopSignals() {
  const sigset_t set = StopSignals();
  pthread_sigmask(SIG_BLOCK, &set, nullptr);
  std::signal(SIGPIPE, SIG_IGN);
}

int WaitForStopSignal() {
  const sigset_t set = StopSignals();
  int signal_number = 0;
  while (sigwait(&set, &signal_number) != 0) {
  }
  return signal_number;
}

}  // namespace crr
