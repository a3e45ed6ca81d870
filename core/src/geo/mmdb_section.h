// The values of an .mmdb file: its data section, or its metadata, which are written alike.
//
// MaxMind DB format 2.0: a value is a control byte (type, size), perhaps more bytes of size, and a
// payload; maps and arrays are followed by their elements; a pointer stands for the value at an
// offset of the section, and never for another pointer.
//
// Why libmaxminddb does not read them for us: before 1.13 it recurses as deep as a file tells it to
// where it skips a value, which a hostile file makes overflow the stack. Here nesting is bounded,
// every access is in bounds, and one search looks at no more than kMostValues values, so the worst
// file costs a search some microseconds.
//
// A section does not own its bytes. Somebody may overwrite them while they are read (relaxed.h);
// then what is found is any value within the section.

#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "geo/field_path.h"

namespace weir {

struct MmdbValue {
  enum Type : std::uint8_t {
    kPointer = 1,
    kString = 2,
    kDouble = 3,
    kBytes = 4,
    kUint16 = 5,
    kUint32 = 6,
    kMap = 7,
    kInt32 = 8,
    kUint64 = 9,
    kUint128 = 10,
    kArray = 11,
    kBoolean = 14,
    kFloat = 15
  };

  Type type;
  std::uint32_t size;           // bytes of the payload; entries of a map; elements of an array
  const std::uint8_t* payload;  // of a map or an array: its first element

  // Is it this string?
  bool is(std::string_view text) const noexcept;

  // Nothing if the value is of another type.
  std::optional<std::string_view> string() const noexcept;
  std::optional<std::uint64_t> unsigned_integer() const noexcept;
  std::optional<bool> boolean() const noexcept;
};

class MmdbSection {
 public:
  // In one search. The largest records of the vendors have some hundreds, in five levels.
  static constexpr std::uint32_t kMostValues = 1 << 14;
  static constexpr unsigned kDeepest = 32;

  MmdbSection() = default;
  MmdbSection(const std::uint8_t* bytes, std::size_t size) noexcept : bytes_(bytes), size_(size) {}

  bool is_empty() const noexcept { return size_ == 0; }
  const std::uint8_t* bytes() const noexcept { return bytes_; }
  std::size_t size() const noexcept { return size_; }

  // The field of the record at `offset`; nothing if it has none, or is broken. The number of values
  // that were looked at is added to `looked_at`, for who reads many records and wants a bound.
  std::optional<MmdbValue> find(std::size_t offset, const FieldPath& path,
                                std::uint64_t* looked_at = nullptr) const noexcept;
  std::optional<MmdbValue> find(std::size_t offset, std::span<const std::string> parts,
                                std::uint64_t* looked_at = nullptr) const noexcept;

  // Is the record at `offset` a map, whole, and within the bounds above? Values behind pointers
  // are not looked at.
  bool is_whole_map(std::size_t offset) const noexcept;

  // Is the field of the record at `offset` an array or a map, and all in it strings?
  bool is_list_of_strings(std::size_t offset, const FieldPath& path) const noexcept;

 private:
  // A value, and where the one behind it starts (for a map or an array: its first element).
  struct Step {
    MmdbValue value;
    std::size_t next;
  };

  std::optional<MmdbValue> find_within(std::size_t offset, std::span<const std::string> parts,
                                       std::uint32_t* budget) const noexcept;
  std::optional<Step> decode(std::size_t offset) const noexcept;
  std::optional<Step> decode_following(std::size_t offset) const noexcept;
  std::optional<std::size_t> end_of(std::size_t offset, unsigned depth,
                                    std::uint32_t* budget) const noexcept;
  std::optional<MmdbValue> entry(const MmdbValue& map, std::string_view key,
                                 std::uint32_t* budget) const noexcept;
  std::optional<MmdbValue> element(const MmdbValue& array, std::string_view number,
                                   std::uint32_t* budget) const noexcept;
  std::size_t first_of(const MmdbValue& list) const noexcept {
    return static_cast<std::size_t>(list.payload - bytes_);
  }

  const std::uint8_t* bytes_ = nullptr;
  std::size_t size_ = 0;
};

}  // namespace weir
