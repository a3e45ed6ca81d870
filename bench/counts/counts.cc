// Counts that no noise of the machine can change: how many instructions a decision of each kind
// takes, and how many bytes a live key.
//
//   weir_counts instructions
//       to be run by valgrind --tool=callgrind, which counts: each kind's count is a dump named so.
//       Prints lines of kind and number of decisions.
//   weir_counts bytes
//       prints lines of kind and bytes per key.
//
// compare.py runs it. Kinds are CONTESTANT.KIND, where the contestant is weir or nginx's limit_req,
// and the kind one of
//   hit      one of a thousand live keys, admitted
//   reject   the same, refused
//   insert   a new key
//   evict    a new key, where a live one has to be forgotten for it
//   revive   a key that comes back after its debt is paid
//   refund   a hit, and the refund of what it was charged
//   three    a request under three limits, each of its own zone, admitted
//   three_reject  the same, refused by the last one
//
// The clock is a variable and the hash secret is fixed, so that every run counts the same. The
// loop around a decision, which finds its key, is counted with it.

#include <sys/mman.h>
#include <valgrind/callgrind.h>

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>

#include "../micro/contestants.h"
#include "../micro/keys.h"
#include "../micro/memory.h"
#include "weir/weir.h"
#include "zone/layout.h"

namespace weir::bench {
namespace {

constexpr uint64_t kDecisions = 4096;
constexpr uint64_t kLiveKeys = 1000;
constexpr uint64_t kMillisecond = 1'000'000;

// Nanoseconds.
uint64_t now = 1'000'000'000;

const weir_clock_t kClock = {[](void*) { return now; }, nullptr};

class WeirZone {
 public:
  WeirZone(size_t bytes, const weir_quota_t& quota, uint8_t secret = 1)
      : memory_(bytes), budget_(make_budget(quota)) {
    weir_error_t error;
    must(weir_zone_format(memory_.address(), bytes, &kFormat, &error) == WEIR_OK, error.text);
    for (uint8_t& byte : static_cast<Header*>(memory_.address())->secret) byte = secret += 37;
    must(weir_zone_attach(memory_.address(), bytes, WEIR_FULL_EVICT, &zone_, &error) == WEIR_OK,
         error.text);
  }
  ~WeirZone() { weir_zone_detach(zone_); }
  WeirZone(const WeirZone&) = delete;
  WeirZone& operator=(const WeirZone&) = delete;

  weir_limit_t limit(const uint64_t& key) const { return limit_on(zone_, key, budget_); }

  bool decide(uint64_t key) {
    weir_limit_t one = limit(key);
    return weir_decide(&one, 1, &kClock, nullptr) == WEIR_PASSED;
  }

  uint64_t lost() const {
    weir_counters_t counters;
    weir_zone_counters(zone_, &counters);
    return counters.evicted;
  }

 private:
  Memory memory_;
  weir_zone_t* zone_ = nullptr;
  weir_budget_t budget_;
};

// Three zones, and the limits of a request with this key in each.
class ThreeWeirZones {
 public:
  explicit ThreeWeirZones(const weir_quota_t& last)
      : first_(1 << 20, kGenerous), second_(1 << 20, kGenerous), third_(1 << 20, last) {}

  bool decide(uint64_t key) {
    weir_limit_t limits[] = {first_.limit(key), second_.limit(key), third_.limit(key)};
    return weir_decide(limits, 3, &kClock, nullptr) == WEIR_PASSED;
  }

 private:
  WeirZone first_, second_, third_;
};

struct CountedWeir {
  static constexpr const char* kName = "weir";
  using Zone = WeirZone;
  using ThreeZones = ThreeWeirZones;
};

#ifdef WEIR_BENCH_LIMIT_REQ

bool decide_by(limit_req_rules_t* rules, uint64_t key) {
  limit_req_set_time(now / kMillisecond);
  return limit_req_decide(rules, &key, sizeof key) == LIMIT_REQ_PASSED;
}

class LimitReqZone {
 public:
  LimitReqZone(size_t bytes, const weir_quota_t& quota)
      : memory_(bytes), zone_(make_limit_req_zone(memory_, quota)) {
    const uint64_t burst = quota.burst;
    rules_ = limit_req_rules_new(&zone_, &burst, 1);
    must(rules_ != nullptr, "limit_req_rules_new");
  }
  ~LimitReqZone() {
    limit_req_rules_free(rules_);
    limit_req_zone_free(zone_);
  }
  LimitReqZone(const LimitReqZone&) = delete;
  LimitReqZone& operator=(const LimitReqZone&) = delete;

  bool decide(uint64_t key) { return decide_by(rules_, key); }
  uint64_t lost() const { return limit_req_zone_full(zone_); }

 private:
  Memory memory_;
  limit_req_zone_t* zone_;
  limit_req_rules_t* rules_;
};

class ThreeLimitReqZones {
 public:
  explicit ThreeLimitReqZones(const weir_quota_t& last)
      : memory_{Memory(1 << 20), Memory(1 << 20), Memory(1 << 20)},
        zones_{make_limit_req_zone(memory_[0], kGenerous),
               make_limit_req_zone(memory_[1], kGenerous), make_limit_req_zone(memory_[2], last)} {
    const uint64_t bursts[] = {kGenerous.burst, kGenerous.burst, last.burst};
    rules_ = limit_req_rules_new(zones_, bursts, 3);
    must(rules_ != nullptr, "limit_req_rules_new");
  }
  ~ThreeLimitReqZones() {
    limit_req_rules_free(rules_);
    for (limit_req_zone_t* zone : zones_) limit_req_zone_free(zone);
  }
  ThreeLimitReqZones(const ThreeLimitReqZones&) = delete;
  ThreeLimitReqZones& operator=(const ThreeLimitReqZones&) = delete;

