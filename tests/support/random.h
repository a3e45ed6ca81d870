// Chance for tests, from a seed.

#pragma once

#include <cstdint>
#include <cstdlib>
#include <random>

namespace weir::test {

class Random {
 public:
  explicit Random(uint64_t seed) : engine_(seed) {}
  uint64_t below(uint64_t bound) { return engine_() % bound; }
  bool one_in(uint64_t n) { return below(n) == 0; }
  // Small and large numbers alike: uniform in the number of bits.
  uint64_t any_size_up_to(uint64_t bound) {
    const auto bits = below(64 - static_cast<unsigned>(__builtin_clzll(bound | 1)) + 1);
    const uint64_t value = bits == 0 ? 0 : engine_() >> (64 - bits);
    return value < bound ? value : bound;
  }

 private:
  std::mt19937_64 engine_;
};

// A number that the environment may set.
inline uint64_t environment(const char* name, uint64_t otherwise) {
  const char* text = std::getenv(name);
  return text != nullptr ? std::strtoull(text, nullptr, 10) : otherwise;
}

}  // namespace weir::test
