#ifndef CRR_BASE_LOG_H_
#define CRR_BASE_LOG_H_

#include <cstdint>
#include <initializer_list>
#include <string>

#include "absl/strings/string_view.h"

namespace crr {

// One `key=value` of a log line.
struct LogField {
  LogField(absl::string_view k, absl::string_view v) : key(k), value(v) {}
  LogField(absl::string_view k, const char* v) : key(k), value(v) {}
  LogField(absl::string_view k, const std::string& v) : key(k), value(v) {}
  LogField(absl::string_view k, int64_t v);
  absl::string_view key;
  std::string value;
};

// Structured lines on standard error: time, level, event, then the fields,
// values quoted where they need it. Log at the edge and once; lower layers put
// what they know into the status they return. Never a payload, never a secret.
// Thread-safe.
void LogInfo(absl::string_view event,
             std::initializer_list<LogField> fields = {});
void LogWarning(absl::string_view event,
                std::initializer_list<LogField> fields = {});
void LogError(absl::string_view event,
              std::initializer_list<LogField> fields = {});

// Logs and ends the process with status 1, without running destructors: for a
// state in which going on could acknowledge what is not durable.
[[noreturn]] void LogFatal(absl::string_view event,
                           std::initializer_list<LogField> fields = {});

// Names the program in every later line. Call once, before any thread starts.
void InitLog(absl::string_view program);

}  // namespace crr

#endif  // CRR_BASE_LOG_H_
