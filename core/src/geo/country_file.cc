#include "geo/country_file.h"

#include <vector>

#include "error.h"

namespace weir {
namespace {

// How many records are looked at to find out the schema.
constexpr std::size_t kProbedRecords = 1024;

// The schema of a file whose operator named no field.
std::optional<CountrySchema> detect(const MmdbFile& file, const char* path, weir_error_t* error) {
  const std::vector<std::uint32_t> records = file.first_records(kProbedRecords);
  const auto schema = CountrySchema::detect(file.records(), records);
  if (!schema) {
    set_error(error,
              "%s has no country field: no code at \"country.iso_code\", \"country_code\" or "
              "\"country\" in the %zu records looked at",
              QuotedWord(path, QuotedWord::kLongest).c_str(), records.size());
  }
  return schema;
}

std::optional<CountrySchema> use_field(const MmdbFile& file, const char* path,
                                       const FieldPath& field, weir_error_t* error) {
  const std::vector<std::uint32_t> records = file.first_records(kProbedRecords);
  CountrySchema schema(field);
  if (schema.fits_any(file.records(), records)) return schema;
  set_error(error,
            "%s has no country field %s: no code of two letters in the %zu records looked at",
            QuotedWord(path, QuotedWord::kLongest).c_str(), QuotedWord(field.text()).c_str(),
            records.size());
  return std::nullopt;
}

}  // namespace

std::optional<CountrySchema> find_country_schema(const MmdbFile& file, const char* path,
                                                 const FieldPath* field, weir_error_t* error) {
  return field == nullptr ? detect(file, path, error) : use_field(file, path, *field, error);
}

weir_status_t CountryFile::open(const char* path, const char* field, weir_error_t* error) {
  FieldPath field_path;
  if (field != nullptr) {
    const weir_status_t status = FieldPath::parse(field, &field_path, error);
    if (status != WEIR_OK) return status;
  }
  const weir_status_t status = mmdb_.open(path, error);
  if (status != WEIR_OK) return status;
  schema_ = find_country_schema(mmdb_, path, field == nullptr ? nullptr : &field_path, error);
  return schema_ ? WEIR_OK : WEIR_INVALID;
}

}  // namespace weir
