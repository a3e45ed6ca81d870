#include "geo/country_filter.h"

#include <gtest/gtest.h>

#include <initializer_list>
#include <string>

namespace weir {
namespace {

using Words = std::initializer_list<const char*>;

CountryFilter filter(Words allow, Words deny) {
  CountryFilter result;
  weir_error_t error{};
  for (const char* word : allow) EXPECT_EQ(WEIR_OK, result.allow(word, &error)) << error.text;
  for (const char* word : deny) EXPECT_EQ(WEIR_OK, result.deny(word, &error)) << error.text;
  return result;
}

bool permits(const CountryFilter& filter, const std::string& code) {
  if (code == "XX") return filter.permits(kUnknownCountry);
  if (code == "ZZ") return filter.permits(kPrivateCountry);
  return filter.permits(*find_country(code));
}

TEST(CountryFilter, WithoutWordsPermitsEverything) {
  for (const char* code : {"KR", "DE", "XX", "ZZ"}) EXPECT_TRUE(permits(filter({}, {}), code));
}

TEST(CountryFilter, AllowedIsPermittedAndTheRestDenied) {
  const CountryFilter only = filter({"KR", "JP"}, {});
  EXPECT_TRUE(permits(only, "KR"));
  EXPECT_TRUE(permits(only, "JP"));
  EXPECT_FALSE(permits(only, "DE"));
  EXPECT_FALSE(permits(only, "XX"));
}

TEST(CountryFilter, DeniedIsDeniedAndTheRestPermitted) {
  const CountryFilter without = filter({}, {"KP"});
  EXPECT_FALSE(permits(without, "KP"));
  EXPECT_TRUE(permits(without, "KR"));
  EXPECT_TRUE(permits(without, "XX"));
}

TEST(CountryFilter, DeniedCodeStaysDeniedEvenIfAllowed) {
  EXPECT_FALSE(permits(filter({"KR"}, {"KR"}), "KR"));
  EXPECT_FALSE(permits(filter({"all"}, {"KR"}), "KR"));
  EXPECT_TRUE(permits(filter({"all"}, {"KR"}), "JP"));
}

TEST(CountryFilter, DenialWinsAtAnySpecificity) {
  EXPECT_FALSE(permits(filter({"DE"}, {"EU"}), "DE"));
  EXPECT_FALSE(permits(filter({"DE"}, {"continent:EU"}), "DE"));
  EXPECT_FALSE(permits(filter({"EU"}, {"DE"}), "DE"));
  EXPECT_TRUE(permits(filter({"EU"}, {"DE"}), "FR"));
  EXPECT_FALSE(permits(filter({"KR"}, {"all"}), "KR"));
}

TEST(CountryFilter, EuSelectsTheMembersOnly) {
  const CountryFilter only = filter({"EU"}, {});
  EXPECT_TRUE(permits(only, "DE"));
  EXPECT_FALSE(permits(only, "CH"));
  EXPECT_FALSE(permits(only, "GB"));
}

TEST(CountryFilter, ContinentSelectsItsCountries) {
  const CountryFilter only = filter({"continent:EU"}, {});
  EXPECT_TRUE(permits(only, "DE"));
  EXPECT_TRUE(permits(only, "CH"));
  EXPECT_FALSE(permits(only, "KR"));
  EXPECT_FALSE(permits(only, "XX"));
}

TEST(CountryFilter, UnknownIsAllowedAndDeniedByItsWord) {
  EXPECT_TRUE(permits(filter({"KR", "XX"}, {}), "XX"));
  EXPECT_FALSE(permits(filter({"KR", "XX"}, {}), "DE"));
  EXPECT_FALSE(permits(filter({}, {"XX"}), "XX"));
  EXPECT_FALSE(permits(filter({}, {"all"}), "XX"));
  EXPECT_TRUE(permits(filter({"all"}, {}), "XX"));
}

TEST(CountryFilter, PrivateIsDeniedOnlyByItsWord) {
  EXPECT_TRUE(permits(filter({"KR"}, {}), "ZZ"));
  EXPECT_TRUE(permits(filter({}, {"all", "XX", "EU"}), "ZZ"));
  EXPECT_FALSE(permits(filter({}, {"private"}), "ZZ"));
  EXPECT_FALSE(permits(filter({"private", "all"}, {"private"}), "ZZ"));
  EXPECT_TRUE(permits(filter({}, {"private"}), "KR"));
}

TEST(CountryFilter, PrivateAloneInTheAllowListDeniesTheRest) {
  const CountryFilter only = filter({"private"}, {});
  EXPECT_TRUE(permits(only, "ZZ"));
  EXPECT_FALSE(permits(only, "KR"));
  EXPECT_FALSE(permits(only, "XX"));
}

TEST(CountryFilter, UkMeansGb) { EXPECT_FALSE(permits(filter({}, {"UK"}), "GB")); }

TEST(CountryFilter, CountryOfADatabasesOpinionCountsNotTheBuiltInOne) {
  const Country turkey_in_europe = {"TR", "EU", 0, 0};
  EXPECT_TRUE(filter({"continent:EU"}, {}).permits(turkey_in_europe));
  EXPECT_FALSE(filter({"continent:AS"}, {}).permits(turkey_in_europe));
}

TEST(CountryFilter, WordGivenTwiceInOneListIsAnError) {
  for (const char* word : {"KR", "EU", "continent:AF", "XX", "private", "all"}) {
    CountryFilter both = filter({word}, {word});
    weir_error_t error{};
    EXPECT_EQ(WEIR_INVALID, both.allow(word, &error));
    EXPECT_NE(std::string::npos, std::string(error.text).find("twice")) << error.text;
    EXPECT_EQ(WEIR_INVALID, both.deny(word, nullptr));
  }
  CountryFilter british = filter({"GB"}, {});
  EXPECT_EQ(WEIR_INVALID, british.allow("UK", nullptr));
}

TEST(CountryFilter, WordThatIsNoSelectorIsAnErrorThatQuotesItAndSaysWhatWasExpected) {
  CountryFilter none;
  for (const char* word : {"default", "kr", "ZZ", "", "ALL", "continent:XX"}) {
    weir_error_t error{};
    EXPECT_EQ(WEIR_INVALID, none.allow(word, &error)) << word;
    const std::string text = error.text;
    EXPECT_NE(std::string::npos, text.find('"' + std::string(word) + '"')) << text;
    EXPECT_NE(std::string::npos, text.find("expected")) << text;
  }
  EXPECT_TRUE(permits(none, "DE"));  // a refused word leaves no trace
}

}  // namespace
}  // namespace weir
