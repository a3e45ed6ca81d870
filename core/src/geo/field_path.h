// Where a field is in a record: "country.iso_code" is the iso_code of the country. A part of
// digits also counts the elements of an array, from 0: "subdivisions.0.iso_code".

#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "weir/weir.h"

namespace weir {

class FieldPath {
 public:
  static constexpr std::size_t kMostParts = 16;
  static constexpr std::size_t kLongest = 255;

  // Names with dots between; WEIR_INVALID if there is none, or one of them is empty.
  static weir_status_t parse(std::string_view text, FieldPath* path, weir_error_t* error);

  // Of a text in our own source, which is proper.
  static FieldPath known(std::string_view text);

  // As it is parsed.
  std::string text() const;

  const std::vector<std::string>& parts() const noexcept { return parts_; }

 private:
  std::vector<std::string> parts_;
};

}  // namespace weir
