// Processes and threads in each other's way: the production table, at a standing clock, on lines in
// shared memory, by actors that count every compare-and-swap (support/counting_atomics.h).
//
// A test goes on, round by round, until so many compare-and-swaps have been lost that there can be
// no doubt of the contention; if they never are, it fails. After each round
// - nobody has run out of attempts;
// - a key has at most one settled word;
// - what a key was admitted stands in its word, or stood in words of it that were evicted, to the
//   token: none was lost or counted twice;
// - so it was admitted at most its capacity, and once more for each of its evictions;
// - the table has reported every eviction.

#include <gtest/gtest.h>

#include <functional>
#include <iostream>
#include <new>
#include <random>
#include <utility>
#include <vector>

#include "support/actors.h"
#include "support/counting_atomics.h"
#include "support/gcra_words.h"
#include "support/zone_memory.h"
#include "zone/layout.h"
#include "zone/table.h"

namespace weir {
namespace {

using test::Account;
using test::CountingAtomics;
using test::Crew;
using test::kMaxActors;
using test::SharedMemory;
using test::StartingLine;
using test::Tally;

using CountedTable = Table<Gcra, CountingAtomics, kLineWords>;
using Place = CountedTable::Place;

constexpr Tick kNow = kTickMask;  // so that all debts reach beyond the 40 bits
constexpr Ticks kToken = 1000;
constexpr unsigned kMaxRounds = 1000;
constexpr unsigned kMaxKeys = 512;
constexpr unsigned kMaxLines = 2 * kMaxKeys;

// What happened to a key.
struct KeyRecord {
  uint64_t admitted;
  uint64_t evictions;
  Ticks forgotten;  // the debts of the words that were evicted
};

// What an actor did, written by it alone.
struct alignas(kCacheLine) Record {
  KeyRecord keys[kMaxKeys];
  uint64_t exhausted;
  uint64_t evictions;  // as the table reports them
  Tally tally;
};

// What the actors of one round share. A key's tag is its number, from 1.
struct Board {
  explicit Board(unsigned actors) : start(actors) {}

  void take(unsigned me, const Place& place, uint64_t capacity) {
    const Budget budget{.interval = kToken, .tolerance = capacity * kToken};
    const auto outcome = CountedTable::charge(
        place, budget, kToken, {.number = me, .may_evict = true}, [] { return kNow; });
    Record& record = records[me];
    record.keys[place.tag - 1].admitted += outcome.verdict == CountedTable::Verdict::kAdmitted;
    record.exhausted += outcome.verdict == CountedTable::Verdict::kExhausted;
    record.evictions += outcome.evictions;
  }

  void close(unsigned me, const Account& account) {
    records[me].tally = account.tally;
    for (const uint64_t word : account.overwritten) {
      KeyRecord& key = records[me].keys[tag_of(word) - 1];
      ++key.evictions;
      key.forgotten += test::debt_of(word, kNow);
    }
  }

  CountedTable::Line lines[kMaxLines]{};
  Record records[kMaxActors]{};
  StartingLine start;
};

// Checks what is said at the top, and returns what was admitted in all.
uint64_t expect_bound(const Board& board, uint64_t capacity) {
  struct Sum : KeyRecord {
    unsigned words;
    Ticks debt;
  };
  std::vector<Sum> sums(kMaxKeys);
  for (const auto& line : board.lines) {
    for (const auto& word : line.words) {
      const uint64_t seen = word.load();
      if (seen == 0 || is_claim(seen)) continue;
      Sum& sum = sums[tag_of(seen) - 1];
      ++sum.words;
      sum.debt += test::debt_of(seen, kNow);
    }
  }
  uint64_t evictions = 0;
  for (const Record& record : board.records) {
    EXPECT_EQ(record.exhausted, 0u);
    evictions += record.evictions;
    for (unsigned key = 0; key < kMaxKeys; ++key) {
      sums[key].admitted += record.keys[key].admitted;
      sums[key].evictions += record.keys[key].evictions;
      sums[key].forgotten += record.keys[key].forgotten;
    }
  }
  uint64_t admitted = 0;
  for (unsigned key = 0; key < kMaxKeys; ++key) {
    const Sum& sum = sums[key];
    EXPECT_LE(sum.words, 1u) << key;
    EXPECT_EQ(sum.admitted * kToken, sum.debt + sum.forgotten) << key;
    EXPECT_LE(sum.admitted, capacity * (1 + sum.evictions)) << key;
    admitted += sum.admitted;
    evictions -= sum.evictions;
  }
  EXPECT_EQ(evictions, 0u) << "more reported than there were, modulo 2^64";
  return admitted;
}

class Contention : public testing::TestWithParam<Crew> {
 protected:
  static unsigned actors() { return GetParam().size; }

