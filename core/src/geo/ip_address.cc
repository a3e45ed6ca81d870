#include "geo/ip_address.h"

#include <algorithm>
#include <cstring>

namespace weir {
namespace {

constexpr std::uint8_t kMappedPrefix[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};

constexpr std::uint32_t kDocumentation1 = 0xc00002;  // 192.0.2/24, RFC 5737
constexpr std::uint32_t kDocumentation2 = 0xc63364;  // 198.51.100/24
constexpr std::uint32_t kDocumentation3 = 0xcb0071;  // 203.0.113/24
constexpr std::uint32_t kProtocol = 0xc00000;        // 192.0.0/24, RFC 6890

// The first bytes of all that is reserved. Few clients have one of them, so that a processor
// guesses right; it could not guess the cases below.
constexpr auto kMayBeReservedIpv4 = [] {
  std::array<bool, 256> may_be{};
  for (const int first : {0, 10, 100, 127, 169, 172, 192, 198, 203})
    may_be[static_cast<std::size_t>(first)] = true;
  for (std::size_t first = 224; first < 256; ++first) may_be[first] = true;
  return may_be;
}();

bool is_reserved_ipv4(const std::uint8_t* a) noexcept {
  if (!kMayBeReservedIpv4[a[0]]) return false;
  if (a[0] >= 224) return true;  // 224/4 multicast, RFC 5771; 240/4 and broadcast, RFC 1112, 919
  const std::uint32_t net24 = static_cast<std::uint32_t>(a[0] << 16 | a[1] << 8 | a[2]);
  switch (a[0]) {
    case 0:    // this network, RFC 791
    case 10:   // private, RFC 1918
    case 127:  // loopback, RFC 1122
      return true;
    case 100:  // 100.64/10, shared by carrier-grade NATs, RFC 6598
      return (a[1] & 0xc0) == 64;
    case 169:  // 169.254/16, link-local, RFC 3927
      return a[1] == 254;
    case 172:  // 172.16/12, private, RFC 1918
      return (a[1] & 0xf0) == 16;
    case 192:  // 192.168/16, private, RFC 1918
      return a[1] == 168 || net24 == kProtocol || net24 == kDocumentation1;
    case 198:  // 198.18/15, benchmarks, RFC 2544
      return (a[1] & 0xfe) == 18 || net24 == kDocumentation2;
    case 203:
      return net24 == kDocumentation3;
    default:
      return false;
  }
}

bool all_zero(const std::uint8_t* from, const std::uint8_t* to) noexcept {
  return std::all_of(from, to, [](std::uint8_t byte) { return byte == 0; });
}

// Below 2000::/3, the global unicast space of RFC 4291.
bool is_reserved_low_ipv6(const std::uint8_t* a) noexcept {
  if (a[0] == 0x00 && a[1] == 0x64) {
    // 64:ff9b:1::/48, local translation, RFC 8215; its neighbour 64:ff9b::/96 is global.
    return a[2] == 0xff && a[3] == 0x9b && a[4] == 0 && a[5] == 1;
  }
  if (a[0] == 0x01) return a[1] == 0 && all_zero(a + 2, a + 8);  // 100::/64, discard, RFC 6666
  return all_zero(a, a + 15) && a[15] <= 1;                      // :: and ::1, RFC 4291
}

bool is_reserved_ipv6(const std::uint8_t* a) noexcept {
  if (a[0] < 0x20) return is_reserved_low_ipv6(a);
  if (a[0] == 0x20) {
    if (a[1] != 0x01) return false;
    if (a[2] == 0x0d && a[3] == 0xb8) return true;  // 2001:db8::/32, documentation, RFC 3849
    if (a[2] != 0x00) return false;
    if (a[3] == 0x02) return a[4] == 0 && a[5] == 0;  // 2001:2::/48, benchmarks, RFC 5180
    return (a[3] & 0xf0) == 0x10;                     // 2001:10::/28, ORCHID, RFC 4843
  }
  if (a[0] == 0x3f)
    return a[1] == 0xff && (a[2] & 0xf0) == 0;  // 3fff::/20, documentation, RFC 9637
  if (a[0] == 0x5f) return a[1] == 0;           // 5f00::/16, SRv6, RFC 9602
  if ((a[0] & 0xfe) == 0xfc) return true;       // fc00::/7, unique local, RFC 4193
  if (a[0] == 0xfe) return (a[1] & 0x80) != 0;  // fe80::/10, RFC 4291; fec0::/10, RFC 3879
  return a[0] == 0xff;                          // ff00::/8, multicast, RFC 4291
}

}  // namespace

IpAddress IpAddress::from_bytes(const void* address, std::size_t length) noexcept {
  IpAddress result;
  if (length != 4 && length != 16) return result;
  const auto* from = static_cast<const std::uint8_t*>(address);
  if (length == 16 && std::memcmp(from, kMappedPrefix, sizeof(kMappedPrefix)) == 0) {
    from += sizeof(kMappedPrefix);
    length = 4;
  }
  std::memcpy(result.bytes.data(), from, length);
  result.length = static_cast<std::uint8_t>(length);
  return result;
}

IpAddress IpAddress::from_number(Wide number, unsigned bits) noexcept {
  std::uint8_t bytes[16];
  for (unsigned i = 0; i < bits / 8; ++i)
    bytes[i] = static_cast<std::uint8_t>(number >> (bits - 8 - 8 * i));
  return from_bytes(bytes, bits / 8);
}

IpAddress IpAddress::masked(std::uint32_t prefix) const noexcept {
  IpAddress result = *this;
  if (prefix >= length * 8u) return result;
  const std::size_t whole = prefix / 8;
  result.bytes[whole] = static_cast<std::uint8_t>(bytes[whole] & (0xff00 >> prefix % 8));
  std::fill(result.bytes.begin() + static_cast<std::ptrdiff_t>(whole) + 1, result.bytes.end(),
            std::uint8_t{0});
  return result;
}

bool IpAddress::is_reserved() const noexcept {
  if (length == 4) return is_reserved_ipv4(bytes.data());
  return length == 16 && is_reserved_ipv6(bytes.data());
}

}  // namespace weir
