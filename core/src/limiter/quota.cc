#include "limiter/quota.h"

#include <algorithm>
#include <charconv>

#include "error.h"
#include "limiter/sliding_window.h"
#include "limiter/tick.h"

namespace weir {
namespace {

constexpr struct {
  char unit;
  uint32_t seconds;
} kUnits[] = {{'s', 1}, {'m', 60}, {'h', 3600}, {'d', 86400}};

// Takes a decimal number off the front of `text`. False if there is none or it doesn't fit.
bool take_number(std::string_view& text, uint32_t& number) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc{} || end == text.data()) return false;
  text.remove_prefix(static_cast<size_t>(end - text.data()));
  return true;
}

uint32_t seconds_of(char unit) {
  for (const auto& known : kUnits) {
    if (known.unit == unit) return known.seconds;
  }
  return 0;
}

bool is_in_range(const Quota& quota) {
  return quota.tokens > 0 && quota.period > 0 && quota.period <= kMaxPeriod &&
         quota.burst < UINT32_MAX && quota.tokens <= kMaxTokensPerSecond * quota.period;
}

// Ticks that pay for one token.
Wide interval_ticks(const Quota& quota, unsigned bits) {
  return ((static_cast<Wide>(quota.period) << bits) + quota.tokens - 1) / quota.tokens;
}

// Capacity times interval.
Wide tolerance_ticks(const Quota& quota, unsigned bits) {
  return static_cast<Wide>(quota.burst + uint64_t{1}) * interval_ticks(quota, bits);
}

bool is_fine_enough(const Quota& quota, unsigned bits) {
  return (static_cast<Wide>(quota.period) << bits) >= static_cast<Wide>(quota.tokens) * 100;
}

bool is_coarse_enough(const Quota& quota, unsigned bits) {
  return tolerance_ticks(quota, bits) <= kMaxTolerance;
}

// A window whose limit is counted in units of many tokens keeps within 1 % if it has so many
// counts.
constexpr uint32_t kEnoughCounts = (SlidingWindow::kMaxCount + 1) / 2;

constexpr uint32_t unit_for(uint32_t tokens) {
  return static_cast<uint32_t>((uint64_t{tokens} + SlidingWindow::kMaxCount - 1) /
                               SlidingWindow::kMaxCount);
}

bool counts_well(const Quota& quota, uint32_t unit) {
  return quota.tokens / unit <= SlidingWindow::kMaxCount &&
         (unit == 1 || quota.tokens / unit >= kEnoughCounts);
}

weir_status_t too_far_apart(const Quota& a, const Quota& b, weir_error_t* error) {
  set_error(error,
            "the quotas \"%s\" and \"%s\" are too far apart for one zone, expected two zones",
            to_string(a).c_str(), to_string(b).c_str());
  return WEIR_INVALID;
}

weir_status_t check(const Quota& quota, weir_error_t* error) {
  if (is_in_range(quota)) return WEIR_OK;
  set_error(
      error,
      "invalid quota \"%s\", expected 1 to 1000000 requests a second, a period of 1 second to "
      "30 days and a burst of at most 4294967294",
      to_string(quota).c_str());
  return WEIR_INVALID;
}

// A quota whose rate wants finer ticks than its burst allows.
weir_status_t too_large_a_burst(const Quota& quota, unsigned bits, weir_error_t* error) {
  const Wide most = kMaxTolerance / interval_ticks(quota, bits) - 1;
  set_error(error, "quota \"%s\" has too large a burst for its rate, expected at most %llu",
            to_string(quota).c_str(), static_cast<unsigned long long>(most));
  return WEIR_INVALID;
}

weir_status_t choose_ticks(std::span<const Quota> quotas, uint32_t* bits, weir_error_t* error) {
  unsigned lowest = kMinTickBits;
  unsigned highest = kMaxTickBits;
  const Quota* finest = nullptr;    // the quota that asks for `lowest`
  const Quota* coarsest = nullptr;  // the quota that asks for `highest`
  for (const Quota& quota : quotas) {
    // Both loops end in range: 2^27 is above 100 times the largest rate, and what is too much for
    // 2^10 ticks a second is refused here.
    while (!is_fine_enough(quota, lowest)) {
      ++lowest;
      finest = &quota;
    }
    while (!is_coarse_enough(quota, highest)) {
      if (--highest < kMinTickBits) {
        set_error(error,
                  "quota \"%s\" is too slow, expected a burst that is paid off within 4 years",
                  to_string(quota).c_str());
        return WEIR_INVALID;
      }
      coarsest = &quota;
    }
  }
  if (lowest > highest) {
    if (!is_coarse_enough(*finest, lowest)) return too_large_a_burst(*finest, lowest, error);
    return too_far_apart(*finest, *coarsest, error);
  }
  *bits = std::clamp(kDefaultTickBits, lowest, highest);
  return WEIR_OK;
}

weir_status_t choose_window(std::span<const Quota> quotas, Format* format, weir_error_t* error) {
  const Quota* largest = nullptr;
  for (const Quota& quota : quotas) {
    if (quota.burst != 0) {
      set_error(error, "quota \"%s\" has a burst, expected none in a sliding window",
                to_string(quota).c_str());
      return WEIR_INVALID;
    }
    if (quota.period != quotas.front().period) {
      set_error(error,
                "the quotas \"%s\" and \"%s\" have different periods, expected one period in a "
                "sliding window's zone",
                to_string(quotas.front()).c_str(), to_string(quota).c_str());
      return WEIR_INVALID;
    }
    if (largest == nullptr || quota.tokens > largest->tokens) largest = &quota;
  }
  if (largest == nullptr) {
    set_error(error, "no quota, expected at least one to take a sliding window's period from");
    return WEIR_INVALID;
  }
  format->period = largest->period;
  format->unit = unit_for(largest->tokens);
  for (const Quota& quota : quotas) {
    if (!counts_well(quota, format->unit)) return too_far_apart(*largest, quota, error);
  }
  return WEIR_OK;
}

