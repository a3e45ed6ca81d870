// What the table keeps per key: one 64-bit word.
//
//   tag:23 | claim:1 | state:40
//
// tag    tells the keys of one place apart. Never 0, so that no word of a key is the empty word, 0.
// claim  0: the word is settled, and its state is the key's TAT (limiter/tick.h).
//        1: the word announces an insertion, and its state is the number of the writer.
//
// A settled word is live while its TAT lies ahead, and dead from then on. A dead word equals a key
// never seen, so overwriting it loses nothing. A claim is neither live nor dead: it charges nobody,
// whatever a clock says, and overwriting it makes its writer start over.

#pragma once

#include <cstdint>

#include "limiter/tick.h"

namespace weir {

inline constexpr unsigned kTagBits = 23;
inline constexpr uint64_t kClaimBit = uint64_t{1} << kTickWidth;
static_assert(kTagBits + 1 + kTickWidth == 64);

constexpr uint64_t settled_word(uint32_t tag, Tick tat) {
  return uint64_t{tag} << (kTickWidth + 1) | tat;
}

// `writer` is taken modulo 2^40: a zone would have to be attached that often to repeat one.
constexpr uint64_t claim_word(uint32_t tag, uint64_t writer) {
  return uint64_t{tag} << (kTickWidth + 1) | kClaimBit | (writer & kTickMask);
}

constexpr uint32_t tag_of(uint64_t word) { return static_cast<uint32_t>(word >> (kTickWidth + 1)); }
constexpr bool is_claim(uint64_t word) { return (word & kClaimBit) != 0; }
constexpr bool is_settled(uint64_t word, uint32_t tag) {
  return (word ^ settled_word(tag, 0)) < kClaimBit;
}
constexpr Tick tat_of(uint64_t word) { return word & kTickMask; }

// What the word's key owes: 0 if the word is empty, a claim, or dead.
constexpr Ticks debt_of(uint64_t word, Tick now) {
  return word == 0 || is_claim(word) ? 0 : debt_at(tat_of(word), now);
}
constexpr bool is_live(uint64_t word, Tick now) { return debt_of(word, now) != 0; }

}  // namespace weir
