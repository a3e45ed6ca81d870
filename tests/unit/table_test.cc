// The table by itself: lines on the stack, a clock that is a number, no hash.

#include "zone/table.h"

#include <gtest/gtest.h>

#include <array>

#include "zone/layout.h"

namespace weir {
namespace {

using BucketTable = TableOf<Gcra>;
using Verdict = TableVerdict;

constexpr weir_budget_t kTwo{.interval = 1000, .tolerance = 2000};
constexpr Ticks kOne = 1000;  // the price of one token of kTwo
constexpr Tick kNow = 5'000'000;
constexpr TableWriter kWriter{.number = 1, .may_evict = true};

class TableTest : public testing::Test {
 protected:
  TableTest() : lines_{} {}

  Place place(uint32_t tag) { return {&lines_[0], &lines_[1], tag}; }
  Place mirrored(uint32_t tag) { return {&lines_[1], &lines_[0], tag}; }

  BucketTable::Outcome charge(uint32_t tag, Tick now, bool may_evict = true) {
    return BucketTable::charge(place(tag), kTwo, kOne, {.number = 1, .may_evict = may_evict},
                               [now] { return now; });
  }
  BucketTable::Outcome peek(uint32_t tag, Tick now) {
    return BucketTable::peek(place(tag), kTwo, kOne, [now] { return now; });
  }
  void refund(uint32_t tag, const BucketTable::Receipt& receipt, Tick now) {
    BucketTable::refund(place(tag), receipt, [now] { return now; });
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
  EXPECT_EQ(outcome.state, kNow + kOne);
  EXPECT_EQ(load(0), settled_word(7, kNow + kOne));
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
  EXPECT_EQ(BucketTable::charge(place(7), kTwo, kOne, kWriter, late_clock).verdict,
            Verdict::kAdmitted);
  EXPECT_EQ(reads, 2);
}

TEST_F(TableTest, AnInsertionIsSettledByASecondLookAtTheClock) {
  int reads = 0;
  const auto late_clock = [&reads] { return ++reads == 1 ? kNow : kNow + 500; };
  EXPECT_EQ(BucketTable::charge(place(7), kTwo, kOne, kWriter, late_clock).state,
            kNow + 500 + kOne);
}

TEST_F(TableTest, AKeyReusesItsOwnDeadWord) {
  charge(7, kNow);
  charge(7, kNow + 10 * kOne);
  EXPECT_EQ(used(0) + used(1), 1u);
}

TEST_F(TableTest, ADeadTwinIsClearedWhenTheKeyIsStoredAnew) {
  put(3, settled_word(7, kNow - 10));
  put(9, settled_word(7, kNow - 20));
  EXPECT_EQ(charge(7, kNow).verdict, Verdict::kAdmitted);
  EXPECT_EQ(load(3), settled_word(7, kNow + kOne));
  EXPECT_EQ(load(9), 0u);
}

TEST_F(TableTest, TheSameWordIsFoundWhicheverLineComesFirst) {
  charge(7, kNow);
  EXPECT_EQ(BucketTable::peek(mirrored(7), kTwo, kOne, [] { return kNow; }).debt, kOne);
}

TEST_F(TableTest, KeysStartInLineOneAndThenFillTheEmptierLine) {
  for (uint32_t tag = 1; tag <= 3; ++tag) charge(tag, kNow);
  EXPECT_EQ(used(0), 3u);
  for (uint32_t tag = 4; tag <= 6; ++tag) charge(tag, kNow);
  EXPECT_EQ(used(0), 3u);
  EXPECT_EQ(used(1), 3u);
  for (uint32_t tag = 7; tag <= 10; ++tag) charge(tag, kNow);
  EXPECT_EQ(used(0), 5u);
  EXPECT_EQ(used(1), 5u);
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
  EXPECT_EQ(outcome.wait, kNow + 1 + kOne - (kNow + 18));
  EXPECT_EQ(words(), before);
}

TEST_F(TableTest, DeadWordsAreReclaimedBeforeLiveOnesAreEvicted) {
  for (uint32_t tag = 1; tag <= 16; ++tag) charge(tag, kNow);
  const auto outcome = charge(17, kNow + kOne);  // all sixteen have just paid
  EXPECT_EQ(outcome.verdict, Verdict::kAdmitted);
  EXPECT_EQ(outcome.evictions, 0u);
}

// As a writer leaves it that was killed while it inserted.
uint64_t abandoned_claim(uint32_t tag) { return claim_word(tag, 99); }

TEST_F(TableTest, AnAbandonedClaimIsTakenOverByItsKey) {
  put(4, abandoned_claim(7));
  EXPECT_EQ(charge(7, kNow).verdict, Verdict::kAdmitted);
  EXPECT_EQ(load(4), settled_word(7, kNow + kOne));
  EXPECT_EQ(used(0) + used(1), 1u);
}

TEST_F(TableTest, AnothersClaimIsGivenTimeToBeSettled) {
  put(4, abandoned_claim(7));
  unsigned looks = 0;
  const auto clock = [&] {
    if (++looks == 8) put(4, settled_word(7, kNow + kOne));
    return kNow;
  };
  const auto outcome = BucketTable::charge(place(7), kTwo, kOne, kWriter, clock);
  EXPECT_EQ(outcome.verdict, Verdict::kAdmitted);
  EXPECT_EQ(outcome.debt, 2 * kOne);
  EXPECT_EQ(load(4), settled_word(7, kNow + 2 * kOne));
}

TEST_F(TableTest, AWriterGoesOnWithAClaimItHasLeftBehind) {
  put(4, claim_word(7, kWriter.number));
  EXPECT_EQ(charge(7, kNow).verdict, Verdict::kAdmitted);
  EXPECT_EQ(load(4), settled_word(7, kNow + kOne));
}

TEST_F(TableTest, OtherKeysClaimsAreOverwrittenOnlyIfNothingElseIsLeft) {
  for (unsigned i = 0; i < 16; ++i) put(i, abandoned_claim(100 + i));
  put(11, 0);
  charge(7, kNow);
  EXPECT_EQ(load(11), settled_word(7, kNow + kOne));

  EXPECT_EQ(charge(8, kNow).evictions, 1u);  // the live word goes first
  EXPECT_EQ(load(11), settled_word(8, kNow + kOne));

  put(11, abandoned_claim(111));
  EXPECT_EQ(charge(9, kNow).verdict, Verdict::kAdmitted);
}

TEST_F(TableTest, WithoutEvictionAnAbandonedClaimIsOverwrittenRatherThanAKeyTurnedAway) {
  for (unsigned i = 0; i < 16; ++i) put(i, settled_word(100 + i, kNow + 10 * kOne));
  put(11, abandoned_claim(111));
  EXPECT_EQ(charge(7, kNow, false).verdict, Verdict::kAdmitted);
  EXPECT_EQ(load(11), settled_word(7, kNow + kOne));
}

TEST_F(TableTest, AWriterWhoseClaimIsOverwrittenStartsOver) {
  unsigned reads = 0;
  const auto clock = [&] {
    if (++reads == 3) put(0, settled_word(8, kNow + 5 * kOne));  // after the claim and the look
    return kNow;
  };
  const auto outcome = BucketTable::charge(place(7), kTwo, kOne, kWriter, clock);
  EXPECT_EQ(outcome.verdict, Verdict::kAdmitted);
  EXPECT_EQ(load(0), settled_word(8, kNow + 5 * kOne));
  EXPECT_EQ(load(1), settled_word(7, kNow + kOne));
}

TEST_F(TableTest, AWordIsOverwrittenAsDeadOnlyByAReadingMadeAfterItWasSeen) {
  for (unsigned i = 0; i < 16; ++i) put(i, settled_word(100 + i, kNow + 10 + i));
  unsigned reads = 0;
  // The first reading is so old that all sixteen look like words of long ago.
  const auto clock = [&] { return ++reads == 1 ? tick_sub(kNow, kHorizon + 1000) : kNow; };
  EXPECT_EQ(BucketTable::charge(place(7), kTwo, kOne, kWriter, clock).evictions, 1u);
}

TEST_F(TableTest, ALiveWordIsNotMistakenForADeadOneByAnOldReading) {
  put(0, settled_word(7, kNow + 2 * kOne));
  unsigned reads = 0;
  const auto clock = [&] { return ++reads == 1 ? tick_sub(kNow, kHorizon + 1000) : kNow; };
  EXPECT_EQ(BucketTable::charge(place(7), kTwo, kOne, kWriter, clock).verdict, Verdict::kRejected);
}

TEST_F(TableTest, ARefundGivesBackThePriceLessTheTimeSinceTheCharge) {
  const auto first = charge(7, kNow);
  charge(7, kNow);
  refund(7, {kOne, first.debt, first.state}, kNow + 400);
  EXPECT_EQ(peek(7, kNow + 400).debt, 2 * kOne - 400 - 600);
}

TEST_F(TableTest, ARefundOfAPaidChargeOrOfAForgottenKeyGivesNothingBack) {
  const auto outcome = charge(7, kNow);
  charge(7, kNow + 2 * kOne);
  const auto before = words();
  refund(7, {kOne, outcome.debt, outcome.state}, kNow + 2 * kOne);
  EXPECT_EQ(words(), before);

  refund(8, {kOne, kOne, kNow + 3 * kOne}, kNow + 2 * kOne);  // no such key
  EXPECT_EQ(words(), before);
}

// Two writers whose other limits reject: whichever gives back first.
TEST_F(TableTest, RefundsInAnyOrderLeaveNothing) {
  for (const bool in_order : {true, false}) {
    const auto first = charge(7, kNow), second = charge(7, kNow);
    const BucketTable::Receipt receipts[] = {{kOne, first.debt, first.state},
                                             {kOne, second.debt, second.state}};
    refund(7, receipts[!in_order], kNow);
    EXPECT_EQ(peek(7, kNow).debt, kOne);
    refund(7, receipts[in_order], kNow);
    EXPECT_EQ(peek(7, kNow).debt, 0u);
  }
}

TEST_F(TableTest, ARefundNeverTakesMoreThanThereIs) {
  const auto first = charge(7, kNow);
  put(0, settled_word(7, kNow + kOne / 2));  // evicted, and stored anew since
  refund(7, {kOne, first.debt, first.state}, kNow);
  EXPECT_EQ(peek(7, kNow).debt, 0u);
}

TEST_F(TableTest, RefundsOfTwoChargesNeverEatIntoAThird) {
  const auto first = charge(7, kNow);
  const auto second = charge(7, kNow);
  refund(7, {kOne, first.debt, first.state}, kNow);
  charge(7, kNow + 900);  // by now the second charge is nine tenths paid
  refund(7, {kOne, second.debt, second.state}, kNow + 900);
  EXPECT_EQ(peek(7, kNow + 900).debt, kOne);
}

TEST_F(TableTest, SweepClearsTheDeadAndClaimsAndKeepsTheLive) {
  put(0, settled_word(1, kNow + 1));
  put(1, settled_word(2, kNow));
  put(2, settled_word(3, kNow - 1));
  put(3, abandoned_claim(4));
  put(4, settled_word(6, tick_sub(kNow, 3 * kHorizon - 1)));  // dead for as long as can be told
  EXPECT_EQ(BucketTable::sweep(lines_[0], [] { return kNow; }), 4u);
  EXPECT_EQ(load(0), settled_word(1, kNow + 1));
  EXPECT_EQ(used(0), 1u);
}

TEST_F(TableTest, AWriterThatAlwaysLosesGivesUpInTheEnd) {
  unsigned calls = 0;
  const auto meddling_clock = [&] {
    // Whenever the inserter looks at the clock, everybody else has changed every word.
    ++calls;
    for (unsigned i = 0; i < 16; ++i) put(i, settled_word(1000 + 16 * calls + i, kNow - 1));
    return kNow;
  };
  const auto outcome = BucketTable::charge(place(7), kTwo, kOne, kWriter, meddling_clock);
  EXPECT_EQ(outcome.verdict, Verdict::kExhausted);
  EXPECT_GE(calls, BucketTable::kMaxAttempts);
  EXPECT_LE(calls, 4 * BucketTable::kMaxAttempts);
}

}  // namespace
}  // namespace weir
