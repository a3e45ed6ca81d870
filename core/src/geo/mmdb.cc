#include "geo/mmdb.h"

#include <utility>

#include "error.h"
#include "geo/country_compiler.h"
#include "geo/country_file.h"
#include "geo/country_table.h"
#include "geo/country_verifier.h"
#include "geo/mmdb_file.h"
#include "geo/mmdb_image.h"
#include "geo/owned_database.h"

namespace weir {
namespace {

// Of a database's networks, every so-manieth is looked up both ways before the table is used.
constexpr std::uint64_t kSampled = 64;

weir_status_t check_sample(const CountryFile& file, const CompiledCountries& compiled,
                           const char* path, weir_error_t* error) {
  const auto table = CountryTable::open(compiled.data(), compiled.size() * sizeof(compiled[0]));
  if (table && verify_countries(file.mmdb(), file.schema(), *table, kSampled).disagreements == 0)
    return WEIR_OK;
  set_error(error,
            "%s was not compiled as libmaxminddb reads it: expected \"weir-geo verify\" to agree",
            QuotedWord(path, QuotedWord::kLongest).c_str());
  return WEIR_INVALID;
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
  CountryFile file;
  weir_status_t status = file.open(path, field, error);
  if (status != WEIR_OK) return status;
  CompiledCountries compiled;
  status = compile_countries(file.mmdb(), file.schema(), path, &compiled, error);
  if (status == WEIR_OK) status = check_sample(file, compiled, path, error);
  if (status != WEIR_OK) return status;
  *database = std::make_unique<OwnedDatabase<CountryTable>>(std::move(compiled));
  return WEIR_OK;
}

}  // namespace weir
