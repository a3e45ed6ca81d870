// What the commands of weir-geo share: the options, and the exit codes.

#pragma once

#include <string>

namespace weir::tool {

// docs/weir-geo.md tells users of them.
enum ExitCode : int {
  kSuccess = 0,
  kFoundWrong = 1,  // a disagreement; an address that is none
  kWrongUse = 2,
  // The file can't be read, is broken, or lacks the countries that were asked for; or the output
  // can't be written.
  kNoDatabase = 3
};

struct Options {
  std::string path;   // of the database
  std::string field;  // that has the country; empty: to be found out
  bool json = false;

  // As weir_geo_open takes it.
  const char* field_or_null() const { return field.empty() ? nullptr : field.c_str(); }
};

}  // namespace weir::tool
