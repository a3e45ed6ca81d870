// The networks of a tree are where it ends, whatever the tree looks like.

#include "geo/mmdb_networks.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <cstdio>
#include <string>
#include <utility>
#include <vector>

namespace weir {
namespace {

constexpr unsigned kRecordBits = 32;

// A tree of so many address bits, out of its nodes' pairs of records.
class Tree {
 public:
  Tree(unsigned bits, const std::vector<std::pair<std::uint32_t, std::uint32_t>>& nodes) {
    for (const auto& [zero, one] : nodes) {
      for (const std::uint32_t record : {zero, one}) {
        for (int shift = 24; shift >= 0; shift -= 8)
          bytes_.push_back(static_cast<std::uint8_t>(record >> shift));
      }
    }
    tree_ = MmdbTree(bytes_.data(), static_cast<std::uint32_t>(nodes.size()), kRecordBits, bits);
  }

  // "first-last:record", in hexadecimal, for each network.
  std::vector<std::string> networks(std::uint8_t most_entries) {
    std::vector<std::string> found;
    left_out_ = for_each_network(tree_, most_entries, [&](const MmdbNetwork& network) {
      char text[64];
      std::snprintf(text, sizeof(text), "%llx-%llx:%x",
                    static_cast<unsigned long long>(network.first),
                    static_cast<unsigned long long>(network.last), network.record);
      found.push_back(text);
    });
    return found;
  }

  const MmdbTree& tree() const { return tree_; }
  std::uint64_t left_out() const { return left_out_; }

 private:
  std::vector<std::uint8_t> bytes_;
  MmdbTree tree_;
  std::uint64_t left_out_ = 0;
};

using Networks = std::vector<std::string>;

TEST(MmdbNetworks, CoverAllAddressesInTheirOrder) {
  Tree tree(32, {{1, 0x60}, {0x61, 2}, {2 + 1, 0x62}});  // 3 is nothing
  EXPECT_EQ(tree.networks(1), (Networks{"0-3fffffff:61", "40000000-5fffffff:3",
                                        "60000000-7fffffff:62", "80000000-ffffffff:60"}));
  EXPECT_EQ(tree.left_out(), 0u);
}

TEST(MmdbNetworks, ReachTheEndsOfTheIPv6Space) {
  const Tree tree(128, {{0x60, 0x61}});
  std::vector<Wide> edges;
  for_each_network(tree.tree(), 1, [&](const MmdbNetwork& network) {
    edges.push_back(network.first);
    edges.push_back(network.last);
  });
  const Wide middle = Wide{1} << 127;
  EXPECT_TRUE((edges == std::vector<Wide>{0, middle - 1, middle, ~Wide{0}}));
}

TEST(MmdbNetworks, AnAliasIsLeftOutOrWalkedAsOftenAsTheCallerSays) {
  Tree tree(32, {{1, 1}, {0x60, 0x61}});
  EXPECT_EQ(tree.networks(1), (Networks{"0-3fffffff:60", "40000000-7fffffff:61"}));
  EXPECT_EQ(tree.left_out(), 1u);
  EXPECT_EQ(tree.networks(2).size(), 4u);
  EXPECT_EQ(tree.left_out(), 0u);
}

TEST(MmdbNetworks, OfATreeWhosePathsMultiplyTakeABoundedWalk) {
  std::vector<std::pair<std::uint32_t, std::uint32_t>> nodes;
  for (std::uint32_t node = 1; node <= 128; ++node) nodes.push_back({node, node});
  Tree tree(128, nodes);  // 2^128 paths
  EXPECT_EQ(tree.networks(16).size(), 32u);
  EXPECT_GT(tree.left_out(), 0u);
}

TEST(MmdbNetworks, OfATreeWithCyclesEndWithTheAddress) {
  Tree tree(32, {{0, 0x60}});
  EXPECT_EQ(tree.networks(255).size(), 33u);
  EXPECT_EQ(tree.networks(255).front(), "0-0:0");
}

}  // namespace
}  // namespace weir
