// An actor that is stopped in the middle of a call, right after it has read the clock, for longer
// than the horizon: by what it has read, the debts that others have run up since are none.
//
// No scheduler is needed: the sleeper's clock, once read, lets time and the others go on before it
// returns. A decision reads the clock up to three times, and falls asleep after each in turn; while
// the ticks are far from wrapping around, and just before they do.

#include <gtest/gtest.h>

#include <functional>
#include <string>
#include <utility>

#include "support/manual_clock.h"
#include "support/zone_memory.h"
#include "zone/zone.h"

namespace weir {
namespace {

using test::budget;
using test::limit_on;
using test::ManualClock;
using test::ZoneHandle;
using test::ZoneMemory;

constexpr uint64_t kSecond = 1'000'000'000;
constexpr uint64_t kSleep = ((kHorizon >> kDefaultTickBits) + 60) * kSecond;
constexpr uint64_t kWrap = (uint64_t{1} << (kTickWidth - kDefaultTickBits)) * kSecond;
constexpr unsigned kCapacity = 4;
const std::string kKey = "key";

// Somebody who calls weir and falls asleep after the n-th reading of the clock.
class SleepersClock {
 public:
  SleepersClock(ManualClock& time, unsigned asleep_after, std::function<void()> meanwhile)
      : time_(time), asleep_after_(asleep_after), meanwhile_(std::move(meanwhile)) {}

  weir_clock_t handle() {
    return {[](void* self) { return static_cast<SleepersClock*>(self)->read(); }, this};
  }
  bool has_slept() const { return readings_ >= asleep_after_; }

 private:
  uint64_t read() {
    const uint64_t reading = time_.now();
    if (++readings_ == asleep_after_) {
      time_.advance(kSleep);
      meanwhile_();
    }
    return reading;
  }

  ManualClock& time_;
  unsigned asleep_after_;
  std::function<void()> meanwhile_;
  unsigned readings_ = 0;
};

// A zone of one line, the sleeper, and another actor who stands for all others.
class World {
 public:
  explicit World(uint64_t start) : time_(start) {}

  ManualClock& time() { return time_; }
  weir_zone_t* zone() { return others_.get(); }
  uint64_t evicted() { return others_->counters().evicted; }

  // What the sleeper asks, and others ask.
  weir_limit_t ask_as_sleeper(const std::string& key, const weir_clock_t& clock) {
    return ask(sleeper_, key, 1, clock);
  }
  weir_verdict_t take(const std::string& key) {
    return ask(others_, key, 1, time_.handle()).verdict;
  }
  // Takes all that the key has left, and returns how much that was.
  unsigned drain(const std::string& key) {
    unsigned taken = 0;
    while (take(key) == WEIR_PASSED) ++taken;
    return taken;
  }
  bool owes(const std::string& key) { return ask(others_, key, 0, time_.handle()).debt != 0; }

 private:
  static weir_limit_t ask(const ZoneHandle& zone, const std::string& key, uint32_t cost,
                          const weir_clock_t& clock) {
    weir_limit_t limit = limit_on(zone, key, budget("1r/m", kCapacity - 1), cost);
    weir_decide(&limit, 1, &clock, nullptr);
    return limit;
  }

