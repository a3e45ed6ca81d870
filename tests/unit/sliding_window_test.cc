#include "limiter/sliding_window.h"

#include <gtest/gtest.h>

#include <cmath>
#include <random>

namespace weir {
namespace {

constexpr uint64_t kSecond = 1'000'000'000;
constexpr uint32_t kMinute = 60;
constexpr WindowScale kScale(kMinute);
constexpr Ticks kPeriod = kScale.period();

weir_budget_t limit(uint32_t counts) {
  return {.interval = kPeriod, .tolerance = (counts + uint64_t{1}) * kPeriod - 1};
}
SlidingWindow::Price tokens(uint32_t cost) { return SlidingWindow::price(cost, 1, 0); }

// In the middle of things: window 5, so many seconds into it.
WindowTime at(double seconds) { return {5, static_cast<Ticks>(seconds * 1e6), kPeriod}; }
SlidingWindow::View key(uint32_t current, uint32_t previous, double seconds) {
  return {5, current, previous, at(seconds).offset, kPeriod};
}
bool passes(const SlidingWindow::View& view, uint32_t counts, uint32_t cost = 1) {
  return SlidingWindow::passes(view, limit(counts), tokens(cost));
}

TEST(WindowScale, NumbersWindowsFromTheClocksZeroModulo128) {
  EXPECT_EQ(kScale.time(0).window, 0u);
  EXPECT_EQ(kScale.time(59 * kSecond).window, 0u);
  EXPECT_EQ(kScale.time(60 * kSecond).window, 1u);
  EXPECT_EQ(kScale.time(60 * kSecond).offset, 0u);
  EXPECT_EQ(kScale.time(128 * 60 * kSecond + 1'234'567).window, 0u);
  EXPECT_EQ(kScale.time(128 * 60 * kSecond + 1'234'567).offset, 1234u);
}

TEST(WindowScale, WaitingTheNanosecondsOfADurationIsAlwaysEnough) {
  std::mt19937_64 random(1);
  for (int i = 0; i < 1000; ++i) {
    const uint64_t now = random() >> 12;
    const Ticks wait = random() % kPeriod;
    const WindowTime before = kScale.time(now), after = kScale.time(now + kScale.nanoseconds(wait));
    const Ticks passed =
        (after.window - before.window) % 128 * kPeriod + after.offset - before.offset;
    EXPECT_GE(passed, wait);
  }
}

TEST(SlidingWindow, AKeyNeverSeenMayUseTheWholeLimitAtOnce) {
  EXPECT_TRUE(passes(SlidingWindow::unseen(at(30)), 10, 10));
  EXPECT_FALSE(passes(SlidingWindow::unseen(at(30)), 10, 11));
}

TEST(SlidingWindow, TheLastWindowFadesWhileThisOneGoesBy) {
  EXPECT_TRUE(passes(key(0, 10, 0), 10));
  EXPECT_FALSE(passes(key(0, 10, 0), 10, 2));
  EXPECT_FALSE(passes(key(1, 10, 5.999999), 10));
  EXPECT_TRUE(passes(key(1, 10, 6), 10));
  EXPECT_TRUE(passes(key(5, 10, 30), 10));
  EXPECT_FALSE(passes(key(6, 10, 30), 10));
  EXPECT_FALSE(passes(key(9, 10, 53.999999), 10));
  EXPECT_TRUE(passes(key(9, 10, 54), 10));
  EXPECT_FALSE(passes(key(10, 10, 59.999999), 10));
}

TEST(SlidingWindow, ACostAboveTheLimitNeverPasses) {
  for (const uint32_t cost : {11u, SlidingWindow::kMaxCount + 1, UINT32_MAX}) {
    EXPECT_FALSE(SlidingWindow::is_possible(limit(10), tokens(cost)));
    EXPECT_FALSE(passes(key(0, 0, 0), 10, cost));
    EXPECT_EQ(SlidingWindow::wait(key(3, 4, 10), limit(10), tokens(cost)), kNever);
  }
}

TEST(SlidingWindow, TheWaitIsExactToTheMicrosecond) {
  std::mt19937_64 random(2);
  const auto below = [&](uint64_t n) { return static_cast<uint32_t>(random() % n); };
  int refused = 0;
  for (int i = 0; i < 200'000; ++i) {
    const uint32_t counts = 1 + below(below(4) == 0 ? SlidingWindow::kMaxCount : 50);
    const uint32_t previous =
        SlidingWindow::expand(SlidingWindow::shorten(below(uint64_t{counts} + 1)));
    const SlidingWindow::View now = {below(128), below(uint64_t{counts} + 1), previous,
                                     random() % kPeriod, kPeriod};
    const auto price = tokens(1 + below(counts));
    if (SlidingWindow::passes(now, limit(counts), price)) continue;
    ++refused;
    const Ticks wait = SlidingWindow::wait(now, limit(counts), price);
    ASSERT_GT(wait, 0u);
    const auto passes_after = [&](Ticks ticks) {
      const Ticks offset = now.offset + ticks;
      const WindowTime then = {static_cast<uint32_t>((now.window + offset / kPeriod) % 128),
                               offset % kPeriod, kPeriod};
      const auto seen = SlidingWindow::view(SlidingWindow::state(now), then);
      return SlidingWindow::passes(seen, limit(counts), price);
    };
    ASSERT_FALSE(passes_after(wait - 1)) << i;
    ASSERT_TRUE(passes_after(wait)) << i;
  }
  EXPECT_GT(refused, 20'000);
}

TEST(SlidingWindow, AStateIsLiveUntilItsCountsHaveFaded) {
  const auto state = SlidingWindow::state(key(3, 2, 10));
  const auto seen_in = [&](uint32_t window) {
    return SlidingWindow::view(state, {window, 1000, kPeriod});
  };
  EXPECT_EQ(seen_in(5).current, 3u);
  EXPECT_EQ(seen_in(5).previous, 2u);
  EXPECT_EQ(seen_in(6).current, 0u);
  EXPECT_EQ(seen_in(6).previous, 3u);
  for (uint32_t window = 7; window < 5 + 128 - SlidingWindow::kAhead; ++window)
    EXPECT_FALSE(SlidingWindow::is_live(seen_in(window % 128))) << window;
}

TEST(SlidingWindow, WhatOnlyTheLastWindowCountedDiesWithThisOne) {
  const auto state = SlidingWindow::state(key(0, 2, 10));
  EXPECT_TRUE(SlidingWindow::is_live(SlidingWindow::view(state, at(59))));
  EXPECT_FALSE(SlidingWindow::is_live(SlidingWindow::view(state, {6, 0, kPeriod})));
}

// A reader that has slept between its clock and the word: the word's own window goes.
TEST(SlidingWindow, AStateOfALaterWindowIsReadAsOfThatWindow) {
  const auto state = SlidingWindow::state(key(3, 2, 10));
  for (const uint32_t window : {4u, 3u, (5u - SlidingWindow::kAhead) % 128}) {
    const auto seen = SlidingWindow::view(state, {window, kPeriod - 1, kPeriod});
    EXPECT_EQ(seen.window, 5u);
    EXPECT_EQ(seen.offset, 0u);
    EXPECT_EQ(seen.current, 3u);
    EXPECT_EQ(seen.previous, 2u);
    EXPECT_EQ(SlidingWindow::state(seen), state);
  }
}

TEST(SlidingWindow, CountsOfTheLastWindowAreExactTo16383AndAtMostATwoThousandthTooHighAbove) {
  uint32_t last = 0;
  for (uint32_t count = 0; count <= SlidingWindow::kMaxCount; ++count) {
    const uint32_t code = SlidingWindow::shorten(count);
    const uint32_t back = SlidingWindow::expand(code);
    ASSERT_LT(code, 1u << SlidingWindow::kPreviousBits);
    ASSERT_EQ(SlidingWindow::shorten(back), code);
    ASSERT_GE(back, count);
    ASSERT_GE(back, last);
    ASSERT_TRUE(back == count || count > 16'383);
    ASSERT_LE((back - count) * uint64_t{2000}, count);
    last = back;
  }
}

TEST(SlidingWindow, ARefundTakesTheCountsFromTheWindowThatHasThem) {
  const auto charged = SlidingWindow::charge(key(3, 2, 10), tokens(2));
  const auto receipt = SlidingWindow::receipt(2, 0, SlidingWindow::state(charged));
  const auto refunded = [&](const SlidingWindow::View& view) {
    return SlidingWindow::refund(view, receipt);
  };
  EXPECT_EQ(refunded(charged).current, 3u);
  EXPECT_EQ(refunded(key(9, 2, 20)).current, 7u);

  SlidingWindow::View later = {6, 4, 5, 0, kPeriod};
  EXPECT_EQ(refunded(later).previous, 3u);
  EXPECT_EQ(refunded(later).current, 4u);
  later.window = 7;
  EXPECT_EQ(SlidingWindow::state(refunded(later)), SlidingWindow::state(later));
}

TEST(SlidingWindow, RefundsInAnyOrderLeaveNothing) {
  const auto first = SlidingWindow::charge(SlidingWindow::unseen(at(1)), tokens(2));
  const auto second = SlidingWindow::charge(first, tokens(3));
  const auto receipt_of = [](const auto& charged, uint32_t cost) {
    return SlidingWindow::receipt(cost, 0, SlidingWindow::state(charged));
  };
  const auto once = SlidingWindow::refund(second, receipt_of(first, 2));
  EXPECT_EQ(once.current, 3u);
  EXPECT_EQ(SlidingWindow::refund(once, receipt_of(second, 3)).current, 0u);
}

TEST(SlidingWindow, ARefundNeverTakesMoreThanThereIs) {
  const auto charged = SlidingWindow::charge(key(3, 2, 10), tokens(2));
  const auto receipt = SlidingWindow::receipt(2, 0, SlidingWindow::state(charged));
  EXPECT_EQ(SlidingWindow::refund(key(1, 7, 20), receipt).current, 0u);
  EXPECT_EQ(SlidingWindow::refund(key(1, 7, 20), receipt).previous, 7u);
}

TEST(SlidingWindow, AUnitOfManyTokensIsAddedByChanceInProportion) {
  std::mt19937_64 random(3);
  for (const auto& [cost, unit] : {std::pair{1u, 7u}, {6u, 7u}, {7u, 7u}, {23u, 7u}, {1u, 2u}}) {
    uint64_t added = 0;
    constexpr uint32_t kDraws = 400'000;
    for (uint32_t i = 0; i < kDraws; ++i) {
      const auto price = SlidingWindow::price(cost, unit, random());
      ASSERT_EQ(price.asked, (cost + unit - 1) / unit);
      ASSERT_GE(price.added, cost / unit);
      ASSERT_LE(price.added, price.asked);
      added += price.added;
    }
    const double expected = kDraws * static_cast<double>(cost) / unit;
    EXPECT_NEAR(static_cast<double>(added), expected, 5 * std::sqrt(kDraws / 4.0));
  }
}

}  // namespace
}  // namespace weir
