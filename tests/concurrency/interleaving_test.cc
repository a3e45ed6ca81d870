// The insertion protocol under every interleaving of two writers that has up to five preemptions,
// and under random ones of three that may stop for ever at any step and whose clocks may be read
// long before they are used. (Not longer than a token's interval, here: a decision is made at the
// time that it read, so with an older reading a second admission is right.)
//
// The table is the production code with narrow lines, over atomics that hand control to a scheduler
// before every operation. Each writer runs on a stack of its own (ucontext), so that it can be left
// standing in the middle. The memory model explored is sequential consistency.

#include <gtest/gtest.h>
#include <ucontext.h>

#include <algorithm>
#include <array>
#include <functional>
#include <memory>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "zone/table.h"

namespace weir {
namespace {

// Runs writers step by step; a step is one atomic operation.
class Scheduler {
 public:
  using Body = std::function<void()>;

  // Which of the unfinished writers takes the next step, or -1 to end the run where it is.
  using Choose = std::function<int(const std::vector<unsigned>& unfinished)>;

  void run(const std::vector<Body>& bodies, const Choose& choose) {
    current_ = this;
    std::vector<std::unique_ptr<Fiber>> fibers;
    std::vector<unsigned> unfinished;
    for (unsigned i = 0; i < bodies.size(); ++i) {
      fibers.push_back(std::make_unique<Fiber>(home_, bodies[i]));
      unfinished.push_back(i);
    }
    while (!unfinished.empty()) {
      const int choice = choose(unfinished);
      if (choice < 0) break;
      running_ = fibers[static_cast<size_t>(choice)].get();
      swapcontext(&home_, &running_->context);
      if (running_->is_finished) std::erase(unfinished, static_cast<unsigned>(choice));
      running_ = nullptr;
    }
    current_ = nullptr;
  }

  // Called by a writer before each step.
  static void step() {
    if (current_ != nullptr) swapcontext(&current_->running_->context, &current_->home_);
  }

 private:
  static constexpr size_t kStackSize = 64 << 10;

  struct Fiber {
    Fiber(ucontext_t& home, const Body& to_run) : body(to_run), stack(new char[kStackSize]) {
      getcontext(&context);
      context.uc_stack.ss_sp = stack.get();
      context.uc_stack.ss_size = kStackSize;
      context.uc_link = &home;
      makecontext(&context, &Fiber::enter, 0);
    }
    static void enter() {
      Fiber* self = current_->running_;
      self->body();
      self->is_finished = true;
    }

    const Body& body;
    std::unique_ptr<char[]> stack;
    ucontext_t context;
    bool is_finished = false;
  };

  static Scheduler* current_;
  ucontext_t home_;
  Fiber* running_ = nullptr;
};

Scheduler* Scheduler::current_ = nullptr;

// All schedules with at most `bound` preemptions, depth-first: replays a prefix of choices, takes
// the first possible one from there on, and then moves the last choice that has an alternative.
class BoundedSearch {
 public:
  explicit BoundedSearch(unsigned bound) : bound_(bound) {}

  int choose(const std::vector<unsigned>& unfinished) {
    const bool can_stay = std::ranges::find(unfinished, last_) != unfinished.end();
    std::vector<unsigned> options = unfinished;
    if (can_stay) {
      std::erase(options, last_);
      options.insert(options.begin(), last_);
      if (preemptions_ == bound_) options.resize(1);
    }
    if (depth_ == path_.size()) path_.push_back({0, options.size()});
    const unsigned chosen = options[path_[depth_++].option];
    if (can_stay && chosen != last_) ++preemptions_;
    last_ = chosen;
    return static_cast<int>(chosen);
  }

  // Prepares the next schedule; false if there is none.
  bool next() {
    depth_ = 0;
    preemptions_ = 0;
    last_ = kNobody;
    while (!path_.empty() && path_.back().option + 1 == path_.back().options) path_.pop_back();
    if (path_.empty()) return false;
    ++path_.back().option;
    return true;
  }

 private:
  static constexpr unsigned kNobody = ~0u;

  struct Choice {
    size_t option;
    size_t options;
  };

  unsigned bound_;
  std::vector<Choice> path_;
  size_t depth_ = 0;
  unsigned preemptions_ = 0;
  unsigned last_ = kNobody;
};

struct ScheduledAtomics {
  using Word = uint64_t;

  static uint64_t load_acquire(const Word& word) { return load_seq_cst(word); }
  static uint64_t load_seq_cst(const Word& word) {
    Scheduler::step();
    return word;
  }
  static bool cas_relaxed(Word& word, uint64_t expected, uint64_t desired) {
    return cas_seq_cst(word, expected, desired);
  }
  static bool cas_seq_cst(Word& word, uint64_t expected, uint64_t desired) {
    Scheduler::step();
    if (word != expected) return false;
    word = desired;
    return true;
  }
};

using NarrowTable = Table<ScheduledAtomics, 2>;
using Verdict = NarrowTable::Verdict;

constexpr Ticks kToken = 1'000'000;
constexpr Budget kOneToken{.interval = kToken, .tolerance = kToken};
constexpr Budget kTwoTokens{.interval = kToken, .tolerance = 2 * kToken};
constexpr Tick kNow = 1'000'000'000;
constexpr uint32_t kTag = 7;

// Two lines of two words, and writers that each charge one token to one key.
class World {
 public:
  World(unsigned writers, const Budget& quota)
      : outcomes(writers, Verdict::kExhausted), budget(quota) {}

