// A country as a value, and the built-in table of all countries.
//
// Countries are those of ISO 3166-1 alpha-2 and XK. "XX" stands for unknown and "ZZ" for private
// and reserved addresses; neither is in the table, and their continent is "XX" and "ZZ" likewise.
//
// Everything here is a constant or a look-up in an array of 26 * 26 places, one for each pair of
// upper-case letters.

#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "weir/weir.h"

namespace weir {

using Country = weir_country_t;

inline constexpr Country kUnknownCountry = {"XX", "XX", 0, 0};
inline constexpr Country kPrivateCountry = {"ZZ", "ZZ", 0, 0};

// Code, continent and membership.
inline bool is_same(const Country& one, const Country& other) noexcept {
  return std::bit_cast<std::uint64_t>(one) == std::bit_cast<std::uint64_t>(other);
}

inline constexpr std::size_t kCodePlaces = 26 * 26;

constexpr bool is_upper_case_letter(char c) { return c >= 'A' && c <= 'Z'; }

// Two upper-case letters, whatever they mean.
constexpr bool has_code_form(std::string_view text) {
  return text.size() == 2 && is_upper_case_letter(text[0]) && is_upper_case_letter(text[1]);
}

// The place of such a pair in an array of kCodePlaces.
constexpr std::size_t code_place(char first, char second) {
  return static_cast<std::size_t>((first - 'A') * 26 + (second - 'A'));
}

// One of AF AN AS EU NA OC SA.
bool is_continent(std::string_view code) noexcept;

// The country of a code, with its continent and its membership; UK is GB. NULL if there is none of
// that code. Static storage.
const Country* find_country(std::string_view code) noexcept;

}  // namespace weir
