// Quotas: what an operator writes ("10r/s", burst=5), checked once and turned into ticks.
//
// Units: a quota counts tokens per period in seconds; a budget counts ticks of its zone. A budget
// is rounded so that it never admits more than the quota says, and choose_format keeps that
// rounding below 1 %.

#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "weir/weir.h"

namespace weir {

using Quota = weir_quota_t;
using Format = weir_format_t;
using Budget = weir_budget_t;

inline constexpr uint32_t kMaxPeriod = 30 * 24 * 3600;
inline constexpr uint64_t kMaxTokensPerSecond = 1'000'000;

weir_status_t parse_quota(std::string_view text, Quota* quota, weir_error_t* error);

// In how many seconds all of a used-up quota comes back: see weir_quota_window.
uint64_t window_of(const Quota& quota, weir_algorithm_t algorithm);

// The quota as an operator would write it: "100r/m burst=5".
std::string to_string(const Quota& quota);

// The format that serves all of `quotas`: see weir_format_choose.
weir_status_t choose_format(weir_algorithm_t algorithm, std::span<const Quota> quotas,
                            Format* format, weir_error_t* error);

// Whether choose_format may give this one for some quotas.
bool is_valid(const Format& format);

weir_status_t make_budget(const Quota& quota, const Format& format, Budget* budget,
                          weir_error_t* error);

}  // namespace weir
