#include "geo/mmdb_section.h"

#include <charconv>

#include "relaxed.h"

namespace weir {
namespace {

constexpr unsigned kExtended = 0;
constexpr unsigned kFirstExtended = 8;

std::uint64_t big_endian(const std::uint8_t* bytes, std::size_t count) {
  std::uint64_t number = 0;
  for (std::size_t i = 0; i < count; ++i) number = number << 8 | load_relaxed(bytes[i]);
  return number;
}

bool is_list(const MmdbValue& value) {
  return value.type == MmdbValue::kMap || value.type == MmdbValue::kArray;
}

bool is_known(unsigned type) {
  return type <= MmdbValue::kArray || type == MmdbValue::kBoolean || type == MmdbValue::kFloat;
}

bool spend(std::uint32_t* budget) { return *budget != 0 && (*budget)-- != 0; }

// What a pointer adds to the number that it is written with, by the count of its bytes.
constexpr std::uint32_t kPointerBase[] = {0, 2048, 2048 + (1 << 19), 0};

}  // namespace

bool MmdbValue::is(std::string_view text) const noexcept {
  if (type != kString || size != text.size()) return false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (static_cast<char>(load_relaxed(payload[i])) != text[i]) return false;
  }
  return true;
}

std::optional<std::string_view> MmdbValue::string() const noexcept {
  if (type != kString) return std::nullopt;
  return std::string_view(reinterpret_cast<const char*>(payload), size);
}

std::optional<std::uint64_t> MmdbValue::unsigned_integer() const noexcept {
  const std::uint32_t width = type == kUint16 ? 2 : type == kUint32 ? 4 : type == kUint64 ? 8 : 0;
  if (width == 0 || size > width) return std::nullopt;
  return big_endian(payload, size);
}

std::optional<bool> MmdbValue::boolean() const noexcept {
  if (type != kBoolean) return std::nullopt;
  return size != 0;
}

std::optional<MmdbSection::Step> MmdbSection::decode(std::size_t offset) const noexcept {
  const auto has = [&](std::size_t count) { return offset <= size_ && count <= size_ - offset; };

  if (!has(1)) return std::nullopt;
  const std::uint8_t control = load_relaxed(bytes_[offset++]);
  unsigned type = control >> 5;

  if (type == MmdbValue::kPointer) {
    const std::size_t count = (control >> 3 & 3) + 1u;
    if (!has(count)) return std::nullopt;
    const std::uint64_t high = count < 4 ? control & 7u : 0;
    const std::uint64_t target =
        (high << 8 * count) + big_endian(bytes_ + offset, count) + kPointerBase[count - 1];
    return Step{{MmdbValue::kPointer, static_cast<std::uint32_t>(target), nullptr}, offset + count};
  }

  if (type == kExtended) {
    if (!has(1)) return std::nullopt;
    type = 7u + load_relaxed(bytes_[offset++]);
    if (type < kFirstExtended || !is_known(type)) return std::nullopt;
  }

  std::uint32_t size = control & 31;
  if (size >= 29) {
    constexpr std::uint32_t kSizeBase[] = {29, 29 + 256, 29 + 256 + 65536};
    const std::size_t count = size - 28;
    if (!has(count)) return std::nullopt;
    size = kSizeBase[count - 1] + static_cast<std::uint32_t>(big_endian(bytes_ + offset, count));
    offset += count;
  }

  const MmdbValue value{static_cast<MmdbValue::Type>(type), size, bytes_ + offset};
  if (is_list(value) || type == MmdbValue::kBoolean) return Step{value, offset};
  if (!has(size)) return std::nullopt;
  return Step{value, offset + size};
}

std::optional<MmdbSection::Step> MmdbSection::decode_following(std::size_t offset) const noexcept {
  const std::optional<Step> step = decode(offset);
  if (!step || step->value.type != MmdbValue::kPointer) return step;
  const std::optional<Step> target = decode(step->value.size);
  if (!target || target->value.type == MmdbValue::kPointer) return std::nullopt;
  return Step{target->value, step->next};
}

