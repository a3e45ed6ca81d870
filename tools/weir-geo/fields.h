// Fields of any kind, as weir-geo lookup prints them: found through the public interface, so that
// their texts are what nginx's weir_geo_variable has.

#pragma once

#include <memory>
#include <string>
#include <vector>

#include "geo/ip_address.h"
#include "json.h"
#include "weir/weir.h"

namespace weir::tool {

class Fields {
 public:
  // WEIR_INVALID if it is no path to a field, or was added before: JSON has each name once.
  weir_status_t add(const std::string& path, weir_error_t* error);

  bool is_empty() const { return fields_.empty(); }

  // A text each, whole, in the order in which they were added, with the separator between; "-"
  // where there is none.
  std::string columns(const weir_geo_t* database, const IpAddress& address, char separator) const;

  // An object of their texts, by path; null where there is none.
  JsonObject object(const weir_geo_t* database, const IpAddress& address) const;

 private:
  struct Field {
    std::string name;
    std::unique_ptr<weir_geo_path_t, decltype(&weir_geo_path_free)> path;
  };
  std::vector<Field> fields_;
};

}  // namespace weir::tool
