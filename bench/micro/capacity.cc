// How many keys a megabyte (2^20 bytes) holds before a live one is lost for want of room, and how
// many are lost beyond that. Counts, no times: the noise of the machine does not matter. What
// varies is weir's secret, hence several trials.
//
//   weir_capacity MEGABYTES...
//
// Inserts distinct keys, each of which stays live, until the first is lost. Prints lines, separated
// by tabs:
//   keys  CONTESTANT  MEGABYTES  TRIAL
//       and how many keys per megabyte were there when the next one lost one
//   lost  CONTESTANT  KEYS-PER-MEGABYTE
//       and the share of them that is lost, in a zone of 1 MB

#include <algorithm>
#include <charconv>
#include <cstdio>
#include <cstring>

#include "contestants.h"
#include "keys.h"

namespace weir::bench {
namespace {

constexpr size_t kMegabyte = 1 << 20;

// As many as take a few seconds.
constexpr size_t trials(size_t megabytes) { return std::clamp<size_t>(90 / megabytes, 3, 21); }

template <class Contestant>
void fill(const char* name, size_t megabytes) {
  Contestant zone(megabytes * kMegabyte, kStingy);
  for (size_t trial = 0; trial < trials(megabytes); ++trial) {
    zone.clear();
    uint64_t keys = 0;
    for (;; ++keys) {
      zone.load(key_of(keys));
      if (zone.lost() != 0) break;
    }
    std::printf("keys\t%s\t%zu\t%zu\t%.0f\n", name, megabytes, trial,
                static_cast<double>(keys) / static_cast<double>(megabytes));
  }
}

template <class Contestant>
void overfill(const char* name) {
  constexpr uint64_t kStep = 4000;
  Contestant zone(kMegabyte, kStingy);
  uint64_t key = 0;
  for (uint64_t keys = kStep; keys <= 200'000; keys += kStep) {
    while (key < keys) zone.load(key_of(key++));
    std::printf("lost\t%s\t%ju\t%.6f\n", name, static_cast<uintmax_t>(keys),
                static_cast<double>(zone.lost()) / static_cast<double>(keys));
  }
}

template <class Contestant>
void run(const char* name, int count, char** sizes) {
  for (int i = 0; i < count; ++i) {
    size_t megabytes = 0;
    const char* end = sizes[i] + std::strlen(sizes[i]);
    const auto parsed = std::from_chars(sizes[i], end, megabytes);
    must(parsed.ptr == end && megabytes > 0 && megabytes <= 1024,
         "expected sizes in megabytes, each a number from 1 to 1024");
    fill<Contestant>(name, megabytes);
  }
  overfill<Contestant>(name);
}

}  // namespace
}  // namespace weir::bench

int main(int argc, char** argv) {
  weir::bench::run<weir::bench::Weir>("weir", argc - 1, argv + 1);
#ifdef WEIR_BENCH_LIMIT_REQ
  weir::bench::run<weir::bench::LimitReq>("limit_req", argc - 1, argv + 1);
#endif
  return 0;
}
