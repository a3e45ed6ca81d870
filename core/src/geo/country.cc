#include "geo/country.h"

#include <algorithm>
#include <array>

namespace weir {
namespace {

constexpr Country kCountries[] = {
#define COUNTRY(code, continent, in_eu) {#code, #continent, in_eu, 0},
#include "geo/country_table.inc"
#undef COUNTRY
};

constexpr std::string_view kContinents[] = {"AF", "AN", "AS", "EU", "NA", "OC", "SA"};

using Places = std::array<const Country*, kCodePlaces>;

constexpr std::size_t place_of(const Country& country) {
  return code_place(country.code[0], country.code[1]);
}

constexpr Places make_places() {
  Places places{};
  for (const Country& country : kCountries) places[place_of(country)] = &country;
  places[code_place('U', 'K')] = places[code_place('G', 'B')];
  return places;
}

constexpr Places kPlaces = make_places();

constexpr bool table_is_sound() {
  std::size_t members = 0;
  for (const Country& country : kCountries) {
    if (kPlaces[place_of(country)] != &country) return false;  // a code given twice
    if (std::find(std::begin(kContinents), std::end(kContinents), country.continent) ==
        std::end(kContinents))
      return false;
    members += country.in_eu;
  }
  return members == 27;
}

static_assert(std::size(kCountries) == 249 + 1, "ISO 3166-1 has 249 codes, and XK");
static_assert(table_is_sound());

}  // namespace

bool is_continent(std::string_view code) noexcept {
  return std::find(std::begin(kContinents), std::end(kContinents), code) != std::end(kContinents);
}

const Country* find_country(std::string_view code) noexcept {
  return has_code_form(code) ? kPlaces[code_place(code[0], code[1])] : nullptr;
}

}  // namespace weir
