// Time as the limiters count it.
//
// A tick is 2^-bits seconds, where bits is fixed per zone (10..27). A time is a tick number modulo
// 2^40, so it wraps: after 12 days with 20 bits, after 2 hours with 27. Times are therefore
// never compared by size. What is stored per key is the time at which its debt is paid (GCRA's
// theoretical arrival time, TAT), and a stored time means a debt only if it lies ahead of `now` by
// at most 2^38 ticks; everything else is in the past. No budget lets a debt grow above 2^37 ticks,
// so the bound leaves a factor of two for clocks read at different moments, and a stored time
// stays recognisable as past for 3 * 2^38 ticks: long enough for a sweep to clear it.
//
// The horizon is the same for every zone and every configuration, so that a process with a new
// configuration never takes for dead what one with the old configuration takes for alive.

#pragma once

#include <cstdint>

#include "wide.h"

namespace weir {

using Tick = uint64_t;   // a time, always below 2^40
using Ticks = uint64_t;  // a duration

inline constexpr unsigned kTickWidth = 40;
inline constexpr Tick kTickMask = (Tick{1} << kTickWidth) - 1;
inline constexpr Ticks kHorizon = Ticks{1} << 38;
inline constexpr Ticks kMaxTolerance = Ticks{1} << 37;

inline constexpr unsigned kMinTickBits = 10;
inline constexpr unsigned kDefaultTickBits = 20;
inline constexpr unsigned kMaxTickBits = 27;  // a million tokens a second need no more

static_assert(2 * kMaxTolerance <= kHorizon);
static_assert(2 * kHorizon < kTickMask);

constexpr Tick tick_add(Tick time, Ticks duration) { return (time + duration) & kTickMask; }
constexpr Tick tick_sub(Tick time, Ticks duration) { return (time - duration) & kTickMask; }

// How long after `earlier` `later` is, modulo 2^40.
constexpr Ticks ticks_between(Tick earlier, Tick later) { return (later - earlier) & kTickMask; }

// Whether `tat` lies ahead of `now`: whether its key is in debt.
constexpr bool is_ahead(Tick tat, Tick now) { return ticks_between(now, tat) - 1 < kHorizon; }

// The debt that `tat` stands for; 0 if it lies in the past.
constexpr Ticks debt_at(Tick tat, Tick now) {
  return is_ahead(tat, now) ? ticks_between(now, tat) : 0;
}

// Converts the caller's nanoseconds to ticks by one multiplication.
//
// 2^bits / 10^9 is kept as a 64-bit fraction of 2^64, rounded down: a tick is longer than 2^-bits
// seconds by less than one part in 2^44, so that rounding admits less, never more; and every
// process computes the same.
class TickScale {
 public:
  explicit constexpr TickScale(unsigned bits)
      : fraction_(static_cast<uint64_t>((static_cast<Wide>(1) << (64 + bits)) / kNanosPerSecond)),
        bits_(bits) {}

  constexpr Tick time(uint64_t nanoseconds) const {
    return static_cast<uint64_t>((static_cast<Wide>(nanoseconds) * fraction_) >> 64) & kTickMask;
  }

  // The fewest nanoseconds that move every clock reading on by at least `duration`:
  // floor(a + x) >= floor(a) + floor(x), so it is enough that x itself comes to `duration`.
  constexpr uint64_t nanoseconds(Ticks duration) const {
    const auto scaled = static_cast<Wide>(duration) << 64;
    return static_cast<uint64_t>((scaled + fraction_ - 1) / fraction_);
  }

  constexpr unsigned bits() const { return bits_; }

 private:
  static constexpr uint64_t kNanosPerSecond = 1'000'000'000;

  uint64_t fraction_;
  unsigned bits_;
};

}  // namespace weir
