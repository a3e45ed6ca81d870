// The token bucket, as the generic cell rate algorithm (GCRA, ITU-T I.371, virtual scheduling).
//
// A key's whole state is its theoretical arrival time (TAT), a tick: when its debt is paid. Every
// token costs `interval` ticks; time pays the debt off. A request passes if the debt with its price
// in it stays within `tolerance` = capacity * interval, which is a bucket of `capacity` tokens seen
// from the other side: tokens left = (tolerance - debt) / interval.
//
// Pure functions: nothing here knows of memory, clocks or keys. What each is for stands in
// zone/table.h.

#pragma once

#include <algorithm>
#include <cstdint>

#include "limiter/tick.h"
#include "weir/weir.h"

namespace weir {

// The price of what no budget allows, and how long to wait for it.
inline constexpr Ticks kNever = UINT64_MAX;

struct Gcra {
  using Time = Tick;
  using Price = Ticks;

  // A key at a moment.
  struct View {
    Tick now;
    Ticks debt;
  };

  struct Receipt {
    Ticks price;
    Ticks debt;    // just after the charge
    Tick paid_at;  // likewise: the state
  };

  // What `cost` tokens are in ticks, or kNever if that is above the capacity. Multiplied in 128
  // bits, since a division takes longer than all else here.
  static constexpr Price price(const weir_budget_t& budget, uint32_t cost) {
    const Wide price = static_cast<Wide>(cost) * budget.interval;
    return price > budget.tolerance ? kNever : static_cast<Ticks>(price);
  }

  // The price of all that a budget allows at once.
  static constexpr Price whole(const weir_budget_t& budget) { return budget.tolerance; }

  static constexpr bool is_possible(const weir_budget_t&, Price price) { return price != kNever; }
  static constexpr uint64_t amount(Price price) { return price; }

  static constexpr View view(Tick tat, Time now) { return {now, debt_at(tat, now)}; }
  static constexpr View unseen(Time now) { return {now, 0}; }

  static constexpr bool is_live(const View& view) { return view.debt != 0; }
  static constexpr uint64_t weight(const View& view) { return view.debt; }
  static constexpr Ticks lifetime(const View& view) { return view.debt; }

  static constexpr Ticks debt(const View& view) { return view.debt; }
  static constexpr bool passes(const View& view, const weir_budget_t& budget, Price price) {
    return price != kNever && view.debt + price <= budget.tolerance;
  }
  static constexpr Ticks wait(const View& view, const weir_budget_t& budget, Price price) {
    if (price == kNever) return kNever;
    const Ticks after = view.debt + price;
    return after > budget.tolerance ? after - budget.tolerance : 0;
  }

  static constexpr View charge(const View& view, Price price) {
    return {view.now, view.debt + price};
  }
  static constexpr Tick state(const View& view) { return tick_add(view.now, view.debt); }

  static constexpr Receipt receipt(uint64_t amount, Ticks debt, Tick state) {
    return {.price = amount, .debt = debt, .paid_at = state};
  }

  // Gives back what is certainly still owed of one charge: its price less the time since then. Not
  // less the time only that the key's TAT has run down: if another charge was given back in
  // between, that time has paid for this one, and giving all back would let later charges off
  // (a property test shows it). If the key has been evicted meanwhile, the charge went with what
  // was forgotten, and so it may be given back to whoever has taken tokens since.
  static constexpr View refund(const View& view, const Receipt& receipt) {
    const Ticks elapsed = ticks_between(tick_sub(receipt.paid_at, receipt.debt), view.now);
    if (elapsed >= receipt.price) return view;
    const Ticks owed = receipt.price - elapsed;
    return {view.now, view.debt > owed ? view.debt - owed : 0};
  }
};

// Charges after the fact: whatever the budget says, until the debt is as large as it may get.
struct LateGcra : Gcra {
  static constexpr bool passes(const View&, const weir_budget_t&, Price) { return true; }
  static constexpr View charge(const View& view, Price price) {
    return {view.now, std::min(view.debt + price, kMaxTolerance)};
  }
};

}  // namespace weir
