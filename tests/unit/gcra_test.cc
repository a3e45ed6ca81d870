#include "limiter/gcra.h"

#include <gtest/gtest.h>

namespace weir {
namespace {

constexpr Budget kFive{.interval = 1000, .tolerance = 5000};  // a bucket of five tokens

TEST(Gcra, AFullBucketAdmitsItsCapacityAtOnceAndNoMore) {
  Ticks debt = 0;
  for (int i = 0; i < 5; ++i) {
    const GcraOutcome outcome = gcra(debt, gcra_price(kFive, 1), kFive);
    ASSERT_TRUE(outcome.passes) << i;
    debt = outcome.debt;
  }
  EXPECT_FALSE(gcra(debt, gcra_price(kFive, 1), kFive).passes);
}

TEST(Gcra, CostsAreTakenTogether) {
  EXPECT_TRUE(gcra(0, gcra_price(kFive, 5), kFive).passes);
  EXPECT_TRUE(gcra(2000, gcra_price(kFive, 3), kFive).passes);
  EXPECT_FALSE(gcra(2001, gcra_price(kFive, 3), kFive).passes);
}

TEST(Gcra, ACostAboveTheCapacityNeverPasses) {
  EXPECT_EQ(gcra_price(kFive, 6), kNever);
  EXPECT_EQ(gcra_price(kFive, UINT32_MAX), kNever);
  EXPECT_FALSE(gcra(0, gcra_price(kFive, 6), kFive).passes);
  EXPECT_EQ(gcra_wait(gcra(0, gcra_price(kFive, 6), kFive).debt, kFive), kNever);
}

TEST(Gcra, TheWaitIsExactToTheTick) {
  for (Ticks debt = 3500; debt <= 5000; debt += 250) {
    const Ticks price = gcra_price(kFive, 2);
    const GcraOutcome refused = gcra(debt, price, kFive);
    ASSERT_FALSE(refused.passes);
    const Ticks wait = gcra_wait(refused.debt, kFive);
    EXPECT_TRUE(gcra(debt - wait, price, kFive).passes);
    EXPECT_FALSE(gcra(debt - wait + 1, price, kFive).passes);
  }
}

TEST(Gcra, RemainingCountsWholeTokens) {
  EXPECT_EQ(gcra_remaining(0, kFive), 5u);
  EXPECT_EQ(gcra_remaining(1, kFive), 4u);
  EXPECT_EQ(gcra_remaining(4000, kFive), 1u);
  EXPECT_EQ(gcra_remaining(4001, kFive), 0u);
  EXPECT_EQ(gcra_remaining(6000, kFive), 0u);
}

}  // namespace
}  // namespace weir
