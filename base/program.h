#ifndef CRR_BASE_PROGRAM_H_
#define CRR_BASE_PROGRAM_H_

#include <string>
#include <vector>

#include "absl/strings/string_view.h"

namespace crr {

// Parses the flags of a program: first `CRR_<FLAG>` from the environment for
// each flag of the program itself, then the command line, which wins.
// Handles --help (prints `usage` and the flags, exits 0) and --version.
// A wrong flag or value ends the process with status 2 and a sentence on
// standard error. Returns the positional arguments, the program's name left
// out. Call once, first thing in main.
std::vector<std::string> InitProgram(absl::string_view program,
                                     absl::string_view usage, int argc,
                                     char** argv);

// The version of this build, such as "0.1.0".
absl::string_view Version();

// Blocks SIGINT and SIGTERM in this thread and those that it starts later, so
// that WaitForStopSignal alone receives them. Call before any thread starts.
void BlockStopSignals();

// Waits for SIGINT or SIGTERM and returns which it was.
int WaitForStopSignal();

}  // namespace crr

#endif  // CRR_BASE_PROGRAM_H_
