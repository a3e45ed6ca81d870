// The sliding window, estimated from two counters: what was admitted in this window of a fixed grid
// and in the last one. The last one's count fades while this window goes by, as if it had been
// spread evenly:
//
//   load = current + floor(previous * left / period),   left = period - offset - 1
//
// A request passes if the load with its own counts in it stays within the limit. Only what is
// admitted is counted. Rounding down makes a stream pass that keeps to the limit evenly (else it
// would lose a request in each window: half of them at a limit of 1), and so does the tick less if
// its requests come at the very edges of windows, since what is a period old is gone. At worst,
// after a burst at the end of a window, the true window holds twice the limit (ARCHITECTURE.md,
// "Windows").
//
// A key's state is
//
//   window:7 | current:18 | previous:15
//
// window    the number of the window, modulo 128. A state is live in its window, in the next one
//           if anything was counted in it, and, for readers whose clock reading is old by the time
//           that they see the word, in the two windows before it. A sweep has to visit it before
//           its number comes round.
// current   counts of this window. A count stands for one token if the limit is at most 262,143;
//           above that for `unit` tokens, and a request adds a count by chance, in proportion.
// previous  counts of the last window: exact to 16,383, and above that a floating-point number
//           with 11 bits of mantissa, rounded up (by less than 0.05 %).
//
// Units: a tick is a microsecond. One count costs `interval` ticks, which is the period. A key may
// owe `tolerance` ticks: the limit's counts, and one tick less than another count, so that
// comparing with it rounds down without a division. All of it stays below 2^61, since 30 days are
// below 2^42 microseconds. Pure functions; what each is for stands in zone/table.h.

#pragma once

#include <algorithm>
#include <cstdint>

#include "limiter/gcra.h"
#include "limiter/tick.h"
#include "weir/weir.h"

namespace weir {

struct WindowTime {
  uint32_t window;  // modulo 128
  Ticks offset;     // since the window began
  Ticks period;
};

// Converts the caller's nanoseconds.
class WindowScale {
 public:
  explicit constexpr WindowScale(uint32_t seconds) : period_(seconds * uint64_t{1'000'000}) {}

  constexpr WindowTime time(uint64_t nanoseconds) const {
    const uint64_t now = nanoseconds / kNanosPerTick;
    const uint64_t window = now / period_;
    return {static_cast<uint32_t>(window % kWindows), now - window * period_, period_};
  }

  // The fewest nanoseconds that move every clock reading on by at least `duration`.
  constexpr uint64_t nanoseconds(Ticks duration) const { return duration * kNanosPerTick; }

  constexpr Ticks period() const { return period_; }

  static constexpr uint32_t kWindows = 128;

 private:
  static constexpr uint64_t kNanosPerTick = 1000;

  Ticks period_;
};

struct SlidingWindow {
  using Time = WindowTime;

  // `asked` is what a request is judged by, `added` what it adds to the count.
  struct Price {
    uint32_t asked;
    uint32_t added;
  };

  // A key at a moment.
  struct View {
    uint32_t window;
    uint32_t current;
    uint32_t previous;
    Ticks offset;
    Ticks period;
  };

  struct Receipt {
    uint32_t added;
    uint64_t state;  // just after the charge
  };

  static constexpr unsigned kCurrentBits = 18;
  static constexpr unsigned kPreviousBits = 15;
  static constexpr uint32_t kMaxCount = (1u << kCurrentBits) - 1;
  static constexpr uint32_t kWindows = WindowScale::kWindows;
  static constexpr uint32_t kAhead = 2;
  static_assert(uint64_t{kWindows} << (kCurrentBits + kPreviousBits) == uint64_t{1} << 40);

  // `asked` rounds up, so that no budget allows what its last count is not enough for. `dice` is a
  // uniform random number: with units of more than one token a request adds the rest by chance.
  static constexpr Price price(uint32_t cost, uint32_t unit, uint64_t dice) {
    if (unit == 1) return {cost, cost};
    const uint32_t whole = cost / unit;
    const uint32_t rest = cost % unit;
    const bool adds = static_cast<Wide>(dice) * unit >> 64 < rest;
    return {whole + (rest != 0), whole + adds};
  }

  static constexpr Price whole(const weir_budget_t& budget) {
    const auto limit = static_cast<uint32_t>(budget.tolerance / budget.interval);
    return {limit, limit};
  }

  static constexpr bool is_possible(const weir_budget_t& budget, const Price& price) {
    return price.asked <= kMaxCount && price.asked * budget.interval <= budget.tolerance;
  }
  static constexpr uint64_t amount(const Price& price) { return price.added; }

