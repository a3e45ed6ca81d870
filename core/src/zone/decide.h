// Several limits on one request, all or nothing.
//
// All are looked up first, and charged only if none rejects. Between the two another process may
// have used the budget up: then the charge itself rejects, and what was charged before it is given
// back. Limits in dry run are a group of their own, to which the same applies: what one of them
// would reject is not charged to the others, as it would not be if all were enforced.

#pragma once

#include <cstddef>
#include <span>

#include "weir/weir.h"

namespace weir {

weir_verdict_t decide(std::span<weir_limit_t> limits, const weir_clock_t& clock, size_t& deciding);

weir_balance_t balance(const weir_limit_t& limit, const weir_clock_t& clock);

uint64_t remaining(const weir_limit_t& limit);
uint64_t excess(const weir_limit_t& limit);
uint64_t delay(const weir_limit_t& limit);
uint64_t retry_after(const weir_limit_t& limit);

}  // namespace weir
