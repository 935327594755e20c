#include "base/utf8.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <string>

#include "absl/strings/escaping.h"

namespace crr {
namespace {

bool In(uint8_t byte, uint8_t low, uint8_t high) {
  return low <= byte && byte <= high;
}
bool Tail(uint8_t byte) { return In(byte, 0x80, 0xbf); }

// The grammar of RFC 3629 §4, line by line: whether these bytes are exactly
// one character.
bool IsOneCharacter(const std::string& text) {
  const auto at = [&](size_t i) { return static_cast<uint8_t>(text[i]); };
  switch (text.size()) {
    case 1:
      return In(at(0), 0x00, 0x7f);
    case 2:
      return In(at(0), 0xc2, 0xdf) && Tail(at(1));
    case 3:
      return Tail(at(2)) && ((at(0) == 0xe0 && In(at(1), 0xa0, 0xbf)) ||
                             (In(at(0), 0xe1, 0xec) && Tail(at(1))) ||
                             (at(0) == 0xed && In(at(1), 0x80, 0x9f)) ||
                             (In(at(0), 0xee, 0xef) && Tail(at(1))));
    case 4:
      return Tail(at(2)) && Tail(at(3)) &&
             ((at(0) == 0xf0 && In(at(1), 0x90, 0xbf)) ||
              (In(at(0), 0xf1, 0xf3) && Tail(at(1))) ||
              (at(0) == 0xf4 && In(at(1), 0x80, 0x8f)));
    default:
      return false;
  }
}

TEST(Utf8Test, TakesWhatIsText) {
  for (const std::string& text :
       {std::string(), std::string("a"), std::string("\x01\x7f"),
        std::string("photos/2026/caf\xc3\xa9.jpg"),
        std::string("\xef\xbb\xbf with a mark"),
        std::string("\xef\xbf\xbf noncharacter"),
        std::string("\xf0\x9f\x98\x80")}) {
    EXPECT_TRUE(IsTextWithoutNul(text)) << absl::CHexEscape(text);
  }
}

TEST(Utf8Test, RefusesNulWhereverItStands) {
  EXPECT_FALSE(IsTextWithoutNul(std::string(1, '\0')));
  EXPECT_FALSE(IsTextWithoutNul(std::string("a\0", 2)));
  EXPECT_FALSE(IsTextWithoutNul(std::string("\0a", 2)));
  EXPECT_FALSE(IsTextWithoutNul(std::string("a\0b", 3)));
  // "Modified UTF-8" hides NUL in an overlong form.
  EXPECT_FALSE(IsTextWithoutNul("\xc0\x80"));
}

TEST(Utf8Test, KnowsBothSidesOfEveryBoundary) {
  struct Case {
    const char* text;
    bool good;
  };
  for (const Case& c : {
           Case{"\x7f", true}, Case{"\x80", false},
           Case{"\xc1\xbf", false}, Case{"\xc2\x80", true},          // U+0080
           Case{"\xdf\xbf", true},                                   // U+07FF
           Case{"\xe0\x9f\xbf", false}, Case{"\xe0\xa0\x80", true},  // U+0800
           Case{"\xed\x9f\xbf", true},                               // U+D7FF
           Case{"\xed\xa0\x80", false},                              // U+D800
           Case{"\xed\xaf\xbf", false}, Case{"\xed\xb0\x80", false},
           Case{"\xed\xbf\xbf", false},                              // U+DFFF
           Case{"\xee\x80\x80", true},                               // U+E000
           Case{"\xef\xbf\xbf", true},                               // U+FFFF
           Case{"\xf0\x8f\xbf\xbf", false},
           Case{"\xf0\x90\x80\x80", true},                           // U+10000
           Case{"\xf4\x8f\xbf\xbf", true},                           // U+10FFFF
           Case{"\xf4\x90\x80\x80", false}, Case{"\xf5\x80\x80\x80", false},
           Case{"\xf8\x88\x80\x80\x80", false},
           Case{"\xfc\x84\x80\x80\x80\x80", false},
           Case{"\xfe", false}, Case{"\xff", false},
       }) {
    EXPECT_EQ(IsTextWithoutNul(c.text), c.good) << absl::CHexEscape(c.text);
  }
}

TEST(Utf8Test, RefusesWhatIsCutShortAnywhere) {
  for (const std::string& whole : {std::string("\xc3\xa9"),
                                   std::string("\xe2\x82\xac"),
                                   std::string("\xf0\x9f\x98\x80")}) {
    for (size_t size = 1; size < whole.size(); ++size) {
      const std::string cut = whole.substr(0, size);
      EXPECT_FALSE(IsTextWithoutNul(cut)) << absl::CHexEscape(cut);
      EXPECT_FALSE(IsTextWithoutNul("a" + cut)) << absl::CHexEscape(cut);
      EXPECT_FALSE(IsTextWithoutNul(cut + "a")) << absl::CHexEscape(cut);
      EXPECT_FALSE(IsTextWithoutNul(cut + whole)) << absl::CHexEscape(cut);
    }
    EXPECT_FALSE(IsTextWithoutNul(whole + whole[1]));
  }
}

// All sequences of two bytes and of three, against the grammar: one character,
// or several.
TEST(Utf8Test, AgreesWithTheGrammarOnEverySequenceOfThreeBytes) {
  const auto expected = [](const std::string& text) {
    if (text.find('\0') != std::string::npos) return false;
    bool ends[4] = {true, false, false, false};
    for (size_t i = 1; i <= text.size(); ++i) {
      for (size_t size = 1; size <= i; ++size) {
        ends[i] = ends[i] || (ends[i - size] &&
                              IsOneCharacter(text.substr(i - size, size)));
      }
    }
    return ends[text.size()];
  };
  int disagreements = 0;
  std::string text(3, ' ');
  for (int first = 0; first < 256; ++first) {
    text[0] = static_cast<char>(first);
    // ASCII in front is one case like the others.
    if (first > 2 && first < 0x80) continue;
    for (int second = 0; second < 256; ++second) {
      text[1] = static_cast<char>(second);
      if (IsTextWithoutNul(text.substr(0, 2)) != expected(text.substr(0, 2))) {
        ++disagreements;
        ADD_FAILURE() << absl::CHexEscape(text.substr(0, 2));
      }
      for (int third = 0; third < 256; ++third) {
        text[2] = static_cast<char>(third);
        if (IsTextWithoutNul(text) != expected(text)) {
          ++disagreements;
          ADD_FAILURE() << absl::CHexEscape(text);
        }
        if (disagreements > 20) return;
      }
    }
  }
}

TEST(Utf8Test, AgreesWithTheGrammarOnEveryFourByteLead) {
  std::string text(4, '\x80');
  for (int first = 0xf0; first < 256; ++first) {
    text[0] = static_cast<char>(first);
    for (int second = 0; second < 256; ++second) {
      text[1] = static_cast<char>(second);
      for (const char third : {'\x7f', '\x80', '\xbf', '\xc0'}) {
        text[2] = third;
        for (const char fourth : {'\x7f', '\x80', '\xbf', '\xc0'}) {
          text[3] = fourth;
          EXPECT_EQ(IsTextWithoutNul(text), IsOneCharacter(text))
              << absl::CHexEscape(text);
        }
      }
    }
  }
}

}  // namespace
}  // namespace crr
