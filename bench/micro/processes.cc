// How the throughput of one zone grows with the processes that use it: forked processes, as nginx's
// workers are, and no threads.
//
//   weir_processes ROUNDS MILLISECONDS
//
// Each case runs for so many milliseconds with 1, 2 and 4 processes, after as many that only warm
// the caches; a round is all of that for all contestants, so that what disturbs the machine for a
// while disturbs all alike. Prints, for every run, a line of case, contestant, processes, round,
// decisions a second of all its processes together, and the share of the time that the unluckiest
// of them waited for a processor though it had work; separated by tabs. Each process is bound to a
// processor, as by nginx's worker_cpu_affinity, and to the next one in the next round. Where there
// are processors enough and one waited nonetheless, something else was running, and the figure says
// nothing: such a run is repeated a few times.
//
// Cases:
//   own       every process decides about one key, its own
//   disjoint  about random ones of its own 250,000 keys, in a zone with a million live keys,
//             most of which the processor's caches hold
//   wide      about random ones of its own 2.5 million keys, in a zone with ten million live
//             keys, which is mostly in memory; weir only, since limit_req would need 1.3 GB
//   hot       all about one key
//
// The zones' processes share what nginx's workers would: the zone's memory, by fork.

#include <sched.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <charconv>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <new>
#include <thread>
#include <vector>

#include "contestants.h"
#include "keys.h"
#include "memory.h"

namespace weir::bench {
namespace {

constexpr unsigned kMostProcesses = 4;
constexpr uint64_t kKeysEach = 250'000;
constexpr uint64_t kKeysEachWide = 2'500'000;

// How often a disturbed run is tried, and as a share of its time, how long a process waits then.
constexpr int kTries = 10;
constexpr double kMostWaited = 0.02;

enum class Case { kOwn, kDisjoint, kWide, kHot };

const char* name_of(Case which) {
  switch (which) {
    case Case::kOwn:
      return "own";
    case Case::kDisjoint:
      return "disjoint";
    case Case::kWide:
      return "wide";
    case Case::kHot:
      return "hot";
  }
  return "";
}

struct Result {
  double per_second;
  double waited;
};

// What a run's processes share beside the zone.
struct Board {
  std::atomic<unsigned> ready;
  std::atomic<bool> go;
  std::atomic<bool> warm;
  std::atomic<bool> stop;
  // One for each process, written at its end.
  Result results[kMostProcesses];
};

// The numbers of the keys that a process draws from: `count` from `first` on.
struct Range {
  uint64_t first;
  uint64_t count;
};

Range range_of(Case which, unsigned process) {
  switch (which) {
    case Case::kOwn:
      return {process * kKeysEach, 1};
    case Case::kDisjoint:
      return {process * kKeysEach, kKeysEach};
    case Case::kWide:
      return {process * kKeysEachWide, kKeysEachWide};
    case Case::kHot:
      break;
  }
  return {0, 1};
}

// Nanoseconds that this process could have run and did not (Documentation/scheduler/sched-stats of
// Linux); 0 where the kernel does not count them.
uint64_t nanoseconds_waited() {
  uintmax_t waited = 0;
  if (std::FILE* file = std::fopen("/proc/self/schedstat", "r")) {
    if (std::fscanf(file, "%*u %ju", &waited) != 1) waited = 0;
    std::fclose(file);
  }
  return waited;
}

void bind_to_processor(unsigned number) {
  cpu_set_t processor;
  CPU_ZERO(&processor);
  CPU_SET(number, &processor);
  // Where it may not have that one, the scheduler chooses.
  (void)sched_setaffinity(0, sizeof processor, &processor);
}

// Returns how many decisions it made.
template <class Contestant>
uint64_t decide_until(const std::atomic<bool>& flag, Contestant& zone, Range range,
                      RandomNumbers& numbers) {
  uint64_t decisions = 0;
  while (!flag.load(std::memory_order_relaxed)) {
    zone.decide(key_of(range.first + numbers.below(range.count)));
    ++decisions;
  }
  return decisions;
}

template <class Contestant>
void work(Contestant& zone, Range range, unsigned process, Board& board) {
  zone.join();
  RandomNumbers numbers(process);
  ++board.ready;
  while (!board.go) {
  }
  decide_until(board.warm, zone, range, numbers);
  const uint64_t waited_before = nanoseconds_waited();
  const uint64_t start = weir_monotonic_now(nullptr);
  const uint64_t decisions = decide_until(board.stop, zone, range, numbers);
  const auto elapsed = static_cast<double>(weir_monotonic_now(nullptr) - start);
  board.results[process] = {
      .per_second = static_cast<double>(decisions) * 1e9 / elapsed,
      .waited = static_cast<double>(nanoseconds_waited() - waited_before) / elapsed};
}

// Decisions a second of all processes together, and the longest wait of one.
template <class Contestant>
Result run(Contestant& zone, Case which, unsigned processes, int round,
           std::chrono::milliseconds length) {
  Memory shared(sizeof(Board));
  Board& board = *new (shared.address()) Board{};
  std::vector<pid_t> children;
  for (unsigned i = 0; i < processes; ++i) {
    const pid_t child = fork();
    must(child >= 0, "fork");
    if (child == 0) {
      bind_to_processor((i + static_cast<unsigned>(round)) % std::thread::hardware_concurrency());
      work(zone, range_of(which, i), i, board);
      _exit(0);
    }
    children.push_back(child);
  }
  while (board.ready < processes) std::this_thread::sleep_for(std::chrono::milliseconds(1));
  board.go = true;
  std::this_thread::sleep_for(length);
  board.warm = true;
  std::this_thread::sleep_for(length);
  board.stop = true;
  Result total{};
  for (unsigned i = 0; i < processes; ++i) {
    int status = 0;
    must(waitpid(children[i], &status, 0) == children[i] && status == 0, "a process failed");
    total.per_second += board.results[i].per_second;
    total.waited = std::max(total.waited, board.results[i].waited);
  }
  return total;
}

template <class Contestant>
class Contest {
 public:
  // The zone's live keys are those of all processes.
  Contest(const char* name, uint64_t keys_each)
      : name_(name), zone_(Contestant::bytes_for(kMostProcesses * keys_each), kGenerous) {
    for (uint64_t i = 0; i < kMostProcesses * keys_each; ++i) zone_.load(key_of(i));
  }

