// Processes on one zone, some of which are killed: the bound holds, and the others go on. Where
// exactly a kill strikes is luck; tests/kill leaves nothing to luck.

#include <gtest/gtest.h>
#include <sched.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <new>
#include <random>
#include <span>
#include <vector>

#include "support/actors.h"
#include "support/zone_memory.h"
#include "zone/zone.h"

namespace weir {
namespace {

using test::budget;
using test::SharedMemory;
using test::ZoneMemory;

constexpr uint64_t kAttempts = 3'000'000;
constexpr uint32_t kKeys = 64;
constexpr uint64_t kCapacity = 10;

// What the processes share beside the zone.
struct Board {
  std::atomic<uint64_t> attempts{0};
  std::atomic<uint64_t> admitted[kKeys]{};
};

// Random keys, until all attempts are made.
void hammer(const ZoneMemory& memory, Board& board) {
  const auto zone = memory.attach();
  const Budget slow = budget("1r/h", kCapacity - 1);
  const weir_clock_t standing = {[](void*) { return uint64_t{1'000'000'000}; }, nullptr};
  std::minstd_rand random(static_cast<unsigned>(getpid()));
  while (board.attempts.fetch_add(1) < kAttempts) {
    const auto key = static_cast<uint32_t>(random() % kKeys);
    weir_limit_t limit = test::limit_on(zone, std::as_bytes(std::span(&key, 1)), slow);
    if (weir_decide(&limit, 1, &standing, nullptr) == WEIR_PASSED) board.admitted[key].fetch_add(1);
  }
}

bool is_any_running(const std::vector<pid_t>& children) {
  return std::ranges::any_of(children, [](pid_t child) {
    siginfo_t ended{};
    return waitid(P_PID, static_cast<id_t>(child), &ended, WEXITED | WNOHANG | WNOWAIT) == 0 &&
           ended.si_pid == 0;
  });
}

class KilledProcesses : public testing::TestWithParam<unsigned> {};

TEST_P(KilledProcesses, LoseAtMostATokenEachAndLeaveTheRestToTheOthers) {
  constexpr unsigned kKills = 60;
  ZoneMemory memory;
  SharedMemory shared(sizeof(Board));
  Board& board = *new (shared.address()) Board;
  const auto start = [&] { return test::spawn([&] { hammer(memory, board); }); };
  std::vector<pid_t> children;
  for (unsigned i = 0; i < GetParam(); ++i) children.push_back(start());

  std::minstd_rand random(42);
  unsigned killed = 0;
  for (unsigned i = 0; i < kKills; ++i) {
    const uint64_t until = board.attempts.load() + random() % (kAttempts / kKills);
    while (board.attempts.load() < std::min(until, kAttempts) && is_any_running(children)) {
      sched_yield();
    }
    pid_t& victim = children[random() % children.size()];
    kill(victim, SIGKILL);
    int status = 0;
    ASSERT_EQ(waitpid(victim, &status, 0), victim);
    killed += WIFSIGNALED(status);
    victim = start();
  }
  EXPECT_TRUE(test::end_well(children));
  EXPECT_GT(killed, kKills / 4) << "the run ended before the kills";

  uint64_t missing = 0;
  for (const auto& admitted : board.admitted) {
    EXPECT_LE(admitted.load(), kCapacity);
    missing += kCapacity - std::min(kCapacity, admitted.load());
  }
  EXPECT_LE(missing, killed);
}

INSTANTIATE_TEST_SUITE_P(, KilledProcesses, testing::Values(2, 4),
                         testing::PrintToStringParamName());

}  // namespace
}  // namespace weir
