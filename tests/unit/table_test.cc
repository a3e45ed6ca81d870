// The table by itself: lines on the stack, a clock that is a number, no hash.

#include "zone/table.h"

#include <gtest/gtest.h>

#include <array>

#include "zone/layout.h"

namespace weir {
namespace {

using Verdict = LimiterTable::Verdict;
using Place = LimiterTable::Place;

constexpr Budget kTwo{.interval = 1000, .tolerance = 2000};
constexpr Ticks kOne = 1000;  // the price of one token of kTwo
constexpr Tick kNow = 5'000'000;

class TableTest : public testing::Test {
 protected:
  TableTest() : lines_{} {}

  Place place(uint32_t tag) { return {&lines_[0], &lines_[1], tag}; }
  Place mirrored(uint32_t tag) { return {&lines_[1], &lines_[0], tag}; }

  LimiterTable::Outcome charge(uint32_t tag, Tick now, bool may_evict = true) {
    return LimiterTable::charge(place(tag), kTwo, kOne, may_evict, 1, [now] { return now; });
  }
  LimiterTable::Outcome peek(uint32_t tag, Tick now) {
    return LimiterTable::peek(place(tag), kTwo, 1, [now] { return now; });
  }
  void refund(uint32_t tag, const LimiterTable::Receipt& receipt, Tick now) {
    LimiterTable::refund(place(tag), receipt, [now] { return now; });
  }

  std::array<uint64_t, 2 * kLineWords> words() {
    std::array<uint64_t, 2 * kLineWords> copy;
    for (unsigned i = 0; i < copy.size(); ++i) copy[i] = load(i);
    return copy;
  }
  uint64_t load(unsigned i) { return lines_[i / kLineWords].words[i % kLineWords].load(); }
  void put(unsigned i, uint64_t value) {
    lines_[i / kLineWords].words[i % kLineWords].store(value);
  }
  static uint64_t make(uint32_t tag, Tick tat) { return uint64_t{tag} << kTickWidth | tat; }
  unsigned used(unsigned line) {
    unsigned n = 0;
    for (unsigned i = 0; i < kLineWords; ++i) n += load(line * kLineWords + i) != 0;
    return n;
  }