  bool decide(uint64_t key) { return decide_by(rules_, key); }

 private:
  Memory memory_[3];
  limit_req_zone_t* zones_[3];
  limit_req_rules_t* rules_;
};

struct CountedLimitReq {
  static constexpr const char* kName = "limit_req";
  using Zone = LimitReqZone;
  using ThreeZones = ThreeLimitReqZones;
};

#endif

// Counts the instructions of kDecisions calls of decide(i), each of which has to return `expected`.
template <class Decide>
void measure(const char* contestant, const char* kind, bool expected, Decide&& decide) {
  const std::string name = contestant + ('.' + std::string(kind));
  uint64_t as_expected = 0;
  CALLGRIND_ZERO_STATS;
  for (uint64_t i = 0; i < kDecisions; ++i) as_expected += decide(i) == expected;
  CALLGRIND_DUMP_STATS_AT(name.c_str());
  must(as_expected == kDecisions,
       ("a decision had another outcome than its kind: " + name).c_str());
  std::printf("%s\t%ju\n", name.c_str(), static_cast<uintmax_t>(kDecisions));
}

template <class Zone>
void load(Zone& zone, uint64_t keys) {
  for (uint64_t i = 0; i < keys; ++i) zone.decide(key_of(i));
}

template <class Contestant>
void count_instructions() {
  using Zone = typename Contestant::Zone;
  using ThreeZones = typename Contestant::ThreeZones;
  const char* name = Contestant::kName;
  const auto live = [](uint64_t i) { return key_of(i % kLiveKeys); };
  {
    Zone zone(1 << 20, kGenerous);
    load(zone, kLiveKeys);
    measure(name, "hit", true, [&](uint64_t i) { return zone.decide(live(i)); });
    measure(name, "revive", true, [&](uint64_t i) {
      now += kMillisecond;
      return zone.decide(live(i));
    });
  }
  {
    Zone zone(1 << 20, kStingy);
    load(zone, kLiveKeys);
    measure(name, "reject", false, [&](uint64_t i) { return zone.decide(live(i)); });
    measure(name, "insert", true, [&](uint64_t i) { return zone.decide(key_of(kLiveKeys + i)); });
    must(zone.lost() == 0, "an insertion was to find room");
  }
  {
    constexpr uint64_t kFill = 3 * 8192;
    Zone zone(1 << 16, kStingy);
    load(zone, kFill);
    const uint64_t lost_before = zone.lost();
    measure(name, "evict", true, [&](uint64_t i) { return zone.decide(key_of(kFill + i)); });
    must(zone.lost() - lost_before > kDecisions * 99 / 100, "insertions were to find no room");
  }
  {
    ThreeZones zones(kGenerous);
    load(zones, kLiveKeys);
    measure(name, "three", true, [&](uint64_t i) { return zones.decide(live(i)); });
  }
  {
    ThreeZones zones(kStingy);
    load(zones, kLiveKeys);
    measure(name, "three_reject", false, [&](uint64_t i) { return zones.decide(live(i)); });
  }
}

void count_refunds() {
  WeirZone zone(1 << 20, kGenerous);
  load(zone, kLiveKeys);
  measure(CountedWeir::kName, "refund", true, [&](uint64_t i) {
    const uint64_t key = key_of(i % kLiveKeys);
    weir_limit_t limit = zone.limit(key);
    const bool passed = weir_decide(&limit, 1, &kClock, nullptr) == WEIR_PASSED;
    weir_refund(&limit, &kClock);
    return passed;
  });
}

// Bytes of a 1 MB zone for each key that it holds when the next live one is lost.
template <class Zone>
double bytes_per_key(Zone&& zone) {
  uint64_t keys = 0;
  for (;; ++keys) {
    zone.decide(key_of(keys));
    if (zone.lost() != 0) return static_cast<double>(1 << 20) / static_cast<double>(keys);
  }
}

// weir's depend on its secret: the mean over some.
void count_bytes() {
  constexpr uint8_t kSecrets = 16;
  double sum = 0;
  for (uint8_t secret = 0; secret < kSecrets; ++secret) {
    sum += bytes_per_key(WeirZone(1 << 20, kStingy, secret));
  }
  std::printf("weir.bytes_per_key\t%.3f\n", sum / kSecrets);
#ifdef WEIR_BENCH_LIMIT_REQ
  std::printf("limit_req.bytes_per_key\t%.3f\n", bytes_per_key(LimitReqZone(1 << 20, kStingy)));
#endif
}

}  // namespace
}  // namespace weir::bench

int main(int argc, char** argv) {
  using namespace weir::bench;
  const std::string what = argc == 2 ? argv[1] : "";
  if (what == "instructions") {
    count_instructions<CountedWeir>();
    count_refunds();
#ifdef WEIR_BENCH_LIMIT_REQ
    count_instructions<CountedLimitReq>();
#endif
  } else if (what == "bytes") {
    count_bytes();
  } else {
    std::fprintf(stderr, "weir_counts: expected one word: instructions or bytes\n");
    return 2;
  }
  return 0;
}
