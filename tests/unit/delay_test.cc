// Delays: what of a burst has to wait, for how long, and which of several limits says so.

#include <gtest/gtest.h>

#include <array>
#include <string>

#include "support/manual_clock.h"
#include "support/zone_memory.h"
#include "zone/zone.h"

namespace weir {
namespace {

using test::budget;
using test::limit_on;
using test::ManualClock;
using test::ticks;
using test::ZoneMemory;

class DelayTest : public testing::Test {
 protected:
  weir_limit_t limit(const test::ZoneHandle& zone, const Budget& budget, uint32_t undelayed) {
    weir_limit_t made = limit_on(zone, key_, budget);
    made.undelayed = undelayed;
    return made;
  }

  weir_verdict_t decide(std::span<weir_limit_t> limits, size_t* deciding = nullptr) {
    const weir_clock_t clock = clock_.handle();
    return weir_decide(limits.data(), limits.size(), &clock, deciding);
  }

  // One request from a limit of 1 request a second; its delay in milliseconds, or -1 if refused.
  int64_t next(uint32_t burst, uint32_t undelayed) {
    weir_limit_t one = limit(a_, budget("1r/s", burst), undelayed);
    const weir_verdict_t verdict = decide({&one, 1});
    const auto delay = static_cast<int64_t>(weir_limit_delay(&one));
    EXPECT_EQ(verdict == WEIR_DELAYED, delay > 0);
    return verdict == WEIR_REJECTED ? -1 : delay;
  }

