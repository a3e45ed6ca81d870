// Who is measured: one interface over weir and over nginx's limit_req.
//
// A contestant is a zone of its own and one limit on it. Both get the same keys and the same
// quota. Each takes time as it does in nginx: weir reads the clock for every decision, and that is
// part of what it costs; limit_req goes by the time that nginx read once for a whole turn of its
// event loop, here once in 1024 decisions, which favours limit_req.
//
// After fork, a child calls join() before anything else, so that it doesn't use its parent's handle
// and has the zone mapped.

#pragma once

#include <cstdint>

#include "memory.h"
#include "weir/weir.h"

#ifdef WEIR_BENCH_LIMIT_REQ
#include "limit_req.h"
#endif

namespace weir::bench {

// Never refuses in a run. A request's debt is paid after 100 us.
inline constexpr weir_quota_t kGenerous = {.tokens = 10'000, .period = 1, .burst = 1'000'000'000};
// Refuses every request of a key but one a minute.
inline constexpr weir_quota_t kStingy = {.tokens = 1, .period = 60, .burst = 0};

inline constexpr weir_format_t kFormat{
    .algorithm = WEIR_TOKEN_BUCKET, .tick_bits = 20, .period = 0, .unit = 0};

inline weir_budget_t make_budget(const weir_quota_t& quota) {
  weir_budget_t budget;
  weir_error_t error;
  must(weir_budget_make(&quota, &kFormat, &budget, &error) == WEIR_OK, error.text);
  return budget;
}

inline weir_limit_t limit_on(weir_zone_t* zone, const uint64_t& key, const weir_budget_t& budget) {
  weir_limit_t limit{};
  limit.zone = zone;
  limit.key = &key;
  limit.key_length = sizeof key;
  limit.budget = budget;
  limit.cost = 1;
  limit.undelayed = WEIR_NODELAY;
  return limit;
}

class Weir {
 public:
  // At 60 % of its words, weir loses no key (see keys per MB).
  static constexpr size_t bytes_for(uint64_t keys) { return (16 << 10) + keys * 8 * 10 / 6; }

  Weir(size_t bytes, const weir_quota_t& quota)
      : memory_(bytes), budget_(make_budget(quota)), hour_(make_budget({1, 3600, 0})) {
    clear();
  }
  ~Weir() { weir_zone_detach(zone_); }
  Weir(const Weir&) = delete;
  Weir& operator=(const Weir&) = delete;

  // Empties the zone.
  void clear() {
    weir_error_t error;
    weir_zone_detach(zone_);
    must(weir_zone_format(memory_.address(), memory_.size(), &kFormat, &error) == WEIR_OK,
         error.text);
    attach();
  }
  void join() {
    attach();
    memory_.map_pages();
  }

  bool decide(uint64_t key) { return take(key, budget_); }

  // A 0 that is known only when the last decision is: what uses it can't be begun before, as a next
  // request can't in a server.
  uint64_t zero_when_decided() const { return debt_ >> 63; }

  // Makes the key live for as long as a benchmark runs.
  void load(uint64_t key) { take(key, hour_); }

  // How many live keys were forgotten for want of room.
  uint64_t lost() const {
    weir_counters_t counters;
    weir_zone_counters(zone_, &counters);
    return counters.evicted;
  }

 private:
  void attach() {
    weir_error_t error;
    must(weir_zone_attach(memory_.address(), memory_.size(), WEIR_FULL_EVICT, &zone_, &error) ==
             WEIR_OK,
         error.text);
  }

  bool take(uint64_t key, const weir_budget_t& budget) {
    weir_limit_t limit = limit_on(zone_, key, budget);
    const bool passed = weir_decide(&limit, 1, &clock_, nullptr) == WEIR_PASSED;
    debt_ = limit.debt;
    return passed;
  }

  Memory memory_;
  uint64_t debt_ = 0;  // of the key that was decided about last
  weir_budget_t budget_;
  weir_budget_t hour_;
  weir_zone_t* zone_ = nullptr;
  weir_clock_t clock_ = {weir_monotonic_now, nullptr};
};

#ifdef WEIR_BENCH_LIMIT_REQ

inline limit_req_zone_t* make_limit_req_zone(const Memory& memory, const weir_quota_t& quota) {
  const uint64_t rate = uint64_t{quota.tokens} * 1000 / quota.period;
  limit_req_zone_t* zone = limit_req_zone_new(memory.address(), memory.size(), rate);
  must(zone != nullptr, "limit_req_zone_new");
  return zone;
}

class LimitReq {
 public:
  // A node is 128 bytes, 32 of them to a page, which has 24 bytes of its own elsewhere.
  static constexpr size_t bytes_for(uint64_t keys) { return (64 << 10) + keys * 129; }

  LimitReq(size_t bytes, const weir_quota_t& quota) : memory_(bytes), quota_(quota) { clear(); }
  ~LimitReq() { release(); }
  LimitReq(const LimitReq&) = delete;
  LimitReq& operator=(const LimitReq&) = delete;

  void clear() {
    release();
    memory_.clear();
    zone_ = make_limit_req_zone(memory_, quota_);
    const uint64_t burst = quota_.burst;
    rules_ = limit_req_rules_new(&zone_, &burst, 1);
    must(rules_ != nullptr, "limit_req_rules_new");
  }
  void join() { memory_.map_pages(); }

  bool decide(uint64_t key) {
    if (turn_++ % 1024 == 0) limit_req_set_time(weir_monotonic_now(nullptr) / 1'000'000);
    return limit_req_decide(rules_, &key, sizeof key) == LIMIT_REQ_PASSED;
  }

  // limit_req decides by branches alone: nothing to wait for that a processor couldn't guess. But
  // its way through the tree is a chain of such branches.
  uint64_t zero_when_decided() const { return 0; }

  // A key stays until there is no room, or for a minute at least.
  void load(uint64_t key) { decide(key); }

  uint64_t lost() const { return limit_req_zone_full(zone_); }

 private:
  void release() {
    limit_req_rules_free(rules_);
    limit_req_zone_free(zone_);
  }

  Memory memory_;
  weir_quota_t quota_;
  limit_req_zone_t* zone_ = nullptr;
  limit_req_rules_t* rules_ = nullptr;
  uint32_t turn_ = 0;
};

#endif

}  // namespace weir::bench