  // `lag`: how old the writer's first reading of the clock is.
  Scheduler::Body writer(unsigned index, Ticks lag, bool swapped) {
    return [this, index, lag, swapped] {
      Ticks behind = lag;
      const auto clock = [&behind] {
        const Tick now = kNow - behind;
        behind = 0;
        return now;
      };
      NarrowTable::Place place{&lines[0], &lines[1], kTag};
      if (swapped) std::swap(place.line1, place.line2);
      outcomes[index] = NarrowTable::charge(place, budget, kToken, true, index, clock).verdict;
    };
  }

  unsigned admitted() const {
    unsigned n = 0;
    for (const auto& outcome : outcomes) n += outcome == Verdict::kAdmitted;
    return n;
  }
  unsigned live_words() const {
    unsigned n = 0;
    for (const auto& line : lines) {
      for (const uint64_t word : line.words) {
        n += word >> kTickWidth == kTag && is_ahead(word & kTickMask, kNow);
      }
    }
    return n;
  }
  std::string describe() const {
    std::string text;
    for (const auto& line : lines) {
      for (const uint64_t word : line.words) text += std::to_string(word) + " ";
    }
    return text;
  }

  std::array<NarrowTable::Line, 2> lines{};
  std::vector<Verdict> outcomes;
  Budget budget;
};

constexpr uint64_t word(uint32_t tag, Tick tat) { return uint64_t{tag} << kTickWidth | tat; }

// What the two lines may hold before: nothing; the key's own dead word; live words of others that
// have to be evicted; a claim that somebody left behind; a word of another that has just died, so
// that writers with older clocks choose other words.
const std::vector<std::array<NarrowTable::Line, 2>> kBefore = {
    {{{{0, 0}}, {{0, 0}}}},
    {{{{0, word(kTag, kNow - 50)}}, {{0, 0}}}},
    {{{{0, 0}}, {{word(kTag, kNow - 50), 0}}}},
    {{{{word(3, kNow + 500), word(4, kNow + 600)}}, {{word(5, kNow + 700), word(6, kNow + 800)}}}},
    {{{{word(3, kNow + 500), 0}}, {{word(kTag, tick_sub(kNow, kHorizon + 1024)), 0}}}},
    {{{{word(3, kNow - 300), 0}}, {{0, 0}}}},
};

TEST(Interleaving, OfTwoWritersExactlyOneIsAdmittedInEveryOrderOfUpToFivePreemptions) {
  uint64_t runs = 0;
  for (const auto& before : kBefore) {
    for (const bool swapped : {false, true}) {
      BoundedSearch search(5);
      do {
        World world(2, kOneToken);
        world.lines = before;
        Scheduler().run({world.writer(0, 0, false), world.writer(1, 0, swapped)},
                        [&](const auto& unfinished) { return search.choose(unfinished); });
        ASSERT_EQ(world.admitted(), 1u) << world.describe();
        ASSERT_EQ(world.live_words(), 1u) << world.describe();
        ++runs;
      } while (search.next());
    }
  }
  EXPECT_GT(runs, 100'000u);
}

TEST(Interleaving, OfThreeWritersThatStopAnywhereAndReadTheClockEarlyNoneIsAdmittedAboveCapacity) {
  std::mt19937_64 random(1);
  const Ticks lags[] = {0, 0, 700, 5000, 900'000};
  for (int run = 0; run < 200'000; ++run) {
    const unsigned capacity = 1 + random() % 2;
    World world(3, capacity == 1 ? kOneToken : kTwoTokens);
    world.lines = kBefore[random() % kBefore.size()];
    std::vector<Scheduler::Body> writers;
    for (unsigned i = 0; i < 3; ++i) {
      writers.push_back(world.writer(i, lags[random() % 5], random() % 2 != 0));
    }
    const uint64_t length = random() % 8 == 0 ? random() % 60 : 1000;
    uint64_t steps = 0;
    unsigned last = 0;
    Scheduler().run(writers, [&](const std::vector<unsigned>& unfinished) {
      if (++steps > length) return -1;
      const bool can_stay = std::ranges::find(unfinished, last) != unfinished.end();
      if (!can_stay || random() % 4 == 0) last = unfinished[random() % unfinished.size()];
      return static_cast<int>(last);
    });
    ASSERT_LE(world.admitted(), capacity) << "run " << run << ": " << world.describe();
    ASSERT_LE(world.live_words(), 1u) << "run " << run << ": " << world.describe();

    // Whatever was left behind, the next writer goes on.
    world.outcomes.push_back(Verdict::kExhausted);
    world.writer(3, 0, false)();
    ASSERT_NE(world.outcomes[3], Verdict::kExhausted);
    ASSERT_LE(world.admitted(), capacity) << "run " << run << ": " << world.describe();
    ASSERT_EQ(world.live_words(), 1u) << "run " << run << ": " << world.describe();
  }
}

}  // namespace
}  // namespace weir
