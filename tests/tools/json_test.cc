// What weir-geo prints as JSON is JSON, whatever bytes a file has in its texts.

#include "json.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <string>

namespace weir::tool {
namespace {

TEST(Json, QuotesBackslashesAndControlCharactersAreEscaped) {
  EXPECT_EQ(R"("a\"b\\c\u0000\u0009\u000a\u001b\u007fd")",
            json_string(std::string("a\"b\\c\0\t\n\x1b\x7f", 10) + "d"));
}

TEST(Json, Utf8StaysAsItIs) {
  for (const char* text :
       {"", "é", "€", "😀", "\u0080\u07ff\u0800\ud7ff\ue000\uffff", "\U00010000\U0010ffff"})
    EXPECT_EQ('"' + std::string(text) + '"', json_string(text));
}

TEST(Json, EachByteThatIsNoUtf8IsReplaced) {
  EXPECT_EQ(R"("a\ufffdb")", json_string("a\xe9"
                                         "b"));
  EXPECT_EQ(R"("\ufffd\ufffd")", json_string("\xc0\x80"));                      // not the shortest
  EXPECT_EQ(R"("\ufffd\ufffd\ufffd")", json_string("\xe0\x9f\xbf"));            // likewise
  EXPECT_EQ(R"("\ufffd\ufffd\ufffd\ufffd")", json_string("\xf0\x8f\xbf\xbf"));  // likewise
  EXPECT_EQ(R"("\ufffd\ufffd\ufffd")", json_string("\xed\xa0\x80"));            // a surrogate
  EXPECT_EQ(R"("\ufffd\ufffd\ufffd\ufffd")", json_string("\xf4\x90\x80\x80"));  // too large
  EXPECT_EQ(R"("\ufffd\ufffd\ufffd\ufffd")", json_string("\xf5\x80\x80\x80"));  // likewise
  EXPECT_EQ(R"("\ufffd\ufffd")", json_string("\xe2\x82"));                      // cut
  EXPECT_EQ(R"("\ufffdé")", json_string("\xe2"
                                        "é"));
}

TEST(Json, MembersKeepTheirOrder) {
  EXPECT_EQ("{}", JsonObject().text());
  EXPECT_EQ(R"({"b": "x", "a": 18446744073709551615, "c": -1, "d": true, "e": ["x", null]})",
            JsonObject()
                .add_string("b", "x")
                .add_number("a", UINT64_MAX)
                .add_number("c", -1)
                .add_boolean("d", true)
                .add("e", json_array({json_string("x"), "null"}))
                .text());
}

}  // namespace
}  // namespace weir::tool
