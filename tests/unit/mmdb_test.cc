// Country databases of every vendor, and what an operator can get wrong about them.

#include "geo/mmdb.h"

#include <gtest/gtest.h>
#include <maxminddb.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstring>

#include "geo/mmdb_file.h"
#include "mmdb_files.h"

namespace weir {
namespace {

using testing::fixture;
using testing::look_up;
using testing::refusal;

bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

TEST(Mmdb, EveryVendorsSchemaIsFound) {
  for (const char* name : {"maxmind", "db-ip", "ip-location-db", "ipinfo-lite",
                           "ipinfo-country-asn", "record-24", "record-28", "record-32"}) {
    const auto database = testing::open(fixture(name));
    EXPECT_EQ("DE EU 1", look_up(database, "81.169.145.150")) << name;
    EXPECT_EQ("KR AS 0", look_up(database, "168.126.63.1")) << name;
    EXPECT_EQ("DE EU 1", look_up(database, "2a01:238::1")) << name;
    EXPECT_EQ("XX XX 0", look_up(database, "8.8.8.8")) << name;
    EXPECT_EQ("XX XX 0", look_up(database, "2600::1")) << name;
    EXPECT_EQ(1'700'000'000u, database->info().build_epoch) << name;
  }
}

TEST(Mmdb, MappedAddressIsItsIpv4Address) {
  const auto database = testing::open(fixture("db-ip"));  // a file without aliases
  EXPECT_EQ("KR AS 0", look_up(database, "::ffff:168.126.63.1"));
}

TEST(Mmdb, RegisteredCountryCountsWhereThereIsNoCountry) {
  EXPECT_EQ("FR EU 1", look_up(testing::open(fixture("maxmind")), "5.0.0.1"));
}

TEST(Mmdb, RecordWithoutACountryIsUnknown) {
  EXPECT_EQ("XX XX 0", look_up(testing::open(fixture("maxmind")), "5.0.1.1"));
}

TEST(Mmdb, UkIsGb) {
  EXPECT_EQ("GB EU 0", look_up(testing::open(fixture("maxmind")), "5.0.2.1"));
  EXPECT_EQ("GB EU 0", look_up(testing::open(fixture("ip-location-db")), "5.0.2.1"));
}

TEST(Mmdb, WhatIsNoCountryIsUnknown) {
  const auto database = testing::open(fixture("maxmind"));
  for (const char* client : {"5.0.3.1", "5.0.4.1", "5.0.5.1", "5.0.9.1"}) {
    EXPECT_EQ("XX XX 0", look_up(database, client)) << client;
  }
  EXPECT_EQ("XX XX 0", look_up(testing::open(fixture("ip-location-db")), "5.0.3.1"));
}

TEST(Mmdb, ContinentOfTheDatabaseWins) {
  EXPECT_EQ("TR EU 0", look_up(testing::open(fixture("maxmind")), "5.0.6.1"));
  EXPECT_EQ("TR EU 0", look_up(testing::open(fixture("ipinfo-lite")), "5.0.6.1"));
}

TEST(Mmdb, ContinentThatIsNoneComesFromTheBuiltInTable) {
  EXPECT_EQ("BR SA 0", look_up(testing::open(fixture("maxmind")), "5.0.7.1"));
}

TEST(Mmdb, AbsentFlagMeansNoMemberInANestedRecord) {
  EXPECT_EQ("IE EU 0", look_up(testing::open(fixture("maxmind")), "5.0.8.1"));
}

TEST(Mmdb, ReservedAddressesAreNotAskedFor) {
  const auto database = testing::open(fixture("maxmind"));
  for (const char* client : {"10.1.2.3", "::ffff:10.1.2.3", "::", "fd00::1", "127.0.0.1"}) {
    EXPECT_EQ("ZZ ZZ 0", look_up(database, client)) << client;
  }
}

TEST(Mmdb, Ipv6AddressIsUnknownInAnIpv4Database) {
  const auto database = testing::open(fixture("ipv4-only"));
  EXPECT_EQ("KR AS 0", look_up(database, "168.126.63.1"));
  EXPECT_EQ("KR AS 0", look_up(database, "::ffff:168.126.63.1"));
  EXPECT_EQ("XX XX 0", look_up(database, "2a01:238::1"));
}

TEST(Mmdb, NoAddressHasNoCountry) {
  EXPECT_STREQ("XX", testing::open(fixture("maxmind"))->find_country(IpAddress{}).code);
}

TEST(Mmdb, ExplicitFieldWins) {
  const auto registered = testing::open(fixture("maxmind"), "registered_country.iso_code");
  EXPECT_EQ("US NA 0", look_up(registered, "81.169.145.150"));
  EXPECT_EQ("FR EU 1", look_up(registered, "5.0.0.1"));
  EXPECT_EQ("DE EU 1",
            look_up(testing::open(fixture("custom"), "where.land.code"), "81.169.145.150"));
  EXPECT_EQ("CH EU 0",
            look_up(testing::open(fixture("maxmind"), "subdivisions.1.iso_code"), "5.0.10.1"));
}

TEST(Mmdb, ExplicitFieldHasNoFallback) {
  const auto database = testing::open(fixture("maxmind"), "country.iso_code");
  EXPECT_EQ("DE EU 1", look_up(database, "81.169.145.150"));
  EXPECT_EQ("TR EU 0", look_up(database, "5.0.6.1"));
  EXPECT_EQ("XX XX 0", look_up(database, "5.0.0.1"));
}

TEST(Mmdb, ExplicitFieldThatNoRecordHasIsAnError) {
  for (const char* field : {"country_code", "country", "country.names.en", "country.iso_code.x",
                            "subdivisions.2.iso_code", "subdivisions.-1.iso_code", "nowhere"}) {
    const std::string error = refusal(fixture("maxmind"), WEIR_INVALID, field);
    EXPECT_TRUE(contains(error, '"' + fixture("maxmind") + '"')) << error;
    EXPECT_TRUE(contains(error, '"' + std::string(field) + '"')) << error;
  }
}

TEST(Mmdb, MalformedFieldIsAnErrorThatQuotesIt) {
  for (const std::string& field :
       {std::string(), std::string("."), std::string(".a"), std::string("a."),
        std::string("country..iso_code"), std::string("a.b.c.d.e.f.g.h.i.j.k.l.m.n.o.p.q"),
        std::string(300, 'a')}) {
    const std::string error = refusal(fixture("maxmind"), WEIR_INVALID, field.c_str());
    EXPECT_TRUE(contains(error, '"' + field.substr(0, 60))) << error;
    EXPECT_TRUE(contains(error, "expected")) << error;
  }
}

TEST(Mmdb, DatabaseWithoutACountryIsAnError) {
  for (const char* name : {"no-country", "custom"}) {
    const std::string error = refusal(fixture(name));
    EXPECT_TRUE(contains(error, '"' + fixture(name) + '"')) << error;
    EXPECT_TRUE(contains(error, "no country field")) << error;
  }
}

TEST(Mmdb, FileThatCannotBeReadIsAnErrorThatNamesItAndSaysWhy) {
  const testing::TemporaryDirectory directory;
  const std::string missing = directory.path() + "/missing.mmdb";
  EXPECT_TRUE(
      contains(refusal(missing, WEIR_IO), '"' + missing + "\" can't be read: No such file"));
  EXPECT_TRUE(contains(refusal(directory.path(), WEIR_IO), "is a directory"));
  EXPECT_TRUE(contains(refusal("", WEIR_IO), "No such file"));

  const std::string pipe = directory.path() + "/pipe.mmdb";
  ASSERT_EQ(0, mkfifo(pipe.c_str(), 0600));
  EXPECT_TRUE(contains(refusal(pipe, WEIR_IO), "not a regular file"));
}

TEST(Mmdb, FileThatMayNotBeReadIsAnError) {
  const testing::TemporaryDirectory directory;
  const std::string closed = directory.write("closed.mmdb", "x");
  ASSERT_EQ(0, chmod(closed.c_str(), 0));
  const uid_t user = geteuid();
  if (user == 0) {  // root may read everything
    ASSERT_EQ(0, seteuid(65534));
  }
  EXPECT_TRUE(contains(refusal(closed, WEIR_IO), "can't be read: Permission denied"));
  ASSERT_EQ(0, seteuid(user));
}

// Two readers of one format: on sound files they must agree.
TEST(Mmdb, EveryFieldOfEveryFixtureIsReadAsLibmaxminddbReadsIt) {
  const char* const paths[][4] = {{"country", "iso_code"},
                                  {"country", "names", "en"},
                                  {"country", "is_in_european_union"},
                                  {"country", "geoname_id"},
                                  {"registered_country", "iso_code"},
                                  {"continent", "code"},
                                  {"continent", "names", "en"},
                                  {"subdivisions", "0", "iso_code"},
                                  {"subdivisions", "1", "iso_code"},
                                  {"country_code"},
                                  {"continent_code"},
                                  {"country"},
                                  {"asn"},
                                  {"nothing"}};
  for (const char* name : {"maxmind", "db-ip", "ip-location-db", "ipinfo-lite", "ipv4-only",
                           "ipinfo-country-asn", "record-24", "record-32", "no-country"}) {
    MmdbFile file;
    ASSERT_EQ(WEIR_OK, file.open(fixture(name).c_str(), nullptr));
    MMDB_s reference;
    ASSERT_EQ(MMDB_SUCCESS, MMDB_open(fixture(name).c_str(), MMDB_MODE_MMAP, &reference));
    const auto records = file.first_records(100);
    EXPECT_LT(1u, records.size());
    for (const std::uint32_t record : records) {
      for (const auto& path : paths) {
        std::string dotted = path[0];
        for (int i = 1; i < 3 && path[i] != nullptr; ++i) dotted += std::string(".") + path[i];
        MMDB_entry_s entry = {&reference, record};
        MMDB_entry_data_s expected;
        const bool has = MMDB_aget_value(&entry, &expected, path) == MMDB_SUCCESS;
        const auto value = file.records().find(record, FieldPath::known(dotted));
        ASSERT_EQ(has, value.has_value()) << name << " " << dotted;
        if (!has) continue;
        EXPECT_EQ(expected.type, value->type) << name << " " << dotted;
        if (expected.type == MMDB_DATA_TYPE_UTF8_STRING) {
          EXPECT_EQ(std::string_view(expected.utf8_string, expected.data_size), value->string());
        } else if (expected.type == MMDB_DATA_TYPE_UINT32) {
          EXPECT_EQ(expected.uint32, value->unsigned_integer());
        } else if (expected.type == MMDB_DATA_TYPE_BOOLEAN) {
          EXPECT_EQ(expected.boolean, value->boolean());
        } else {
          EXPECT_EQ(expected.data_size, value->size);
        }
      }
    }
    MMDB_close(&reference);
  }
}

}  // namespace
}  // namespace weir
