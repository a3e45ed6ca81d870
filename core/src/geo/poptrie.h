// A poptrie: a multi-bit trie that is compressed by counting bits (Asai and Ohara, "Poptrie: A
// Compressed Trie with Population Count for Fast and Scalable Software IP Routing Table Lookup",
// SIGCOMM 2015).
//
// The first 18 bits of an address index `direct`, an array of 2^18 entries: a value with kLeaf set,
// or the number of a node. A node decides the next 6 bits. It has a bit for each of their 64
// values: in `children`, whether another node follows; in `leaf_starts`, for those that do not,
// whether their value differs from that of the last one without a child. So runs of equal values
// are stored once, and the number of set bits up to a place says how far behind the node's first
// child, or first leaf, it is.
//
// All is numbers, no pointers: a trie may be copied, written to a file, or lie in shared memory at
// different addresses. It may be overwritten while it is read, too (geo/country_table.h says who
// does that and how the reader notices): every word is read by a relaxed atomic load, no number
// that comes from the trie is used as an index unchecked, and a look-up ends after as many steps as
// an address has strides. Where the trie is no trie, it finds kBroken.
//
// A key is an address from the top bit of an unsigned integer that is wider than it by at least the
// bits of a stride that reaches beyond its end; what is beyond its end is 0.

#pragma once

#include <cstdint>

#include "relaxed.h"

namespace weir::poptrie {

inline constexpr unsigned kDirectBits = 18;
inline constexpr unsigned kStride = 6;
inline constexpr std::uint32_t kDirectEntries = 1u << kDirectBits;
inline constexpr std::uint32_t kLeaf = 1u << 31;

using Value = std::uint16_t;
inline constexpr Value kBroken = 0xffff;

// kRedirect + d: the rest of the address, from bit d on, is for another trie.
inline constexpr Value kRedirect = 0xff00;
inline constexpr unsigned kMostRedirectDepth = 96;

struct Node {
  std::uint64_t children;
  std::uint64_t leaf_starts;
  std::uint32_t first_child;
  std::uint32_t first_leaf;
};
static_assert(sizeof(Node) == 24);

struct Trie {
  const std::uint32_t* direct;  // kDirectEntries of them
  const Node* nodes;
  const Value* leaves;
  std::uint32_t node_count;
  std::uint32_t leaf_count;
};

// How many bits of `bits` are set up to and with the one at `place`. (Shifting the rest out at the
// top, rather than masking it, needs one instruction less.)
inline std::uint32_t rank(std::uint64_t bits, unsigned place) {
  return static_cast<std::uint32_t>(__builtin_popcountll(bits << (63 - place)));
}

// To be inlined into functions that are compiled with and without the popcnt instruction.
template <class Key>
[[gnu::always_inline]] inline Value find(const Trie& trie, Key key) {
  constexpr unsigned kKeyBits = sizeof(Key) * 8;
  std::uint32_t entry =
      load_relaxed(trie.direct[static_cast<std::uint32_t>(key >> (kKeyBits - kDirectBits))]);
  key <<= kDirectBits;
  for (unsigned bit = kDirectBits; entry < trie.node_count && bit < kKeyBits; bit += kStride) {
    const Node& node = trie.nodes[entry];
    const auto place = static_cast<unsigned>(key >> (kKeyBits - kStride));
    const std::uint64_t children = load_relaxed(node.children);
    if ((children >> place & 1) == 0) {
      const std::uint32_t leaf =
          load_relaxed(node.first_leaf) + rank(load_relaxed(node.leaf_starts), place) - 1;
      return leaf < trie.leaf_count ? load_relaxed(trie.leaves[leaf]) : kBroken;
    }
    entry = load_relaxed(node.first_child) + rank(children, place) - 1;
    key <<= kStride;
  }
  return (entry & kLeaf) != 0 ? static_cast<Value>(entry) : kBroken;
}

}  // namespace weir::poptrie
