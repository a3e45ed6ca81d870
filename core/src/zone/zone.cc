#include "zone/zone.h"

#include <sys/random.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <new>

#include "error.h"

namespace weir {
namespace {

constexpr uint64_t kMinLines = 1;

// Sweeping goes round within an hour, or within 2^36 ticks if that is less (it is at 25 bits and
// more: 512 s at 27), a small part of what correctness needs, in steps of a second.
constexpr uint64_t kSweepSeconds = 3600;
constexpr uint64_t kSweepTicksBits = 36;

Stripe* stripes_of(void* memory) {
  return reinterpret_cast<Stripe*>(static_cast<uint8_t*>(memory) + kStripesOffset);
}

Line* lines_of(void* memory) {
  return reinterpret_cast<Line*>(static_cast<uint8_t*>(memory) + kLinesOffset);
}

bool draw_secret(uint8_t (&secret)[kSecretSize]) {
  static_assert(kSecretSize <= 256, "getrandom never returns less than asked for up to 256 bytes");
  ssize_t n;
  do {
    n = getrandom(secret, kSecretSize, 0);
  } while (n < 0 && errno == EINTR);
  return n == static_cast<ssize_t>(kSecretSize);
}

}  // namespace

size_t Zone::min_size() { return kLinesOffset + kMinLines * sizeof(Line); }

weir_status_t Zone::format(void* memory, size_t size, uint32_t tick_bits, bool is_zeroed,
                           weir_error_t* error) {
  if (reinterpret_cast<uintptr_t>(memory) % kCacheLine != 0) {
    set_error(error, "zone memory at %p, expected an address aligned to %zu bytes", memory,
              kCacheLine);
    return WEIR_INVALID;
  }
  if (tick_bits < kMinTickBits || tick_bits > kMaxTickBits) {
    set_error(error, "tick bits %u, expected %u to %u", tick_bits, kMinTickBits, kMaxTickBits);
    return WEIR_INVALID;
  }
  if (size < min_size()) {
    set_error(error, "zone of %zu bytes is too small, expected at least %zu", size, min_size());
    return WEIR_NO_MEMORY;
  }
  const uint64_t lines = (size - kLinesOffset) / sizeof(Line);
  if (!is_zeroed) std::memset(memory, 0, size);
  auto* header = new (memory) Header{};
  header->layout_version = kLayoutVersion;
  header->tick_bits = tick_bits;
  header->size = size;
  header->lines = lines == 1 ? 1 : lines & ~uint64_t{1};  // see other_line
  if (!draw_secret(header->secret)) {
    set_error(error, "cannot draw a hash secret: %s", std::strerror(errno));
    return WEIR_IO;
  }
  header->magic.store(kMagic, std::memory_order_release);
  return WEIR_OK;
}

weir_status_t Zone::check(const void* memory, size_t size, weir_error_t* error) {
  if (reinterpret_cast<uintptr_t>(memory) % kCacheLine != 0 || size < min_size()) {
    set_error(error, "%zu bytes at %p can't be a zone, expected at least %zu, aligned to %zu", size,
              memory, min_size(), kCacheLine);
    return WEIR_MISMATCH;
  }
  const auto* header = static_cast<const Header*>(memory);
  if (header->magic.load(std::memory_order_acquire) != kMagic) {
    set_error(error, "the memory is not a weir zone");
    return WEIR_MISMATCH;
  }
  if (header->layout_version != kLayoutVersion) {
    set_error(error, "the zone has layout version %u, expected %u", header->layout_version,
              kLayoutVersion);
    return WEIR_MISMATCH;
  }
  const uint64_t lines = (size - kLinesOffset) / sizeof(Line);
  const bool fits = header->size == size && header->tick_bits >= kMinTickBits &&
                    header->tick_bits <= kMaxTickBits && header->lines >= kMinLines &&
                    header->lines <= lines && (header->lines == 1 || header->lines % 2 == 0);
  if (!fits) {
    set_error(error, "the zone's header is that of a zone of %llu bytes, expected %zu",
              static_cast<unsigned long long>(header->size), size);
    return WEIR_MISMATCH;
  }
  return WEIR_OK;
}

Zone::Zone(void* memory, weir_full_t when_full)
    : header_(static_cast<Header*>(memory)),
      lines_(lines_of(memory)),
      line_count_(header_->lines),
      scale_(header_->tick_bits),
      when_full_(when_full) {
  const uint64_t number = header_->attachments.fetch_add(1, std::memory_order_relaxed);
  writer_ = {.number = number, .may_evict = when_full == WEIR_FULL_EVICT};
  stripe_ = stripes_of(memory) + number % kStripes;
}

LimiterTable::Place Zone::place_of(const void* key, size_t length) const {
  const KeyHash hash = hash_key(key, length, header_->secret);
  const uint64_t line1 = weir::scale(hash.line, line_count_);
  return {lines_ + line1, lines_ + other_line(line1, hash.tag, line_count_), hash.tag};
}

bool Zone::peek(weir_limit_t& limit, const weir_clock_t& clock) const {
  const auto outcome = LimiterTable::peek(place_of(limit.key, limit.key_length), limit.budget,
                                          limit.cost, ticks(clock));
  limit.debt = outcome.debt;
  limit.charged = 0;
  return outcome.verdict == LimiterTable::Verdict::kAdmitted;
}

bool Zone::charge(weir_limit_t& limit, const weir_clock_t& clock) {
  const Ticks price = gcra_price(limit.budget, limit.cost);
  if (price == 0 || price == kNever) return peek(limit, clock);

  const auto outcome = LimiterTable::charge(place_of(limit.key, limit.key_length), limit.budget,
                                            price, writer_, ticks(clock));
  if (outcome.evictions != 0) count(kEvicted, outcome.evictions);
  limit.debt = outcome.debt;
  limit.charged = 0;
  switch (outcome.verdict) {
    case LimiterTable::Verdict::kAdmitted:
      limit.charged = price;
      limit.paid_at = outcome.paid_at;
      return true;
    case LimiterTable::Verdict::kRejected:
      return false;
    case LimiterTable::Verdict::kFull:
      if (when_full_ == WEIR_FULL_ADMIT) {
        limit.debt = 0;
        count(kFullAdmitted);
        return true;
      }
      // As much debt as makes the wait last until a neighbour's word is free.
      limit.debt = limit.budget.tolerance - price + outcome.debt;
      count(kFullRejected);
      return false;
    case LimiterTable::Verdict::kExhausted:
      limit.debt = limit.budget.tolerance - price + limit.budget.interval;
      count(kExhausted);
      return false;
  }
  __builtin_unreachable();
}

void Zone::refund(weir_limit_t& limit, const weir_clock_t& clock) {
  if (limit.charged == 0) return;
  LimiterTable::refund(place_of(limit.key, limit.key_length),
                       {.price = limit.charged, .debt = limit.debt, .paid_at = limit.paid_at},
                       ticks(clock));
  limit.charged = 0;
}

weir_counters_t Zone::counters() const {
  uint64_t sums[kCounters] = {};
  const Stripe* stripes = stripes_of(header_);
  for (unsigned i = 0; i < kStripes; ++i) {
    for (unsigned c = 0; c < kCounters; ++c) {
      sums[c] += stripes[i].counts[c].load(std::memory_order_relaxed);
    }
  }
  return {
      .passed = sums[kPassed],
      .delayed = sums[kDelayed],
      .rejected = sums[kRejected],
      .delayed_dry_run = sums[kDelayedDryRun],
      .rejected_dry_run = sums[kRejectedDryRun],
      .skipped = sums[kSkipped],
      .exhausted = sums[kExhausted],
      .evicted = sums[kEvicted],
      .full_rejected = sums[kFullRejected],
      .full_admitted = sums[kFullAdmitted],
  };
}

uint64_t Zone::sweep(const weir_clock_t& clock) {
  const uint64_t round = std::min(kSweepSeconds, uint64_t{1} << (kSweepTicksBits - scale_.bits()));
  const uint64_t step = (line_count_ + round - 1) / round;
  const uint64_t first = header_->sweep_cursor.fetch_add(step, std::memory_order_relaxed);
  uint64_t cleared = 0;
  for (uint64_t i = 0; i < step; ++i)
    cleared += LimiterTable::sweep(lines_[(first + i) % line_count_], ticks(clock));
  return cleared;
}

}  // namespace weir
