// The verifier finds where a table is not its file's.

#include "geo/country_verifier.h"

#include <gtest/gtest.h>

#include <bit>
#include <string>

#include "geo/country_compiler.h"
#include "geo/country_file.h"
#include "mmdb_files.h"

namespace weir {
namespace {

using testing::address;
using testing::fixture;
using testing::MmdbFileBytes;
using testing::TemporaryDirectory;
using testing::text;

// A file, and a table that was compiled from it.
struct Compiled {
  explicit Compiled(const std::string& path) {
    weir_error_t error{};
    EXPECT_EQ(WEIR_OK, file.open(path.c_str(), nullptr, &error)) << error.text;
    EXPECT_EQ(WEIR_OK,
              compile_countries(file.mmdb(), file.schema(), path.c_str(), &countries, &error))
        << error.text;
  }
  CountryTable table() const {
    return *CountryTable::open(countries.data(), countries.size() * sizeof(countries[0]));
  }

  CountryFile file;
  CompiledCountries countries;
};

CountryVerification verify(const Compiled& file, const CountryTable& table,
                           std::uint64_t every = 1) {
  return verify_countries(file.file.mmdb(), file.file.schema(), table, every);
}

TEST(CountryVerifier, AFilesOwnTableAgreesWithIt) {
  for (const char* name : {"maxmind", "record-24", "record-32", "ipv4-only", "ip-location-db"}) {
    SCOPED_TRACE(name);
    const Compiled compiled(fixture(name));
    const CountryVerification result = verify(compiled, compiled.table());
    EXPECT_EQ(0u, result.disagreements);
    EXPECT_EQ(0u, result.repetitions_left_out);
    EXPECT_TRUE(result.first.empty());
    EXPECT_GT(result.known, 4u);
  }
}

// The other file lacks 2001:220::/32. That is four places to see it at: both ends, from within and
// from the networks beside.
TEST(CountryVerifier, ANetworkThatATableLacksIsFoundAtItsEdgesAndFromBeside) {
  const Compiled file(fixture("db-ip")), other(fixture("ip-location-db"));
  const CountryVerification result = verify(file, other.table());
  ASSERT_EQ(4u, result.disagreements);
  ASSERT_EQ(4u, result.first.size());
  for (const CountryDisagreement& one : result.first) {
    EXPECT_EQ("KR AS 0", text(one.expected));
    EXPECT_EQ("XX XX 0", text(one.found));
  }
  EXPECT_EQ(address("2001:220::"), result.first.front().address);
  EXPECT_EQ(address("2001:220:ffff:ffff:ffff:ffff:ffff:ffff"), result.first.back().address);
}

// The IPv4 part is compared for both families, each at four places as above.
TEST(CountryVerifier, IPv4IsComparedForBothFamilies) {
  const Compiled file(fixture("ip-location-db")), other(fixture("ipinfo-country-asn"));
  int ipv4 = 0, ipv6 = 0;  // the other file lacks 5.0.2.0/24, which is GB
  for (const CountryDisagreement& one : verify(file, other.table()).first)
    ++(one.address.length == 4 ? ipv4 : ipv6);
  EXPECT_EQ(4, ipv4);
  EXPECT_EQ(4, ipv6);
}

TEST(CountryVerifier, OneCountryForAnotherIsFoundWhereverItIsAndTheFirstAreKept) {
  Compiled compiled(fixture("maxmind"));
  const auto& header = *reinterpret_cast<const CountryTableHeader*>(compiled.countries.data());
  bool is_changed = false;
  for (std::uint32_t i = 0; i < header.country_count; ++i) {
    std::uint64_t& packed = compiled.countries[header.countries / sizeof(packed) + i];
    if (std::string(std::bit_cast<Country>(packed).code) != "KR") continue;
    packed = std::bit_cast<std::uint64_t>(*find_country("JP"));
    is_changed = true;
  }
  ASSERT_TRUE(is_changed);
  const CountryVerification result = verify(compiled, compiled.table());
  EXPECT_GT(result.disagreements, CountryVerification::kMostKept);
  ASSERT_EQ(CountryVerification::kMostKept, result.first.size());
  EXPECT_EQ("KR AS 0", text(result.first.front().expected));
  EXPECT_EQ("JP AS 0", text(result.first.front().found));
}

TEST(CountryVerifier, ASampleIsEverySoManiethNetworkFromTheFirst) {
  const Compiled compiled(fixture("db-ip"));  // a file without aliases
  const CountryTable table = compiled.table();
  const std::uint64_t all = verify(compiled, table).networks;
  for (const std::uint64_t every : {std::uint64_t{2}, std::uint64_t{7}, all - 1, all, all + 1}) {
    const CountryVerification sample = verify(compiled, table, every);
    EXPECT_EQ((all + every - 1) / every, sample.networks) << every;
    EXPECT_GE(sample.addresses, 4 * sample.networks);
  }
}

TEST(CountryVerifier, ASampleLeavesAliasesOut) {
  const Compiled compiled(fixture("maxmind"));
  const CountryTable table = compiled.table();
  EXPECT_LT(2 * verify(compiled, table, 2).networks, verify(compiled, table).networks);
}

// 32 nodes with 2^32 paths; each is compared at some of them.
TEST(CountryVerifier, AFileWhosePathsMultiplyIsComparedInABoundedWalk) {
  constexpr unsigned kNodes = 32;
  MmdbFileBytes file;
  file.node_count = kNodes;
  std::string nodes;
  for (unsigned node = 1; node <= kNodes; ++node) {
    const unsigned record = node < kNodes ? node : kNodes + MmdbTree::kSeparator;
    for (int side = 0; side < 2; ++side) nodes += {'\0', '\0', static_cast<char>(record)};
  }
  const TemporaryDirectory directory;
  const Compiled compiled(directory.write("tangled.mmdb", nodes + file.bytes().substr(6)));
  const CountryVerification result = verify(compiled, compiled.table());
  EXPECT_EQ(0u, result.disagreements);
  EXPECT_EQ(result.known, result.addresses);
  EXPECT_GT(result.networks, 0u);
  EXPECT_LT(result.networks, 1000u);
  EXPECT_GT(result.repetitions_left_out, 0u);
}

}  // namespace
}  // namespace weir
