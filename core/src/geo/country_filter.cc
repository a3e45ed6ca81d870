#include "geo/country_filter.h"

#include <utility>

#include "error.h"

namespace weir {
namespace {

bool has_place(const std::bitset<kCodePlaces>& places, const char* code) {
  return has_code_form({code, 2}) && places[code_place(code[0], code[1])];
}

bool test_and_set(std::bitset<kCodePlaces>& places, std::size_t place) {
  const bool was_set = places[place];
  places[place] = true;
  return was_set;
}

}  // namespace

bool CountryFilter::List::insert(const Selector& selector) noexcept {
  switch (selector.kind) {
    case Selector::Kind::kCountry:
      return !test_and_set(countries_, selector.place);
    case Selector::Kind::kContinent:
      return !test_and_set(continents_, selector.place);
    case Selector::Kind::kUnion:
      return !std::exchange(has_union_, true);
    case Selector::Kind::kPrivate:
      return !std::exchange(has_private_, true);
    default:
      return !std::exchange(has_all_, true);
  }
}

weir_status_t CountryFilter::List::add(std::string_view word, weir_error_t* error) {
  Selector selector;
  const weir_status_t status = parse_selector(word, SelectorUse::kFilter, &selector, error);
  if (status != WEIR_OK) return status;
  if (!insert(selector)) {
    set_error(error, "%s is given twice: expected each country once in a list",
              QuotedWord(word).c_str());
    return WEIR_INVALID;
  }
  is_empty_ = false;
  return WEIR_OK;
}

bool CountryFilter::List::selects(const Country& country) const noexcept {
  return has_all_ || has_place(countries_, country.code) || (country.in_eu && has_union_) ||
         has_place(continents_, country.continent);
}

bool CountryFilter::permits(const Country& country) const noexcept {
  if (std::string_view(country.code, 2) == kPrivateCountry.code) return !denied_.has_private();
  if (denied_.selects(country)) return false;
  return allowed_.is_empty() || allowed_.selects(country);
}

}  // namespace weir
