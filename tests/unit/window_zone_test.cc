// Zones of sliding windows, through the C interface.

#include <gtest/gtest.h>

#include <optional>
#include <string>

#include "support/manual_clock.h"
#include "support/zone_memory.h"
#include "zone/zone.h"

namespace weir {
namespace {

using test::limit_on;
using test::ManualClock;
using test::must;
using test::quota;
using test::ZoneMemory;

constexpr uint64_t kMicrosecond = 1000;
constexpr uint64_t kSecond = 1'000'000'000;

Format format_for(std::initializer_list<Quota> quotas) {
  Format format;
  must(choose_format(WEIR_SLIDING_WINDOW, quotas, &format, nullptr) == WEIR_OK, "choose_format");
  return format;
}

class WindowZoneTest : public testing::Test {
 protected:
  void open(std::initializer_list<Quota> quotas, weir_full_t when_full = WEIR_FULL_EVICT) {
    format_ = format_for(quotas);
    memory_.emplace(size_t{1} << 20, format_);
    zone_.emplace(memory_->attach(when_full));
    budget_ = budget(*quotas.begin());
  }

  Budget budget(const Quota& quota) {
    Budget made;
    must(make_budget(quota, format_, &made, nullptr) == WEIR_OK, to_string(quota).c_str());
    return made;
  }

  weir_limit_t limit(uint32_t cost = 1) { return limit_on(*zone_, key_, budget_, cost); }

  weir_verdict_t decide(weir_limit_t& limit) {
    const weir_clock_t clock = clock_.handle();
    return weir_decide(&limit, 1, &clock, nullptr);
  }
  weir_verdict_t take(uint32_t cost = 1) {
    weir_limit_t one = limit(cost);
    return decide(one);
  }

  // How many of `asked` requests pass at once.
  uint64_t admitted(uint64_t asked, uint32_t cost = 1) {
    uint64_t n = 0;
    for (uint64_t i = 0; i < asked; ++i) n += take(cost) == WEIR_PASSED;
    return n * cost;
  }

