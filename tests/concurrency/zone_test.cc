// Processes and threads that share a zone, through the interface that they have to it.
//
// The clock is a number in shared memory that the actors themselves move on, so that what may be
// admitted over a whole run is known exactly. Their readings of it may differ: each is behind by an
// amount of its own, as long as the run lasts.

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <new>
#include <random>
#include <span>

#include "support/actors.h"
#include "support/zone_memory.h"
#include "zone/zone.h"

namespace weir {
namespace {

using test::budget;
using test::Crew;
using test::SharedMemory;
using test::ZoneHandle;
using test::ZoneMemory;

constexpr uint64_t kSecond = 1'000'000'000;
constexpr uint64_t kStart = 1000 * kSecond;
constexpr uint64_t kWrap = (uint64_t{1} << (kTickWidth - kDefaultTickBits)) * kSecond;
constexpr uint32_t kKeys = 64;
constexpr uint64_t kCapacity = 10;

struct Board {
  std::atomic<uint64_t> clock{kStart};
  std::atomic<uint64_t> attempts{0};
  std::atomic<uint64_t> admitted[kKeys]{};
};

struct ActorsClock {
  const Board& board;
  uint64_t behind = 0;

  weir_clock_t handle() {
    return {[](void* self) {
              const auto& clock = *static_cast<const ActorsClock*>(self);
              return clock.board.clock.load() - clock.behind;
            },
            this};
  }
};

bool take(const ZoneHandle& zone, uint32_t key, const Budget& budget, const weir_clock_t& clock) {
  weir_limit_t limit = test::limit_on(zone, std::as_bytes(std::span(&key, 1)), budget);
  return weir_decide(&limit, 1, &clock, nullptr) == WEIR_PASSED;
}

long settled_words(const ZoneHandle& zone, uint32_t key) {
  const auto [line1, line2, tag] = zone->place_of(&key, sizeof key);
  const auto is_own = [tag = tag](const auto& word) { return is_settled(word.load(), tag); };
  const long own = std::ranges::count_if(line1->words, is_own);
  return line1 == line2 ? own : own + std::ranges::count_if(line2->words, is_own);
}

class SharedZone : public testing::TestWithParam<Crew> {
 protected:
  static unsigned actors() { return GetParam().size; }

  uint64_t admitted(uint32_t key) const { return board_.admitted[key].load(); }

  // The actors make `attempts` requests in all, of random keys, and time moves on by `step` before
  // each; actor i's clock is behind by i * lag. They sweep now and then.
  void run(const ZoneMemory& memory, const Budget& budget, uint64_t attempts, uint64_t step,
           uint64_t lag = 0, weir_full_t when_full = WEIR_FULL_EVICT) {
    ASSERT_TRUE(run_together(GetParam(), [&](unsigned me) {
      const auto zone = memory.attach(when_full);
      ActorsClock actors_clock{board_, me * lag};
      const weir_clock_t clock = actors_clock.handle();
      std::minstd_rand random(me + 1);
      for (uint64_t i; (i = board_.attempts.fetch_add(1)) < attempts;) {
        board_.clock.fetch_add(step);
        const auto key = static_cast<uint32_t>(random() % kKeys);
        if (take(zone, key, budget, clock)) board_.admitted[key].fetch_add(1);
        if (i % 1000 == 0) weir_zone_sweep(zone.get(), &clock);
      }
    }));
    const auto zone = memory.attach();
    EXPECT_EQ(zone->counters().exhausted, 0u);
    for (uint32_t key = 0; key < kKeys; ++key) EXPECT_LE(settled_words(zone, key), 1) << key;
  }

  // Two seconds of requests for 20r/s, of each key far more than that: what is admitted can be told
  // to within a token, and the time by which the clocks differ.
  void expect_the_bound(uint64_t start, uint64_t lag) {
    constexpr uint64_t kAttempts = 1'000'000;
    constexpr uint64_t kInterval = kSecond / 20;
    ZoneMemory memory;
    board_.clock = start;
    run(memory, budget("20r/s", kCapacity - 1), kAttempts, 2 * kSecond / kAttempts, lag);
    const uint64_t elapsed = board_.clock.load() - start;
    const uint64_t differ = lag * (actors() - 1);
    for (uint32_t key = 0; key < kKeys; ++key) {
      EXPECT_LE(admitted(key), kCapacity + (elapsed + differ) / kInterval) << key;
      EXPECT_GE(admitted(key) + 1, kCapacity + (elapsed - differ) / kInterval) << key;
    }
  }

