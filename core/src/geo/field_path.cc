#include "geo/field_path.h"

#include <algorithm>
#include <utility>

#include "error.h"

namespace weir {

weir_status_t FieldPath::parse(std::string_view text, FieldPath* path, weir_error_t* error) {
  std::vector<std::string> parts;
  bool is_proper = text.size() <= kLongest;
  for (std::size_t start = 0; is_proper && start <= text.size();) {
    const std::size_t end = std::min(text.find('.', start), text.size());
    is_proper = end > start && parts.size() < kMostParts;
    parts.emplace_back(text.substr(start, end - start));
    start = end + 1;
  }
  if (!is_proper) {
    set_error(error,
              "%s is no path to a field: expected up to %zu names with dots between, such as "
              "\"country.iso_code\"",
              QuotedWord(text).c_str(), kMostParts);
    return WEIR_INVALID;
  }
  path->parts_ = std::move(parts);
  return WEIR_OK;
}

FieldPath FieldPath::known(std::string_view text) {
  FieldPath path;
  parse(text, &path, nullptr);
  return path;
}

std::string FieldPath::text() const {
  std::string text;
  for (const std::string& part : parts_) text += (text.empty() ? "" : ".") + part;
  return text;
}

}  // namespace weir
