#include "geo/mmdb_file.h"

#include <netinet/in.h>

#include <algorithm>
#include <cstring>
#include <string_view>
#include <unordered_set>

#include "error.h"

namespace weir {
namespace {

using namespace std::string_view_literals;

constexpr auto kMetadataMarker = "\xab\xcd\xefMaxMind.com"sv;
constexpr std::size_t kLargestMetadata = 128 * 1024;  // with the marker; the format says so
constexpr std::uint64_t kSeparator = 16;              // bytes between tree and records
constexpr std::uint64_t kSmallestRecords = 3;         // bytes; libmaxminddb asks for as many

constexpr unsigned kDeepestTree = 128;
constexpr std::size_t kMostNodes = 1 << 18;  // that first_records visits

// The metadata behind the last marker; empty if there is none.
MmdbSection find_metadata(const PrivateCopy& file) {
  const std::size_t searched = std::min(file.size(), kLargestMetadata);
  const std::string_view tail(reinterpret_cast<const char*>(file.bytes()) + file.size() - searched,
                              searched);
  const std::size_t marker = tail.rfind(kMetadataMarker);
  if (marker == std::string_view::npos) return {};
  const std::string_view metadata = tail.substr(marker + kMetadataMarker.size());
  return {reinterpret_cast<const std::uint8_t*>(metadata.data()), metadata.size()};
}

// MMDB_open of libmaxminddb 1.7 trusts the metadata with its stack (values nested in values), its
// time and memory (pointers to lists of pointers; what it has read so far leaks when it fails), and
// with the size of the tree, which it computes in 32 bits and reads beyond the file by. A file that
// passes here can do no harm there.
weir_status_t check(const PrivateCopy& file, const char* quoted, weir_error_t* error) {
  const MmdbSection metadata = find_metadata(file);
  if (metadata.is_empty()) {
    set_error(error, "%s is no .mmdb file, or a truncated one: no MaxMind metadata at its end",
              quoted);
    return WEIR_INVALID;
  }
  const auto number = [&](std::string_view name) -> std::uint64_t {
    const std::optional<MmdbValue> value = metadata.find(0, FieldPath::known(name));
    return value ? value->unsigned_integer().value_or(0) : 0;
  };
  const std::uint64_t node_count = number("node_count");
  const std::uint64_t record_bits = number("record_size");
  const std::uint64_t ip_version = number("ip_version");
  const bool is_sound =
      metadata.is_whole_map(0) && metadata.is_list_of_strings(0, FieldPath::known("languages")) &&
      metadata.is_list_of_strings(0, FieldPath::known("description")) && node_count != 0 &&
      (record_bits == 24 || record_bits == 28 || record_bits == 32) &&
      (ip_version == 4 || ip_version == 6);
  if (!is_sound) {
    set_error(error, "%s is a truncated or broken .mmdb file: its metadata can't be read", quoted);
    return WEIR_INVALID;
  }
  const std::uint64_t needed = node_count * (record_bits / 4) + kSeparator + kSmallestRecords;
  if (file.size() < needed) {
    set_error(error, "%s is a truncated .mmdb file: its tree needs %llu bytes, and it has %zu",
              quoted, static_cast<unsigned long long>(needed), file.size());
    return WEIR_INVALID;
  }
  return WEIR_OK;
}

}  // namespace

MmdbFile::~MmdbFile() {
  if (is_open_) MMDB_close(&mmdb_);
}

weir_status_t MmdbFile::open(const char* path, weir_error_t* error, PrivateCopy::Place first) {
  PrivateCopy copy;
  weir_status_t status = copy.make(path, error, first);
  if (status != WEIR_OK) return status;

  const QuotedWord quoted(path, QuotedWord::kLongest);
  status = check(copy, quoted.c_str(), error);
  if (status != WEIR_OK) return status;

  const int code = MMDB_open(copy.name(), MMDB_MODE_MMAP, &mmdb_);
  if (code != MMDB_SUCCESS) {
    set_error(error, "%s is a broken .mmdb file: %s", quoted.c_str(), MMDB_strerror(code));
    return code == MMDB_OUT_OF_MEMORY_ERROR ? WEIR_NO_MEMORY : WEIR_INVALID;
  }
  is_open_ = true;
  records_ = MmdbSection(mmdb_.data_section, mmdb_.data_section_size);
  metadata_ = MmdbSection(mmdb_.metadata_section, mmdb_.metadata_section_size);
  tree_ = MmdbTree(mmdb_.file_content, mmdb_.metadata.node_count, mmdb_.metadata.record_size,
                   mmdb_.metadata.ip_version == 4 ? 32 : 128);
  return WEIR_OK;
}

DatabaseInfo MmdbFile::info() const noexcept {
  DatabaseInfo info{.build_epoch = mmdb_.metadata.build_epoch, .networks = 0, .type = {}};
  std::strncpy(info.type, mmdb_.metadata.database_type, sizeof(info.type) - 1);
  return info;
}

std::optional<std::uint32_t> MmdbFile::find_record(const IpAddress& address) const noexcept {
  sockaddr_storage storage{};
  if (address.length == 4) {
    auto& ipv4 = reinterpret_cast<sockaddr_in&>(storage);
    ipv4.sin_family = AF_INET;
    std::memcpy(&ipv4.sin_addr, address.bytes.data(), 4);
  } else if (address.length == 16) {
    auto& ipv6 = reinterpret_cast<sockaddr_in6&>(storage);
    ipv6.sin6_family = AF_INET6;
    std::memcpy(&ipv6.sin6_addr, address.bytes.data(), 16);
  } else {
    return std::nullopt;
  }
  int code = MMDB_SUCCESS;
  const MMDB_lookup_result_s found =
      MMDB_lookup_sockaddr(&mmdb_, reinterpret_cast<const sockaddr*>(&storage), &code);
  if (code != MMDB_SUCCESS || !found.found_entry) return std::nullopt;
  return found.entry.offset;
}

std::vector<std::uint32_t> MmdbFile::first_records(std::size_t most) const {
  struct Branch {
    std::uint32_t node;
    unsigned depth;
  };
  std::vector<Branch> branches = {{0, 0}};  // the next to visit is the last
  std::vector<std::uint32_t> records;
  std::unordered_set<std::uint32_t> seen;

  for (std::size_t i = 0; i < kMostNodes && !branches.empty() && records.size() < most; ++i) {
    const Branch branch = branches.back();
    branches.pop_back();
    MMDB_search_node_s node;
    if (MMDB_read_node(&mmdb_, branch.node, &node) != MMDB_SUCCESS) continue;

    const auto visit = [&](std::uint8_t type, std::uint64_t record, const MMDB_entry_s& entry) {
      if (type == MMDB_RECORD_TYPE_DATA) {
        if (seen.insert(entry.offset).second) records.push_back(entry.offset);
      } else if (type == MMDB_RECORD_TYPE_SEARCH_NODE && branch.depth + 1 < kDeepestTree) {
        branches.push_back({static_cast<std::uint32_t>(record), branch.depth + 1});
      }
    };
    visit(node.right_record_type, node.right_record, node.right_record_entry);
    visit(node.left_record_type, node.left_record, node.left_record_entry);
  }
  return records;
}

}  // namespace weir
