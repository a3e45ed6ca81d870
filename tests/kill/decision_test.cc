// A process is killed after every instruction of one decision, and another goes on.
//
// Time stands still, so what a key may still take is known exactly. After each kill the second
// process, this one, takes all it gets and checks that
// - the key's total is never above its capacity, and at most one token is lost with the dead;
// - other keys of the same two lines have exactly what they had before;
// - the key stands live in one word at most, before and after, and sweeping clears the rest;
// - the header is what it was, and nothing was refused for want of attempts.
// Then it puts the zone back to what the kill had left, and the copy of the dead takes its next
// step. Each test also names the states that the kills left behind, in order: so the interesting
// instructions have been among them.
//
// Where another writer has to interfere, it does so right after the instruction by which the
// victim's claim or charge appears. Its words are made by the code itself, not made up.

#include <gtest/gtest.h>

#include <cstddef>
#include <cstdio>
#include <cstring>
#include <functional>
#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

#include "kill/key_words.h"
#include "kill/single_step.h"
#include "support/manual_clock.h"
#include "support/zone_memory.h"

namespace weir {
namespace {

using test::KeyWords;
using test::ManualClock;
using test::SharedMemory;
using test::SteppedProcess;
using test::ZoneHandle;
using test::ZoneMemory;

constexpr unsigned kCapacity = 4;
constexpr unsigned kNeighbourSpent = 2;

// A copy of memory, to put back.
class Snapshot {
 public:
  Snapshot(void* address, size_t size) : address_(address), bytes_(size) {
    std::memcpy(bytes_.data(), address, size);
  }
  void put_back() const { std::memcpy(address_, bytes_.data(), bytes_.size()); }
  bool is_unchanged() const { return std::memcmp(address_, bytes_.data(), bytes_.size()) == 0; }

 private:
  void* address_;
  std::vector<uint8_t> bytes_;
};

class KilledAtEveryInstruction : public testing::Test {
 protected:
  // What the victim does. Returns how many tokens of each key it has in the end.
  using Decision = std::function<unsigned(const ZoneHandle&)>;
  using States = std::vector<std::string>;

  // A key that the victim decides about, and how much of it others have had.
  struct Key {
    std::string name;
    unsigned spent = 0;
  };

  KilledAtEveryInstruction() { choose_key(false); }

  // Chooses a key whose insertion prefers the line at the higher address, or the one at the lower;
  // and two more for the same lines.
  void choose_key(bool prefers_the_upper_line) {
    do {
      key_.name = new_name();
    } while (words().prefers_the_upper_line() != prefers_the_upper_line);
    neighbour_ = new_name_in_the_same_lines();
    newcomer_ = new_name_in_the_same_lines();
    let_neighbour_spend();
  }

  void let_neighbour_spend() {
    for (unsigned i = 0; i < kNeighbourSpent; ++i) take(handle_, neighbour_);
  }

  // All debts are paid in the meantime.
  void let_time_pass() {
    clock_.advance_seconds(kCapacity * 3600);
    let_neighbour_spend();
  }

  // Names are numbered: they are the same in every run, and so are their hashes.
  std::string new_name() { return "key " + std::to_string(++names_); }

  std::string new_name_in_the_same_lines() {
    while (true) {
      const std::string name = new_name();
      const KeyWords other = words_of(name);
      if (other.is_in_the_lines_of(words()) && !other.has_the_tag_of(words())) return name;
    }
  }

  KeyWords words_of(const std::string& name) const { return {*handle_, name}; }
  KeyWords words() const { return words_of(key_.name); }

  Tick now() const { return handle_->scale().time(clock_.now()); }

  weir_limit_t limit_on(const ZoneHandle& zone, const Key& key) const {
    return test::limit_on(zone, key.name, budget_);
  }

  template <size_t kLimits>
  bool decide(weir_limit_t (&&limits)[kLimits]) {
    const weir_clock_t clock = clock_.handle();
    return weir_decide(limits, kLimits, &clock, nullptr) == WEIR_PASSED;
  }

  bool take(const ZoneHandle& zone, const std::string& name) {
    return decide({test::limit_on(zone, name, budget_)});
  }

