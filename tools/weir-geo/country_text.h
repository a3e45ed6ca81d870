// A country as weir-geo prints it: its code, its continent, and whether it is a member of the EU.

#pragma once

#include <string>

#include "geo/country.h"
#include "json.h"

namespace weir::tool {

// "DE EU EU" or "US NA -", with the separator between.
std::string country_columns(const Country& country, char separator);

// Adds country, continent and eu.
void add_country(const Country& country, JsonObject* object);

}  // namespace weir::tool