  SharedMemory shared_{sizeof(Board)};
  Board& board_ = *new (shared_.address()) Board;
};

TEST_P(SharedZone, AdmitsWhatTheTimeHasEarned) { expect_the_bound(kStart, 0); }

TEST_P(SharedZone, AdmitsNoMoreThanClocksThatDifferHaveEarned) {
  expect_the_bound(kStart, kSecond / 50);
}

TEST_P(SharedZone, AdmitsTheSameWhileTheTicksWrapAround) { expect_the_bound(kWrap - kSecond, 0); }

// Some are beyond the wrap while others have not reached it.
TEST_P(SharedZone, AdmitsTheSameWhileClocksThatDifferWrapAround) {
  expect_the_bound(kWrap - kSecond, kSecond / 50);
}

// Time stands still. Each request has two of three keys to meet, in any order; after so many there
// are three new ones. What is charged to a key is what was admitted under it, to the token, however
// the last tokens are fought for.
TEST_P(SharedZone, LimitsThatOverlapAreChargedAllOrNothing) {
  constexpr uint32_t kRounds = 4000, kRequests = 48;
  const Budget ten = budget("1r/h", kCapacity - 1);
  ZoneMemory memory(4 << 20);
  SharedMemory shared(3 * kRounds * sizeof(std::atomic<uint64_t>));
  auto* admitted = static_cast<std::atomic<uint64_t>*>(shared.address());
  ActorsClock actors_clock{board_};
  const weir_clock_t clock = actors_clock.handle();
  const auto limit = [&](const ZoneHandle& zone, const uint32_t& key, uint32_t cost) {
    return test::limit_on(zone, std::as_bytes(std::span(&key, 1)), ten, cost);
  };
  ASSERT_TRUE(run_together(GetParam(), [&](unsigned me) {
    const auto zone = memory.attach();
    std::minstd_rand random(me + 1);
    for (uint64_t i; (i = board_.attempts.fetch_add(1)) < kRounds * kRequests;) {
      const auto round = static_cast<uint32_t>(i / kRequests),
                 dice = static_cast<uint32_t>(random());
      const uint32_t first = dice % 3, second = (first + 1 + dice / 3 % 2) % 3;
      const uint32_t keys[] = {3 * round + first, 3 * round + second};
      weir_limit_t limits[] = {limit(zone, keys[0], 1), limit(zone, keys[1], 1)};
      if (weir_decide(limits, 2, &clock, nullptr) != WEIR_PASSED) continue;
      for (const uint32_t key : keys) admitted[key].fetch_add(1);
    }
  }));
  const auto zone = memory.attach();
  uint64_t used_up = 0;
  for (uint32_t key = 0; key < 3 * kRounds; ++key) {
    weir_limit_t look = limit(zone, key, 0);
    ASSERT_EQ(weir_decide(&look, 1, &clock, nullptr), WEIR_PASSED);
    ASSERT_EQ(weir_limit_remaining(&look), kCapacity - admitted[key]) << key;
    used_up += admitted[key] == kCapacity;
  }
  EXPECT_GT(used_up, kRounds);
  EXPECT_EQ(zone->counters().exhausted, 0u);
  EXPECT_EQ(zone->counters().evicted, 0u);
}

// Two windows of a second, from their beginning: the first one's limit at once, and the second
// one's as the first one's fades.
TEST_P(SharedZone, OfSlidingWindowsAdmitsTheLimitInEachWindow) {
  constexpr uint64_t kAttempts = 1'000'000;
  const Quota quota = test::quota("20r/s");
  Format format;
  ASSERT_EQ(choose_format(WEIR_SLIDING_WINDOW, {&quota, 1}, &format, nullptr), WEIR_OK);
  Budget budget;
  ASSERT_EQ(make_budget(quota, format, &budget, nullptr), WEIR_OK);
  ZoneMemory memory(1 << 20, format);
  board_.clock = (SlidingWindow::kWindows - 1) * kSecond;  // their numbers come round to 0
  run(memory, budget, kAttempts, 2 * kSecond / kAttempts);
  for (uint32_t key = 0; key < kKeys; ++key) {
    EXPECT_LE(admitted(key), 41u) << key;
    EXPECT_GE(admitted(key), 39u) << key;
  }
}

TEST_P(SharedZone, OfOneLineAdmitsNoMoreThanEvictionsExplain) {
  ZoneMemory memory(weir_zone_size_min());
  run(memory, budget("1r/h", kCapacity - 1), 200'000, 0);
  const uint64_t evicted = memory.attach()->counters().evicted;
  EXPECT_GT(evicted, 0u);
  uint64_t excess = 0;
  for (uint32_t key = 0; key < kKeys; ++key) {
    excess += admitted(key) - std::min(kCapacity, admitted(key));
  }
  EXPECT_LE(excess, evicted * kCapacity);
}

TEST_P(SharedZone, OfOneLineThatRejectsWhenFullServesEightKeysExactly) {
  ZoneMemory memory(weir_zone_size_min());
  run(memory, budget("1r/h", kCapacity - 1), 200'000, 0, 0, WEIR_FULL_REJECT);
  EXPECT_EQ(memory.attach()->counters().evicted, 0u);
  unsigned served = 0;
  for (uint32_t key = 0; key < kKeys; ++key) {
    served += admitted(key) != 0;
    EXPECT_EQ(admitted(key), admitted(key) == 0 ? 0 : kCapacity) << key;
  }
  EXPECT_EQ(served, kLineWords);
}

INSTANTIATE_TEST_SUITE_P(, SharedZone, testing::ValuesIn(test::kCrews),
                         [](const auto& crew) { return crew.param.name(); });

}  // namespace
}  // namespace weir
