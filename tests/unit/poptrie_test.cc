// A poptrie answers what the tree that it was built from answers, for every address; and a tree
// that is none is an error, within bounded time and memory.

#include "geo/poptrie.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "geo/mmdb_tree.h"
#include "geo/poptrie_builder.h"
#include "support/random.h"
#include "wide.h"

namespace weir::poptrie {
namespace {

using test::Random;

constexpr std::uint32_t kManyNodes = 1 << 20;

// A search tree that is written node by node, in records of 32 bits. Values are places in a data
// section, and stand for themselves.
class TreeWriter {
 public:
  static constexpr std::uint32_t kNothing = 0x8000'0000;
  static constexpr std::uint32_t kValues = kNothing + MmdbTree::kSeparator;

  explicit TreeWriter(unsigned bits) : bits_(bits) { add_node(); }

  std::uint32_t add_node() {
    nodes_.push_back({kNothing, kNothing});
    return static_cast<std::uint32_t>(nodes_.size() - 1);
  }
  std::uint32_t& record(std::uint32_t node, unsigned side) { return nodes_[node][side]; }

  // Everything that begins with the first `length` bits of `address` has this record; what was
  // there is gone.
  void set(Wide address, unsigned length, std::uint32_t record) {
    std::uint32_t node = 0;
    for (unsigned bit = 0; bit + 1 < length; ++bit) {
      std::uint32_t next = nodes_[node][side(address, bit)];
      if (next >= kNothing) {
        const std::uint32_t made = add_node();
        nodes_[made] = {next, next};
        nodes_[node][side(address, bit)] = next = made;
      }
      node = next;
    }
    nodes_[node][side(address, length - 1)] = record;
  }

  // What the tree says of an address, bit by bit.
  Value walk(Wide address) const {
    std::uint32_t record = 0;
    for (unsigned bit = 0; bit < bits_ && record < kNothing; ++bit)
      record = nodes_[record][side(address, bit)];
    return record == kNothing ? Value{0} : static_cast<Value>(record - kValues);
  }

  MmdbTree tree() {
    bytes_.clear();
    const auto count = static_cast<std::uint32_t>(nodes_.size());
    for (const auto& node : nodes_) {
      for (std::uint32_t record : node) {
        if (record >= kNothing) record = record - kNothing + count;
        for (const unsigned shift : {24u, 16u, 8u, 0u})
          bytes_.push_back(static_cast<std::uint8_t>(record >> shift));
      }
    }
    return {bytes_.data(), count, 32, bits_};
  }

 private:
  unsigned side(Wide address, unsigned bit) const {
    return static_cast<unsigned>(address >> (bits_ - 1 - bit)) & 1;
  }

