// A client's address as a value.
//
// Bytes are in network byte order. An IPv4-mapped IPv6 address (::ffff:a.b.c.d) is turned into its
// IPv4 address on the way in, so one client has one form. Bytes behind `length` are zero.

#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "wide.h"

namespace weir {

struct IpAddress {
  std::array<std::uint8_t, 16> bytes{};
  std::uint8_t length = 0;  // 4: IPv4, 16: IPv6, 0: none

  // None if `length` is neither 4 nor 16.
  static IpAddress from_bytes(const void* address, std::size_t length) noexcept;

  // The address whose bits, 32 or 128, are the lowest of a number.
  static IpAddress from_number(Wide number, unsigned bits) noexcept;

  // The same address with all bits behind the first `prefix` cleared.
  IpAddress masked(std::uint32_t prefix) const noexcept;

  // Is it one that nobody on the public Internet has? True for what the registries of RFC 6890
  // call not globally reachable, for multicast, and for what was set aside for good.
  bool is_reserved() const noexcept;

  friend bool operator==(const IpAddress&, const IpAddress&) = default;
};

}  // namespace weir
