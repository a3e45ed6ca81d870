#include "geo/mmdb_image.h"

#include <cstring>

#include "error.h"
#include "geo/field_text.h"
#include "relaxed.h"

namespace weir {
namespace {

constexpr std::string_view kMetadata = "metadata";

// How many records of the tree have data; nothing if one points elsewhere.
std::optional<std::uint64_t> count_networks(const MmdbFile& file) {
  const MmdbTree& tree = file.tree();
  std::uint64_t networks = 0;
  for (std::uint32_t node = 0; node < tree.node_count(); ++node) {
    for (const std::uint32_t record : tree.records(node)) {
      if (tree.is_node(record) || tree.is_nothing(record)) continue;
      // libmaxminddb counts the separator in, and finds nothing in the last 16 bytes.
      if (!tree.is_value(record) ||
          std::uint64_t{tree.value_of(record)} + MmdbTree::kSeparator >= file.records().size())
        return std::nullopt;
      ++networks;
    }
  }
  return networks;
}

}  // namespace

weir_status_t make_image(const MmdbFile& file, const char* path, PageVector<std::uint64_t>* image,
                         weir_error_t* error) {
  const std::optional<std::uint64_t> networks = count_networks(file);
  if (!networks) {
    set_error(error, "%s is a broken .mmdb file: a record of its tree points beyond its data",
              QuotedWord(path, QuotedWord::kLongest).c_str());
    return WEIR_INVALID;
  }
  const auto bytes = file.bytes();
  image->assign((sizeof(MmdbImageHeader) + bytes.size() + 7) / sizeof(std::uint64_t), 0);

  const auto place_of = [&](const MmdbSection& section) {
    return sizeof(MmdbImageHeader) + static_cast<std::uint64_t>(section.bytes() - bytes.data());
  };
  MmdbImageHeader header{.common = {.magic = MmdbImageHeader::kMagic,
                                    .size = image->size() * sizeof(std::uint64_t),
                                    .info = file.info()},
                         .node_count = file.tree().node_count(),
                         .record_bits = static_cast<std::uint16_t>(file.tree().record_bits()),
                         .address_bits = static_cast<std::uint16_t>(file.tree().address_bits()),
                         .ipv4_root = file.tree().ipv4_root(),
                         .unused = 0,
                         .records = place_of(file.records()),
                         .records_size = file.records().size(),
                         .metadata = place_of(file.metadata_section()),
                         .metadata_size = file.metadata_section().size()};
  header.common.info.networks = *networks;
  std::memcpy(image->data(), &header, sizeof(header));
  std::memcpy(reinterpret_cast<std::uint8_t*>(image->data()) + sizeof(header), bytes.data(),
              bytes.size());
  return WEIR_OK;
}

std::optional<MmdbImage> MmdbImage::open(const void* memory, std::size_t size) noexcept {
  if (size < sizeof(MmdbImageHeader)) return std::nullopt;
  const auto header = copy_relaxed<MmdbImageHeader>(memory);
  const auto fits = [&](std::uint64_t place, std::uint64_t length) {
    return place <= header.common.size && length <= header.common.size - place;
  };
  const bool is_sound =
      header.common.magic == MmdbImageHeader::kMagic && header.common.size <= size &&
      (header.record_bits == 24 || header.record_bits == 28 || header.record_bits == 32) &&
      (header.address_bits == 32 || header.address_bits == 128) &&
      fits(sizeof(header), std::uint64_t{header.node_count} * (header.record_bits / 4u)) &&
      fits(header.records, header.records_size) && fits(header.metadata, header.metadata_size);
  if (!is_sound) return std::nullopt;

  const auto* bytes = static_cast<const std::uint8_t*>(memory);
  MmdbImage image;
  image.tree_ =
      MmdbTree(bytes + sizeof(header), header.node_count, header.record_bits, header.address_bits);
  image.ipv4_root_ = header.ipv4_root;
  image.records_ = MmdbSection(bytes + header.records, header.records_size);
  image.metadata_ = MmdbSection(bytes + header.metadata, header.metadata_size);
  image.info_ = header.common.info;
  return image;
}

// The place of an address's record; nothing if it has none, or is of another family than the tree.
std::optional<std::uint32_t> MmdbImage::find_record(const IpAddress& address) const noexcept {
  const unsigned bits = address.length * 8u;
  if (bits == 0 || bits > tree_.address_bits()) return std::nullopt;
  std::uint32_t record = bits == tree_.address_bits() ? 0 : ipv4_root_;
  for (unsigned bit = 0; bit < bits && tree_.is_node(record); ++bit)
    record = tree_.records(record)[address.bytes[bit / 8] >> (7 - bit % 8) & 1];
  if (!tree_.is_value(record)) return std::nullopt;
  return tree_.value_of(record);
}

std::size_t MmdbImage::find_field(const IpAddress& address, const FieldPath& path,
                                  std::span<char> text) const noexcept {
  std::optional<MmdbValue> value;
  if (path.parts().front() == kMetadata) {
    value = metadata_.find(0, std::span(path.parts()).subspan(1));
  } else if (const auto record = find_record(address)) {
    value = records_.find(*record, path);
  }
  return value ? write_text(*value, text) : 0;
}

}  // namespace weir
