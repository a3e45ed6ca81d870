// Quotas: what an operator writes ("10r/s", burst=5), checked once and turned into ticks.
//
// Units: a quota counts tokens per period in seconds; a budget counts ticks of its zone. The
// interval of a budget is rounded up, so a budget never admits more than the quota says, and
// choose_tick_bits keeps that rounding below 1 %.

#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "limiter/gcra.h"
#include "weir/weir.h"

namespace weir {

using Quota = weir_quota_t;

inline constexpr uint32_t kMaxPeriod = 30 * 24 * 3600;
inline constexpr uint64_t kMaxTokensPerSecond = 1'000'000;

weir_status_t parse_quota(std::string_view text, Quota* quota, weir_error_t* error);

// The quota as an operator would write it: "100r/m burst=5".
std::string to_string(const Quota& quota);

// The tick size that serves all of `quotas`: see weir_tick_bits.
weir_status_t choose_tick_bits(std::span<const Quota> quotas, uint32_t* bits, weir_error_t* error);

weir_status_t make_budget(const Quota& quota, uint32_t bits, Budget* budget, weir_error_t* error);

}  // namespace weir
