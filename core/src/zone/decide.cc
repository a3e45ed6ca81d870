#include "zone/decide.h"

#include <algorithm>

#include "limiter/gcra.h"
#include "zone/zone.h"

namespace weir {
namespace {

void mark_rejecting(weir_limit_t& limit) {
  limit.verdict = limit.dry_run ? WEIR_REJECTED_DRY_RUN : WEIR_REJECTED;
}

// The usual case: one limit is all or nothing by itself.
void charge_only(weir_limit_t& limit, const weir_clock_t& clock) {
  if (limit.zone->charge(limit, clock)) {
    limit.verdict = WEIR_PASSED;
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
    if (limits[i].zone->charge(limits[i], clock)) {
      limits[i].verdict = WEIR_PASSED;
      continue;
    }
    mark_rejecting(limits[i]);
    for (weir_limit_t& earlier : limits.first(i)) {
      if (earlier.verdict != WEIR_PASSED || (earlier.dry_run != 0) != dry_run) continue;
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

// The limit to report: the first with the gravest verdict, or the tightest if all passed.
size_t choose_deciding(std::span<const weir_limit_t> limits) {
  if (limits.size() == 1) return 0;
  for (const weir_verdict_t grave : {WEIR_REJECTED, WEIR_REJECTED_DRY_RUN}) {
    for (size_t i = 0; i < limits.size(); ++i) {
      if (limits[i].verdict == grave) return i;
    }
  }
  size_t tightest = 0;
  for (size_t i = 1; i < limits.size(); ++i) {
    if (remaining(limits[i]) < remaining(limits[tightest])) tightest = i;
  }
  return tightest;
}

// A rejected request counts once, in the zone that decided. A passed one counts in each zone.
void count(std::span<const weir_limit_t> limits, size_t deciding) {
  for (size_t i = 0; i < limits.size(); ++i) {
    if (limits[i].verdict == WEIR_PASSED) limits[i].zone->count(kPassed);
    if (limits[i].verdict == WEIR_REJECTED_DRY_RUN) limits[i].zone->count(kRejectedDryRun);
    if (limits[i].verdict == WEIR_REJECTED && i == deciding) limits[i].zone->count(kRejected);
  }
}

// What the request asked for and did not get, in ticks.
Ticks refused(const weir_limit_t& limit) {
  const bool was_refused = limit.verdict == WEIR_REJECTED || limit.verdict == WEIR_REJECTED_DRY_RUN;
  return was_refused ? gcra_price(limit.budget, limit.cost) : 0;
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

uint64_t remaining(const weir_limit_t& limit) { return gcra_remaining(limit.debt, limit.budget); }

uint64_t excess(const weir_limit_t& limit) {
  const Ticks price = refused(limit);
  if (price == kNever) return uint64_t{limit.cost} * 1000;
  const Ticks total = limit.debt + price;
  const Ticks interval = limit.budget.interval;
  return total > interval ? ((total - interval) * 1000 + interval / 2) / interval : 0;
}

uint64_t retry_after(const weir_limit_t& limit) {
  const Ticks price = refused(limit);
  if (price == kNever) return UINT64_MAX;
  const Ticks wait = gcra_wait(limit.debt + price, limit.budget);
  return wait == 0 ? 0 : limit.zone->scale().nanoseconds(wait);
}

}  // namespace weir