// Where the value at `offset` ends, with all that is in it.
std::optional<std::size_t> MmdbSection::end_of(std::size_t offset, unsigned depth,
                                               std::uint32_t* budget) const noexcept {
  const std::optional<Step> step = decode(offset);
  if (!step || !spend(budget)) return std::nullopt;
  if (!is_list(step->value)) return step->next;
  if (depth == 0) return std::nullopt;

  std::size_t next = step->next;
  for (std::uint32_t i = 0; i < step->value.size; ++i) {
    if (step->value.type == MmdbValue::kMap) {
      const std::optional<Step> key = decode(next);
      if (!key || is_list(key->value)) return std::nullopt;
      next = key->next;
    }
    const std::optional<std::size_t> end = end_of(next, depth - 1, budget);
    if (!end) return std::nullopt;
    next = *end;
  }
  return next;
}

std::optional<MmdbValue> MmdbSection::entry(const MmdbValue& map, std::string_view key,
                                            std::uint32_t* budget) const noexcept {
  std::size_t next = first_of(map);
  for (std::uint32_t i = 0; i < map.size; ++i) {
    const std::optional<Step> name = decode_following(next);
    if (!name || name->value.type != MmdbValue::kString) return std::nullopt;
    if (name->value.is(key)) {
      const std::optional<Step> found = decode_following(name->next);
      return found ? std::optional(found->value) : std::nullopt;
    }
    const std::optional<std::size_t> end = end_of(name->next, kDeepest, budget);
    if (!end) return std::nullopt;
    next = *end;
  }
  return std::nullopt;
}

std::optional<MmdbValue> MmdbSection::element(const MmdbValue& array, std::string_view number,
                                              std::uint32_t* budget) const noexcept {
  std::uint32_t index = 0;
  const char* const last = number.data() + number.size();
  const auto [end_of_number, problem] = std::from_chars(number.data(), last, index);
  if (problem != std::errc{} || end_of_number != last || index >= array.size) return std::nullopt;

  std::size_t next = first_of(array);
  for (std::uint32_t i = 0; i < index; ++i) {
    const std::optional<std::size_t> end = end_of(next, kDeepest, budget);
    if (!end) return std::nullopt;
    next = *end;
  }
  const std::optional<Step> found = decode_following(next);
  return found ? std::optional(found->value) : std::nullopt;
}

std::optional<MmdbValue> MmdbSection::find(std::size_t offset, const FieldPath& path,
                                           std::uint64_t* looked_at) const noexcept {
  return find(offset, path.parts(), looked_at);
}

std::optional<MmdbValue> MmdbSection::find(std::size_t offset, std::span<const std::string> parts,
                                           std::uint64_t* looked_at) const noexcept {
  std::uint32_t budget = kMostValues;
  const std::optional<MmdbValue> value = find_within(offset, parts, &budget);
  if (looked_at != nullptr) *looked_at += kMostValues - budget;
  return value;
}

std::optional<MmdbValue> MmdbSection::find_within(std::size_t offset,
                                                  std::span<const std::string> parts,
                                                  std::uint32_t* budget) const noexcept {
  const std::optional<Step> record = decode_following(offset);
  if (!record) return std::nullopt;
  std::optional<MmdbValue> value = record->value;
  for (const std::string& part : parts) {
    if (value->type == MmdbValue::kMap) {
      value = entry(*value, part, budget);
    } else if (value->type == MmdbValue::kArray) {
      value = element(*value, part, budget);
    } else {
      return std::nullopt;
    }
    if (!value) return std::nullopt;
  }
  return value;
}

bool MmdbSection::is_whole_map(std::size_t offset) const noexcept {
  const std::optional<Step> record = decode(offset);
  std::uint32_t budget = kMostValues;
  return record && record->value.type == MmdbValue::kMap && end_of(offset, kDeepest, &budget);
}

bool MmdbSection::is_list_of_strings(std::size_t offset, const FieldPath& path) const noexcept {
  const std::optional<MmdbValue> list = find(offset, path);
  if (!list || !is_list(*list) || list->size > kMostValues) return false;
  const std::uint32_t count = list->type == MmdbValue::kMap ? 2 * list->size : list->size;
  std::size_t next = first_of(*list);
  for (std::uint32_t i = 0; i < count; ++i) {
    const std::optional<Step> item = decode_following(next);
    if (!item || item->value.type != MmdbValue::kString) return false;
    next = item->next;
  }
  return true;
}

}  // namespace weir
