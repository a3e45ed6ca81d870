// What the sliding window promises, over random traces.
//
// The table is driven by an injected clock in microseconds. Beside it runs a model that shares
// nothing with it: a log of all that was admitted, from which the load of the two windows is worked
// out as it stands in limiter/sliding_window.h, and the true window as well.
//
// WEIR_TRACES sets the number of traces (default 100,000), WEIR_SEED the first seed; a failure
// prints the seed of its trace.

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <deque>
#include <vector>

#include "limiter/quota.h"
#include "support/random.h"
#include "zone/layout.h"

namespace weir {
namespace {

using test::environment;
using test::Random;
using WindowTable = TableOf<SlidingWindow>;
using Verdict = TableVerdict;

// All that one key was admitted.
class Log {
 public:
  Log(uint64_t limit, uint64_t period) : limit_(limit), period_(period) {}

  void add(uint64_t now, uint64_t cost) { entries_.push_back({now, cost}); }
  void take_back(uint64_t then, uint64_t cost) {
    const auto entry = std::ranges::find_if(
        entries_, [&](const Entry& e) { return e.at == then && e.cost == cost; });
    entries_.erase(entry);
  }

  uint64_t in_window(uint64_t number) const {
    return sum(number * period_, (number + 1) * period_);
  }
  // What was admitted in the period that ends now.
  uint64_t in_true_window(uint64_t now) const { return sum(now - period_ + 1, now + 1); }

  bool passes(uint64_t now, uint64_t cost) const {
    const uint64_t window = now / period_, left = period_ - now % period_ - 1;
    const uint64_t last = window == 0 ? 0 : in_window(window - 1);
    return in_window(window) + static_cast<uint64_t>(Wide{last} * left / period_) + cost <= limit_;
  }

 private:
  struct Entry {
    uint64_t at, cost;
  };

  uint64_t sum(uint64_t from, uint64_t to) const {
    uint64_t total = 0;
    for (const Entry& entry : entries_) total += entry.at >= from && entry.at < to ? entry.cost : 0;
    return total;
  }

