#include "compiled_file.h"

#include <iostream>

#include "geo/country_file.h"
#include "geo/mmdb_image.h"

namespace weir::tool {

bool CompiledFile::open(const Options& options, bool may_lack_countries) {
  weir_error_t error{};
  if (read(options, may_lack_countries, &error) == WEIR_OK) return true;
  std::cerr << "weir-geo: " << error.text << '\n';
  return false;
}

weir_status_t CompiledFile::read(const Options& options, bool may_lack_countries,
                                 weir_error_t* error) {
  const char* const path = options.path.c_str();
  weir_status_t status = mmdb_.open(path, error);
  if (status != WEIR_OK) return status;

  std::optional<FieldPath> field;
  if (!options.field.empty()) {
    status = FieldPath::parse(options.field, &field.emplace(), error);
    if (status != WEIR_OK) return status;
  }
  schema_ = find_country_schema(mmdb_, path, field ? &*field : nullptr, error);
  if (schema_) return compile(path, error);
  if (field || !may_lack_countries) return WEIR_INVALID;

  // An image is made for its checks alone: what weir_geo_variable refuses is broken.
  PageVector<std::uint64_t> image;
  return make_image(mmdb_, path, &image, error);
}

weir_status_t CompiledFile::compile(const char* path, weir_error_t* error) {
  const auto start = std::chrono::steady_clock::now();
  const weir_status_t status = compile_countries(mmdb_, *schema_, path, &compiled_, error);
  compile_time_ = std::chrono::steady_clock::now() - start;
  if (status == WEIR_OK)
    table_ = CountryTable::open(compiled_.data(), compiled_.size() * sizeof(compiled_[0]));
  return status;
}

}  // namespace weir::tool
