// The limiter table: one 64-bit word per key (zone/word.h), changed by compare-and-swap only. What
// the state in a word means is up to an algorithm: limiter/gcra.h, limiter/sliding_window.h.
//
// Place       the two lines in which a key may stand, in any word. Keys that share a tag and a line
//             share both lines (zone/zone.cc sees to that), and count as one key here.
// Invariant   a place has at most one settled word of a tag, whatever the clocks of its writers
//             say. So whoever finds a settled word has found the key, and charging it is one CAS.
//
// Inserting keeps the invariant though two writers may insert one key at once, into two words. A
// writer first puts a claim into a word, then looks at all words, and then settles: it turns its
// claim, if it is still there, into a settled word. It settles only if that look has shown no other
// word of the tag. To a live one, and to any at a lower address, it gives way, by clearing its
// claim and starting over; what is dead or claimed at higher addresses it clears, and looks again.
// (Clearing and settling after one look is not enough: the claim that it clears may be another one
// than it saw, of the same writer, who has settled in between.) Claim, look and settle are
// sequentially consistent, and only its writer settles a claim. Hence of two writers whose
// insertions overlap, the later to claim sees the earlier's claim or what became of it: they can't
// both settle. ARCHITECTURE.md has the whole argument.
//
// A writer that dies leaves a claim behind, which charges nobody. Who finds another's claim for its
// own key looks again a few times, so that a crowd doesn't take one key's claim from each other for
// ever, and then takes the claim over.
//
// Clocks. The clock is a callable, since one reading won't do. An early one, between the prefetch
// and the loads, where it costs nothing but a memory wait, is enough to charge a live word. It is
// read again
// - before a rejection: the debt may have been paid since;
// - after the loads and before anything is overwritten as dead: what is dead then stays dead until
//   it is changed, and then the CAS fails;
// - after a claim, for the settlement: what was charged up to the claim must lie in its past.
//
// Nothing here allocates, locks, or waits for another writer. Whoever loses a CAS, because another
// writer has changed that word, starts over, at most kMaxAttempts times.

#pragma once

#include <array>
#include <cstdint>

#include "limiter/tick.h"
#include "weir/weir.h"
#include "zone/word.h"

namespace weir {

template <class Atomics, unsigned kWords>
struct TableLine {
  typename Atomics::Word words[kWords];
};

// The two lines may be one.
template <class Line>
struct TablePlace {
  Line* line1;
  Line* line2;
  uint32_t tag;
};

// Who charges, and how: `number` is unique among concurrent callers. Without `may_evict` a key that
// finds nothing but live words of others is not stored: kFull.
struct TableWriter {
  uint64_t number;
  bool may_evict;
};

enum class TableVerdict { kAdmitted, kRejected, kFull, kExhausted };

// Limiter: an algorithm as a set of pure functions.
//   Time      what the clock reads
//   Price     what a request asks for, made for the key's budget
//   View      a key at a moment: view(state, now), or unseen(now), and back: state(view)
//   is_live   whether the state holds anything against the key; a state that is not live stays so
//   weight    how much that is, to tell whom to forget first
//   lifetime  for how many ticks it will be live
//   debt, passes, wait, charge, refund(view, Receipt)
// kPatience: how often a writer looks at another's claim for its key before it takes the claim
// over.
template <class Limiter, class Atomics, unsigned kLineWords, unsigned kPatience = 8>
class Table {
 public:
  using Word = typename Atomics::Word;
  using Line = TableLine<Atomics, kLineWords>;
  using Place = TablePlace<Line>;
  using Writer = TableWriter;
  using Verdict = TableVerdict;
  using Budget = weir_budget_t;
  using Price = typename Limiter::Price;
  using Receipt = typename Limiter::Receipt;

  struct Outcome {
    Verdict verdict;
    Ticks debt = 0;          // of the key after this
    Ticks wait = 1;          // if refused: until it may be worth another try
    State state = 0;         // what was stored, if kAdmitted
    uint32_t evictions = 0;  // live words of other keys overwritten, whatever the verdict
  };

