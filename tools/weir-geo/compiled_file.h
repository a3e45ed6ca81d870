// A country database as it was written, and the table that it compiles to.

#pragma once

#include <chrono>
#include <cstddef>
#include <optional>

#include "command.h"
#include "geo/country_compiler.h"
#include "geo/country_file.h"
#include "geo/country_table.h"

namespace weir::tool {

class CompiledFile {
 public:
  // To be called once. False, after an error line, if it is no country database.
  bool open(const Options& options);

  const CountryFile& file() const { return file_; }
  const CountryTable& table() const { return *table_; }
  std::chrono::duration<double, std::milli> compile_time() const { return compile_time_; }

 private:
  CountryFile file_;
  CompiledCountries compiled_;
  std::optional<CountryTable> table_;
  std::chrono::duration<double, std::milli> compile_time_{};
};

}  // namespace weir::tool
