// The keys that both contestants get, and the order they come in.
//
// Key number i is 8 bytes that look like anything, as addresses do; the same i is always the same
// key. A random choice costs a multiplication or two, about a nanosecond, on either side.

#pragma once

#include <cstdint>

namespace weir::bench {

// A bijection, so that distinct numbers are distinct keys: the finalizer of SplitMix64 (Steele,
// Lea, Flood, "Fast splittable pseudorandom number generators", 2014).
constexpr uint64_t key_of(uint64_t number) {
  number += 0x9e3779b97f4a7c15;
  number = (number ^ (number >> 30)) * 0xbf58476d1ce4e5b9;
  number = (number ^ (number >> 27)) * 0x94d049bb133111eb;
  return number ^ (number >> 31);
}

// Uniform numbers below a bound of less than 2^32: a 64-bit linear congruential generator (Knuth's
// MMIX), of which the upper half is scaled.
class RandomNumbers {
 public:
  explicit RandomNumbers(uint64_t seed) : state_(key_of(seed)) {}

  uint64_t below(uint64_t bound) {
    state_ = state_ * 6364136223846793005 + 1442695040888963407;
    return ((state_ >> 32) * bound) >> 32;
  }

 private:
  uint64_t state_;
};

}  // namespace weir::bench