bool fits(const Quota& quota, const Format& format) {
  if (!is_in_range(quota) || !is_valid(format)) return false;
  if (format.algorithm == WEIR_TOKEN_BUCKET)
    return is_fine_enough(quota, format.tick_bits) && is_coarse_enough(quota, format.tick_bits);
  return quota.burst == 0 && quota.period == format.period && counts_well(quota, format.unit);
}

// Only for an error that somebody will read: it allocates, and a request may bring a quota along.
void explain_misfit(const Quota& quota, const Format& format, weir_error_t* error) {
  const std::string text = to_string(quota);
  if (format.algorithm == WEIR_TOKEN_BUCKET) {
    set_error(error, "quota \"%s\" does not fit a zone with ticks of 2^-%u s", text.c_str(),
              format.tick_bits);
  } else {
    set_error(error, "quota \"%s\" does not fit a zone with windows of %u s and counts of %u",
              text.c_str(), format.period, format.unit);
  }
}

}  // namespace

weir_status_t parse_quota(std::string_view text, Quota* quota, weir_error_t* error) {
  std::string_view rest = text;
  Quota parsed{};
  uint32_t count = 1;
  bool is_rate = take_number(rest, parsed.tokens);
  if (is_rate && rest.empty()) rest = "r/s";  // as nginx reads it
  is_rate = is_rate && rest.starts_with("r/");
  if (is_rate) rest.remove_prefix(2);
  is_rate = is_rate && (rest.size() == 1 || take_number(rest, count)) && rest.size() == 1 &&
            seconds_of(rest.front()) != 0;
  if (!is_rate) {
    set_error(error,
              "invalid rate %s, expected NUMBERr/[NUMBER]UNIT with a unit of s, m, h or d, "
              "as in \"10r/s\", \"5r/h\" or \"10r/5s\"",
              QuotedWord(text).c_str());
    return WEIR_INVALID;
  }
  const uint64_t period = uint64_t{count} * seconds_of(rest.front());
  if (parsed.tokens == 0 || period == 0) {
    set_error(error, "invalid rate %s, expected numbers of at least 1", QuotedWord(text).c_str());
    return WEIR_INVALID;
  }
  if (period > kMaxPeriod) {
    set_error(error, "invalid rate %s, expected a period of at most 30 days",
              QuotedWord(text).c_str());
    return WEIR_INVALID;
  }
  parsed.period = static_cast<uint32_t>(period);
  if (!is_in_range(parsed)) {
    set_error(error, "invalid rate %s, expected at most 1000000 requests a second",
              QuotedWord(text).c_str());
    return WEIR_INVALID;
  }
  *quota = parsed;
  return WEIR_OK;
}

uint64_t window_of(const Quota& quota, weir_algorithm_t algorithm) {
  if (algorithm == WEIR_SLIDING_WINDOW) return quota.period;
  const uint64_t capacity = uint64_t{quota.burst} + 1;
  return (capacity * quota.period + quota.tokens - 1) / quota.tokens;
}

std::string to_string(const Quota& quota) {
  std::string text = std::to_string(quota.tokens) + "r/";
  for (const auto& known : {kUnits[3], kUnits[2], kUnits[1], kUnits[0]}) {
    if (quota.period % known.seconds != 0) continue;
    const uint32_t count = quota.period / known.seconds;
    if (count != 1) text += std::to_string(count);
    text += known.unit;
    break;
  }
  if (quota.burst != 0) text += " burst=" + std::to_string(quota.burst);
  return text;
}

weir_status_t choose_format(weir_algorithm_t algorithm, std::span<const Quota> quotas,
                            Format* format, weir_error_t* error) {
  for (const Quota& quota : quotas) {
    if (const weir_status_t status = check(quota, error); status != WEIR_OK) return status;
  }
  Format chosen{.algorithm = algorithm, .tick_bits = 0, .period = 0, .unit = 0};
  const weir_status_t status = algorithm == WEIR_TOKEN_BUCKET
                                   ? choose_ticks(quotas, &chosen.tick_bits, error)
                                   : choose_window(quotas, &chosen, error);
  if (status == WEIR_OK) *format = chosen;
  return status;
}

bool is_valid(const Format& format) {
  switch (format.algorithm) {
    case WEIR_TOKEN_BUCKET:
      return format.tick_bits >= kMinTickBits && format.tick_bits <= kMaxTickBits &&
             format.period == 0 && format.unit == 0;
    case WEIR_SLIDING_WINDOW:
      return format.tick_bits == 0 && format.period > 0 && format.period <= kMaxPeriod &&
             format.unit > 0 && format.unit <= unit_for(UINT32_MAX);
  }
  return false;
}

weir_status_t make_budget(const Quota& quota, const Format& format, Budget* budget,
                          weir_error_t* error) {
  if (!fits(quota, format)) {
    if (error != nullptr) explain_misfit(quota, format, error);
    return WEIR_INVALID;
  }
  if (format.algorithm == WEIR_TOKEN_BUCKET) {
    const Wide ticks = static_cast<Wide>(quota.period) << format.tick_bits;
    budget->interval = static_cast<Ticks>((ticks + quota.tokens - 1) / quota.tokens);
    budget->tolerance = budget->interval * (quota.burst + uint64_t{1});
  } else {
    budget->interval = WindowScale(format.period).period();
    budget->tolerance = (quota.tokens / format.unit + uint64_t{1}) * budget->interval - 1;
  }
  return WEIR_OK;
}

}  // namespace weir
