// Single values, at the bounds of the format and of the reader.

#include "geo/mmdb_section.h"

#include <gtest/gtest.h>

#include <cstring>
#include <memory>

#include "mmdb_files.h"

namespace weir {
namespace {

using testing::mmdb_array;
using testing::mmdb_map;
using testing::mmdb_pointer;
using testing::mmdb_string;
using testing::repeat;

// A section in memory of just its size, so that a sanitizer sees any step beyond it.
class Section {
 public:
  explicit Section(const std::string& bytes)
      : bytes_(new std::uint8_t[bytes.size()]), section_(bytes_.get(), bytes.size()) {
    std::memcpy(bytes_.get(), bytes.data(), bytes.size());
  }

  std::string text(const char* path, std::size_t offset = 0) const {
    const auto value = section_.find(offset, FieldPath::known(path));
    return value ? std::string(value->string().value_or("no string")) : "nothing";
  }

 private:
  std::unique_ptr<std::uint8_t[]> bytes_;
  MmdbSection section_;
};

std::string big_endian(std::size_t value, int count) {
  std::string result;
  while (count-- > 0) result += static_cast<char>(value >> 8 * count);
  return result;
}

std::string long_string(std::size_t size) {
  const std::string payload(size, 'x');
  if (size < 29) return mmdb_string(payload);
  if (size < 285) return '\x5d' + big_endian(size - 29, 1) + payload;
  if (size < 65821) return '\x5e' + big_endian(size - 285, 2) + payload;
  return '\x5f' + big_endian(size - 65821, 3) + payload;
}

TEST(MmdbSection, StringsOfEverySizeAreReadAndSkipped) {
  for (const std::size_t size : {0u, 1u, 28u, 29u, 284u, 285u, 65820u, 65821u, 100'000u}) {
    const std::string value = long_string(size);
    const std::string map = mmdb_map(2) + mmdb_string("a") + value + mmdb_string("b") + value;
    EXPECT_EQ(std::string(size, 'x'), Section(map).text("a")) << size;
    EXPECT_EQ(std::string(size, 'x'), Section(map).text("b")) << size;
  }
}

TEST(MmdbSection, PointersOfEverySizeAreFollowed) {
  const std::size_t kSecond = 2048, kThird = 2048 + (1 << 19);
  struct {
    std::size_t target;
    std::string pointer;
  } const cases[] = {
      {100, '\x20' + big_endian(100, 1)},
      {0x7ff, '\x27' + big_endian(0xff, 1)},
      {kSecond + 100, '\x28' + big_endian(100, 2)},
      {kSecond + 0x7ffff, '\x2f' + big_endian(0xffff, 2)},
      {kThird + 100, '\x30' + big_endian(100, 3)},
      {1'000'000, '\x38' + big_endian(1'000'000, 4)},
  };
  for (const auto& each : cases) {
    std::string bytes =
        mmdb_map(2) + mmdb_string("a") + each.pointer + mmdb_string("b") + mmdb_string("behind");
    bytes.resize(each.target, '\0');
    bytes += mmdb_string("target");
    EXPECT_EQ("target", Section(bytes).text("a")) << each.target;
    EXPECT_EQ("behind", Section(bytes).text("b")) << each.target;
    bytes.pop_back();
    EXPECT_EQ("nothing", Section(bytes).text("a")) << each.target;
  }
}

TEST(MmdbSection, PointerToAPointerIsNothing) {
  EXPECT_EQ("nothing", Section(mmdb_map(1) + mmdb_string("a") + mmdb_pointer(8) + mmdb_pointer(0) +
                               mmdb_string("x"))
                           .text("a"));
}

TEST(MmdbSection, KeyMayBeAPointer) {
  EXPECT_EQ("DE",
            Section(mmdb_map(1) + mmdb_pointer(9) + mmdb_string("DE") + mmdb_string("country_code"))
                .text("country_code"));
}

TEST(MmdbSection, ValueCutAnywhereIsNothing) {
  const std::string whole = mmdb_map(2) + mmdb_string("a") + mmdb_array(2) + mmdb_string("") +
                            mmdb_pointer(1) + mmdb_string("b") + long_string(300);
  EXPECT_EQ(std::string(300, 'x'), Section(whole).text("b"));
  for (std::size_t length = 0; length < whole.size(); ++length) {
    EXPECT_EQ("nothing", Section(whole.substr(0, length)).text("b")) << length;
  }
  EXPECT_EQ("nothing", Section(whole).text("b", whole.size()));
  EXPECT_EQ("nothing", Section(whole).text("b", SIZE_MAX));
}

TEST(MmdbSection, NestingIsBounded) {
  const auto nested = [](std::size_t depth) {
    return mmdb_map(2) + mmdb_string("a") + repeat(mmdb_array(1), depth) + mmdb_string("x") +
           mmdb_string("b") + mmdb_string("found");
  };
  EXPECT_EQ("found", Section(nested(MmdbSection::kDeepest)).text("b"));
  EXPECT_EQ("nothing", Section(nested(MmdbSection::kDeepest + 1)).text("b"));
}

TEST(MmdbSection, ValuesInOneSearchAreBounded) {
  const auto wide = [](std::size_t values) {
    std::string map = mmdb_map(11);
    for (int i = 0; i < 10; ++i) {
      map += mmdb_string("a") + std::string("\x1f\x04", 2) + big_endian(values - 65821, 3) +
             repeat(mmdb_string(""), values);
    }
    return map + mmdb_string("b") + mmdb_string("found");
  };
  EXPECT_EQ("nothing", Section(wide(65821)).text("b"));

  std::string many = std::string("\xfe", 1) + big_endian(16'000 - 285, 2);
  many += repeat(mmdb_string("a") + mmdb_string("x"), 15'999);
  EXPECT_EQ("found", Section(many + mmdb_string("b") + mmdb_string("found")).text("b"));
  std::string more = std::string("\xfe", 1) + big_endian(17'000 - 285, 2);
  more += repeat(mmdb_string("a") + mmdb_string("x"), 16'999);
  EXPECT_EQ("nothing", Section(more + mmdb_string("b") + mmdb_string("found")).text("b"));
}

TEST(MmdbSection, PathThroughATextIsNothing) {
  const Section section(mmdb_map(1) + mmdb_string("a") + mmdb_string("x"));
  EXPECT_EQ("x", section.text("a"));
  EXPECT_EQ("nothing", section.text("a.b"));
  EXPECT_EQ("nothing", section.text("a.0"));
}

TEST(MmdbSection, ArrayElementsAreCountedFromZero) {
  const Section section(mmdb_array(2) + mmdb_string("x") + mmdb_string("y"));
  EXPECT_EQ("x", section.text("0"));
  EXPECT_EQ("y", section.text("1"));
  for (const char* path : {"2", "-1", "+1", "1x", "a", "4294967296", "99999999999999999999"}) {
    EXPECT_EQ("nothing", section.text(path)) << path;
  }
}

TEST(MmdbSection, EmptySectionHasNothing) {
  EXPECT_FALSE(MmdbSection().find(0, FieldPath::known("a")).has_value());
  EXPECT_FALSE(MmdbSection().is_whole_map(0));
}

}  // namespace
}  // namespace weir
