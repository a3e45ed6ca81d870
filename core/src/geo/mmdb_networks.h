// The networks of an .mmdb file: the prefixes at which its tree ends, with a record or without.
//
// Several paths may lead to one node. Writers alias the IPv4 part of an IPv6 tree (as
// ::ffff:0:0/96, 2001::/32 and 2002::/16), and the paths of a hostile tree multiply: 128 nodes can
// have 2^128. So whoever walks says how many times a node is entered at most, which bounds the
// walk, whatever the tree looks like. Once makes the networks without their aliases.

#pragma once

#include <cstdint>
#include <vector>

#include "geo/mmdb_tree.h"
#include "wide.h"

namespace weir {

struct MmdbNetwork {
  Wide first;            // address, in the lowest address_bits() bits
  Wide last;             // likewise
  std::uint32_t record;  // of the tree: a value, or nothing
};

// Calls visit(const MmdbNetwork&) in the order of addresses. Returns how many times it met a node
// that had been entered often enough, and left out what is below.
template <class Visit>
std::uint64_t for_each_network(const MmdbTree& tree, std::uint8_t most_entries, Visit visit) {
  struct Branch {
    std::uint32_t record;
    unsigned depth;
    Wide first;
  };
  const unsigned bits = tree.address_bits();
  std::vector<std::uint8_t> entries(tree.node_count());
  std::vector<Branch> branches = {{0, 0, 0}};  // the next to walk is the last
  std::uint64_t left_out = 0;

  while (!branches.empty()) {
    const auto [record, depth, first] = branches.back();
    branches.pop_back();
    const unsigned rest = bits - depth;
    if (rest == 0 || !tree.is_node(record)) {
      const Wide last = rest == 128 ? ~Wide{0} : first | ((Wide{1} << rest) - 1);
      visit(MmdbNetwork{first, last, record});
    } else if (entries[record] == most_entries) {
      ++left_out;
    } else {
      ++entries[record];
      const auto [zero, one] = tree.records(record);
      branches.push_back({one, depth + 1, first | Wide{1} << (rest - 1)});
      branches.push_back({zero, depth + 1, first});
    }
  }
  return left_out;
}

}  // namespace weir
