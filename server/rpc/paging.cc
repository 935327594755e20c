#include "server/rpc/paging.h"

#include <algorithm>
#include <optional>

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "base/hash.h"
#include "crr/v1/rule.pb.h"
#include "proto/cc/resource_name.h"
#include "server/core/limits.h"

namespace crr {
namespace {

// 16 hex digits that tie a token to its query and to its own content.
std::string Seal(absl::string_view last, absl::string_view query) {
  return absl::StrCat(absl::Hex(Hash64(absl::StrCat(query.size(), ":", query,
                                                    last)),
                                absl::kZeroPad16));
}
constexpr size_t kSealBytes = 16;

// Takes one word or quoted string off the front; nullopt when there is none.
std::optional<std::string> TakeToken(absl::string_view& in) {
  in = absl::StripLeadingAsciiWhitespace(in);
  if (in.empty()) return std::nullopt;
  if (in.front() == '"') {
    const size_t end = in.find('"', 1);
    if (end == absl::string_view::npos) return std::nullopt;
    std::string token(in.substr(1, end - 1));
    in.remove_prefix(end + 1);
    return token;
  }
  if (in.front() == '=') {
    in.remove_prefix(1);
    return "=";
  }
  const size_t end = std::min(in.find_first_of(" \t=\""), in.size());
  std::string token(in.substr(0, end));
  in.remove_prefix(end);
  return token;
}

// Puts one term into the filter; the reason why not, or empty.
std::string Apply(const std::string& field, const std::string& value,
                  RuleFilter& filter) {
  const auto set_bucket = [&](std::optional<std::string>& target) {
    const auto id = ParseBucketName(value);
    if (target) return absl::StrCat(field, " is given twice");
    if (!id.ok()) return absl::StrCat(field, " must be buckets/{bucket}");
    target = *id;
    return std::string();
  };
  if (field == "source_bucket") return set_bucket(filter.source);
  if (field == "destination_bucket") return set_bucket(filter.destination);
  if (field == "state") {
    v1::Rule::State state{};
    if (filter.state) return "state is given twice";
    if (!v1::Rule::State_Parse(value, &state) ||
        state == v1::Rule::STATE_UNSPECIFIED) {
      return "state must be STARTING, ACTIVE, PAUSED or CLOSING";
    }
    filter.state = static_cast<RuleState>(state);
    return "";
  }
  return "fields are state, source_bucket and destination_bucket";
}

}  // namespace

Page ParsePage(int32_t page_size, absl::string_view page_token,
               absl::string_view query, std::vector<Violation>& found) {
  Page page{.after = "",
            .size = page_size == 0 ? limits::kPageSizeDefault
                                   : std::min(page_size, limits::kPageSizeMax)};
  if (page_size < 0) {
    found.push_back({.reason = "INVALID_PAGE_SIZE",
                     .field = "page_size",
                     .description = "a page size is 0 or more"});
  }
  if (page_token.empty()) return page;
  std::string token;
  if (!absl::WebSafeBase64Unescape(page_token, &token) ||
      token.size() <= kSealBytes ||
      Seal(absl::string_view(token).substr(kSealBytes), query) !=
          absl::string_view(token).substr(0, kSealBytes)) {
    found.push_back({.reason = "INVALID_PAGE_TOKEN",
                     .field = "page_token",
                     .description = "the token does not belong to this query"});
    return page;
  }
  page.after = token.substr(kSealBytes);
  return page;
}

std::string MakePageToken(absl::string_view last, absl::string_view query) {
  return absl::WebSafeBase64Escape(absl::StrCat(Seal(last, query), last));
}

RuleFilter ParseRuleFilter(absl::string_view text,
                           std::vector<Violation>& found) {
  RuleFilter filter;
  const auto refuse = [&](absl::string_view why) {
    found.push_back({.reason = "INVALID_FILTER",
                     .field = "filter",
                     .description = std::string(why)});
    return RuleFilter{};
  };
  if (text.size() > limits::kFilterBytesMax) return refuse("too long");
  absl::string_view in = absl::StripAsciiWhitespace(text);
  while (!in.empty()) {
    const auto field = TakeToken(in);
    const auto equals = TakeToken(in);
    const auto value = TakeToken(in);
    if (!field || equals != "=" || !value || value == "=") {
      return refuse("a term is `field = value`");
    }
    if (const std::string why = Apply(*field, *value, filter); !why.empty()) {
      return refuse(why);
    }
    in = absl::StripLeadingAsciiWhitespace(in);
    if (in.empty()) break;
    if (TakeToken(in) != "AND" || absl::StripAsciiWhitespace(in).empty()) {
      return refuse("terms are joined by AND");
    }
  }
  return filter;
}

}  // namespace crr