  // Takes until it is refused, but not for ever. Returns how many tokens it got.
  unsigned take_all(const ZoneHandle& zone, const std::string& name) {
    unsigned taken = 0;
    while (taken <= kCapacity && take(zone, name)) ++taken;
    return taken;
  }

  // Somebody else takes tokens of the key.
  void spend(Key& key, unsigned tokens) {
    for (; tokens > 0; --tokens) key.spent += take(handle_, key.name);
  }

  // Others' keys fill both lines, with less debt than the neighbour's.
  void fill_lines() {
    const ZoneHandle zone = memory_.attach(WEIR_FULL_REJECT);
    while (!words().free().empty()) take(zone, new_name_in_the_same_lines());
  }

  Snapshot lines() const {
    return {static_cast<uint8_t*>(memory_.address()) + kLinesOffset, memory_.size() - kLinesOffset};
  }

  // Once the victim's claim stands in the zone: `act` with its index.
  std::function<void()> once_claimed(std::function<void(size_t)> act) {
    return [this, act = std::move(act), is_done = false]() mutable {
      const auto claims = words().claims(now());
      if (is_done || claims.empty()) return;
      act(claims.front());
      is_done = true;
    };
  }

  // The claim on the key that a writer leaves who dies before settling it.
  uint64_t claim_of_a_dead_writer() {
    const Snapshot before = lines();
    ZoneHandle zone;
    SteppedProcess writer([&] { zone = memory_.attach(); }, [&] { take(zone, key_.name); });
    while (words().claims(now()).empty()) {
      if (!writer.step()) throw std::logic_error("an insertion without a claim");
    }
    const uint64_t claim = words()[words().claims(now()).front()];
    before.put_back();
    return claim;
  }

  // The key's word when another writer has taken one token.
  uint64_t charge_of_another() {
    const Snapshot before = lines();
    take(handle_, key_.name);
    const uint64_t word = words()[words().live(now()).front()];
    before.put_back();
    return word;
  }

  // Runs `decision` in a process that is killed after each instruction. `set_up` comes before, in
  // the same process, and is not stepped through; `interfere` comes after each instruction.
  void kill_everywhere(
      const Decision& decision, const std::function<void()>& interfere = [] {},
      const std::function<void(const ZoneHandle&)>& set_up = [](const ZoneHandle&) {}) {
    const Snapshot header(memory_.address(), offsetof(Header, attachments));
    SharedMemory shared(sizeof(unsigned));
    auto* kept = static_cast<unsigned*>(shared.address());
    ZoneHandle zone;
    SteppedProcess victim(
        [&] {
          zone = memory_.attach();
          set_up(zone);
        },
        [&] { *kept = decision(zone); });

    bool is_done = false;
    while (!is_done && !HasFailure()) {
      is_done = !victim.step();
      interfere();
      victim.kill();
      const Snapshot left(memory_.address(), memory_.size());
      go_on(is_done ? std::optional(*kept) : std::nullopt);
      EXPECT_TRUE(header.is_unchanged());
      left.put_back();
    }
    for (const auto& [state, kills] : left_) std::printf("%5u kills: %s\n", kills, state.c_str());
  }

  // What a second process finds. `kept`: what the victim has of each key, if it has lived to say.
  void go_on(std::optional<unsigned> kept) {
    std::string state = words_left();
    const ZoneHandle second = memory_.attach();
    for (const Key* key : keys_) {
      EXPECT_LE(words_of(key->name).live(now()).size(), 1u) << key->name;
      const unsigned taken = take_all(second, key->name);
      ASSERT_LE(key->spent + taken + kept.value_or(0), kCapacity) << key->name << state;
      EXPECT_LE(kCapacity - key->spent - taken, kept.value_or(1)) << key->name << state;
      EXPECT_EQ(words_of(key->name).live(now()).size(), 1u) << key->name;
      state += std::to_string(taken) + " left ";
    }
    EXPECT_EQ(take_all(second, neighbour_), kCapacity - kNeighbourSpent) << state;
    EXPECT_EQ(take_all(second, newcomer_), kCapacity) << state;
    EXPECT_EQ(second->counters().exhausted, 0u) << state;
    expect_that_sweeping_clears_all_but_live_words(second);

    state.pop_back();
    if (left_.empty() || left_.back().state != state) left_.push_back({state, 0});
    ++left_.back().kills;
  }

