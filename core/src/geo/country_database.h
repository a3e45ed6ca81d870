// What can tell the country of an address.
//
// Implementations are immutable once built: any number of threads may ask at the same time. A
// look-up allocates nothing and never fails; what is not known is kUnknownCountry.

#pragma once

#include <cstdint>

#include "geo/country.h"
#include "geo/ip_address.h"

namespace weir {

class CountryDatabase {
 public:
  CountryDatabase() = default;
  CountryDatabase(const CountryDatabase&) = delete;
  CountryDatabase& operator=(const CountryDatabase&) = delete;
  virtual ~CountryDatabase() = default;

  virtual Country find(const IpAddress& address) const noexcept = 0;

  // When the data was built, in seconds since 1970.
  virtual std::uint64_t build_epoch() const noexcept = 0;
};

// The country of a client: reserved addresses are private whatever a database says of them, and
// without a database (NULL) all others are unknown.
inline Country country_of(const CountryDatabase* database, const IpAddress& address) noexcept {
  if (address.is_reserved()) return kPrivateCountry;
  if (database == nullptr || address.length == 0) return kUnknownCountry;
  return database->find(address);
}

}  // namespace weir
