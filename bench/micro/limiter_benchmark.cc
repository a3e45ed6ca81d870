// What one decision costs: weir, and nginx's limit_req doing the same in the same run (if the build
// has it; see contestants.h).
//
// Names are CASE/CONTESTANT[/KEYS]:
//   hot      one key, in the processor's cache
//   reject   the same, and every request is refused
//   random   a random one of so many live keys
//   revive   keys that come back after their debt is paid, the zone in the processor's cache
//   insert   a new key, while the zone fills from none to so many
//   full     a new key, where a live one has to be forgotten for it; both zones have 8 MB

#include <benchmark/benchmark.h>

#include <map>
#include <memory>
#include <string>

#include "contestants.h"
#include "keys.h"
#include "zone/key_hash.h"

namespace weir::bench {
namespace {

uint64_t argument(const benchmark::State& state) { return static_cast<uint64_t>(state.range(0)); }

// A zone with so many live keys. Filling one takes seconds, so each is made once and kept for all
// rounds.
template <class Contestant>
Contestant& loaded(uint64_t keys) {
  static std::map<uint64_t, std::unique_ptr<Contestant>> zones;
  std::unique_ptr<Contestant>& zone = zones[keys];
  if (!zone) {
    zone = std::make_unique<Contestant>(Contestant::bytes_for(keys), kGenerous);
    for (uint64_t i = 0; i < keys; ++i) zone->load(key_of(i));
    must(zone->lost() == 0, "a loaded zone has lost a key");
  }
  return *zone;
}

template <class Contestant>
void hot(benchmark::State& state) {
  Contestant zone(Contestant::bytes_for(1000), kGenerous);
  const uint64_t key = key_of(0);
  for (auto _ : state) benchmark::DoNotOptimize(zone.decide(key));
}

template <class Contestant>
void reject(benchmark::State& state) {
  Contestant zone(Contestant::bytes_for(1000), kStingy);
  const uint64_t key = key_of(0);
  uint64_t admitted = 0;
  for (auto _ : state) admitted += zone.decide(key);
  must(admitted <= 2, "a request was admitted that should not have been");
}

template <class Contestant>
void random(benchmark::State& state) {
  const uint64_t keys = argument(state);
  Contestant& zone = loaded<Contestant>(keys);
  static RandomNumbers numbers(1);  // goes on from round to round, so that no round repeats another
  for (auto _ : state) {
    const uint64_t number = numbers.below(keys) + zone.zero_when_decided();
    benchmark::DoNotOptimize(zone.decide(key_of(number)));
  }
}

// A debt is paid after 100 us, and a round through these keys takes several times as long.
template <class Contestant>
void revive(benchmark::State& state) {
  constexpr uint64_t kKeys = 20'000;
  Contestant zone(Contestant::bytes_for(kKeys), kGenerous);
  uint64_t i = 0;
  for (auto _ : state) {
    benchmark::DoNotOptimize(zone.decide(key_of(i)));
    if (++i == kKeys) i = 0;
  }
}

// Has as many iterations as keys.
template <class Contestant>
void insert(benchmark::State& state) {
  static std::map<uint64_t, std::unique_ptr<Contestant>> zones;
  const uint64_t keys = argument(state);
  std::unique_ptr<Contestant>& zone = zones[keys];
  if (!zone) zone = std::make_unique<Contestant>(Contestant::bytes_for(keys), kGenerous);
  zone->clear();
  uint64_t i = 0;
  for (auto _ : state) zone->load(key_of(i++));
  must(i == keys && zone->lost() == 0, "expected one iteration for each key, and no key lost");
}

template <class Contestant>
void full(benchmark::State& state) {
  constexpr size_t kBytes = 8 << 20;
  constexpr uint64_t kFill = 3 * kBytes / 8;
  static Contestant zone(kBytes, kGenerous);
  static uint64_t next = 0;
  while (next < kFill) zone.load(key_of(next++));
  const uint64_t lost_before = zone.lost();
  for (auto _ : state) zone.load(key_of(next++));
  state.counters["lost"] =
      static_cast<double>(zone.lost() - lost_before) / static_cast<double>(state.iterations());
}

template <class Contestant>
void add(const std::string& name, int64_t most_keys) {
  const auto add_case = [&](const char* which, void (*function)(benchmark::State&)) {
    return benchmark::RegisterBenchmark((which + ('/' + name)).c_str(), function);
  };
  add_case("hot", hot<Contestant>);
  add_case("reject", reject<Contestant>);
  add_case("revive", revive<Contestant>);
  add_case("full", full<Contestant>);
  for (int64_t keys = 1000; keys <= most_keys; keys *= 10) {
    add_case("random", random<Contestant>)->Arg(keys);
  }
  add_case("random", random<Contestant>)->Arg(4'000'000);
  for (const int64_t keys : {10'000, 1'000'000}) {
    add_case("insert", insert<Contestant>)->Arg(keys)->Iterations(keys);
  }
}

const bool added = [] {
  add<Weir>("weir", 10'000'000);
#ifdef WEIR_BENCH_LIMIT_REQ
  add<LimitReq>("limit_req", 1'000'000);
#endif
  return true;
}();

void hash_key(benchmark::State& state) {
  static const uint8_t secret[kSecretSize] = {1, 2, 3};
  uint64_t key = key_of(0);
  for (auto _ : state) {
    benchmark::DoNotOptimize(key);
    benchmark::DoNotOptimize(weir::hash_key(&key, sizeof key, secret));
  }
}
BENCHMARK(hash_key);

void parse_quota(benchmark::State& state) {
  weir_quota_t quota;
  for (auto _ : state) benchmark::DoNotOptimize(weir_quota_parse("100r/5m", 7, &quota, nullptr));
}
BENCHMARK(parse_quota);

}  // namespace
}  // namespace weir::bench
