#include "geo/country_overrides.h"

#include <arpa/inet.h>

#include <algorithm>
#include <charconv>
#include <optional>
#include <string>

#include "error.h"

namespace weir {
namespace {

struct Prefix {
  IpAddress first;
  std::uint32_t length;
};

std::optional<IpAddress> parse_address(std::string_view text, bool* was_mapped) {
  const std::string terminated(text);
  std::uint8_t bytes[16];
  const bool is_ipv6 = text.find(':') != std::string_view::npos;
  if (inet_pton(is_ipv6 ? AF_INET6 : AF_INET, terminated.c_str(), bytes) != 1) return std::nullopt;
  const auto address = IpAddress::from_bytes(bytes, is_ipv6 ? 16 : 4);
  *was_mapped = is_ipv6 && address.length == 4;
  return address;
}

// Nothing if it is no prefix, or has bits set behind it.
std::optional<Prefix> parse_prefix(std::string_view text) {
  const std::size_t slash = text.find('/');
  bool was_mapped = false;
  const auto address = parse_address(text.substr(0, slash), &was_mapped);
  if (!address) return std::nullopt;
  std::uint32_t length = address->length * 8u;
  if (slash != std::string_view::npos) {
    const std::string_view digits = text.substr(slash + 1);
    const auto [end, problem] = std::from_chars(digits.begin(), digits.end(), length);
    if (problem != std::errc{} || end != digits.end()) return std::nullopt;
    // An IPv4-mapped range is the range of the IPv4 addresses in it.
    if (was_mapped && length < 96) return std::nullopt;
    if (was_mapped) length -= 96;
  }
  if (length > address->length * 8u || address->masked(length) != *address) return std::nullopt;
  return Prefix{*address, length};
}

const Country* country_named(std::string_view code) {
  if (code == kUnknownCountry.code) return &kUnknownCountry;
  if (code == kPrivateCountry.code) return &kPrivateCountry;
  return find_country(code);
}

constexpr auto kByFirst = [](const auto& range, const IpAddress& first) {
  return range.first.bytes < first.bytes;
};

}  // namespace

weir_status_t CountryOverrides::add(std::string_view range, std::string_view code,
                                    weir_error_t* error) {
  const std::optional<Prefix> prefix = parse_prefix(range);
  if (!prefix) {
    set_error(error,
              "%s is no address range: expected an address and the length of a prefix that holds "
              "all of its bits, such as \"192.0.2.0/24\" or \"2001:db8::/32\"",
              QuotedWord(range).c_str());
    return WEIR_INVALID;
  }
  const Country* country = country_named(code);
  if (country == nullptr) {
    set_error(error,
              "%s is no country: expected a code of ISO 3166-1 in upper case, such as \"KR\", or "
              "\"XX\" or \"ZZ\"",
              QuotedWord(code).c_str());
    return WEIR_INVALID;
  }

  auto length = std::find_if(lengths_.begin(), lengths_.end(),
                             [&](const Length& known) { return known.prefix <= prefix->length; });
  while (length != lengths_.end() && length->prefix == prefix->length &&
         length->family != prefix->first.length)
    ++length;
  if (length == lengths_.end() || length->prefix != prefix->length)
    length = lengths_.insert(length, Length{prefix->first.length, prefix->length, {}});

  auto& ranges = length->ranges;
  const auto place = std::lower_bound(ranges.begin(), ranges.end(), prefix->first, kByFirst);
  if (place != ranges.end() && place->first == prefix->first) {
    set_error(error, "%s is given twice: expected each range once", QuotedWord(range).c_str());
    return WEIR_INVALID;
  }
  ranges.insert(place, Range{prefix->first, *country});
  return WEIR_OK;
}

const Country* CountryOverrides::find(const IpAddress& address) const noexcept {
  for (const Length& length : lengths_) {
    if (length.family != address.length) continue;
    const IpAddress first = address.masked(length.prefix);
    const auto place =
        std::lower_bound(length.ranges.begin(), length.ranges.end(), first, kByFirst);
    if (place != length.ranges.end() && place->first == first) return &place->country;
  }
  return nullptr;
}

}  // namespace weir