  alignas(64) Line lines_[2];
};

TEST_F(TableTest, ANewKeyIsStoredAsOneLiveWord) {
  const auto outcome = charge(7, kNow);
  EXPECT_EQ(outcome.verdict, Verdict::kAdmitted);
  EXPECT_EQ(outcome.debt, kOne);
  EXPECT_EQ(outcome.paid_at, kNow + kOne);
  EXPECT_EQ(load(0), make(7, kNow + kOne));
  EXPECT_EQ(used(0) + used(1), 1u);
}

TEST_F(TableTest, ARejectionWritesNothing) {
  charge(7, kNow);
  charge(7, kNow);
  const auto before = words();
  const auto outcome = charge(7, kNow);
  EXPECT_EQ(outcome.verdict, Verdict::kRejected);
  EXPECT_EQ(outcome.debt, 2 * kOne);
  EXPECT_EQ(words(), before);
}

TEST_F(TableTest, APeekWritesNothing) {
  EXPECT_EQ(peek(7, kNow).verdict, Verdict::kAdmitted);
  EXPECT_EQ(used(0) + used(1), 0u);
  charge(7, kNow);
  charge(7, kNow);
  const auto before = words();
  EXPECT_EQ(peek(7, kNow).verdict, Verdict::kRejected);
  EXPECT_EQ(peek(7, kNow + kOne).verdict, Verdict::kAdmitted);
  EXPECT_EQ(words(), before);
}

TEST_F(TableTest, ARejectionIsJudgedByASecondLookAtTheClock) {
  charge(7, kNow);
  charge(7, kNow);
  int reads = 0;
  const auto late_clock = [&reads] { return ++reads == 1 ? kNow : kNow + kOne; };
  EXPECT_EQ(LimiterTable::charge(place(7), kTwo, kOne, true, 1, late_clock).verdict,
            Verdict::kAdmitted);
  EXPECT_EQ(reads, 2);
}

TEST_F(TableTest, AnInsertionIsSettledByASecondLookAtTheClock) {
  int reads = 0;
  const auto late_clock = [&reads] { return ++reads == 1 ? kNow : kNow + 500; };
  EXPECT_EQ(LimiterTable::charge(place(7), kTwo, kOne, true, 1, late_clock).paid_at,
            kNow + 500 + kOne);
}

TEST_F(TableTest, AKeyReusesItsOwnDeadWord) {
  charge(7, kNow);
  charge(7, kNow + 10 * kOne);
  EXPECT_EQ(used(0) + used(1), 1u);
}

TEST_F(TableTest, ADeadTwinIsClearedWhenTheKeyIsStoredAnew) {
  put(3, make(7, kNow - 10));
  put(9, make(7, kNow - 20));
  EXPECT_EQ(charge(7, kNow).verdict, Verdict::kAdmitted);
  EXPECT_EQ(load(3), make(7, kNow + kOne));
  EXPECT_EQ(load(9), 0u);
}

TEST_F(TableTest, TheSameWordIsFoundWhicheverLineComesFirst) {
  charge(7, kNow);
  EXPECT_EQ(LimiterTable::peek(mirrored(7), kTwo, 1, [] { return kNow; }).debt, kOne);
}

TEST_F(TableTest, KeysThatShareATagAndALineNeverGetMoreThanOneCapacity) {
  alignas(64) Line third{};
  const Place one{&lines_[0], &lines_[1], 7};
  const Place other{&lines_[0], &third, 7};
  const auto now = [] { return kNow; };
  third.words[0].store(make(7, kNow + 2 * kOne));  // the other key has used its budget up
  EXPECT_EQ(LimiterTable::charge(one, kTwo, kOne, true, 1, now).verdict, Verdict::kAdmitted);
  EXPECT_EQ(LimiterTable::peek(other, kTwo, 1, now).debt, 2 * kOne);
  EXPECT_EQ(LimiterTable::charge(other, kTwo, kOne, true, 1, now).verdict, Verdict::kRejected);
}

TEST_F(TableTest, KeysFillLineOneHalfAndThenTheEmptierLine) {
  for (uint32_t tag = 1; tag <= 4; ++tag) charge(tag, kNow);
  EXPECT_EQ(used(0), 4u);
  for (uint32_t tag = 5; tag <= 8; ++tag) charge(tag, kNow);
  EXPECT_EQ(used(0), 4u);
  EXPECT_EQ(used(1), 4u);
}

TEST_F(TableTest, SixteenKeysFitAndTheSeventeenthEvictsTheLeastIndebted) {
  for (uint32_t tag = 1; tag <= 16; ++tag) charge(tag, kNow + tag);
  charge(1, kNow + 17);  // now tag 2 owes the least
  const auto outcome = charge(17, kNow + 18);
  EXPECT_EQ(outcome.verdict, Verdict::kAdmitted);
  EXPECT_EQ(outcome.evictions, 1u);
  EXPECT_EQ(peek(2, kNow + 18).debt, 0u);
  EXPECT_GT(peek(1, kNow + 18).debt, 0u);
}

TEST_F(TableTest, WithoutEvictionAFullPlaceIsReportedWithTheShortestWait) {
  for (uint32_t tag = 1; tag <= 16; ++tag) charge(tag, kNow + tag);
  const auto before = words();
  const auto outcome = charge(17, kNow + 18, false);
  EXPECT_EQ(outcome.verdict, Verdict::kFull);
  EXPECT_EQ(outcome.debt, kNow + 1 + kOne - (kNow + 18));
  EXPECT_EQ(words(), before);
}

TEST_F(TableTest, DeadWordsAreReclaimedBeforeLiveOnesAreEvicted) {
  for (uint32_t tag = 1; tag <= 16; ++tag) charge(tag, kNow);
  const auto outcome = charge(17, kNow + kOne);  // all sixteen have just paid
  EXPECT_EQ(outcome.verdict, Verdict::kAdmitted);
  EXPECT_EQ(outcome.evictions, 0u);
}

// A claim that nobody settles, as a killed inserter leaves it: see make_claim in table.h.
uint64_t abandoned_claim(uint32_t tag, Tick now) {
  return uint64_t{tag} << kTickWidth | (tick_sub(now, kHorizon + 1024) & ~Tick{1023}) | 5;
}

TEST_F(TableTest, AnAbandonedClaimIsTakenOverByItsKey) {
  put(4, abandoned_claim(7, kNow));
  EXPECT_EQ(charge(7, kNow + 3).verdict, Verdict::kAdmitted);
  EXPECT_EQ(load(4), make(7, kNow + 3 + kOne));
  EXPECT_EQ(used(0) + used(1), 1u);
}

TEST_F(TableTest, AClaimIsDeadAlsoToAClockThatIsFarBehind) {
  for (const Tick now : {kNow, Tick{0}, Tick{3}, kTickMask}) {
    const uint64_t claim = abandoned_claim(7, now);
    EXPECT_FALSE(is_ahead(claim & kTickMask, now));
    EXPECT_FALSE(is_ahead(claim & kTickMask, tick_sub(now, kHorizon)));
  }
}

TEST_F(TableTest, AFreshClaimOfAnotherKeyGivesWayOnlyIfNothingElseIsLeft) {
  for (unsigned i = 0; i < 16; ++i) put(i, abandoned_claim(100 + i, kNow));
  put(11, 0);
  charge(7, kNow + 1);
  EXPECT_EQ(load(11), make(7, kNow + 1 + kOne));

  put(11, abandoned_claim(111, kNow));
  EXPECT_EQ(charge(8, kNow + 1).verdict, Verdict::kAdmitted);
}

TEST_F(TableTest, AnOldClaimIsReclaimedLikeAnyDeadWord) {
  for (unsigned i = 0; i < 16; ++i) put(i, make(100 + i, kNow + 10'000));
  put(11, abandoned_claim(111, kNow - 5000));
  EXPECT_EQ(charge(7, kNow).evictions, 0u);
  EXPECT_EQ(load(11), make(7, kNow + kOne));
}

TEST_F(TableTest, ARefundGivesBackThePriceLessTheTimeSinceTheCharge) {
  const auto first = charge(7, kNow);
  charge(7, kNow);
  refund(7, {kOne, first.debt, first.paid_at}, kNow + 400);
  EXPECT_EQ(peek(7, kNow + 400).debt, 2 * kOne - 400 - 600);
}

TEST_F(TableTest, ARefundOfAPaidOrForgottenChargeGivesNothingBack) {
  const auto outcome = charge(7, kNow);
  charge(7, kNow + 2 * kOne);
  const auto before = words();
  refund(7, {kOne, outcome.debt, outcome.paid_at}, kNow + 2 * kOne);
  EXPECT_EQ(words(), before);

  refund(8, {kOne, kOne, kNow + 3 * kOne}, kNow + 2 * kOne);      // no such key
  refund(7, {kOne, 2 * kOne, kNow + 4 * kOne}, kNow + 2 * kOne);  // evicted and stored anew since
  EXPECT_EQ(words(), before);
}

TEST_F(TableTest, RefundsOfTwoChargesNeverEatIntoAThird) {
  const auto first = charge(7, kNow);
  const auto second = charge(7, kNow);
  refund(7, {kOne, first.debt, first.paid_at}, kNow);
  charge(7, kNow + 900);  // by now the second charge is nine tenths paid
  refund(7, {kOne, second.debt, second.paid_at}, kNow + 900);
  EXPECT_EQ(peek(7, kNow + 900).debt, kOne);
}

TEST_F(TableTest, SweepClearsTheDeadAndKeepsLiveWordsAndFreshClaims) {
  put(0, make(1, kNow + 1));
  put(1, make(2, kNow));
  put(2, make(3, kNow - 1));
  put(3, abandoned_claim(4, kNow));
  put(4, abandoned_claim(5, kNow - 5000));
  put(5, make(6, tick_sub(kNow, 3 * kHorizon - 1)));  // dead for as long as can be told
  EXPECT_EQ(LimiterTable::sweep(lines_[0], kNow), 4u);
  EXPECT_EQ(load(0), make(1, kNow + 1));
  EXPECT_EQ(load(3), abandoned_claim(4, kNow));
  EXPECT_EQ(used(0), 2u);
}

TEST_F(TableTest, AWriterThatAlwaysLosesGivesUpAfterSixtyFourAttempts) {
  unsigned calls = 0;
  const auto meddling_clock = [&] {
    // Whenever the inserter looks at the clock, everybody else has changed every word.
    ++calls;
    for (unsigned i = 0; i < 16; ++i) put(i, make(1000 + 16 * calls + i, kNow - 1));
    return kNow;
  };
  const auto outcome = LimiterTable::charge(place(7), kTwo, kOne, true, 1, meddling_clock);
  EXPECT_EQ(outcome.verdict, Verdict::kExhausted);
  EXPECT_EQ(calls, 2u * 64);
}

}  // namespace
}  // namespace weir
