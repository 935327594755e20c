#include "client/crrctl/operate.h"

#include <google/protobuf/util/time_util.h>

#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "client/crrctl/table.h"
#include "client/crrctl/text.h"

namespace crr {
namespace {

std::string FullName(absl::string_view prefix, const std::string& id) {
  return absl::StartsWith(id, prefix) ? id : absl::StrCat(prefix, id);
}

std::string OrDash(const std::string& text) {
  return text.empty() ? "-" : Printable(text);
}

}  // namespace

absl::Status ListCopiers(Control& control, const Console& console) {
  CRR_ASSIGN_OR_RETURN(const std::vector<v1::Copier> copiers,
                       control.ListCopiers());
  std::vector<std::vector<std::string>> rows = {
      {"NAME", "REGION", "SESSION", "LEASES", "CREDIT", "STATE"}};
  for (const v1::Copier& copier : copiers) {
    rows.push_back({copier.name(), OrDash(copier.region()),
                    absl::StrCat(copier.session_number()),
                    absl::StrCat(copier.leases()),
                    absl::StrCat(copier.lease_credit()),
                    absl::StrCat(copier.connected() ? "connected" : "gone",
                                 copier.draining() ? ",draining" : "")});
  }
  console.out(Table(rows));
  return absl::OkStatus();
}

absl::Status DrainCopier(Control& control, const std::string& copier,
                         const Console& console) {
  CRR_ASSIGN_OR_RETURN(const v1::Copier drained,
                       control.DrainCopier(FullName("copiers/", copier)));
  console.out(absl::StrCat(drained.name(), " gets no leases any more; ",
                           drained.leases(), " are asked back\n"));
  return absl::OkStatus();
}

absl::Status ListLeases(Control& control, const Console& console) {
  using google::protobuf::util::TimeUtil;
  CRR_ASSIGN_OR_RETURN(const std::vector<v1::LeaseStatus> leases,
                       control.ListLeases());
  std::vector<std::vector<std::string>> rows = {{"NAME", "KIND", "COPIER",
                                                 "RULE", "TOKEN", "ATTEMPTS",
                                                 "GRANTED", "ASKED BACK"}};
  for (const v1::LeaseStatus& lease : leases) {
    rows.push_back({lease.name(), v1::Lease::Kind_Name(lease.kind()),
                    lease.copier(), lease.rule(), absl::StrCat(lease.token()),
                    absl::StrCat(lease.attempts()),
                    HumanTime(absl::FromUnixNanos(
                        TimeUtil::TimestampToNanoseconds(lease.grant_time()))),
                    OrDash(lease.revoke_reason())});
  }
  console.out(Table(rows));
  return absl::OkStatus();
}

absl::Status RevokeLease(Control& control, const std::string& lease,
                         const Console& console) {
  CRR_ASSIGN_OR_RETURN(const v1::LeaseStatus revoked,
                       control.RevokeLease(FullName("leases/", lease)));
  console.out(absl::StrCat(revoked.name(), " is asked back from ",
                           revoked.copier(), "\n"));
  return absl::OkStatus();
}

}  // namespace crr
