// Several limits on one request, through the C interface.

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
using test::ZoneMemory;

class DecideTest : public testing::Test {
 protected:
  weir_verdict_t decide(std::span<weir_limit_t> limits, size_t* deciding = nullptr) {
    const weir_clock_t clock = clock_.handle();
    return weir_decide(limits.data(), limits.size(), &clock, deciding);
  }

  Ticks debt(const test::ZoneHandle& zone, const std::string& key) {
    weir_limit_t limit = limit_on(zone, key, budget("1r/s"), 0);
    decide({&limit, 1});
    return limit.debt;
  }

  ManualClock clock_{1'000'000'000};
  ZoneMemory memory_a_, memory_b_;
  test::ZoneHandle a_ = memory_a_.attach(), b_ = memory_b_.attach();
  const std::string key_ = "client";
};

TEST_F(DecideTest, NoLimitIsNoVerdict) { EXPECT_EQ(decide({}), WEIR_NONE); }

TEST_F(DecideTest, OneRejectionChargesNobody) {
  std::array limits = {limit_on(a_, key_, budget("1r/h", 9)), limit_on(b_, key_, budget("1r/h"))};
  EXPECT_EQ(decide(limits), WEIR_PASSED);
  const Ticks owed = debt(a_, key_);
  const uint64_t passed = a_->counters().passed;
  size_t deciding = 99;
  for (int i = 0; i < 5; ++i) EXPECT_EQ(decide(limits, &deciding), WEIR_REJECTED);
  EXPECT_EQ(deciding, 1u);
  EXPECT_EQ(limits[0].verdict, WEIR_NONE);
  EXPECT_EQ(limits[1].verdict, WEIR_REJECTED);
  EXPECT_EQ(a_->counters().passed, passed);
  EXPECT_EQ(debt(a_, key_), owed);
  EXPECT_EQ(b_->counters().rejected, 5u);
}

TEST_F(DecideTest, AChargeThatFailsAfterAllLooksGivesTheEarlierOnesBack) {
  // Another process takes b's last token between the look and the charge: it does so inside the
  // clock, which is read once per look, then by a's insertion (twice), then by b's.
  int reads = 0;
  const auto meddle = [&] {
    if (++reads == 4) {
      weir_limit_t other = limit_on(b_, key_, budget("1r/h"));
      decide({&other, 1});
    }
    return clock_.now();
  };
  const weir_clock_t clock = {[](void* self) { return (*static_cast<decltype(meddle)*>(self))(); },
                              const_cast<void*>(static_cast<const void*>(&meddle))};
  std::array limits = {limit_on(a_, key_, budget("1r/h")), limit_on(b_, key_, budget("1r/h"))};
  size_t deciding = 99;
  EXPECT_EQ(weir_decide(limits.data(), limits.size(), &clock, &deciding), WEIR_REJECTED);
  EXPECT_GE(reads, 4);
  EXPECT_EQ(deciding, 1u);
  EXPECT_EQ(limits[0].verdict, WEIR_NONE);
  EXPECT_EQ(limits[0].charged, 0u);
  EXPECT_EQ(debt(a_, key_), 0u);
}

TEST_F(DecideTest, ALimitInDryRunNeverStopsTheRequestNorAnothersCharge) {
  std::array limits = {limit_on(a_, key_, budget("1r/h")), limit_on(b_, key_, budget("1r/h", 2))};
  limits[0].dry_run = 1;
  EXPECT_EQ(decide(limits), WEIR_PASSED);
  size_t deciding = 99;
  EXPECT_EQ(decide(limits, &deciding), WEIR_REJECTED_DRY_RUN);
  EXPECT_EQ(deciding, 0u);
  EXPECT_EQ(limits[1].verdict, WEIR_PASSED);
  EXPECT_EQ(decide(limits), WEIR_REJECTED_DRY_RUN);
  EXPECT_EQ(decide(limits, &deciding), WEIR_REJECTED);
  EXPECT_EQ(deciding, 1u);
  EXPECT_EQ(a_->counters().rejected_dry_run, 3u);
}

TEST_F(DecideTest, LimitsThatAreAllInDryRunAreChargedAsIfTheyWereEnforced) {
  std::array limits = {limit_on(a_, key_, budget("1r/h")), limit_on(b_, key_, budget("1r/h", 9))};
  limits[0].dry_run = limits[1].dry_run = 1;
  EXPECT_EQ(decide(limits), WEIR_PASSED);
  const Ticks owed = debt(b_, key_);
  for (int i = 0; i < 5; ++i) EXPECT_EQ(decide(limits), WEIR_REJECTED_DRY_RUN);
  EXPECT_EQ(limits[1].verdict, WEIR_NONE);
  EXPECT_EQ(debt(b_, key_), owed);
}

TEST_F(DecideTest, ADryRunChargesWhatItWouldHaveLetPass) {
  weir_limit_t limit = limit_on(a_, key_, budget("1r/h"));
  limit.dry_run = 1;
  EXPECT_EQ(decide({&limit, 1}), WEIR_PASSED);
  EXPECT_EQ(decide({&limit, 1}), WEIR_REJECTED_DRY_RUN);
  EXPECT_EQ(debt(a_, key_), budget("1r/h").interval);
}

TEST_F(DecideTest, WhenAllPassTheTightestDecides) {
  std::array limits = {limit_on(a_, key_, budget("1r/h", 9)),
                       limit_on(b_, key_, budget("1r/h", 3))};
  size_t deciding = 99;
  EXPECT_EQ(decide(limits, &deciding), WEIR_PASSED);
  EXPECT_EQ(deciding, 1u);
}

TEST_F(DecideTest, RemainingAndExcessAreThoseOfLimitReq) {
  const Budget five = budget("1r/h", 4);
  for (uint64_t i = 0; i < 5; ++i) {
    weir_limit_t limit = limit_on(a_, key_, five);
    ASSERT_EQ(decide({&limit, 1}), WEIR_PASSED);
    EXPECT_EQ(weir_limit_remaining(&limit), 4 - i);
    EXPECT_EQ(weir_limit_excess(&limit), i * 1000);
    EXPECT_EQ(weir_limit_retry_after(&limit), 0u);
  }
  weir_limit_t limit = limit_on(a_, key_, five);
  ASSERT_EQ(decide({&limit, 1}), WEIR_REJECTED);
  EXPECT_EQ(weir_limit_remaining(&limit), 0u);
  EXPECT_EQ(weir_limit_excess(&limit), 5000u);
  clock_.advance_seconds(900);
  ASSERT_EQ(decide({&limit, 1}), WEIR_REJECTED);
  EXPECT_NEAR(static_cast<double>(weir_limit_excess(&limit)), 4750, 1);
}

TEST_F(DecideTest, RetryAfterIsWhenTheSameRequestPasses) {
  const Budget two = budget("7r/h", 1);
  weir_limit_t limit = limit_on(a_, key_, two, 2);
  ASSERT_EQ(decide({&limit, 1}), WEIR_PASSED);
  ASSERT_EQ(decide({&limit, 1}), WEIR_REJECTED);
  const uint64_t wait = weir_limit_retry_after(&limit);
  clock_.advance(wait - 1000);  // more than a tick earlier
  ASSERT_EQ(decide({&limit, 1}), WEIR_REJECTED);
  clock_.advance(1000);
  EXPECT_EQ(decide({&limit, 1}), WEIR_PASSED);
}

TEST_F(DecideTest, ACostAboveTheCapacityCanNeverPass) {
  weir_limit_t limit = limit_on(a_, key_, budget("1r/h", 1), 3);
  EXPECT_EQ(decide({&limit, 1}), WEIR_REJECTED);
  EXPECT_EQ(weir_limit_retry_after(&limit), UINT64_MAX);
  EXPECT_EQ(weir_limit_remaining(&limit), 2u);
  limit.cost = UINT32_MAX;
  EXPECT_EQ(decide({&limit, 1}), WEIR_REJECTED);
  EXPECT_EQ(debt(a_, key_), 0u);
}

TEST_F(DecideTest, ACostOfZeroLooksAndChargesNothing) {
  weir_limit_t limit = limit_on(a_, key_, budget("1r/h"), 0);
  EXPECT_EQ(decide({&limit, 1}), WEIR_PASSED);
  EXPECT_EQ(weir_limit_remaining(&limit), 1u);
  EXPECT_EQ(limit.charged, 0u);
}

TEST_F(DecideTest, ARefundByTheCallerGivesTheChargeBackOnce) {
  weir_limit_t limit = limit_on(a_, key_, budget("1r/h"));
  ASSERT_EQ(decide({&limit, 1}), WEIR_PASSED);
  const weir_clock_t clock = clock_.handle();
  weir_refund(&limit, &clock);
  EXPECT_EQ(debt(a_, key_), 0u);
  ASSERT_EQ(decide({&limit, 1}), WEIR_PASSED);
  weir_limit_t given_back = limit;
  weir_refund(&given_back, &clock);
  weir_refund(&given_back, &clock);
  EXPECT_EQ(given_back.charged, 0u);
}

}  // namespace
}  // namespace weir
