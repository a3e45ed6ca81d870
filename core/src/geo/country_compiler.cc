#include "geo/country_compiler.h"

#include <bit>
#include <cstring>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "error.h"
#include "geo/country_table.h"
#include "geo/poptrie_builder.h"

namespace weir {
namespace {

using poptrie::Built;
using poptrie::Value;

// Of one family; the largest databases have some 200,000. These take up 100 MB.
constexpr std::uint32_t kMostNodes = 1u << 22;

// How many values may be looked at to read all records: so many, and more for each byte of the
// data. Records share values, but in a country database they come to less than one a byte.
constexpr std::uint64_t kMostValues = 1u << 22;
constexpr std::uint64_t kMostValuesPerByte = 16;

// The countries of a database, numbered as they are met.
class Countries {
 public:
  Countries(const MmdbSection& records, const CountrySchema& schema)
      : records_(records),
        schema_(schema),
        most_values_(kMostValues + kMostValuesPerByte * records.size()) {
    number(kUnknownCountry);
  }

  // Of a network, whose record is at a place; nothing if it is beyond the section, if there are too
  // many, or if records take too long to read.
  std::optional<Value> of_network(std::uint32_t place) {
    const std::optional<Value> value = at(place);
    known_networks_ += value && *value != 0;
    return value;
  }

  std::uint64_t known_networks() const { return known_networks_; }
  const std::vector<std::uint64_t>& packed() const { return packed_; }

  // Do records share so many values that reading all of them would take too long?
  bool is_tangled() const { return values_ > most_values_; }

 private:
  std::optional<Value> at(std::uint32_t place) {
    const auto [known, is_new] = by_place_.try_emplace(place, Value{0});
    if (!is_new) return known->second;
    // libmaxminddb counts the separator in, and finds nothing in the last 16 bytes.
    if (std::uint64_t{place} + MmdbTree::kSeparator >= records_.size()) return std::nullopt;
    if (is_tangled()) return std::nullopt;
    const std::optional<Value> value = number(schema_.read(records_, place, &values_));
    if (value) known->second = *value;
    return value;
  }

  std::optional<Value> number(const Country& country) {
    const auto packed = std::bit_cast<std::uint64_t>(country);
    const auto [known, is_new] =
        by_country_.try_emplace(packed, static_cast<Value>(packed_.size()));
    if (!is_new) return known->second;
    if (packed_.size() >= poptrie::kRedirect) return std::nullopt;
    packed_.push_back(packed);
    return known->second;
  }

  const MmdbSection& records_;
  const CountrySchema& schema_;
  std::uint64_t most_values_;
  std::uint64_t values_ = 0;  // looked at so far
  std::vector<std::uint64_t> packed_;
  std::unordered_map<std::uint64_t, Value> by_country_;
  std::unordered_map<std::uint32_t, Value> by_place_;
  std::uint64_t known_networks_ = 0;
};

// Lays the parts of a table out behind its header.
class Layout {
 public:
  explicit Layout(CompiledCountries* table) : table_(table) {
    table_->assign(sizeof(CountryTableHeader) / sizeof(std::uint64_t), 0);
  }

  template <class Part>
  std::uint32_t add(const Part& part) {
    const std::size_t place = table_->size() * sizeof(std::uint64_t);
    const std::size_t bytes = part.size() * sizeof(part[0]);
    table_->resize(table_->size() + (bytes + 7) / sizeof(std::uint64_t));
    if (bytes != 0)
      std::memcpy(reinterpret_cast<std::uint8_t*>(table_->data()) + place, part.data(), bytes);
    return static_cast<std::uint32_t>(place);
  }

  CountryTableHeader::Family add(const Built& built) {
    return {.direct = add(built.direct),
            .nodes = add(built.nodes),
            .leaves = add(built.leaves),
            .node_count = static_cast<std::uint32_t>(built.nodes.size()),
            .leaf_count = static_cast<std::uint32_t>(built.leaves.size())};
  }

  void finish(CountryTableHeader header) {
    header.common.magic = CountryTableHeader::kMagic;
    header.common.size = table_->size() * sizeof(std::uint64_t);
    std::memcpy(table_->data(), &header, sizeof(header));
    table_->shrink_to_fit();
  }

 private:
  CompiledCountries* table_;
};

}  // namespace

weir_status_t compile_countries(const MmdbFile& file, const CountrySchema& schema, const char* path,
                                CompiledCountries* table, weir_error_t* error) {
  Countries countries(file.records(), schema);
  const auto value_of = [&](std::uint32_t place) { return countries.of_network(place); };
  const MmdbTree& tree = file.tree();
  const std::uint32_t root4 = tree.ipv4_root();

  const auto build = [&](unsigned bits, std::optional<std::uint32_t> redirect, std::uint32_t root) {
    poptrie::Builder builder(tree, bits, redirect, value_of, kMostNodes);
    std::optional<Built> built = builder.build(root);
    if (!built) {
      const std::string problem =
          countries.is_tangled() ? "its records share too many values" : builder.problem();
      set_error(error, "%s is a broken .mmdb file: %s",
                QuotedWord(path, QuotedWord::kLongest).c_str(), problem.c_str());
    }
    return built;
  };

  const std::optional<Built> ipv4 = build(32, std::nullopt, root4);
  if (!ipv4) return WEIR_INVALID;
  std::optional<Built> ipv6 = poptrie::nothing();
  if (tree.address_bits() == 128) {
    ipv6 = build(128, tree.is_node(root4) ? std::optional(root4) : std::nullopt, 0);
    if (!ipv6) return WEIR_INVALID;
  }

  Layout layout(table);
  CountryTableHeader header{};
  header.common.info = file.info();
  header.common.info.networks = countries.known_networks();
  header.country_count = static_cast<std::uint32_t>(countries.packed().size());
  header.countries = layout.add(countries.packed());
  header.ipv4 = layout.add(*ipv4);
  header.ipv6 = layout.add(*ipv6);
  layout.finish(header);
  return WEIR_OK;
}

}  // namespace weir