  static constexpr View view(uint64_t state, const Time& now) {
    const auto window = static_cast<uint32_t>(state >> (kCurrentBits + kPreviousBits));
    const auto current = static_cast<uint32_t>(state >> kPreviousBits) & kMaxCount;
    const uint32_t previous = expand(state & ((1u << kPreviousBits) - 1));
    const uint32_t ahead = (window - now.window) % kWindows;
    if (ahead == 0) return {window, current, previous, now.offset, now.period};
    if (ahead == kWindows - 1) return {now.window, 0, current, now.offset, now.period};
    if (ahead <= kAhead) return {window, current, previous, 0, now.period};
    return unseen(now);
  }
  static constexpr View unseen(const Time& now) {
    return {now.window, 0, 0, now.offset, now.period};
  }

  static constexpr bool is_live(const View& view) { return view.current + view.previous != 0; }
  static constexpr uint64_t weight(const View& view) { return view.current + view.previous; }
  static constexpr Ticks lifetime(const View& view) {
    return view.period - view.offset + (view.current != 0 ? view.period : 0);
  }

  static constexpr Ticks debt(const View& view) {
    return view.current * view.period + view.previous * (view.period - view.offset - 1);
  }
  static constexpr bool passes(const View& view, const weir_budget_t& budget, const Price& price) {
    return price.asked <= kMaxCount && debt(view) + price.asked * view.period <= budget.tolerance;
  }

  // Until the load has faded enough, if nothing else is admitted: in this window, where only the
  // last one's count fades, or in the next one, where this one's does.
  static constexpr Ticks wait(const View& view, const weir_budget_t& budget, const Price& price) {
    if (!is_possible(budget, price)) return kNever;
    const Ticks room = budget.tolerance - price.asked * view.period;
    const Ticks current = view.current * view.period;
    if (current > room) return view.period - view.offset + faded(view.current, room, view.period);
    const Ticks until = faded(view.previous, room - current, view.period);
    return until > view.offset ? until - view.offset : 0;
  }

  static constexpr View charge(const View& view, const Price& price) {
    return {view.window, view.current + price.added, view.previous, view.offset, view.period};
  }
  static constexpr uint64_t state(const View& view) {
    return (uint64_t{view.window} << kCurrentBits | view.current) << kPreviousBits |
           shorten(view.previous);
  }

  static constexpr Receipt receipt(uint64_t amount, Ticks, uint64_t state) {
    return {.added = static_cast<uint32_t>(amount), .state = state};
  }

  // Takes the counts from the window that has them. (In the last window that is exact to 16,383,
  // and above it may take less than 0.05 % too little.)
  static constexpr View refund(const View& view, const Receipt& receipt) {
    const auto window = static_cast<uint32_t>(receipt.state >> (kCurrentBits + kPreviousBits));
    View lowered = view;
    if (view.window == window) lowered.current -= std::min(view.current, receipt.added);
    if (view.window == (window + 1) % kWindows)
      lowered.previous -= std::min(view.previous, receipt.added);
    return lowered;
  }

  // The floating-point form of `previous`: 16384 + 2048 * exponent + mantissa stands for
  // (2048 + mantissa) * 2^(exponent + 3).
  static constexpr uint32_t kExact = (1u << 14) - 1;

  static constexpr uint32_t shorten(uint32_t count) {
    if (count <= kExact) return count;
    unsigned exponent = 0;
    uint32_t mantissa = (count + 7) >> 3;
    while (mantissa >= 2 * kMantissas) {
      mantissa = (mantissa + 1) >> 1;
      ++exponent;
    }
    return kExact + 1 + exponent * kMantissas + (mantissa - kMantissas);
  }
  static constexpr uint32_t expand(uint64_t code) {
    if (code <= kExact) return static_cast<uint32_t>(code);
    const auto above = static_cast<uint32_t>(code) - (kExact + 1);
    return (kMantissas + above % kMantissas) << (above / kMantissas + 3);
  }

 private:
  static constexpr uint32_t kMantissas = 2048;

  // The least offset at which `count` of the window before leaves `room` ticks.
  static constexpr Ticks faded(uint32_t count, Ticks room, Ticks period) {
    return room >= count * (period - 1) ? 0 : period - 1 - room / count;
  }
};

// Charges after the fact: whatever the budget says, until the count is full.
struct LateSlidingWindow : SlidingWindow {
  static constexpr bool passes(const View&, const weir_budget_t&, const Price&) { return true; }
  static constexpr View charge(const View& view, const Price& price) {
    View charged = SlidingWindow::charge(view, price);
    charged.current = std::min(charged.current, kMaxCount);
    return charged;
  }
};

}  // namespace weir
