// Actors: processes or threads that run one body at once.
//
// What they have in common lies in SharedMemory, for threads as well: so one body does for both
// kinds. They are bound to the processors in turn, so that as many as can do run at once, in the
// shortest of runs, too.

#pragma once

#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <functional>
#include <ostream>
#include <string>
#include <thread>
#include <vector>

#include "support/zone_memory.h"

namespace weir::test {

struct Crew {
  enum Kind { kProcesses, kThreads } kind;
  unsigned size;

  std::string name() const {
    return std::to_string(size) + (kind == kProcesses ? "Processes" : "Threads");
  }
};

inline constexpr Crew kCrews[] = {{Crew::kProcesses, 2}, {Crew::kProcesses, 4},
                                  {Crew::kProcesses, 8}, {Crew::kThreads, 2},
                                  {Crew::kThreads, 4},   {Crew::kThreads, 8}};
inline constexpr unsigned kMaxActors = 8;

inline void PrintTo(const Crew& crew, std::ostream* out) { *out << crew.name(); }

// Runs body() in a child process, which does not outlive the test.
inline pid_t spawn(const std::function<void()>& body) {
  const pid_t child = fork();
  must(child >= 0, "fork");
  if (child == 0) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    body();
    _exit(0);
  }
  return child;
}

// Waits until all have ended. Returns whether each did by itself, and well; if one did not, the
// others, who may be waiting for it, are killed.
inline bool end_well(std::vector<pid_t> children) {
  bool well = true;
  while (!children.empty()) {
    int status = 0;
    const pid_t child = waitpid(-1, &status, 0);
    must(std::erase(children, child) == 1, "waitpid");
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0) continue;
    if (well) std::ranges::for_each(children, [](pid_t other) { kill(other, SIGKILL); });
    well = false;
  }
  return well;
}

// Binds the caller to one of the processors that it may run on.
inline void bind_to_processor(unsigned number) {
  cpu_set_t allowed;
  must(sched_getaffinity(0, sizeof allowed, &allowed) == 0, "sched_getaffinity");
  number %= static_cast<unsigned>(CPU_COUNT(&allowed));
  for (unsigned cpu = 0;; ++cpu) {
    if (!CPU_ISSET(cpu, &allowed) || number-- > 0) continue;
    cpu_set_t one;
    CPU_ZERO(&one);
    CPU_SET(cpu, &one);
    must(sched_setaffinity(0, sizeof one, &one) == 0, "sched_setaffinity");
    return;
  }
}

// Runs body(0), body(1), ... at once. Returns whether all came to their ends.
inline bool run_together(const Crew& crew, const std::function<void(unsigned)>& body) {
  const auto act = [&](unsigned me) {
    bind_to_processor(me);
    body(me);
  };
  if (crew.kind == Crew::kProcesses) {
    std::vector<pid_t> children;
    for (unsigned me = 0; me < crew.size; ++me) children.push_back(spawn([&] { act(me); }));
    return end_well(children);
  }
  std::vector<std::thread> threads;
  for (unsigned me = 0; me < crew.size; ++me) threads.emplace_back(act, me);
  for (std::thread& thread : threads) thread.join();
  return true;
}

// Where actors wait until all are there, so that no one is done before the last has begun.
class StartingLine {
 public:
  explicit StartingLine(unsigned actors) : missing_(actors) {}

  void wait() {
    missing_.fetch_sub(1);
    for (unsigned spins = 0; missing_.load() != 0; ++spins) {
      if (spins > 100) sched_yield();
    }
  }

 private:
  std::atomic<unsigned> missing_;
};

}  // namespace weir::test
