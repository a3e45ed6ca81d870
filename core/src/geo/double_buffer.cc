#include "geo/double_buffer.h"

#include <atomic>

#include "relaxed.h"

namespace weir {
namespace {

// gcc's thread sanitizer knows no fences, and says so. It needs none: every access is atomic.
#pragma GCC diagnostic push
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic ignored "-Wtsan"
#endif
void fence(std::memory_order order) { std::atomic_thread_fence(order); }
#pragma GCC diagnostic pop

std::size_t round_up(std::size_t size) {
  return (size + DoubleBuffer::kAlignment - 1) / DoubleBuffer::kAlignment *
         DoubleBuffer::kAlignment;
}

}  // namespace

std::size_t DoubleBuffer::size_of_memory(std::size_t slot_size) noexcept {
  return kAlignment + 2 * round_up(slot_size);
}

DoubleBuffer DoubleBuffer::format(void* memory, std::size_t size) noexcept {
  auto* header = static_cast<Header*>(memory);
  *header = {.magic = kMagic,
             .slot_size = (size - kAlignment) / 2 / kAlignment * kAlignment,
             .generation = 0,
             .marks = {0, 0}};
  return DoubleBuffer(memory);
}

std::optional<DoubleBuffer> DoubleBuffer::attach(void* memory, std::size_t size) noexcept {
  const auto* header = static_cast<const Header*>(memory);
  if (size < kAlignment || header->magic != kMagic || header->slot_size > (size - kAlignment) / 2)
    return std::nullopt;
  return DoubleBuffer(memory);
}

bool DoubleBuffer::holds(std::uint64_t generation) const noexcept {
  fence(std::memory_order_acquire);
  return load_relaxed(header_->marks[generation & 1]) == generation;
}

bool DoubleBuffer::publish(std::span<const std::uint64_t> data) noexcept {
  if (data.size_bytes() > slot_size_) return false;
  const std::uint64_t next = load_relaxed(header_->generation) + 1;
  store_relaxed(header_->marks[next & 1], next);
  fence(std::memory_order_release);
  auto* words = reinterpret_cast<std::uint64_t*>(slots_ + (next & 1) * slot_size_);
  for (std::size_t i = 0; i < data.size(); ++i) store_relaxed(words[i], data[i]);
  __atomic_store_n(&header_->generation, next, __ATOMIC_RELEASE);
  return true;
}

}  // namespace weir
