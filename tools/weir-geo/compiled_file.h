// A database as it was written, and the table that it compiles to, if it has countries.

#pragma once

#include <chrono>
#include <optional>

#include "command.h"
#include "geo/country_compiler.h"
#include "geo/country_schema.h"
#include "geo/country_table.h"
#include "geo/mmdb_file.h"

namespace weir::tool {

class CompiledFile {
 public:
  // One of these is to be called, once. False, after an error line, if the file can't be read or is
  // broken; or lacks countries, unless it may and the options name no field that should have them.
  bool open_countries(const Options& options) { return open(options, false); }
  bool open_any(const Options& options) { return open(options, true); }

  const MmdbFile& mmdb() const { return mmdb_; }

  // Of a file without countries there are neither of these.
  const std::optional<CountrySchema>& schema() const { return schema_; }
  const std::optional<CountryTable>& table() const { return table_; }
  std::chrono::duration<double, std::milli> compile_time() const { return compile_time_; }

 private:
  bool open(const Options& options, bool may_lack_countries);
  weir_status_t read(const Options& options, bool may_lack_countries, weir_error_t* error);
  weir_status_t compile(const char* path, weir_error_t* error);

  MmdbFile mmdb_;
  std::optional<CountrySchema> schema_;
  CompiledCountries compiled_;
  std::optional<CountryTable> table_;
  std::chrono::duration<double, std::milli> compile_time_{};
};

}  // namespace weir::tool
