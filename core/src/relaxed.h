// Reading and writing memory that others may change at the same time.
//
// Each access is one relaxed atomic operation, so that no load is torn, and none is repeated behind
// our backs: what was checked is what is used. Nothing is said about the order of accesses; see
// geo/double_buffer.h.

#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <type_traits>

namespace weir {

template <class T>
T load_relaxed(const T& word) noexcept {
  return __atomic_load_n(&word, __ATOMIC_RELAXED);
}

template <class T>
void store_relaxed(T& word, T value) noexcept {
  __atomic_store_n(&word, value, __ATOMIC_RELAXED);
}

// Of whole words; T is nothing but numbers.
template <class T>
T copy_relaxed(const void* memory) noexcept {
  static_assert(sizeof(T) % sizeof(std::uint64_t) == 0 && std::is_trivially_copyable_v<T>);
  std::uint64_t words[sizeof(T) / sizeof(std::uint64_t)];
  for (std::size_t i = 0; i < std::size(words); ++i)
    words[i] = load_relaxed(static_cast<const std::uint64_t*>(memory)[i]);
  return std::bit_cast<T>(words);
}

}  // namespace weir
