// A word of a list of countries, as operators write it.
//
// Parsed once, when configuration is read. The words: a code of a country (upper case; UK is GB),
// "EU" for the members of the European Union, "continent:AF" and its like, "XX" for unknown; in a
// map also "default"; in a filter also "private" and "all".

#pragma once

#include <cstdint>
#include <string_view>

#include "weir/weir.h"

namespace weir {

struct Selector {
  enum class Kind : std::uint8_t { kCountry, kUnion, kContinent, kDefault, kPrivate, kAll };

  Kind kind = Kind::kDefault;
  std::uint16_t place = 0;  // of the code, for a country (XX too) and a continent: see code_place
};

enum class SelectorUse { kMap, kFilter };

weir_status_t parse_selector(std::string_view word, SelectorUse use, Selector* selector,
                             weir_error_t* error);

}  // namespace weir
