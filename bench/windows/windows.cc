// How accurate a limiter of N requests a window is, against an exact log of all that it admitted.
//
// The same arrivals go to three limiters: weir's sliding window, weir's token bucket of the same
// quota (burst N - 1, so that N pass at once from rest), and an exact one, which keeps the time of
// every request it admits and admits another while fewer than N lie within the last period.
// Arrivals are simulated, from a fixed seed: the same figures come out wherever this runs.
//
// Prints a table in Markdown: what the exact limiter admitted, of what was asked; and per other
// limiter what it admitted, of what the exact one did, and the most that any true window held of
// that, as a multiple of N.

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <deque>
#include <functional>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "weir/weir.h"

namespace {

constexpr uint64_t kSecond = 1'000'000'000;
constexpr uint64_t kPeriod = 60 * kSecond;
constexpr uint64_t kWindows = 400;  // how long a traffic lasts
constexpr uint64_t kStart = 12'000'000 * kSecond + kPeriod / 3;

void must(bool holds, const char* what) {
  if (holds) return;
  std::fprintf(stderr, "windows: %s failed\n", what);
  std::exit(1);
}

class Limiter {
 public:
  virtual ~Limiter() = default;
  virtual bool admits(uint64_t now) = 0;
};

class Weir : public Limiter {
 public:
  Weir(weir_algorithm_t algorithm, uint32_t tokens)
      : memory_(std::aligned_alloc(64, kSize), std::free) {
    const uint32_t burst = algorithm == WEIR_TOKEN_BUCKET ? tokens - 1 : 0;
    const weir_quota_t quota = {tokens, kPeriod / kSecond, burst};
    weir_format_t format;
    must(weir_format_choose(algorithm, &quota, 1, &format, nullptr) == WEIR_OK,
         "choosing a format");
    must(weir_zone_format(memory_.get(), kSize, &format, nullptr) == WEIR_OK, "making a zone");
    must(weir_zone_attach(memory_.get(), kSize, WEIR_FULL_EVICT, &zone_, nullptr) == WEIR_OK,
         "attaching");
    limit_.zone = zone_;
    limit_.key = "client";
    limit_.key_length = 6;
    limit_.cost = 1;
    limit_.undelayed = WEIR_NODELAY;
    must(weir_budget_make(&quota, &format, &limit_.budget, nullptr) == WEIR_OK, "making a budget");
  }
  ~Weir() override { weir_zone_detach(zone_); }
  Weir(const Weir&) = delete;
  Weir& operator=(const Weir&) = delete;

  bool admits(uint64_t now) override {
    now_ = now;
    const weir_clock_t clock = {[](void* self) { return static_cast<Weir*>(self)->now_; }, this};
    return weir_decide(&limit_, 1, &clock, nullptr) == WEIR_PASSED;
  }

 private:
  static constexpr size_t kSize = 1 << 16;

  std::unique_ptr<void, void (*)(void*)> memory_;
  weir_zone_t* zone_ = nullptr;
  weir_limit_t limit_{};
  uint64_t now_ = 0;
};

class Exact : public Limiter {
 public:
  explicit Exact(uint32_t tokens) : tokens_(tokens) {}

  bool admits(uint64_t now) override {
    while (!admitted_.empty() && admitted_.front() + kPeriod <= now) admitted_.pop_front();
    if (admitted_.size() >= tokens_) return false;
    admitted_.push_back(now);
    return true;
  }

