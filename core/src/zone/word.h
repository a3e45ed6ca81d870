// What the table keeps per key: one 64-bit word.
//
//   tag:23 | claim:1 | state:40
//
// tag    tells the keys of one place apart. Never 0, so that no word of a key is the empty word, 0.
// claim  0: the word is settled, and its state is what the zone's algorithm makes of it
//           (limiter/gcra.h, limiter/sliding_window.h).
//        1: the word announces an insertion, and its state is the number of the writer.
//
// A settled word is live while its state holds something against its key, and dead from then on. A
// dead word equals a key never seen, so overwriting it loses nothing. A claim is neither live nor
// dead: it charges nobody, whatever a clock says, and overwriting it makes its writer start over.

#pragma once

#include <cstdint>

namespace weir {

using State = uint64_t;  // below 2^40

inline constexpr unsigned kStateBits = 40;
inline constexpr uint64_t kStateMask = (uint64_t{1} << kStateBits) - 1;
inline constexpr unsigned kTagBits = 23;
inline constexpr uint64_t kClaimBit = uint64_t{1} << kStateBits;
static_assert(kTagBits + 1 + kStateBits == 64);

constexpr uint64_t settled_word(uint32_t tag, State state) {
  return uint64_t{tag} << (kStateBits + 1) | state;
}

// `writer` is taken modulo 2^40: a zone would have to be attached that often to repeat one.
constexpr uint64_t claim_word(uint32_t tag, uint64_t writer) {
  return uint64_t{tag} << (kStateBits + 1) | kClaimBit | (writer & kStateMask);
}

constexpr uint32_t tag_of(uint64_t word) { return static_cast<uint32_t>(word >> (kStateBits + 1)); }
constexpr bool is_claim(uint64_t word) { return (word & kClaimBit) != 0; }
constexpr bool is_settled(uint64_t word, uint32_t tag) {
  return (word ^ settled_word(tag, 0)) < kClaimBit;
}
constexpr State state_of(uint64_t word) { return word & kStateMask; }

}  // namespace weir
