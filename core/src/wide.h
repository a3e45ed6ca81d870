// 128 bits: for products of two 64-bit numbers, and for IPv6 addresses.

#pragma once

namespace weir {

__extension__ typedef unsigned __int128 Wide;

}  // namespace weir
