// Address ranges whose country an operator knows better than a database (weir_geo_overrides_t).
//
// The range with the longest prefix that holds an address counts. Ranges are kept by the length of
// their prefix, longest first, and in order within it, so that a look-up is a binary search for
// each length that is in use: a few dozen nanoseconds for thousands of ranges.
//
// Built when configuration is read, and immutable then.

#pragma once

#include <string_view>
#include <vector>

#include "geo/country.h"
#include "geo/ip_address.h"
#include "weir/weir.h"

namespace weir {

class CountryOverrides {
 public:
  // "192.0.2.0/24" or "2001:db8::/32", or a single address; a code of ISO 3166-1, "XX" or "ZZ".
  // WEIR_INVALID if they are not, or if the range is given twice.
  weir_status_t add(std::string_view range, std::string_view code, weir_error_t* error);

  // NULL if no range holds the address.
  const Country* find(const IpAddress& address) const noexcept;

 private:
  struct Range {
    IpAddress first;
    Country country;
  };
  struct Length {
    std::uint8_t family;  // bytes of an address
    std::uint32_t prefix;
    std::vector<Range> ranges;  // by their bytes
  };

  std::vector<Length> lengths_;  // longest first
};

}  // namespace weir
