// Any path, in any section of values (geo/mmdb_section.h).
//
// An input is the text of a path, a newline, and the section. What is found lies in the section;
// and if libmaxminddb finds something, too, it is the same. (It finds nothing in much that weir
// reads, and the other way round: it looks at the sizes of numbers, and weir bounds its search.)
// The section is not copied, so that AddressSanitizer sees any step beyond it.

#include <maxminddb.h>

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "geo/field_path.h"
#include "geo/mmdb_section.h"

namespace weir {
namespace {

constexpr std::size_t kMostRecords = 16;

void require(bool condition, const char* what) {
  if (condition) return;
  std::fprintf(stderr, "field_fuzzer: %s\n", what);
  std::abort();
}

// A database that has nothing but these values.
MMDB_s database_of(const std::uint8_t* bytes, std::size_t size) {
  MMDB_s database{};
  database.data_section = bytes;
  database.data_section_size = static_cast<std::uint32_t>(size);
  return database;
}

void require_equal(const MmdbValue& value, const MMDB_entry_data_s& other) {
  require(value.type == other.type, "libmaxminddb finds a value of another type");
  switch (other.type) {
    case MMDB_DATA_TYPE_UTF8_STRING:
      require(value.string() == std::string_view(other.utf8_string, other.data_size),
              "libmaxminddb finds another string");
      break;
    case MMDB_DATA_TYPE_BOOLEAN:
      require(value.boolean() == other.boolean, "libmaxminddb finds another boolean");
      break;
    case MMDB_DATA_TYPE_UINT16:
      require(value.unsigned_integer() == other.uint16, "libmaxminddb finds another number");
      break;
    case MMDB_DATA_TYPE_UINT32:
      require(value.unsigned_integer() == other.uint32, "libmaxminddb finds another number");
      break;
    case MMDB_DATA_TYPE_UINT64:
      require(value.unsigned_integer() == other.uint64, "libmaxminddb finds another number");
      break;
    case MMDB_DATA_TYPE_MAP:
    case MMDB_DATA_TYPE_ARRAY:
      require(value.size == other.data_size, "libmaxminddb finds another size");
      break;
    default:  // of these libmaxminddb 1.7 tells no size
      break;
  }
}

void require_within(const MmdbValue& value, const std::uint8_t* bytes, std::size_t size) {
  const auto begin = static_cast<std::size_t>(value.payload - bytes);
  require(begin <= size, "a value is outside of the section");
  const bool is_payload = value.type != MmdbValue::kMap && value.type != MmdbValue::kArray &&
                          value.type != MmdbValue::kBoolean;
  require(!is_payload || value.size <= size - begin, "a value ends outside of the section");
}

void try_out(const FieldPath& path, const std::uint8_t* bytes, std::size_t size) {
  const MmdbSection section(bytes, size);
  MMDB_s database = database_of(bytes, size);
  std::vector<const char*> parts;
  for (const std::string& part : path.parts()) parts.push_back(part.c_str());
  parts.push_back(nullptr);

  for (std::size_t record = 0; record < size && record < kMostRecords; ++record) {
    section.is_whole_map(record);
    section.is_list_of_strings(record, path);
    const std::optional<MmdbValue> value = section.find(record, path);
    if (!value) continue;
    require_within(*value, bytes, size);

    MMDB_entry_s entry{.mmdb = &database, .offset = static_cast<std::uint32_t>(record)};
    MMDB_entry_data_s other{};
    if (MMDB_aget_value(&entry, &other, parts.data()) == MMDB_SUCCESS && other.has_data)
      require_equal(*value, other);
  }
  require(!section.find(size, path), "a value is found behind the section");
}

}  // namespace
}  // namespace weir

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const void* const newline = size == 0 ? nullptr : std::memchr(data, '\n', size);
  if (newline == nullptr) return 0;
  const auto length = static_cast<std::size_t>(static_cast<const std::uint8_t*>(newline) - data);
  weir::FieldPath path;
  const std::string_view text(reinterpret_cast<const char*>(data), length);
  if (weir::FieldPath::parse(text, &path, nullptr) == WEIR_OK)
    weir::try_out(path, data + length + 1, size - length - 1);
  return 0;
}
