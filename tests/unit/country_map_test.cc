#include "geo/country_map.h"

#include <gtest/gtest.h>

#include <string>

namespace weir {
namespace {

Country country(const char* code) { return *find_country(code); }

void set(CountryMap& map, const char* word, std::uint32_t value) {
  weir_error_t error{};
  ASSERT_EQ(WEIR_OK, map.set(word, value, &error)) << error.text;
}

std::string refusal(CountryMap& map, std::string_view word, std::uint32_t value = 1) {
  weir_error_t error{};
  EXPECT_EQ(WEIR_INVALID, map.set(word, value, &error)) << word;
  EXPECT_EQ(WEIR_INVALID, map.set(word, value, nullptr)) << word;
  return error.text;
}

TEST(CountryMap, EmptyMapHasNothing) {
  const CountryMap map;
  for (const Country& each : {country("DE"), kUnknownCountry, kPrivateCountry}) {
    EXPECT_EQ(-1, map.find(each));
  }
}

TEST(CountryMap, MostSpecificSelectorWins) {
  CountryMap map;
  set(map, "default", 1);
  EXPECT_EQ(1, map.find(country("DE")));
  set(map, "continent:EU", 2);
  EXPECT_EQ(2, map.find(country("DE")));
  set(map, "EU", 3);
  EXPECT_EQ(3, map.find(country("DE")));
  set(map, "DE", 4);
  EXPECT_EQ(4, map.find(country("DE")));
}

TEST(CountryMap, OrderOfSettingDoesNotMatter) {
  CountryMap map;
  set(map, "DE", 4);
  set(map, "EU", 3);
  set(map, "continent:EU", 2);
  set(map, "default", 1);
  EXPECT_EQ(4, map.find(country("DE")));
  EXPECT_EQ(3, map.find(country("FR")));
  EXPECT_EQ(2, map.find(country("CH")));
  EXPECT_EQ(1, map.find(country("KR")));
}

TEST(CountryMap, UnionAndContinentOfEuropeAreApart) {
  CountryMap map;
  set(map, "EU", 1);
  EXPECT_EQ(1, map.find(country("DE")));
  EXPECT_EQ(-1, map.find(country("CH")));
  EXPECT_EQ(-1, map.find(country("GB")));
}

TEST(CountryMap, UnknownHasItsOwnSelectorThenDefault) {
  CountryMap map;
  set(map, "continent:AS", 1);
  EXPECT_EQ(-1, map.find(kUnknownCountry));
  set(map, "default", 2);
  EXPECT_EQ(2, map.find(kUnknownCountry));
  set(map, "XX", 3);
  EXPECT_EQ(3, map.find(kUnknownCountry));
  EXPECT_EQ(2, map.find(country("DE")));
}

TEST(CountryMap, PrivateTakesOnlyDefault) {
  CountryMap map;
  set(map, "XX", 1);
  EXPECT_EQ(-1, map.find(kPrivateCountry));
  set(map, "default", 2);
  EXPECT_EQ(2, map.find(kPrivateCountry));
}

TEST(CountryMap, EveryContinentHasItsPlace) {
  CountryMap map;
  std::uint32_t value = 0;
  for (const char* word : {"continent:AF", "continent:AN", "continent:AS", "continent:EU",
                           "continent:NA", "continent:OC", "continent:SA"}) {
    set(map, word, value++);
  }
  EXPECT_EQ(0, map.find(country("EG")));
  EXPECT_EQ(1, map.find(country("AQ")));
  EXPECT_EQ(2, map.find(country("KR")));
  EXPECT_EQ(3, map.find(country("DE")));
  EXPECT_EQ(4, map.find(country("US")));
  EXPECT_EQ(5, map.find(country("AU")));
  EXPECT_EQ(6, map.find(country("BR")));
}

TEST(CountryMap, CodesThatAreContinentsTooAreCountries) {
  CountryMap map;
  set(map, "AF", 1);  // Afghanistan
  set(map, "SA", 2);  // Saudi Arabia
  set(map, "NA", 3);  // Namibia
  set(map, "AS", 4);  // American Samoa
  EXPECT_EQ(1, map.find(country("AF")));
  EXPECT_EQ(-1, map.find(country("EG")));
  EXPECT_EQ(-1, map.find(country("KR")));
  EXPECT_EQ(2, map.find(country("SA")));
  EXPECT_EQ(-1, map.find(country("BR")));
}

TEST(CountryMap, UkMeansGb) {
  CountryMap map;
  set(map, "UK", 7);
  EXPECT_EQ(7, map.find(country("GB")));
}

TEST(CountryMap, WordSetTwiceIsAnError) {
  for (const char* word : {"KR", "EU", "continent:AF", "XX", "default", "XK"}) {
    CountryMap map;
    set(map, word, 1);
    const std::string error = refusal(map, word);
    EXPECT_NE(std::string::npos, error.find('"' + std::string(word) + '"')) << error;
    EXPECT_NE(std::string::npos, error.find("twice")) << error;
  }
}

TEST(CountryMap, UkAfterGbIsADuplicate) {
  CountryMap map;
  set(map, "GB", 1);
  EXPECT_NE(std::string::npos, refusal(map, "UK").find("\"UK\" is given twice"));
  EXPECT_EQ(1, map.find(country("GB")));
}

TEST(CountryMap, WordThatIsNoSelectorIsAnErrorThatQuotesItAndSaysWhatWasExpected) {
  CountryMap map;
  for (const char* word : {"", "kr", "KOR", "K", "ZZ", "AP", "A1", "eu", "Default", "private",
                           "all", "KR ", "*", "AN"}) {
    const std::string error = refusal(map, word);
    EXPECT_NE(std::string::npos, error.find('"' + std::string(word) + '"')) << error;
    EXPECT_NE(std::string::npos, error.find("expected")) << error;
    EXPECT_NE(std::string::npos, error.find("default")) << error;
  }
}

TEST(CountryMap, UnknownContinentIsAnErrorThatListsTheContinents) {
  CountryMap map;
  for (const char* word : {"continent:", "continent:XX", "continent:af", "continent:EUR"}) {
    const std::string error = refusal(map, word);
    EXPECT_NE(std::string::npos, error.find('"' + std::string(word) + '"')) << error;
    EXPECT_NE(std::string::npos, error.find("AF AN AS EU NA OC SA")) << error;
  }
}

TEST(CountryMap, ErrorShowsControlCharactersEscapedAndLongWordsCut) {
  CountryMap map;
  EXPECT_NE(std::string::npos, refusal(map, "K\nR").find("\"K\\x0aR\""));
  const std::string error = refusal(map, std::string(5000, 'x'));
  EXPECT_NE(std::string::npos, error.find("x...\"")) << error;
  EXPECT_NE(std::string::npos, error.find("expected")) << error;
}

TEST(CountryMap, CutWordEndsWithAWholeCharacter) {
  CountryMap map;
  std::string word(63, 'x');
  word += "\xed\x95\x9c\xea\xb5\xad";  // two characters of three bytes, the cut in the first
  EXPECT_NE(std::string::npos, refusal(map, word).find(std::string(63, 'x') + "...\""));
}

TEST(CountryMap, ValueUpTo65534IsKept) {
  CountryMap map;
  set(map, "KR", 65534);
  set(map, "DE", 0);
  EXPECT_EQ(65534, map.find(country("KR")));
  EXPECT_EQ(0, map.find(country("DE")));
  EXPECT_NE(std::string::npos, refusal(map, "FR", 65535).find("65535"));
  refusal(map, "FR", UINT32_MAX);
  EXPECT_EQ(-1, map.find(country("FR")));
}

TEST(CountryMap, CountryOfBytesThatAreNoCodeHasOnlyDefault) {
  CountryMap map;
  set(map, "default", 5);
  EXPECT_EQ(5, map.find(Country{}));
  EXPECT_EQ(5, map.find(Country{{'\xff', '\xff', '\xff'}, {'\x01', '\x7f', 'a'}, 0, 0}));
}

}  // namespace
}  // namespace weir
