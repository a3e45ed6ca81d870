// A small writer of .mmdb files, for those that no proper writer would write.

#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <vector>

namespace weir::testing {

// Values as they are written in a file.

inline std::string mmdb_string(const std::string& value) {  // shorter than 29
  return static_cast<char>(0x40 | value.size()) + value;
}
inline std::string mmdb_map(unsigned entries) {  // fewer than 29; keys and values follow
  return {static_cast<char>(0xe0 | entries)};
}
inline std::string mmdb_array(unsigned elements) {  // fewer than 29
  return {static_cast<char>(elements), '\x04'};
}
inline std::string mmdb_pointer(std::uint32_t target) {
  return {'\x38', static_cast<char>(target >> 24), static_cast<char>(target >> 16),
          static_cast<char>(target >> 8), static_cast<char>(target)};
}
inline std::string mmdb_uint16(unsigned value) {
  return {'\xa2', static_cast<char>(value >> 8), static_cast<char>(value)};
}
inline std::string mmdb_uint32(std::uint32_t value) {
  return {'\xc4', static_cast<char>(value >> 24), static_cast<char>(value >> 16),
          static_cast<char>(value >> 8), static_cast<char>(value)};
}
inline std::string mmdb_uint64(std::uint32_t value) {  // written in four bytes
  return {'\x04',
          '\x02',
          static_cast<char>(value >> 24),
          static_cast<char>(value >> 16),
          static_cast<char>(value >> 8),
          static_cast<char>(value)};
}
inline std::string repeat(const std::string& part, std::size_t times) {
  std::string result;
  for (std::size_t i = 0; i < times; ++i) result += part;
  return result;
}

// A node of the tree, of two records that have 24, 28 or 32 bits.
inline std::string mmdb_node(unsigned record_bits, std::uint32_t left, std::uint32_t right) {
  const auto low_bytes = [](std::uint32_t value) {
    return std::string{static_cast<char>(value >> 16), static_cast<char>(value >> 8),
                       static_cast<char>(value)};
  };
  switch (record_bits) {
    case 24:
      return low_bytes(left) + low_bytes(right);
    case 28:
      return low_bytes(left) + static_cast<char>((left >> 20 & 0xf0) | (right >> 24 & 0x0f)) +
             low_bytes(right);
    default:
      return static_cast<char>(left >> 24) + low_bytes(left) + static_cast<char>(right >> 24) +
             low_bytes(right);
  }
}

// A file that has one node, of IPv4, whose two records are `left` and `right`: 0 is the node
// itself, 1 is nothing, 17 is the value at the start of `data`. With more nodes, `node_count` has
// to be set, too.
struct MmdbFileBytes {
  std::uint32_t left = 17;
  std::uint32_t right = 17;
  std::vector<std::array<std::uint32_t, 2>> more_nodes;
  std::string data = mmdb_map(1) + mmdb_string("country_code") + mmdb_string("DE");
  std::uint32_t node_count = 1;
  unsigned record_bits = 24;
  unsigned ip_version = 4;
  std::string languages = mmdb_array(1) + mmdb_string("en");
  std::string description = mmdb_map(1) + mmdb_string("en") + mmdb_string("a test");
  std::string type = "test";
  std::uint32_t build_epoch = 7;
  std::string more_metadata;  // one more key and its value

  std::string bytes() const {
    std::string tree = mmdb_node(record_bits, left, right);
    for (const auto& node : more_nodes) tree += mmdb_node(record_bits, node[0], node[1]);
    return tree + std::string(16, '\0') + data + "\xab\xcd\xefMaxMind.com" +
           mmdb_map(more_metadata.empty() ? 9 : 10) + more_metadata +
           mmdb_string("binary_format_major_version") + mmdb_uint16(2) +
           mmdb_string("binary_format_minor_version") + mmdb_uint16(0) +
           mmdb_string("build_epoch") + mmdb_uint64(build_epoch) + mmdb_string("database_type") +
           mmdb_string(type) + mmdb_string("description") + description +
           mmdb_string("ip_version") + mmdb_uint16(ip_version) + mmdb_string("languages") +
           languages + mmdb_string("node_count") + mmdb_uint32(node_count) +
           mmdb_string("record_size") + mmdb_uint16(record_bits);
  }
};

}  // namespace weir::testing
