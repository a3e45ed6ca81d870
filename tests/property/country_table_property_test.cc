// A compiled country table answers what libmaxminddb answers, for every address.
//
// For whole databases: every network's first and last address and their neighbours, a million
// random addresses of each family, and addresses behind the aliases of IPv4. Two are world-wide
// (Debian's tor-geoipdb, in a nested and in a flat schema), the others are the fixtures.
//
// WEIR_SEED sets the seed of the random addresses.

#include <gtest/gtest.h>
#include <maxminddb.h>
#include <netinet/in.h>

#include <cstring>
#include <filesystem>
#include <optional>
#include <string>

#include "geo/country_compiler.h"
#include "geo/country_table.h"
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
    EXPECT_EQ(file_.open(path.c_str(), &error), WEIR_OK) << error.text;
    schema_ = CountrySchema::detect(file_.records(), file_.first_records(1024));
    EXPECT_TRUE(schema_) << path;
    EXPECT_EQ(compile_countries(file_, *schema_, path.c_str(), &compiled_, &error), WEIR_OK)
        << error.text;
    table_ = CountryTable::open(compiled_.data(), compiled_.size() * sizeof(compiled_[0]));
    EXPECT_TRUE(table_);
  }

  unsigned bits() const { return file_.tree().address_bits(); }
  const MmdbTree& tree() const { return file_.tree(); }
  std::uint64_t checked() const { return checked_; }
  std::uint64_t known() const { return known_; }

  // Of an address with so many bits; an IPv6 address may be one that IpAddress makes IPv4.
  void check(Wide number, unsigned bits) {
    std::uint8_t bytes[16];
    for (unsigned i = 0; i < bits / 8; ++i)
      bytes[i] = static_cast<std::uint8_t>(number >> (bits - 8 - 8 * i));
    const IpAddress address = IpAddress::from_bytes(bytes, bits / 8);
    const std::optional<std::uint32_t> record = file_.find_record(address);
    const Country expected = record ? schema_->read(file_.records(), *record) : kUnknownCountry;
    const Country found = table_->find_country(address);
    ++checked_;
    known_ += std::strcmp(expected.code, "XX") != 0;
    ASSERT_EQ(std::memcmp(&expected, &found, sizeof(found)), 0)
        << expected.code << expected.continent << ", found " << found.code << found.continent
        << " at " << std::hex << static_cast<std::uint64_t>(number >> 64) << ":"
        << static_cast<std::uint64_t>(number);
  }

  // Both edges of each network below a node, and the addresses beside them.
  void check_networks(std::uint32_t record, unsigned depth, Wide first) {
    if (depth < bits() && tree().is_node(record)) {
      const auto [zero, one] = tree().records(record);
      check_networks(zero, depth + 1, first);
      check_networks(one, depth + 1, first | Wide{1} << (bits() - depth - 1));
      return;
    }
    const Wide all = bits() == 128 ? ~Wide{0} : (Wide{1} << bits()) - 1;
    const Wide last = depth == bits() ? first : first | all >> depth;
    for (const Wide address : {(first - 1) & all, first, last, (last + 1) & all})
      check(address, bits());
    // What IPv4 clients ask for: the same networks, by their last 32 bits.
    if (bits() == 128 && first >> 32 == 0) {
      for (const Wide address : {first, last}) check(address & 0xffffffff, 32);
    }
  }

 private:
  MmdbFile file_;
  std::optional<CountrySchema> schema_;
  CompiledCountries compiled_;
  std::optional<CountryTable> table_;
  std::uint64_t checked_ = 0, known_ = 0;
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
  Database database(GetParam());
  database.check_networks(0, 0, 0);
  EXPECT_GT(database.checked(), 2'000'000u);
  EXPECT_GT(database.known(), 1'000'000u);
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
  int checked = 0;
  for (const auto& entry : std::filesystem::directory_iterator(WEIR_FIXTURE_DIR)) {
    const std::string name = entry.path().filename();
    if (entry.path().extension() != ".mmdb" || name == "custom.mmdb" || name == "no-country.mmdb")
      continue;  // these two have no vendor's country field
    SCOPED_TRACE(name);
    Database database(entry.path());
    database.check_networks(0, 0, 0);
    check_random(database, 10'000);
    EXPECT_GT(database.known(), 4u);
    ++checked;
  }
  EXPECT_GE(checked, 9);
}

}  // namespace
}  // namespace weir
