// The invariants of ARCHITECTURE.md ("What the table promises") over random traces.
//
// The table is driven by an injected clock in ticks. Beside it runs a model that shares nothing
// with it: a bucket that fills, kept per key in a map, in unbounded numbers. Where a statement is
// about the quota as the operator wrote it, the arithmetic is exact: fractions are compared by
// cross-multiplication in 128 bits.
//
// WEIR_TRACES sets the number of traces (default 100,000), WEIR_SEED the first seed; a failure
// prints the seed of its trace.

#include <gtest/gtest.h>

#include <array>
#include <vector>

#include "limiter/quota.h"
#include "support/gcra_words.h"
#include "support/random.h"
#include "zone/layout.h"

namespace weir {
namespace {

using BucketTable = TableOf<Gcra>;
using Verdict = TableVerdict;
__extension__ typedef __int128 Exact;

using test::environment;
using test::Random;

// The bucket, seen from the side of the tokens, in units of 1 / interval tokens.
class Bucket {
 public:
  Bucket(const Budget& budget, uint64_t now)
      : budget_(budget), level_(budget.tolerance), then_(now) {}

  bool take(uint64_t now, uint64_t cost) {
    fill(now);
    if (static_cast<Exact>(cost) * budget_.interval > level_) return false;
    level_ -= cost * budget_.interval;
    return true;
  }
  uint64_t wait(uint64_t cost) const { return cost * budget_.interval - level_; }
  uint64_t debt() const { return budget_.tolerance - level_; }

 private:
  void fill(uint64_t now) {
    const uint64_t missing = budget_.tolerance - level_;
    level_ += std::min(missing, now - then_);
    then_ = now;
  }

  Budget budget_;
  uint64_t level_;
  uint64_t then_;
};

// Whether admissions ever exceed capacity + rate * L over any interval L, exactly, for the quota as
// written: with S the tokens admitted so far, S_after(j) - S_before(i) <= capacity + rate * (t_j -
// t_i) for all i <= j. It is enough to remember the smallest S_before(i) - rate * t_i.
class ExactBound {
 public:
  ExactBound(const Quota& quota, unsigned bits, uint64_t start)
      : tokens_(quota.tokens),
        ticks_(static_cast<Exact>(quota.period) << bits),
        capacity_(static_cast<Exact>(quota.burst) + 1),
        start_(start) {}

  bool admit(uint64_t now, uint64_t cost) {
    const Exact earned = tokens_ * static_cast<Exact>(now - start_);
    const Exact before = sum_ * ticks_ - earned;
    if (!started_ || before < lowest_) lowest_ = before;
    started_ = true;
    sum_ += static_cast<Exact>(cost);
    return sum_ * ticks_ - earned - lowest_ <= capacity_ * ticks_;
  }