  std::string words_left() const {
    std::string text;
    for (size_t n = words().claims(now()).size(); n > 0; --n) text += "claim ";
    for (size_t n = words().dead(now()).size(); n > 0; --n) text += "dead ";
    for (size_t n = words().live(now()).size(); n > 0; --n) text += "live ";
    return text;
  }

  void expect_that_sweeping_clears_all_but_live_words(const ZoneHandle& zone) {
    const ManualClock present = clock_;
    for (unsigned round = 0; round < 2; ++round) {
      clock_.advance_seconds(60);
      const weir_clock_t clock = clock_.handle();
      for (uint64_t line = 0; line < zone->slots() / kLineWords; ++line) {
        weir_zone_sweep(zone.get(), &clock);
      }
    }
    EXPECT_EQ(words().claims(now()).size() + words().dead(now()).size(), 0u);
    clock_ = present;
  }

  // The states that the kills left behind, in order.
  States states() const {
    States all;
    for (const Left& left : left_) all.push_back(left.state);
    return all;
  }

  struct Left {
    std::string state;
    unsigned kills;  // how many in a row left it
  };

  ManualClock clock_{1'000'000'000'000};
  const Budget budget_ = test::budget("1r/h", kCapacity - 1);
  const ZoneMemory memory_{weir_zone_size_min()};
  const ZoneHandle handle_ = memory_.attach();
  unsigned names_ = 0;
  Key key_;
  std::vector<const Key*> keys_ = {&key_};
  std::string neighbour_;  // has spent something before the kill
  std::string newcomer_;   // comes after it
  std::vector<Left> left_;
};

TEST_F(KilledAtEveryInstruction, AHitLosesAtMostItsToken) {
  spend(key_, 1);
  kill_everywhere([&](const auto& zone) { return take(zone, key_.name); });
  EXPECT_EQ(states(), (States{"live 3 left", "live 2 left"}));
}

TEST_F(KilledAtEveryInstruction, ARejectionWritesNothing) {
  spend(key_, kCapacity);
  const Snapshot before = lines();
  kill_everywhere([&](const auto& zone) { return take(zone, key_.name); },
                  [&] { EXPECT_TRUE(before.is_unchanged()); });
  EXPECT_EQ(states(), (States{"live 0 left"}));
}

TEST_F(KilledAtEveryInstruction, AnInsertionLeavesNothingOrAClaimOrItsCharge) {
  kill_everywhere([&](const auto& zone) { return take(zone, key_.name); });
  EXPECT_EQ(states(), (States{"4 left", "claim 4 left", "live 3 left"}));
}

TEST_F(KilledAtEveryInstruction, AKeyThatComesBackLosesAtMostItsToken) {
  take(handle_, key_.name);
  let_time_pass();
  kill_everywhere([&](const auto& zone) { return take(zone, key_.name); });
  EXPECT_EQ(states(), (States{"dead 4 left", "live 3 left"}));
}

TEST_F(KilledAtEveryInstruction, AnEvictionLeavesNothingOrAClaimOrItsCharge) {
  fill_lines();
  kill_everywhere([&](const auto& zone) { return take(zone, key_.name); });
  EXPECT_EQ(states(), (States{"4 left", "claim 4 left", "live 3 left"}));
}

TEST_F(KilledAtEveryInstruction, AWriterThatGivesWayToAnEarlierClaimLosesAtMostItsToken) {
  choose_key(true);
  const uint64_t claim = claim_of_a_dead_writer();
  kill_everywhere([&](const auto& zone) { return take(zone, key_.name); },
                  once_claimed([&](size_t mine) {
                    ASSERT_LT(words().free().front(), mine);
                    words().set(words().free().front(), claim);
                  }));
  EXPECT_EQ(states(), (States{"4 left", "claim claim 4 left", "claim 4 left", "live 3 left"}));
}

TEST_F(KilledAtEveryInstruction, AWriterThatClearsALaterClaimLosesAtMostItsToken) {
  const uint64_t claim = claim_of_a_dead_writer();
  kill_everywhere([&](const auto& zone) { return take(zone, key_.name); },
                  once_claimed([&](size_t mine) {
                    ASSERT_GT(words().free().back(), mine);
                    words().set(words().free().back(), claim);
                  }));
  EXPECT_EQ(states(), (States{"4 left", "claim claim 4 left", "claim 4 left", "live 3 left"}));
}

TEST_F(KilledAtEveryInstruction, AWriterThatGivesWayToALiveWordLosesAtMostItsToken) {
  const uint64_t charge = charge_of_another();
  kill_everywhere([&](const auto& zone) { return take(zone, key_.name); },
                  once_claimed([&](size_t) {
                    words().set(words().free().back(), charge);
                    key_.spent = 1;
                  }));
  EXPECT_EQ(states(), (States{"4 left", "claim live 3 left", "live 3 left", "live 2 left"}));
}

TEST_F(KilledAtEveryInstruction, AWriterWhoseClaimAnotherSettlesLosesAtMostItsToken) {
  const uint64_t charge = charge_of_another();
  kill_everywhere([&](const auto& zone) { return take(zone, key_.name); },
                  once_claimed([&](size_t mine) {
                    words().set(mine, charge);
                    key_.spent = 1;
                  }));
  EXPECT_EQ(states(), (States{"4 left", "live 3 left", "live 2 left"}));
}

TEST_F(KilledAtEveryInstruction, TakingOverADeadWritersClaimLosesAtMostTheToken) {
  const uint64_t claim = claim_of_a_dead_writer();
  words().set(words().free().front(), claim);
  kill_everywhere([&](const auto& zone) { return take(zone, key_.name); });
  EXPECT_EQ(states(), (States{"claim 4 left", "live 3 left"}));
}

TEST_F(KilledAtEveryInstruction, ARefundGivesBackTheWholeTokenOrNothing) {
  weir_limit_t limit{};
  const weir_clock_t clock = clock_.handle();
  kill_everywhere(
      [&](const auto&) {
        weir_refund(&limit, &clock);
        return 0;
      },
      [] {},
      [&](const auto& zone) {
        limit = limit_on(zone, key_);
        weir_decide(&limit, 1, &clock, nullptr);
      });
  EXPECT_EQ(states(), (States{"live 3 left", "dead 4 left"}));
}

TEST_F(KilledAtEveryInstruction, TwoLimitsLoseAtMostOneTokenEach) {
  const Key second{new_name()};
  keys_.push_back(&second);
  kill_everywhere([&](const auto& zone) {
    return decide({limit_on(zone, key_), limit_on(zone, second)});
  });
  EXPECT_EQ(states(), (States{"4 left 4 left", "claim 4 left 4 left", "live 3 left 4 left",
                              "live 3 left 3 left"}));
}

TEST_F(KilledAtEveryInstruction, TwoLimitsOfWhichTheSecondRejectsLoseAtMostOneToken) {
  Key second{new_name()};
  keys_.push_back(&second);
  kill_everywhere(
      [&](const auto& zone) {
        return decide({limit_on(zone, key_), limit_on(zone, second)});
      },
      [&] {
        // Both have been looked up, and the first is charged.
        if (!words().live(now()).empty() && second.spent == 0) spend(second, kCapacity);
      });
  EXPECT_EQ(states(), (States{"4 left 4 left", "claim 4 left 4 left", "live 3 left 0 left",
                              "dead 4 left 0 left"}));
}

TEST_F(KilledAtEveryInstruction, ASweepLosesNothing) {
  take(handle_, key_.name);
  for (unsigned i = 0; i < 4; ++i) take(handle_, new_name_in_the_same_lines());
  let_time_pass();
  const weir_clock_t clock = clock_.handle();
  kill_everywhere([&](const auto& zone) {
    for (uint64_t line = 0; line < zone->slots() / kLineWords; ++line) {
      weir_zone_sweep(zone.get(), &clock);
    }
    return 0;
  });
  EXPECT_EQ(states(), (States{"dead 4 left", "4 left"}));
}

}  // namespace
}  // namespace weir
