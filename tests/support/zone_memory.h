// Memory for a zone, shared with child processes, handles to it, and quotas. What a test asks for
// here is right by construction; if it is not, the test program stops with the reason.

#pragma once

#include <sys/mman.h>

#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <memory>

#include "limiter/quota.h"
#include "weir/weir.h"
#include "zone/layout.h"

namespace weir::test {

inline void must(bool works, const char* what) {
  if (works) return;
  std::fprintf(stderr, "test set-up failed: %s\n", what);
  std::abort();
}

struct Detach {
  void operator()(weir_zone_t* zone) const { weir_zone_detach(zone); }
};
using ZoneHandle = std::unique_ptr<weir_zone_t, Detach>;

class SharedMemory {
 public:
  explicit SharedMemory(size_t size) : size_(size) {
    address_ = mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    must(address_ != MAP_FAILED, "mmap");
  }
  ~SharedMemory() { munmap(address_, size_); }
  SharedMemory(const SharedMemory&) = delete;
  SharedMemory& operator=(const SharedMemory&) = delete;

  void* address() const { return address_; }
  size_t size() const { return size_; }

 private:
  void* address_;
  size_t size_;
};

inline Format ticks(uint32_t bits = kDefaultTickBits) {
  return {.algorithm = WEIR_TOKEN_BUCKET, .tick_bits = bits, .period = 0, .unit = 0};
}

class ZoneMemory {
 public:
  explicit ZoneMemory(size_t size = 1 << 20, const Format& format = ticks()) : memory_(size) {
    weir_error_t error{};
    must(weir_zone_format(memory_.address(), size, &format, &error) == WEIR_OK, error.text);
    // A secret that is the same in every run: two keys in a million share a tag (key_hash.h), and
    // which ones must not be a matter of luck in a test.
    uint8_t byte = 1;
    for (uint8_t& secret : static_cast<Header*>(memory_.address())->secret) secret = byte += 37;
  }

  ZoneHandle attach(weir_full_t when_full = WEIR_FULL_EVICT) const {
    weir_zone_t* zone = nullptr;
    weir_error_t error{};
    must(weir_zone_attach(memory_.address(), memory_.size(), when_full, &zone, &error) == WEIR_OK,
         error.text);
    return ZoneHandle(zone);
  }

  void* address() const { return memory_.address(); }
  size_t size() const { return memory_.size(); }

 private:
  SharedMemory memory_;
};

// A quota that the test itself knows to be right.
inline Quota quota(const char* rate, uint32_t burst = 0) {
  Quota parsed;
  must(parse_quota(rate, &parsed, nullptr) == WEIR_OK, rate);
  parsed.burst = burst;
  return parsed;
}

inline Budget budget(const char* rate, uint32_t burst = 0, uint32_t bits = kDefaultTickBits) {
  Budget made;
  must(make_budget(quota(rate, burst), ticks(bits), &made, nullptr) == WEIR_OK, rate);
  return made;
}

template <class Key>
weir_limit_t limit_on(const ZoneHandle& zone, const Key& key, const Budget& budget,
                      uint32_t cost = 1) {
  weir_limit_t limit{};
  limit.zone = zone.get();
  limit.key = std::data(key);
  limit.key_length = std::size(key);
  limit.budget = budget;
  limit.cost = cost;
  limit.undelayed = WEIR_NODELAY;
  return limit;
}

}  // namespace weir::test
