#include "kill/single_step.h"

#include <signal.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <new>
#include <stdexcept>
#include <string>
#include <system_error>

// The instruction that a process is sent to for a fork.
extern "C" const char weir_test_system_call[];
asm(".text\n"
    "weir_test_system_call:\n"
    "  syscall\n"
    "  ud2\n");

namespace weir::test {
namespace {

// No decision takes this many: one that does hangs.
constexpr uint64_t kMaxSteps = 10'000'000;

void check(long result, const char* what) {
  if (result == -1) throw std::system_error(errno, std::generic_category(), what);
}

int wait_for(pid_t pid) {
  int status = 0;
  check(waitpid(pid, &status, __WALL), "waitpid");
  return status;
}

// Waits until the process stops by `signal`, during `event` (PTRACE_EVENT_...) if not 0.
void expect_stop(pid_t pid, int signal, int event = 0) {
  const int status = wait_for(pid);
  if (WIFSTOPPED(status) && status >> 8 == (signal | event << 8)) return;
  throw std::runtime_error("the stepped process should have stopped by signal " +
                           std::to_string(signal) + ", its status is " + std::to_string(status));
}

void kill_and_wait(pid_t pid) {
  ::kill(pid, SIGKILL);
  const int status = wait_for(pid);
  if (!WIFSIGNALED(status) || WTERMSIG(status) != SIGKILL) {
    throw std::runtime_error("the stepped process ended with status " + std::to_string(status));
  }
}

}  // namespace

SteppedProcess::SteppedProcess(const std::function<void()>& set_up,
                               const std::function<void()>& work)
    : shared_(sizeof(Progress)), progress_(*new (shared_.address()) Progress) {
  // Copies are children of what was killed: adopt them, or they would stay zombies under an init
  // that doesn't wait for strangers.
  check(prctl(PR_SET_CHILD_SUBREAPER, 1), "prctl");
  pid_ = fork();
  check(pid_, "fork");
  if (pid_ == 0) {
    set_up();
    if (ptrace(PTRACE_TRACEME, 0, nullptr, nullptr) == -1) _exit(errno);
    raise(SIGSTOP);
    progress_.begun = true;
    work();
    progress_.done = true;
    while (true) pause();
  }
  const int status = wait_for(pid_);
  if (WIFEXITED(status)) {
    throw std::system_error(WEXITSTATUS(status), std::generic_category(),
                            "ptrace, which single-stepping needs, is not permitted here");
  }
  check(ptrace(PTRACE_SETOPTIONS, pid_, nullptr, PTRACE_O_EXITKILL | PTRACE_O_TRACEFORK),
        "PTRACE_SETOPTIONS");
  while (!progress_.begun) step();
}

SteppedProcess::~SteppedProcess() {
  ::kill(pid_, SIGKILL);
  waitpid(pid_, nullptr, __WALL);
}

bool SteppedProcess::step() {
  if (++steps_ > kMaxSteps) throw std::runtime_error("the stepped process does not end");
  check(ptrace(PTRACE_SINGLESTEP, pid_, nullptr, nullptr), "PTRACE_SINGLESTEP");
  expect_stop(pid_, SIGTRAP);
  return !progress_.done;
}

void SteppedProcess::kill() {
  user_regs_struct here{};
  check(ptrace(PTRACE_GETREGS, pid_, nullptr, &here), "PTRACE_GETREGS");
  user_regs_struct forking = here;
  forking.rip = reinterpret_cast<uintptr_t>(weir_test_system_call);
  forking.rax = SYS_fork;
  check(ptrace(PTRACE_SETREGS, pid_, nullptr, &forking), "PTRACE_SETREGS");
  check(ptrace(PTRACE_CONT, pid_, nullptr, nullptr), "PTRACE_CONT");
  expect_stop(pid_, SIGTRAP, PTRACE_EVENT_FORK);
  unsigned long copy = 0;
  check(ptrace(PTRACE_GETEVENTMSG, pid_, nullptr, &copy), "PTRACE_GETEVENTMSG");
  expect_stop(static_cast<pid_t>(copy), SIGSTOP);

  kill_and_wait(pid_);
  pid_ = static_cast<pid_t>(copy);
  check(ptrace(PTRACE_SETREGS, pid_, nullptr, &here), "PTRACE_SETREGS");
}

}  // namespace weir::test
