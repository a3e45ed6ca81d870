#include "zone/decide.h"

#include <algorithm>

#include "limiter/quota.h"
#include "zone/zone.h"

namespace weir {
namespace {

// A limit that is charged later, if at all, is only looked at.
bool charge(weir_limit_t& limit, const weir_clock_t& clock) {
  return limit.charge_later ? limit.zone->peek(limit, clock) : limit.zone->charge(limit, clock);
}

void mark_rejecting(weir_limit_t& limit) {
  limit.verdict = limit.dry_run ? WEIR_REJECTED_DRY_RUN : WEIR_REJECTED;
}

// What the request asked for and has not been charged, in ticks.
Ticks uncharged(const weir_limit_t& limit) {
  return limit.charged == 0 ? limit.zone->price_of(limit) : 0;
}

// The request waits for its turn: until the tokens before its last are paid, but for those that may
// be used without delay (nginx 1.31, ngx_http_limit_req_module.c:547).
Ticks ticks_to_wait(const weir_limit_t& limit) {
  if (limit.undelayed == WEIR_NODELAY || !limit.zone->is_bucket()) return 0;
  const Wide at_once = (limit.undelayed + Wide{1}) * limit.budget.interval;
  const Ticks debt = limit.debt + uncharged(limit);
  return debt > at_once ? static_cast<Ticks>(debt - at_once) : 0;
}

constexpr uint64_t kNanosPerMilli = 1'000'000;

void mark_passing(weir_limit_t& limit) {
  limit.verdict = WEIR_PASSED;
  limit.wait = ticks_to_wait(limit);
  if (limit.wait == 0) return;
  if (limit.zone->nanoseconds(limit.wait) >= kNanosPerMilli) {
    limit.verdict = limit.dry_run ? WEIR_DELAYED_DRY_RUN : WEIR_DELAYED;
  } else {
    limit.wait = 0;
  }
}

// The usual case: one limit is all or nothing by itself.
void charge_only(weir_limit_t& limit, const weir_clock_t& clock) {
  if (charge(limit, clock)) {
    mark_passing(limit);
  } else {
    mark_rejecting(limit);
  }
}

// Looks all limits up and marks those that reject.
void peek_all(std::span<weir_limit_t> limits, const weir_clock_t& clock) {
  for (weir_limit_t& limit : limits) {
    if (!limit.zone->peek(limit, clock)) mark_rejecting(limit);
  }
}

// Whether none of the limits that are enforced, or in dry run, is marked.
bool passes(std::span<const weir_limit_t> limits, bool dry_run) {
  const weir_verdict_t rejecting = dry_run ? WEIR_REJECTED_DRY_RUN : WEIR_REJECTED;
  return std::ranges::none_of(limits,
                              [&](const auto& limit) { return limit.verdict == rejecting; });
}

// Charges all limits that are enforced, or in dry run; or none, and marks the one that rejects.
void charge_all(std::span<weir_limit_t> limits, bool dry_run, const weir_clock_t& clock) {
  for (size_t i = 0; i < limits.size(); ++i) {
    if ((limits[i].dry_run != 0) != dry_run) continue;
    if (charge(limits[i], clock)) {
      mark_passing(limits[i]);
      continue;
    }
    mark_rejecting(limits[i]);
    for (weir_limit_t& earlier : limits.first(i)) {
      if ((earlier.dry_run != 0) != dry_run) continue;
      earlier.zone->refund(earlier, clock);
      earlier.verdict = WEIR_NONE;
    }
    return;
  }
}

// Of several: looks all up, and charges all that are enforced, and all in dry run, or none of them.
void charge_several(std::span<weir_limit_t> limits, const weir_clock_t& clock) {
  for (weir_limit_t& limit : limits) limit.verdict = WEIR_NONE;
  peek_all(limits, clock);
  if (!passes(limits, false)) return;
  charge_all(limits, false, clock);
  if (passes(limits, false) && passes(limits, true)) charge_all(limits, true, clock);
}

// How grave a verdict is, by weir_verdict_t: what is enforced comes before what is in dry run.
constexpr unsigned kGravity[] = {0, 1, 4, 5, 2, 3};

// Of two limits with the same verdict, whether the second is to be reported.
bool says_more(const weir_limit_t& limit, const weir_limit_t& other) {
  switch (limit.verdict) {
    case WEIR_PASSED:
      return remaining(other) < remaining(limit);
    case WEIR_DELAYED:
    case WEIR_DELAYED_DRY_RUN:
      return delay(other) >= delay(limit);
    default:
      return false;
  }
}

// The limit to report: of the gravest verdict the first that rejects, or the last of those that
// delay longest, as limit_req does; or the tightest if all passed.
size_t choose_deciding(std::span<const weir_limit_t> limits) {
  size_t chosen = 0;
  for (size_t i = 1; i < limits.size(); ++i) {
    const unsigned gravity = kGravity[limits[i].verdict], most = kGravity[limits[chosen].verdict];
    if (gravity > most || (gravity == most && says_more(limits[chosen], limits[i]))) chosen = i;
  }
  return chosen;
}

constexpr Counter kCounterOf[] = {kCounters, kPassed,        kDelayed,
                                  kRejected, kDelayedDryRun, kRejectedDryRun};

// A rejected request counts once, in the zone that decided; all else counts in each zone.
void count(std::span<const weir_limit_t> limits, size_t deciding) {
  for (size_t i = 0; i < limits.size(); ++i) {
    const weir_verdict_t verdict = limits[i].verdict;
    if (verdict == WEIR_NONE || (verdict == WEIR_REJECTED && i != deciding)) continue;
    limits[i].zone->count(kCounterOf[verdict]);
  }
}

bool is_refused(const weir_limit_t& limit) {
  return limit.verdict == WEIR_REJECTED || limit.verdict == WEIR_REJECTED_DRY_RUN;
}

}  // namespace

weir_verdict_t decide(std::span<weir_limit_t> limits, const weir_clock_t& clock, size_t& deciding) {
  if (limits.empty()) return WEIR_NONE;
  if (limits.size() == 1) {
    charge_only(limits[0], clock);
  } else {
    charge_several(limits, clock);
  }
  deciding = choose_deciding(limits);
  count(limits, deciding);
  return limits[deciding].verdict;
}

uint64_t remaining(const weir_limit_t& limit) {
  const Budget& budget = limit.budget;
  if (limit.debt >= budget.tolerance) return 0;
  const uint64_t left = limit.zone->tokens(budget, budget.tolerance - limit.debt);
  // A key that finds no room in a full zone owes nothing, and can't have what it was refused.
  const bool is_refused_for_now = is_refused(limit) && limit.wait != kNever && limit.cost != 0;
  return is_refused_for_now ? std::min(left, uint64_t{limit.cost} - 1) : left;
}

weir_balance_t balance(const weir_limit_t& limit, const weir_clock_t& clock) {
  weir_limit_t seen = limit;
  seen.verdict = WEIR_NONE;
  seen.zone->look_up(seen, clock);
  return {.quota = seen.zone->tokens(seen.budget, seen.budget.tolerance),
          .remaining = remaining(seen),
          .full_after = seen.zone->nanoseconds(seen.wait)};
}

uint64_t excess(const weir_limit_t& limit) {
  const Ticks asked = uncharged(limit);
  if (asked == kNever) return uint64_t{limit.cost} * 1000;
  const bool is_bucket = limit.zone->is_bucket();
  const Ticks debt = limit.debt + asked;
  const Ticks interval = limit.budget.interval;
  const Ticks allowed = is_bucket ? interval : limit.budget.tolerance - (interval - 1);
  if (debt <= allowed) return 0;
  const Wide thousandths = static_cast<Wide>(debt - allowed) * 1000;
  const auto excess = static_cast<uint64_t>((thousandths + interval / 2) / interval);
  return is_bucket ? excess : excess * limit.zone->format().unit;
}

uint64_t delay(const weir_limit_t& limit) {
  if (limit.verdict != WEIR_DELAYED && limit.verdict != WEIR_DELAYED_DRY_RUN) return 0;
  return limit.zone->nanoseconds(limit.wait) / kNanosPerMilli;
}

uint64_t retry_after(const weir_limit_t& limit) {
  if (!is_refused(limit)) return 0;
  return limit.wait == kNever ? UINT64_MAX : limit.zone->nanoseconds(limit.wait);
}

}  // namespace weir
