// A country database as it was written: an .mmdb file, and where its records have the country.
//
// Immutable once open, and may be read by many threads at the same time.

#pragma once

#include <optional>

#include "geo/country_schema.h"
#include "geo/mmdb_file.h"
#include "weir/weir.h"

namespace weir {

class CountryFile {
 public:
  // To be called once. `field` is as for open_country_mmdb. WEIR_IO if the file can't be read,
  // WEIR_INVALID if it is no country database.
  weir_status_t open(const char* path, const char* field, weir_error_t* error);

  const MmdbFile& mmdb() const noexcept { return mmdb_; }
  const CountrySchema& schema() const noexcept { return *schema_; }

 private:
  MmdbFile mmdb_;
  std::optional<CountrySchema> schema_;
};

}  // namespace weir
