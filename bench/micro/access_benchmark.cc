// What any decision must cost at least: a clock reading, and one random access to as much memory as
// weir's zone has for so many keys. Each access needs the result of the one before it, so that the
// processor can't overlap them.
//
// Names are access/KEYS, clock and clock_access/KEYS.

#include <benchmark/benchmark.h>

#include <algorithm>
#include <map>
#include <memory>
#include <numeric>
#include <random>
#include <vector>

#include "contestants.h"
#include "memory.h"

namespace weir::bench {
namespace {

// One random cycle through all cache lines; the first word of each is the index of the next.
class Cycle {
 public:
  explicit Cycle(size_t bytes) : memory_(bytes) {
    std::vector<uint32_t> order(bytes / sizeof(Line));
    std::iota(order.begin(), order.end(), 0u);
    std::shuffle(order.begin(), order.end(), std::mt19937_64(1));
    for (size_t i = 0; i < order.size(); ++i) {
      lines()[order[i]].next = order[(i + 1) % order.size()];
    }
  }

  uint64_t next(uint64_t at) const { return lines()[at].next; }

 private:
  struct alignas(64) Line {
    uint64_t next;
  };

  Line* lines() const { return static_cast<Line*>(memory_.address()); }

  Memory memory_;
};

const Cycle& cycle_for(uint64_t keys) {
  static std::map<uint64_t, std::unique_ptr<Cycle>> cycles;
  std::unique_ptr<Cycle>& cycle = cycles[keys];
  if (!cycle) cycle = std::make_unique<Cycle>(Weir::bytes_for(keys));
  return *cycle;
}

void clock(benchmark::State& state) {
  for (auto _ : state) benchmark::DoNotOptimize(weir_monotonic_now(nullptr));
}
BENCHMARK(clock);

void access(benchmark::State& state) {
  const Cycle& cycle = cycle_for(static_cast<uint64_t>(state.range(0)));
  uint64_t at = 0;
  for (auto _ : state) benchmark::DoNotOptimize(at = cycle.next(at));
}

void clock_access(benchmark::State& state) {
  const Cycle& cycle = cycle_for(static_cast<uint64_t>(state.range(0)));
  uint64_t at = 0;
  for (auto _ : state) {
    benchmark::DoNotOptimize(weir_monotonic_now(nullptr));
    benchmark::DoNotOptimize(at = cycle.next(at));
  }
}

BENCHMARK(access)->RangeMultiplier(10)->Range(1000, 10'000'000)->Arg(4'000'000);
BENCHMARK(clock_access)->RangeMultiplier(10)->Range(1000, 10'000'000)->Arg(4'000'000);

}  // namespace
}  // namespace weir::bench
