#include "compiled_file.h"

#include <iostream>

namespace weir::tool {

bool CompiledFile::open(const Options& options) {
  weir_error_t error{};
  weir_status_t status = file_.open(options.path.c_str(), options.field_or_null(), &error);
  if (status == WEIR_OK) {
    const auto start = std::chrono::steady_clock::now();
    status =
        compile_countries(file_.mmdb(), file_.schema(), options.path.c_str(), &compiled_, &error);
    compile_time_ = std::chrono::steady_clock::now() - start;
  }
  if (status != WEIR_OK) {
    std::cerr << "weir-geo: " << error.text << '\n';
    return false;
  }
  table_ = CountryTable::open(compiled_.data(), compiled_.size() * sizeof(compiled_[0]));
  return table_.has_value();
}

}  // namespace weir::tool