  // Plays rounds, each on a fresh board, until they come to a tally that is_enough.
  static void repeat(const std::function<void(Board&, unsigned me)>& play,
                     const std::function<void(const Board&)>& check,
                     const std::function<bool(const Tally&)>& is_enough) {
    const SharedMemory memory(sizeof(Board));
    Tally sum{};
    unsigned rounds = 0;
    for (; !is_enough(sum); ++rounds) {
      ASSERT_LT(rounds, kMaxRounds) << "too little contention took place: " << sum;
      Board& board = *new (memory.address()) Board(actors());
      ASSERT_TRUE(run_together(GetParam(), [&](unsigned me) {
        CountingAtomics::begin(rounds * kMaxActors + me);
        board.start.wait();
        play(board, me);
        board.close(me, CountingAtomics::account());
      }));
      check(board);
      ASSERT_FALSE(HasFailure()) << "in round " << rounds;
      for (const Record& record : board.records) sum += record.tally;
    }
    std::cout << GetParam().name() << ", " << rounds << " rounds: " << sum << '\n';
  }
};

// Requests that each actor makes in a round, for keys at random.
constexpr unsigned kRequests = 4'000;

// The more keys, the more pairs of lines are a place: in one order and the other, and lines by
// themselves.
void ask_at_random(Board& board, unsigned me, unsigned keys, unsigned lines, uint64_t capacity) {
  std::minstd_rand random(me + 1);
  for (unsigned i = 0; i < kRequests; ++i) {
    const auto key = static_cast<uint32_t>(random() % keys);
    CountedTable::Line* line1 = &board.lines[key % lines];
    CountedTable::Line* line2 = &board.lines[key / lines % lines];
    board.take(me, {line1, line2, key + 1}, capacity);
  }
}

TEST_P(Contention, ForOneKeyLetsExactlyItsCapacityPass) {
  const uint64_t capacity = actors() * kRequests / 2;
  repeat([&](Board& board, unsigned me) { ask_at_random(board, me, 1, 1, capacity); },
         [&](const Board& board) { EXPECT_EQ(expect_bound(board, capacity), capacity); },
         [](const Tally& sum) { return sum.charges.lost > 100; });
}

TEST_P(Contention, ForFewKeysLetsExactlyTheCapacityOfEachPass) {
  constexpr unsigned kKeys = 16;
  const uint64_t capacity = actors() * kRequests / kKeys / 2;
  repeat([&](Board& board, unsigned me) { ask_at_random(board, me, kKeys, 8, capacity); },
         [&](const Board& board) { EXPECT_EQ(expect_bound(board, capacity), kKeys * capacity); },
         [](const Tally& sum) { return sum.charges.lost > 100; });
}

TEST_P(Contention, ForTheWordsOfAFullTableExceedsNoBoundButByEvictions) {
  repeat([&](Board& board, unsigned me) { ask_at_random(board, me, kMaxKeys, 8, 10); },
         [&](const Board& board) { expect_bound(board, 10); },
         [](const Tally& sum) { return sum.lost() > 100; });
}

TEST_P(Contention, ForTheWordsOfOneLineExceedsNoBoundButByEvictions) {
  repeat([&](Board& board, unsigned me) { ask_at_random(board, me, 64, 1, 10); },
         [&](const Board& board) { expect_bound(board, 10); },
         [](const Tally& sum) { return sum.lost() > 100; });
}

// The hard part of the protocol: all insert the same fresh keys, one after the other. Who is behind
// finds them settled, and so catches up with who is in front. Every other key has actors that come
// from its other side, and claim another word. Each way out of a race has to be taken: claims lost,
// given up for another, and taken over from those who dawdle.
TEST_P(Contention, OfAllThatInsertOneKeyAtOnceLetsExactlyOnePass) {
  repeat(
      [](Board& board, unsigned me) {
        for (uint32_t key = 0; key < kMaxKeys; ++key) {
          Place place{&board.lines[2 * key], &board.lines[2 * key + 1], key + 1};
          if (key % 2 == 1 && me % 2 == 1) std::swap(place.line1, place.line2);
          board.take(me, place, 1);
        }
      },
      [](const Board& board) { EXPECT_EQ(expect_bound(board, 1), kMaxKeys); },
      [](const Tally& sum) {
        return sum.claims.lost > 100 && sum.gave_way > 50 && sum.takeovers > 20;
      });
}

INSTANTIATE_TEST_SUITE_P(, Contention, testing::ValuesIn(test::kCrews),
                         [](const auto& crew) { return crew.param.name(); });

}  // namespace
}  // namespace weir