  // Far more than bad luck takes: with 64, actors that did nothing but charge one key, in step and
  // slowed down by a sanitizer, were seen to keep another from getting through.
  static constexpr unsigned kMaxAttempts = 1024;

  // What stands against the key now. Writes nothing.
  template <class Clock>
  static typename Limiter::View look_up(const Place& place, Clock&& clock) {
    prefetch(place);
    const uint64_t seen = find(place).seen;
    return view(seen, clock());
  }

  // What a charge would come to. Writes nothing.
  template <class Clock>
  static Outcome peek(const Place& place, const Budget& budget, const Price& price, Clock&& clock) {
    prefetch(place);
    const auto now = clock();
    const uint64_t seen = find(place).seen;
    View key = view(seen, now);
    bool passes = Limiter::passes(key, budget, price);
    if (!passes) {
      key = view(seen, clock());
      passes = Limiter::passes(key, budget, price);
    }
    Outcome outcome{Verdict::kAdmitted};
    if (!passes) refuse(key, budget, price, outcome);
    outcome.debt = Limiter::debt(key);
    return outcome;
  }

  // Charges a price that the budget allows at least to a key never seen; or rejects, and writes
  // nothing.
  template <class Clock>
  static Outcome charge(const Place& place, const Budget& budget, const Price& price,
                        const Writer& writer, Clock&& clock) {
    prefetch(place);
    Outcome outcome{Verdict::kExhausted};
    Rival rival;
    auto now = clock();
    Found found = find(place);
    for (unsigned attempt = 0; attempt < kMaxAttempts; ++attempt) {
      if (is_live(found.seen, now)) {
        if (charge_live(place, found, budget, price, now, clock, outcome)) return outcome;
        if (is_settled(found.seen, place.tag)) continue;  // what is there is known by now
      } else if (insert(place, price, writer, clock, rival, outcome)) {
        return outcome;
      }
      now = clock();
      found = find(place);
    }
    outcome.verdict = Verdict::kExhausted;
    return outcome;
  }

  // Gives a charge back, as far as the algorithm knows it to be owed still.
  template <class Clock>
  static void refund(const Place& place, const Receipt& receipt, Clock&& clock) {
    for (unsigned attempt = 0; attempt < kMaxAttempts; ++attempt) {
      Found found = find(place);
      const View key = view(found.seen, clock());  // an older reading would give too much back
      const View lowered = Limiter::refund(key, receipt);
      if (Limiter::debt(lowered) == Limiter::debt(key)) return;
      const uint64_t desired = settled_word(place.tag, Limiter::state(lowered));
      if (Atomics::cas_relaxed(*found.word, found.seen, desired)) return;
    }
  }

  // Clears the line's dead words and claims. A claim that somebody was about to settle costs them a
  // fresh start. Returns how many words it cleared.
  template <class Clock>
  static unsigned sweep(Line& line, Clock&& clock) {
    std::array<uint64_t, kLineWords> seen;
    for (unsigned i = 0; i < kLineWords; ++i) seen[i] = Atomics::load_acquire(line.words[i]);
    const auto now = clock();
    unsigned cleared = 0;
    for (unsigned i = 0; i < kLineWords; ++i) {
      if (seen[i] == 0 || is_live(seen[i], now)) continue;
      cleared += Atomics::cas_seq_cst(line.words[i], seen[i], 0);
    }
    return cleared;
  }

 private:
  using Time = typename Limiter::Time;
  using View = typename Limiter::View;

  static constexpr unsigned kWords = 2 * kLineWords;
  static constexpr unsigned kFewWords = kLineWords * 3 / 8;

  // What the word holds against its key: nothing if it is empty, a claim, or dead.
  static View view(uint64_t word, const Time& now) {
    return word == 0 || is_claim(word) ? Limiter::unseen(now) : Limiter::view(state_of(word), now);
  }
  static bool is_live(uint64_t word, const Time& now) { return Limiter::is_live(view(word, now)); }

  // A look at all words of a place: line 1's, then line 2's; and how many of them have the tag.
  struct Look {
    std::array<uint64_t, kWords> words;
    unsigned own = 0;

    uint64_t operator[](unsigned i) const { return words[i]; }
  };

