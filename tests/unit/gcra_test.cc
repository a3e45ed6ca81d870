#include "limiter/gcra.h"

#include <gtest/gtest.h>

namespace weir {
namespace {

constexpr weir_budget_t kFive{.interval = 1000, .tolerance = 5000};  // a bucket of five tokens
constexpr Tick kNow = 1'000'000;

Gcra::View owing(Ticks debt) { return {kNow, debt}; }

bool passes(Ticks debt, uint32_t cost) {
  return Gcra::passes(owing(debt), kFive, Gcra::price(kFive, cost));
}

TEST(Gcra, AFullBucketAdmitsItsCapacityAtOnceAndNoMore) {
  Gcra::View key = Gcra::unseen(kNow);
  const Ticks price = Gcra::price(kFive, 1);
  for (int i = 0; i < 5; ++i) {
    ASSERT_TRUE(Gcra::passes(key, kFive, price)) << i;
    key = Gcra::charge(key, price);
  }
  EXPECT_FALSE(Gcra::passes(key, kFive, price));
}

TEST(Gcra, CostsAreTakenTogether) {
  EXPECT_TRUE(passes(0, 5));
  EXPECT_TRUE(passes(2000, 3));
  EXPECT_FALSE(passes(2001, 3));
}

TEST(Gcra, ACostAboveTheCapacityNeverPasses) {
  EXPECT_EQ(Gcra::price(kFive, 6), kNever);
  EXPECT_EQ(Gcra::price(kFive, UINT32_MAX), kNever);
  EXPECT_FALSE(Gcra::is_possible(kFive, kNever));
  EXPECT_FALSE(passes(0, 6));
  EXPECT_EQ(Gcra::wait(owing(0), kFive, kNever), kNever);
}

TEST(Gcra, NoCostPassesUnlessTheBudgetIsOverdrawn) {
  EXPECT_TRUE(passes(5000, 0));
  EXPECT_FALSE(passes(5001, 0));
  EXPECT_EQ(Gcra::wait(owing(5001), kFive, 0), 1u);
}

TEST(Gcra, TheWaitIsExactToTheTick) {
  for (Ticks debt = 3500; debt <= 5000; debt += 250) {
    ASSERT_FALSE(passes(debt, 2));
    const Ticks wait = Gcra::wait(owing(debt), kFive, Gcra::price(kFive, 2));
    EXPECT_TRUE(passes(debt - wait, 2));
    EXPECT_FALSE(passes(debt - wait + 1, 2));
  }
}

TEST(Gcra, AStateIsTheTimeAtWhichTheDebtIsPaid) {
  for (const Tick now : {kNow, kTickMask, Tick{0}}) {
    const Gcra::View key{now, 3000};
    const Tick state = Gcra::state(key);
    EXPECT_EQ(state, (now + 3000) & kTickMask);
    EXPECT_EQ(Gcra::view(state, now).debt, 3000u);
    EXPECT_EQ(Gcra::view(state, tick_add(now, 2999)).debt, 1u);
    EXPECT_FALSE(Gcra::is_live(Gcra::view(state, tick_add(now, 3000))));
  }
}

TEST(Gcra, ALateChargePassesAndStopsWhereNoDebtMayGrowAbove) {
  EXPECT_TRUE(LateGcra::passes(owing(kMaxTolerance), kFive, 1000));
  EXPECT_EQ(LateGcra::charge(owing(5000), 1000).debt, 6000u);
  EXPECT_EQ(LateGcra::charge(owing(kMaxTolerance - 999), 1000).debt, kMaxTolerance);
}

}  // namespace
}  // namespace weir
