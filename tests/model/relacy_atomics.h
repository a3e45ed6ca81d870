// The table's atomic operations as the model checker Relacy has them: a load may return any value
// that the C++ memory model allows it to, and before every operation another actor may run.
//
// Beside each word stands its latest value, and every change is reported to an observer at the very
// moment at which it happens.

#pragma once

#include <cstdint>

// What we need of <relacy/relacy.hpp>, which would also redefine new, delete and assert. In this
// order, which is Relacy's own.
// clang-format off
#include <relacy/base.hpp>
#include <relacy/context.hpp>
#include <relacy/context_base_impl.hpp>
#include <relacy/backoff.hpp>
#include <relacy/atomic_fence.hpp>
#include <relacy/atomic.hpp>
#include <relacy/var.hpp>
#include <relacy/stdlib/mutex.hpp>
#include <relacy/stdlib/condition_variable.hpp>
#include <relacy/stdlib/semaphore.hpp>
#include <relacy/stdlib/event.hpp>
#include <relacy/test_suite.hpp>
// clang-format on

namespace weir::model {

class Word {
 public:
  void initialize(uint64_t initial) {
    value_.store(initial, rl::mo_relaxed, RL_INFO);
    latest_ = initial;
  }
  uint64_t latest() const { return latest_; }

 private:
  friend struct RelacyAtomics;

  rl::atomic<uint64_t> value_;
  uint64_t latest_ = 0;
};

class Observer {
 public:
  virtual void before_cas() = 0;  // may throw, to stop the actor for ever
  virtual void changed(uint64_t from, uint64_t to) = 0;
  virtual void lost_cas() = 0;

 protected:
  ~Observer() = default;
};

struct RelacyAtomics {
  using Word = model::Word;

  static inline Observer* observer = nullptr;

  static uint64_t load_acquire(const Word& word) {
    return word.value_.load(rl::mo_acquire, RL_INFO);
  }
  static uint64_t load_seq_cst(const Word& word) {
    return word.value_.load(rl::mo_seq_cst, RL_INFO);
  }
  static bool cas_relaxed(Word& word, uint64_t& expected, uint64_t desired) {
    return cas(word, expected, desired, rl::mo_relaxed);
  }
  static bool cas_seq_cst(Word& word, uint64_t& expected, uint64_t desired) {
    return cas(word, expected, desired, rl::mo_seq_cst);
  }

 private:
  static bool cas(Word& word, uint64_t& expected, uint64_t desired, rl::memory_order order) {
    observer->before_cas();
    const uint64_t from = expected;
    if (!word.value_.compare_exchange_strong(expected, desired, order, RL_INFO)) {
      observer->lost_cas();
      return false;
    }
    word.latest_ = desired;
    observer->changed(from, desired);
    return true;
  }
};

}  // namespace weir::model
