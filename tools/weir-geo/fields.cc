#include "fields.h"

#include <algorithm>
#include <cstddef>

#include "error.h"

namespace weir::tool {
namespace {

// Empty if there is none.
std::string text_of(const weir_geo_t* database, const weir_geo_path_t* path,
                    const IpAddress& address) {
  const auto write = [&](std::string* text) {
    return weir_geo_field(database, path, address.bytes.data(), address.length, text->data(),
                          text->size());
  };
  std::string text(256, '\0');  // most are shorter
  const std::size_t length = write(&text);
  const bool is_whole = length <= text.size();
  text.resize(length);
  if (!is_whole) write(&text);
  return text;
}

}  // namespace

weir_status_t Fields::add(const std::string& path, weir_error_t* error) {
  const auto is_same = [&](const Field& field) { return field.name == path; };
  if (std::any_of(fields_.begin(), fields_.end(), is_same)) {
    set_error(error, "%s is given twice: expected each field once", QuotedWord(path).c_str());
    return WEIR_INVALID;
  }
  weir_geo_path_t* parsed = nullptr;
  const weir_status_t status = weir_geo_path_parse(path.data(), path.size(), &parsed, error);
  if (status == WEIR_OK) fields_.push_back({path, {parsed, weir_geo_path_free}});
  return status;
}

std::string Fields::columns(const weir_geo_t* database, const IpAddress& address,
                            char separator) const {
  std::string columns;
  for (const Field& field : fields_) {
    if (!columns.empty()) columns += separator;
    const std::string text = text_of(database, field.path.get(), address);
    columns += text.empty() ? "-" : text;
  }
  return columns;
}

JsonObject Fields::object(const weir_geo_t* database, const IpAddress& address) const {
  JsonObject object;
  for (const Field& field : fields_) {
    const std::string text = text_of(database, field.path.get(), address);
    object.add(field.name, text.empty() ? "null" : json_string(text));
  }
  return object;
}

}  // namespace weir::tool
