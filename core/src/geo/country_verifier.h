// Compares a compiled country table with the file that it was compiled from.
//
// The other opinion is libmaxminddb's, which walks the file's tree a bit at a time, with what the
// schema reads from the record that it finds. Both are asked at the edges of the file's networks,
// with a record or without, and of their aliases: at each one's first and last address, and at the
// one to either side (beyond the last address comes the first). The IPv4 part of an IPv6 tree is
// compared for IPv6 addresses and for IPv4 addresses.
//
// The file must be one that compiled: then it takes bounded time.

#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "geo/country.h"
#include "geo/country_schema.h"
#include "geo/country_table.h"
#include "geo/ip_address.h"
#include "geo/mmdb_file.h"

namespace weir {

struct CountryDisagreement {
  IpAddress address;
  Country expected;  // says the file
  Country found;     // says the table
};

struct CountryVerification {
  static constexpr std::size_t kMostKept = 10;

  std::uint64_t networks = 0;   // compared
  std::uint64_t addresses = 0;  // compared
  std::uint64_t known = 0;      // of them, those of which the file knows the country
  std::uint64_t disagreements = 0;
  std::vector<CountryDisagreement> first;  // of them, kMostKept at most

  // Places that lead to a part of the tree which was compared by many other paths already. A proper
  // file leads to its IPv4 part by a few; a hostile one may have more than there is time for.
  std::uint64_t repetitions_left_out = 0;
};

// Compares every network, or a sample: every `every`th of them, beginning with the first. A sample
// leaves out aliases, so that it costs less than the compilation.
CountryVerification verify_countries(const MmdbFile& file, const CountrySchema& schema,
                                     const CountryTable& table, std::uint64_t every = 1);

}  // namespace weir
