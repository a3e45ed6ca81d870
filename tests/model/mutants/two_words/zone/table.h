// A table that keeps a key's fingerprint and its state in two words, each changed by a CAS of its
// own, as several lock-free tables do. What is wrong with it: between a writer's look at the state
// and its CAS the slot may have been given to another key, which then owes what it never spent.
//
// Just enough of zone/table.h's interface for the model to run it.

#pragma once

#include "limiter/gcra.h"
#include "zone/word.h"

namespace weir {

template <class Atomics, unsigned kLineWords, unsigned = 8>
class Table {
 public:
  struct Slot {
    typename Atomics::Word fingerprint, state;

    void initialize(uint64_t word) {
      fingerprint.initialize(tag_of(word));
      state.initialize(tat_of(word));
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
    Tick paid_at = 0;
    uint32_t evictions = 0;
  };
  struct Receipt {
    Ticks price;
    Ticks debt;
    Tick paid_at;
  };
  struct Writer {
    uint64_t number;
    bool may_evict;
  };

  template <class Clock>
  static Outcome charge(const Place& place, const Budget& budget, Ticks price, const Writer&,
                        Clock&& clock) {
    for (unsigned attempt = 0; attempt < 64; ++attempt) {
      Slot* slot = find_or_insert(place, clock);
      if (slot == nullptr) continue;
      uint64_t tat = Atomics::load_seq_cst(slot->state);
      const Tick now = clock();
      const GcraOutcome judged = gcra(debt_at(tat, now), price, budget);
      if (!judged.passes) return {Verdict::kRejected, debt_at(tat, now)};
      const Tick paid_at = tick_add(now, judged.debt);
      if (Atomics::cas_seq_cst(slot->state, tat, paid_at)) {
        return {Verdict::kAdmitted, judged.debt, paid_at};
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
        const Tick tat = Atomics::load_seq_cst(slot.state);
        if (dead != nullptr || is_ahead(tat, clock())) continue;
        dead = &slot;
        its_fingerprint = fingerprint;
      }
    }
    if (dead == nullptr) return nullptr;
    return Atomics::cas_seq_cst(dead->fingerprint, its_fingerprint, place.tag) ? dead : nullptr;
  }
};

}  // namespace weir
