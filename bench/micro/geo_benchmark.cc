// What the country of an address costs, on a real database: WEIR_COUNTRY_DB=FILE (for one, what
// the build makes: build/release/country.mmdb). Addresses are random; those that nobody has
// (private, reserved) are left out.

#include <benchmark/benchmark.h>

#include <array>
#include <cstdint>
#include <cstdlib>
#include <random>
#include <vector>

#include "geo/ip_address.h"
#include "weir/weir.h"

namespace {

template <size_t kLength>
std::vector<std::array<uint8_t, kLength>> random_addresses(uint8_t first_low, uint8_t first_high) {
  std::mt19937 random(1);
  std::vector<std::array<uint8_t, kLength>> addresses;
  while (addresses.size() < 1 << 16) {
    std::array<uint8_t, kLength> address;
    for (uint8_t& byte : address) byte = static_cast<uint8_t>(random());
    address[0] = static_cast<uint8_t>(first_low + address[0] % (first_high - first_low));
    if (!weir::IpAddress::from_bytes(address.data(), kLength).is_reserved()) {
      addresses.push_back(address);
    }
  }
  return addresses;
}

template <size_t kLength>
void look_up(benchmark::State& state, uint8_t first_low, uint8_t first_high) {
  const char* file = std::getenv("WEIR_COUNTRY_DB");
  weir_geo_t* geo = nullptr;
  weir_error_t error;
  if (file == nullptr || weir_geo_open(file, nullptr, &geo, &error) != WEIR_OK) {
    state.SkipWithError(file == nullptr ? "set WEIR_COUNTRY_DB" : error.text);
    return;
  }
  const auto addresses = random_addresses<kLength>(first_low, first_high);
  size_t i = 0;
  for (auto _ : state) {
    weir_country_t country;
    weir_geo_country(geo, addresses[i++ % addresses.size()].data(), kLength, &country);
    benchmark::DoNotOptimize(country);
  }
  weir_geo_close(geo);
}

void CountryOfIpv4(benchmark::State& state) { look_up<4>(state, 1, 224); }
BENCHMARK(CountryOfIpv4);

void CountryOfIpv6(benchmark::State& state) { look_up<16>(state, 0x24, 0x2b); }
BENCHMARK(CountryOfIpv6);

}  // namespace