  ManualClock time_;
  ZoneMemory memory_{weir_zone_size_min()};
  ZoneHandle sleeper_ = memory_.attach();
  ZoneHandle others_ = memory_.attach();
};

class Sleeper : public testing::TestWithParam<uint64_t> {
 protected:
  // Whatever the key has spent before, and whichever reading of the clock it is.
  static void in_every_decision(
      const std::function<void(World& world, unsigned asleep_after)>& body) {
    for (const unsigned spent : {0u, 1u, kCapacity}) {
      for (const unsigned asleep_after : {1u, 2u, 3u}) {
        SCOPED_TRACE(testing::Message()
                     << spent << " spent, asleep after reading " << asleep_after);
        World world(GetParam());
        for (unsigned i = 0; i < spent; ++i) ASSERT_EQ(world.take(kKey), WEIR_PASSED);
        body(world, asleep_after);
      }
    }
  }
};

TEST_P(Sleeper, ForgetsNothingOfWhatOthersWereChargedMeanwhile) {
  unsigned sleeps = 0;
  in_every_decision([&](World& world, unsigned asleep_after) {
    SleepersClock clock(world.time(), asleep_after,
                        [&] { EXPECT_EQ(world.drain(kKey), kCapacity); });
    const weir_limit_t limit = world.ask_as_sleeper(kKey, clock.handle());
    if (!clock.has_slept()) return;
    ++sleeps;
    EXPECT_EQ(limit.verdict, WEIR_REJECTED);
    EXPECT_EQ(world.drain(kKey), 0u);
  });
  EXPECT_EQ(sleeps, 6u);  // 3 while inserting, 1 while charging, 2 while rejecting
}

TEST_P(Sleeper, WhomNobodyDisturbsCostsTheKeyAtMostItsToken) {
  in_every_decision([](World& world, unsigned asleep_after) {
    SleepersClock clock(world.time(), asleep_after, [] {});
    const weir_limit_t limit = world.ask_as_sleeper(kKey, clock.handle());
    if (!clock.has_slept()) return;
    const unsigned left = world.drain(kKey);
    EXPECT_LE(left, kCapacity);
    EXPECT_GE(left + (limit.verdict == WEIR_PASSED), kCapacity);
  });
}

// The sleeper is about to evict one of eight keys, all of which others charge anew.
TEST_P(Sleeper, ForgetsNoKeyThatItDoesNotReportAsEvicted) {
  for (const unsigned asleep_after : {1u, 2u, 3u}) {
    World world(GetParam());
    const auto drain_all = [&] {
      for (unsigned i = 0; i < kLineWords; ++i)
        EXPECT_EQ(world.drain(std::to_string(i)), kCapacity);
    };
    drain_all();
    SleepersClock clock(world.time(), asleep_after, drain_all);
    EXPECT_EQ(world.ask_as_sleeper(kKey, clock.handle()).verdict, WEIR_PASSED);
    EXPECT_TRUE(clock.has_slept());
    unsigned forgotten = 0;
    for (unsigned i = 0; i < kLineWords; ++i) forgotten += !world.owes(std::to_string(i));
    EXPECT_EQ(forgotten, 1u);
    EXPECT_GE(world.evicted(), forgotten) << "asleep after reading " << asleep_after;
  }
}

TEST_P(Sleeper, GivesBackNothingOfWhatOthersWereChargedMeanwhile) {
  World world(GetParam());
  weir_limit_t limit = world.ask_as_sleeper(kKey, world.time().handle());
  SleepersClock clock(world.time(), 1, [&] { EXPECT_EQ(world.drain(kKey), kCapacity); });
  const weir_clock_t handle = clock.handle();
  weir_refund(&limit, &handle);
  EXPECT_TRUE(clock.has_slept());
  EXPECT_EQ(world.drain(kKey), 0u);
}

TEST_P(Sleeper, SweepsNothingThatOthersHaveRevived) {
  World world(GetParam() - 3600 * kSecond);
  world.drain(kKey);
  world.time().advance(3600 * kSecond);
  SleepersClock clock(world.time(), 1, [&] { EXPECT_EQ(world.drain(kKey), kCapacity); });
  const weir_clock_t handle = clock.handle();
  EXPECT_EQ(weir_zone_sweep(world.zone(), &handle), 0u);
  EXPECT_TRUE(clock.has_slept());
  EXPECT_EQ(world.drain(kKey), 0u);
}

INSTANTIATE_TEST_SUITE_P(, Sleeper, testing::Values(kWrap / 8, kWrap - 10 * kSecond),
                         [](const auto& start) {
                           return start.param < kWrap / 2 ? "FarFromTheWrap" : "AcrossTheWrap";
                         });

}  // namespace
}  // namespace weir
