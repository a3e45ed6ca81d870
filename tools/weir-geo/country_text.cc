#include "country_text.h"

namespace weir::tool {

std::string country_columns(const Country& country, char separator) {
  return std::string(country.code) + separator + country.continent + separator +
         (country.in_eu != 0 ? "EU" : "-");
}

void add_country(const Country& country, JsonObject* object) {
  object->add_string("country", country.code)
      .add_string("continent", country.continent)
      .add_boolean("eu", country.in_eu != 0);
}

}  // namespace weir::tool
