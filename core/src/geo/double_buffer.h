// Data in shared memory that is replaced while it is read: two slots and a sequence lock for each.
//
// One slot is published, and the next data goes into the other one. Data has a generation, counted
// from 1; it stands in slot (generation mod 2). A slot's mark is the generation that it holds, or
// is being given.
//
//   A writer marks the slot that is not published, fences, writes the data, and publishes the
//   generation. There is one writer at a time, over all processes; the caller sees to that. One
//   that dies half-way has published nothing, and the next one writes over what it left behind.
//
//   A reader takes the generation, reads the data by relaxed loads, fences, and looks at the mark.
//   If that is another generation now, what it has read may be a mixture, and counts for nothing.
//   (H.-J. Boehm, "Can Seqlocks Get Along With Programming Language Memory Models?", MSPC 2012.)
//
// A reader is held up only if two generations are published while it reads, so that after a few
// tries it gives up: it never waits for a writer, dead or alive.
//
// The memory is the caller's; a DoubleBuffer is a view of it, that any number of processes and
// threads may have.

#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

namespace weir {

class DoubleBuffer {
 public:
  static constexpr std::size_t kAlignment = 4096;  // of the memory, and of each slot in it
  static constexpr unsigned kMostTries = 4;

  // Of memory whose slots hold `slot_size` bytes each.
  static std::size_t size_of_memory(std::size_t slot_size) noexcept;

  // Prepares memory of such a size, in which nothing is published yet.
  static DoubleBuffer format(void* memory, std::size_t size) noexcept;

  // Nothing if the memory was not prepared.
  static std::optional<DoubleBuffer> attach(void* memory, std::size_t size) noexcept;

  std::size_t slot_size() const noexcept { return slot_size_; }

  // ---- Readers ----

  // The generation that is published; 0: none is.
  std::uint64_t generation() const noexcept {
    return __atomic_load_n(&header_->generation, __ATOMIC_ACQUIRE);
  }
  const void* slot(std::uint64_t generation) const noexcept {
    return slots_ + (generation & 1) * slot_size_;
  }
  // Was all that has been read from the generation's slot until now of that generation?
  bool holds(std::uint64_t generation) const noexcept;

  // ---- The writer ----

  // False if the data doesn't fit; then nothing has happened.
  bool publish(std::span<const std::uint64_t> data) noexcept;

 private:
  struct Header {
    std::uint64_t magic;
    std::uint64_t slot_size;
    std::uint64_t generation;
    std::uint64_t marks[2];
  };
  static_assert(sizeof(Header) <= kAlignment);

  static constexpr std::uint64_t kMagic = 0x3173'746f'6c73'7777;

  explicit DoubleBuffer(void* memory) noexcept
      : header_(static_cast<Header*>(memory)),
        slots_(static_cast<std::uint8_t*>(memory) + kAlignment),
        slot_size_(header_->slot_size) {}

  Header* header_;
  std::uint8_t* slots_;
  std::size_t slot_size_;
};

}  // namespace weir
