#include "zone/word.h"

#include <gtest/gtest.h>

#include "support/gcra_words.h"

namespace weir {
namespace {

constexpr uint32_t kMaxTag = (1u << kTagBits) - 1;
using test::debt_of;
using test::is_live;

constexpr Tick kTimes[] = {0, 1, kHorizon, 2 * kHorizon, kTickMask - 1, kTickMask};

TEST(Word, KeepsTagAndState) {
  for (const uint32_t tag : {1u, 2u, kMaxTag - 1, kMaxTag}) {
    for (const Tick tat : kTimes) {
      const uint64_t word = settled_word(tag, tat);
      EXPECT_EQ(tag_of(word), tag);
      EXPECT_EQ(state_of(word), tat);
      EXPECT_FALSE(is_claim(word));
      EXPECT_NE(word, 0u);
    }
  }
}

TEST(Word, IsSettledForItsOwnTagOnly) {
  for (const Tick tat : kTimes) {
    EXPECT_TRUE(is_settled(settled_word(8, tat), 8));
    for (const uint32_t tag : {7u, 9u, 4u, 16u})
      EXPECT_FALSE(is_settled(settled_word(tag, tat), 8));
  }
  EXPECT_FALSE(is_settled(0, 1));
}

TEST(Word, IsLiveWhileItsTatLiesAhead) {
  EXPECT_TRUE(is_live(settled_word(7, 100), 99));
  EXPECT_FALSE(is_live(settled_word(7, 100), 100));
  EXPECT_EQ(debt_of(settled_word(7, 100), 70), 30u);
  EXPECT_EQ(debt_of(settled_word(7, 5), kTickMask), 6u);  // across the wrap
}

// Whatever the clock says: zeros look like a tat ahead to a clock that is about to wrap.
TEST(Word, AnEmptyWordIsNeverLive) {
  for (const Tick now : kTimes) EXPECT_EQ(debt_of(0, now), 0u);
}

TEST(Word, AClaimIsNeverLiveNorSettledAndNamesItsWriter) {
  for (const uint64_t writer : {uint64_t{0}, uint64_t{1}, uint64_t{kTickMask}}) {
    const uint64_t claim = claim_word(7, writer);
    EXPECT_TRUE(is_claim(claim));
    EXPECT_EQ(tag_of(claim), 7u);
    EXPECT_FALSE(is_settled(claim, 7));
    for (const Tick now : kTimes) EXPECT_FALSE(is_live(claim, now));
    EXPECT_NE(claim, claim_word(7, writer + 1));
  }
}

}  // namespace
}  // namespace weir
