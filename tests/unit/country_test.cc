#include "geo/country.h"

#include <gtest/gtest.h>

#include <map>
#include <set>
#include <string>

#include "geo/database.h"

namespace weir {
namespace {

template <typename Visit>
void for_each_pair(Visit visit) {
  for (char first = 'A'; first <= 'Z'; ++first) {
    for (char second = 'A'; second <= 'Z'; ++second) visit(std::string{first, second});
  }
}

TEST(Country, TableHasAllCodesOfIso3166AndKosovo) {
  std::set<std::string> codes;
  for_each_pair([&](const std::string& code) {
    if (const Country* country = find_country(code)) codes.insert(country->code);
  });
  EXPECT_EQ(250u, codes.size());
  for (const char* code : {"AD", "BQ", "CW", "KP", "KR", "SS", "SX", "TL", "XK", "ZW"}) {
    EXPECT_TRUE(codes.contains(code)) << code;
  }
}

TEST(Country, EveryCodeIsFoundUnderItself) {
  for_each_pair([](const std::string& code) {
    const Country* country = find_country(code);
    if (country == nullptr) return;
    EXPECT_EQ(code == "UK" ? "GB" : code, country->code);
    EXPECT_TRUE(is_continent(country->continent)) << code;
  });
}

TEST(Country, UkIsGb) {
  ASSERT_NE(nullptr, find_country("UK"));
  EXPECT_STREQ("GB", find_country("UK")->code);
  EXPECT_EQ(find_country("GB"), find_country("UK"));
}

TEST(Country, WhatIsNoCountryIsNotFound) {
  for (const char* code : {"EU", "AP", "A1", "A2", "O1", "XX", "ZZ", "T1", "AN", "CS", "SU", "kr",
                           "Kr", "", "K", "KOR", "??", "  "}) {
    EXPECT_EQ(nullptr, find_country(code)) << code;
  }
  EXPECT_EQ(nullptr, find_country(std::string_view("\0\0", 2)));
  EXPECT_EQ(nullptr, find_country("\xff\xff"));
}

TEST(Country, ContinentsFollowGeoNames) {
  const std::map<std::string, std::string> expected = {
      {"EG", "AF"}, {"RE", "AF"}, {"AQ", "AN"}, {"GS", "AN"}, {"TF", "AN"}, {"KR", "AS"},
      {"TR", "AS"}, {"GE", "AS"}, {"IL", "AS"}, {"KZ", "AS"}, {"RU", "EU"}, {"CY", "EU"},
      {"XK", "EU"}, {"GL", "NA"}, {"MX", "NA"}, {"PR", "NA"}, {"AU", "OC"}, {"TL", "OC"},
      {"UM", "OC"}, {"BR", "SA"}, {"FK", "SA"}};
  for (const auto& [code, continent] : expected) {
    ASSERT_NE(nullptr, find_country(code)) << code;
    EXPECT_EQ(continent, find_country(code)->continent) << code;
  }
}

TEST(Country, MembersOfTheEuropeanUnionAreTwentySeven) {
  std::set<std::string> members;
  for_each_pair([&](const std::string& code) {
    const Country* country = find_country(code);
    if (country != nullptr && country->in_eu) members.insert(code);
  });
  const std::set<std::string> expected = {"AT", "BE", "BG", "CY", "CZ", "DE", "DK", "EE", "ES",
                                          "FI", "FR", "GR", "HR", "HU", "IE", "IT", "LT", "LU",
                                          "LV", "MT", "NL", "PL", "PT", "RO", "SE", "SI", "SK"};
  EXPECT_EQ(expected, members);
}

TEST(Country, ContinentsAreSeven) {
  std::set<std::string> continents;
  for_each_pair([&](const std::string& code) {
    if (is_continent(code)) continents.insert(code);
  });
  EXPECT_EQ((std::set<std::string>{"AF", "AN", "AS", "EU", "NA", "OC", "SA"}), continents);
  EXPECT_FALSE(is_continent("af"));
  EXPECT_FALSE(is_continent(""));
  EXPECT_FALSE(is_continent("AFA"));
}

class AlwaysKorea final : public Database {
 public:
  Country find_country(const IpAddress&) const noexcept override {
    return *weir::find_country("KR");
  }
  std::size_t find_field(const IpAddress&, const FieldPath&,
                         std::span<char>) const noexcept override {
    return 0;
  }
  DatabaseInfo info() const noexcept override { return {}; }
  std::span<const std::uint64_t> words() const noexcept override { return {}; }
};

TEST(CountryOf, ReservedAddressIsPrivateWhateverTheDatabaseSays) {
  const std::uint8_t loopback[4] = {127, 0, 0, 1};
  const IpAddress address = IpAddress::from_bytes(loopback, 4);
  const AlwaysKorea database;
  EXPECT_STREQ("ZZ", country_of(&database, address).code);
  EXPECT_STREQ("ZZ", country_of(&database, address).continent);
  EXPECT_STREQ("ZZ", country_of(nullptr, address).code);
}

TEST(CountryOf, PublicAddressIsUnknownWithoutADatabase) {
  const std::uint8_t bytes[4] = {8, 8, 8, 8};
  const IpAddress address = IpAddress::from_bytes(bytes, 4);
  const AlwaysKorea database;
  EXPECT_STREQ("KR", country_of(&database, address).code);
  EXPECT_STREQ("XX", country_of(nullptr, address).code);
  EXPECT_STREQ("XX", country_of(nullptr, address).continent);
}

TEST(CountryOf, NoAddressIsUnknown) {
  const AlwaysKorea database;
  EXPECT_STREQ("XX", country_of(&database, IpAddress{}).code);
}

}  // namespace
}  // namespace weir