  ManualClock clock_{1'000'000'000};
  ZoneMemory memory_a_, memory_b_;
  test::ZoneHandle a_ = memory_a_.attach(), b_ = memory_b_.attach();
  const std::string key_ = "client";
};

TEST_F(DelayTest, ABurstLeavesAtTheRate) {
  for (const int64_t expected : {0, 1000, 2000, 3000, -1, -1}) EXPECT_EQ(next(3, 0), expected);
  EXPECT_EQ(a_->counters().passed, 1u);
  EXPECT_EQ(a_->counters().delayed, 3u);
  EXPECT_EQ(a_->counters().rejected, 2u);
}

TEST_F(DelayTest, WhatIsUndelayedLeavesAtOnceAndTheRestAsIfItHadNotBeenThere) {
  for (const int64_t expected : {0, 0, 0, 1000, 2000, -1}) EXPECT_EQ(next(4, 2), expected);
}

TEST_F(DelayTest, MoreUndelayedThanTheBurstDelaysNothing) {
  for (const int64_t expected : {0, 0, 0, -1}) EXPECT_EQ(next(2, 7), expected);
}

TEST_F(DelayTest, TimePaysForTheWait) {
  EXPECT_EQ(next(3, 0), 0);
  EXPECT_EQ(next(3, 0), 1000);
  clock_.advance(600'000'000);
  EXPECT_NEAR(static_cast<double>(next(3, 0)), 1400, 1);
}

TEST_F(DelayTest, LessThanAMillisecondIsNoDelay) {
  EXPECT_EQ(next(3, 0), 0);
  clock_.advance(999'000'100);
  EXPECT_EQ(next(3, 0), 0);
  EXPECT_EQ(next(3, 0), 1000);
}

TEST_F(DelayTest, OfSeveralLimitsTheLongestDelayDecides) {
  std::array limits = {limit(a_, budget("1r/s", 5), 0), limit(b_, budget("2r/s", 5), 0)};
  size_t deciding = 99;
  EXPECT_EQ(decide(limits, &deciding), WEIR_PASSED);
  EXPECT_EQ(decide(limits, &deciding), WEIR_DELAYED);
  EXPECT_EQ(deciding, 0u);
  EXPECT_EQ(weir_limit_delay(&limits[0]), 1000u);
  EXPECT_EQ(weir_limit_delay(&limits[1]), 500u);
  std::swap(limits[0], limits[1]);
  EXPECT_EQ(decide(limits, &deciding), WEIR_DELAYED);
  EXPECT_EQ(deciding, 1u);
}

TEST_F(DelayTest, OfEqualDelaysTheLastOneDecides) {
  std::array limits = {limit(a_, budget("1r/s", 5), 0), limit(b_, budget("1r/s", 5), 0)};
  size_t deciding = 99;
  decide(limits);
  EXPECT_EQ(decide(limits, &deciding), WEIR_DELAYED);
  EXPECT_EQ(deciding, 1u);
}

TEST_F(DelayTest, DelaysAreComparedInTimeWhateverTheZonesTicks) {
  ZoneMemory fine(1 << 20, ticks(27));
  const test::ZoneHandle zone = fine.attach();
  std::array limits = {limit(zone, budget("2r/s", 5, 27), 0), limit(a_, budget("1r/s", 5), 0)};
  size_t deciding = 99;
  decide(limits);
  EXPECT_EQ(decide(limits, &deciding), WEIR_DELAYED);
  EXPECT_EQ(deciding, 1u);
}

TEST_F(DelayTest, ARejectionBeatsADelay) {
  std::array limits = {limit(a_, budget("1r/s", 5), 0), limit(b_, budget("1r/s"), 0)};
  size_t deciding = 99;
  EXPECT_EQ(decide(limits), WEIR_PASSED);
  EXPECT_EQ(decide(limits, &deciding), WEIR_REJECTED);
  EXPECT_EQ(deciding, 1u);
  EXPECT_EQ(limits[0].verdict, WEIR_NONE);
  EXPECT_EQ(weir_limit_delay(&limits[0]), 0u);
}

TEST_F(DelayTest, ADryRunNeverDelaysTheRequest) {
  std::array limits = {limit(a_, budget("1r/s", 5), 0), limit(b_, budget("4r/s", 5), 0)};
  limits[0].dry_run = true;
  size_t deciding = 99;
  decide(limits);
  EXPECT_EQ(decide(limits, &deciding), WEIR_DELAYED);
  EXPECT_EQ(deciding, 1u);
  EXPECT_EQ(weir_limit_delay(&limits[1]), 250u);
  EXPECT_EQ(limits[0].verdict, WEIR_DELAYED_DRY_RUN);
  EXPECT_EQ(a_->counters().delayed_dry_run, 1u);

  limits[1].undelayed = WEIR_NODELAY;
  EXPECT_EQ(decide(limits, &deciding), WEIR_DELAYED_DRY_RUN);
  EXPECT_EQ(deciding, 0u);
}

TEST_F(DelayTest, ACostWaitsAsSoManyRequestsWould) {
  weir_limit_t one = limit(a_, budget("1r/s", 5), 0);
  one.cost = 4;
  EXPECT_EQ(decide({&one, 1}), WEIR_DELAYED);
  EXPECT_EQ(weir_limit_delay(&one), 3000u);
  EXPECT_EQ(weir_limit_excess(&one), 3000u);
}

// ---- Charged later, if at all ----

class LateChargeTest : public DelayTest {
 protected:
  weir_limit_t look(const Budget& budget) {
    weir_limit_t made = limit(a_, budget, WEIR_NODELAY);
    made.charge_later = true;
    return made;
  }
  void charge(weir_limit_t& limit) {
    const weir_clock_t clock = clock_.handle();
    weir_charge(&limit, &clock);
  }
};

TEST_F(LateChargeTest, ALookChargesNothing) {
  weir_limit_t login = look(budget("1r/h", 1));
  for (int i = 0; i < 10; ++i) {
    EXPECT_EQ(decide({&login, 1}), WEIR_PASSED);
    EXPECT_EQ(login.charged, 0u);
    EXPECT_EQ(weir_limit_remaining(&login), 2u);
  }
}

TEST_F(LateChargeTest, TheChargeIsMadeOnceItIsAskedFor) {
  weir_limit_t login = look(budget("1r/h", 1));
  for (const uint64_t left : {1u, 0u}) {
    ASSERT_EQ(decide({&login, 1}), WEIR_PASSED);
    charge(login);
    EXPECT_EQ(weir_limit_remaining(&login), left);
  }
  EXPECT_EQ(decide({&login, 1}), WEIR_REJECTED);
  EXPECT_EQ(weir_limit_retry_after(&login) / 1'000'000'000, 3600u);
}

TEST_F(LateChargeTest, WhatWasLetPassAtOnceIsOwedInFull) {
  constexpr int kAtOnce = 100;
  std::array<weir_limit_t, kAtOnce> logins;
  for (weir_limit_t& login : logins) {
    login = look(budget("1r/m", 4));
    ASSERT_EQ(decide({&login, 1}), WEIR_PASSED);
  }
  for (weir_limit_t& login : logins) charge(login);
  weir_limit_t next = look(budget("1r/m", 4));
  EXPECT_EQ(decide({&next, 1}), WEIR_REJECTED);
  clock_.advance_seconds((kAtOnce - 4) * 60 - 1);
  EXPECT_EQ(decide({&next, 1}), WEIR_REJECTED);
  clock_.advance_seconds(2);
  EXPECT_EQ(decide({&next, 1}), WEIR_PASSED);
}

TEST_F(LateChargeTest, TheDebtNeverGrowsAboveTheLargestBudget) {
  weir_limit_t login = look(budget("1r/h", 4));
  decide({&login, 1});
  for (int i = 0; i < 1000; ++i) charge(login);
  EXPECT_EQ(login.debt, kMaxTolerance);
  EXPECT_EQ(decide({&login, 1}), WEIR_REJECTED);
}

// A charge that would make it larger is not lost.
TEST_F(LateChargeTest, TheLastChargeFillsTheDebtUp) {
  weir_limit_t large = look(budget("1r/s", 130'000));
  large.cost = 80'000;
  for (int i = 0; i < 2; ++i) charge(large);
  EXPECT_EQ(large.debt, kMaxTolerance);
  EXPECT_EQ(decide({&large, 1}), WEIR_REJECTED);
}

TEST_F(LateChargeTest, CanBeGivenBack) {
  weir_limit_t login = look(budget("1r/h"));
  decide({&login, 1});
  charge(login);
  const weir_clock_t clock = clock_.handle();
  weir_refund(&login, &clock);
  EXPECT_EQ(decide({&login, 1}), WEIR_PASSED);
}

TEST_F(LateChargeTest, ALookThatRejectsStopsTheOthersFromBeingCharged) {
  weir_limit_t login = look(budget("1r/h"));
  decide({&login, 1});
  charge(login);
  std::array limits = {limit(b_, budget("1r/h"), WEIR_NODELAY), login};
  EXPECT_EQ(decide(limits), WEIR_REJECTED);
  EXPECT_EQ(decide({limits.data(), 1}), WEIR_PASSED);
}

TEST_F(LateChargeTest, EvenNoCostIsRefusedToAnOverdrawnBudget) {
  weir_limit_t login = look(budget("1r/h"));
  for (int i = 0; i < 2; ++i) charge(login);
  weir_limit_t free = limit(a_, budget("1r/h"), WEIR_NODELAY);
  free.cost = 0;
  EXPECT_EQ(decide({&free, 1}), WEIR_REJECTED);
  clock_.advance_seconds(3601);
  EXPECT_EQ(decide({&free, 1}), WEIR_PASSED);
}

}  // namespace
}  // namespace weir
