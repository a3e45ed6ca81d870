// What is left of a budget is what the next requests then experience.

#include <gtest/gtest.h>

#include <string>

#include "support/manual_clock.h"
#include "support/random.h"
#include "support/zone_memory.h"
#include "zone/zone.h"

namespace weir {
namespace {

using test::limit_on;
using test::ManualClock;
using test::must;
using test::quota;
using test::Random;
using test::ZoneMemory;

constexpr uint64_t kSecond = 1'000'000'000;

// One key in a zone of its own, under one quota.
class Client {
 public:
  Client(weir_algorithm_t algorithm, const Quota& quota)
      : memory_(1 << 16, format(algorithm, quota)), zone_(memory_.attach()) {
    must(make_budget(quota, zone_->format(), &budget_, nullptr) == WEIR_OK, "make_budget");
  }

  bool take(uint64_t tokens) {
    weir_limit_t one = limit(tokens);
    const weir_clock_t clock = clock_.handle();
    return weir_decide(&one, 1, &clock, nullptr) == WEIR_PASSED;
  }
  // The same without charging.
  bool could_take(uint64_t tokens) {
    weir_limit_t one = limit(tokens);
    one.charge_later = 1;
    const weir_clock_t clock = clock_.handle();
    return weir_decide(&one, 1, &clock, nullptr) == WEIR_PASSED;
  }
  void charge_late(uint64_t tokens) {
    weir_limit_t one = limit(tokens);
    const weir_clock_t clock = clock_.handle();
    weir_charge(&one, &clock);
  }
  weir_balance_t balance(uint64_t cost = 0) {
    const weir_limit_t one = limit(cost);
    const weir_clock_t clock = clock_.handle();
    weir_balance_t balance;
    weir_limit_balance(&one, &clock, &balance);
    return balance;
  }
  // A little more than what a reading of the clock may be off by.
  uint64_t two_ticks() const {
    const Format format = zone_->format();
    return format.algorithm == WEIR_TOKEN_BUCKET ? (2 * kSecond) >> format.tick_bits : 2000;
  }
  weir_counters_t counters() const { return zone_->counters(); }
  void advance(uint64_t nanoseconds) { clock_.advance(nanoseconds); }

 private:
  static Format format(weir_algorithm_t algorithm, const Quota& quota) {
    Format chosen;
    must(choose_format(algorithm, {&quota, 1}, &chosen, nullptr) == WEIR_OK, "choose_format");
    return chosen;
  }
  weir_limit_t limit(uint64_t cost) const {
    return limit_on(zone_, key_, budget_, static_cast<uint32_t>(cost));
  }

