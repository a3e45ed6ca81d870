// What the country of an address costs: weir's compiled table, in shared memory in which it may be
// replaced, as in nginx; and libmaxminddb on the same file, which walks the tree and then finds
// "country.iso_code" in the record. The database is the world-wide one that the build makes, or the
// one that WEIR_COUNTRY_DB names; its schema has to be MaxMind's.
//
// Addresses are drawn from the database's own networks that have a country: each network is as
// likely as any other, and so is each address in it.
//
// Names are ipv4/CONTESTANT and ipv6/CONTESTANT; compile is opening and compiling the file, and its
// counter `bytes` is the size of the table.

#include <benchmark/benchmark.h>
#include <maxminddb.h>
#include <netinet/in.h>
#include <sys/mman.h>

#include <array>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <random>
#include <vector>

#include "geo/country_compiler.h"
#include "geo/country_table.h"
#include "memory.h"
#include "weir/weir.h"
#include "wide.h"

namespace weir::bench {
namespace {

constexpr size_t kAddresses = 1 << 16;

const char* database() {
  const char* named = std::getenv("WEIR_COUNTRY_DB");
  return named != nullptr ? named : WEIR_COUNTRY_DB;
}

struct Network {
  Wide first;
  unsigned prefix;  // of `bits`
};

// What is below a node, of those networks that have a record; of IPv6, outside of the IPv4 part.
void collect(const MmdbTree& tree, std::uint32_t record, Wide first, unsigned depth,
             std::vector<Network>* networks) {
  if (depth == tree.address_bits() || !tree.is_node(record)) {
    if (tree.is_value(record)) networks->push_back({first, depth});
    return;
  }
  const auto [zero, one] = tree.records(record);
  collect(tree, zero, first, depth + 1, networks);
  collect(tree, one, first | Wide{1} << (tree.address_bits() - depth - 1), depth + 1, networks);
}

// As long as its family's are, so that no more memory is read than there is to know.
template <size_t kLength>
using Address = std::array<std::uint8_t, kLength>;

// Of a family, with a country.
template <size_t kLength>
std::vector<Address<kLength>> addresses(const MmdbFile& file, const weir_geo_t* geo) {
  std::vector<Network> all, networks;
  collect(file.tree(), 0, 0, 0, &all);
  for (const Network& network : all) {
    const bool is_ipv4 = network.first >> 32 == 0 && network.prefix >= 96;
    const bool is_unicast = network.first >> 125 == 1 && network.first >> 112 != 0x2002;
    if (kLength == 4 ? is_ipv4 : is_unicast) networks.push_back(network);
  }
  must(!networks.empty(), "the database has no networks of a family");
  std::mt19937_64 random(1);
  std::vector<Address<kLength>> drawn;
  while (drawn.size() < kAddresses) {
    const Network& network = networks[random() % networks.size()];
    const Wide tail = network.prefix == 128 ? 0 : ~Wide{0} >> network.prefix;
    const Wide number = network.first | ((Wide{random()} << 64 | random()) & tail);
    Address<kLength> address{};
    for (size_t i = 0; i < kLength; ++i)
      address[i] = static_cast<std::uint8_t>(number >> 8 * (kLength - 1 - i));
    weir_country_t country;
    weir_geo_country(geo, nullptr, address.data(), kLength, &country);
    if (country.code[0] != 'X' && country.code[0] != 'Z') drawn.push_back(address);
  }
  return drawn;
}

// A handle to the database, published in shared memory.
weir_geo_t* publish() {
  weir_error_t error;
  weir_geo_t *opened = nullptr, *geo = nullptr;
  must(weir_geo_open(database(), nullptr, &opened, &error) == WEIR_OK, error.text);
  const size_t size = weir_geo_share_size(opened);
  void* memory = mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  must(memory != MAP_FAILED, "mmap");
  weir_geo_share_format(memory, size);
  must(weir_geo_publish(opened, memory, size, 0, 0, &error) == WEIR_GEO_PUBLISHED, error.text);
  weir_geo_close(opened);
  must(weir_geo_share_attach(memory, size, WEIR_GEO_COUNTRIES, &geo, &error) == WEIR_OK,
       error.text);
  return geo;
}

// All that the benchmarks share; made once.
struct Contestants {
  Contestants() {
    weir_error_t error;
    MmdbFile file;
    must(file.open(database(), &error) == WEIR_OK, error.text);
    geo = publish();
    must(MMDB_open(database(), MMDB_MODE_MMAP, &mmdb) == MMDB_SUCCESS, "MMDB_open");
    must(file.tree().address_bits() == 128, "expected a database of both families");
    ipv4 = addresses<4>(file, geo);
    ipv6 = addresses<16>(file, geo);
  }

