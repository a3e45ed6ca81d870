// Forked processes on one zone, some of them killed: the bound holds, and everybody goes on.
//
// The clock is a number in shared memory that the processes themselves move on, so that what may be
// admitted over the whole run is known exactly.

#include <gtest/gtest.h>
#include <sched.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <new>
#include <random>
#include <vector>

#include "support/zone_memory.h"
#include "zone/zone.h"

namespace weir {
namespace {

using test::budget;
using test::SharedMemory;
using test::ZoneMemory;

constexpr unsigned kKeys = 64;

// What the processes share beside the zone.
struct Board {
  std::atomic<uint64_t> clock{1'000'000'000};
  std::atomic<uint64_t> attempts{0};
  std::atomic<uint64_t> admitted[kKeys]{};
  std::atomic<uint64_t> reached[8]{};  // per process: the round it is in
};

class ProcessesTest : public testing::TestWithParam<unsigned> {
 protected:
  ProcessesTest() : shared_(sizeof(Board)), board_(*new (shared_.address()) Board) {}

  weir_clock_t clock() {
    return {[](void* board) { return static_cast<Board*>(board)->clock.load(); }, &board_};
  }

  template <class Body>
  pid_t spawn(Body&& body) {
    const pid_t child = fork();
    if (child == 0) {
      body();
      _exit(0);
    }
    return child;
  }

  static bool is_any_running(const std::vector<pid_t>& children) {
    return std::ranges::any_of(children, [](pid_t child) {
      siginfo_t ended{};
      return waitid(P_PID, static_cast<id_t>(child), &ended, WEXITED | WNOHANG | WNOWAIT) == 0 &&
             ended.si_pid == 0;
    });
  }

  // Waits for a child that must end by itself.
  static void expect_clean_exit(pid_t child) {
    int status = 0;
    ASSERT_EQ(waitpid(child, &status, 0), child);
    EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0) << status;
  }

  SharedMemory shared_;
  Board& board_;
};

weir_verdict_t take(weir_zone_t* zone, uint64_t key, const Budget& budget,
                    const weir_clock_t& clock) {
  weir_limit_t limit{};
  limit.zone = zone;
  limit.key = &key;
  limit.key_length = sizeof key;
  limit.budget = budget;
  limit.cost = 1;
  return weir_decide(&limit, 1, &clock, nullptr);
}

// Random keys until `attempts` are made in total, time moving on by 1 us each.
void hammer(const ZoneMemory& memory, Board& board, const weir_clock_t& clock, const Budget& budget,
            uint64_t attempts) {
  const auto zone = memory.attach();
  std::minstd_rand random(static_cast<unsigned>(getpid()));
  while (board.attempts.fetch_add(1) < attempts) {
    board.clock.fetch_add(1000);
    const uint64_t key = random() % kKeys;
    if (take(zone.get(), key, budget, clock) == WEIR_PASSED) board.admitted[key].fetch_add(1);
  }
}

void expect_bound(const Board& board, const Quota& quota) {
  const uint64_t elapsed = board.clock.load() - 1'000'000'000;
  const uint64_t earned = elapsed / 1'000'000'000 * quota.tokens / quota.period;
  for (unsigned key = 0; key < kKeys; ++key) {
    EXPECT_LE(board.admitted[key].load(), quota.burst + 1 + earned + 1) << key;
  }
}

TEST_P(ProcessesTest, NeverAdmitMoreThanTheBoundTogether) {
  const Quota quota = test::quota("20r/s", 9);
  const Budget twenty = budget("20r/s", 9);
  ZoneMemory memory;
  std::vector<pid_t> children;
  for (unsigned i = 0; i < GetParam(); ++i) {
    children.push_back(spawn([&] { hammer(memory, board_, clock(), twenty, 2'000'000); }));
  }
  for (const pid_t child : children) expect_clean_exit(child);
  expect_bound(board_, quota);
  // Two seconds of model time at 20r/s for 64 keys that ask far more often than that: none of the
  // budget may be lost either.
  for (unsigned key = 0; key < kKeys; ++key)
    EXPECT_GE(board_.admitted[key].load(), 10u + 38u) << key;
}

TEST_P(ProcessesTest, NeverAdmitMoreThanTheBoundWhenSomeAreKilled) {
  constexpr uint64_t kAttempts = 3'000'000;
  constexpr unsigned kKills = 60;
  const Quota quota = test::quota("1r/h", 9);
  const Budget slow = budget("1r/h", 9);
  ZoneMemory memory;
  const auto start = [&] {
    return spawn([&] { hammer(memory, board_, clock(), slow, kAttempts); });
  };
  std::vector<pid_t> children;
  for (unsigned i = 0; i < GetParam(); ++i) children.push_back(start());

  std::minstd_rand random(42);
  unsigned killed = 0;
  for (unsigned i = 0; i < kKills; ++i) {
    const uint64_t until = board_.attempts.load() + random() % (kAttempts / kKills);
    while (board_.attempts.load() < std::min(until, kAttempts) && is_any_running(children)) {
      sched_yield();
    }
    pid_t& victim = children[random() % children.size()];
    kill(victim, SIGKILL);
    int status = 0;
    ASSERT_EQ(waitpid(victim, &status, 0), victim);
    killed += WIFSIGNALED(status);
    victim = start();
  }
  for (const pid_t child : children) expect_clean_exit(child);
  EXPECT_GT(killed, kKills / 4) << "the run ended before the kills";
  expect_bound(board_, quota);

  // A kill strands at most one charge or one claim: the rest of every budget was handed out.
  uint64_t missing = 0;
  for (unsigned key = 0; key < kKeys; ++key)
    missing += 10 - std::min<uint64_t>(10, board_.admitted[key]);
  EXPECT_LE(missing, killed);
}

// All processes insert the same fresh key at the same moment, again and again: the hard part of the
// protocol. Exactly one of them is admitted, each time.
TEST_P(ProcessesTest, OfAllThatInsertOneKeyAtOnceExactlyOneIsAdmitted) {
  constexpr uint64_t kRounds = 20'000;
  const Budget one = budget("1r/h");
  ZoneMemory memory(64 << 20);
  SharedMemory results(kRounds * sizeof(std::atomic<uint32_t>));
  auto* admitted = static_cast<std::atomic<uint32_t>*>(results.address());
  const unsigned processes = GetParam();
  std::vector<pid_t> children;
  for (unsigned me = 0; me < processes; ++me) {
    children.push_back(spawn([&, me] {
      const auto zone = memory.attach();
      for (uint64_t round = 0; round < kRounds; ++round) {
        board_.reached[me].store(round + 1);
        for (unsigned other = 0; other < processes; ++other) {
          for (unsigned spins = 0; board_.reached[other].load() <= round; ++spins) {
            if (spins > 100) sched_yield();
          }
        }
        if (take(zone.get(), round, one, clock()) == WEIR_PASSED) admitted[round].fetch_add(1);
      }
    }));
  }
  for (const pid_t child : children) expect_clean_exit(child);
  for (uint64_t round = 0; round < kRounds; ++round) ASSERT_EQ(admitted[round].load(), 1u) << round;
  EXPECT_EQ(memory.attach()->counters().exhausted, 0u);
}

INSTANTIATE_TEST_SUITE_P(Count, ProcessesTest, testing::Values(2, 4));

}  // namespace
}  // namespace weir
