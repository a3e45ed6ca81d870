// From countries to numbers of the caller's choice (weir_country_map_t).
//
// Every selector has a place of its own, so setting one never changes what another says, and a
// look-up is four loads: country, European Union, continent, default.

#pragma once

#include <array>
#include <cstdint>
#include <string_view>

#include "geo/country.h"
#include "geo/selector.h"

namespace weir {

class CountryMap {
 public:
  static constexpr std::uint32_t kLargestValue = 65534;

  CountryMap() noexcept;

  // WEIR_INVALID if `word` is no selector of a map, or set already, or if `value` is too large.
  weir_status_t set(std::string_view word, std::uint32_t value, weir_error_t* error);

  // The value of the most specific selector that `country` has; -1 if there is none. Unknown has
  // only "XX" and default, private addresses only default.
  std::int32_t find(const Country& country) const noexcept;

 private:
  using Value = std::uint16_t;
  static constexpr Value kNone = 65535;

  Value* place_of(const Selector& selector) noexcept;

  std::array<Value, kCodePlaces> countries_;
  std::array<Value, kCodePlaces> continents_;
  Value union_ = kNone;
  Value default_ = kNone;
};

}  // namespace weir
