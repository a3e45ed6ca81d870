#include "geo/poptrie_builder.h"

#include <algorithm>
#include <utility>

namespace weir::poptrie {

Built nothing() {
  Built built;
  built.direct.assign(kDirectEntries, kLeaf);
  return built;
}

Builder::Builder(const MmdbTree& tree, unsigned address_bits, std::optional<std::uint32_t> redirect,
                 ValueOf value_of, std::uint32_t most_nodes)
    : tree_(tree),
      address_bits_(address_bits),
      redirect_(redirect),
      value_of_(std::move(value_of)),
      most_nodes_(most_nodes),
      compiled_at_(tree.node_count(), 0) {}

std::optional<Built> Builder::build(std::uint32_t root) {
  built_.direct.resize(kDirectEntries);
  if (!fill_direct({root, 0}, 0)) return std::nullopt;
  return std::move(built_);
}

// Fills the direct entries that begin with the bits which lead to the spot.
bool Builder::fill_direct(Spot spot, std::uint32_t place) {
  const unsigned left = kDirectBits - spot.depth;
  if (left != 0 && is_followed(spot.record)) {
    const auto [zero, one] = tree_.records(spot.record);
    return fill_direct({zero, spot.depth + 1}, place) &&
           fill_direct({one, spot.depth + 1}, place | 1u << (left - 1));
  }
  const auto compiled = compile(spot);
  if (!compiled) return false;
  std::uint32_t entry = kLeaf | compiled->value;
  if (!compiled->is_leaf) {
    entry = static_cast<std::uint32_t>(built_.nodes.size());
    built_.nodes.push_back(compiled->node);
  }
  std::fill_n(built_.direct.begin() + place, 1u << left, entry);
  return true;
}

std::optional<Builder::Compiled> Builder::compile(Spot spot) {
  return is_followed(spot.record) ? compile_node(spot) : compile_leaf(spot);
}

std::optional<Builder::Compiled> Builder::compile_leaf(Spot spot) {
  Compiled leaf;
  if (spot.record == redirect_) {
    if (spot.depth > kMostRedirectDepth) return fail("its IPv4 part is below the last 32 bits");
    leaf.value = static_cast<Value>(kRedirect + spot.depth);
    leaf.depends_on_depth = true;
    return leaf;
  }
  if (tree_.is_nothing(spot.record)) return leaf;
  if (!tree_.is_value(spot.record)) return fail("a record points between its tree and its data");
  const auto value = value_of_(tree_.value_of(spot.record));
  if (!value) return fail("a record points beyond its data, or there are too many kinds of data");
  leaf.value = *value;
  return leaf;
}

std::optional<Builder::Compiled> Builder::find_compiled(Spot spot) const {
  const std::uint32_t number = compiled_at_[spot.record];
  if (number == 0) return std::nullopt;
  const Compiled& known = compiled_[number - 1];
  if (known.depends_on_depth && known.depth != spot.depth) return std::nullopt;
  return known;
}

std::optional<Builder::Compiled> Builder::compile_node(Spot spot) {
  constexpr const char* kTooDeep = "its tree is deeper than an address is long";
  if (const auto known = find_compiled(spot)) {
    if (spot.depth + known->height > address_bits_) return fail(kTooDeep);
    return known;
  }
  if (++work_ > most_nodes_) return fail("its tree is too large");

  std::array<Spot, kPlaces> spots;
  if (!spread(spot, 0, 0, &spots)) return fail(kTooDeep);

  std::array<Compiled, kPlaces> parts;
  bool depends_on_depth = false;
  unsigned height = 0;
  for (unsigned place = 0; place < kPlaces; ++place) {
    if (place != 0 && spots[place] == spots[place - 1]) {
      parts[place] = parts[place - 1];
      continue;
    }
    const auto part = compile(spots[place]);
    if (!part) return std::nullopt;
    parts[place] = *part;
    depends_on_depth |= part->depends_on_depth;
    height = std::max(height, spots[place].depth - spot.depth + part->height);
  }

  auto compiled = join(parts);
  if (!compiled) return std::nullopt;
  compiled->depends_on_depth = depends_on_depth;
  compiled->depth = static_cast<std::uint16_t>(spot.depth);
  compiled->height = static_cast<std::uint16_t>(height);
  compiled_.push_back(*compiled);
  compiled_at_[spot.record] = static_cast<std::uint32_t>(compiled_.size());
  return compiled;
}

// What stands at each place of the stride that begins `level` bits above the spot. False if a path
// goes on where an address ends.
bool Builder::spread(Spot spot, unsigned level, unsigned place, std::array<Spot, kPlaces>* spots) {
  const bool is_followed_on = is_followed(spot.record);
  if (is_followed_on && spot.depth == address_bits_) return false;
  if (!is_followed_on || level == kStride) {
    std::fill_n(spots->begin() + place, kPlaces >> level, spot);
    return true;
  }
  const auto [zero, one] = tree_.records(spot.record);
  return spread({zero, spot.depth + 1}, level + 1, place, spots) &&
         spread({one, spot.depth + 1}, level + 1, place | kPlaces >> (level + 1), spots);
}

// One node of the places of a stride; or one value, if they all have it.
std::optional<Builder::Compiled> Builder::join(const std::array<Compiled, kPlaces>& parts) {
  const auto is_same = [&](const Compiled& part) {
    return part.is_leaf && part.value == parts[0].value;
  };
  if (std::all_of(parts.begin(), parts.end(), is_same)) return parts[0];

  Compiled joined;
  joined.is_leaf = false;
  joined.node.first_child = static_cast<std::uint32_t>(built_.nodes.size());
  joined.node.first_leaf = static_cast<std::uint32_t>(built_.leaves.size());
  std::optional<Value> last;
  for (unsigned place = 0; place < kPlaces; ++place) {
    const Compiled& part = parts[place];
    const std::uint64_t bit = std::uint64_t{1} << place;
    if (!part.is_leaf) {
      joined.node.children |= bit;
      built_.nodes.push_back(part.node);
    } else if (part.value != last) {
      joined.node.leaf_starts |= bit;
      built_.leaves.push_back(part.value);
      last = part.value;
    }
  }
  if (stored() > most_nodes_) return fail("its tree is too large");
  return joined;
}

}  // namespace weir::poptrie
