// The whole way of an untrusted database: opened, its schema found, compiled, and asked.
//
// The first byte of an input chooses the field with the country's code, as `country=` does; the
// rest is the file. Whatever it holds, it is refused with an error that names it, or compiled into
// a table that answers what libmaxminddb and the schema answer: at the edges of networks, and
// beside them. The same goes for an image of it, which has the fields of libmaxminddb's record.
// Anything else aborts.

#include <sys/mman.h>
#include <unistd.h>

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <iterator>
#include <optional>
#include <string>
#include <vector>

#include "geo/country_compiler.h"
#include "geo/country_schema.h"
#include "geo/country_table.h"
#include "geo/field_text.h"
#include "geo/mmdb_file.h"
#include "geo/mmdb_image.h"
#include "support/random.h"
#include "wide.h"

namespace weir {
namespace {

using test::Random;

constexpr const char* kFields[] = {
    nullptr,  // found by looking at the records
    "country.iso_code",
    "country_code",
    "country",
    "where.land.code",
    "subdivisions.0.iso_code",
    "a.0.b.1.c.2.d.3.e.4.f.5.g.6.h.7",
};
constexpr std::size_t kProbedRecords = 1024;
constexpr int kWalks = 48;  // to networks at which both answers are compared

void require(bool condition, const char* what) {
  if (condition) return;
  std::fprintf(stderr, "mmdb_fuzzer: %s\n", what);
  std::abort();
}

// A file in memory, with a name.
class MemoryFile {
 public:
  MemoryFile(const std::uint8_t* bytes, std::size_t size) : fd_(memfd_create("fuzzed", 0)) {
    require(fd_ >= 0 && write(fd_, bytes, size) == static_cast<ssize_t>(size), "no memory file");
    path_ = "/proc/self/fd/" + std::to_string(fd_);
  }
  MemoryFile(const MemoryFile&) = delete;
  MemoryFile& operator=(const MemoryFile&) = delete;
  ~MemoryFile() { close(fd_); }

  const char* path() const { return path_.c_str(); }

 private:
  int fd_;
  std::string path_;
};

void require_named(const weir_error_t& error, const MemoryFile& file) {
  require(std::strstr(error.text, file.path()) != nullptr, "an error does not name the file");
}

std::optional<CountrySchema> schema_of(const MmdbFile& file, const char* field) {
  const std::vector<std::uint32_t> records = file.first_records(kProbedRecords);
  if (field == nullptr) return CountrySchema::detect(file.records(), records);
  CountrySchema schema(FieldPath::known(field));
  return schema.fits_any(file.records(), records) ? std::optional(schema) : std::nullopt;
}

class Comparison {
 public:
  // Either answer may be missing.
  Comparison(const MmdbFile& file, const CountrySchema* schema, const CountryTable* table,
             const MmdbImage* image)
      : file_(file),
        schema_(schema),
        table_(table),
        image_(image),
        bits_(file.tree().address_bits()),
        all_(bits_ == 128 ? ~Wide{0} : (Wide{1} << bits_) - 1) {}

  void at_some_networks() {
    Random random(1);
    for (int i = 0; i < kWalks; ++i) at_network(walk(random));
  }

 private:
  struct Network {
    Wide first;
    unsigned length;
  };

  // The way to some network; mostly where nodes are, so that the deep ones are met as well.
  Network walk(Random& random) const {
    const MmdbTree& tree = file_.tree();
    std::uint32_t record = 0;
    Network network{0, 0};
    while (network.length < bits_ && tree.is_node(record)) {
      const auto records = tree.records(record);
      unsigned side = static_cast<unsigned>(random.below(2));
      if (!tree.is_node(records[side]) && !random.one_in(8)) side ^= 1;
      record = records[side];
      ++network.length;
      network.first |= Wide{side} << (bits_ - network.length);
    }
    return network;
  }

  void at_network(const Network& network) const {
    const Wide last =
        network.length == bits_ ? network.first : network.first | all_ >> network.length;
    for (const Wide address : {network.first - 1, network.first, last, last + 1}) {
      at(address & all_, bits_);
      // What IPv4 clients ask of an IPv6 tree, and IPv6 clients of an IPv4 tree.
      at(address & 0xffff'ffff, bits_ == 128 ? 32 : 128);
    }
  }

  void at(Wide number, unsigned bits) const {
    std::uint8_t bytes[16];
    for (unsigned i = 0; i < bits / 8; ++i)
      bytes[i] = static_cast<std::uint8_t>(number >> (bits - 8 - 8 * i));
    const IpAddress address = IpAddress::from_bytes(bytes, bits / 8);
    const std::optional<std::uint32_t> record = file_.find_record(address);
    if (table_ != nullptr) {
      const Country expected = record ? schema_->read(file_.records(), *record) : kUnknownCountry;
      const Country found = table_->find_country(address);
      require(std::memcmp(&expected, &found, sizeof(found)) == 0,
              "the table's answer is not libmaxminddb's");
    }
    if (image_ == nullptr) return;
    for (const char* name : {"country.iso_code", "country_code", "asn"}) {
      const FieldPath path = FieldPath::known(name);
      const auto value = record ? file_.records().find(*record, path) : std::nullopt;
      char expected[32] = {}, found[32] = {};
      const std::size_t length = value ? write_text(*value, expected) : 0;
      require(image_->find_field(address, path, found) == length &&
                  std::memcmp(expected, found, sizeof(found)) == 0,
              "the image's answer is not libmaxminddb's");
    }
  }

  const MmdbFile& file_;
  const CountrySchema* schema_;
  const CountryTable* table_;
  const MmdbImage* image_;
  unsigned bits_;
  Wide all_;
};

void try_out(const MemoryFile& bytes, const char* field) {
  MmdbFile file;
  weir_error_t error{};
  if (file.open(bytes.path(), &error) != WEIR_OK) return require_named(error, bytes);

  PageVector<std::uint64_t> words;
  std::optional<MmdbImage> image;
  if (make_image(file, bytes.path(), &words, &error) == WEIR_OK) {
    image = MmdbImage::open(words.data(), words.size() * sizeof(words[0]));
    require(image.has_value(), "an image can't be opened");
  } else {
    require_named(error, bytes);
  }

  const std::optional<CountrySchema> schema = schema_of(file, field);
  CompiledCountries compiled;
  std::optional<CountryTable> table;
  if (schema && compile_countries(file, *schema, bytes.path(), &compiled, &error) == WEIR_OK) {
    table = CountryTable::open(compiled.data(), compiled.size() * sizeof(compiled[0]));
    require(table.has_value(), "a compiled table can't be opened");
  } else if (schema) {
    require_named(error, bytes);
  }
  Comparison(file, schema ? &*schema : nullptr, table ? &*table : nullptr,
             image ? &*image : nullptr)
      .at_some_networks();
}

}  // namespace
}  // namespace weir

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const weir::MemoryFile file(data + 1, size - 1);
  weir::try_out(file, weir::kFields[data[0] % std::size(weir::kFields)]);
  return 0;
}
