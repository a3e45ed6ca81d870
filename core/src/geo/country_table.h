// A country database, compiled: two poptries (geo/poptrie.h) and the countries that they name.
//
// A table is one piece of memory without pointers: a header, the countries, and the arrays of the
// IPv4 trie and the IPv6 trie. It may be copied, and read at any address aligned to 8 bytes. A
// value of a trie is the number of a country; number 0 is unknown. In the IPv6 trie it may also be
// a redirection: from that bit on the address is an IPv4 address (::/96, 6to4, Teredo).
//
// A CountryTable is a view of such memory and owns nothing. What it learnt from the header when it
// was opened is its own, and bounds every access, so that a look-up is safe, if senseless, in
// memory that somebody overwrites meanwhile. Look-ups allocate nothing and never fail.

#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>

#include "geo/country.h"
#include "geo/database.h"
#include "geo/ip_address.h"
#include "geo/poptrie.h"

namespace weir {

// What stands at the beginning of a table. Places are in bytes, from the header on.
struct CountryTableHeader {
  struct Family {
    std::uint32_t direct;
    std::uint32_t nodes;
    std::uint32_t leaves;
    std::uint32_t node_count;
    std::uint32_t leaf_count;
  };

  static constexpr std::uint64_t kMagic = 0x3265'6c62'6174'7777;

  DatabaseHeader common;
  std::uint32_t countries;
  std::uint32_t country_count;
  Family ipv4, ipv6;
};
static_assert(sizeof(CountryTableHeader) == 144);

// So that a country may be read as one word, which can't be torn.
static_assert(sizeof(Country) == sizeof(std::uint64_t));

class CountryTable {
 public:
  // Nothing if the memory holds no table of this version that fits into it.
  static std::optional<CountryTable> open(const void* memory, std::size_t size) noexcept;

  Country find_country(const IpAddress& address) const noexcept;

  // A table knows no fields.
  std::size_t find_field(const IpAddress&, const FieldPath&, std::span<char>) const noexcept {
    return 0;
  }

  const DatabaseInfo& info() const noexcept { return info_; }
  std::size_t size() const noexcept { return size_; }

 private:
  CountryTable() = default;

  poptrie::Trie ipv4_{};
  poptrie::Trie ipv6_{};
  const std::uint64_t* countries_ = nullptr;
  std::uint32_t country_count_ = 0;
  DatabaseInfo info_{};
  std::size_t size_ = 0;
};

}  // namespace weir
