// An .mmdb file as it is, behind a header that says where its parts are: what fields of any kind
// are looked up in.
//
// An image is one piece of memory without pointers, as a country table is (geo/country_table.h):
// it may be copied, and read at any address aligned to 8 bytes, also while somebody overwrites it.
// Then a look-up is safe, if senseless: every byte is read once, and bounded by what the image
// learnt from the header when it was opened, and a look-up takes a bounded number of steps.
//
// The fields of an address are those of its record. A path that begins with "metadata" is one of
// the file's metadata instead ("metadata.build_epoch"), and the same for every address.

#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

#include "geo/database.h"
#include "geo/field_path.h"
#include "geo/ip_address.h"
#include "geo/mmdb_file.h"
#include "geo/mmdb_section.h"
#include "geo/mmdb_tree.h"
#include "pages.h"

namespace weir {

// Places are in bytes, from the header on.
struct MmdbImageHeader {
  static constexpr std::uint64_t kMagic = 0x3167'616d'6974'7777;

  DatabaseHeader common;
  std::uint32_t node_count;
  std::uint16_t record_bits;
  std::uint16_t address_bits;
  std::uint32_t ipv4_root;  // the record behind which IPv4 addresses are
  std::uint32_t unused;
  std::uint64_t records, records_size;
  std::uint64_t metadata, metadata_size;
};
static_assert(sizeof(MmdbImageHeader) % 8 == 0);

// WEIR_INVALID if the tree of the file points beyond its data; the error quotes `path`.
weir_status_t make_image(const MmdbFile& file, const char* path, PageVector<std::uint64_t>* image,
                         weir_error_t* error);

class MmdbImage {
 public:
  // Nothing if the memory holds no image of this version that fits into it.
  static std::optional<MmdbImage> open(const void* memory, std::size_t size) noexcept;

  // Writes what fits of the field's text, and returns how long it is; 0 if there is none.
  std::size_t find_field(const IpAddress& address, const FieldPath& path,
                         std::span<char> text) const noexcept;

  // An image knows no countries.
  Country find_country(const IpAddress&) const noexcept { return kUnknownCountry; }

  const DatabaseInfo& info() const noexcept { return info_; }

 private:
  MmdbImage() = default;
  std::optional<std::uint32_t> find_record(const IpAddress& address) const noexcept;

  MmdbTree tree_;
  std::uint32_t ipv4_root_ = 0;
  MmdbSection records_;
  MmdbSection metadata_;
  DatabaseInfo info_{};
};

}  // namespace weir
