// The atomic operations that the table is written in.
//
// They are a policy class so that a model checker can put its own in their place and explore the
// very code that ships (tests/model). Only what the protocol needs is here.

#pragma once

#include <atomic>
#include <cstdint>

namespace weir {

struct StdAtomics {
  using Word = std::atomic<uint64_t>;

  static_assert(Word::is_always_lock_free, "a lock inside a shared word would outlive its process");
  static_assert(sizeof(Word) == sizeof(uint64_t));

  static uint64_t load_acquire(const Word& word) { return word.load(std::memory_order_acquire); }
  static uint64_t load_seq_cst(const Word& word) { return word.load(std::memory_order_seq_cst); }

  // A compare-and-swap that fails puts what it found into `expected`.
  static bool cas_relaxed(Word& word, uint64_t& expected, uint64_t desired) {
    return word.compare_exchange_strong(expected, desired, std::memory_order_relaxed);
  }
  static bool cas_seq_cst(Word& word, uint64_t& expected, uint64_t desired) {
    return word.compare_exchange_strong(expected, desired, std::memory_order_seq_cst);
  }
};

}  // namespace weir
