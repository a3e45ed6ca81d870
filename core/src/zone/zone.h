// A zone: the memory that holds one rate limit's keys, and a process's or thread's handle to it.
//
// The caller owns the memory. format() is done once, by whoever creates it, while nobody uses it.
// Every process or thread then attaches for itself and gets a handle with a number of its own: it
// tells concurrent writers apart (zone/table.h) and picks a stripe of counters.
//
// Units: times inside are ticks of the zone; the clock that comes in counts nanoseconds.

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

  static weir_status_t format(void* memory, size_t size, uint32_t tick_bits, bool is_zeroed,
                              weir_error_t* error);

  // Checks everything in the header that a wrong or foreign zone could have wrong.
  static weir_status_t check(const void* memory, size_t size, weir_error_t* error);

  // `memory` has passed check().
  Zone(void* memory, weir_full_t when_full);

  LimiterTable::Place place_of(const void* key, size_t length) const;

  // Judge limit.cost without charging it, charge it if the budget allows, or give back what was
  // charged. The first two set limit.debt and limit.charged and return whether the limit lets the
  // request pass.
  bool peek(weir_limit_t& limit, const weir_clock_t& clock) const;
  bool charge(weir_limit_t& limit, const weir_clock_t& clock);
  void refund(weir_limit_t& limit, const weir_clock_t& clock);

  void count(Counter counter, uint64_t n = 1) {
    stripe_->counts[counter].fetch_add(n, std::memory_order_relaxed);
  }
  weir_counters_t counters() const;

  uint64_t sweep(const weir_clock_t& clock);

  uint64_t slots() const { return line_count_ * kLineWords; }
  const TickScale& scale() const { return scale_; }

 private:
  auto ticks(const weir_clock_t& clock) const {
    return [this, &clock] { return scale_.time(clock.now(clock.context)); };
  }

  // Copies of what the header says, so that a decision reads no line but the key's own and the
  // secret.
  Header* header_;
  Line* lines_;
  Stripe* stripe_;
  uint64_t line_count_;
  TickScale scale_;
  LimiterTable::Writer writer_;
  weir_full_t when_full_;
};

}  // namespace weir

// The C interface's opaque handle.
struct weir_zone : weir::Zone {
  using Zone::Zone;
};