  ManualClock clock_{600 * kSecond};  // at the beginning of a window of a minute
  ZoneMemory memory_;
  test::ZoneHandle zone_;
  Budget budget_{};
  std::string key_ = "client";
};

TEST(Balance, OfANewKeyIsAllOfTheQuota) {
  const weir_balance_t bucket = Client(WEIR_TOKEN_BUCKET, quota("10r/s", 99)).balance();
  EXPECT_EQ(bucket.quota, 100u);
  EXPECT_EQ(bucket.remaining, 100u);
  EXPECT_EQ(bucket.full_after, 0u);
  const weir_balance_t window = Client(WEIR_SLIDING_WINDOW, quota("100r/m")).balance();
  EXPECT_EQ(window.quota, 100u);
  EXPECT_EQ(window.remaining, 100u);
  EXPECT_EQ(window.full_after, 0u);
}

TEST(Balance, OfABucketComesBackAtTheRate) {
  Client client(WEIR_TOKEN_BUCKET, quota("1r/s", 4));
  EXPECT_TRUE(client.take(3));
  EXPECT_EQ(client.balance().remaining, 2u);
  EXPECT_NEAR(static_cast<double>(client.balance().full_after), 3e9, 1e3);
  client.advance(1'500'000'000);
  EXPECT_EQ(client.balance().remaining, 3u);
  EXPECT_NEAR(static_cast<double>(client.balance().full_after), 1.5e9, 1e3);
}

TEST(Balance, OfAWindowIsFullWhenItsCountsHaveFaded) {
  Client client(WEIR_SLIDING_WINDOW, quota("4r/m"));
  EXPECT_TRUE(client.take(3));
  EXPECT_EQ(client.balance().remaining, 1u);
  // In the next window three counts are less than one when two thirds of it are over.
  EXPECT_NEAR(static_cast<double>(client.balance().full_after), 100e9, 1e4);
  client.advance(60 * kSecond);
  EXPECT_EQ(client.balance().remaining, 2u);
  client.advance(30 * kSecond);
  EXPECT_EQ(client.balance().remaining, 3u);
  EXPECT_NEAR(static_cast<double>(client.balance().full_after), 10e9, 1e4);
}

TEST(Balance, LooksAtACostAsIfItWereCharged) {
  for (const auto algorithm : {WEIR_TOKEN_BUCKET, WEIR_SLIDING_WINDOW}) {
    Client client(algorithm, algorithm == WEIR_TOKEN_BUCKET ? quota("5r/m", 4) : quota("5r/m"));
    EXPECT_TRUE(client.take(1));
    const weir_balance_t looked = client.balance(2);
    EXPECT_EQ(looked.remaining, 2u);
    EXPECT_EQ(client.balance().remaining, 4u);
    EXPECT_TRUE(client.take(2));
    EXPECT_EQ(client.balance().full_after, looked.full_after);
    EXPECT_EQ(client.balance(5).remaining, 0u);
    EXPECT_GT(client.balance(5).full_after, looked.full_after);
    // What can never be charged is not.
    EXPECT_EQ(client.balance(6).remaining, 2u);
  }
}

TEST(Balance, OfAnOverdrawnKeyIsNothing) {
  for (const auto algorithm : {WEIR_TOKEN_BUCKET, WEIR_SLIDING_WINDOW}) {
    Client client(algorithm, algorithm == WEIR_TOKEN_BUCKET ? quota("2r/m", 1) : quota("2r/m"));
    for (int i = 0; i < 5; ++i) client.charge_late(2);
    EXPECT_EQ(client.balance().remaining, 0u);
    const uint64_t wait = client.balance().full_after;
    EXPECT_GT(wait, 60 * kSecond);
    client.advance(wait);
    EXPECT_TRUE(client.could_take(2));
  }
}

TEST(Balance, ChargesAndCountsNothing) {
  Client client(WEIR_TOKEN_BUCKET, quota("5r/m", 4));
  for (int i = 0; i < 10; ++i) client.balance(3);
  EXPECT_EQ(client.counters().passed, 0u);
  EXPECT_EQ(client.counters().rejected, 0u);
  EXPECT_TRUE(client.take(5));
}

TEST(Remaining, OfAKeyThatAFullZoneRefusesIsLessThanItAskedFor) {
  const ZoneMemory memory(weir_zone_size_min());
  const test::ZoneHandle zone = memory.attach(WEIR_FULL_REJECT);
  ManualClock clock{kSecond};
  const weir_clock_t handle = clock.handle();
  const Budget budget = test::budget("1r/m", 9);
  int refused = 0;
  for (int i = 0; i < 40; ++i) {
    const std::string key = std::to_string(i);
    weir_limit_t one = limit_on(zone, key, budget, 3);
    if (weir_decide(&one, 1, &handle, nullptr) == WEIR_PASSED) {
      EXPECT_EQ(weir_limit_remaining(&one), 7u);
      continue;
    }
    ++refused;
    EXPECT_EQ(weir_limit_remaining(&one), 2u);
    one.cost = 11;  // this can never pass, and so says nothing of what can
    EXPECT_EQ(weir_decide(&one, 1, &handle, nullptr), WEIR_REJECTED);
    EXPECT_EQ(weir_limit_remaining(&one), 10u);
  }
  EXPECT_GT(refused, 0);
  EXPECT_EQ(zone->counters().full_rejected, static_cast<uint64_t>(refused));
}

// Whatever has been taken: as much as remains passes and one more does not; and all of the quota
// passes when the time is over, and not a moment before.
void expect_truth(weir_algorithm_t algorithm, const Quota& quota, Random& random) {
  Client client(algorithm, quota);
  const uint64_t moment = client.two_ticks();
  const uint64_t all = client.balance().quota;
  for (int step = 0; step < 40; ++step) {
    client.take(1 + random.below(all));
    client.advance(random.below(quota.period * kSecond / quota.tokens * 2));
    const weir_balance_t now = client.balance();
    ASSERT_EQ(now.quota, all);
    ASSERT_TRUE(now.remaining == 0 || client.could_take(now.remaining));
    ASSERT_FALSE(client.could_take(now.remaining + 1));
    ASSERT_EQ(now.full_after == 0, now.remaining == all);
  }
  const uint64_t wait = client.balance().full_after;
  if (wait > moment) {
    client.advance(wait - moment);
    ASSERT_FALSE(client.could_take(all));
    client.advance(moment);
  } else {
    client.advance(wait);
  }
  ASSERT_TRUE(client.could_take(all));
  ASSERT_EQ(client.balance().full_after, 0u);
}

TEST(Balance, IsWhatTheNextRequestsExperience) {
  Random random(1);
  const char* const rates[] = {"1r/s", "7r/s", "1000r/s", "100r/m", "5r/h", "1r/d", "10r/7s"};
  for (int trace = 0; trace < 300; ++trace) {
    const char* const rate = rates[random.below(std::size(rates))];
    SCOPED_TRACE(std::string(rate) + ", trace " + std::to_string(trace));
    const auto burst = static_cast<uint32_t>(random.below(9));
    expect_truth(WEIR_TOKEN_BUCKET, quota(rate, burst), random);
    expect_truth(WEIR_SLIDING_WINDOW, quota(rate), random);
    if (testing::Test::HasFatalFailure()) return;
  }
}

TEST(QuotaWindow, IsTheTimeInWhichAUsedUpQuotaComesBack) {
  const auto window = [](const Quota& quota, weir_algorithm_t algorithm) {
    return weir_quota_window(&quota, algorithm);
  };
  EXPECT_EQ(window(quota("10r/s", 99), WEIR_TOKEN_BUCKET), 10u);
  EXPECT_EQ(window(quota("10r/s", 100), WEIR_TOKEN_BUCKET), 11u);
  EXPECT_EQ(window(quota("1000r/s", 1999), WEIR_TOKEN_BUCKET), 2u);
  EXPECT_EQ(window(quota("1r/d"), WEIR_TOKEN_BUCKET), 86400u);
  EXPECT_EQ(window(quota("1000000r/s"), WEIR_TOKEN_BUCKET), 1u);
  EXPECT_EQ(window(quota("1r/30d", 4294967294), WEIR_TOKEN_BUCKET), uint64_t{4294967295} * 2592000);
  EXPECT_EQ(window(quota("100r/m"), WEIR_SLIDING_WINDOW), 60u);
  EXPECT_EQ(window(quota("10r/5s"), WEIR_SLIDING_WINDOW), 5u);
}

}  // namespace
}  // namespace weir