 private:
  Exact tokens_, ticks_, capacity_;
  uint64_t start_;
  Exact sum_ = 0;
  Exact lowest_ = 0;
  bool started_ = false;
};

// One place of two lines, a quota, and a time that only moves forward. Sweeps whenever time has
// moved by a quarter of the horizon, as a zone's owner has to.
class Trace {
 public:
  explicit Trace(uint64_t seed) : random(seed), lines_{} {
    Format format;
    const uint32_t periods[] = {1, 1, 1, 5, 60, 3600, 86400, 30 * 86400};
    do {
      quota.period = periods[random.below(8)];
      quota.tokens = 1 + static_cast<uint32_t>(random.any_size_up_to(
                             std::min<uint64_t>(1'000'000u * quota.period, 4'000'000'000u) - 1));
      quota.burst = static_cast<uint32_t>(random.any_size_up_to(random.one_in(4) ? 100'000 : 20));
    } while (choose_format(WEIR_TOKEN_BUCKET, {&quota, 1}, &format, nullptr) != WEIR_OK ||
             make_budget(quota, format, &budget, nullptr) != WEIR_OK);
    bits = format.tick_bits;
    // Starts anywhere, often just before the tick counter wraps.
    now = random.one_in(2) ? random.below(uint64_t{1} << 41)
                           : (uint64_t{1} << 40) - random.any_size_up_to(4 * budget.tolerance);
  }

  void pass_time() {
    const uint64_t longest[] = {0,
                                3,
                                budget.interval,
                                2 * budget.interval,
                                budget.tolerance,
                                2 * budget.tolerance,
                                kHorizon,
                                uint64_t{1} << 41};
    advance(random.any_size_up_to(longest[random.below(random.one_in(20) ? 8 : 6)]));
  }

  auto clock(uint64_t at) const {
    return [at] { return at & kTickMask; };
  }
  void advance(uint64_t ticks) {
    const uint64_t until = now + ticks;
    while (until - swept_ > kHorizon / 4) {
      swept_ = std::max(swept_ + kHorizon / 4, now);
      now = std::min(swept_, until);
      for (Line& line : lines_) BucketTable::sweep(line, clock(now));
    }
    now = until;
  }

  uint32_t any_cost() {
    const uint64_t capacity = quota.burst + uint64_t{1};
    return static_cast<uint32_t>(random.one_in(3) ? 1 + random.any_size_up_to(capacity + 1) : 1);
  }

  Place place(uint32_t tag) { return {&lines_[0], &lines_[1], tag}; }
  BucketTable::Outcome charge(uint32_t tag, uint32_t cost) {
    const Ticks price = Gcra::price(budget, cost);
    if (price == kNever) return peek(tag, cost, now);
    return BucketTable::charge(place(tag), budget, price, {.number = 1, .may_evict = true},
                               clock(now));
  }
  BucketTable::Outcome peek(uint32_t tag, uint32_t cost, uint64_t at) {
    return BucketTable::peek(place(tag), budget, Gcra::price(budget, cost), clock(at));
  }
  void refund(uint32_t tag, const BucketTable::Receipt& receipt) {
    BucketTable::refund(place(tag), receipt, clock(now));
  }

  std::array<uint64_t, 16> words() const {
    std::array<uint64_t, 16> copy;
    for (unsigned i = 0; i < 16; ++i) copy[i] = lines_[i / 8].words[i % 8].load();
    return copy;
  }
  unsigned live_words(uint32_t tag) const {
    unsigned n = 0;
    for (const uint64_t word : words()) {
      n += is_settled(word, tag) && test::is_live(word, now & kTickMask);
    }
    return n;
  }

  Random random;
  Quota quota{};
  uint32_t bits = 0;
  Budget budget{};
  uint64_t now = 0;

 private:
  alignas(64) Line lines_[2];
  uint64_t swept_ = 0;
};

class LimiterProperty : public testing::Test {
 protected:
  template <class Body>
  void for_each_trace(Body&& body) {
    const uint64_t traces = environment("WEIR_TRACES", 100'000);
    const uint64_t first = environment("WEIR_SEED", 1);
    for (uint64_t seed = first; seed < first + traces; ++seed) {
      Trace trace(seed);
      body(trace);
      ASSERT_FALSE(HasFailure()) << "trace with WEIR_SEED=" << seed << ", quota "
                                 << to_string(trace.quota) << ", " << trace.bits << " tick bits";
    }
  }
};

constexpr uint32_t kKeys = 5;  // few enough that nothing is ever evicted
constexpr int kSteps = 40;

// Invariant 1.
TEST_F(LimiterProperty, NeverAdmitsMoreThanCapacityPlusRateTimesAnyInterval) {
  for_each_trace([](Trace& trace) {
    std::vector<ExactBound> bounds(kKeys, ExactBound(trace.quota, trace.bits, trace.now));
    for (int step = 0; step < kSteps; ++step) {
      trace.pass_time();
      const auto key = static_cast<uint32_t>(trace.random.below(kKeys));
      const uint32_t cost = trace.any_cost();
      if (trace.charge(key + 1, cost).verdict != Verdict::kAdmitted) continue;
      ASSERT_TRUE(bounds[key].admit(trace.now, cost)) << "step " << step;
    }
  });
}

// Invariants 2 and 6, and the first half of 7: exactly the bucket's decisions, so a stream that
// conforms to the quantised rate is never rejected; and one live word a key at most.
TEST_F(LimiterProperty, DecidesExactlyAsAnIdealBucketOfTheQuantisedRate) {
  for_each_trace([](Trace& trace) {
    std::vector<Bucket> buckets(kKeys, Bucket(trace.budget, trace.now));
    for (int step = 0; step < kSteps; ++step) {
      trace.pass_time();
      const auto key = static_cast<uint32_t>(trace.random.below(kKeys));
      const uint32_t cost = trace.any_cost();
      const auto outcome = trace.charge(key + 1, cost);
      const bool expected = buckets[key].take(trace.now, cost);
      ASSERT_EQ(outcome.verdict == Verdict::kAdmitted, expected) << "step " << step;
      ASSERT_EQ(outcome.debt, buckets[key].debt()) << "step " << step;
      ASSERT_EQ(outcome.evictions, 0u);
      ASSERT_LE(trace.live_words(key + 1), 1u);
    }
  });
}

TEST_F(LimiterProperty, AStreamAtExactlyTheQuantisedRateIsNeverRejected) {
  for_each_trace([](Trace& trace) {
    for (int step = 0; step < kSteps; ++step) {
      ASSERT_EQ(trace.charge(1, 1).verdict, Verdict::kAdmitted) << "step " << step;
      trace.advance(trace.budget.interval);
    }
  });
}

// Invariant 3.
TEST_F(LimiterProperty, IsRejectedOneTickBeforeRetryAfterAndAdmittedAtIt) {
  for_each_trace([](Trace& trace) {
    for (int step = 0; step < kSteps; ++step) {
      trace.pass_time();
      const uint32_t cost = trace.any_cost();
      const auto outcome = trace.charge(1, cost);
      const Ticks price = Gcra::price(trace.budget, cost);
      if (outcome.verdict == Verdict::kAdmitted || price == kNever) continue;
      const Ticks wait = outcome.wait;
      ASSERT_GT(wait, 0u);
      ASSERT_EQ(trace.peek(1, cost, trace.now + wait - 1).verdict, Verdict::kRejected);
      ASSERT_EQ(trace.peek(1, cost, trace.now + wait).verdict, Verdict::kAdmitted);
    }
  });
}

// Invariant 4.
TEST_F(LimiterProperty, ATatNeverMovesBackAndRejectionsAndPeeksWriteNothing) {
  for_each_trace([](Trace& trace) {
    std::vector<uint64_t> paid_at(kKeys, 0);  // absolute
    for (int step = 0; step < kSteps; ++step) {
      trace.pass_time();
      const auto key = static_cast<uint32_t>(trace.random.below(kKeys));
      const uint32_t cost = trace.any_cost();
      const auto before = trace.words();
      trace.peek(key + 1, cost, trace.now);
      ASSERT_EQ(trace.words(), before);
      const auto outcome = trace.charge(key + 1, cost);
      if (outcome.verdict != Verdict::kAdmitted) {
        ASSERT_EQ(trace.words(), before);
        continue;
      }
      ASSERT_GT(trace.now + outcome.debt, paid_at[key]);
      ASSERT_EQ(outcome.state, (trace.now + outcome.debt) & kTickMask);
      paid_at[key] = trace.now + outcome.debt;
    }
  });
}

BucketTable::Receipt receipt(const Trace& trace, uint32_t cost,
                             const BucketTable::Outcome& charged) {
  return {Gcra::price(trace.budget, cost), charged.debt, charged.state};
}

// However charges and refunds are mixed, the key is never better off than if the refunded charges
// had not been made, so what stays charged keeps the bound.
TEST_F(LimiterProperty, ARefundLeavesTheKeyNoBetterOffThanWithoutTheCharge) {
  struct Charge {
    uint64_t at;
    BucketTable::Receipt receipt;
    bool refunded;
  };
  for_each_trace([](Trace& trace) {
    std::vector<Charge> charges;
    for (int step = 0; step < kSteps / 2; ++step) {
      trace.pass_time();
      if (!charges.empty() && trace.random.one_in(3)) {
        Charge& charge = charges[trace.random.below(charges.size())];
        if (charge.refunded || trace.now - charge.at > kHorizon) continue;
        trace.refund(1, charge.receipt);
        charge.refunded = true;
      } else {
        const uint32_t cost = trace.any_cost();
        const auto outcome = trace.charge(1, cost);
        if (outcome.verdict != Verdict::kAdmitted) continue;
        charges.push_back({trace.now, receipt(trace, cost, outcome), false});
      }
      Exact debt = 0;  // had the refunded charges never been made
      uint64_t then = 0;
      for (const Charge& charge : charges) {
        debt = std::max<Exact>(0, debt - static_cast<Exact>(charge.at - then));
        then = charge.at;
        if (!charge.refunded) debt += static_cast<Exact>(charge.receipt.price);
      }
      debt = std::max<Exact>(0, debt - static_cast<Exact>(trace.now - then));
      ASSERT_GE(static_cast<Exact>(trace.peek(1, 1, trace.now).debt), debt) << "step " << step;
    }
  });
}

TEST_F(LimiterProperty, ARefundAtOnceUndoesTheChargeExactly) {
  for_each_trace([](Trace& trace) {
    for (int step = 0; step < kSteps / 2; ++step) {
      trace.pass_time();
      const uint32_t cost = trace.any_cost();
      const Ticks before = trace.peek(1, 1, trace.now).debt;
      const auto outcome = trace.charge(1, cost);
      if (outcome.verdict != Verdict::kAdmitted) continue;
      if (trace.random.one_in(2)) continue;
      trace.refund(1, receipt(trace, cost, outcome));
      ASSERT_EQ(trace.peek(1, 1, trace.now).debt, before);
    }
  });
}

// Invariant 1 with a full table: forty keys share sixteen words. Each evicted live word forgives at
// most one capacity, to some key.
TEST_F(LimiterProperty, WithEvictionsAdmitsAtMostOneCapacityMoreForEach) {
  static constexpr uint32_t kMany = 40;
  for_each_trace([](Trace& trace) {
    const uint64_t start = trace.now;
    const Exact ticks = static_cast<Exact>(trace.quota.period) << trace.bits;
    const Exact capacity = static_cast<Exact>(trace.quota.burst) + 1;
    std::vector<Exact> admitted(kMany, 0);
    Exact evictions = 0;
    for (int step = 0; step < 2 * kSteps; ++step) {
      if (trace.random.one_in(2)) trace.advance(trace.random.any_size_up_to(trace.budget.interval));
      const auto key = static_cast<uint32_t>(trace.random.below(kMany));
      const uint32_t cost = trace.any_cost();
      const auto outcome = trace.charge(key + 1, cost);
      ASSERT_NE(outcome.verdict, Verdict::kExhausted);
      evictions += outcome.evictions;
      if (outcome.verdict == Verdict::kAdmitted) admitted[key] += cost;
      Exact excess = 0;  // in 1 / ticks tokens
      const Exact allowed = capacity * ticks + static_cast<Exact>(trace.quota.tokens) *
                                                   static_cast<Exact>(trace.now - start);
      for (const Exact a : admitted) excess += std::max<Exact>(0, a * ticks - allowed);
      ASSERT_LE(excess, evictions * capacity * ticks) << "step " << step;
      ASSERT_LE(trace.live_words(key + 1), 1u);
    }
  });
}

}  // namespace
}  // namespace weir
