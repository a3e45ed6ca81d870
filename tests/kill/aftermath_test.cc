// What a server is left with when a worker has died at any instruction of a request under two
// limits: weir's, and nginx's own limit_req.
//
// Either has two zones of 1 MB. A process that decides about one request is killed after every
// instruction. Its master does what nginx's does for the dead, and a second process handles 100,000
// requests, each with a new key, a millisecond apart. All of them conform: one that is refused is
// refused for want of room. Many instructions change nothing in the zones, so the second process is
// sent in once for every state of theirs, and what it meets is counted for each kill that left it.
//
// What is found out about limit_req is printed. Asserted is that weir serves everybody, and that
// limit_req does not, without which there would be nothing to compare.

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <memory>
#include <span>

#include "kill/single_step.h"
#include "kill/snapshot.h"
#include "limit_req.h"
#include "support/manual_clock.h"
#include "support/zone_memory.h"

namespace weir {
namespace {

using test::ManualClock;
using test::must;
using test::SharedMemory;
using test::Snapshot;
using test::SteppedProcess;
using test::ZoneHandle;

constexpr size_t kZoneSize = 1 << 20;
constexpr unsigned kNewKeys = 100'000;

// Two limits on one key, 1r/s with a burst of 4 each, and what a server's processes share for them.
class Limiter {
 public:
  virtual ~Limiter() = default;

  // In each process, before its first request.
  virtual void attach() {}
  // Whether a request with this key passes.
  virtual bool passes(uint64_t key, uint64_t milliseconds) = 0;
  // In the master, when a process has died.
  virtual void clean_up_after(pid_t) {}

  const SharedMemory& memory() const { return memory_; }

 protected:
  void* zone(size_t i) const { return static_cast<uint8_t*>(memory_.address()) + i * kZoneSize; }

 private:
  SharedMemory memory_{2 * kZoneSize};
};

class Weir : public Limiter {
 public:
  Weir() {
    const Format format = test::ticks();
    for (size_t i = 0; i < 2; ++i) {
      must(weir_zone_format_zeroed(zone(i), kZoneSize, &format, nullptr) == WEIR_OK,
           "weir_zone_format_zeroed");
    }
    attach();
  }

  void attach() override {
    for (size_t i = 0; i < 2; ++i) {
      weir_zone_t* handle = nullptr;
      must(weir_zone_attach(zone(i), kZoneSize, WEIR_FULL_EVICT, &handle, nullptr) == WEIR_OK,
           "weir_zone_attach");
      handles_[i].reset(handle);
    }
  }

  bool passes(uint64_t key, uint64_t milliseconds) override {
    ManualClock time(milliseconds * 1'000'000);
    const weir_clock_t clock = time.handle();
    const auto bytes = std::as_bytes(std::span(&key, 1));
    weir_limit_t limits[] = {test::limit_on(handles_[0], bytes, budget_),
                             test::limit_on(handles_[1], bytes, budget_)};
    return weir_decide(limits, 2, &clock, nullptr) == WEIR_PASSED;
  }

 private:
  const Budget budget_ = test::budget("1r/s", 4);
  ZoneHandle handles_[2];
};

class LimitReq : public Limiter {
 public:
  LimitReq() {
    for (size_t i = 0; i < 2; ++i) {
      zones_[i] = limit_req_zone_new(zone(i), kZoneSize, 1000);
      must(zones_[i] != nullptr, "limit_req_zone_new");
    }
    const uint64_t bursts[] = {4, 4};
    rules_ = limit_req_rules_new(zones_, bursts, 2);
    must(rules_ != nullptr, "limit_req_rules_new");
  }
  ~LimitReq() override {
    limit_req_rules_free(rules_);
    for (auto* zone : zones_) limit_req_zone_free(zone);
  }

  bool passes(uint64_t key, uint64_t milliseconds) override {
    limit_req_set_time(milliseconds);
    return limit_req_decide(rules_, &key, sizeof key) == LIMIT_REQ_PASSED;
  }

  void clean_up_after(pid_t dead) override {
    for (auto* zone : zones_) limit_req_zone_force_unlock(zone, dead);
  }

 private:
  limit_req_zone_t* zones_[2];
  limit_req_rules_t* rules_;
};

// What the second process meets.
enum End { kServedAll, kRefusedSome, kRefusedForEver, kCrashed, kHung, kEnds };

struct Sequel {
  End end;
  unsigned served;
};

constexpr uint64_t kTimeOfKill = 1'000'000'000;  // ms
constexpr uint64_t kVictimsKey = 0;
constexpr uint64_t kFirstOldKey = 1;
constexpr uint64_t kFirstNewKey = 1'000'000;

// Sends kNewKeys requests from a process of its own, and puts the memory back.
Sequel go_on(Limiter& limiter) {
  struct Report {
    unsigned served;
    unsigned last_served;  // counted from 1
  };
  const Snapshot before(limiter.memory().address(), limiter.memory().size());
  SharedMemory shared(sizeof(Report));
  auto* report = static_cast<volatile Report*>(shared.address());

  const pid_t second = fork();
  must(second != -1, "fork");
  if (second == 0) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    // Processor time: all requests together need a tenth of a second, a loop without end takes all.
    const itimerval patience{.it_interval = {}, .it_value = {.tv_sec = 3, .tv_usec = 0}};
    setitimer(ITIMER_PROF, &patience, nullptr);
    limiter.attach();
    for (unsigned i = 1; i <= kNewKeys; ++i) {
      if (!limiter.passes(kFirstNewKey + i, kTimeOfKill + i)) continue;
      report->served = report->served + 1;
      report->last_served = i;
    }
    _exit(0);
  }
  int status = 0;
  must(waitpid(second, &status, 0) == second, "waitpid");
  before.put_back();

