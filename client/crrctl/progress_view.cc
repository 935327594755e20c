#include "client/crrctl/progress_view.h"

#include <google/protobuf/util/time_util.h>

#include <algorithm>
#include <cmath>
#include <map>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "client/crrctl/rules.h"
#include "client/crrctl/text.h"

namespace crr {
namespace {

using google::protobuf::util::TimeUtil;

absl::Time ToTime(const google::protobuf::Timestamp& timestamp) {
  return absl::FromUnixNanos(TimeUtil::TimestampToNanoseconds(timestamp));
}

absl::Duration ToDuration(const google::protobuf::Duration& duration) {
  return absl::Nanoseconds(TimeUtil::DurationToNanoseconds(duration));
}

bool IsComplete(const v1::RuleProgress::Historical& historical) {
  return historical.inventory_complete() && historical.fraction() >= 1;
}

// Rounded down: 100.0 is said of what is complete, and of nothing else.
double Percent(const v1::RuleProgress::Historical& historical) {
  if (IsComplete(historical)) return 100;
  return std::min(std::floor(historical.fraction() * 1'000) / 10, 99.9);
}

std::string Counts(const v1::RuleProgress::Historical& historical) {
  return absl::StrCat(historical.done_objects(), "/",
                      historical.total_objects(),
                      historical.inventory_complete() ? "" : "+");
}

int64_t Filtered(const v1::RuleProgress::Live& live) {
  int64_t total = 0;
  for (const auto& [reason, count] : live.filtered()) total += count;
  return total;
}

// `text` cut to `columns`. Whether a character that is not ASCII is one column
// wide or two depends on the terminal: two is safe.
std::string Cut(absl::string_view text, size_t columns) {
  size_t width = 0;
  size_t end = 0;
  while (end < text.size()) {
    size_t next = end + 1;
    while (next < text.size() &&
           (static_cast<unsigned char>(text[next]) & 0xc0) == 0x80) {
      ++next;
    }
    const size_t character = next - end == 1 ? 1 : 2;
    if (width + character > columns) break;
    width += character;
    end = next;
  }
  return std::string(text.substr(0, end));
}

std::string HistoricalText(const v1::RuleProgress::Historical& historical,
                           std::optional<double> bytes_per_second,
                           size_t columns) {
  const double percent = Percent(historical);
  std::string figures =
      absl::StrCat(absl::StrFormat("%5.1f%%", percent), "  ",
                   Counts(historical), "  ", HumanBytes(historical.bytes()));
  if (!IsComplete(historical)) {
    if (bytes_per_second.has_value()) {
      absl::StrAppend(
          &figures, "  ",
          HumanBytes(static_cast<int64_t>(std::llround(*bytes_per_second))),
          "/s");
    }
    if (historical.has_eta()) {
      absl::StrAppend(&figures, "  ETA ",
                      HumanDuration(ToDuration(historical.eta())));
    }
  }
  if (historical.skipped() > 0) {
    absl::StrAppend(&figures, "  skipped ", historical.skipped());
  }
  if (historical.failed() > 0) {
    absl::StrAppend(&figures, "  failing ", historical.failed());
  }
  // The bar takes what the figures leave, within reason.
  const size_t taken = absl::string_view("historical [] ").size() +
                       figures.size();
  const size_t width = std::clamp<size_t>(
      columns > taken ? columns - taken : 0, 10, 40);
  const auto filled =
      static_cast<size_t>(percent / 100 * static_cast<double>(width));
  return absl::StrCat("historical [", std::string(filled, '#'),
                      std::string(width - filled, '-'), "] ", figures);
}

std::string LiveText(const v1::RuleProgress::Live& live) {
  std::string text = absl::StrCat("live       pending ", live.pending());
  if (live.has_last_sync_time()) {
    absl::StrAppend(&text, "  in step until ",
                    HumanTime(ToTime(live.last_sync_time())), "  lag ",
                    HumanDuration(ToDuration(live.lag())));
  } else {
    absl::StrAppend(&text, "  lag unknown: ", live.last_sync_unknown_reason());
  }
  absl::StrAppend(&text, "  applied ", live.applied(), "  filtered ",
                  Filtered(live));
  if (live.resync() > 0) absl::StrAppend(&text, "  resync ", live.resync());
  if (live.failed() > 0) absl::StrAppend(&text, "  failed ", live.failed());
  if (!live.oldest_pending_key().empty()) {
    absl::StrAppend(&text, "  oldest ", Printable(live.oldest_pending_key()));
  }
  return text;
}

// The score, rounded down: 1 is said of what is equal, and of nothing else.
std::string Score(const v1::Verification& verification) {
  if (!verification.has_score()) return "-";
  return absl::StrFormat("%.4f",
                         std::floor(verification.score() * 10'000) / 10'000);
}

std::string VerificationText(const v1::Verification& verification) {
  std::string text = absl::StrCat(
      "verified   compared ", verification.compared(), "  equal ",
      verification.equal(), "  score ", Score(verification));
  const std::map<std::string, int64_t> ordered(
      verification.differences().begin(), verification.differences().end());
  for (const auto& [reason, count] : ordered) {
    absl::StrAppend(&text, "  ", reason, " ", count);
  }
  absl::StrAppend(&text, "  ",
                  verification.has_end_time()
                      ? HumanTime(ToTime(verification.end_time()))
                      : "under way");
  return text;
}

}  // namespace

std::string ProgressLine(const v1::RuleProgress& progress) {
  std::string line = "historical ";
  if (progress.has_historical()) {
    absl::StrAppend(&line,
                    absl::StrFormat("%.1f%%", Percent(progress.historical())),
                    " ", Counts(progress.historical()));
  } else {
    absl::StrAppend(&line, "off");
  }
  const v1::RuleProgress::Live& live = progress.live();
  absl::StrAppend(
      &line, " live pending=", live.pending(), " last_sync=",
      live.has_last_sync_time()
          ? HumanTime(ToTime(live.last_sync_time()))
          : absl::StrCat("unknown(", live.last_sync_unknown_reason(), ")"),
      " applied=", live.applied(), " filtered=", Filtered(live),
      " resync=", live.resync(), " failed=", live.failed(), " verification=",
      Score(progress.verification()),
      progress.has_verification() && !progress.verification().has_end_time()
          ? "+"
          : "",
      " state=", v1::Rule::State_Name(progress.state()), " conditions=",
      progress.conditions().empty() ? "-"
                                    : ConditionTypes(progress.conditions()));
  return line;
}

std::vector<std::string> ProgressFrame(const v1::RuleProgress& progress,
                                       std::optional<double> bytes_per_second,
                                       size_t columns) {
  std::vector<std::string> lines;
  lines.push_back(absl::StrCat(progress.name(), "  ",
                               v1::Rule::State_Name(progress.state())));
  lines.push_back(progress.has_historical()
                      ? HistoricalText(progress.historical(), bytes_per_second,
                                       columns)
                      : "historical off");
  lines.push_back(LiveText(progress.live()));
  if (progress.has_verification()) {
    lines.push_back(VerificationText(progress.verification()));
  }
  for (const v1::Rule::Condition& condition : progress.conditions()) {
    lines.push_back(absl::StrCat("! ", condition.type(), ": ",
                                 Printable(condition.message()), " (",
                                 Printable(condition.remedy()), ")"));
  }
  for (std::string& line : lines) line = Cut(line, columns);
  return lines;
}

bool IsSynced(const v1::RuleProgress& progress, absl::Time since) {
  if (progress.has_historical() && !IsComplete(progress.historical())) {
    return false;
  }
  const v1::RuleProgress::Live& live = progress.live();
  return live.pending() == 0 && live.has_last_sync_time() &&
         ToTime(live.last_sync_time()) >= since;
}

std::optional<double> RateMeter::Update(Ticks now, int64_t value) {
  constexpr absl::Duration kSmoothing = absl::Seconds(3);
  if (last_time_.has_value() && now > *last_time_) {
    const absl::Duration elapsed = now - *last_time_;
    const double rate = static_cast<double>(value - last_value_) /
                        absl::ToDoubleSeconds(elapsed);
    const double weight =
        1 - std::exp(-absl::FDivDuration(elapsed, kSmoothing));
    rate_ = rate_.has_value() ? *rate_ + weight * (rate - *rate_) : rate;
  }
  last_time_ = now;
  last_value_ = value;
  return rate_;
}

}  // namespace crr
