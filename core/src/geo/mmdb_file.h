// An .mmdb file, opened on a private copy: the search tree, and the records at its leaves.
//
// libmaxminddb opens the file and walks its tree. A file is untrusted: what libmaxminddb (1.7 in
// Debian 12) does not check itself is checked before it sees the file, see mmdb_file.cc; and the
// records are read by MmdbSection, with bounds.
//
// Immutable once open, and may be read by many threads at the same time.

#pragma once

#include <maxminddb.h>

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "geo/database.h"
#include "geo/ip_address.h"
#include "geo/mmdb_section.h"
#include "geo/mmdb_tree.h"
#include "geo/private_copy.h"

namespace weir {

class MmdbFile {
 public:
  MmdbFile() = default;
  MmdbFile(const MmdbFile&) = delete;
  MmdbFile& operator=(const MmdbFile&) = delete;
  ~MmdbFile();

  // To be called once. WEIR_IO if the file can't be read, WEIR_INVALID if it is no .mmdb file.
  weir_status_t open(const char* path, weir_error_t* error,
                     PrivateCopy::Place first = PrivateCopy::Place::kMemory);

  // Where the record of an address is in records(). Nothing if there is none, or if the address is
  // of another family than the tree. May be beyond the end, in a broken file.
  std::optional<std::uint32_t> find_record(const IpAddress& address) const noexcept;

  // About `most` of the records, each once, from the low end of the addresses; it takes a bounded
  // number of steps, whatever the tree looks like.
  std::vector<std::uint32_t> first_records(std::size_t most) const;

  const MmdbSection& records() const noexcept { return records_; }
  const MmdbTree& tree() const noexcept { return tree_; }
  const MMDB_metadata_s& metadata() const noexcept { return mmdb_.metadata; }
  const MmdbSection& metadata_section() const noexcept { return metadata_; }
  // All of the file.
  std::span<const std::uint8_t> bytes() const noexcept {
    return {mmdb_.file_content, static_cast<std::size_t>(mmdb_.file_size)};
  }
  // Without the number of networks.
  DatabaseInfo info() const noexcept;

 private:
  MMDB_s mmdb_{};
  bool is_open_ = false;
  MmdbSection records_;
  MmdbSection metadata_;
  MmdbTree tree_;
};

}  // namespace weir