  static Word& word_at(const Place& place, unsigned index) {
    return index < kLineWords ? place.line1->words[index] : place.line2->words[index - kLineWords];
  }

  // By address, not by index: of two keys with one place, either line may be the first.
  static bool is_earlier(const Place& place, unsigned a, unsigned b) {
    return &word_at(place, a) < &word_at(place, b);
  }

  static void prefetch(const Place& place) {
    __builtin_prefetch(place.line1, 1);
    __builtin_prefetch(place.line2, 1);
  }

  // The key's settled word, live or dead; or nowhere and the empty word.
  struct Found {
    Word* word;
    uint64_t seen;
  };

  static Found find(const Place& place) {
    for (Line* line : {place.line1, place.line2}) {
      for (Word& word : line->words) {
        const uint64_t seen = Atomics::load_acquire(word);
        if (is_settled(seen, place.tag)) return {&word, seen};
      }
    }
    return {nullptr, 0};
  }

  static Look look(const Place& place, uint64_t (*load)(const Word&)) {
    Look seen;
    unsigned i = 0;
    for (const Line* line : {place.line1, place.line2}) {
      for (const Word& word : line->words) {
        seen.words[i] = load(word);
        seen.own += tag_of(seen.words[i]) == place.tag;
        ++i;
      }
    }
    return seen;
  }

  // How often a writer has found the same claim of another for its key.
  struct Rival {
    uint64_t claim = 0;
    unsigned looks = 0;

    bool may_be_about_to_settle(uint64_t seen) {
      if (seen != claim) *this = {seen, 0};
      return ++looks < kPatience;
    }
  };

  static void refuse(const View& key, const Budget& budget, const Price& price, Outcome& outcome) {
    outcome.verdict = Verdict::kRejected;
    outcome.debt = Limiter::debt(key);
    outcome.wait = Limiter::wait(key, budget, price);
  }

  // The steps of charge. Each returns true with the outcome filled in, or false to go on trying.

  // Charges the live word that was found. On failure `found` and `now` are what was learnt.
  template <class Clock>
  static bool charge_live(const Place& place, Found& found, const Budget& budget,
                          const Price& price, Time& now, Clock&& clock, Outcome& outcome) {
    View key = view(found.seen, now);
    if (!Limiter::passes(key, budget, price)) {
      now = clock();
      key = view(found.seen, now);
      if (!Limiter::is_live(key)) return false;
      if (!Limiter::passes(key, budget, price)) {
        refuse(key, budget, price, outcome);
        return true;
      }
    }
    return store(place.tag, *found.word, found.seen, Limiter::charge(key, price),
                 Atomics::cas_relaxed, outcome);
  }

  // Claims a word for a key that has no live one, and settles it.
  template <class Clock>
  static bool insert(const Place& place, const Price& price, const Writer& writer, Clock&& clock,
                     Rival& rival, Outcome& outcome) {
    const Look words = look(place, Atomics::load_acquire);
    const auto now = clock();

    const bool is_known = words.own > 0;
    const Candidate into =
        is_known ? find_own(place, words, now) : choose_victim(words, now, writer.may_evict);
    if (into.weight != 0) {
      if (is_known) return false;
      if (!writer.may_evict) {
        outcome.verdict = Verdict::kFull;
        outcome.wait = Limiter::lifetime(view(words[into.index], now));
        return true;
      }
    }

    const uint64_t claim = claim_word(place.tag, writer.number);
    uint64_t seen = words[into.index];
    if (seen != claim) {
      const bool is_rivals = is_claim(seen) && tag_of(seen) == place.tag;
      if (is_rivals && rival.may_be_about_to_settle(seen)) return false;
      if (!Atomics::cas_seq_cst(word_at(place, into.index), seen, claim)) return false;
      outcome.evictions += into.weight != 0;
    }
    return settle(place, into.index, claim, price, clock, outcome);
  }

