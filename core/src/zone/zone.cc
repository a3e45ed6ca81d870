#include "zone/zone.h"

#include <sys/random.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <new>

#include "error.h"
#include "limiter/quota.h"

namespace weir {
namespace {

constexpr uint64_t kMinLines = 1;

// Sweeping goes round within an hour, or faster if dead words look alive again sooner: within 2^36
// ticks of a token bucket (512 s at 27 bits), and within 32 windows.
constexpr uint64_t kSweepSeconds = 3600;
constexpr uint64_t kSweepTicksBits = 36;
constexpr uint64_t kSweepWindows = 32;
static_assert(2 * kSweepWindows + SlidingWindow::kAhead < SlidingWindow::kWindows);

constexpr uint64_t kNanosPerSecond = 1'000'000'000;

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

weir_format_t format_of(const Header& header) {
  return {.algorithm = static_cast<weir_algorithm_t>(header.algorithm),
          .tick_bits = header.tick_bits,
          .period = header.period,
          .unit = header.unit};
}

}  // namespace

size_t Zone::min_size() { return kLinesOffset + kMinLines * sizeof(Line); }

weir_status_t Zone::format(void* memory, size_t size, const weir_format_t& format, bool is_zeroed,
                           weir_error_t* error) {
  if (reinterpret_cast<uintptr_t>(memory) % kCacheLine != 0) {
    set_error(error, "zone memory at %p, expected an address aligned to %zu bytes", memory,
              kCacheLine);
    return WEIR_INVALID;
  }
  if (!is_valid(format)) {
    set_error(error,
              "zone format of algorithm %d, tick bits %u, period %u and unit %u, expected one from "
              "weir_format_choose",
              static_cast<int>(format.algorithm), format.tick_bits, format.period, format.unit);
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
  header->algorithm = format.algorithm;
  header->tick_bits = format.tick_bits;
  header->period = format.period;
  header->unit = format.unit;
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
  const bool fits = header->size == size && is_valid(format_of(*header)) &&
                    header->lines >= kMinLines && header->lines <= lines &&
                    (header->lines == 1 || header->lines % 2 == 0);
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
      format_(format_of(*header_)),
      ticks_(format_.tick_bits),
      windows_(format_.period),
      when_full_(when_full) {
  const uint64_t number = header_->attachments.fetch_add(1, std::memory_order_relaxed);
  writer_ = {.number = number, .may_evict = when_full == WEIR_FULL_EVICT};
  stripe_ = stripes_of(memory) + number % kStripes;
  dice_ = hash_key(&number, sizeof(number), header_->secret).line | 1;  // never 0
}

Place Zone::place_of(const void* key, size_t length) const {
  const KeyHash hash = hash_key(key, length, header_->secret);
  const uint64_t line1 = weir::scale(hash.line, line_count_);
  return {lines_ + line1, lines_ + other_line(line1, hash.tag, line_count_), hash.tag};
}

// ---- Decisions, by algorithm ----

template <class Limiter>
bool Zone::peek_by(weir_limit_t& limit, const weir_clock_t& clock) const {
  using Table = TableOf<Limiter>;
  const auto outcome = Table::peek(place_of(limit.key, limit.key_length), limit.budget,
                                   asked(Limiter{}, limit), time(Limiter{}, clock));
  limit.debt = outcome.debt;
  limit.charged = 0;
  const bool passes = outcome.verdict == TableVerdict::kAdmitted;
  limit.wait = passes ? 0 : outcome.wait;
  return passes;
}

template <class Limiter>
bool Zone::charge_by(weir_limit_t& limit, const weir_clock_t& clock) {
  using Table = TableOf<Limiter>;
  const auto cost = price(Limiter{}, limit);
  if (Limiter::amount(cost) == 0 || !Limiter::is_possible(limit.budget, cost))
    return peek_by<Limiter>(limit, clock);

  const auto outcome = Table::charge(place_of(limit.key, limit.key_length), limit.budget, cost,
                                     writer_, time(Limiter{}, clock));
  if (outcome.evictions != 0) count(kEvicted, outcome.evictions);
  limit.debt = outcome.debt;
  limit.charged = 0;
  limit.wait = 0;
  switch (outcome.verdict) {
    case TableVerdict::kAdmitted:
      limit.charged = Limiter::amount(cost);
      limit.state = outcome.state;
      return true;
    case TableVerdict::kRejected:
      break;
    case TableVerdict::kFull:
      count(when_full_ == WEIR_FULL_ADMIT ? kFullAdmitted : kFullRejected);
      if (when_full_ == WEIR_FULL_ADMIT) return true;
      break;
    case TableVerdict::kExhausted:
      count(kExhausted);
      break;
  }
  limit.wait = outcome.wait;
  return false;
}

template <class Limiter, class Late>
void Zone::charge_late_by(weir_limit_t& limit, const weir_clock_t& clock) {
  using Table = TableOf<Late>;
  const auto cost = price(Limiter{}, limit);
  if (Limiter::amount(cost) == 0 || !Limiter::is_possible(limit.budget, cost)) return;

  const auto outcome = Table::charge(place_of(limit.key, limit.key_length), limit.budget, cost,
                                     writer_, time(Limiter{}, clock));
  if (outcome.evictions != 0) count(kEvicted, outcome.evictions);
  if (outcome.verdict == TableVerdict::kFull) count(kFullAdmitted);
  if (outcome.verdict == TableVerdict::kExhausted) count(kExhausted);
  if (outcome.verdict != TableVerdict::kAdmitted) return;
  limit.debt = outcome.debt;
  limit.charged = Limiter::amount(cost);
  limit.state = outcome.state;
}

template <class Limiter>
void Zone::refund_by(weir_limit_t& limit, const weir_clock_t& clock) {
  TableOf<Limiter>::refund(place_of(limit.key, limit.key_length),
                           Limiter::receipt(limit.charged, limit.debt, limit.state),
                           time(Limiter{}, clock));
  limit.charged = 0;
}

template <class Limiter, class Late>
void Zone::look_up_by(weir_limit_t& limit, const weir_clock_t& clock) const {
  auto key =
      TableOf<Limiter>::look_up(place_of(limit.key, limit.key_length), time(Limiter{}, clock));
  const auto cost = asked(Limiter{}, limit);
  if (Limiter::is_possible(limit.budget, cost)) key = Late::charge(key, cost);
  limit.debt = Limiter::debt(key);
  limit.wait = Limiter::wait(key, limit.budget, Limiter::whole(limit.budget));
}

bool Zone::peek(weir_limit_t& limit, const weir_clock_t& clock) const {
  return is_bucket() ? peek_by<Gcra>(limit, clock) : peek_by<SlidingWindow>(limit, clock);
}

bool Zone::charge(weir_limit_t& limit, const weir_clock_t& clock) {
  return is_bucket() ? charge_by<Gcra>(limit, clock) : charge_by<SlidingWindow>(limit, clock);
}

void Zone::charge_late(weir_limit_t& limit, const weir_clock_t& clock) {
  is_bucket() ? charge_late_by<Gcra, LateGcra>(limit, clock)
              : charge_late_by<SlidingWindow, LateSlidingWindow>(limit, clock);
}

void Zone::refund(weir_limit_t& limit, const weir_clock_t& clock) {
  if (limit.charged == 0) return;
  is_bucket() ? refund_by<Gcra>(limit, clock) : refund_by<SlidingWindow>(limit, clock);
}

void Zone::look_up(weir_limit_t& limit, const weir_clock_t& clock) const {
  is_bucket() ? look_up_by<Gcra, LateGcra>(limit, clock)
              : look_up_by<SlidingWindow, LateSlidingWindow>(limit, clock);
}

Ticks Zone::price_of(const weir_limit_t& limit) const {
  if (is_bucket()) return asked(Gcra{}, limit);
  const SlidingWindow::Price counts = asked(SlidingWindow{}, limit);
  if (!SlidingWindow::is_possible(limit.budget, counts)) return kNever;
  return counts.asked * limit.budget.interval;
}

// xorshift64 (Marsaglia, "Xorshift RNGs", 2003), where chance is needed at all.
uint64_t Zone::roll_dice() {
  if (format_.unit <= 1) return 0;
  dice_ ^= dice_ << 13;
  dice_ ^= dice_ >> 7;
  dice_ ^= dice_ << 17;
  return dice_;
}

// ---- Counters and housekeeping ----

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

uint64_t Zone::sweep_seconds() const {
  const uint64_t round = is_bucket() ? uint64_t{1} << (kSweepTicksBits - format_.tick_bits)
                                     : kSweepWindows * format_.period;
  return std::min(kSweepSeconds, round);
}

template <class Limiter>
uint64_t Zone::sweep_by(uint64_t first, uint64_t lines, const weir_clock_t& clock) {
  uint64_t cleared = 0;
  for (uint64_t i = 0; i < lines; ++i) {
    Line& line = lines_[(first + i) % line_count_];
    cleared += TableOf<Limiter>::sweep(line, time(Limiter{}, clock));
  }
  return cleared;
}

// After a pause of all sweepers, as of a frozen container, as much more as they have missed.
uint64_t Zone::sweep(const weir_clock_t& clock) {
  const uint64_t round = sweep_seconds();
  const uint64_t now = clock.now(clock.context);
  const uint64_t before = header_->swept_at.exchange(now, std::memory_order_relaxed);
  const bool is_first = before == 0 || before > now;
  const uint64_t missed = is_first ? 0 : (now - before) / kNanosPerSecond;
  const uint64_t seconds = std::clamp(missed, uint64_t{1}, round);
  const uint64_t step = std::min(line_count_, (line_count_ * seconds + round - 1) / round);
  const uint64_t first = header_->sweep_cursor.fetch_add(step, std::memory_order_relaxed);
  return is_bucket() ? sweep_by<Gcra>(first, step, clock)
                     : sweep_by<SlidingWindow>(first, step, clock);
}

}  // namespace weir
