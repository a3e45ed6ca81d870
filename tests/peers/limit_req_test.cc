// nginx's limit_req behaves as nginx's documentation says when it runs as a library: what is
// measured beside weir, and killed beside weir, is the real thing.

#include "limit_req.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <memory>
#include <new>
#include <string_view>
#include <vector>

#include "support/zone_memory.h"

namespace weir {
namespace {

using test::must;
using test::SharedMemory;

struct Free {
  void operator()(limit_req_zone_t* zone) const { limit_req_zone_free(zone); }
  void operator()(limit_req_rules_t* rules) const { limit_req_rules_free(rules); }
};
using Rules = std::unique_ptr<limit_req_rules_t, Free>;

class PeerZone {
 public:
  explicit PeerZone(uint64_t rate, size_t size = 1 << 20)
      : memory_(size), zone_(limit_req_zone_new(memory_.address(), size, rate)) {
    must(zone_ != nullptr, "limit_req_zone_new");
  }
  limit_req_zone_t* get() const { return zone_.get(); }

 private:
  SharedMemory memory_;
  std::unique_ptr<limit_req_zone_t, Free> zone_;
};

Rules make_rules(const std::vector<limit_req_zone_t*>& zones, const std::vector<uint64_t>& bursts) {
  Rules rules(limit_req_rules_new(zones.data(), bursts.data(), zones.size()));
  must(rules != nullptr, "limit_req_rules_new");
  return rules;
}

limit_req_verdict_t decide(const Rules& rules, std::string_view key) {
  return limit_req_decide(rules.get(), key.data(), key.size());
}

constexpr uint64_t kOnePerSecond = 1000;

TEST(LimitReq, LetsBurstAndOneThroughAndPaysOffWithTime) {
  const PeerZone zone(kOnePerSecond);
  const Rules rules = make_rules({zone.get()}, {2});
  limit_req_set_time(5000);
  for (int i = 0; i < 3; ++i) EXPECT_EQ(decide(rules, "a"), LIMIT_REQ_PASSED) << i;
  EXPECT_EQ(decide(rules, "a"), LIMIT_REQ_REJECTED);
  EXPECT_EQ(decide(rules, "b"), LIMIT_REQ_PASSED);
  limit_req_set_time(5999);
  EXPECT_EQ(decide(rules, "a"), LIMIT_REQ_REJECTED);
  limit_req_set_time(6000);
  EXPECT_EQ(decide(rules, "a"), LIMIT_REQ_PASSED);
  EXPECT_EQ(decide(rules, ""), LIMIT_REQ_PASSED);
  EXPECT_EQ(limit_req_zone_keys(zone.get()), 2u);
}

TEST(LimitReq, ChargesNoRuleIfTheLastRejects) {
  const PeerZone wide(kOnePerSecond), narrow(kOnePerSecond);
  const Rules both = make_rules({wide.get(), narrow.get()}, {1, 0});
  const Rules only_wide = make_rules({wide.get()}, {1});
  limit_req_set_time(1000);
  EXPECT_EQ(decide(both, "a"), LIMIT_REQ_PASSED);
  EXPECT_EQ(decide(both, "a"), LIMIT_REQ_REJECTED);
  EXPECT_EQ(decide(only_wide, "a"), LIMIT_REQ_PASSED);
}

TEST(LimitReq, DropsTheOldestKeyWhenTheZoneIsFull) {
  const PeerZone zone(1);
  const Rules rules = make_rules({zone.get()}, {0});
  limit_req_set_time(1000);
  EXPECT_EQ(decide(rules, "first"), LIMIT_REQ_PASSED);
  uint64_t key = 0;
  while (limit_req_zone_full(zone.get()) == 0) {
    ASSERT_EQ(limit_req_decide(rules.get(), &key, sizeof key), LIMIT_REQ_PASSED);
    ASSERT_LT(++key, 1u << 20);
  }
  EXPECT_EQ(limit_req_zone_keys(zone.get()), key);
  EXPECT_EQ(decide(rules, "first"), LIMIT_REQ_PASSED);  // forgotten, with its debt
}

// Many processes, one key, no time passing: the mutex works across fork.
TEST(LimitReq, CountsExactlyOverProcesses) {
  constexpr uint64_t kBurst = 49'999;
  const PeerZone zone(1);
  const Rules rules = make_rules({zone.get()}, {kBurst});
  const SharedMemory shared(sizeof(std::atomic<uint64_t>));
  auto& admitted = *new (shared.address()) std::atomic<uint64_t>(0);
  limit_req_set_time(1000);
  std::vector<pid_t> children;
  for (int i = 0; i < 3; ++i) {
    const pid_t child = fork();
    if (child == 0) {
      for (int n = 0; n < 20'000; ++n) admitted += decide(rules, "hot") == LIMIT_REQ_PASSED;
      _exit(0);
    }
    children.push_back(child);
  }
  for (const pid_t child : children) {
    int status = 0;
    ASSERT_EQ(waitpid(child, &status, 0), child);
    EXPECT_EQ(status, 0);
  }
  EXPECT_EQ(admitted, kBurst + 1);
}

// A worker that dies between two rules holds no lock, but has pinned the first rule's key.
TEST(LimitReq, AKillBetweenTwoRulesPinsAKeyForEver) {
  const PeerZone first(kOnePerSecond), second(kOnePerSecond);
  const Rules rules = make_rules({first.get(), second.get()}, {0, 0});
  limit_req_set_time(1000);
  const pid_t child = fork();
  if (child == 0) {
    limit_req_before_rule = [](size_t rule) {
      if (rule == 1) kill(getpid(), SIGKILL);
    };
    decide(rules, "pinned");
    _exit(1);
  }
  int status = 0;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  ASSERT_TRUE(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL) << status;
  EXPECT_EQ(limit_req_zone_force_unlock(first.get(), child), 0);

  // Long after everything is paid off, new keys fill the zone and find no room: the pinned key is
  // the oldest, and nothing behind it is dropped.
  limit_req_set_time(10'000'000);
  uint64_t passed = 0;
  for (uint64_t key = 0; key < 20'000; ++key) {
    passed += limit_req_decide(rules.get(), &key, sizeof key) == LIMIT_REQ_PASSED;
  }
  EXPECT_LT(passed, 10'000u);
  EXPECT_EQ(limit_req_decide(rules.get(), "new", 3), LIMIT_REQ_NO_NODE);
}

}  // namespace
}  // namespace weir
