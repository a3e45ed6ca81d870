// A process that is run one machine instruction at a time, and killed after any of them.
//
// To kill a fresh process after its n-th instruction, for every n, takes n * n / 2 steps, at some
// ten thousand a second. So the process is copied instead: just before it is killed it forks, by a
// system call that ptrace puts in its way, and the copy, which stands at the same instruction with
// the same registers, goes on after the other's death. Each instruction is run once, and there is
// a real SIGKILL after each.
//
// What the process shares with its parent (MAP_SHARED) is left as it was when it died. Until the
// next step the parent may look at it, change it, and put it back.
//
// Linux on x86-64. What ptrace refuses is thrown as std::system_error.

#pragma once

#include <sys/types.h>

#include <atomic>
#include <cstdint>
#include <functional>

#include "support/zone_memory.h"

namespace weir::test {

class SteppedProcess {
 public:
  // The process runs `set_up` at full speed and stops before the first instruction of `work`.
  SteppedProcess(const std::function<void()>& set_up, const std::function<void()>& work);
  ~SteppedProcess();
  SteppedProcess(const SteppedProcess&) = delete;
  SteppedProcess& operator=(const SteppedProcess&) = delete;

  // Runs one instruction. False once `work` has returned.
  bool step();

  // Kills the process where it stands. A copy of it goes on with the next step.
  void kill();

 private:
  struct Progress {
    std::atomic<bool> begun{false};
    std::atomic<bool> done{false};
  };

  SharedMemory shared_;
  Progress& progress_;
  pid_t pid_;
  uint64_t steps_ = 0;
};

}  // namespace weir::test
