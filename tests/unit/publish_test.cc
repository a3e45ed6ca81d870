// Databases that take the place of others, or do not.

#include <gtest/gtest.h>

#include <cstdlib>
#include <cstring>
#include <memory>

#include "mmdb_files.h"
#include "weir/weir.h"

namespace weir {
namespace {

using testing::mmdb_map;
using testing::mmdb_string;
using testing::MmdbFileBytes;
using testing::TemporaryDirectory;

struct Close {
  void operator()(weir_geo_t* geo) const { weir_geo_close(geo); }
};
using Geo = std::unique_ptr<weir_geo_t, Close>;

std::string country(const char* code) {
  return mmdb_map(1) + mmdb_string("country_code") + mmdb_string(code);
}

// A database that knows a country for the one half of all addresses, or for both.
MmdbFileBytes file(const char* code, unsigned epoch, unsigned networks = 2) {
  MmdbFileBytes bytes;
  bytes.data = country(code);
  bytes.build_epoch = epoch;
  if (networks == 1) bytes.right = 1;
  return bytes;
}

constexpr std::uint64_t kNow = 200'000;  // all files are of the past
constexpr unsigned kAll = WEIR_GEO_ACCEPT(WEIR_GEO_OLDER) | WEIR_GEO_ACCEPT(WEIR_GEO_SMALLER) |
                          WEIR_GEO_ACCEPT(WEIR_GEO_OTHER_TYPE);

class PublishTest : public ::testing::Test {
 protected:
  PublishTest() {
    const std::size_t size = weir_geo_share_size(nullptr);
    size_ = size;
    memory_.reset(std::aligned_alloc(4096, size));
    std::memset(memory_.get(), 0, 4096);
    weir_geo_share_format(memory_.get(), size);
    weir_geo_t* geo = nullptr;
    weir_error_t error{};
    EXPECT_EQ(WEIR_OK, weir_geo_share_attach(memory_.get(), size, WEIR_GEO_COUNTRIES, &geo, &error))
        << error.text;
    handle_.reset(geo);
  }

  Geo open(const MmdbFileBytes& bytes) {
    weir_geo_t* geo = nullptr;
    weir_error_t error{};
    const std::string path = directory_.write("next.mmdb", bytes.bytes());
    EXPECT_EQ(WEIR_OK, weir_geo_open(path.c_str(), nullptr, &geo, &error)) << error.text;
    return Geo(geo);
  }
  weir_geo_verdict_t publish(const MmdbFileBytes& bytes, unsigned accept = 0) {
    error_.text[0] = 0;
    return weir_geo_publish(open(bytes).get(), memory_.get(), size_, accept, kNow, &error_);
  }
  std::string country_of_all() const {
    const std::uint8_t address[] = {1, 2, 3, 4};
    weir_country_t found;
    weir_geo_country(handle_.get(), nullptr, address, 4, &found);
    return found.code;
  }
  weir_geo_info_t info() const {
    weir_geo_info_t info;
    weir_geo_get_info(handle_.get(), &info);
    return info;
  }
  bool says(const std::string& part) const {
    return std::string(error_.text).find(part) != std::string::npos;
  }

