// The limiter table: one 64-bit word per key, changed by compare-and-swap only.
//
// Word       tag:24 | tat:40. The tag tells keys of one line apart and is never 0; `tat` is the
//            time at which the key's debt is paid (limiter/tick.h). 0 is the empty word.
// Live       a word whose tat lies ahead. Any other word is dead, and equals a key never seen, so
//            reclaiming it loses nothing. That is the whole expiry policy.
// Place      a key may stand anywhere in two lines, given by its hash.
// Claim      a dead word that announces an insertion: its tat lies kHorizon in the past, so that
//            it is dead to everyone whose clock reading is not older than that, and its low bits
//            hold the number of the writer, so that two writers' claims are never the same word.
//
// Charging a live word is one CAS. Inserting is in two steps, so that a key never stands live in
// two words, though two writers may insert it at once, into different words: first claim a word,
// then look at all words again and settle: turn the claim into a live word only if nothing else
// with the tag is alive or claimed at a lower address. Claims at higher addresses are cleared
// first, which makes their owners start over. Claim, look and settle are sequentially consistent:
// of two writers at least one sees the other's claim. A writer that dies in between leaves a dead
// word behind.
//
// The clock is a callable. It is read early, between the prefetch and the loads, where it costs
// nothing but a memory wait; and again before a rejection and before a settlement, where a stale
// reading would be wrong: it would refuse a debt that has been paid, or take a live word for dead.
//
// Nothing here allocates, locks, or waits for another writer. Whoever loses a CAS starts over, at
// most kMaxAttempts times.

#pragma once

#include <array>
#include <cstdint>

#include "limiter/gcra.h"
#include "limiter/tick.h"

namespace weir {

template <class Atomics, unsigned kLineWords>
class Table {
 public:
  using Word = typename Atomics::Word;

  struct Line {
    Word words[kLineWords];
  };

  // The two lines of a key, and its tag. The lines differ, or the place is one line.
  struct Place {
    Line* line1;
    Line* line2;
    uint32_t tag;
  };

  enum class Verdict { kAdmitted, kRejected, kFull, kExhausted };

  struct Outcome {
    Verdict verdict;
    Ticks debt = 0;          // of the key after this; of the least indebted neighbour if kFull
    Tick paid_at = 0;        // the tat that was stored, if kAdmitted
    uint32_t evictions = 0;  // live words of other keys overwritten, whatever the verdict
  };

  // What is needed to give a charge back: its price, and the key's debt and tat just after it.
  struct Receipt {
    Ticks price;
    Ticks debt;
    Tick paid_at;
  };

  static constexpr unsigned kMaxAttempts = 64;
  static constexpr unsigned kWriterBits = 10;

  // What a charge of `cost` would come to. Writes nothing.
  template <class Clock>
  static Outcome peek(const Place& place, const Budget& budget, uint32_t cost, Clock&& clock) {
    prefetch(place);
    Tick now = clock();
    const View view = look(place);
    Ticks debt = live_debt(view, place.tag, now);
    GcraOutcome outcome = gcra(debt, gcra_price(budget, cost), budget);
    if (!outcome.passes) {
      now = clock();
      debt = live_debt(view, place.tag, now);
      outcome = gcra(debt, gcra_price(budget, cost), budget);
    }
    return {outcome.passes ? Verdict::kAdmitted : Verdict::kRejected, debt};
  }

  // Charges `price` ticks (see gcra_price) to the key, or rejects and writes nothing.
  // `writer` is unique among concurrent callers. Without `may_evict` a key that finds only live
  // words of others is not stored: kFull.
  template <class Clock>
  static Outcome charge(const Place& place, const Budget& budget, Ticks price, bool may_evict,
                        uint32_t writer, Clock&& clock) {
    prefetch(place);
    Outcome outcome{Verdict::kExhausted};
    for (unsigned attempt = 0; attempt < kMaxAttempts; ++attempt) {
      const Tick now = clock();
      const View view = look(place);
      const unsigned hit = find_live(view, place.tag, now);
      const bool done = hit < kWords
                            ? charge_live(place, view, hit, budget, price, now, clock, outcome)
                            : insert(place, view, price, may_evict, writer, now, clock, outcome);
      if (done) return outcome;
    }
    outcome.verdict = Verdict::kExhausted;
    return outcome;
  }