  weir_geo_t* geo = nullptr;
  MMDB_s mmdb{};
  std::vector<Address<4>> ipv4;
  std::vector<Address<16>> ipv6;
};

Contestants& contestants() {
  static auto* made = new Contestants;  // until the program ends
  return *made;
}

template <size_t kLength>
const std::vector<Address<kLength>>& of_family() {
  if constexpr (kLength == 4)
    return contestants().ipv4;
  else
    return contestants().ipv6;
}

template <size_t kLength>
void by_weir(benchmark::State& state) {
  const std::vector<Address<kLength>>& drawn = of_family<kLength>();
  size_t i = 0;
  for (auto _ : state) {
    weir_country_t country;
    weir_geo_country(contestants().geo, nullptr, drawn[i++ % kAddresses].data(), kLength, &country);
    benchmark::DoNotOptimize(country);
  }
}

sockaddr_in socket_address(const Address<4>& address) {
  sockaddr_in ipv4{};
  ipv4.sin_family = AF_INET;
  std::memcpy(&ipv4.sin_addr, address.data(), 4);
  return ipv4;
}

sockaddr_in6 socket_address(const Address<16>& address) {
  sockaddr_in6 ipv6{};
  ipv6.sin6_family = AF_INET6;
  std::memcpy(&ipv6.sin6_addr, address.data(), 16);
  return ipv6;
}

template <size_t kLength>
void by_libmaxminddb(benchmark::State& state) {
  const std::vector<Address<kLength>>& drawn = of_family<kLength>();
  size_t i = 0;
  for (auto _ : state) {
    int status = MMDB_SUCCESS;
    const auto address = socket_address(drawn[i++ % kAddresses]);
    MMDB_lookup_result_s found = MMDB_lookup_sockaddr(
        &contestants().mmdb, reinterpret_cast<const sockaddr*>(&address), &status);
    MMDB_entry_data_s code;
    must(MMDB_get_value(&found.entry, &code, "country", "iso_code", nullptr) == MMDB_SUCCESS,
         "the record has no country.iso_code");
    benchmark::DoNotOptimize(code);
  }
}

void compile(benchmark::State& state) {
  weir_error_t error;
  size_t bytes = 0;
  for (auto _ : state) {
    MmdbFile file;
    CompiledCountries table;
    must(file.open(database(), &error) == WEIR_OK, error.text);
    const auto schema = CountrySchema::detect(file.records(), file.first_records(1024));
    must(schema.has_value(), "no country field");
    must(compile_countries(file, *schema, database(), &table, &error) == WEIR_OK, error.text);
    bytes = table.size() * sizeof(table[0]);
  }
  state.counters["bytes"] = static_cast<double>(bytes);
}

BENCHMARK(by_weir<4>)->Name("ipv4/weir");
BENCHMARK(by_libmaxminddb<4>)->Name("ipv4/libmaxminddb");
BENCHMARK(by_weir<16>)->Name("ipv6/weir");
BENCHMARK(by_libmaxminddb<16>)->Name("ipv6/libmaxminddb");
BENCHMARK(compile)->Name("compile");

}  // namespace
}  // namespace weir::bench
