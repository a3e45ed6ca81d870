// The fixture of tests in which a process is killed after every instruction of one decision, and
// another goes on.
//
// Time stands still, so what a key may still take is known exactly. After each kill a second
// process, the test's own, takes all it gets and checks that
// - the key's total is never above its capacity, and at most one token is lost with the dead;
// - other keys of the same two lines, which are all that the zone has, have what they had before;
// - the key stands live in one word at most, before and after;
// - the header is what it was, and nothing was refused for want of attempts.
// Then the zone is put back to what the kill had left, is swept, which clears claims and dead
// words, and all is checked again. Then it is put back once more, and the copy of the dead takes
// its next step.
//
// The states that the kills left behind are kept in order: a test that names them shows that the
// interesting instructions were among those that were killed at.
//
// Where another writer has to interfere, it does so right after the instruction by which the
// victim's claim or charge appears. Its words are made by the code itself, not made up.

#pragma once

#include <gtest/gtest.h>

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <functional>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "kill/key_words.h"
#include "kill/single_step.h"
#include "kill/snapshot.h"
#include "support/manual_clock.h"
#include "support/zone_memory.h"

namespace weir::test {

inline constexpr unsigned kCapacity = 4;
inline constexpr unsigned kNeighbourSpent = 2;

class KilledDecisionTest : public testing::Test {
 protected:
  // What the victim does. Returns how many tokens of each key it has in the end.
  using Decision = std::function<unsigned(const ZoneHandle&)>;
  using States = std::vector<std::string>;

  // A key that the victim decides about, and how much of it others have had.
  struct Key {
    std::string name;
    unsigned spent = 0;
  };

  struct Setting {
    Format format;
    Budget budget;   // of kCapacity tokens
    uint64_t start;  // the time, in nanoseconds
  };

  // A token bucket, a second before the ticks wrap around. Every debt then reaches beyond the wrap,
  // and whoever takes another small number, such as a writer's, for a time would find that it lies
  // ahead.
  static Setting token_bucket() {
    constexpr uint64_t kWrap = uint64_t{1} << (kTickWidth - kDefaultTickBits);
    return {ticks(), test::budget("1r/h", kCapacity - 1), (kWrap - 1) * 1'000'000'000};
  }

  explicit KilledDecisionTest(const Setting& setting = token_bucket())
      : clock_(setting.start),
        budget_(setting.budget),
        memory_(kLinesOffset + 2 * sizeof(Line), setting.format) {
    choose_key(false);
  }

  // Chooses a key whose insertion prefers the line at the higher address, or the one at the lower,
  // and two other keys.
  void choose_key(bool prefers_the_upper_line) {
    do {
      key_.name = new_name();
    } while (words().prefers_the_upper_line() != prefers_the_upper_line);
    neighbour_ = new_name();
    newcomer_ = new_name();
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

  KeyWords words_of(const std::string& name) const {
    return {*handle_, name, [this](uint64_t word) { return is_live(word); }};
  }
  KeyWords words() const { return words_of(key_.name); }

  bool is_live(uint64_t word) const {
    const Format& format = handle_->format();
    if (handle_->is_bucket())
      return Gcra::is_live(
          Gcra::view(state_of(word), TickScale(format.tick_bits).time(clock_.now())));
    return SlidingWindow::is_live(
        SlidingWindow::view(state_of(word), WindowScale(format.period).time(clock_.now())));
  }

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
    while (!words().free().empty()) take(zone, new_name());
  }

  Snapshot lines() const {
    return {static_cast<uint8_t*>(memory_.address()) + kLinesOffset, memory_.size() - kLinesOffset};
  }

  // Once the victim's claim stands in the zone: `act` with its index.
  std::function<void()> once_claimed(std::function<void(size_t)> act) {
    return [this, act = std::move(act), is_done = false]() mutable {
      const auto claims = words().claims();
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
    while (words().claims().empty()) {
      if (!writer.step()) throw std::logic_error("an insertion without a claim");
    }
    const uint64_t claim = words()[words().claims().front()];
    before.put_back();
    return claim;
  }

  // The key's word when another writer has taken one token.
  uint64_t charge_of_another() {
    const Snapshot before = lines();
    take(handle_, key_.name);
    const uint64_t word = words()[words().live().front()];
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
      // It has its token or not; once it has answered, its answer says which.
      const Kept dead_has = is_done ? Kept{*kept, *kept} : Kept{0, 1};
      const std::string left_words = words_left();
      record(left_words + expect_that_another_goes_on(dead_has));
      left.put_back();

      const ManualClock present = clock_;
      sweep_everything();
      EXPECT_EQ(words().claims().size() + words().dead().size(), 0u);
      expect_that_another_goes_on(dead_has);
      clock_ = present;
      left.put_back();
      EXPECT_TRUE(header.is_unchanged());
    }
    for (const auto& [state, kills] : left_) std::printf("%5u kills: %s\n", kills, state.c_str());
  }

  // The states that the kills left behind, in order.
  States states() const {
    States all;
    for (const Left& left : left_) all.push_back(left.state);
    return all;
  }

  ManualClock clock_;
  const Budget budget_;
  const ZoneMemory memory_;  // of two lines, in which every key stands
  const ZoneHandle handle_ = memory_.attach();
  unsigned names_ = 0;
  Key key_;
  std::vector<const Key*> keys_ = {&key_};
  std::string neighbour_;  // has spent something before the kill
  std::string newcomer_;   // comes after it

 private:
  // How many tokens of each key.
  struct Kept {
    unsigned least;
    unsigned most;
  };

  // A second process takes all it gets. Returns in words how much that was.
  std::string expect_that_another_goes_on(Kept dead_has) {
    std::string text;
    const ZoneHandle second = memory_.attach();
    for (const Key* key : keys_) {
      EXPECT_LE(words_of(key->name).live().size(), 1u) << key->name;
      const unsigned taken = take_all(second, key->name);
      EXPECT_LE(key->spent + taken + dead_has.least, kCapacity) << key->name;
      EXPECT_GE(key->spent + taken + dead_has.most, kCapacity) << key->name;
      EXPECT_EQ(words_of(key->name).live().size(), 1u) << key->name;
      text += (text.empty() ? "" : " ") + std::to_string(taken) + " left";
    }
    EXPECT_EQ(take_all(second, neighbour_), kCapacity - kNeighbourSpent);
    EXPECT_EQ(take_all(second, newcomer_), kCapacity);
    EXPECT_EQ(second->counters().exhausted, 0u);
    return text;
  }

  std::string words_left() const {
    std::string text;
    for (size_t n = words().claims().size(); n > 0; --n) text += "claim ";
    for (size_t n = words().dead().size(); n > 0; --n) text += "dead ";
    for (size_t n = words().live().size(); n > 0; --n) text += "live ";
    return text;
  }

  // In two minutes, which pay for no token, housekeeping comes round twice.
  void sweep_everything() {
    for (unsigned round = 0; round < 2; ++round) {
      clock_.advance_seconds(60);
      const weir_clock_t clock = clock_.handle();
      for (uint64_t line = 0; line < handle_->slots() / kLineWords; ++line) {
        weir_zone_sweep(handle_.get(), &clock);
      }
    }
  }

  void record(const std::string& state) {
    if (left_.empty() || left_.back().state != state) left_.push_back({state, 0});
    ++left_.back().kills;
  }

  struct Left {
    std::string state;
    unsigned kills;  // how many in a row left it
  };

  std::vector<Left> left_;
};

}  // namespace weir::test