  // Turns the claim into a settled word if no other word can be this key's.
  template <class Clock>
  static bool settle(const Place& place, unsigned at, uint64_t claim, const Price& price,
                     Clock&& clock, Outcome& outcome) {
    const Look words = look(place, Atomics::load_seq_cst);
    const auto now = clock();
    if (words[at] != claim) return false;
    if (words.own > 1 && !outlives_twins(place, words, at, claim, now)) return false;
    uint64_t seen = claim;
    return store(place.tag, word_at(place, at), seen, Limiter::charge(Limiter::unseen(now), price),
                 Atomics::cas_seq_cst, outcome);
  }

  // Whether no other word has the tag. If there is one, gives way to it, or clears it.
  static bool outlives_twins(const Place& place, const Look& words, unsigned at, uint64_t claim,
                             const Time& now) {
    const auto is_twin = [&](unsigned i) {
      return tag_of(words[i]) == place.tag && &word_at(place, i) != &word_at(place, at);
    };
    for (unsigned i = 0; i < kWords; ++i) {
      if (is_twin(i) && (is_live(words[i], now) || is_earlier(place, i, at))) {
        Atomics::cas_seq_cst(word_at(place, at), claim, 0);
        return false;
      }
    }
    bool is_alone = true;
    for (unsigned i = 0; i < kWords; ++i) {
      if (!is_twin(i)) continue;
      uint64_t twin = words[i];
      Atomics::cas_seq_cst(word_at(place, i), twin, 0);
      is_alone = false;
    }
    return is_alone;
  }

  // `seen` is what `word` must hold, and on failure what it does hold.
  static bool store(uint32_t tag, Word& word, uint64_t& seen, const View& charged,
                    bool (*cas)(Word&, uint64_t&, uint64_t), Outcome& outcome) {
    const State state = Limiter::state(charged);
    if (!cas(word, seen, settled_word(tag, state))) return false;
    outcome.verdict = Verdict::kAdmitted;
    outcome.debt = Limiter::debt(charged);
    outcome.state = state;
    return true;
  }

  // A word that a key may be inserted into, and the weight of what would be forgotten.
  struct Candidate {
    unsigned index;
    uint64_t weight;
  };

  // Among the words with the key's tag, settled or claims: a live one; else that at the lowest
  // address.
  static Candidate find_own(const Place& place, const Look& words, const Time& now) {
    Candidate found{kWords, 0};
    for (unsigned i = 0; i < kWords; ++i) {
      if (tag_of(words[i]) != place.tag) continue;
      const uint64_t weight = Limiter::weight(view(words[i], now));
      if (weight != 0) return {i, weight};
      if (found.index == kWords || is_earlier(place, i, found.index)) found.index = i;
    }
    return found;
  }

  // The word that can be overwritten at the least cost: a free one (empty, or dead; empty ones
  // first, since a dead one may be revived); else the live one with the least debt, so that one-hit
  // keys go before heavy users; else a claim. Claims go before live words if those may not be
  // evicted.
  //
  // Among free words: line 1 while it is nearly empty, which keeps most keys where they are looked
  // for first; then the emptier line, which fills a zone to 70 % before a key finds none.
  static Candidate choose_victim(const Look& words, const Time& now, bool may_evict) {
    unsigned free_words[2] = {0, 0};
    unsigned free_at[2] = {kWords, kWords};
    Candidate live{kWords, UINT64_MAX};
    unsigned claim_at = kWords;
    for (unsigned i = 0; i < kWords; ++i) {
      const unsigned line = i / kLineWords;
      const uint64_t word = words[i];
      if (is_claim(word)) {
        claim_at = i;
        continue;
      }
      const uint64_t weight = Limiter::weight(view(word, now));
      if (weight != 0) {
        if (weight < live.weight) live = {i, weight};
      } else {
        ++free_words[line];
        if (free_at[line] == kWords || (word == 0 && words[free_at[line]] != 0)) free_at[line] = i;
      }
    }
    if (free_words[0] + free_words[1] > 0) {
      const bool prefer_line1 =
          free_words[0] > kLineWords - kFewWords || free_words[0] >= free_words[1];
      return {free_at[prefer_line1 ? 0 : 1], 0};
    }
    const bool has_live = live.index < kWords;
    const bool has_claim = claim_at < kWords;
    if (has_live && (may_evict || !has_claim)) return live;
    return {claim_at, 0};
  }
};

}  // namespace weir
