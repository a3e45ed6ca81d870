// A small world for the model checker: one place of a narrow table, actors that each run a short
// program on it, and what must be true of every execution.
//
// An actor may stop for ever before any compare-and-swap and at the end of a charge, which is as
// good as before any step: nobody else can tell which loads it made. It may sleep for any time,
// since others may run before any step and every reading of the clock may find that time has moved
// on. What is checked:
// - a key never has two settled words (at every change; not with WEIR_MODEL_OUTCOMES_ONLY);
// - over any interval, what a key is admitted and not given back is at most its capacity, what the
//   interval has earned, and a capacity for each live word that was evicted; evictions are reported
//   by those who don't stop, and nobody evicts the key that it charges;
// - while time stands still, nobody stops and nothing is evicted, exactly the capacity is admitted:
//   nothing is refused falsely;
// - whatever is left behind, the next writer goes on; and every actor that stopped has used up one
//   token at most;
// - nobody runs out of attempts.

#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <ostream>
#include <string_view>
#include <type_traits>
#include <vector>

#include "limiter/gcra.h"
#include "model/relacy_atomics.h"
#include "support/gcra_words.h"
#include "zone/word.h"

namespace weir::model {

using test::debt_of;
using test::is_live;

inline constexpr Ticks kToken = 1000;  // the price of a request
inline constexpr uint32_t kKey = 7;    // the tag of the key that all contend for
inline constexpr uint32_t kOther = 9;  // another key of the same place
inline constexpr uint32_t kTags = 16;  // all tags are below

// What an actor does, one letter a step:
//   c  charge the key          r  give the last charge back
//   o  charge the other key    s  sweep both lines
//   t  let time pass
using Program = std::string_view;

struct Scenario {
  std::string_view name;
  unsigned capacity;                 // in requests
  std::vector<uint64_t> before;      // the words of both lines
  std::array<Program, 3> programs;   // unused ones are empty
  std::array<bool, 3> swapped = {};  // whose first line is the second
  Tick start = 1'000'000;            // the time at first
  std::vector<Ticks> leaps = {};     // by which a reading of the clock may find time moved on
  unsigned leaps_at_most = 0;        // in one execution
  unsigned stops_at_most = 0;        // actors that may stop for ever
  std::array<Ticks, 3> behind = {};  // how much an actor's clock is behind the others'
};

inline void PrintTo(const Scenario& scenario, std::ostream* out) { *out << scenario.name; }

// What all executions did since it was cleared, to tell that they went where they should.
struct Coverage {
  uint64_t claims_of_empty, claims_of_dead, evictions, takeovers, settlements, charges, refunds;
  uint64_t gave_way, cleared, lost_cas, stops, leaps;
};

template <class Table, unsigned kActors>
class TableModel final : public rl::test_suite<TableModel<Table, kActors>, kActors>,
                         private Observer {
 public:
  static inline const Scenario* scenario = nullptr;
  static inline Coverage coverage{};

  void before() {
    RelacyAtomics::observer = this;
    for (size_t i = 0; i < kWords; ++i) {
      const uint64_t initial = scenario->before[i];
      word(i).initialize(initial);
      if (!is_settled(initial, kKey)) continue;
      for (Ticks debt = debt_of(initial, tick(0)); debt >= kToken; debt -= kToken) {
        ++asked_[kKey];
        record(kKey, 0);
      }
    }
  }

  void thread(unsigned actor) {
    in_thread_ = true;
    try {
      run(actor, scenario->programs[actor]);
    } catch (const Stopped&) {
    }
  }

  // Everyone has finished or stopped. Another writer goes on until the key is used up.
  void after() {
    in_thread_ = false;
    const Ticks worst_behind = std::ranges::max(scenario->behind);
    if (leaps_ == 0 && stops_ == 0 && given_back_ == 0 && worst_behind == 0) check_exactness();
    unsigned more = 0;
    while (charge(kActors, kKey)) RL_ASSERT(++more <= scenario->capacity);
    for (const uint32_t key : {kKey, kOther}) check_bound(key, worst_behind);
    if (leaps_ == 0 && evictions_[kKey] == 0)
      RL_ASSERT(standing(kKey) + stops_ >= scenario->capacity);
  }

 private:
  struct Stopped {};

  // A request that was admitted, and when it was made and answered.
  struct Call {
    uint32_t key;
    Ticks begin, end;
    bool is_given_back;
  };

  static constexpr size_t kLineWords = std::extent_v<decltype(Table::Line::words)>;
  static constexpr size_t kWords = 2 * kLineWords;
  static constexpr size_t kMaxCalls = 24;

  auto& word(size_t i) { return lines_[i / kLineWords].words[i % kLineWords]; }
  Tick tick(Ticks behind) const { return tick_sub(tick_add(scenario->start, elapsed_), behind); }

  auto clock(unsigned actor) {
    return [this, actor] {
      if (in_thread_ && leaps_ < scenario->leaps_at_most) {
        const unsigned leap = rl::rand(static_cast<unsigned>(scenario->leaps.size()) + 1);
        if (leap > 0) {
          elapsed_ += scenario->leaps[leap - 1];
          ++leaps_;
          ++coverage.leaps;
        }
      }
      return tick(actor < kActors ? scenario->behind[actor] : 0);
    };
  }

  void run(unsigned actor, Program program) {
    for (const char step : program) {
      switch (step) {
        case 'c':
          charge(actor, kKey);
          break;
        case 'o':
          charge(actor, kOther);
          break;
        case 'r':
          refund(actor);
          break;
        case 't':
          clock(actor)();
          break;
        case 's':
          for (auto& line : lines_) Table::sweep(line, clock(actor));
          break;
      }
    }
  }

  typename Table::Place place(unsigned actor, uint32_t key) {
    const bool swapped = actor < kActors && scenario->swapped[actor];
    return {&lines_[swapped], &lines_[!swapped], key};
  }

  bool charge(unsigned actor, uint32_t key) {
    const weir_budget_t budget{.interval = kToken, .tolerance = kToken * scenario->capacity};
    const Ticks begin = elapsed_;
    const auto outcome = Table::charge(place(actor, key), budget, kToken,
                                       {.number = actor, .may_evict = true}, clock(actor));
    RL_ASSERT(outcome.verdict != Table::Verdict::kExhausted);
    const bool knows_the_time = leaps_ == 0 && std::ranges::max(scenario->behind) == 0;
    RL_ASSERT(outcome.evictions >= unreported_evictions_[actor]);
    RL_ASSERT(outcome.evictions == unreported_evictions_[actor] || !knows_the_time);
    unreported_evictions_[actor] = 0;
    before_cas();  // stopped here, the charge is made and nobody has had the use of it
    ++asked_[key];
    if (outcome.verdict != Table::Verdict::kAdmitted) return false;
    if (actor < kActors) {
      receipts_[actor] = {.price = kToken, .debt = outcome.debt, .paid_at = outcome.state};
      last_call_[actor] = calls_;
    }
    record(key, begin);
    return true;
  }

  // From now on the call must not count any more, however far the refund gets.
  void refund(unsigned actor) {
    if (receipts_[actor].price == 0) return;
    call_[last_call_[actor]].is_given_back = true;
    ++given_back_;
    Table::refund(place(actor, call_[last_call_[actor]].key), receipts_[actor], clock(actor));
    receipts_[actor].price = 0;
  }

  void record(uint32_t key, Ticks begin) {
    RL_ASSERT(calls_ < kMaxCalls);
    call_[calls_++] = {key, begin, elapsed_, false};
  }

  unsigned standing(uint32_t key) const {
    unsigned n = 0;
    for (unsigned i = 0; i < calls_; ++i) n += call_[i].key == key && !call_[i].is_given_back;
    return n;
  }

  // Between any two moments, the calls that began and ended between them.
  void check_bound(uint32_t key, Ticks slack) const {
    for (unsigned i = 0; i < calls_; ++i) {
      for (unsigned j = 0; j < calls_; ++j) {
        const Ticks begin = call_[i].begin, end = call_[j].end;
        if (end < begin) continue;
        Ticks admitted = 0;
        for (unsigned k = 0; k < calls_; ++k) {
          const Call& call = call_[k];
          admitted +=
              call.key == key && !call.is_given_back && call.begin >= begin && call.end <= end;
        }
        const Ticks capacity = scenario->capacity * kToken;
        RL_ASSERT(admitted * kToken <= capacity * (1 + evictions_[key]) + (end - begin) + slack);
      }
    }
  }

  // Time has stood still, nobody stopped: nobody was refused who need not have been.
  void check_exactness() const {
    for (const uint32_t key : {kKey, kOther}) {
      if (evictions_[key] > 0) continue;
      RL_ASSERT(standing(key) == std::min(scenario->capacity, asked_[key]));
    }
  }

  void before_cas() override {
    if (!in_thread_ || stops_ == scenario->stops_at_most || rl::rand(2) == 0) return;
    ++stops_;
    ++coverage.stops;
    throw Stopped{};
  }

  void lost_cas() override { coverage.lost_cas += in_thread_; }

  void changed(uint64_t from, uint64_t to) override {
    if (in_thread_) count(from, to);
    if (is_claim(to) && is_live(from, tick(0))) {
      RL_ASSERT(tag_of(from) != tag_of(to));
      ++evictions_[tag_of(from)];
      ++unreported_evictions_[in_thread_ ? rl::thread_index() : kActors];
    }
#ifndef WEIR_MODEL_OUTCOMES_ONLY
    for (const uint32_t key : {kKey, kOther}) {
      unsigned settled = 0;
      for (size_t i = 0; i < kWords; ++i) settled += is_settled(word(i).latest(), key);
      RL_ASSERT(settled <= 1);
    }
#endif
  }

  void count(uint64_t from, uint64_t to) {
    if (to == 0) {
      const bool is_own = is_claim(from) && state_of(from) == rl::thread_index();
      ++(is_own ? coverage.gave_way : coverage.cleared);
    } else if (is_claim(to)) {
      ++(from == 0                ? coverage.claims_of_empty
         : is_claim(from)         ? coverage.takeovers
         : is_live(from, tick(0)) ? coverage.evictions
                                  : coverage.claims_of_dead);
    } else if (is_claim(from)) {
      ++coverage.settlements;
    } else {
      ++(ticks_between(state_of(from), state_of(to)) < kHorizon ? coverage.charges
                                                                : coverage.refunds);
    }
  }

  std::array<typename Table::Line, 2> lines_;
  std::array<typename Table::Receipt, kActors> receipts_{};
  std::array<unsigned, kActors> last_call_{};
  std::array<Call, kMaxCalls> call_;
  unsigned calls_ = 0;
  unsigned given_back_ = 0;
  std::array<unsigned, kTags> asked_{};      // requests, by tag
  std::array<unsigned, kTags> evictions_{};  // of live words, by tag
  std::array<unsigned, kActors + 1> unreported_evictions_{};
  unsigned stops_ = 0;
  unsigned leaps_ = 0;
  Ticks elapsed_ = 0;
  bool in_thread_ = false;
};

}  // namespace weir::model
