#include "limiter/quota.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "support/zone_memory.h"

namespace weir {
namespace {

using test::quota;
using test::ticks;

TEST(QuotaParse, ReadsEveryUnitAndMultiple) {
  const struct {
    const char* text;
    uint32_t tokens, period;
  } cases[] = {{"10r/s", 10, 1},         {"10", 10, 1},
               {"100r/m", 100, 60},      {"5r/h", 5, 3600},
               {"1000r/d", 1000, 86400}, {"10r/5s", 10, 5},
               {"1r/30d", 1, 2592000},   {"1000000r/s", 1000000, 1},
               {"3r/2m", 3, 120}};
  for (const auto& c : cases) {
    Quota parsed{};
    ASSERT_EQ(parse_quota(c.text, &parsed, nullptr), WEIR_OK) << c.text;
    EXPECT_EQ(parsed.tokens, c.tokens) << c.text;
    EXPECT_EQ(parsed.period, c.period) << c.text;
    EXPECT_EQ(parsed.burst, 0u);
  }
}

TEST(QuotaParse, RefusesEverythingElseAndQuotesIt) {
  for (const std::string text : {"",           "r/s",
                                 "10x",        "10r",
                                 "10r/",       "10/s",
                                 "10r/x",      "10r/ss",
                                 "10r/5",      "10r/s ",
                                 " 10r/s",     "-1r/s",
                                 "+1r/s",      "1.5r/s",
                                 "0r/s",       "10r/0s",
                                 "1000001r/s", "99999999999r/s",
                                 "1r/31d",     "1r/4294967296s",
                                 "10R/s",      "10r/S"}) {
    Quota parsed{7, 7, 7};
    weir_error_t error{};
    EXPECT_EQ(parse_quota(text, &parsed, &error), WEIR_INVALID) << text;
    EXPECT_NE(std::string(error.text).find("\"" + text + "\""), std::string::npos) << error.text;
    EXPECT_NE(std::string(error.text).find("expected"), std::string::npos) << error.text;
    EXPECT_EQ(parsed.tokens, 7u) << "an error must not change the output";
  }
}

TEST(QuotaText, IsWhatAnOperatorWouldWrite) {
  EXPECT_EQ(to_string(quota("10r/s")), "10r/s");
  EXPECT_EQ(to_string(quota("10r/60s", 3)), "10r/m burst=3");
  EXPECT_EQ(to_string(quota("1r/36h")), "1r/36h");
  EXPECT_EQ(to_string(quota("7r/2d")), "7r/2d");
}

uint32_t bits_for(std::vector<Quota> quotas) {
  Format format{};
  EXPECT_EQ(choose_format(WEIR_TOKEN_BUCKET, quotas, &format, nullptr), WEIR_OK);
  return format.tick_bits;
}

TEST(TickBits, AreTwentyUnlessAQuotaForcesAnother) {
  EXPECT_EQ(bits_for({}), 20u);
  EXPECT_EQ(bits_for({quota("1r/s"), quota("10000r/s", 100)}), 20u);
  EXPECT_EQ(bits_for({quota("10485r/s")}), 20u);
  EXPECT_EQ(bits_for({quota("10486r/s")}), 21u);
  EXPECT_EQ(bits_for({quota("1000000r/s", 1000)}), 27u);
  EXPECT_EQ(bits_for({quota("1r/d", 1)}), 19u);
  EXPECT_EQ(bits_for({quota("1r/30d")}), 15u);
}

TEST(TickBits, QuotasTooFarApartForOneZoneAreBothNamed) {
  const std::vector<Quota> quotas = {quota("10r/s"), quota("1r/d", 100), quota("100000r/s")};
  Format format{.algorithm = WEIR_TOKEN_BUCKET, .tick_bits = 99, .period = 0, .unit = 0};
  weir_error_t error{};
  EXPECT_EQ(choose_format(WEIR_TOKEN_BUCKET, quotas, &format, &error), WEIR_INVALID);
  EXPECT_NE(std::string(error.text).find("\"1r/d burst=100\""), std::string::npos) << error.text;
  EXPECT_NE(std::string(error.text).find("\"100000r/s\""), std::string::npos) << error.text;
  EXPECT_EQ(format.tick_bits, 99u);
}

TEST(TickBits, ABurstThatTakesYearsToPayOffIsRefused) {
  const std::vector<Quota> quotas = {quota("1r/30d", 1000)};
  Format format;
  weir_error_t error{};
  EXPECT_EQ(choose_format(WEIR_TOKEN_BUCKET, quotas, &format, &error), WEIR_INVALID);
  EXPECT_NE(std::string(error.text).find("\"1r/30d burst=1000\""), std::string::npos) << error.text;
}

TEST(TickBits, ABurstThatIsTooLargeForItsRateIsRefusedWithTheLargestThatIsNot) {
  Format format;
  weir_error_t error{};
  const Quota too_large = quota("1000000r/s", 2'000'000'000);
  EXPECT_EQ(choose_format(WEIR_TOKEN_BUCKET, {&too_large, 1}, &format, &error), WEIR_INVALID);
  const std::string text = error.text;
  EXPECT_NE(text.find("\"1000000r/s burst=2000000000\""), std::string::npos) << text;
  const auto most =
      static_cast<uint32_t>(std::stoul(text.substr(text.find("at most ") + std::size("at most"))));
  const Quota largest = quota("1000000r/s", most), more = quota("1000000r/s", most + 1);
  EXPECT_EQ(choose_format(WEIR_TOKEN_BUCKET, {&largest, 1}, &format, &error), WEIR_OK);
  EXPECT_EQ(choose_format(WEIR_TOKEN_BUCKET, {&more, 1}, &format, &error), WEIR_INVALID);
}

Format window_for(const std::vector<Quota>& quotas) {
  Format format{};
  EXPECT_EQ(choose_format(WEIR_SLIDING_WINDOW, quotas, &format, nullptr), WEIR_OK);
  return format;
}

TEST(WindowFormat, HasTheQuotasPeriodAndAUnitOfOneUpTo262143) {
  EXPECT_EQ(window_for({quota("10r/m"), quota("262143r/m")}).period, 60u);
  EXPECT_EQ(window_for({quota("10r/m"), quota("262143r/m")}).unit, 1u);
  EXPECT_EQ(window_for({quota("262144r/m")}).unit, 2u);
  EXPECT_EQ(window_for({quota("2147483648r/d")}).unit, 8193u);
  EXPECT_EQ(window_for({quota("4294967295r/30d")}).unit, 16385u);
  EXPECT_EQ(window_for({quota("300000r/m"), quota("500000r/m")}).unit, 2u);
}

TEST(WindowFormat, WhatDoesNotGoTogetherIsNamed) {
  const auto refused = [](const std::vector<Quota>& quotas, const char* first, const char* second) {
    Format format{};
    weir_error_t error{};
    EXPECT_EQ(choose_format(WEIR_SLIDING_WINDOW, quotas, &format, &error), WEIR_INVALID);
    EXPECT_NE(std::string(error.text).find(first), std::string::npos) << error.text;
    EXPECT_NE(std::string(error.text).find(second), std::string::npos) << error.text;
  };
  refused({quota("10r/m"), quota("10r/h")}, "\"10r/m\"", "\"10r/h\"");
  refused({quota("10r/m"), quota("10r/m", 5)}, "\"10r/m burst=5\"", "expected none");
  refused({quota("10r/m"), quota("1000000r/m")}, "\"1000000r/m\"", "\"10r/m\"");
  refused({}, "no quota", "expected at least one");
}

TEST(WindowBudget, IsRefusedForAFormatThatDoesNotFitTheQuota) {
  Budget budget;
  const Format minute = window_for({quota("10r/m")}), many = window_for({quota("1000000r/m")});
  EXPECT_EQ(make_budget(quota("20r/m"), minute, &budget, nullptr), WEIR_OK);
  EXPECT_EQ(make_budget(quota("20r/h"), minute, &budget, nullptr), WEIR_INVALID);
  EXPECT_EQ(make_budget(quota("20r/m", 1), minute, &budget, nullptr), WEIR_INVALID);
  EXPECT_EQ(make_budget(quota("1000000r/m"), minute, &budget, nullptr), WEIR_INVALID);
  EXPECT_EQ(make_budget(quota("20r/m"), many, &budget, nullptr), WEIR_INVALID);
  weir_error_t error{};
  EXPECT_EQ(make_budget(quota("20r/h"), minute, &budget, &error), WEIR_INVALID);
  EXPECT_NE(std::string(error.text).find("\"20r/h\""), std::string::npos) << error.text;
}

TEST(Budget, NeverAdmitsMoreThanWrittenAndAtMostOnePercentLess) {
  for (const char* rate : {"1r/d", "5r/h", "1r/m", "7r/m", "3r/s", "30r/s", "9999r/s", "10487r/s",
                           "123456r/s", "999999r/s", "1000000r/s", "4294967295r/30d"}) {
    const Quota q = quota(rate);
    const uint32_t bits = bits_for({q});
    Budget budget;
    ASSERT_EQ(make_budget(q, ticks(bits), &budget, nullptr), WEIR_OK) << rate;
    const Wide exact = static_cast<Wide>(q.period) << bits;  // ticks for q.tokens tokens
    const Wide rounded = static_cast<Wide>(budget.interval) * q.tokens;
    EXPECT_TRUE(rounded >= exact) << rate;
    EXPECT_TRUE((rounded - exact) * 100 <= exact) << rate;
    EXPECT_EQ(budget.tolerance, budget.interval);
  }
}

TEST(Budget, IsRefusedForTicksThatDoNotFitTheQuota) {
  Budget budget;
  EXPECT_EQ(make_budget(quota("1000000r/s"), ticks(20), &budget, nullptr), WEIR_INVALID);
  EXPECT_EQ(make_budget(quota("1r/30d"), ticks(20), &budget, nullptr), WEIR_INVALID);
  EXPECT_EQ(make_budget(quota("1r/s"), ticks(9), &budget, nullptr), WEIR_INVALID);
  EXPECT_EQ(make_budget(quota("1r/s"), ticks(28), &budget, nullptr), WEIR_INVALID);
  EXPECT_EQ(make_budget(Quota{0, 1, 0}, ticks(20), &budget, nullptr), WEIR_INVALID);
  EXPECT_EQ(make_budget(Quota{1, 0, 0}, ticks(20), &budget, nullptr), WEIR_INVALID);
}

}  // namespace
}  // namespace weir
