#include "limiter/tick.h"

#include <gtest/gtest.h>

namespace weir {
namespace {

TEST(Tick, TimesWrapAtFortyBits) {
  EXPECT_EQ(tick_add(kTickMask, 1), 0u);
  EXPECT_EQ(tick_sub(0, 1), kTickMask);
  EXPECT_EQ(ticks_between(kTickMask, 4), 5u);
}

TEST(Tick, ATimeIsAheadOnlyWithinTheHorizon) {
  for (const Tick now : {Tick{0}, Tick{12345}, kTickMask - 3, kTickMask}) {
    EXPECT_FALSE(is_ahead(now, now));
    EXPECT_TRUE(is_ahead(tick_add(now, 1), now));
    EXPECT_TRUE(is_ahead(tick_add(now, kHorizon), now));
    EXPECT_FALSE(is_ahead(tick_add(now, kHorizon + 1), now));
    EXPECT_FALSE(is_ahead(tick_sub(now, 1), now));
  }
}

TEST(Tick, DebtIsTheDistanceAheadAndElseNothing) {
  EXPECT_EQ(debt_at(tick_add(kTickMask, 7), kTickMask), 7u);
  EXPECT_EQ(debt_at(5, 6), 0u);
  EXPECT_EQ(debt_at(6, 6), 0u);
}

class TickScaleTest : public testing::TestWithParam<unsigned> {};

TEST_P(TickScaleTest, OneSecondIsTwoToTheBitsTicks) {
  const unsigned bits = GetParam();
  const TickScale scale(bits);
  // The scale is rounded down by less than 2^-44, so an exact second may be one tick short.
  const Tick second = scale.time(1'000'000'001);
  EXPECT_EQ(second, Tick{1} << bits);
}

TEST_P(TickScaleTest, WaitingTheNanosecondsOfADurationIsAlwaysEnoughAndOneTickLessIsNot) {
  const TickScale scale(GetParam());
  uint64_t start = 987'654'321'012'345;
  for (Ticks duration = 1; duration <= kMaxTolerance; duration = duration * 3 + 1) {
    for (int i = 0; i < 50; ++i, start += 104'729) {
      const Ticks waited =
          ticks_between(scale.time(start), scale.time(start + scale.nanoseconds(duration)));
      EXPECT_GE(waited, duration);
      EXPECT_LE(waited, duration + 1);
    }
  }
}

TEST_P(TickScaleTest, NeverRunsFastOverAMonth) {
  const unsigned bits = GetParam();
  const TickScale scale(bits);
  for (uint64_t seconds = 1; seconds <= 30 * 86400; seconds = seconds * 2 + 1) {
    const Tick exact = (seconds << bits) & kTickMask;
    const Ticks lag = ticks_between(scale.time(seconds * 1'000'000'000), exact);
    EXPECT_LE(lag, 1u);
  }
}

INSTANTIATE_TEST_SUITE_P(AllTickSizes, TickScaleTest,
                         testing::Values(kMinTickBits, 15, kDefaultTickBits, 25, kMaxTickBits));

}  // namespace
}  // namespace weir
