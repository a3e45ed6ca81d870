// What can tell the country of an address, or its fields.
//
// A database answers from a view: a country table (geo/country_table.h), which knows countries
// alone, or an .mmdb file's image (geo/mmdb_image.h), which knows fields alone. It owns the memory
// that it views (geo/owned_database.h), or follows what is published in shared memory
// (geo/published_database.h).
//
// A look-up allocates nothing and never fails: what is not known is kUnknownCountry, or no text.

#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "geo/country.h"
#include "geo/field_path.h"
#include "geo/ip_address.h"

namespace weir {

using DatabaseInfo = weir_geo_info_t;

// What stands at the beginning of each view's memory.
struct DatabaseHeader {
  std::uint64_t magic;  // of the view and its version
  std::uint64_t size;   // of the whole, in bytes
  DatabaseInfo info;
};
static_assert(sizeof(DatabaseHeader) == 96);

class Database {
 public:
  Database() = default;
  Database(const Database&) = delete;
  Database& operator=(const Database&) = delete;
  virtual ~Database() = default;

  virtual Country find_country(const IpAddress& address) const noexcept = 0;

  // Writes what fits of the field's text, and returns how long it is; 0 if there is none.
  virtual std::size_t find_field(const IpAddress& address, const FieldPath& path,
                                 std::span<char> text) const noexcept = 0;

  // All 0 while nothing is published.
  virtual DatabaseInfo info() const noexcept = 0;

  // What the view is of, to publish it; nothing, if that is published already.
  virtual std::span<const std::uint64_t> words() const noexcept = 0;
};

// The country of a client: reserved addresses are private whatever a database says of them, and
// without a database (NULL) all others are unknown.
inline Country country_of(const Database* database, const IpAddress& address) noexcept {
  if (address.is_reserved()) return kPrivateCountry;
  if (database == nullptr || address.length == 0) return kUnknownCountry;
  return database->find_country(address);
}

}  // namespace weir
