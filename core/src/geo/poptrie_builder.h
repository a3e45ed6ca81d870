// Builds a poptrie from a part of an .mmdb file's search tree, whatever the file says.
//
// The tree is cut into strides: the first 18 bits, and then 6 bits at a time. Each node of the tree
// at which a stride begins is compiled once, however many paths lead to it; a tree whose nodes are
// reached by more paths than a tree has (a file may share them: it is a graph without cycles) costs
// no more for that. A path that is longer than an address is an error, and with it every cycle.
//
// `redirect` is a node that is not followed. Where it is met at depth d, the value is
// kRedirect + d: the rest of the address, from that bit on, is for another trie. So the IPv4 part
// of an IPv6 tree is compiled once, and its aliases (2002::/16 and others) point there.

#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>

#include "geo/mmdb_tree.h"
#include "geo/poptrie.h"
#include "pages.h"

namespace weir::poptrie {

struct Built {
  PageVector<std::uint32_t> direct;
  PageVector<Node> nodes;
  PageVector<Value> leaves;

  Trie trie() const {
    return {direct.data(), nodes.data(), leaves.data(), static_cast<std::uint32_t>(nodes.size()),
            static_cast<std::uint32_t>(leaves.size())};
  }
};

// The trie in which everything is value 0.
Built nothing();

class Builder {
 public:
  // The value of a place in the data section; nothing if it has none, which is an error.
  using ValueOf = std::function<std::optional<Value>(std::uint32_t place)>;

  // `address_bits` are those that are left below `root`. `most_nodes` bounds time, as nodes that
  // are compiled, and memory, as nodes that are stored, with the leaves (a file may lead to one
  // node from 64 places, and have all of them at 96 depths).
  Builder(const MmdbTree& tree, unsigned address_bits, std::optional<std::uint32_t> redirect,
          ValueOf value_of, std::uint32_t most_nodes);

  // Nothing if the tree is broken: problem() says how.
  std::optional<Built> build(std::uint32_t root);
  const std::string& problem() const { return problem_; }

 private:
  static constexpr unsigned kPlaces = 1u << kStride;

  // A record of the tree, and how many bits of an address lead to it.
  struct Spot {
    std::uint32_t record;
    unsigned depth;

    bool operator==(const Spot&) const = default;
  };

  // What a spot comes to: a value, or a node whose children and leaves are stored.
  struct Compiled {
    bool is_leaf = true;
    bool depends_on_depth = false;  // a redirection is in it
    Value value = 0;
    std::uint16_t depth = 0;   // at which it was compiled
    std::uint16_t height = 0;  // how many more bits it looks at, at most
    Node node{};
  };

  bool fill_direct(Spot spot, std::uint32_t place);
  bool spread(Spot spot, unsigned level, unsigned place, std::array<Spot, kPlaces>* spots);
  std::optional<Compiled> compile(Spot spot);
  std::optional<Compiled> compile_leaf(Spot spot);
  std::optional<Compiled> compile_node(Spot spot);
  std::optional<Compiled> join(const std::array<Compiled, kPlaces>& parts);
  std::optional<Compiled> find_compiled(Spot spot) const;

  bool is_followed(std::uint32_t record) const {
    return tree_.is_node(record) && record != redirect_;
  }
  // In nodes, and what leaves take up as much memory as a node.
  std::size_t stored() const {
    return built_.nodes.size() + built_.leaves.size() / (sizeof(Node) / sizeof(Value));
  }
  std::nullopt_t fail(const char* problem) {
    if (problem_.empty()) problem_ = problem;
    return std::nullopt;
  }

  MmdbTree tree_;
  unsigned address_bits_;
  std::optional<std::uint32_t> redirect_;
  ValueOf value_of_;
  std::uint32_t most_nodes_;

  Built built_;
  PageVector<Compiled> compiled_;
  PageVector<std::uint32_t> compiled_at_;  // by node: 1 + its place in compiled_; 0: not yet
  std::uint32_t work_ = 0;                 // nodes compiled, some more than once
  std::string problem_;
};

}  // namespace weir::poptrie
