#include "base/log.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <string>

namespace crr {
namespace {

using ::testing::EndsWith;
using ::testing::HasSubstr;

// What `write` puts on standard error.
template <typename Write>
std::string Lines(Write write) {
  ::testing::internal::CaptureStderr();
  write();
  return ::testing::internal::GetCapturedStderr();
}

TEST(LogTest, OneLineWithEveryField) {
  const std::string text = Lines([] {
    LogInfo("rpc", {{"method", "CreateRule"}, {"code", "OK"}, {"micros", 17}});
  });
  EXPECT_THAT(text, EndsWith(" rpc method=CreateRule code=OK micros=17\n"));
  EXPECT_THAT(text, HasSubstr("Z info "));
}

// A value from outside must not forge a line or a field.
TEST(LogTest, AValueCannotForgeALineOrAField) {
  const std::string text = Lines([] {
    LogWarning("event", {{"key", "a\n2026-01-01T00:00:00.000Z info crr fake"},
                         {"quote", "x\" code=OK \""},
                         {"field", "b=c"},
                         {"back", "\\ \""},
                         {"control", std::string("\x1b[31m\r\0", 7)},
                         {"empty", ""},
                         {"format", "{} %s"}});
  });
  EXPECT_EQ(std::count(text.begin(), text.end(), '\n'), 1);
  EXPECT_THAT(text, HasSubstr("key=\"a\\n2026"));
  EXPECT_THAT(text, HasSubstr("quote=\"x\\\" code=OK \\\"\""));
  EXPECT_THAT(text, HasSubstr("field=\"b=c\""));
  EXPECT_THAT(text, HasSubstr("back=\"\\\\ \\\"\""));
  EXPECT_THAT(text, HasSubstr("empty=\"\""));
  EXPECT_THAT(text, HasSubstr("format=\"{} %s\""));
  EXPECT_EQ(text.find('\x1b'), std::string::npos);
  EXPECT_EQ(text.find('\r'), std::string::npos);
}

TEST(LogDeathTest, FatalEndsTheProcessWithStatusOneAndSaysWhy) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  EXPECT_EXIT(LogFatal("storage_failed", {{"doing", "commit"}}),
              ::testing::ExitedWithCode(1), "storage_failed doing=commit");
}

}  // namespace
}  // namespace crr