  Format format_{};
  std::optional<ZoneMemory> memory_;
  std::optional<test::ZoneHandle> zone_;
  Budget budget_{};
  ManualClock clock_{600 * kSecond};  // at the beginning of a window of a minute
  std::string key_ = "client";
};

TEST_F(WindowZoneTest, AdmitsTheLimitInAWindow) {
  open({quota("100r/m")});
  EXPECT_EQ(admitted(150), 100u);
  clock_.advance(59 * kSecond);
  EXPECT_EQ(admitted(150), 0u);
  clock_.advance(kSecond + 30 * kSecond - kMicrosecond);
  EXPECT_EQ(admitted(150), 50u);
  clock_.advance_seconds(120);
  EXPECT_EQ(admitted(150), 100u);
}

TEST_F(WindowZoneTest, SaysWhatIsLeftAndWhatIsTooMuch) {
  open({quota("10r/m")});
  for (uint64_t left = 10; left-- > 0;) {
    weir_limit_t one = limit();
    ASSERT_EQ(decide(one), WEIR_PASSED);
    EXPECT_EQ(weir_limit_remaining(&one), left);
    EXPECT_EQ(weir_limit_excess(&one), 0u);
    EXPECT_EQ(weir_limit_retry_after(&one), 0u);
    EXPECT_EQ(weir_limit_delay(&one), 0u);
  }
  weir_limit_t one = limit();
  ASSERT_EQ(decide(one), WEIR_REJECTED);
  EXPECT_EQ(weir_limit_remaining(&one), 0u);
  EXPECT_EQ(weir_limit_excess(&one), 1000u);
  one = limit(4);
  ASSERT_EQ(decide(one), WEIR_REJECTED);
  EXPECT_EQ(weir_limit_excess(&one), 4000u);
}

TEST_F(WindowZoneTest, RetryAfterIsWhenTheSameRequestPasses) {
  open({quota("10r/m")});
  EXPECT_EQ(admitted(20), 10u);
  clock_.advance(20 * kSecond + 123'456'789);
  weir_limit_t four = limit(4);
  ASSERT_EQ(decide(four), WEIR_REJECTED);
  const uint64_t wait = weir_limit_retry_after(&four);
  clock_.advance(wait - 1000);  // a microsecond before
  ASSERT_EQ(decide(four), WEIR_REJECTED);
  clock_.advance(1000);
  EXPECT_EQ(decide(four), WEIR_PASSED);
}

TEST_F(WindowZoneTest, ACostAboveTheLimitCanNeverPass) {
  open({quota("10r/m")});
  weir_limit_t much = limit(11);
  EXPECT_EQ(decide(much), WEIR_REJECTED);
  EXPECT_EQ(weir_limit_retry_after(&much), UINT64_MAX);
  EXPECT_EQ(weir_limit_excess(&much), 11'000u);
  EXPECT_EQ(weir_limit_remaining(&much), 10u);
}

TEST_F(WindowZoneTest, NeverDelays) {
  open({quota("10r/m")});
  weir_limit_t one = limit();
  one.undelayed = 0;
  for (int i = 0; i < 10; ++i) ASSERT_EQ(decide(one), WEIR_PASSED);
}

TEST_F(WindowZoneTest, RejectedRequestsAreNotCounted) {
  open({quota("10r/m")});
  EXPECT_EQ(admitted(10'000), 10u);
  clock_.advance(90 * kSecond - kMicrosecond);
  EXPECT_EQ(admitted(10'000), 5u);
}

TEST_F(WindowZoneTest, AChargeIsGivenBackInFull) {
  open({quota("10r/m")});
  weir_limit_t three = limit(3);
  ASSERT_EQ(decide(three), WEIR_PASSED);
  const weir_clock_t clock = clock_.handle();
  weir_refund(&three, &clock);
  EXPECT_EQ(three.charged, 0u);
  EXPECT_EQ(admitted(20), 10u);
}

TEST_F(WindowZoneTest, LateChargesExceedTheLimitAndAreOwed) {
  open({quota("5r/m")});
  weir_limit_t login = limit();
  login.charge_later = true;
  const weir_clock_t clock = clock_.handle();
  for (int i = 0; i < 12; ++i) weir_charge(&login, &clock);
  EXPECT_EQ(decide(login), WEIR_REJECTED);
  clock_.advance_seconds(60 + 30);  // 12 have faded to 6
  EXPECT_EQ(decide(login), WEIR_REJECTED);
  clock_.advance_seconds(7);  // below 5
  EXPECT_EQ(decide(login), WEIR_PASSED);
  for (int i = 0; i < 300'000; ++i) weir_charge(&login, &clock);
  // As much as can be counted: it takes more than a period until 5 of that are left.
  EXPECT_EQ(decide(login), WEIR_REJECTED);
  EXPECT_GT(weir_limit_retry_after(&login), 60 * kSecond);
  EXPECT_LT(weir_limit_retry_after(&login), 120 * kSecond);
}

TEST_F(WindowZoneTest, TheLastLateChargeFillsTheCountUp) {
  open({quota("262143r/h")});
  weir_limit_t large = limit(150'000);
  large.charge_later = true;
  const weir_clock_t clock = clock_.handle();
  for (int i = 0; i < 2; ++i) weir_charge(&large, &clock);
  EXPECT_EQ(take(), WEIR_REJECTED);
}

TEST_F(WindowZoneTest, WhatNobodySweptIsSweptAfterAPause) {
  open({quota("1r/s")});
  const weir_clock_t clock = clock_.handle();
  weir_zone_sweep(zone_->get(), &clock);
  for (int i = 0; i < 500; ++i) {
    key_ = std::to_string(i);
    ASSERT_EQ(take(), WEIR_PASSED) << i;
  }
  clock_.advance_seconds(127);  // nobody ran: a second more, and the numbers come round
  EXPECT_EQ(weir_zone_sweep(zone_->get(), &clock), 0u);  // they look alive, from ahead
  clock_.advance_seconds(40);
  EXPECT_EQ(weir_zone_sweep(zone_->get(), &clock), 500u);
}

TEST_F(WindowZoneTest, AnUnsweptKeyIsNotRefusedForLong) {
  open({quota("1r/s")});
  ASSERT_EQ(take(), WEIR_PASSED);
  unsigned refused = 0;
  for (int second = 2; second < 200; ++second) {
    clock_.advance_seconds(second == 2 ? 2 : 1);
    weir_limit_t look = limit();
    look.charge_later = true;
    refused += decide(look) == WEIR_REJECTED;
  }
  EXPECT_LE(refused, 3u);
}

TEST_F(WindowZoneTest, AReloadThatChangesTheRateKeepsTheCounts) {
  open({quota("20000r/d")});
  EXPECT_EQ(admitted(18'000), 18'000u);
  budget_ = budget(quota("15000r/d"));
  EXPECT_EQ(admitted(10), 0u);
  budget_ = budget(quota("200000r/d"));
  EXPECT_EQ(admitted(200'000), 182'000u);
}

TEST_F(WindowZoneTest, AForgottenKeyIsNotRememberedWhenWindowNumbersComeRound) {
  open({quota("1r/s")});
  const weir_clock_t clock = clock_.handle();
  for (int round = 0; round < 3; ++round) {
    for (int i = 0; i < 500; ++i) {
      key_ = std::to_string(i);
      EXPECT_EQ(take(), WEIR_PASSED) << i;
    }
    for (int second = 0; second < 128; ++second) {
      clock_.advance_seconds(1);
      weir_zone_sweep(zone_->get(), &clock);
    }
  }
}

TEST_F(WindowZoneTest, AFullZoneSaysWhenANeighbourWillHaveBeenForgotten) {
  format_ = format_for({quota("1r/m")});
  memory_.emplace(weir_zone_size_min(), format_);  // one line of eight words
  zone_.emplace(memory_->attach(WEIR_FULL_REJECT));
  budget_ = budget(quota("1r/m"));
  for (int i = 0; i < 8; ++i) {
    key_ = std::to_string(i);
    EXPECT_EQ(take(), WEIR_PASSED);
  }
  clock_.advance_seconds(10);
  key_ = "new";
  weir_limit_t one = limit();
  EXPECT_EQ(decide(one), WEIR_REJECTED);
  EXPECT_EQ(weir_limit_retry_after(&one), 110 * kSecond);
  clock_.advance(weir_limit_retry_after(&one));
  EXPECT_EQ(decide(one), WEIR_PASSED);
}

TEST_F(WindowZoneTest, LimitsAreKeptExactlyUpTo262143AWindow) {
  for (const uint32_t tokens : {1u, 16'383u, 16'384u, 100'000u, 262'143u}) {
    open({Quota{tokens, 60, 0}});
    EXPECT_EQ(format_.unit, 1u);
    EXPECT_EQ(admitted(tokens + uint64_t{10}), tokens);
    clock_.advance_seconds(600);
  }
}

TEST_F(WindowZoneTest, LimitsAboveAreKeptWithinOnePercent) {
  constexpr uint32_t kMonth = 30 * 86400;
  for (const uint32_t tokens : {262'144u, 1'000'000u, 10'000'000u, 2'147'483'648u}) {
    open({Quota{tokens, kMonth, 0}});
    EXPECT_GT(format_.unit, 1u);
    const uint32_t cost = tokens / 1'000'000 + 1;
    const auto passed = static_cast<double>(admitted(tokens / cost * uint64_t{102} / 100, cost));
    EXPECT_NEAR(passed / tokens, 1, 0.01) << tokens;
    clock_.advance_seconds(uint64_t{3} * kMonth);
  }
}

}  // namespace
}  // namespace weir
