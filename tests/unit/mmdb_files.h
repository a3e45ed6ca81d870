// What the tests of .mmdb files share: a private directory for the files they make, the fixtures,
// and short ways to open a database and to ask it.

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
#include "support/mmdb_writer.h"

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

inline std::string look_up(const std::unique_ptr<Database>& database, const std::string& client) {
  return database == nullptr ? "no database" : text(country_of(database.get(), address(client)));
}

}  // namespace weir::testing
