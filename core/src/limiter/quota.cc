#include "limiter/quota.h"

#include <algorithm>
#include <bit>
#include <charconv>

#include "error.h"

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

bool is_valid(const Quota& quota) {
  return quota.tokens > 0 && quota.period > 0 && quota.period <= kMaxPeriod &&
         quota.burst < UINT32_MAX && quota.tokens <= kMaxTokensPerSecond * quota.period;
}

// Capacity times interval.
Wide tolerance_ticks(const Quota& quota, unsigned bits) {
  return static_cast<Wide>(quota.burst + uint64_t{1}) *
         (((static_cast<Wide>(quota.period) << bits) + quota.tokens - 1) / quota.tokens);
}

bool is_fine_enough(const Quota& quota, unsigned bits) {
  return (static_cast<Wide>(quota.period) << bits) >= static_cast<Wide>(quota.tokens) * 100;
}

bool is_coarse_enough(const Quota& quota, unsigned bits) {
  return tolerance_ticks(quota, bits) <= kMaxTolerance;
}

}  // namespace

weir_status_t parse_quota(std::string_view text, Quota* quota, weir_error_t* error) {
  std::string_view rest = text;
  Quota parsed{};
  uint32_t count = 1;
  const bool has_tokens = take_number(rest, parsed.tokens) && rest.starts_with("r/");
  if (has_tokens) rest.remove_prefix(2);
  const bool has_period = has_tokens && (rest.size() == 1 || take_number(rest, count)) &&
                          rest.size() == 1 && seconds_of(rest.front()) != 0;
  if (!has_period) {
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
  if (!is_valid(parsed)) {
    set_error(error, "invalid rate %s, expected at most 1000000 requests a second",
              QuotedWord(text).c_str());
    return WEIR_INVALID;
  }
  *quota = parsed;
  return WEIR_OK;
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

weir_status_t choose_tick_bits(std::span<const Quota> quotas, uint32_t* bits, weir_error_t* error) {
  unsigned lowest = kMinTickBits;
  unsigned highest = kMaxTickBits;
  const Quota* finest = nullptr;    // the quota that asks for `lowest`
  const Quota* coarsest = nullptr;  // the quota that asks for `highest`
  for (const Quota& quota : quotas) {
    if (!is_valid(quota)) {
      set_error(
          error,
          "invalid quota \"%s\", expected 1 to 1000000 requests a second, a period of 1 second to "
          "30 days and a burst of at most 4294967294",
          to_string(quota).c_str());
      return WEIR_INVALID;
    }
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
    set_error(error,
              "the quotas \"%s\" and \"%s\" are too far apart for one zone, expected two zones",
              to_string(*finest).c_str(), to_string(*coarsest).c_str());
    return WEIR_INVALID;
  }
  *bits = std::clamp(kDefaultTickBits, lowest, highest);
  return WEIR_OK;
}

weir_status_t make_budget(const Quota& quota, uint32_t bits, Budget* budget, weir_error_t* error) {
  if (bits < kMinTickBits || bits > kMaxTickBits || !is_valid(quota) ||
      !is_fine_enough(quota, bits) || !is_coarse_enough(quota, bits)) {
    set_error(error, "quota \"%s\" does not fit a zone with ticks of 2^-%u s",
              to_string(quota).c_str(), bits);
    return WEIR_INVALID;
  }
  const Wide ticks = static_cast<Wide>(quota.period) << bits;
  budget->interval = static_cast<Ticks>((ticks + quota.tokens - 1) / quota.tokens);
  budget->tolerance = budget->interval * (quota.burst + uint64_t{1});
  return WEIR_OK;
}

}  // namespace weir
