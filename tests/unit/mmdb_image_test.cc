// Fields of any type, as text.

#include "geo/mmdb_image.h"

#include <gtest/gtest.h>
#include <maxminddb.h>

#include <cstring>
#include <limits>
#include <memory>
#include <string>

#include "mmdb_files.h"

namespace weir {
namespace {

using testing::address;
using testing::fixture;
using testing::mmdb_map;
using testing::mmdb_string;
using testing::MmdbFileBytes;
using testing::TemporaryDirectory;

std::unique_ptr<Database> open_fields(const std::string& path) {
  std::unique_ptr<Database> database;
  weir_error_t error{};
  EXPECT_EQ(WEIR_OK, open_field_mmdb(path.c_str(), &database, &error)) << error.text;
  return database;
}

std::string field(const std::unique_ptr<Database>& database, const std::string& client,
                  const std::string& path) {
  char text[2048];
  const std::size_t length =
      database->find_field(address(client), FieldPath::known(path), {text, sizeof(text)});
  return {text, std::min(length, sizeof(text))};
}

TEST(MmdbImage, EveryTypeHasAText) {
  const auto database = open_fields(fixture("fields"));
  const std::string client = "81.169.145.9";
  EXPECT_EQ("Berlin", field(database, client, "city.names.en"));
  EXPECT_EQ("000fff", field(database, client, "bytes"));
  EXPECT_EQ("37.751", field(database, client, "double"));
  EXPECT_EQ("0.5", field(database, client, "float"));
  EXPECT_EQ("-42", field(database, client, "int32"));
  EXPECT_EQ("52.5", field(database, client, "location.latitude"));
  EXPECT_EQ("340282366920938463463374607431768211455", field(database, client, "most"));
  EXPECT_EQ("65535", field(database, client, "uint16"));
  EXPECT_EQ("4294967295", field(database, client, "uint32"));
  EXPECT_EQ("18446744073709551615", field(database, client, "uint64"));
  EXPECT_EQ("0", field(database, client, "zero"));
  EXPECT_EQ("1", field(database, client, "true"));
  EXPECT_EQ("0", field(database, client, "false"));
}

TEST(MmdbImage, ElementsOfArraysCountFromZero) {
  const auto database = open_fields(fixture("fields"));
  const std::string client = "81.169.145.9";
  EXPECT_EQ("zero", field(database, client, "array.0"));
  EXPECT_EQ("two", field(database, client, "array.2"));
  EXPECT_EQ("XY", field(database, client, "subdivisions.1.iso_code"));
  EXPECT_EQ("", field(database, client, "array.3"));
  EXPECT_EQ("", field(database, client, "array.-1"));
  EXPECT_EQ("", field(database, client, "array.x"));
}

TEST(MmdbImage, WhatIsNoTextIsNone) {
  const auto database = open_fields(fixture("fields"));
  const std::string client = "81.169.145.9";
  EXPECT_EQ("", field(database, client, "city"));
  EXPECT_EQ("", field(database, client, "array"));
  EXPECT_EQ("", field(database, client, "empty"));
  EXPECT_EQ("", field(database, client, "no.such.field"));
  EXPECT_EQ("", field(database, client, "text.below"));
  EXPECT_EQ("", field(database, "9.9.9.9", "city.names.en"));
}

TEST(MmdbImage, ControlCharactersAreSpaces) {
  EXPECT_EQ("a  b ", field(open_fields(fixture("fields")), "81.169.145.9", "text"));
}

TEST(MmdbImage, OtherCharactersStayAsTheyAre) {
  EXPECT_EQ("\xec\x84\x9c\xec\x9a\xb8",
            field(open_fields(fixture("fields")), "168.126.63.1", "city.names.ko"));
}

TEST(MmdbImage, ATextThatDoesNotFitIsCutAndItsLengthIsTold) {
  const auto database = open_fields(fixture("fields"));
  char text[8] = "1234567";
  EXPECT_EQ(1000u,
            database->find_field(address("81.169.145.9"), FieldPath::known("long"), {text, 5}));
  EXPECT_STREQ("long 67", text);
  EXPECT_EQ(39u,
            database->find_field(address("81.169.145.9"), FieldPath::known("most"), {text, 2}));
  EXPECT_STREQ("34ng 67", text);
  EXPECT_EQ(6u,
            database->find_field(address("81.169.145.9"), FieldPath::known("bytes"), {text, 1}));
  EXPECT_STREQ("04ng 67", text);
}

TEST(MmdbImage, EveryFamilyIsFound) {
  const auto database = open_fields(fixture("fields"));
  EXPECT_EQ("Berlin", field(database, "::ffff:81.169.145.9", "city.names.en"));
  EXPECT_EQ("Berlin", field(database, "2a01:238::9", "city.names.en"));
  EXPECT_EQ("", field(database, "2a01:239::9", "city.names.en"));
  EXPECT_EQ("DE", field(open_fields(fixture("ipv4-only")), "81.169.145.9", "country.iso_code"));
  EXPECT_EQ("", field(open_fields(fixture("ipv4-only")), "2a01:238::9", "country.iso_code"));
}

TEST(MmdbImage, EveryRecordSizeIsRead) {
  for (const char* name : {"record-24", "record-28", "record-32"}) {
    const auto database = open_fields(fixture(name));
    EXPECT_EQ("KR", field(database, "168.126.63.255", "country.iso_code")) << name;
    EXPECT_EQ("", field(database, "168.126.64.0", "country.iso_code")) << name;
    EXPECT_EQ("DE", field(database, "2a01:238::9", "country.iso_code")) << name;
  }
}

TEST(MmdbImage, MetadataAreTheSameForEveryAddress) {
  const auto database = open_fields(fixture("fields"));
  for (const char* client : {"81.169.145.9", "9.9.9.9", "2001:db8::1"}) {
    EXPECT_EQ("1700000000", field(database, client, "metadata.build_epoch"));
    EXPECT_EQ("weir-test-fields", field(database, client, "metadata.database_type"));
    EXPECT_EQ("en", field(database, client, "metadata.languages.0"));
  }
  EXPECT_EQ("", field(database, "9.9.9.9", "metadata"));
  EXPECT_EQ("", field(database, "9.9.9.9", "metadata.none"));
}

TEST(MmdbImage, AnAddressOfNoFamilyHasNoFields) {
  char text[8];
  EXPECT_EQ(0u, open_fields(fixture("fields"))
                    ->find_field(IpAddress{}, FieldPath::known("city.names.en"), text));
}

TEST(MmdbImage, KnowsItsTypeAndHowManyNetworksItHas) {
  const DatabaseInfo info = open_fields(fixture("fields"))->info();
  EXPECT_EQ(1'700'000'000u, info.build_epoch);
  EXPECT_STREQ("weir-test-fields", info.type);
  EXPECT_EQ(3u, info.networks);
}

TEST(MmdbImage, ATreeThatPointsBeyondItsDataIsAnError) {
  const TemporaryDirectory directory;
  for (const std::uint32_t leaf : {2u, 16u, 5000u, 0xffffffu}) {
    MmdbFileBytes file;
    file.left = leaf;
    std::unique_ptr<Database> database;
    weir_error_t error{};
    const std::string path = directory.write("a.mmdb", file.bytes());
    EXPECT_EQ(WEIR_INVALID, open_field_mmdb(path.c_str(), &database, &error)) << leaf;
    EXPECT_NE(nullptr, std::strstr(error.text, "points beyond its data")) << error.text;
    EXPECT_EQ(nullptr, database);
  }
}

TEST(MmdbImage, ATreeThatLeadsBackToItselfEnds) {
  const TemporaryDirectory directory;
  MmdbFileBytes file;
  file.left = 0;
  const auto database = open_fields(directory.write("a.mmdb", file.bytes()));
  EXPECT_EQ("", field(database, "0.0.0.0", "country_code"));
  EXPECT_EQ("DE", field(database, "128.0.0.0", "country_code"));
}

TEST(MmdbImage, IsOpenedOnlyIfItsPartsFit) {
  MmdbFile file;
  weir_error_t error{};
  ASSERT_EQ(WEIR_OK, file.open(fixture("fields").c_str(), &error)) << error.text;
  PageVector<std::uint64_t> image;
  ASSERT_EQ(WEIR_OK, make_image(file, "", &image, &error)) << error.text;
  const std::size_t size = image.size() * 8;
  EXPECT_TRUE(MmdbImage::open(image.data(), size));
  EXPECT_FALSE(MmdbImage::open(image.data(), size - 8));
  EXPECT_FALSE(MmdbImage::open(image.data(), 16));
  const auto with = [&](auto change) {
    PageVector<std::uint64_t> changed = image;
    MmdbImageHeader header;
    std::memcpy(&header, changed.data(), sizeof(header));
    change(header);
    std::memcpy(changed.data(), &header, sizeof(header));
    return MmdbImage::open(changed.data(), size).has_value();
  };
  EXPECT_TRUE(with([](auto&) {}));
  EXPECT_FALSE(with([](auto& header) { header.common.magic ^= 1; }));
  EXPECT_FALSE(with([](auto& header) { header.common.size += 8; }));
  EXPECT_FALSE(with([](auto& header) { header.node_count = UINT32_MAX; }));
  EXPECT_FALSE(with([](auto& header) { header.record_bits = 20; }));
  EXPECT_FALSE(with([](auto& header) { header.address_bits = 64; }));
  EXPECT_FALSE(with([](auto& header) { header.records = UINT64_MAX; }));
  EXPECT_FALSE(with([](auto& header) { header.records_size = header.common.size; }));
  EXPECT_FALSE(with([](auto& header) { header.metadata = header.common.size + 1; }));
  EXPECT_FALSE(with([](auto& header) { header.metadata_size = UINT64_MAX; }));
}

// While somebody overwrites it, an image may hold anything.
TEST(MmdbImage, NonsenseIsReadWithinBounds) {
  MmdbFile file;
  weir_error_t error{};
  ASSERT_EQ(WEIR_OK, file.open(fixture("fields").c_str(), &error)) << error.text;
  PageVector<std::uint64_t> image;
  ASSERT_EQ(WEIR_OK, make_image(file, "", &image, &error)) << error.text;
  const auto view = MmdbImage::open(image.data(), image.size() * 8);
  ASSERT_TRUE(view);
  auto* bytes = reinterpret_cast<std::uint8_t*>(image.data());
  std::uint64_t state = 1;
  for (int round = 0; round < 300; ++round) {
    for (std::size_t i = sizeof(MmdbImageHeader); i < image.size() * 8; ++i) {
      state = state * 6364136223846793005u + 1442695040888963407u;
      bytes[i] =
          static_cast<std::uint8_t>(state >> 60 != 0 ? state >> 56 : static_cast<unsigned>(round));
    }
    char text[64];
    for (const char* client : {"81.169.145.9", "2a01:238::9", "255.255.255.255"}) {
      for (const char* path : {"city.names.en", "array.2", "metadata.build_epoch"})
        view->find_field(address(client), FieldPath::known(path), text);
    }
  }
}

}  // namespace
}  // namespace weir
