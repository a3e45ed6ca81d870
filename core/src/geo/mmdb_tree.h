// The search tree of an .mmdb file, as its bytes say it.
//
// MaxMind DB format 2.0, "Binary search tree section": a node is two records of 24, 28 or 32 bits,
// one for each value of an address's next bit. A record below the number of nodes is a node; equal
// to it, nothing; above it, 16 and that more than the place of a value in the data section.
//
// A tree does not own its bytes. Somebody may overwrite them while they are read (relaxed.h); then
// records are any numbers.

#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "relaxed.h"

namespace weir {

class MmdbTree {
 public:
  static constexpr std::uint32_t kSeparator = 16;  // bytes between the tree and the data section

  MmdbTree() = default;
  // `bytes` are node_count * record_bits / 4 of them; record_bits is 24, 28 or 32, and address_bits
  // 32 or 128.
  MmdbTree(const std::uint8_t* bytes, std::uint32_t node_count, unsigned record_bits,
           unsigned address_bits) noexcept
      : bytes_(bytes),
        node_count_(node_count),
        record_bits_(record_bits),
        address_bits_(address_bits) {}

  std::uint32_t node_count() const noexcept { return node_count_; }
  unsigned record_bits() const noexcept { return record_bits_; }
  unsigned address_bits() const noexcept { return address_bits_; }

  bool is_node(std::uint32_t record) const noexcept { return record < node_count_; }
  bool is_nothing(std::uint32_t record) const noexcept { return record == node_count_; }
  // Of neither: is it a place of the data section, if it is large enough?
  bool is_value(std::uint32_t record) const noexcept {
    return record > node_count_ && record - node_count_ >= kSeparator;
  }
  std::uint32_t value_of(std::uint32_t record) const noexcept {
    return record - node_count_ - kSeparator;
  }

  // The two records of a node.
  std::array<std::uint32_t, 2> records(std::uint32_t node) const noexcept {
    const std::uint8_t* const from = bytes_ + std::size_t{node} * (record_bits_ / 4);
    std::array<unsigned, 8> b{};
    for (unsigned i = 0; i < record_bits_ / 4; ++i) b[i] = load_relaxed(from[i]);
    const auto number = [](unsigned first, unsigned second, unsigned third, unsigned fourth) {
      return first << 24 | second << 16 | third << 8 | fourth;
    };
    switch (record_bits_) {
      case 24:
        return {number(0, b[0], b[1], b[2]), number(0, b[3], b[4], b[5])};
      case 28:
        return {number(b[3] >> 4, b[0], b[1], b[2]), number(b[3] & 15, b[4], b[5], b[6])};
      default:
        return {number(b[0], b[1], b[2], b[3]), number(b[4], b[5], b[6], b[7])};
    }
  }

  // Where the IPv4 addresses are: in an IPv6 tree behind 96 bits of 0, or above if it ends there.
  std::uint32_t ipv4_root() const noexcept {
    std::uint32_t record = 0;
    for (unsigned bit = address_bits_; bit > 32 && is_node(record); --bit)
      record = records(record)[0];
    return record;
  }

 private:
  const std::uint8_t* bytes_ = nullptr;
  std::uint32_t node_count_ = 0;
  unsigned record_bits_ = 24;
  unsigned address_bits_ = 32;
};

}  // namespace weir
