// What a zone looks like in shared memory, byte for byte.
//
//   Header | Stripe x kStripes | Line x lines
//
// Everything is position-independent: processes may map a zone at different addresses. The header
// is written once by format, but for its two counters; attach only reads it. A change of anything
// here changes kLayoutVersion.

#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>

#include "limiter/gcra.h"
#include "limiter/sliding_window.h"
#include "zone/atomics.h"
#include "zone/key_hash.h"
#include "zone/table.h"

namespace weir {

inline constexpr uint64_t kMagic = 0x3172'656e'6f7a'7277;  // "wrzoner1" in a little-endian dump
inline constexpr uint32_t kLayoutVersion = 3;
inline constexpr size_t kCacheLine = 64;

inline constexpr unsigned kLineWords = 8;
template <class Limiter>
using TableOf = Table<Limiter, StdAtomics, kLineWords>;
using Line = TableLine<StdAtomics, kLineWords>;
using Place = TablePlace<Line>;

struct Header {
  std::atomic<uint64_t> magic;  // written last
  uint32_t layout_version;
  uint32_t algorithm;  // this and the next three: weir_format_t
  uint32_t tick_bits;
  uint32_t period;
  uint32_t unit;
  uint32_t unused;
  uint64_t size;
  uint64_t lines;
  uint8_t secret[kSecretSize];

  // Changed after format, hence on a line of their own.
  alignas(kCacheLine) std::atomic<uint64_t> attachments;  // how many handles there have been
  std::atomic<uint64_t> sweep_cursor;                     // lines swept so far, ever growing
  std::atomic<uint64_t> swept_at;                         // when, in nanoseconds
};

// Counters of a few processes. A stripe is two lines long, since processors fetch lines in pairs:
// counting never makes two workers fight for a line as long as there are no more of them than
// stripes.
inline constexpr unsigned kStripes = 32;
inline constexpr size_t kStripeCounts = 2 * kCacheLine / sizeof(uint64_t);

enum Counter : unsigned {
  kPassed,
  kDelayed,
  kRejected,
  kDelayedDryRun,
  kRejectedDryRun,
  kSkipped,
  kExhausted,
  kEvicted,
  kFullRejected,
  kFullAdmitted,
  kCounters
};

struct alignas(kCacheLine) Stripe {
  std::atomic<uint64_t> counts[kStripeCounts];  // indexed by Counter; the rest is room
};

static_assert(sizeof(Line) == kCacheLine);
static_assert(sizeof(Header) % kCacheLine == 0 && offsetof(Header, secret) == 48);
static_assert(sizeof(Stripe) == 2 * kCacheLine);
static_assert(kCounters <= kStripeCounts);
static_assert(std::atomic<uint64_t>::is_always_lock_free);

inline constexpr size_t kStripesOffset = 6 * kCacheLine;
static_assert(kStripesOffset >= sizeof(Header) && kStripesOffset % sizeof(Stripe) == 0);

inline constexpr size_t kLinesOffset = kStripesOffset + kStripes * sizeof(Stripe);
static_assert(kLinesOffset % kCacheLine == 0);

}  // namespace weir
