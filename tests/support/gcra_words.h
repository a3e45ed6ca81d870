// What the words of a token bucket's table mean, for tests that look at them.

#pragma once

#include "limiter/gcra.h"
#include "zone/word.h"

namespace weir::test {

// What the word's key owes: 0 if the word is empty, a claim, or dead.
constexpr Ticks debt_of(uint64_t word, Tick now) {
  return word == 0 || is_claim(word) ? 0 : debt_at(state_of(word), now);
}
constexpr bool is_live(uint64_t word, Tick now) { return debt_of(word, now) != 0; }

}  // namespace weir::test
