// Compiles a country database into a table (geo/country_table.h).
//
// What the table answers is what libmaxminddb and the schema answer for every address. Records with
// the same country are one to it, so that a city database makes no larger a table than a country
// database of the same networks.

#pragma once

#include <cstdint>

#include "geo/country_schema.h"
#include "geo/mmdb_file.h"
#include "pages.h"
#include "weir/weir.h"

namespace weir {

// A table, in memory that is aligned for it.
using CompiledCountries = PageVector<std::uint64_t>;

// Takes some tenths of a second. WEIR_INVALID, and an error that quotes `path`, if the tree is
// broken, or so large or tangled that it can't be a country database's.
weir_status_t compile_countries(const MmdbFile& file, const CountrySchema& schema, const char* path,
                                CompiledCountries* table, weir_error_t* error);

}  // namespace weir
