// Threads on one zone: what ThreadSanitizer can see of the protocol.

#include <gtest/gtest.h>

#include <atomic>
#include <random>
#include <thread>
#include <vector>

#include "support/zone_memory.h"
#include "zone/zone.h"

namespace weir {
namespace {

using test::budget;
using test::limit_on;
using test::ZoneMemory;

// `threads` times `attempts` decisions on keys below `keys`, at a standing clock. Returns how many
// were admitted per key.
std::vector<uint64_t> hammer(const ZoneMemory& memory, unsigned threads, unsigned attempts,
                             uint32_t keys, const Budget& budget) {
  std::vector<std::atomic<uint64_t>> admitted(keys);
  std::vector<std::thread> running;
  for (unsigned t = 0; t < threads; ++t) {
    running.emplace_back([&, t] {
      const auto zone = memory.attach();
      const weir_clock_t clock = {[](void*) { return uint64_t{1'000'000'000}; }, nullptr};
      std::minstd_rand random(t + 1);
      for (unsigned i = 0; i < attempts; ++i) {
        const uint32_t key = static_cast<uint32_t>(random() % keys);
        weir_limit_t limit = limit_on(zone, std::basic_string_view<uint32_t>(&key, 1), budget);
        limit.key_length = sizeof key;
        if (weir_decide(&limit, 1, &clock, nullptr) == WEIR_PASSED) admitted[key].fetch_add(1);
        if (i % 1000 == 0) weir_zone_sweep(zone.get(), &clock);
      }
    });
  }
  for (std::thread& thread : running) thread.join();
  return {admitted.begin(), admitted.end()};
}

TEST(Threads, OnOneHotKeyAdmitExactlyItsCapacity) {
  ZoneMemory memory;
  const auto admitted = hammer(memory, 4, 50'000, 1, budget("1r/m", 999));
  EXPECT_EQ(admitted[0], 1000u);
}

TEST(Threads, OnFewKeysAdmitExactlyTheCapacityOfEach) {
  ZoneMemory memory;
  for (const uint64_t n : hammer(memory, 4, 50'000, 16, budget("1r/m", 99))) EXPECT_EQ(n, 100u);
}

TEST(Threads, OnAFullZoneAdmitNoMoreThanEvictionsExplain) {
  ZoneMemory memory(weir_zone_size_min());
  constexpr uint64_t kCapacity = 10;
  uint64_t excess = 0;
  for (const uint64_t n : hammer(memory, 4, 50'000, 64, budget("1r/h", kCapacity - 1))) {
    if (n > kCapacity) excess += n - kCapacity;
  }
  const auto counters = memory.attach()->counters();
  EXPECT_GT(counters.evicted, 0u);
  EXPECT_LE(excess, counters.evicted * kCapacity);
}

}  // namespace
}  // namespace weir
