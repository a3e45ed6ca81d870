// The tool that the other kill tests rely on.

#include "kill/single_step.h"

#include <gtest/gtest.h>
#include <sys/ptrace.h>

#include <system_error>

namespace weir::test {
namespace {

TEST(SteppedProcess, DiesAfterEachInstructionAndGoesOnFromThere) {
  constexpr int kStores = 20;
  SharedMemory shared(sizeof(int));
  auto* stored = static_cast<volatile int*>(shared.address());
  SteppedProcess process([] {},
                         [&] {
                           for (int i = 1; i <= kStores; ++i) *stored = i;
                         });
  int seen = 0;
  bool is_done = false;
  while (!is_done) {
    is_done = !process.step();
    process.kill();
    ASSERT_TRUE(*stored == seen || *stored == seen + 1) << *stored << " after " << seen;
    seen = *stored;
  }
  EXPECT_EQ(seen, kStores);
}

TEST(SteppedProcess, SeesWhatItsParentChangesBetweenTwoInstructions) {
  SharedMemory shared(sizeof(int));
  auto* flag = static_cast<volatile int*>(shared.address());
  SteppedProcess process([] {},
                         [&] {
                           while (*flag == 0) continue;
                         });
  for (int i = 0; i < 20; ++i) {
    ASSERT_TRUE(process.step());
    process.kill();
  }
  *flag = 1;
  while (process.step()) continue;  // throws if there is no end to it
}

TEST(SteppedProcess, SaysSoWherePtraceIsNotPermitted) {
  const auto be_traced_already = [] { ptrace(PTRACE_TRACEME, 0, nullptr, nullptr); };
  EXPECT_THROW(SteppedProcess(be_traced_already, [] {}), std::system_error);
}

}  // namespace
}  // namespace weir::test