 private:
  size_t tokens_;
  std::deque<uint64_t> admitted_;
};

// The most of these times that lie in any one period.
size_t worst_window(const std::vector<uint64_t>& times) {
  size_t worst = 0, first = 0;
  for (size_t last = 0; last < times.size(); ++last) {
    while (times[first] + kPeriod <= times[last]) ++first;
    worst = std::max(worst, last - first + 1);
  }
  return worst;
}

// Arrivals, as times since the beginning, in order. `rate` is in limits per period.
using Times = std::vector<uint64_t>;

Times even(uint32_t limit, double rate) {
  Times times;
  const double spacing = static_cast<double>(kPeriod) / limit / rate;
  for (double t = spacing / 3; t < static_cast<double>(kPeriod) * kWindows; t += spacing)
    times.push_back(static_cast<uint64_t>(t));
  return times;
}

Times random(uint32_t limit, double rate) {
  std::mt19937_64 engine(1);
  std::exponential_distribution<double> gap(limit * rate / static_cast<double>(kPeriod));
  Times times;
  for (double t = gap(engine); t < static_cast<double>(kPeriod) * kWindows; t += gap(engine))
    times.push_back(static_cast<uint64_t>(t));
  return times;
}

// Every so many periods a burst of so many limits, over a second.
Times bursts(uint32_t limit, double every, double size) {
  Times times;
  const double distance = every * static_cast<double>(kPeriod);
  const auto count = static_cast<uint64_t>(size * limit);
  for (double t = 0; t < static_cast<double>(kPeriod) * kWindows; t += distance) {
    for (uint64_t i = 0; i < count; ++i)
      times.push_back(static_cast<uint64_t>(t) + i * kSecond / count);
  }
  return times;
}

// Knows the grid: uses the limit up in the last moment of a window, asks without pause through the
// next one, and rests for two, over and over.
Times at_the_worst_time(uint32_t limit) {
  Times times;
  const uint64_t to_edge = kPeriod - kStart % kPeriod;
  for (uint64_t window = 0; window + 3 < kWindows; window += 4) {
    const uint64_t edge = window * kPeriod + to_edge;
    for (uint64_t i = 0; i < limit; ++i) times.push_back(edge - kSecond / 1000 + i);
    const uint64_t step = kPeriod / limit / 20;
    for (uint64_t t = 0; t < kPeriod; t += step) times.push_back(edge + t);
  }
  return times;
}

struct Result {
  size_t admitted;
  size_t worst;
};

Result measure(Limiter&& limiter, const Times& times) {
  std::vector<uint64_t> admitted;
  for (const uint64_t t : times) {
    if (limiter.admits(kStart + t)) admitted.push_back(t);
  }
  return {admitted.size(), worst_window(admitted)};
}

void print(const char* traffic, uint32_t limit, const Times& times) {
  const Result exact = measure(Exact(limit), times);
  const Result window = measure(Weir(WEIR_SLIDING_WINDOW, limit), times);
  const Result bucket = measure(Weir(WEIR_TOKEN_BUCKET, limit), times);
  const auto share = [&](const Result& result) {
    return 100.0 * static_cast<double>(result.admitted) / static_cast<double>(exact.admitted);
  };
  const auto multiple = [&](const Result& result) {
    return static_cast<double>(result.worst) / limit;
  };
  std::printf("| %-45s | %5u | %6.1f %% | %6.1f %% | %5.2f | %6.1f %% | %5.2f |\n", traffic, limit,
              100.0 * static_cast<double>(exact.admitted) / static_cast<double>(times.size()),
              share(window), multiple(window), share(bucket), multiple(bucket));
}

}  // namespace

int main() {
  std::printf(
      "| traffic                                       | limit | log      | window   | worst | "
      "bucket   | worst |\n"
      "|-----------------------------------------------|------:|---------:|---------:|------:|"
      "---------:|------:|\n");
  for (const uint32_t limit : {5u, 1000u}) {
    print("even, at half the limit", limit, even(limit, 0.5));
    print("even, at 99 % of the limit", limit, even(limit, 0.99));
    print("even, at the limit", limit, even(limit, 1));
    print("even, at twice the limit", limit, even(limit, 2));
    print("random, at half the limit", limit, random(limit, 0.5));
    print("random, at the limit", limit, random(limit, 1));
    print("random, at three times the limit", limit, random(limit, 3));
    print("the limit in a second, every 1.5 periods", limit, bursts(limit, 1.5, 1));
    print("half the limit in a second, every 0.7 periods", limit, bursts(limit, 0.7, 0.5));
    print("without pause", limit, even(limit, 20));
    print("at the worst time", limit, at_the_worst_time(limit));
  }
}
