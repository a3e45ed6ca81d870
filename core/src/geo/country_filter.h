// An allow list and a deny list (weir_country_filter_t).
//
// Denial wins: a country that any word of the deny list selects is denied, even if the allow list
// names it more precisely. An allow list with a word in it denies what it does not select. Private
// and reserved addresses stand outside of both: only the word "private", denied, stops them.

#pragma once

#include <bitset>
#include <string_view>

#include "geo/country.h"
#include "geo/selector.h"

namespace weir {

class CountryFilter {
 public:
  // WEIR_INVALID if `word` is no selector of a filter, or is in that list already.
  weir_status_t allow(std::string_view word, weir_error_t* error) {
    return allowed_.add(word, error);
  }
  weir_status_t deny(std::string_view word, weir_error_t* error) {
    return denied_.add(word, error);
  }

  bool permits(const Country& country) const noexcept;

 private:
  class List {
   public:
    weir_status_t add(std::string_view word, weir_error_t* error);
    bool is_empty() const noexcept { return is_empty_; }
    bool has_private() const noexcept { return has_private_; }
    bool selects(const Country& country) const noexcept;

   private:
    // Adds the selector; false if it was there.
    bool insert(const Selector& selector) noexcept;

    std::bitset<kCodePlaces> countries_;
    std::bitset<kCodePlaces> continents_;
    bool has_union_ = false;
    bool has_private_ = false;
    bool has_all_ = false;
    bool is_empty_ = true;
  };

  List allowed_;
  List denied_;
};

}  // namespace weir
