// From a key to the place where its word may stand.
//
// XXH3-128 under a secret that is drawn per zone: who does not know the secret can't choose keys
// that collide. Disjoint bits of the hash give shard, both lines and the tag.

#pragma once

#include <cstddef>
#include <cstdint>

namespace weir {

inline constexpr size_t kSecretSize = 192;

struct KeyHash {
  uint32_t line1;  // 32 uniform bits each, to be scaled by the number of lines
  uint32_t line2;
  uint16_t shard;
  uint32_t tag;  // 1 .. 2^24 - 1: 0 would make an empty word of a key paid at tick 0
};

KeyHash hash_key(const void* key, size_t length, const uint8_t (&secret)[kSecretSize]);

// `bits` uniform bits scaled to 0 .. count - 1 without a division (Lemire, "Fast random integer
// generation in an interval", 2019), for any count, not just powers of two.
template <unsigned kBits>
constexpr uint64_t scale(uint64_t uniform, uint64_t count) {
  return (uniform * count) >> kBits;
}

}  // namespace weir
