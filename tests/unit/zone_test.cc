#include "zone/zone.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <string>
#include <vector>

#include "support/manual_clock.h"
#include "support/zone_memory.h"

namespace weir {
namespace {

using test::budget;
using test::limit_on;
using test::ManualClock;
using test::SharedMemory;
using test::ticks;
using test::ZoneMemory;

weir_verdict_t take(const test::ZoneHandle& zone, const std::string& key, const Budget& budget,
                    ManualClock& clock, uint32_t cost = 1) {
  weir_limit_t limit = limit_on(zone, key, budget, cost);
  const weir_clock_t handle = clock.handle();
  return weir_decide(&limit, 1, &handle, nullptr);
}

TEST(ZoneFormat, OfZeroedMemoryMakesTheSameEmptyZone) {
  SharedMemory memory(1 << 16);
  const Format format = ticks();
  ASSERT_EQ(weir_zone_format_zeroed(memory.address(), memory.size(), &format, nullptr), WEIR_OK);
  weir_zone_t* zone = nullptr;
  ASSERT_EQ(weir_zone_attach(memory.address(), memory.size(), WEIR_FULL_EVICT, &zone, nullptr),
            WEIR_OK);
  ManualClock clock(1'000'000'000);
  const test::ZoneHandle handle(zone);
  EXPECT_EQ(take(handle, "key", budget("1r/m"), clock), WEIR_PASSED);
  EXPECT_EQ(take(handle, "key", budget("1r/m"), clock), WEIR_REJECTED);
}

TEST(ZoneFormat, RefusesWhatCannotBeAZone) {
  SharedMemory memory(1 << 20);
  auto* bytes = static_cast<uint8_t*>(memory.address());
  weir_error_t error{};
  const auto format = [&](void* at, size_t size, uint32_t bits) {
    const Format ticks_of = ticks(bits);
    return weir_zone_format(at, size, &ticks_of, &error);
  };
  EXPECT_EQ(format(bytes + 8, 1 << 16, 20), WEIR_INVALID);
  EXPECT_NE(std::string(error.text).find("aligned"), std::string::npos);
  EXPECT_EQ(format(bytes, weir_zone_size_min() - 1, 20), WEIR_NO_MEMORY);
  EXPECT_NE(std::string(error.text).find("too small"), std::string::npos);
  EXPECT_EQ(format(bytes, 1 << 20, 9), WEIR_INVALID);
  EXPECT_EQ(format(bytes, 1 << 20, 28), WEIR_INVALID);
  EXPECT_EQ(format(bytes, weir_zone_size_min(), 20), WEIR_OK);
}

TEST(ZoneAttach, RefusesForeignMemoryAndNeverClearsIt) {
  SharedMemory memory(1 << 16);
  std::memset(memory.address(), 0x5a, memory.size());
  weir_zone_t* zone = nullptr;
  weir_error_t error{};
  EXPECT_EQ(weir_zone_attach(memory.address(), memory.size(), WEIR_FULL_EVICT, &zone, &error),
            WEIR_MISMATCH);
  EXPECT_EQ(zone, nullptr);
  EXPECT_NE(std::string(error.text).find("not a weir zone"), std::string::npos);
  for (size_t i = 0; i < memory.size(); ++i) {
    ASSERT_EQ(static_cast<uint8_t*>(memory.address())[i], 0x5a);
  }
}

TEST(ZoneAttach, RefusesAnyHeaderThatDoesNotFitTheMemory) {
  const auto broken = [](auto&& break_it) {
    ZoneMemory memory(1 << 16);
    break_it(*static_cast<Header*>(memory.address()));
    weir_zone_t* zone = nullptr;
    return weir_zone_attach(memory.address(), memory.size(), WEIR_FULL_EVICT, &zone, nullptr);
  };
  EXPECT_EQ(broken([](Header& h) { h.layout_version++; }), WEIR_MISMATCH);
  EXPECT_EQ(broken([](Header& h) { h.size--; }), WEIR_MISMATCH);
  EXPECT_EQ(broken([](Header& h) { h.tick_bits = 40; }), WEIR_MISMATCH);
  EXPECT_EQ(broken([](Header& h) { h.lines = 0; }), WEIR_MISMATCH);
  EXPECT_EQ(broken([](Header& h) { h.lines -= 1; }), WEIR_MISMATCH);  // odd
  EXPECT_EQ(broken([](Header& h) { h.lines += 2; }), WEIR_MISMATCH);

  ZoneMemory memory(1 << 16);
  weir_zone_t* zone = nullptr;
  EXPECT_EQ(weir_zone_attach(memory.address(), memory.size() / 2, WEIR_FULL_EVICT, &zone, nullptr),
            WEIR_MISMATCH);
  EXPECT_EQ(weir_zone_attach(memory.address(), 64, WEIR_FULL_EVICT, &zone, nullptr), WEIR_MISMATCH);
}

TEST(ZoneAttach, ASecondHandleSeesTheSameDebts) {
  ZoneMemory memory;
  ManualClock clock(1'000'000'000);
  const Budget one = budget("1r/m");
  const auto first = memory.attach();
  EXPECT_EQ(take(first, "key", one, clock), WEIR_PASSED);
  const auto second = memory.attach();
  EXPECT_EQ(take(second, "key", one, clock), WEIR_REJECTED);
  EXPECT_EQ(take(second, "other", one, clock), WEIR_PASSED);
}

TEST(ZoneAttach, MemoryMappedElsewhereWorksTheSame) {
  ZoneMemory memory(1 << 16);
  ManualClock clock(1'000'000'000);
  const Budget one = budget("1r/m");
  take(memory.attach(), "key", one, clock);
  SharedMemory copy(1 << 16);
  std::memcpy(copy.address(), memory.address(), memory.size());
  weir_zone_t* zone = nullptr;
  ASSERT_EQ(weir_zone_attach(copy.address(), copy.size(), WEIR_FULL_EVICT, &zone, nullptr),
            WEIR_OK);
  EXPECT_EQ(take(test::ZoneHandle(zone), "key", one, clock), WEIR_REJECTED);
}

TEST(Zone, KeysOfAnyLengthAreDistinct) {
  ZoneMemory memory;
  ManualClock clock(1'000'000'000);
  const Budget one = budget("1r/m");
  const auto zone = memory.attach();
  for (const size_t length : std::initializer_list<size_t>{0, 1, 4, 16, 17, 240, 241, 70'000}) {
    EXPECT_EQ(take(zone, std::string(length, 'x'), one, clock), WEIR_PASSED) << length;
    EXPECT_EQ(take(zone, std::string(length, 'x'), one, clock), WEIR_REJECTED) << length;
  }
}

TEST(Zone, AMegabyteHoldsNinetyThousandLiveKeys) {
  ZoneMemory memory;
  ManualClock clock(1'000'000'000);
  const Budget slow = budget("1r/h");
  const auto zone = memory.attach();
  for (uint32_t key = 0; key < 90'000; ++key) {
    const std::string name = std::to_string(key);
    ASSERT_EQ(take(zone, name, slow, clock), WEIR_PASSED);
  }
  EXPECT_EQ(zone->counters().evicted, 0u);
}

TEST(Zone, EvictionIsCountedAndSpraysLeaveHeavyUsersAlone) {
  ZoneMemory memory(1 << 16);
  ManualClock clock(1'000'000'000);
  const Budget heavy = budget("1r/h", 9);
  const auto zone = memory.attach();
  for (int i = 0; i < 10; ++i) take(zone, "abuser", heavy, clock);
  ASSERT_EQ(take(zone, "abuser", heavy, clock), WEIR_REJECTED);
  for (int i = 0; i < 100'000; ++i) take(zone, std::to_string(i), heavy, clock);
  EXPECT_GT(zone->counters().evicted, 50'000u);
  EXPECT_EQ(take(zone, "abuser", heavy, clock), WEIR_REJECTED);
}

TEST(Zone, FullRejectRefusesNewKeysAndKeepsOldOnes) {
  ZoneMemory memory(weir_zone_size_min());  // one line of eight words
  ManualClock clock(1'000'000'000);
  const Budget one = budget("1r/h");
  const auto zone = memory.attach(WEIR_FULL_REJECT);
  for (int i = 0; i < 8; ++i) ASSERT_EQ(take(zone, std::to_string(i), one, clock), WEIR_PASSED);
  const std::string key = "new";
  weir_limit_t limit = limit_on(zone, key, one);
  const weir_clock_t handle = clock.handle();
  EXPECT_EQ(weir_decide(&limit, 1, &handle, nullptr), WEIR_REJECTED);
  const uint64_t wait = weir_limit_retry_after(&limit);
  EXPECT_EQ(zone->counters().full_rejected, 1u);
  EXPECT_EQ(zone->counters().rejected, 1u);
  EXPECT_EQ(zone->counters().evicted, 0u);
  clock.advance(wait);
  EXPECT_EQ(take(zone, "new", one, clock), WEIR_PASSED);
}

TEST(Zone, FullAdmitLetsNewKeysPassUnlimited) {
  ZoneMemory memory(weir_zone_size_min());  // one line of eight words
  ManualClock clock(1'000'000'000);
  const Budget one = budget("1r/h");
  const auto zone = memory.attach(WEIR_FULL_ADMIT);
  for (int i = 0; i < 8; ++i) ASSERT_EQ(take(zone, std::to_string(i), one, clock), WEIR_PASSED);
  EXPECT_EQ(take(zone, "new", one, clock), WEIR_PASSED);
  EXPECT_EQ(take(zone, "new", one, clock), WEIR_PASSED);
  EXPECT_EQ(take(zone, "3", one, clock), WEIR_REJECTED);
  EXPECT_EQ(zone->counters().full_admitted, 2u);
}

TEST(Zone, CountsAreSummedOverAllHandles) {
  ZoneMemory memory;
  ManualClock clock(1'000'000'000);
  const Budget one = budget("1r/h");
  for (int i = 0; i < 100; ++i) take(memory.attach(), "key", one, clock);
  const auto zone = memory.attach();
  weir_zone_skip(zone.get());
  EXPECT_EQ(zone->counters().passed, 1u);
  EXPECT_EQ(zone->counters().rejected, 99u);
  EXPECT_EQ(zone->counters().skipped, 1u);
}

TEST(Zone, ARoundOfSweepsTakesAnHourAndClearsEveryDeadWordOnce) {
  ZoneMemory memory;
  ManualClock clock(1'000'000'000);
  const Budget fast = budget("100r/s");
  const auto zone = memory.attach();
  for (int i = 0; i < 50'000; ++i) take(zone, std::to_string(i), fast, clock);
  const weir_clock_t handle = clock.handle();
  uint64_t cleared = 0;
  for (int second = 0; second < 3600; ++second) {
    clock.advance_seconds(1);
    cleared += weir_zone_sweep(zone.get(), &handle);
  }
  EXPECT_EQ(cleared, 50'000u);
}

TEST(Zone, SweepingKeepsForgottenKeysForgottenWhenTheClockWraps) {
  // At 27 bits the clock wraps in 8192 s. Keys charged before must not be alive again after.
  ZoneMemory memory(1 << 16, ticks(27));
  ManualClock clock(1'000'000'000);
  const Budget one = budget("1r/m", 0, 27);
  const auto zone = memory.attach();
  const weir_clock_t handle = clock.handle();
  for (int i = 0; i < 500; ++i) take(zone, std::to_string(i), one, clock);
  for (int second = 0; second < 8186; ++second) {
    clock.advance_seconds(1);
    weir_zone_sweep(zone.get(), &handle);
  }
  for (int i = 0; i < 500; ++i) {
    EXPECT_EQ(take(zone, std::to_string(i), one, clock), WEIR_PASSED) << i;
  }
}

// Quotas that take hours to earn back, and more keys than limit_req would hold in so much memory.
TEST(Zone, SlowRatesAreKeptFor200000RotatingKeysInTenMegabytes) {
  constexpr size_t kKeyCount = 200'000;
  constexpr int kPerKeyAndRound = 3;
  ZoneMemory memory(10 << 20);
  ManualClock clock(1'000'000'000);
  const auto zone = memory.attach();
  const weir_clock_t handle = clock.handle();
  const Budget slow = budget("5r/h", 4);
  const double interval = 720, capacity = 5;  // seconds, tokens
  std::vector<double> paid_at(kKeyCount, 0);  // when each key's debt is paid, in seconds
  int early = 0, late = 0;
  size_t passed = 0;
  double now = 1;
  for (int round = 0; round < 10; ++round) {
    for (size_t key = 0; key < kKeyCount; ++key) {
      for (int i = 0; i < kPerKeyAndRound; ++i) {
        const double owed = std::max(0.0, paid_at[key] - now);
        const bool expected = owed + interval <= capacity * interval + 1e-3;
        const bool is_close = std::abs(owed + interval - capacity * interval) < 1e-3;
        const bool got = take(zone, std::to_string(key), slow, clock) == WEIR_PASSED;
        if (got) paid_at[key] = now + owed + interval;
        passed += got;
        early += got && !expected && !is_close;
        late += !got && expected && !is_close;
      }
    }
    for (int second = 0; second < 1000; ++second) {
      clock.advance_seconds(1);
      weir_zone_sweep(zone.get(), &handle);
    }
    now += 1000;
  }
  EXPECT_EQ(early, 0);
  EXPECT_LE(late, 20);  // two keys in a million share a budget
  EXPECT_EQ(zone->counters().evicted, 0u);
  EXPECT_GT(passed, kKeyCount * 15);
  EXPECT_LT(passed, kKeyCount * 25);
}

TEST(Zone, AReloadThatChangesTheRateKeepsTheDebtAsTime) {
  ZoneMemory memory;
  ManualClock clock(1'000'000'000);
  const auto zone = memory.attach();
  const Budget slow = budget("1r/m");
  const Budget fast = budget("60r/m", 9);
  ASSERT_EQ(take(zone, "key", slow, clock), WEIR_PASSED);  // owes 60 s
  EXPECT_EQ(take(zone, "key", fast, clock), WEIR_REJECTED);
  clock.advance_seconds(51);  // owes 9 s: nine of ten tokens of the new quota
  EXPECT_EQ(take(zone, "key", fast, clock), WEIR_PASSED);
  EXPECT_EQ(take(zone, "key", fast, clock), WEIR_REJECTED);
}

}  // namespace
}  // namespace weir
