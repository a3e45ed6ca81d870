// What the tests of .mmdb files share: a private directory for the files they make, the fixtures,
// and a small writer for files that no proper writer would write.

#pragma once

#include <arpa/inet.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <memory>
#include <string>

#include "geo/database.h"
#include "geo/mmdb.h"

namespace weir::testing {

inline std::string fixture(const std::string& name) {
  return std::string(WEIR_FIXTURE_DIR) + "/" + name + ".mmdb";
}

inline std::string contents(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  EXPECT_TRUE(file) << path;
  return {std::istreambuf_iterator<char>(file), {}};
}

class TemporaryDirectory {
 public:
  TemporaryDirectory() {
    std::string name = (std::filesystem::temp_directory_path() / "weir-test-XXXXXX").string();
    EXPECT_NE(nullptr, mkdtemp(name.data()));
    path_ = name;
  }
  TemporaryDirectory(const TemporaryDirectory&) = delete;
  TemporaryDirectory& operator=(const TemporaryDirectory&) = delete;
  ~TemporaryDirectory() { std::filesystem::remove_all(path_); }

  std::string path() const { return path_; }
  std::string write(const std::string& name, const std::string& bytes) const {
    const std::string path = path_ + "/" + name;
    std::ofstream(path, std::ios::binary | std::ios::trunc) << bytes;
    return path;
  }

 private:
  std::string path_;
};

inline IpAddress address(const std::string& text) {
  std::uint8_t bytes[16];
  const bool is_ipv6 = text.find(':') != std::string::npos;
  EXPECT_EQ(1, inet_pton(is_ipv6 ? AF_INET6 : AF_INET, text.c_str(), bytes)) << text;
  return IpAddress::from_bytes(bytes, is_ipv6 ? 16 : 4);
}

inline std::unique_ptr<Database> open(const std::string& path, const char* field = nullptr) {
  std::unique_ptr<Database> database;
  weir_error_t error{};
  EXPECT_EQ(WEIR_OK, open_country_mmdb(path.c_str(), field, &database, &error)) << error.text;
  return database;
}

// Why the file is refused.
inline std::string refusal(const std::string& path, weir_status_t status = WEIR_INVALID,
                           const char* field = nullptr) {
  std::unique_ptr<Database> database;
  weir_error_t error{};
  EXPECT_EQ(status, open_country_mmdb(path.c_str(), field, &database, &error)) << path;
  EXPECT_EQ(nullptr, database);
  EXPECT_EQ(status, open_country_mmdb(path.c_str(), field, &database, nullptr)) << path;
  return error.text;
}

// "DE EU 1": code, continent, membership.
inline std::string text(const Country& country) {
  return std::string(country.code) + " " + country.continent + " " + (country.in_eu ? "1" : "0");
}

inline std::string look_up(const std::unique_ptr<Database>& database,
                           const std::string& client) {
  return database == nullptr ? "no database" : text(country_of(database.get(), address(client)));
}

// Values as they are written in a file.

inline std::string mmdb_string(const std::string& value) {  // shorter than 29
  return static_cast<char>(0x40 | value.size()) + value;
}
inline std::string mmdb_map(unsigned entries) {  // fewer than 29; keys and values follow
  return {static_cast<char>(0xe0 | entries)};
}
inline std::string mmdb_array(unsigned elements) {  // fewer than 29
  return {static_cast<char>(elements), '\x04'};
}
inline std::string mmdb_pointer(std::uint32_t target) {
  return {'\x38', static_cast<char>(target >> 24), static_cast<char>(target >> 16),
          static_cast<char>(target >> 8), static_cast<char>(target)};
}
inline std::string mmdb_uint16(unsigned value) {
  return {'\xa2', static_cast<char>(value >> 8), static_cast<char>(value)};
}
inline std::string mmdb_uint32(std::uint32_t value) {
  return {'\xc4', static_cast<char>(value >> 24), static_cast<char>(value >> 16),
          static_cast<char>(value >> 8), static_cast<char>(value)};
}
inline std::string mmdb_uint64(std::uint32_t value) {  // written in four bytes
  return {'\x04', '\x02', static_cast<char>(value >> 24), static_cast<char>(value >> 16),
          static_cast<char>(value >> 8), static_cast<char>(value)};
}
inline std::string repeat(const std::string& part, std::size_t times) {
  std::string result;
  for (std::size_t i = 0; i < times; ++i) result += part;
  return result;
}

// A file with one node, of IPv4, whose two records are `left` and `right`: 0 is the node itself,
// 1 is nothing, 17 is the value at the start of `data`.
struct MmdbFileBytes {
  std::uint32_t left = 17;
  std::uint32_t right = 17;
  std::string data = mmdb_map(1) + mmdb_string("country_code") + mmdb_string("DE");
  std::uint32_t node_count = 1;
  std::string languages = mmdb_array(1) + mmdb_string("en");
  std::string description = mmdb_map(1) + mmdb_string("en") + mmdb_string("a test");
  std::string type = "test";
  std::uint32_t build_epoch = 7;
  std::string more_metadata;  // one more key and its value

  std::string bytes() const {
    const auto record = [](std::uint32_t value) {
      return std::string{static_cast<char>(value >> 16), static_cast<char>(value >> 8),
                         static_cast<char>(value)};
    };
    return record(left) + record(right) + std::string(16, '\0') + data + "\xab\xcd\xefMaxMind.com" +
           mmdb_map(more_metadata.empty() ? 9 : 10) + more_metadata +
           mmdb_string("binary_format_major_version") + mmdb_uint16(2) +
           mmdb_string("binary_format_minor_version") + mmdb_uint16(0) +
           mmdb_string("build_epoch") + mmdb_uint64(build_epoch) +
           mmdb_string("database_type") + mmdb_string(type) + mmdb_string("description") +
           description + mmdb_string("ip_version") + mmdb_uint16(4) + mmdb_string("languages") +
           languages + mmdb_string("node_count") + mmdb_uint32(node_count) +
           mmdb_string("record_size") + mmdb_uint16(24);
  }
};

}  // namespace weir::testing
