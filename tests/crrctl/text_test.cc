#include "client/crrctl/text.h"

#include <gtest/gtest.h>

namespace crr {
namespace {

TEST(TextTest, NamesArePrintedAsTheyAreUnlessTheyAreDangerous) {
  EXPECT_EQ(Printable("a b/ü\"\\"), "a b/ü\"\\");
  EXPECT_EQ(Printable("a\nb"), "a\\nb");
  EXPECT_EQ(Printable("\x1b[2J"), "\\x1b[2J");
  EXPECT_EQ(Printable("caf\xe9"), "caf\\xe9");
}

TEST(TextTest, BytesHaveUnits) {
  EXPECT_EQ(HumanBytes(0), "0 B");
  EXPECT_EQ(HumanBytes(1'023), "1023 B");
  EXPECT_EQ(HumanBytes(1'024), "1.0 KiB");
  EXPECT_EQ(HumanBytes(1'536), "1.5 KiB");
  EXPECT_EQ(HumanBytes((1 << 20) - 1), "1.0 MiB");
  EXPECT_EQ(HumanBytes(int64_t{5} << 30), "5.0 GiB");
  EXPECT_EQ(HumanBytes(int64_t{4'096} << 50), "4096.0 PiB");
}

TEST(TextTest, DurationsAreWholeSeconds) {
  EXPECT_EQ(HumanDuration(absl::Milliseconds(999)), "0s");
  EXPECT_EQ(HumanDuration(-absl::Seconds(3)), "0s");
  EXPECT_EQ(HumanDuration(absl::Milliseconds(42'900)), "42s");
  EXPECT_EQ(HumanDuration(absl::Seconds(185)), "3m5s");
}

TEST(TextTest, TimesAreUtc) {
  EXPECT_EQ(HumanTime(absl::FromUnixMillis(1'800'000'000'250)),
            "2027-01-15T08:00:00.250Z");
}

}  // namespace
}  // namespace crr
