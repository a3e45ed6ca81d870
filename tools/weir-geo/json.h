// JSON (RFC 8259), as weir-geo prints it: an object a line, its members in the order in which they
// are added.

#pragma once

#include <concepts>
#include <string>
#include <string_view>
#include <vector>

namespace weir::tool {

// In quotes. Bytes that are no UTF-8 become U+FFFD, one each, since JSON has no place for them.
std::string json_string(std::string_view text);

// Of elements that are JSON already.
std::string json_array(const std::vector<std::string>& elements);

class JsonObject {
 public:
  // `value` is JSON already.
  JsonObject& add(std::string_view name, std::string_view value);

  JsonObject& add_string(std::string_view name, std::string_view value) {
    return add(name, json_string(value));
  }
  JsonObject& add_number(std::string_view name, std::integral auto value) {
    return add(name, std::to_string(value));
  }
  JsonObject& add_boolean(std::string_view name, bool value) {
    return add(name, value ? "true" : "false");
  }

  std::string text() const { return '{' + members_ + '}'; }

 private:
  std::string members_;
};

}  // namespace weir::tool