  // Gives back what is certainly still owed of one charge: its price less the time since then. Not
  // less the time only that the key's tat has run down: if another charge was given back in
  // between, that time has paid for this one, and giving all back would let later charges off
  // (a property test shows it). Nothing if the key is no longer as indebted as the charge left it:
  // then it has been evicted and stored anew, or its debt was given back.
  template <class Clock>
  static void refund(const Place& place, const Receipt& receipt, Clock&& clock) {
    const Tick charged_at = tick_sub(receipt.paid_at, receipt.debt);
    for (unsigned attempt = 0; attempt < kMaxAttempts; ++attempt) {
      const Tick now = clock();
      const View view = look(place);
      const Ticks elapsed = ticks_between(charged_at, now);
      const unsigned hit = find_live(view, place.tag, now);
      if (hit == kWords || elapsed >= receipt.price) return;
      const Ticks debt = debt_at(tat_of(view[hit]), now);
      if (debt + elapsed < receipt.debt) return;
      const Tick lowered = tick_add(now, debt - (receipt.price - elapsed));
      if (Atomics::cas_relaxed(word_at(place, hit), view[hit], pack(place.tag, lowered))) return;
    }
  }

  // Clears the line's dead words, but for claims that somebody may be about to settle. Returns how
  // many it cleared.
  static unsigned sweep(Line& line, Tick now) {
    unsigned cleared = 0;
    for (Word& word : line.words) {
      const uint64_t seen = Atomics::load_acquire(word);
      if (seen == 0 || is_ahead(tat_of(seen), now) || may_be_claim(seen, now)) continue;
      cleared += Atomics::cas_seq_cst(word, seen, 0);
    }
    return cleared;
  }

 private:
  static constexpr unsigned kWords = 2 * kLineWords;
  static constexpr unsigned kFewWords = kLineWords / 2;

  using View = std::array<uint64_t, kWords>;  // words of line 1, then of line 2

  static constexpr uint64_t pack(uint32_t tag, Tick tat) {
    return static_cast<uint64_t>(tag) << kTickWidth | tat;
  }
  static constexpr uint32_t tag_of(uint64_t word) {
    return static_cast<uint32_t>(word >> kTickWidth);
  }
  static constexpr Tick tat_of(uint64_t word) { return word & kTickMask; }

  static constexpr uint64_t make_claim(uint32_t tag, Tick now, uint32_t writer) {
    const Tick stamp = tick_sub(now, kHorizon + (Ticks{1} << kWriterBits));
    constexpr Tick kWriterMask = (Tick{1} << kWriterBits) - 1;
    return pack(tag, (stamp & ~kWriterMask) | (writer & kWriterMask));
  }

  // Whether a dead word is a claim made within the last 2^12 ticks. A word that has been dead for
  // about kHorizon looks like one too, for as long; that does no harm.
  static constexpr bool may_be_claim(uint64_t word, Tick now) {
    return ticks_between(tat_of(word), now) - kHorizon <= Ticks{1} << 12;
  }

  static Word& word_at(const Place& place, unsigned index) {
    return index < kLineWords ? place.line1->words[index] : place.line2->words[index - kLineWords];
  }

  // Whether the word at index `a` lies at a lower address than that at `b`. Keys with one tag may
  // share lines in either order, so "earlier" must not depend on which line is whose first.
  static bool is_earlier(const Place& place, unsigned a, unsigned b) {
    return &word_at(place, a) < &word_at(place, b);
  }

  static void prefetch(const Place& place) {
    __builtin_prefetch(place.line1, 1);
    __builtin_prefetch(place.line2, 1);
  }

  static View look(const Place& place) {
    View view;
    for (unsigned i = 0; i < kWords; ++i) view[i] = Atomics::load_acquire(word_at(place, i));
    return view;
  }

  // The live word with the tag; of several, which only another key with the same tag can bring
  // about (it has one line in common), the one that owes the most: so a shared tag admits less, not
  // more.
  static unsigned find_live(const View& view, uint32_t tag, Tick now) {
    unsigned found = kWords;
    Ticks most = 0;  // a dead word owes nothing
    for (unsigned i = 0; i < kWords; ++i) {
      if (tag_of(view[i]) != tag) continue;
      const Ticks debt = debt_at(tat_of(view[i]), now);
      if (debt <= most) continue;
      most = debt;
      found = i;
    }
    return found;
  }

  static Ticks live_debt(const View& view, uint32_t tag, Tick now) {
    const unsigned hit = find_live(view, tag, now);
    return hit < kWords ? debt_at(tat_of(view[hit]), now) : 0;
  }

  // The steps of charge. Each returns true with the outcome filled in, or false to start over.

  template <class Clock>
  static bool charge_live(const Place& place, const View& view, unsigned hit, const Budget& budget,
                          Ticks price, Tick now, Clock&& clock, Outcome& outcome) {
    const Tick tat = tat_of(view[hit]);
    GcraOutcome judged = gcra(debt_at(tat, now), price, budget);
    if (!judged.passes) {
      now = clock();
      if (!is_ahead(tat, now)) return false;
      judged = gcra(debt_at(tat, now), price, budget);
      if (!judged.passes) {
        outcome.verdict = Verdict::kRejected;
        outcome.debt = debt_at(tat, now);
        return true;
      }
    }
    return store(place, hit, view[hit], now, judged.debt, outcome, Atomics::cas_relaxed);
  }

