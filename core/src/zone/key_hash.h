// From a key to the place where its word may stand.
//
// XXH3-128 under a secret that is drawn per zone: who does not know the secret can't choose keys
// that collide. Disjoint bits of the hash give the key's first line and its tag.

#pragma once

#include <cstddef>
#include <cstdint>

#include "limiter/tick.h"
#include "zone/word.h"

namespace weir {

inline constexpr size_t kSecretSize = 192;

struct KeyHash {
  uint64_t line;  // uniform over 64 bits, to be scaled by the number of lines
  uint32_t tag;   // 1 .. 2^23 - 1 (zone/word.h)
};

KeyHash hash_key(const void* key, size_t length, const uint8_t (&secret)[kSecretSize]);

// 64 uniform bits scaled to 0 .. count - 1 without a division (Lemire, "Fast random integer
// generation in an interval", 2019), for any count, not just powers of two.
constexpr uint64_t scale(uint64_t uniform, uint64_t count) {
  return static_cast<uint64_t>((static_cast<Wide>(uniform) * count) >> 64);
}

// The other line of a key that may stand in `line`: the mirror image of that line in a point given
// by the tag. The image of the image is the line itself, so keys that share a tag and a line share
// both lines, as the table requires. `count` is even, and so twice the point is made odd: a line is
// never its own image. Or it is 1.
constexpr uint64_t other_line(uint64_t line, uint32_t tag, uint64_t count) {
  if (count == 1) return 0;
  const uint64_t sum = ((tag * count) >> kTagBits) | 1;
  return sum >= line ? sum - line : sum + count - line;
}

}  // namespace weir