  const unsigned served = report->served;
  if (WIFSIGNALED(status)) return {WTERMSIG(status) == SIGPROF ? kHung : kCrashed, served};
  if (served == kNewKeys) return {kServedAll, served};
  constexpr unsigned kLong = 1000;
  return {report->last_served > kNewKeys - kLong ? kRefusedSome : kRefusedForEver, served};
}

// What one kind of request cost: the kills, by what came after them.
struct Toll {
  unsigned kills = 0;
  unsigned states = 0;
  unsigned ends[kEnds] = {};
  unsigned fewest_served = kNewKeys;  // where new keys are refused for ever
};

// Kills a process after each instruction of a request.
Toll kill_everywhere(Limiter& limiter) {
  SharedMemory shared(sizeof(pid_t));
  auto* pid = static_cast<pid_t*>(shared.address());
  SteppedProcess victim(
      [&] {
        limiter.attach();
        *pid = getpid();  // the copies don't learn of another, and so lock with this one
      },
      [&] { limiter.passes(kVictimsKey, kTimeOfKill); });

  Toll toll;
  Snapshot left(limiter.memory().address(), limiter.memory().size());
  Sequel sequel{};
  bool is_done = false;
  while (!is_done) {
    is_done = !victim.step();
    victim.kill();
    if (toll.kills == 0 || !left.is_unchanged()) {
      left.renew();
      limiter.clean_up_after(*pid);
      sequel = go_on(limiter);
      left.put_back();
      ++toll.states;
    }
    ++toll.kills;
    ++toll.ends[sequel.end];
    if (sequel.end == kRefusedForEver) {
      toll.fewest_served = std::min(toll.fewest_served, sequel.served);
    }
  }
  return toll;
}

void print(const char* limiter, const Toll& toll) {
  std::printf("%s: %u kills, which left %u states of the zones; of %u new keys then\n", limiter,
              toll.kills, toll.states, kNewKeys);
  std::printf("%7u kills: all were served\n", toll.ends[kServedAll]);
  std::printf("%7u kills: some were refused\n", toll.ends[kRefusedSome]);
  std::printf("%7u kills: all were refused from some time on", toll.ends[kRefusedForEver]);
  if (toll.ends[kRefusedForEver] > 0) std::printf(", after as few as %u", toll.fewest_served);
  std::printf("\n%7u kills: the second process crashed\n", toll.ends[kCrashed]);
  std::printf("%7u kills: the second process hung\n", toll.ends[kHung]);
}

// Both limiters, with `old_keys` in their zones, and the victim's key or not.
void expect_that_only_weir_is_unharmed(unsigned old_keys, bool victims_key_is_known) {
  const auto toll_of = [&](Limiter& limiter) {
    for (unsigned i = 0; i < old_keys; ++i) limiter.passes(kFirstOldKey + i, kTimeOfKill - 1000);
    if (victims_key_is_known) limiter.passes(kVictimsKey, kTimeOfKill - 1000);
    EXPECT_EQ(go_on(limiter).served, kNewKeys) << "without a kill";
    return kill_everywhere(limiter);
  };
  Weir weir;
  const Toll weirs = toll_of(weir);
  print("weir", weirs);
  EXPECT_EQ(weirs.ends[kServedAll], weirs.kills);
  EXPECT_GT(weirs.states, 2u);

  LimitReq limit_req;
  const Toll limit_reqs = toll_of(limit_req);
  print("limit_req", limit_reqs);
  EXPECT_GT(limit_reqs.ends[kServedAll], 0u);
  EXPECT_GT(limit_reqs.ends[kRefusedForEver], 0u);
}

TEST(AWorkerKilledAnywhere, InARequestWithAKnownKeyHarmsLimitReqAndNotWeir) {
  expect_that_only_weir_is_unharmed(100, true);
}

TEST(AWorkerKilledAnywhere, InARequestWithANewKeyHarmsLimitReqAndNotWeir) {
  expect_that_only_weir_is_unharmed(100, false);
}

TEST(AWorkerKilledAnywhere, InARequestWithANewKeyToFullZonesHarmsLimitReqAndNotWeir) {
  expect_that_only_weir_is_unharmed(200'000, false);
}

}  // namespace
}  // namespace weir
