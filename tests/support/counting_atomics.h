// The table's atomic operations as they ship, for actors that keep count of what they win and lose,
// and that dawdle.
//
// Lost compare-and-swaps prove that actors were in each other's way. They are rare among few
// actors, since one that is not interrupted within some nanoseconds meets nobody. So an actor
// dawdles before one operation in kStride, at random: between a load and the CAS that builds on it,
// too. Now and then it gives its processor away instead: that is what preemption does, only
// oftener, and with one processor it is what makes actors overlap at all. Not more often than that,
// since on a busy machine somebody else takes the processor for milliseconds each time.
//
// All counts belong to the thread, or to the process that was forked: nothing is shared, so that
// counting takes no part in the contention. What a CAS was for is told by the words that it
// exchanges (zone/word.h).

#pragma once

#include <sched.h>

#include <cstdint>
#include <ostream>
#include <random>
#include <vector>

#include "zone/atomics.h"
#include "zone/word.h"

namespace weir::test {

struct Tally {
  struct Count {
    uint64_t won, lost;
  };

  Count charges, claims, settlements;
  Count clears;        // of twins, and of own claims
  uint64_t takeovers;  // claims won that took the place of another's claim for the same key
  uint64_t gave_way;   // clears won of own claims, for a twin's sake

  uint64_t lost() const { return charges.lost + claims.lost + settlements.lost + clears.lost; }

  Tally& operator+=(const Tally& other) {
    for (Count Tally::*step :
         {&Tally::charges, &Tally::claims, &Tally::settlements, &Tally::clears}) {
      (this->*step).won += (other.*step).won;
      (this->*step).lost += (other.*step).lost;
    }
    takeovers += other.takeovers;
    gave_way += other.gave_way;
    return *this;
  }
};

inline std::ostream& operator<<(std::ostream& out, const Tally::Count& count) {
  return out << count.won << " won " << count.lost << " lost";
}

inline std::ostream& operator<<(std::ostream& out, const Tally& tally) {
  return out << "charges " << tally.charges << ", claims " << tally.claims << ", settlements "
             << tally.settlements << ", clears " << tally.clears << ", taken over "
             << tally.takeovers << ", gave way " << tally.gave_way;
}

// What one actor did.
struct Account {
  Tally tally{};
  std::vector<uint64_t> overwritten;  // settled words of other keys, where it has put its claims
};

class CountingAtomics {
 public:
  using Word = StdAtomics::Word;

  // Opens the calling actor's account anew.
  static void begin(unsigned actor) {
    account_ = {};
    own_claim_ = 0;
    random_.seed(actor + 1);
  }
  static const Account& account() { return account_; }

  static uint64_t load_acquire(const Word& word) {
    dawdle();
    return StdAtomics::load_acquire(word);
  }
  static uint64_t load_seq_cst(const Word& word) {
    dawdle();
    return StdAtomics::load_seq_cst(word);
  }
  static bool cas_relaxed(Word& word, uint64_t& expected, uint64_t desired) {
    dawdle();
    const uint64_t from = expected;
    return count(StdAtomics::cas_relaxed(word, expected, desired), from, desired);
  }
  static bool cas_seq_cst(Word& word, uint64_t& expected, uint64_t desired) {
    dawdle();
    const uint64_t from = expected;
    return count(StdAtomics::cas_seq_cst(word, expected, desired), from, desired);
  }

 private:
  static constexpr unsigned kStride = 100;
  static constexpr unsigned kYieldStride = 16;
  static constexpr unsigned kMaxDelay = 2000;  // steps of the generator, about as many nanoseconds

  static void dawdle() {
    if (random_() % kStride != 0) return;
    if (random_() % kYieldStride == 0) {
      sched_yield();
    } else {
      random_.discard(random_() % kMaxDelay);
    }
  }

  static bool count(bool won, uint64_t from, uint64_t to) {
    Tally& tally = account_.tally;
    Tally::Count& step = to == 0          ? tally.clears
                         : is_claim(to)   ? tally.claims
                         : is_claim(from) ? tally.settlements
                                          : tally.charges;
    ++(won ? step.won : step.lost);
    if (won && to == 0) tally.gave_way += from == own_claim_;
    if (won && is_claim(to)) count_claim(from, to);
    return won;
  }

  static void count_claim(uint64_t from, uint64_t claim) {
    own_claim_ = claim;
    const bool is_own_key = tag_of(from) == tag_of(claim);
    if (is_claim(from)) {
      account_.tally.takeovers += is_own_key;
    } else if (from != 0 && !is_own_key) {
      account_.overwritten.push_back(from);
    }
  }

  static inline thread_local Account account_;
  static inline thread_local uint64_t own_claim_ = 0;
  static inline thread_local std::minstd_rand random_;
};

}  // namespace weir::test
