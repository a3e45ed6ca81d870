// A country database as it was written: an .mmdb file, and where its records have the country.
//
// Immutable once open, and may be read by many threads at the same time.

#pragma once

#include <optional>

#include "geo/country_schema.h"
#include "geo/field_path.h"
#include "geo/mmdb_file.h"
#include "weir/weir.h"

namespace weir {

// Where the records of a file have the country: the field that an operator named, or, if that is
// NULL, what is found out by looking at them. Nothing, and an error that quotes `path`, if they
// have no country there.
std::optional<CountrySchema> find_country_schema(const MmdbFile& file, const char* path,
                                                 const FieldPath* field, weir_error_t* error);

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