  struct Free {
    void operator()(void* memory) const { std::free(memory); }
  };
  TemporaryDirectory directory_;
  std::unique_ptr<void, Free> memory_;
  std::size_t size_;
  Geo handle_;
  weir_error_t error_{};
};

TEST_F(PublishTest, NothingIsKnownUntilADatabaseIsPublished) {
  EXPECT_EQ("XX", country_of_all());
  EXPECT_EQ(0u, info().build_epoch);
  EXPECT_EQ(WEIR_GEO_PUBLISHED, publish(file("KR", 1000)));
  EXPECT_EQ("KR", country_of_all());
  EXPECT_EQ(1000u, info().build_epoch);
  EXPECT_EQ(2u, info().networks);
  EXPECT_STREQ("test", info().type);
}

TEST_F(PublishTest, ANewerDatabaseTakesThePlaceOfTheOther) {
  publish(file("KR", 1000));
  for (unsigned i = 1; i < 6; ++i) {
    EXPECT_EQ(WEIR_GEO_PUBLISHED, publish(file(i % 2 ? "DE" : "JP", 1000 + i)));
    EXPECT_EQ(i % 2 ? "DE" : "JP", country_of_all());
  }
}

TEST_F(PublishTest, TheSameDatabaseIsNoUpdate) {
  publish(file("KR", 1000));
  EXPECT_EQ(WEIR_GEO_SAME, publish(file("KR", 1000)));
  EXPECT_STREQ("", error_.text);
}

TEST_F(PublishTest, AnOlderDatabaseIsRefusedUnlessAccepted) {
  publish(file("KR", 100'000));
  EXPECT_EQ(WEIR_GEO_OLDER, publish(file("DE", 99'999)));
  EXPECT_TRUE(says("next.mmdb\" was built 1970-01-02 03:46:39 UTC, before the database in use"))
      << error_.text;
  EXPECT_EQ("KR", country_of_all());
  const unsigned others = WEIR_GEO_ACCEPT(WEIR_GEO_SMALLER) | WEIR_GEO_ACCEPT(WEIR_GEO_OTHER_TYPE);
  EXPECT_EQ(WEIR_GEO_OLDER, publish(file("DE", 99'999), others));
  EXPECT_EQ(WEIR_GEO_PUBLISHED, publish(file("DE", 99'999), WEIR_GEO_ACCEPT(WEIR_GEO_OLDER)));
  EXPECT_EQ("DE", country_of_all());
}

TEST_F(PublishTest, AnotherDatabaseOfTheSameTimeMayBeHalfWrittenWhateverIsAccepted) {
  publish(file("KR", 1000));
  for (const unsigned accept : {0u, kAll, ~0u}) {
    EXPECT_EQ(WEIR_GEO_HALF_DONE, publish(file("DE", 1000), accept));
    EXPECT_TRUE(says("as was the database in use, and differs from it")) << error_.text;
    EXPECT_EQ("KR", country_of_all());
  }
}

TEST_F(PublishTest, ADatabaseFromTheFutureIsRefusedWhateverIsAccepted) {
  publish(file("KR", 1000));
  const unsigned tomorrow = kNow + 24 * 60 * 60;
  EXPECT_EQ(WEIR_GEO_OF_FUTURE, publish(file("DE", tomorrow + 1), ~0u));
  EXPECT_TRUE(says("which is yet to come: expected one of the past")) << error_.text;
  EXPECT_EQ("KR", country_of_all());
  EXPECT_EQ(WEIR_GEO_PUBLISHED, publish(file("DE", tomorrow)));
}

TEST_F(PublishTest, TheFirstDatabaseIsPublishedWhateverItIs) {
  EXPECT_EQ(WEIR_GEO_PUBLISHED, publish(file("KR", 4'000'000'000)));
  EXPECT_EQ("KR", country_of_all());
}

TEST_F(PublishTest, ADatabaseThatLostMostOfItsNetworksIsRefusedUnlessAccepted) {
  MmdbFileBytes large = file("KR", 1000);
  MmdbFileBytes none = file("DE", 2000, 1);
  none.data = mmdb_map(1) + mmdb_string("country_code") + mmdb_string("AP");  // no country
  EXPECT_EQ(WEIR_GEO_PUBLISHED, publish(large));
  EXPECT_EQ(WEIR_GEO_PUBLISHED, publish(file("JP", 1500, 1)));  // half of them
  EXPECT_EQ(WEIR_GEO_PUBLISHED, publish(file("KR", 1600)));
  EXPECT_EQ(WEIR_GEO_SMALLER, publish(none));
  EXPECT_TRUE(says("knows 0 networks, and the database in use 2")) << error_.text;
  EXPECT_EQ("KR", country_of_all());
  EXPECT_EQ(WEIR_GEO_PUBLISHED, publish(none, WEIR_GEO_ACCEPT(WEIR_GEO_SMALLER)));
  EXPECT_EQ("XX", country_of_all());
}

TEST_F(PublishTest, ADatabaseOfAnotherTypeIsRefusedUnlessAccepted) {
  publish(file("KR", 1000));
  MmdbFileBytes other = file("DE", 2000);
  other.type = "another";
  EXPECT_EQ(WEIR_GEO_OTHER_TYPE, publish(other));
  EXPECT_TRUE(says("is a database of type \"another\": expected \"test\"")) << error_.text;
  EXPECT_EQ("KR", country_of_all());
  EXPECT_EQ(WEIR_GEO_PUBLISHED, publish(other, WEIR_GEO_ACCEPT(WEIR_GEO_OTHER_TYPE)));
  EXPECT_EQ("DE", country_of_all());
}

TEST_F(PublishTest, ADatabaseOfFieldsNeverTakesThePlaceOfOneOfCountries) {
  publish(file("KR", 1000));
  weir_geo_t* fields = nullptr;
  const std::string path = directory_.write("fields.mmdb", file("DE", 2000).bytes());
  ASSERT_EQ(WEIR_OK, weir_geo_open_fields(path.c_str(), &fields, &error_)) << error_.text;
  const Geo closed(fields);
  EXPECT_EQ(WEIR_GEO_OTHER_TYPE,
            weir_geo_publish(fields, memory_.get(), size_, WEIR_GEO_ACCEPT(WEIR_GEO_OTHER_TYPE),
                             kNow, &error_));
  EXPECT_EQ("KR", country_of_all());
}

TEST_F(PublishTest, ADatabaseForWhichThereIsNoRoomIsRefused) {
  const Geo geo = open(file("KR", 1000));
  const std::size_t little = 3 * 4096;
  weir_geo_share_format(memory_.get(), little);
  EXPECT_EQ(WEIR_GEO_TOO_LARGE,
            weir_geo_publish(geo.get(), memory_.get(), little, 0, kNow, &error_));
  EXPECT_TRUE(says("expected at most 4096")) << error_.text;
}

TEST_F(PublishTest, ThereIsRoomForASuccessorHalfAsLargeAgain) {
  weir_geo_t* geo = nullptr;
  MmdbFileBytes bytes = file("KR", 1000);
  bytes.data += std::string(20 << 20, '\0');
  const std::string path = directory_.write("large.mmdb", bytes.bytes());
  ASSERT_EQ(WEIR_OK, weir_geo_open_fields(path.c_str(), &geo, &error_)) << error_.text;
  const Geo closed(geo);
  EXPECT_GE(weir_geo_share_size(geo), 60u << 20);
  EXPECT_GE(weir_geo_share_size(nullptr), 32u << 20);
}

TEST_F(PublishTest, WhatAWriterLeftHalfDoneHurtsNobody) {
  publish(file("KR", 1000));
  // The second slot, all of it, as somebody left it who died.
  auto* slot = static_cast<std::uint8_t*>(memory_.get()) + 4096;
  std::memset(slot, 0xff, size_ / 4);
  EXPECT_EQ("KR", country_of_all());
  EXPECT_EQ(WEIR_GEO_PUBLISHED, publish(file("DE", 2000)));
  EXPECT_EQ("DE", country_of_all());
}

TEST_F(PublishTest, NonsenseInTheSlotInUseIsUnknown) {
  publish(file("KR", 1000));
  auto* slot = static_cast<std::uint8_t*>(memory_.get()) + 4096 + (size_ - 4096) / 2;
  // All but the header: a look-up stays in bounds, whatever the numbers are.
  for (const int byte : {0x00, 0x01, 0x7f, 0x80, 0xff}) {
    std::memset(slot + 144, byte, 1 << 20);
    country_of_all();
  }
  std::memset(slot, 0, 144);
  weir_geo_t* geo = nullptr;
  ASSERT_EQ(WEIR_OK,
            weir_geo_share_attach(memory_.get(), size_, WEIR_GEO_COUNTRIES, &geo, &error_));
  handle_.reset(geo);
  EXPECT_EQ("XX", country_of_all());
}

TEST_F(PublishTest, AHandleNeedsPreparedMemory) {
  std::memset(memory_.get(), 0, 4096);
  weir_geo_t* geo = nullptr;
  EXPECT_EQ(WEIR_INVALID,
            weir_geo_share_attach(memory_.get(), size_, WEIR_GEO_COUNTRIES, &geo, &error_));
  EXPECT_TRUE(says("expected what weir_geo_share_format made"));
}

}  // namespace
}  // namespace weir
