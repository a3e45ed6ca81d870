// A zone: the memory that holds one rate limit's keys, and a process's or thread's handle to it.
//
// The caller owns the memory. format() is done once, by whoever creates it, while nobody uses it.
// Every process or thread then attaches for itself and gets a handle with a number of its own: it
// tells concurrent writers apart (zone/table.h) and picks a stripe of counters.
//
// Units: times inside are ticks of the zone, as its algorithm counts them; the clock that comes in
// counts nanoseconds.

#pragma once

#include <cstddef>
#include <cstdint>

#include "limiter/tick.h"
#include "weir/weir.h"
#include "zone/layout.h"

namespace weir {

class Zone {
 public:
  static size_t min_size();

  static weir_status_t format(void* memory, size_t size, const weir_format_t& format,
                              bool is_zeroed, weir_error_t* error);

  // Checks everything in the header that a wrong or foreign zone could have wrong.
  static weir_status_t check(const void* memory, size_t size, weir_error_t* error);

  // `memory` has passed check().
  Zone(void* memory, weir_full_t when_full);

  Place place_of(const void* key, size_t length) const;

  // Judge limit.cost without charging it; charge it if the budget allows; charge it whatever the
  // budget says; or give back what was charged. The first two return whether the limit lets the
  // request pass. All set the limit's outputs, but for its verdict.
  bool peek(weir_limit_t& limit, const weir_clock_t& clock) const;
  bool charge(weir_limit_t& limit, const weir_clock_t& clock);
  void charge_late(weir_limit_t& limit, const weir_clock_t& clock);
  void refund(weir_limit_t& limit, const weir_clock_t& clock);

  // Look at the key as if limit.cost had been charged whatever the budget says: sets debt, and wait
  // to the time until all of the budget may be used at once.
  void look_up(weir_limit_t& limit, const weir_clock_t& clock) const;

  // Tokens in a number of budgets' ticks.
  uint64_t tokens(const weir_budget_t& budget, Ticks ticks) const {
    const uint64_t counts = ticks / budget.interval;
    return is_bucket() ? counts : counts * format_.unit;
  }

  // What limit.cost is in ticks; kNever if it is more than the whole budget.
  Ticks price_of(const weir_limit_t& limit) const;

  void count(Counter counter, uint64_t n = 1) {
    stripe_->counts[counter].fetch_add(n, std::memory_order_relaxed);
  }
  weir_counters_t counters() const;

  uint64_t sweep(const weir_clock_t& clock);

  uint64_t slots() const { return line_count_ * kLineWords; }
  const weir_format_t& format() const { return format_; }
  bool is_bucket() const { return format_.algorithm == WEIR_TOKEN_BUCKET; }

  // The fewest nanoseconds that move every clock reading on by at least `duration`.
  uint64_t nanoseconds(Ticks duration) const {
    return is_bucket() ? ticks_.nanoseconds(duration) : windows_.nanoseconds(duration);
  }

 private:
  // The clock as the algorithm reads it.
  auto time(Gcra, const weir_clock_t& clock) const {
    return [this, &clock] { return ticks_.time(clock.now(clock.context)); };
  }
  auto time(SlidingWindow, const weir_clock_t& clock) const {
    return [this, &clock] { return windows_.time(clock.now(clock.context)); };
  }

  // What a charge costs, and what a look is judged by.
  Gcra::Price price(Gcra, const weir_limit_t& limit) {
    return Gcra::price(limit.budget, limit.cost);
  }
  SlidingWindow::Price price(SlidingWindow, const weir_limit_t& limit) {
    return SlidingWindow::price(limit.cost, format_.unit, roll_dice());
  }
  Gcra::Price asked(Gcra, const weir_limit_t& limit) const {
    return Gcra::price(limit.budget, limit.cost);
  }
  SlidingWindow::Price asked(SlidingWindow, const weir_limit_t& limit) const {
    return SlidingWindow::price(limit.cost, format_.unit, 0);
  }

  template <class Limiter>
  bool peek_by(weir_limit_t& limit, const weir_clock_t& clock) const;
  template <class Limiter>
  bool charge_by(weir_limit_t& limit, const weir_clock_t& clock);
  template <class Limiter, class Late>
  void charge_late_by(weir_limit_t& limit, const weir_clock_t& clock);
  template <class Limiter>
  void refund_by(weir_limit_t& limit, const weir_clock_t& clock);
  template <class Limiter, class Late>
  void look_up_by(weir_limit_t& limit, const weir_clock_t& clock) const;
  template <class Limiter>
  uint64_t sweep_by(uint64_t first, uint64_t lines, const weir_clock_t& clock);

  uint64_t roll_dice();
  uint64_t sweep_seconds() const;

  // Copies of what the header says, so that a decision reads no line but the key's own and the
  // secret.
  Header* header_;
  Line* lines_;
  Stripe* stripe_;
  uint64_t line_count_;
  weir_format_t format_;
  TickScale ticks_;      // if a token bucket
  WindowScale windows_;  // if a sliding window
  TableWriter writer_;
  weir_full_t when_full_;
  uint64_t dice_;
};

}  // namespace weir

// The C interface's opaque handle.
struct weir_zone : weir::Zone {
  using Zone::Zone;
};
