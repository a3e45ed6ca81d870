#include "geo/country_table.h"

#include <bit>

#include "relaxed.h"
#include "wide.h"

namespace weir {
namespace {

using poptrie::Trie;
using poptrie::Value;

// ---- Look-ups with the popcnt instruction, where there is one ----
//
// Programs for plain x86-64 count bits in software, which takes half of a look-up's time.

Value find_ipv4_plainly(const Trie& trie, std::uint64_t key) { return poptrie::find(trie, key); }
Value find_ipv6_plainly(const Trie& trie, Wide key) { return poptrie::find(trie, key); }

#if defined(__x86_64__)
[[gnu::target("popcnt")]] Value find_ipv4_by_popcnt(const Trie& trie, std::uint64_t key) {
  return poptrie::find(trie, key);
}
[[gnu::target("popcnt")]] Value find_ipv6_by_popcnt(const Trie& trie, Wide key) {
  return poptrie::find(trie, key);
}
bool has_popcnt() {
  __builtin_cpu_init();
  return __builtin_cpu_supports("popcnt") != 0;
}
const auto find_ipv4 = has_popcnt() ? find_ipv4_by_popcnt : find_ipv4_plainly;
const auto find_ipv6 = has_popcnt() ? find_ipv6_by_popcnt : find_ipv6_plainly;
#else
constexpr auto find_ipv4 = find_ipv4_plainly;
constexpr auto find_ipv6 = find_ipv6_plainly;
#endif

template <class Number>
Number number_of(const std::uint8_t* bytes) {
  Number number = 0;
  for (std::size_t i = 0; i < sizeof(Number); ++i)
    number = static_cast<Number>(number << 8 | bytes[i]);
  return number;
}

std::uint64_t ipv4_key(std::uint32_t address) { return std::uint64_t{address} << 32; }

// ---- Opening ----

const std::uint8_t* at(const void* memory, std::uint32_t place) {
  return static_cast<const std::uint8_t*>(memory) + place;
}

// Does an array lie in the table, and start where its elements may?
bool fits(std::uint64_t size, std::uint32_t place, std::uint64_t count, std::size_t element,
          std::size_t alignment) {
  return place % alignment == 0 && place <= size && count <= (size - place) / element;
}

bool fits(std::uint64_t size, const CountryTableHeader::Family& family) {
  return fits(size, family.direct, poptrie::kDirectEntries, sizeof(std::uint32_t), 4) &&
         fits(size, family.nodes, family.node_count, sizeof(poptrie::Node), 8) &&
         family.node_count < poptrie::kLeaf &&
         fits(size, family.leaves, family.leaf_count, sizeof(Value), 2);
}

Trie trie_of(const void* memory, const CountryTableHeader::Family& family) {
  return {.direct = reinterpret_cast<const std::uint32_t*>(at(memory, family.direct)),
          .nodes = reinterpret_cast<const poptrie::Node*>(at(memory, family.nodes)),
          .leaves = reinterpret_cast<const Value*>(at(memory, family.leaves)),
          .node_count = family.node_count,
          .leaf_count = family.leaf_count};
}

}  // namespace

std::optional<CountryTable> CountryTable::open(const void* memory, std::size_t size) noexcept {
  if (size < sizeof(CountryTableHeader)) return std::nullopt;
  const auto header = copy_relaxed<CountryTableHeader>(memory);
  if (header.common.magic != CountryTableHeader::kMagic || header.common.size > size ||
      header.country_count == 0 ||
      !fits(header.common.size, header.countries, header.country_count, sizeof(std::uint64_t), 8) ||
      !fits(header.common.size, header.ipv4) || !fits(header.common.size, header.ipv6))
    return std::nullopt;

  CountryTable table;
  table.ipv4_ = trie_of(memory, header.ipv4);
  table.ipv6_ = trie_of(memory, header.ipv6);
  table.countries_ = reinterpret_cast<const std::uint64_t*>(at(memory, header.countries));
  table.country_count_ = header.country_count;
  table.info_ = header.common.info;
  table.size_ = header.common.size;
  return table;
}

Country CountryTable::find_country(const IpAddress& address) const noexcept {
  Value value = 0;
  if (address.length == 4) {
    value = find_ipv4(ipv4_, ipv4_key(number_of<std::uint32_t>(address.bytes.data())));
  } else if (address.length == 16) {
    const Wide key = number_of<Wide>(address.bytes.data());
    value = find_ipv6(ipv6_, key);
    if (value >= poptrie::kRedirect && value <= poptrie::kRedirect + poptrie::kMostRedirectDepth) {
      const unsigned behind = poptrie::kMostRedirectDepth - (value - poptrie::kRedirect);
      value = find_ipv4(ipv4_, ipv4_key(static_cast<std::uint32_t>(key >> behind)));
    }
  }
  if (value >= country_count_) return kUnknownCountry;
  return std::bit_cast<Country>(load_relaxed(countries_[value]));
}

}  // namespace weir
