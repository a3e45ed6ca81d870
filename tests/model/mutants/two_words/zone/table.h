// A table that keeps a key's fingerprint and its state in two words, each changed by a CAS of its
// own, as several lock-free tables do. What is wrong with it: between a writer's look at the state
// and its CAS the slot may have been given to another key, which then owes what it never spent.
//
// Just enough of zone/table.h's interface for the model to run it.

#pragma once

#include "limiter/gcra.h"
#include "zone/word.h"

namespace weir {

template <class Limiter, class Atomics, unsigned kLineWords, unsigned = 8>
class Table {
 public:
  struct Slot {
    typename Atomics::Word fingerprint, state;

    void initialize(uint64_t word) {
      fingerprint.initialize(tag_of(word));
      state.initialize(state_of(word));
    }
    uint64_t latest() const {
      return settled_word(static_cast<uint32_t>(fingerprint.latest()), state.latest());
    }
  };
  struct Line {
    Slot words[kLineWords];
  };
  struct Place {
    Line* line1;
    Line* line2;
    uint32_t tag;
  };
  enum class Verdict { kAdmitted, kRejected, kFull, kExhausted };
  struct Outcome {
    Verdict verdict;
    Ticks debt = 0;
    Ticks wait = 0;
    State state = 0;
    uint32_t evictions = 0;
  };
  using Receipt = typename Limiter::Receipt;
  struct Writer {
    uint64_t number;
    bool may_evict;
  };

  template <class Clock>
  static Outcome charge(const Place& place, const weir_budget_t& budget, Ticks price, const Writer&,
                        Clock&& clock) {
    for (unsigned attempt = 0; attempt < 64; ++attempt) {
      Slot* slot = find_or_insert(place, clock);
      if (slot == nullptr) continue;
      uint64_t seen = Atomics::load_seq_cst(slot->state);
      const auto key = Limiter::view(seen, clock());
      if (!Limiter::passes(key, budget, price)) return {Verdict::kRejected, Limiter::debt(key)};
      const auto charged = Limiter::charge(key, price);
      const State state = Limiter::state(charged);
      if (Atomics::cas_seq_cst(slot->state, seen, state)) {
        return {Verdict::kAdmitted, Limiter::debt(charged), 0, state};
      }
    }
    return {Verdict::kExhausted};
  }

  template <class Clock>
  static void refund(const Place&, const Receipt&, Clock&&) {}

  template <class Clock>
  static unsigned sweep(Line&, Clock&&) {
    return 0;
  }

 private:
  // The key's slot; else one whose state is dead, given to the key; else none.
  template <class Clock>
  static Slot* find_or_insert(const Place& place, Clock&& clock) {
    Slot* dead = nullptr;
    uint64_t its_fingerprint = 0;
    for (Line* line : {place.line1, place.line2}) {
      for (Slot& slot : line->words) {
        const uint64_t fingerprint = Atomics::load_seq_cst(slot.fingerprint);
        if (fingerprint == place.tag) return &slot;
        const State state = Atomics::load_seq_cst(slot.state);
        if (dead != nullptr || Limiter::is_live(Limiter::view(state, clock()))) continue;
        dead = &slot;
        its_fingerprint = fingerprint;
      }
    }
    if (dead == nullptr) return nullptr;
    return Atomics::cas_seq_cst(dead->fingerprint, its_fingerprint, place.tag) ? dead : nullptr;
  }
};

}  // namespace weir
