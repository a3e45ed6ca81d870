// Databases from .mmdb files, whole in memory when they are opened.

#pragma once

#include <memory>

#include "geo/database.h"

namespace weir {

// Opens the file on a private copy: what happens to it afterwards does not matter.
weir_status_t open_field_mmdb(const char* path, std::unique_ptr<Database>* database,
                              weir_error_t* error);

// The same for countries alone, compiled into a table. `field` names
// the field with the country's code ("country.iso_code"); NULL means to find out by looking at
// the records. WEIR_IO if the file can't be read, WEIR_INVALID if it is no country database.
weir_status_t open_country_mmdb(const char* path, const char* field,
                                std::unique_ptr<Database>* database, weir_error_t* error);

}  // namespace weir
