// Address ranges whose country an operator knows better.

#include "geo/country_overrides.h"

#include <gtest/gtest.h>

#include <string>

#include "mmdb_files.h"
#include "support/random.h"

namespace weir {
namespace {

using testing::address;

class CountryOverridesTest : public ::testing::Test {
 protected:
  weir_status_t add(const std::string& range, const std::string& code) {
    return overrides_.add(range, code, &error_);
  }
  std::string find(const std::string& client) const {
    const Country* country = overrides_.find(address(client));
    return country == nullptr ? "none" : country->code;
  }

  CountryOverrides overrides_;
  weir_error_t error_{};
};

TEST_F(CountryOverridesTest, ARangeHoldsItsFirstAndItsLastAddress) {
  ASSERT_EQ(WEIR_OK, add("192.0.2.64/26", "KR"));
  EXPECT_EQ("none", find("192.0.2.63"));
  EXPECT_EQ("KR", find("192.0.2.64"));
  EXPECT_EQ("KR", find("192.0.2.127"));
  EXPECT_EQ("none", find("192.0.2.128"));
  ASSERT_EQ(WEIR_OK, add("2001:db8:8000::/33", "DE"));
  EXPECT_EQ("none", find("2001:db8:7fff:ffff:ffff:ffff:ffff:ffff"));
  EXPECT_EQ("DE", find("2001:db8:8000::"));
  EXPECT_EQ("DE", find("2001:db8:ffff:ffff:ffff:ffff:ffff:ffff"));
  EXPECT_EQ("none", find("2001:db9::"));
}

TEST_F(CountryOverridesTest, TheLongestPrefixCountsInWhateverOrder) {
  for (const auto& [range, code] : {std::pair("10.0.0.0/8", "US"),
                                    {"10.1.0.0/16", "KR"},
                                    {"10.1.2.3", "JP"},
                                    {"0.0.0.0/0", "FR"},
                                    {"10.1.2.0/24", "DE"}})
    ASSERT_EQ(WEIR_OK, add(range, code)) << error_.text;
  EXPECT_EQ("JP", find("10.1.2.3"));
  EXPECT_EQ("DE", find("10.1.2.4"));
  EXPECT_EQ("KR", find("10.1.3.3"));
  EXPECT_EQ("US", find("10.2.2.3"));
  EXPECT_EQ("FR", find("11.0.0.1"));
  EXPECT_EQ("none", find("2001:db8::1"));
}

TEST_F(CountryOverridesTest, FamiliesAreApart) {
  ASSERT_EQ(WEIR_OK, add("32.1.13.184", "KR"));  // the same bytes as 2001:db8::
  ASSERT_EQ(WEIR_OK, add("2001:db8::/32", "DE"));
  EXPECT_EQ("KR", find("32.1.13.184"));
  EXPECT_EQ("DE", find("2001:db8::"));
}

TEST_F(CountryOverridesTest, AMappedRangeIsTheRangeOfItsIpv4Addresses) {
  ASSERT_EQ(WEIR_OK, add("::ffff:192.0.2.0/120", "KR"));
  EXPECT_EQ("KR", find("192.0.2.9"));
  EXPECT_EQ("KR", find("::ffff:192.0.2.9"));
  EXPECT_EQ(WEIR_INVALID, add("192.0.2.0/24", "DE"));
  EXPECT_EQ(WEIR_INVALID, add("::ffff:0.0.0.0/95", "DE"));
}

TEST_F(CountryOverridesTest, UnknownAndPrivateAreCountriesHere) {
  ASSERT_EQ(WEIR_OK, add("192.0.2.1", "XX"));
  ASSERT_EQ(WEIR_OK, add("192.0.2.2", "ZZ"));
  ASSERT_EQ(WEIR_OK, add("192.0.2.3", "UK"));
  EXPECT_EQ("XX", find("192.0.2.1"));
  EXPECT_EQ("ZZ", find("192.0.2.2"));
  EXPECT_EQ("GB", find("192.0.2.3"));
}

TEST_F(CountryOverridesTest, ACountryComesWithContinentAndMembership) {
  ASSERT_EQ(WEIR_OK, add("192.0.2.1", "DE"));
  EXPECT_EQ("DE EU 1", testing::text(*overrides_.find(address("192.0.2.1"))));
}

TEST_F(CountryOverridesTest, WhatIsNoRangeIsRefusedAndQuoted) {
  for (const std::string range :
       {"", "x", "10", "10.0.0.0/", "10.0.0.0/-1", "10.0.0.0/33", "10.0.0.1/31", "10.0.0.0/8 ",
        " 10.0.0.0/8", "10.0.0.0/8/8", "::/129", "::1/127", "[::1]", "10.0.0.0/4294967304"}) {
    EXPECT_EQ(WEIR_INVALID, add(range, "KR")) << range;
    EXPECT_NE(std::string::npos, std::string(error_.text).find('"' + range + '"'));
    EXPECT_NE(std::string::npos, std::string(error_.text).find("expected"));
  }
  for (const std::string code : {"", "kr", "KOR", "EU", "AA", "default", "continent:AF"}) {
    EXPECT_EQ(WEIR_INVALID, add("10.0.0.0/8", code)) << code;
    EXPECT_NE(std::string::npos, std::string(error_.text).find('"' + code + '"'));
  }
  EXPECT_EQ("none", find("10.0.0.1"));
}

TEST_F(CountryOverridesTest, ARangeGivenTwiceIsRefusedAndTheFirstStays) {
  ASSERT_EQ(WEIR_OK, add("10.0.0.0/8", "KR"));
  EXPECT_EQ(WEIR_INVALID, add("10.0.0.0/8", "DE"));
  EXPECT_EQ("KR", find("10.0.0.1"));
}

TEST_F(CountryOverridesTest, ThousandsOfRangesAgreeWithASearchOfAll) {
  test::Random random(1);
  struct Range {
    std::uint32_t first, prefix;
    std::string code;
  };
  std::vector<Range> ranges;
  const auto dotted = [](std::uint32_t number) {
    std::string text;
    for (int i = 3; i >= 0; --i) text += std::to_string(number >> 8 * i & 255) + (i ? "." : "");
    return text;
  };
  const auto mask = [](std::uint32_t prefix) { return prefix == 0 ? 0 : ~0u << (32 - prefix); };
  const char* const codes[] = {"KR", "DE", "US", "JP", "FR"};
  for (int i = 0; i < 3000; ++i) {
    const auto prefix = static_cast<std::uint32_t>(random.below(33));
    const auto first = static_cast<std::uint32_t>(random.below(1ull << 32)) & mask(prefix);
    const std::string code = codes[random.below(5)];
    if (add(dotted(first) + "/" + std::to_string(prefix), code) == WEIR_OK)
      ranges.push_back({first, prefix, code});
  }
  ASSERT_GT(ranges.size(), 2000u);
  for (int i = 0; i < 3000; ++i) {
    // Near a range's edge, mostly.
    const Range& near = ranges[random.below(ranges.size())];
    const std::uint32_t client = near.first + static_cast<std::uint32_t>(random.below(3)) - 1;
    const Range* best = nullptr;
    for (const Range& range : ranges) {
      if ((client & mask(range.prefix)) == range.first &&
          (best == nullptr || range.prefix > best->prefix))
        best = &range;
    }
    EXPECT_EQ(best == nullptr ? "none" : best->code, find(dotted(client))) << dotted(client);
  }
}

}  // namespace
}  // namespace weir
