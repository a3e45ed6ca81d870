// A compiled country table answers what libmaxminddb answers, for every address.
//
// For whole databases: every network's first and last address and their neighbours, a million
// random addresses of each family, and addresses behind the aliases of IPv4. Two are world-wide
// (Debian's tor-geoipdb, in a nested and in a flat schema), the others are the fixtures.
//
// WEIR_SEED sets the seed of the random addresses.

#include <gtest/gtest.h>

#include <cstring>
#include <filesystem>
#include <optional>
#include <set>
#include <string>

#include "geo/country_compiler.h"
#include "geo/country_file.h"
#include "geo/country_table.h"
#include "geo/country_verifier.h"
#include "support/random.h"
#include "wide.h"

namespace weir {
namespace {

using test::environment;
using test::Random;

class Database {
 public:
  explicit Database(const std::string& path) {
    weir_error_t error{};
    EXPECT_EQ(file_.open(path.c_str(), nullptr, &error), WEIR_OK) << error.text;
    EXPECT_EQ(compile_countries(file_.mmdb(), file_.schema(), path.c_str(), &compiled_, &error),
              WEIR_OK)
        << error.text;
    table_ = CountryTable::open(compiled_.data(), compiled_.size() * sizeof(compiled_[0]));
    EXPECT_TRUE(table_);
  }

  unsigned bits() const { return file_.mmdb().tree().address_bits(); }
  std::uint64_t known() const { return known_; }

  // Of an address with so many bits; an IPv6 address may be one that IpAddress makes IPv4.
  void check(Wide number, unsigned bits) {
    const IpAddress address = IpAddress::from_number(number, bits);
    const std::optional<std::uint32_t> record = file_.mmdb().find_record(address);
    const Country expected =
        record ? file_.schema().read(file_.mmdb().records(), *record) : kUnknownCountry;
    const Country found = table_->find_country(address);
    known_ += std::strcmp(expected.code, "XX") != 0;
    ASSERT_EQ(std::memcmp(&expected, &found, sizeof(found)), 0)
        << expected.code << expected.continent << ", found " << found.code << found.continent
        << " at " << std::hex << static_cast<std::uint64_t>(number >> 64) << ":"
        << static_cast<std::uint64_t>(number);
  }

  CountryVerification check_networks() const {
    const auto result = verify_countries(file_.mmdb(), file_.schema(), *table_);
    EXPECT_EQ(result.disagreements, 0u);
    EXPECT_EQ(result.repetitions_left_out, 0u);
    return result;
  }

 private:
  CountryFile file_;
  CompiledCountries compiled_;
  std::optional<CountryTable> table_;
  std::uint64_t known_ = 0;
};

void check_random(Database& database, int count) {
  const std::uint64_t seed = environment("WEIR_SEED", 1);
  SCOPED_TRACE("WEIR_SEED=" + std::to_string(seed));
  Random random(seed);
  for (int i = 0; i < count && !testing::Test::HasFatalFailure(); ++i) {
    database.check(random.below(1ull << 32), 32);
    if (database.bits() == 32) continue;
    const Wide any = Wide{random.below(UINT64_MAX)} << 64 | random.below(UINT64_MAX);
    const Wide unicast = (any >> 3) | Wide{1} << 125;                            // 2000::/3
    const Wide six_to_four = Wide{0x2002} << 112 | any >> 16;                    // 2002::/16
    const Wide teredo = Wide{0x2001'0000} << 96 | any >> 32;                     // 2001::/32
    const Wide nat64 = Wide{0x64'ff9b} << 96 | static_cast<std::uint32_t>(any);  // 64:ff9b::/96
    for (const Wide address : {any, unicast, six_to_four, teredo, nat64})
      database.check(address, 128);
  }
}

class WorldWide : public testing::TestWithParam<const char*> {};

TEST_P(WorldWide, EveryEdgeOfEveryNetworkAgreesWithLibmaxminddb) {
  const CountryVerification result = Database(GetParam()).check_networks();
  EXPECT_GT(result.addresses, 2'000'000u);
  EXPECT_GT(result.known, 1'000'000u);
}

TEST_P(WorldWide, MillionsOfRandomAddressesAgreeWithLibmaxminddb) {
  Database database(GetParam());
  check_random(database, 1'000'000);
  EXPECT_GT(database.known(), 1'000'000u);
}

INSTANTIATE_TEST_SUITE_P(CountryTable, WorldWide,
                         testing::Values(WEIR_COUNTRY_DB, WEIR_FLAT_COUNTRY_DB),
                         [](const auto& instance) {
                           return instance.index == 0 ? "Nested" : "Flat";
                         });

TEST(CountryTable, EveryFixtureAgreesWithLibmaxminddb) {
  // These have no vendor's country field.
  const std::set<std::string> others = {"asn.mmdb", "custom.mmdb", "fields.mmdb", "no-country.mmdb",
                                        "partners.mmdb"};
  int checked = 0;
  for (const auto& entry : std::filesystem::directory_iterator(WEIR_FIXTURE_DIR)) {
    const std::string name = entry.path().filename();
    if (entry.path().extension() != ".mmdb" || others.contains(name)) continue;
    SCOPED_TRACE(name);
    Database database(entry.path());
    EXPECT_GT(database.check_networks().known, 4u);
    check_random(database, 10'000);
    ++checked;
  }
  EXPECT_GE(checked, 9);
}

}  // namespace
}  // namespace weir
