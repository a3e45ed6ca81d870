// What one decision costs, through the C interface, with hashing and a real clock.
//
// Beside it, in the same run, what any such decision must cost: a clock reading, and a clock
// reading with one dependent random access to as much memory. Compare within one run only: the
// machine is shared.

#include <benchmark/benchmark.h>
#include <sys/mman.h>

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <numeric>
#include <random>
#include <vector>

#include "weir/weir.h"

namespace {

void must(bool works, const char* what) {
  if (works) return;
  std::fprintf(stderr, "benchmark set-up failed: %s\n", what);
  std::abort();
}

// A zone at 60 % load for `keys` keys, in memory of its own.
class Zone {
 public:
  explicit Zone(uint64_t keys) : size_((16 << 10) + keys * sizeof(uint64_t) * 10 / 6) {
    memory_ = mmap(nullptr, size_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    must(memory_ != MAP_FAILED, "mmap");
    weir_error_t error;
    must(weir_zone_format(memory_, size_, 20, &error) == WEIR_OK, error.text);
    must(weir_zone_attach(memory_, size_, WEIR_FULL_EVICT, &zone_, &error) == WEIR_OK, error.text);
  }
  ~Zone() {
    weir_zone_detach(zone_);
    munmap(memory_, size_);
  }
  Zone(const Zone&) = delete;
  Zone& operator=(const Zone&) = delete;

  weir_verdict_t take(uint64_t key, const weir_budget_t& budget) {
    weir_limit_t limit{};
    limit.zone = zone_;
    limit.key = &key;
    limit.key_length = sizeof key;
    limit.budget = budget;
    limit.cost = 1;
    return weir_decide(&limit, 1, &clock_, nullptr);
  }

  weir_counters_t counters() const {
    weir_counters_t counters;
    weir_zone_counters(zone_, &counters);
    return counters;
  }

 private:
  size_t size_;
  void* memory_;
  weir_zone_t* zone_ = nullptr;
  weir_clock_t clock_ = {weir_monotonic_now, nullptr};
};

weir_budget_t make_budget(const weir_quota_t& quota) {
  weir_budget_t budget;
  weir_error_t error;
  must(weir_budget_make(&quota, 20, &budget, &error) == WEIR_OK, error.text);
  return budget;
}

// Never refuses in a run, and keeps every key in debt throughout.
const weir_budget_t kGenerous =
    make_budget({.tokens = 10'000, .period = 1, .burst = 1'000'000'000});
const weir_budget_t kStingy = make_budget({.tokens = 1, .period = 3600, .burst = 0});

void DecideHotKey(benchmark::State& state) {
  Zone zone(1000);
  for (auto _ : state) benchmark::DoNotOptimize(zone.take(1, kGenerous));
}
BENCHMARK(DecideHotKey);

void DecideReject(benchmark::State& state) {
  Zone zone(1000);
  zone.take(1, kStingy);
  for (auto _ : state) benchmark::DoNotOptimize(zone.take(1, kStingy));
}
BENCHMARK(DecideReject);

void DecideRandomKey(benchmark::State& state) {
  const auto keys = static_cast<uint64_t>(state.range(0));
  Zone zone(keys);
  // An hour of debt each, so that all stay live.
  const weir_budget_t hour = make_budget({.tokens = 1, .period = 3600, .burst = 30});
  for (uint64_t key = 0; key < keys; ++key) zone.take(key, hour);
  std::mt19937_64 random(1);
  for (auto _ : state) benchmark::DoNotOptimize(zone.take(random() % keys, kGenerous));
  state.counters["evicted"] = static_cast<double>(zone.counters().evicted);
}
BENCHMARK(DecideRandomKey)->RangeMultiplier(10)->Range(1000, 10'000'000);

void DecideNewKey(benchmark::State& state) {
  Zone zone(1'000'000);
  uint64_t key = 0;
  for (auto _ : state) benchmark::DoNotOptimize(zone.take(++key, kGenerous));
}
BENCHMARK(DecideNewKey);

void ParseQuota(benchmark::State& state) {
  weir_quota_t quota;
  for (auto _ : state) benchmark::DoNotOptimize(weir_quota_parse("100r/5m", 7, &quota, nullptr));
}
BENCHMARK(ParseQuota);

void Clock(benchmark::State& state) {
  for (auto _ : state) benchmark::DoNotOptimize(weir_monotonic_now(nullptr));
}
BENCHMARK(Clock);

// A walk through one random cycle over as many bytes as a zone for so many keys has.
void ClockAndRandomAccess(benchmark::State& state) {
  const size_t lines = static_cast<size_t>(state.range(0)) * 10 / 6 / 8 + 1;
  std::vector<uint64_t> order(lines);
  std::iota(order.begin(), order.end(), 0);
  std::shuffle(order.begin(), order.end(), std::mt19937_64(1));
  std::vector<uint64_t> memory(lines * 8);
  for (size_t i = 0; i < lines; ++i) memory[order[i] * 8] = order[(i + 1) % lines];
  uint64_t at = 0;
  for (auto _ : state) {
    benchmark::DoNotOptimize(weir_monotonic_now(nullptr));
    benchmark::DoNotOptimize(at = memory[at * 8]);
  }
}
BENCHMARK(ClockAndRandomAccess)->RangeMultiplier(10)->Range(1000, 10'000'000);

}  // namespace
