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

// Costs above this many tokens can never pass any budget; it keeps cost * interval below 2^64.
inline constexpr Ticks kNever = UINT64_MAX;

// What `cost` tokens are in ticks, or kNever if that is above the capacity. Refusing first keeps
// the product small: cost <= tolerance / interval implies cost * interval <= 2^37.
constexpr Ticks gcra_price(const Budget& budget, uint32_t cost) {
  return cost > budget.tolerance / budget.interval ? kNever : cost * budget.interval;
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
