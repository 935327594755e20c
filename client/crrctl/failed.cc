#include "client/crrctl/failed.h"

#include <google/protobuf/util/time_util.h>

#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "client/crrctl/table.h"
#include "client/crrctl/text.h"

namespace crr {
namespace {

std::vector<std::string> RowOf(const v1::FailedObject& object) {
  using google::protobuf::util::TimeUtil;
  return {v1::FailedObject::State_Name(object.state()),
          Printable(object.reason()),
          absl::StrCat(object.attempts()),
          absl::StrCat(object.changes()),
          HumanBytes(object.size_bytes()),
          HumanTime(absl::FromUnixNanos(
              TimeUtil::TimestampToNanoseconds(object.last_failure_time()))),
          Printable(object.key()),
          object.message().empty() ? "-" : Printable(object.message())};
}

// Repeats `call` while there are more and it does something.
template <typename Request, typename Response>
absl::Status DoAll(Control& control, const std::string& rule,
                   const v1::FailedObjectSelection& selection,
                   absl::StatusOr<Response> (Control::*call)(const Request&),
                   absl::string_view done, const Console& console) {
  Request request;
  request.set_name(rule);
  *request.mutable_selection() = selection;
  int64_t objects = 0;
  absl::StatusOr<Response> response;
  do {
    response = (control.*call)(request);
    if (!response.ok() && objects == 0) return response.status();
    if (response.ok()) objects += response->objects();
  } while (response.ok() && response->more() && response->objects() > 0);
  console.out(absl::StrCat(objects, " objects ", done, "\n"));
  return response.status();
}

}  // namespace

absl::Status ListFailed(Control& control, const std::string& rule,
                        const v1::FailedObjectSelection& selection,
                        const Console& console) {
  v1::ListFailedObjectsRequest request;
  request.set_parent(rule);
  request.set_page_size(1'000);
  *request.mutable_selection() = selection;
  do {
    // A table for each page: there may be more than memory is good for.
    CRR_ASSIGN_OR_RETURN(const v1::ListFailedObjectsResponse page,
                         control.ListFailedObjects(request));
    std::vector<std::vector<std::string>> rows = {
        {"STATE", "REASON", "ATTEMPTS", "CHANGES", "SIZE", "LAST FAILURE",
         "KEY", "MESSAGE"}};
    for (const v1::FailedObject& object : page.failed_objects()) {
      rows.push_back(RowOf(object));
    }
    console.out(Table(rows));
    request.set_page_token(page.next_page_token());
  } while (!request.page_token().empty());
  return absl::OkStatus();
}

absl::Status RetryFailed(Control& control, const std::string& rule,
                         const v1::FailedObjectSelection& selection,
                         const Console& console) {
  return DoAll(control, rule, selection, &Control::RetryFailedObjects,
               "are tried again", console);
}

absl::Status SkipFailed(Control& control, const std::string& rule,
                        const v1::FailedObjectSelection& selection,
                        const Console& console) {
  return DoAll(control, rule, selection, &Control::SkipFailedObjects,
               "were given up", console);
}

}  // namespace crr