  template <class Clock>
  static bool insert(const Place& place, const View& view, Ticks price, bool may_evict,
                     uint32_t writer, Tick now, Clock&& clock, Outcome& outcome) {
    unsigned at = find_dead(place, view);
    if (at < kWords) return settle(place, at, view[at], price, clock, outcome);

    const Victim victim = choose_victim(view, now);
    if (victim.is_live && !may_evict) {
      outcome.verdict = Verdict::kFull;
      outcome.debt = victim.debt;
      return true;
    }
    at = victim.index;
    const uint64_t claim = make_claim(place.tag, now, writer);
    if (!Atomics::cas_seq_cst(word_at(place, at), view[at], claim)) return false;
    outcome.evictions += victim.is_live;
    return settle(place, at, claim, price, clock, outcome);
  }

  // Turns the dead word `mine` into a live one if no other word can be this key's.
  template <class Clock>
  static bool settle(const Place& place, unsigned at, uint64_t mine, Ticks price, Clock&& clock,
                     Outcome& outcome) {
    View view;
    for (unsigned i = 0; i < kWords; ++i) view[i] = Atomics::load_seq_cst(word_at(place, i));
    const Tick now = clock();
    if (view[at] != mine) return false;

    for (unsigned i = 0; i < kWords; ++i) {
      if (!is_twin(place, view, i, at)) continue;
      if (is_ahead(tat_of(view[i]), now) || is_earlier(place, i, at)) {
        Atomics::cas_seq_cst(word_at(place, at), mine, 0);
        return false;
      }
    }
    for (unsigned i = 0; i < kWords; ++i) {
      if (!is_twin(place, view, i, at)) continue;
      if (!Atomics::cas_seq_cst(word_at(place, i), view[i], 0)) return false;
    }
    return store(place, at, mine, now, price, outcome, Atomics::cas_seq_cst);
  }

  static bool is_twin(const Place& place, const View& view, unsigned i, unsigned at) {
    return tag_of(view[i]) == place.tag && &word_at(place, i) != &word_at(place, at);
  }

  static bool store(const Place& place, unsigned at, uint64_t expected, Tick now, Ticks debt,
                    Outcome& outcome, bool (*cas)(Word&, uint64_t, uint64_t)) {
    const Tick tat = tick_add(now, debt);
    if (!cas(word_at(place, at), expected, pack(place.tag, tat))) return false;
    outcome.verdict = Verdict::kAdmitted;
    outcome.debt = debt;
    outcome.paid_at = tat;
    return true;
  }

  // The dead word with the key's tag at the lowest address: what is left of the key itself, or
  // another writer's claim for it. Called when no word with the tag is live.
  static unsigned find_dead(const Place& place, const View& view) {
    unsigned found = kWords;
    for (unsigned i = 0; i < kWords; ++i) {
      if (tag_of(view[i]) != place.tag) continue;
      if (found == kWords || is_earlier(place, i, found)) found = i;
    }
    return found;
  }

  struct Victim {
    unsigned index;
    bool is_live;
    Ticks debt;
  };

  // The word that a new key may overwrite at the least cost: a free one (empty, or dead and
  // nobody's claim); else the live one with the least debt, so that one-hit keys go before heavy
  // users; else a claim.
  //
  // Among free words: line 1 while it is less than half full, which keeps most keys where they are
  // looked for first; then the emptier line, which fills a zone to 70 % before a key finds none.
  static Victim choose_victim(const View& view, Tick now) {
    unsigned free_words[2] = {0, 0};
    unsigned free_at[2] = {kWords, kWords};
    Victim live{kWords, true, kNever};
    for (unsigned i = 0; i < kWords; ++i) {
      const unsigned line = i / kLineWords;
      const uint64_t word = view[i];
      if (word != 0 && is_ahead(tat_of(word), now)) {
        const Ticks debt = debt_at(tat_of(word), now);
        if (debt < live.debt) live = {i, true, debt};
      } else if (word == 0 || !may_be_claim(word, now)) {
        ++free_words[line];
        if (free_at[line] == kWords || (word == 0 && view[free_at[line]] != 0)) free_at[line] = i;
      }
    }
    if (free_words[0] + free_words[1] > 0) {
      const bool prefer_line1 =
          free_words[0] > kLineWords - kFewWords || free_words[0] >= free_words[1];
      return {free_at[prefer_line1 ? 0 : 1], false, 0};
    }
    if (live.index < kWords) return live;
    return {0, false, 0};
  }
};

}  // namespace weir
