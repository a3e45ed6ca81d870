#include "geo/country_map.h"

#include "error.h"

namespace weir {

CountryMap::CountryMap() noexcept {
  countries_.fill(kNone);
  continents_.fill(kNone);
}

CountryMap::Value* CountryMap::place_of(const Selector& selector) noexcept {
  switch (selector.kind) {
    case Selector::Kind::kCountry:
      return &countries_[selector.place];
    case Selector::Kind::kUnion:
      return &union_;
    case Selector::Kind::kContinent:
      return &continents_[selector.place];
    default:
      return &default_;
  }
}

weir_status_t CountryMap::set(std::string_view word, std::uint32_t value, weir_error_t* error) {
  Selector selector;
  const weir_status_t status = parse_selector(word, SelectorUse::kMap, &selector, error);
  if (status != WEIR_OK) return status;
  if (value > kLargestValue) {
    set_error(error, "value %u of %s is too large: expected 0 to %u", value,
              QuotedWord(word).c_str(), kLargestValue);
    return WEIR_INVALID;
  }
  Value* place = place_of(selector);
  if (*place != kNone) {
    set_error(error, "%s is given twice: expected each country once", QuotedWord(word).c_str());
    return WEIR_INVALID;
  }
  *place = static_cast<Value>(value);
  return WEIR_OK;
}

std::int32_t CountryMap::find(const Country& country) const noexcept {
  const auto first_set = [](std::initializer_list<Value> values) -> std::int32_t {
    for (const Value value : values) {
      if (value != kNone) return value;
    }
    return -1;
  };
  const auto value_at = [](const std::array<Value, kCodePlaces>& values, const char* code) {
    return has_code_form({code, 2}) ? values[code_place(code[0], code[1])] : kNone;
  };
  return first_set({value_at(countries_, country.code), country.in_eu ? union_ : kNone,
                    value_at(continents_, country.continent), default_});
}

}  // namespace weir
