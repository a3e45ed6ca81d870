// A clock that stands still until a test moves it.

#pragma once

#include <cstdint>

#include "weir/weir.h"

namespace weir::test {

class ManualClock {
 public:
  explicit ManualClock(uint64_t now = 0) : now_(now) {}

  void advance(uint64_t nanoseconds) { now_ += nanoseconds; }
  void advance_seconds(uint64_t seconds) { advance(seconds * 1'000'000'000); }
  void set(uint64_t nanoseconds) { now_ = nanoseconds; }
  uint64_t now() const { return now_; }

  weir_clock_t handle() { return {&ManualClock::read, this}; }

 private:
  static uint64_t read(void* self) { return static_cast<ManualClock*>(self)->now_; }

  uint64_t now_;
};

}  // namespace weir::test
