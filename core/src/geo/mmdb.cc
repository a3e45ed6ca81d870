#include "geo/mmdb.h"

#include <utility>
#include <vector>

#include "error.h"
#include "geo/country_compiler.h"
#include "geo/country_schema.h"
#include "geo/country_table.h"
#include "geo/mmdb_file.h"
#include "geo/mmdb_image.h"
#include "geo/owned_database.h"

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
                                       const FieldPath& field, const char* text,
                                       weir_error_t* error) {
  const std::vector<std::uint32_t> records = file.first_records(kProbedRecords);
  CountrySchema schema(field);
  if (schema.fits_any(file.records(), records)) return schema;
  set_error(
      error, "%s has no country field %s: no code of two letters in the %zu records looked at",
      QuotedWord(path, QuotedWord::kLongest).c_str(), QuotedWord(text).c_str(), records.size());
  return std::nullopt;
}

}  // namespace

weir_status_t open_field_mmdb(const char* path, std::unique_ptr<Database>* database,
                              weir_error_t* error) {
  MmdbFile file;
  PageVector<std::uint64_t> image;
  weir_status_t status = file.open(path, error);
  if (status == WEIR_OK) status = make_image(file, path, &image, error);
  if (status == WEIR_OK) *database = std::make_unique<OwnedDatabase<MmdbImage>>(std::move(image));
  return status;
}

weir_status_t open_country_mmdb(const char* path, const char* field,
                                std::unique_ptr<Database>* database, weir_error_t* error) {
  FieldPath field_path;
  if (field != nullptr) {
    const weir_status_t status = FieldPath::parse(field, &field_path, error);
    if (status != WEIR_OK) return status;
  }
  MmdbFile file;
  weir_status_t status = file.open(path, error);
  if (status != WEIR_OK) return status;

  const std::optional<CountrySchema> schema = field == nullptr
                                                  ? detect(file, path, error)
                                                  : use_field(file, path, field_path, field, error);
  if (!schema) return WEIR_INVALID;
  CompiledCountries compiled;
  status = compile_countries(file, *schema, path, &compiled, error);
  if (status != WEIR_OK) return status;
  *database = std::make_unique<OwnedDatabase<CountryTable>>(std::move(compiled));
  return WEIR_OK;
}

}  // namespace weir
