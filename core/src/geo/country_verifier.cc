#include "geo/country_verifier.h"

#include <optional>

#include "geo/mmdb_networks.h"
#include "wide.h"

namespace weir {
namespace {

// Of a node of the tree, by different paths. IPv4 and its three aliases are four.
constexpr std::uint8_t kMostEntries = 16;

class Comparison {
 public:
  Comparison(const MmdbFile& file, const CountrySchema& schema, const CountryTable& table)
      : file_(file), schema_(schema), table_(table) {}

  // The edges of a network, and what is beside them, as addresses of so many bits.
  void compare_edges(const MmdbNetwork& network, unsigned bits) {
    for (const Wide number : {network.first - 1, network.first, network.last, network.last + 1})
      compare(IpAddress::from_number(number, bits));
  }

  CountryVerification result;

 private:
  void compare(const IpAddress& address) {
    const std::optional<std::uint32_t> record = file_.find_record(address);
    const Country expected = record ? schema_.read(file_.records(), *record) : kUnknownCountry;
    const Country found = table_.find_country(address);
    ++result.addresses;
    if (!is_same(expected, kUnknownCountry)) ++result.known;
    if (is_same(expected, found)) return;
    ++result.disagreements;
    if (result.first.size() < CountryVerification::kMostKept)
      result.first.push_back({address, expected, found});
  }

  const MmdbFile& file_;
  const CountrySchema& schema_;
  const CountryTable& table_;
};

}  // namespace

CountryVerification verify_countries(const MmdbFile& file, const CountrySchema& schema,
                                     const CountryTable& table, std::uint64_t every) {
  const unsigned bits = file.tree().address_bits();
  Comparison comparison(file, schema, table);
  CountryVerification& result = comparison.result;
  const std::uint8_t entries = every == 1 ? kMostEntries : 1;
  std::uint64_t until_next = 0;

  result.repetitions_left_out =
      for_each_network(file.tree(), entries, [&](const MmdbNetwork& network) {
        if (until_next-- != 0) return;
        until_next = every - 1;
        ++result.networks;
        comparison.compare_edges(network, bits);
        if (bits == 128 && network.first >> 32 == 0) comparison.compare_edges(network, 32);
      });
  return result;
}

}  // namespace weir
