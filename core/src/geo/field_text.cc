#include "geo/field_text.h"

#include <algorithm>
#include <bit>
#include <charconv>

#include "relaxed.h"
#include "wide.h"

namespace weir {
namespace {

// Longer than any number's text: 39 digits of 128 bits, 24 characters of a double.
using Buffer = char[48];

std::size_t copy(const char* from, std::size_t length, std::span<char> text) {
  std::copy_n(from, std::min(length, text.size()), text.data());
  return length;
}

template <class Number>
std::size_t number(Number value, std::span<char> text) {
  Buffer buffer;
  const auto end = std::to_chars(std::begin(buffer), std::end(buffer), value).ptr;
  return copy(buffer, static_cast<std::size_t>(end - buffer), text);
}

std::size_t decimal(Wide value, std::span<char> text) {
  Buffer buffer;
  char* first = std::end(buffer);
  do {
    *--first = static_cast<char>('0' + static_cast<unsigned>(value % 10));
    value /= 10;
  } while (value != 0);
  return copy(first, static_cast<std::size_t>(std::end(buffer) - first), text);
}

// Of an integer or a float; shorter payloads mean leading zeros.
Wide big_endian(const MmdbValue& value) {
  Wide result = 0;
  for (std::uint32_t i = 0; i < value.size; ++i)
    result = result << 8 | load_relaxed(value.payload[i]);
  return result;
}

std::size_t hexadecimal(const MmdbValue& value, std::span<char> text) {
  constexpr char kDigits[] = "0123456789abcdef";
  for (std::size_t i = 0; i < 2 * std::size_t{value.size} && i < text.size(); ++i) {
    const unsigned byte = load_relaxed(value.payload[i / 2]);
    text[i] = kDigits[i % 2 == 0 ? byte >> 4 : byte & 15];
  }
  return 2 * std::size_t{value.size};
}

std::size_t string(const MmdbValue& value, std::span<char> text) {
  for (std::size_t i = 0; i < value.size && i < text.size(); ++i) {
    const auto c = static_cast<char>(load_relaxed(value.payload[i]));
    text[i] = (c >= 0 && c < ' ') || c == 0x7f ? ' ' : c;
  }
  return value.size;
}

}  // namespace

std::size_t write_text(const MmdbValue& value, std::span<char> text) noexcept {
  switch (value.type) {
    case MmdbValue::kString:
      return string(value, text);
    case MmdbValue::kBytes:
      return hexadecimal(value, text);
    case MmdbValue::kBoolean:
      return copy(value.size != 0 ? "1" : "0", 1, text);
    case MmdbValue::kUint16:
    case MmdbValue::kUint32:
    case MmdbValue::kUint64:
    case MmdbValue::kUint128:
      return value.size <= 16 ? decimal(big_endian(value), text) : 0;
    case MmdbValue::kInt32:
      return value.size <= 4
                 ? number(static_cast<std::int32_t>(static_cast<std::uint32_t>(big_endian(value))),
                          text)
                 : 0;
    case MmdbValue::kDouble:
      return value.size == 8
                 ? number(std::bit_cast<double>(static_cast<std::uint64_t>(big_endian(value))),
                          text)
                 : 0;
    case MmdbValue::kFloat:
      return value.size == 4
                 ? number(std::bit_cast<float>(static_cast<std::uint32_t>(big_endian(value))), text)
                 : 0;
    default:
      return 0;
  }
}

}  // namespace weir
