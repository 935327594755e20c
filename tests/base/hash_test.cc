#include "base/hash.h"

#include <gtest/gtest.h>

#include <random>
#include <set>
#include <string>
#include <utility>

namespace crr {
namespace {

std::string RandomBytes(size_t size) {
  std::mt19937_64 random(size);
  std::string bytes(size, '\0');
  for (char& byte : bytes) byte = static_cast<char>(random());
  return bytes;
}

// Stored etags, request hashes and digests must stay what they are: these are
// the values that the XXH3 specification gives for no input.
TEST(HashTest, IsXxh3) {
  EXPECT_EQ(Hash64(""), 0x2d06800538d394c2u);
  EXPECT_EQ(ContentHash::Of(""), "99aa06d3014798d86001c324468d497f");
}

TEST(HashTest, DoesNotDependOnHowContentWasCut) {
  // Around the borders of XXH3's own short, middle and block paths.
  for (const size_t size : {0, 1, 3, 8, 16, 17, 128, 129, 240, 241, 255, 256,
                            1023, 1024, 1025, 4096, 100'000}) {
    const std::string bytes = RandomBytes(size);
    const std::string whole = ContentHash::Of(bytes);
    for (const size_t step : {size_t{1}, size_t{7}, size_t{64}, size_t{1024}}) {
      if (size > 10'000 && step == 1) continue;
      ContentHash hash;
      hash.Update("");
      for (size_t at = 0; at < size; at += step) {
        hash.Update(absl::string_view(bytes).substr(at, step));
      }
      hash.Update("");
      EXPECT_EQ(hash.Hex(), whole) << size << " by " << step;
    }
  }
}

TEST(HashTest, HexIs32LowerCaseDigits) {
  for (int i = 0; i < 100; ++i) {
    const std::string hex = ContentHash::Of(RandomBytes(i));
    EXPECT_EQ(hex.size(), 32u);
    EXPECT_EQ(hex.find_first_not_of("0123456789abcdef"), std::string::npos);
  }
}

TEST(HashTest, SeesEveryBitAndTheLength) {
  const std::string base = RandomBytes(300);
  std::set<std::string> digests = {ContentHash::Of(base)};
  std::set<uint64_t> hashes = {Hash64(base)};
  for (size_t i = 0; i < base.size() * 8; ++i) {
    std::string flipped = base;
    flipped[i / 8] = static_cast<char>(flipped[i / 8] ^ (1 << (i % 8)));
    EXPECT_TRUE(digests.insert(ContentHash::Of(flipped)).second) << i;
    EXPECT_TRUE(hashes.insert(Hash64(flipped)).second) << i;
  }
  EXPECT_NE(ContentHash::Of(std::string(1, '\0')), ContentHash::Of(""));
  EXPECT_NE(Hash64(std::string(1, '\0')), Hash64(std::string(2, '\0')));
}

TEST(HashTest, ReadingTheDigestDoesNotEndIt) {
  ContentHash hash;
  hash.Update("photos");
  EXPECT_EQ(hash.Hex(), ContentHash::Of("photos"));
  EXPECT_EQ(hash.Hex(), ContentHash::Of("photos"));
  hash.Update("/1.jpg");
  EXPECT_EQ(hash.Hex(), ContentHash::Of("photos/1.jpg"));
}

TEST(HashTest, MovesWithItsState) {
  ContentHash first;
  first.Update("photos");
  ContentHash second = std::move(first);
  second.Update("/1.jpg");
  first = ContentHash();
  first.Update("x");
  EXPECT_EQ(second.Hex(), ContentHash::Of("photos/1.jpg"));
  EXPECT_EQ(first.Hex(), ContentHash::Of("x"));
}

}  // namespace
}  // namespace crr