  void round(Case which, unsigned processes, int round, std::chrono::milliseconds length) {
    Result result{};
    for (int tries = 0; tries < kTries; ++tries) {
      result = run(zone_, which, processes, round, length);
      if (processes > std::thread::hardware_concurrency() || result.waited <= kMostWaited) break;
    }
    std::printf("%s\t%s\t%u\t%d\t%.0f\t%.3f\n", name_of(which), name_, processes, round,
                result.per_second, result.waited);
    std::fflush(stdout);
  }

 private:
  const char* name_;
  Contestant zone_;
};

int argument(const char* text) {
  int number = 0;
  const auto [end, error] = std::from_chars(text, text + std::strlen(text), number);
  return error == std::errc() && *end == '\0' ? number : 0;
}

int run_all(int rounds, std::chrono::milliseconds length) {
  Contest<Weir> weir("weir", kKeysEach);
  Contest<Weir> wide("weir", kKeysEachWide);
#ifdef WEIR_BENCH_LIMIT_REQ
  Contest<LimitReq> limit_req("limit_req", kKeysEach);
#endif
  for (int round = 0; round < rounds; ++round) {
    for (const unsigned processes : {1u, 2u, kMostProcesses}) {
      wide.round(Case::kWide, processes, round, length);
      for (const Case which : {Case::kOwn, Case::kDisjoint, Case::kHot}) {
        weir.round(which, processes, round, length);
#ifdef WEIR_BENCH_LIMIT_REQ
        limit_req.round(which, processes, round, length);
#endif
      }
    }
  }
  return 0;
}

}  // namespace
}  // namespace weir::bench

int main(int argc, char** argv) {
  using weir::bench::argument;
  const int rounds = argc == 3 ? argument(argv[1]) : 0;
  const int milliseconds = argc == 3 ? argument(argv[2]) : 0;
  if (rounds <= 0 || milliseconds <= 0) {
    std::fprintf(stderr, "weir_processes: expected two numbers above 0: ROUNDS MILLISECONDS\n");
    return 2;
  }
  return weir::bench::run_all(rounds, std::chrono::milliseconds(milliseconds));
}