  uint64_t limit_, period_;
  std::deque<Entry> entries_;
};

// One place of two lines, a limit, and a time that only moves forward. Sweeps as often as the
// zone's owner has to.
class Trace {
 public:
  explicit Trace(uint64_t seed) : random(seed), lines_{} {
    const uint32_t periods[] = {1, 1, 1, 5, 60, 3600, 86400, 30 * 86400};
    quota.period = periods[random.below(8)];
    quota.tokens = 1 + static_cast<uint32_t>(random.any_size_up_to(random.one_in(4) ? 16'382 : 20));
    Format format;
    EXPECT_EQ(choose_format(WEIR_SLIDING_WINDOW, {&quota, 1}, &format, nullptr), WEIR_OK);
    EXPECT_EQ(make_budget(quota, format, &budget, nullptr), WEIR_OK);
    scale = WindowScale(quota.period);
    now = 2 * scale.period() + random.below(200 * scale.period());
    swept_ = now;
  }

  void pass_time() {
    const uint64_t period = scale.period();
    const uint64_t longest[] = {0,      3,          period / quota.tokens, period / 4,
                                period, 3 * period, 200 * period};
    advance(random.any_size_up_to(longest[random.below(random.one_in(20) ? 7 : 6)]));
  }

  auto clock(uint64_t at) const {
    return [this, at] { return scale.time(at * 1000); };
  }
  void advance(uint64_t ticks) {
    const uint64_t until = now + ticks;
    while (until - swept_ > 32 * scale.period()) {
      swept_ += 32 * scale.period();
      for (Line& line : lines_) WindowTable::sweep(line, clock(swept_));
    }
    now = until;
  }

  uint32_t any_cost() {
    return random.one_in(3) ? 1 + static_cast<uint32_t>(random.any_size_up_to(quota.tokens + 1))
                            : 1;
  }

  WindowTable::Outcome charge(uint32_t tag, uint32_t cost) {
    const auto price = SlidingWindow::price(cost, 1, 0);
    if (!SlidingWindow::is_possible(budget, price)) return peek(tag, cost, now);
    return WindowTable::charge(place(tag), budget, price, {.number = 1, .may_evict = true},
                               clock(now));
  }
  WindowTable::Outcome peek(uint32_t tag, uint32_t cost, uint64_t at) {
    return WindowTable::peek(place(tag), budget, SlidingWindow::price(cost, 1, 0), clock(at));
  }
  void refund(uint32_t tag, uint32_t cost, const WindowTable::Outcome& charged) {
    WindowTable::refund(place(tag), SlidingWindow::receipt(cost, charged.debt, charged.state),
                        clock(now));
  }

  std::array<uint64_t, 16> words() const {
    std::array<uint64_t, 16> copy;
    for (unsigned i = 0; i < 16; ++i) copy[i] = lines_[i / 8].words[i % 8].load();
    return copy;
  }

  Random random;
  Quota quota{};
  Budget budget{};
  WindowScale scale{1};
  uint64_t now = 0;

 private:
  Place place(uint32_t tag) { return {&lines_[0], &lines_[1], tag}; }

  alignas(64) Line lines_[2];
  uint64_t swept_ = 0;
};

class WindowProperty : public testing::Test {
 protected:
  template <class Body>
  void for_each_trace(Body&& body) {
    const uint64_t traces = environment("WEIR_TRACES", 100'000);
    const uint64_t first = environment("WEIR_SEED", 1);
    for (uint64_t seed = first; seed < first + traces; ++seed) {
      Trace trace(seed);
      body(trace);
      ASSERT_FALSE(HasFailure()) << "trace with WEIR_SEED=" << seed << ", limit "
                                 << to_string(trace.quota);
    }
  }
};

constexpr uint32_t kKeys = 5;  // few enough that nothing is ever evicted
constexpr int kSteps = 40;

TEST_F(WindowProperty, DecidesExactlyAsTheTwoCountersOfALogOfAllThatWasAdmitted) {
  for_each_trace([](Trace& trace) {
    std::vector<Log> logs(kKeys, Log(trace.quota.tokens, trace.scale.period()));
    for (int step = 0; step < kSteps; ++step) {
      trace.pass_time();
      const auto key = static_cast<uint32_t>(trace.random.below(kKeys));
      const uint32_t cost = trace.any_cost();
      const auto before = trace.words();
      const bool expected = logs[key].passes(trace.now, cost);
      const auto outcome = trace.charge(key + 1, cost);
      ASSERT_EQ(outcome.verdict == Verdict::kAdmitted, expected) << "step " << step;
      ASSERT_EQ(outcome.evictions, 0u);
      if (expected) {
        logs[key].add(trace.now, cost);
      } else {
        ASSERT_EQ(trace.words(), before);
      }
    }
  });
}

TEST_F(WindowProperty, NoWindowOfTheGridHoldsMoreThanTheLimitAndNoTrueOneTwice) {
  for_each_trace([](Trace& trace) {
    Log log(trace.quota.tokens, trace.scale.period());
    for (int step = 0; step < kSteps; ++step) {
      trace.pass_time();
      const uint32_t cost = trace.any_cost();
      if (trace.charge(1, cost).verdict != Verdict::kAdmitted) continue;
      log.add(trace.now, cost);
      ASSERT_LE(log.in_window(trace.now / trace.scale.period()), trace.quota.tokens);
      ASSERT_LE(log.in_true_window(trace.now), 2 * trace.quota.tokens);
    }
  });
}

TEST_F(WindowProperty, IsRejectedOneTickBeforeRetryAfterAndAdmittedAtIt) {
  for_each_trace([](Trace& trace) {
    for (int step = 0; step < kSteps; ++step) {
      trace.pass_time();
      const uint32_t cost = trace.any_cost();
      const auto outcome = trace.charge(1, cost);
      if (outcome.verdict == Verdict::kAdmitted || cost > trace.quota.tokens) continue;
      ASSERT_GT(outcome.wait, 0u);
      ASSERT_EQ(trace.peek(1, cost, trace.now + outcome.wait - 1).verdict, Verdict::kRejected);
      ASSERT_EQ(trace.peek(1, cost, trace.now + outcome.wait).verdict, Verdict::kAdmitted);
    }
  });
}

TEST_F(WindowProperty, AnEvenStreamAtTheLimitIsNeverRejected) {
  for_each_trace([](Trace& trace) {
    const uint64_t period = trace.scale.period();
    const uint64_t spacing = (period + trace.quota.tokens - 1) / trace.quota.tokens;
    if (trace.random.one_in(2)) trace.advance(period - trace.now % period);  // to the edge
    for (int step = 0; step < kSteps; ++step) {
      ASSERT_EQ(trace.charge(1, 1).verdict, Verdict::kAdmitted) << "step " << step;
      trace.advance(spacing);
    }
  });
}

TEST_F(WindowProperty, WhatIsGivenBackIsAsIfItHadNeverBeenAdmitted) {
  struct Charge {
    uint64_t at;
    uint32_t cost;
    WindowTable::Outcome outcome;
  };
  for_each_trace([](Trace& trace) {
    Log log(trace.quota.tokens, trace.scale.period());
    Charge last{};
    for (int step = 0; step < kSteps; ++step) {
      trace.pass_time();
      if (last.cost != 0 && trace.random.one_in(3)) {
        trace.refund(1, last.cost, last.outcome);
        log.take_back(last.at, last.cost);
        last.cost = 0;
        continue;
      }
      const uint32_t cost = trace.any_cost();
      const bool expected = log.passes(trace.now, cost);
      const auto outcome = trace.charge(1, cost);
      ASSERT_EQ(outcome.verdict == Verdict::kAdmitted, expected) << "step " << step;
      if (!expected) continue;
      log.add(trace.now, cost);
      last = {trace.now, cost, outcome};
    }
  });
}

}  // namespace
}  // namespace weir
