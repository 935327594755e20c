#include "client/crrctl/watch.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include <cstddef>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "client/crrctl/progress_view.h"

namespace crr {
namespace {

size_t TerminalColumns() {
  winsize size{};
  if (::ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) != 0 || size.ws_col == 0) {
    return 80;
  }
  return size.ws_col;
}

// Shows one state after the other. Thread-compatible.
class View {
 public:
  View(bool terminal, const Console& console)
      : terminal_(terminal), console_(console) {}

  void Show(const v1::RuleProgress& progress, Ticks now) {
    if (terminal_) {
      // One column short: some terminals wrap when the last one is filled.
      Draw(ProgressFrame(progress,
                         rate_.Update(now, progress.historical().bytes()),
                         TerminalColumns() - 1));
    } else {
      Say(ProgressLine(progress));
    }
  }

  // Says a line unless it was the last one.
  void Say(std::string line) {
    if (line == last_line_) return;
    console_.out(absl::StrCat(line, "\n"));
    last_line_ = std::move(line);
    drawn_ = 0;
  }

 private:
  // Writes over the frame before, in one piece so that it does not flicker.
  void Draw(const std::vector<std::string>& lines) {
    std::string text =
        drawn_ > 0 ? absl::StrCat("\x1b[", drawn_, "F\x1b[J") : "";
    absl::StrAppend(&text, absl::StrJoin(lines, "\n"), "\n");
    console_.out(text);
    drawn_ = lines.size();
    last_line_.clear();
  }

  const bool terminal_;
  const Console& console_;
  RateMeter rate_;
  std::string last_line_;
  size_t drawn_ = 0;  // Lines of the frame above the cursor.
};

}  // namespace

absl::Status WatchRule(Control& control, const WatchOptions& options,
                       const Clock& clock, const Console& console) {
  const absl::Time start = clock.WallNow();
  View view(options.terminal, console);
  bool seen = false;
  do {
    const absl::StatusOr<v1::RuleProgress> progress =
        control.GetRuleProgress(options.rule);
    if (progress.ok()) {
      seen = true;
      view.Show(*progress, clock.Now());
      if (options.until_synced && IsSynced(*progress, start)) {
        return absl::OkStatus();
      }
    } else if (!seen) {
      return progress.status();
    } else if (absl::IsNotFound(progress.status())) {
      if (options.until_synced) {
        return absl::NotFoundError(absl::StrCat(
            options.rule, " was deleted before it was in step"));
      }
      view.Say(absl::StrCat(options.rule, " is gone"));
      return absl::OkStatus();
    } else if (absl::IsUnavailable(progress.status()) ||
               absl::IsDeadlineExceeded(progress.status())) {
      view.Say("the server does not answer; waiting for it");
    } else {
      return progress.status();
    }
  } while (options.pause());
  return absl::CancelledError("the watch was ended");
}

}  // namespace crr
