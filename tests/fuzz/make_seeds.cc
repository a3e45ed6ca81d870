// Writes what the fuzzers start from:
//
//     make_seeds FIXTURES SEEDS
//
// SEEDS/mmdb_fuzzer gets the databases of the folder FIXTURES and files that are made to hurt,
// SEEDS/field_fuzzer paths and records. The headers of the fuzzers say what an input looks like.

#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <iterator>
#include <map>
#include <string>

#include "support/mmdb_writer.h"

namespace weir::testing {
namespace {

using Files = std::map<std::string, std::string>;  // bytes by name

// The fields of mmdb_fuzzer.cc, by their numbers.
constexpr char kDetected = 0, kFlat = 2, kCustom = 4, kInArray = 5;

constexpr std::uint32_t kSeparator = 16;

Files databases(const std::filesystem::path& fixtures) {
  Files files;
  for (const auto& entry : std::filesystem::directory_iterator(fixtures)) {
    if (entry.path().extension() != ".mmdb") continue;
    std::ifstream file(entry.path(), std::ios::binary);
    const std::string bytes{std::istreambuf_iterator<char>(file), {}};
    const std::string name = entry.path().stem();
    files[name] = kDetected + bytes;
    if (name == "custom") files[name + "-field"] = kCustom + bytes;
    if (name == "maxmind") files[name + "-field"] = kInArray + bytes;
    if (name == "ip-location-db") files[name + "-field"] = kFlat + bytes;
  }
  return files;
}

// `count` nodes, each with both records to the next, and the last with both to the data: as many
// paths as 2^count.
MmdbFileBytes chain(std::uint32_t count) {
  MmdbFileBytes file;
  file.ip_version = 6;
  file.node_count = count;
  file.left = file.right = 1;
  for (std::uint32_t node = 2; node < count; ++node) file.more_nodes.push_back({node, node});
  file.more_nodes.push_back({count + kSeparator, count + kSeparator});
  return file;
}

// The IPv4 part of an IPv6 tree, met at each of the first 96 bits.
MmdbFileBytes aliases() {
  constexpr std::uint32_t kRoot4 = 96;
  MmdbFileBytes file;
  file.ip_version = 6;
  file.node_count = kRoot4 + 1;
  file.left = 1;
  file.right = kRoot4;
  for (std::uint32_t node = 2; node <= kRoot4; ++node) file.more_nodes.push_back({node, kRoot4});
  file.more_nodes.push_back({file.node_count, file.node_count + kSeparator});
  return file;
}

// Nodes from which paths of many lengths lead to the IPv4 part, so that each is many nodes of a
// poptrie.
MmdbFileBytes shortcuts() {
  constexpr std::uint32_t kCount = 90, kRoot4 = kCount + 96;
  MmdbFileBytes file;
  file.ip_version = 6;
  file.node_count = kRoot4 + 1;
  file.left = kCount + 1;  // 96 bits of 0
  file.right = 1;
  for (std::uint32_t node = 1; node <= kCount; ++node) {
    const auto on = [&](std::uint32_t step) {
      return node + step <= kCount ? node + step : kRoot4;
    };
    file.more_nodes.push_back({on(1), on(2)});
  }
  for (std::uint32_t node = kCount + 1; node < kRoot4; ++node)
    file.more_nodes.push_back({node + 1, file.node_count});
  file.more_nodes.push_back({file.node_count, file.node_count + kSeparator});
  return file;
}

Files hostile_trees() {
  Files files;
  for (const unsigned record_bits : {24u, 28u, 32u}) {
    const auto add = [&](const std::string& name, MmdbFileBytes file) {
      file.record_bits = record_bits;
      files[name + "-" + std::to_string(record_bits)] = kDetected + file.bytes();
    };
    MmdbFileBytes file;
    add("one-node", file);
    file.left = 0;
    add("cycle", file);
    file.left = 2;
    add("into-the-separator", file);
    file.left = 0xfff'ffff;
    add("beyond-the-data", file);
    MmdbFileBytes last;  // a record behind all else
    last.record_bits = record_bits;
    last.left += static_cast<std::uint32_t>(last.bytes().size()) - record_bits / 4 - kSeparator;
    files["last-bytes-" + std::to_string(record_bits)] =
        kDetected + last.bytes() + mmdb_map(1) + mmdb_pointer(1) + mmdb_string("KR");
    for (const std::uint32_t nodes : {0u, 0x2aaa'aaabu, 0xffff'ffffu}) {
      MmdbFileBytes many;
      many.node_count = nodes;
      add("nodes-" + std::to_string(nodes), many);
    }
    add("many-paths", chain(128));
    add("too-deep", chain(129));
    add("aliases", aliases());
    add("shortcuts", shortcuts());
  }
  return files;
}

Files hostile_values() {
  const std::string code = mmdb_string("country_code") + mmdb_string("DE");
  return {
      {"pointer-to-itself", mmdb_pointer(0)},
      {"pointer-chain", repeat("\x20\x02", 100) + mmdb_map(1) + code},
      {"pointer-to-the-record", mmdb_map(1) + mmdb_string("country") + mmdb_pointer(0)},
      {"key-to-the-record", mmdb_map(1) + mmdb_pointer(0) + mmdb_string("DE")},
      {"key-by-pointer",
       mmdb_map(1) + mmdb_pointer(9) + mmdb_string("DE") + mmdb_string("country_code")},
      {"millions-of-entries",
       std::string("\xff\xff\xff\xff", 4) + repeat(mmdb_string("a") + mmdb_array(0), 300) + code},
      {"millions-of-elements", mmdb_map(2) + mmdb_string("a") +
                                   std::string("\x1f\x04\xff\xff\xff", 5) +
                                   repeat(mmdb_array(0), 300) + code},
      {"nested-arrays",
       mmdb_map(2) + mmdb_string("a") + repeat(mmdb_array(1), 300) + mmdb_string("x") + code},
      {"nested-maps", repeat(mmdb_map(1) + mmdb_string("a"), 300) + mmdb_map(1) + code},
  };
}

Files hostile_metadata() {
  Files files;
  const auto add = [&](const std::string& name, const MmdbFileBytes& file) {
    files["metadata-" + name] = kDetected + file.bytes();
  };
  MmdbFileBytes nested;
  nested.more_metadata = mmdb_string("a") + repeat(mmdb_array(1), 300) + mmdb_string("x");
  add("nested", nested);

  MmdbFileBytes texts;
  texts.languages = mmdb_array(2) + mmdb_array(0) + mmdb_pointer(1 << 20);
  add("languages", texts);

  MmdbFileBytes itself;
  itself.description = mmdb_pointer(0);
  add("pointer-to-itself", itself);

  // Every list holds the next one 16 times.
  constexpr std::uint32_t kFirst = 5, kSize = 2 + 16 * 5;
  MmdbFileBytes lists;
  lists.more_metadata = mmdb_string("a") + mmdb_array(24);
  for (std::uint32_t i = 1; i <= 24; ++i)
    lists.more_metadata += mmdb_array(16) + repeat(mmdb_pointer(kFirst + kSize * i), 16);
  lists.languages = mmdb_pointer(kFirst);
  add("lists", lists);
  return files;
}

void write(const std::filesystem::path& folder, const Files& files) {
  std::filesystem::create_directories(folder);
  for (const auto& [name, bytes] : files) {
    std::ofstream file(folder / name, std::ios::binary | std::ios::trunc);
    if (!(file << bytes << std::flush)) {
      std::cerr << "make_seeds: can't write " << folder / name << '\n';
      std::exit(1);
    }
  }
}

void write_seeds(const std::filesystem::path& fixtures, const std::filesystem::path& seeds) {
  Files files = databases(fixtures);
  files.merge(hostile_trees());
  files.merge(hostile_metadata());
  Files fields = {{"array", "a.1.b\n" + mmdb_map(1) + mmdb_string("a") + mmdb_array(2) +
                                mmdb_uint32(7) + mmdb_map(1) + mmdb_string("b") + mmdb_uint16(9)}};
  for (const auto& [name, data] : hostile_values()) {
    MmdbFileBytes file;
    file.data = data;
    files[name] = kDetected + file.bytes();
    fields[name] = "country_code\n" + data;
    fields[name + "-deep"] = "a.a.a.a.a.a\n" + data;
  }
  write(seeds / "mmdb_fuzzer", files);
  write(seeds / "field_fuzzer", fields);
}

}  // namespace
}  // namespace weir::testing

int main(int count, char** arguments) {
  if (count != 3) {
    std::cerr << "usage: make_seeds FIXTURES SEEDS\n";
    return 2;
  }
  weir::testing::write_seeds(arguments[1], arguments[2]);
  return 0;
}