  unsigned bits_;
  std::vector<std::array<std::uint32_t, 2>> nodes_;
  std::vector<std::uint8_t> bytes_;
};

std::optional<Value> itself(std::uint32_t place) { return static_cast<Value>(place); }

Built must_build(TreeWriter& writer, unsigned bits, std::optional<std::uint32_t> redirect = {}) {
  Builder builder(writer.tree(), bits, redirect, itself, kManyNodes);
  std::optional<Built> built = builder.build(0);
  EXPECT_TRUE(built) << builder.problem();
  return built ? *built : nothing();
}

std::string problem(TreeWriter& writer, unsigned bits, Builder::ValueOf value_of = itself) {
  Builder builder(writer.tree(), bits, std::nullopt, std::move(value_of), kManyNodes);
  EXPECT_FALSE(builder.build(0));
  return builder.problem();
}

Value find4(const Built& built, std::uint64_t address) { return find(built.trie(), address << 32); }
Value find6(const Built& built, Wide address) { return find(built.trie(), address); }

// What processors with the popcnt instruction run (geo/country_table.cc): these functions are
// compiled for those without.
#if defined(__x86_64__)
bool has_popcnt() {
  __builtin_cpu_init();
  return __builtin_cpu_supports("popcnt") != 0;
}
template <class Key>
[[gnu::target("popcnt")]] Value find_by_popcnt(const Built& built, Key key) {
  return find(built.trie(), key);
}
#else
bool has_popcnt() { return false; }
template <class Key>
Value find_by_popcnt(const Built& built, Key key) {
  return find(built.trie(), key);
}
#endif

TEST(Poptrie, OfNothingFindsNothing) {
  EXPECT_EQ(find4(nothing(), 0x01020304), 0);
  EXPECT_EQ(find6(nothing(), Wide{0x20010db8} << 96), 0);
}

TEST(Poptrie, FindsPrefixesOfEveryLength) {
  for (unsigned length = 1; length <= 32; ++length) {
    TreeWriter writer(32);
    const std::uint32_t first = 0xb5a3c691u >> (32 - length) << (32 - length);
    writer.set(first, length, TreeWriter::kValues + length);
    const Built built = must_build(writer, 32);
    const std::uint64_t last = first + ((std::uint64_t{1} << (32 - length)) - 1);
    EXPECT_EQ(find4(built, first), length);
    EXPECT_EQ(find4(built, last), length);
    EXPECT_EQ(find4(built, (first - 1) & 0xffffffffu), 0) << length;
    EXPECT_EQ(find4(built, (last + 1) & 0xffffffffu), 0) << length;
  }
}

Wide random_address(Random& random) {
  return Wide{random.below(UINT64_MAX)} << 64 | random.below(UINT64_MAX);
}

// Prefixes that cluster, so that they nest and neighbour; and addresses near their edges.
void expect_equal(unsigned bits, Random& random) {
  TreeWriter writer(bits);
  const Wide all = bits == 128 ? ~Wide{0} : (Wide{1} << bits) - 1;
  std::vector<Wide> edges = {0, all};
  Wide base = random_address(random) & all;
  for (int i = 0; i < 60; ++i) {
    if (random.one_in(4)) base = random_address(random) & all;
    const auto length = static_cast<unsigned>(1 + random.below(bits));
    const Wide tail = length == bits ? 0 : all >> length;
    const Wide first =
        (base ^ (random_address(random) & (all >> random.below(bits)))) & ~tail & all;
    const std::uint32_t value =
        random.one_in(6) ? TreeWriter::kNothing
                         : TreeWriter::kValues + static_cast<std::uint32_t>(random.below(5));
    writer.set(first, length, value);
    for (const Wide edge : {first, first | tail}) {
      for (const int step : {-1, 0, 1}) edges.push_back((edge + static_cast<Wide>(step)) & all);
    }
  }
  const Built built = must_build(writer, bits);
  for (int i = 0; i < 200; ++i) edges.push_back(random_address(random) & all);
  for (const Wide address : edges) {
    const Value found =
        bits == 32 ? find4(built, static_cast<std::uint64_t>(address)) : find6(built, address);
    ASSERT_EQ(found, writer.walk(address));
    if (!has_popcnt()) continue;
    ASSERT_EQ(found, bits == 32 ? find_by_popcnt(built, static_cast<std::uint64_t>(address << 32))
                                : find_by_popcnt(built, address));
  }
}

TEST(Poptrie, AnswersAsTheTreeDoesForRandomPrefixes) {
  for (std::uint64_t seed = 1; seed <= 100; ++seed) {
    SCOPED_TRACE(seed);
    Random random(seed);
    expect_equal(32, random);
    expect_equal(128, random);
    if (HasFatalFailure()) return;
  }
}

TEST(Poptrie, NeighboursOfOneValueAreOneLeaf) {
  TreeWriter writer(32);
  for (std::uint32_t i = 0; i < 64; ++i) writer.set(0x01020300 + i, 32, TreeWriter::kValues + 7);
  writer.set(0x01020340, 26, TreeWriter::kValues + 7);
  writer.set(0x010203ff, 32, TreeWriter::kValues + 9);
  const Built built = must_build(writer, 32);
  EXPECT_EQ(find4(built, 0x0102033f), 7);
  EXPECT_EQ(find4(built, 0x0102037f), 7);
  EXPECT_EQ(find4(built, 0x01020380), 0);
  EXPECT_EQ(built.nodes.size(), 3u);  // of 6, 6 and 2 bits, on the way to the last address
  EXPECT_LE(built.leaves.size(), 8u);
}

TEST(Poptrie, RedirectsTellTheDepthAtWhichTheyAreMet) {
  for (const unsigned depth : {1u, 16u, 17u, 18u, 19u, 24u, 32u, 95u, 96u}) {
    TreeWriter writer(128);
    const std::uint32_t other = writer.add_node();
    writer.record(other, 0) = TreeWriter::kValues + 3;
    const Wide prefix = random_address(*std::make_unique<Random>(depth)) >> (128 - depth)
                                                                                << (128 - depth);
    writer.set(prefix, depth, other);
    const Built built = must_build(writer, 128, other);
    EXPECT_EQ(find6(built, prefix), kRedirect + depth);
    EXPECT_EQ(find6(built, prefix | 1), kRedirect + depth);
  }
}

TEST(Poptrie, AliasesOfOnePartAreRedirectedEach) {
  TreeWriter writer(128);
  const std::uint32_t other = writer.add_node();
  writer.record(other, 1) = TreeWriter::kValues + 3;
  writer.set(0, 96, other);
  writer.set(Wide{0xffff} << 32, 96, other);
  writer.set(Wide{0x2002} << 112, 16, other);
  const Built built = must_build(writer, 128, other);
  EXPECT_EQ(find6(built, 5), kRedirect + 96);
  EXPECT_EQ(find6(built, Wide{0xffff} << 32 | 5), kRedirect + 96);
  EXPECT_EQ(find6(built, (Wide{0x2002} << 112) + 1), kRedirect + 16);
  EXPECT_EQ(find6(built, Wide{0x2003} << 112), 0);
}

// 100 nodes, each with both records to the next: 2^100 paths.
TreeWriter many_paths() {
  TreeWriter writer(128);
  std::uint32_t node = 0;
  for (int i = 0; i < 100; ++i) {
    const std::uint32_t next = writer.add_node();
    writer.record(node, 0) = writer.record(node, 1) = next;
    node = next;
  }
  writer.record(node, 1) = TreeWriter::kValues + 4;
  return writer;
}

TEST(Poptrie, NodesThatManyPathsReachAreBuiltOnce) {
  TreeWriter writer = many_paths();
  const Built built = must_build(writer, 128);
  EXPECT_EQ(find6(built, 0), 0);
  EXPECT_EQ(find6(built, ~Wide{0}), 4);
  EXPECT_LT(built.nodes.size(), kDirectEntries + 20 * 64);
}

TEST(Poptrie, ATreeThatLeadsBackToItselfIsAnError) {
  TreeWriter writer(32);
  writer.record(0, 1) = 0;
  EXPECT_NE(problem(writer, 32).find("deeper"), std::string::npos);
  TreeWriter far(128);
  far.set(Wide{0x2001} << 112, 40, 0);
  EXPECT_NE(problem(far, 128).find("deeper"), std::string::npos);
}

TEST(Poptrie, ATreeThatIsDeeperThanAnAddressIsAnError) {
  TreeWriter writer(128);
  writer.set(~Wide{0}, 33, TreeWriter::kValues + 1);
  EXPECT_NE(problem(writer, 32).find("deeper"), std::string::npos);
  must_build(writer, 33);
  // A part that fits in one place and not in another, where it was built first.
  TreeWriter shared(32);
  const std::uint32_t part = shared.add_node();
  const std::uint32_t below = shared.add_node();
  shared.record(part, 0) = below;
  shared.record(below, 0) = TreeWriter::kValues + 1;
  shared.set(0, 24, part);
  shared.set(0xffffffff, 31, part);
  EXPECT_NE(problem(shared, 32).find("deeper"), std::string::npos);
}

TEST(Poptrie, ARecordThatPointsNowhereIsAnError) {
  TreeWriter writer(32);
  writer.set(0x01020304, 30, TreeWriter::kNothing + 5);
  EXPECT_NE(problem(writer, 32).find("between"), std::string::npos);
  TreeWriter beyond(32);
  beyond.set(0x01020304, 30, TreeWriter::kValues + 5);
  EXPECT_NE(problem(beyond, 32, [](std::uint32_t) { return std::nullopt; }).find("beyond"),
            std::string::npos);
}

TEST(Poptrie, ATreeOfTooManyNodesIsAnError) {
  TreeWriter writer(32);
  for (std::uint32_t i = 0; i < 100; ++i) writer.set(i << 20, 32, TreeWriter::kValues + i % 7 + 1);
  Builder builder(writer.tree(), 32, std::nullopt, itself, 50);
  EXPECT_FALSE(builder.build(0));
  EXPECT_NE(builder.problem().find("too large"), std::string::npos);
}

TEST(Poptrie, AFewNodesThatAreStoredInTooManyPlacesAreAnError) {
  TreeWriter writer = many_paths();
  Builder builder(writer.tree(), 128, std::nullopt, itself, 500);
  EXPECT_FALSE(builder.build(0));
  EXPECT_NE(builder.problem().find("too large"), std::string::npos);
}

TEST(Poptrie, TooManyLeavesAreAnError) {
  TreeWriter writer(32);
  for (std::uint32_t i = 0; i < 100 * 64; ++i) writer.set(i << 8, 24, TreeWriter::kValues + i % 2);
  Builder builder(writer.tree(), 32, std::nullopt, itself, 300);
  EXPECT_FALSE(builder.build(0));
  EXPECT_NE(builder.problem().find("too large"), std::string::npos);
}

TEST(Poptrie, AnOverwrittenTrieIsNeverReadOutside) {
  Random random(7);
  std::vector<std::uint32_t> direct(kDirectEntries);
  std::vector<Node> nodes(50);
  std::vector<Value> leaves(50);
  const Trie trie{direct.data(), nodes.data(), leaves.data(), 50, 50};
  for (int round = 0; round < 20; ++round) {
    for (std::uint32_t& entry : direct)
      entry = static_cast<std::uint32_t>(random.one_in(3) ? random.below(60)
                                                          : random.below(1ull << 32));
    for (Node& node : nodes) {
      node = {random.below(UINT64_MAX), random.below(UINT64_MAX),
              static_cast<std::uint32_t>(random.below(60)),
              static_cast<std::uint32_t>(random.below(60))};
      if (random.one_in(2)) node.children = UINT64_MAX;
    }
    for (int i = 0; i < 5000; ++i) {
      find(trie, static_cast<std::uint64_t>(random_address(random)) << 32);
      find(trie, random_address(random));
    }
  }
}

}  // namespace
}  // namespace weir::poptrie
