// The token bucket, as the generic cell rate algorithm (GCRA, ITU-T I.371, virtual scheduling).
//
// A key's whole state is its debt: how far its theoretical arrival time (TAT) lies ahead of now, in
// ticks. Every token costs `interval` ticks; time pays the debt off. A request passes if the debt
// with its cost in it stays within `tolerance` = capacity * interval, which is a bucket of
// `capacity` tokens seen from the other side: tokens left = (tolerance - debt) / interval.
//
// Pure functions: nothing here knows of memory, clocks or keys.

#pragma once

#include <cstdint>

#include "limiter/tick.h"
#include "weir/weir.h"

namespace weir {

using Budget = weir_budget_t;

struct GcraOutcome {
  bool passes;
  Ticks debt;  // with the cost in it, whether it is charged or not; saturated if it never can be
};

// The price of what no budget allows.
inline constexpr Ticks kNever = UINT64_MAX;

// What `cost` tokens are in ticks, or kNever if that is above the capacity. Multiplied in 128 bits,
// since a division takes longer than all else here.
constexpr Ticks gcra_price(const Budget& budget, uint32_t cost) {
  const Wide price = static_cast<Wide>(cost) * budget.interval;
  return price > budget.tolerance ? kNever : static_cast<Ticks>(price);
}

constexpr GcraOutcome gcra(Ticks debt, Ticks price, const Budget& budget) {
  if (price == kNever) return {false, kNever};
  const Ticks after = debt + price;
  return {after <= budget.tolerance, after};
}

// How long until a request that was refused with this debt would pass. Exact: one tick earlier it
// would be refused.
constexpr Ticks gcra_wait(Ticks refused_debt, const Budget& budget) {
  if (refused_debt == kNever) return kNever;
  return refused_debt > budget.tolerance ? refused_debt - budget.tolerance : 0;
}

// Whole tokens left in the bucket.
constexpr uint64_t gcra_remaining(Ticks debt, const Budget& budget) {
  return debt < budget.tolerance ? (budget.tolerance - debt) / budget.interval : 0;
}

}  // namespace weir
