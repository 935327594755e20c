#include "client/crrctl/verify.h"

#include <map>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "base/status_macros.h"
#include "client/crrctl/text.h"

namespace crr {
namespace {

// Waits until the latest compare of the rule is over, across restarts of the
// server.
absl::StatusOr<v1::Verification> AwaitEnd(Control& control,
                                          const VerifyOptions& options) {
  while (options.pause()) {
    const absl::StatusOr<v1::RuleProgress> progress =
        control.GetRuleProgress(options.rule);
    if (!progress.ok()) {
      if (absl::IsUnavailable(progress.status()) ||
          absl::IsDeadlineExceeded(progress.status())) {
        continue;
      }
      return progress.status();
    }
    if (progress->verification().has_end_time()) {
      return progress->verification();
    }
  }
  return absl::CancelledError("the wait was ended");
}

std::string Report(const v1::Verification& verification) {
  std::string text = absl::StrCat(
      "verification ", verification.number(), ": compared ",
      verification.compared(), ", equal ", verification.equal(), ", score ",
      verification.has_score() ? absl::StrFormat("%.6f", verification.score())
                               : "-",
      "\n");
  const std::map<std::string, int64_t> ordered(
      verification.differences().begin(), verification.differences().end());
  for (const auto& [reason, count] : ordered) {
    absl::StrAppend(&text, reason, " ", count, "\n");
  }
  for (const auto& sample : verification.samples()) {
    absl::StrAppend(&text, "  ", sample.reason(), "  ", Printable(sample.key()),
                    "\n");
  }
  return text;
}

}  // namespace

absl::StatusOr<bool> VerifyRule(Control& control, const VerifyOptions& options,
                                const Console& console) {
  CRR_ASSIGN_OR_RETURN(v1::Verification verification,
                       control.VerifyRule(options.rule, options.read_bytes));
  if (!options.wait) {
    console.out(absl::StrCat("verification ", verification.number(), " of ",
                             options.rule, " is under way\n"));
    return true;
  }
  CRR_ASSIGN_OR_RETURN(verification, AwaitEnd(control, options));
  console.out(Report(verification));
  return verification.equal() == verification.compared();
}

}  // namespace crr
