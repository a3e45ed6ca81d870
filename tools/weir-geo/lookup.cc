#include "lookup.h"

#include <arpa/inet.h>

#include <cstdint>
#include <iostream>
#include <memory>
#include <optional>
#include <string_view>

#include "country_text.h"
#include "error.h"
#include "geo/ip_address.h"
#include "json.h"
#include "weir/weir.h"

namespace weir::tool {
namespace {

using Database = std::unique_ptr<weir_geo_t, decltype(&weir_geo_close)>;

std::string_view trimmed(std::string_view text) {
  constexpr std::string_view kBlank = " \t\r\v\f";
  const std::size_t first = text.find_first_not_of(kBlank);
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(kBlank) - first + 1);
}

std::optional<IpAddress> parse(const std::string& text) {
  if (text.find('\0') != std::string::npos) return std::nullopt;  // inet_pton would stop there
  std::uint8_t bytes[16];
  if (inet_pton(AF_INET, text.c_str(), bytes) == 1) return IpAddress::from_bytes(bytes, 4);
  if (inet_pton(AF_INET6, text.c_str(), bytes) == 1) return IpAddress::from_bytes(bytes, 16);
  return std::nullopt;
}

class Answers {
 public:
  Answers(const weir_geo_t* database, const Fields& fields, bool json)
      : database_(database), fields_(fields), json_(json) {}

  bool all_were_addresses() const { return all_were_addresses_; }

  // `place` says where in the input the text stands.
  void answer(const std::string& text, const std::string& place) {
    const std::optional<IpAddress> address = parse(text);
    if (!address) {
      all_were_addresses_ = false;
      std::cerr
          << "weir-geo: " << place << QuotedWord(text).c_str()
          << " is no address: expected one of IPv4 or IPv6, such as 192.0.2.1 or 2001:db8::1\n";
      return;
    }
    if (json_) {
      JsonObject object;
      object.add_string("address", text);
      if (fields_.is_empty()) {
        add_country(country_of(*address), &object);
      } else {
        object.add("fields", fields_.object(database_, *address).text());
      }
      std::cout << object.text() << '\n';
    } else {
      std::cout << text << '\t'
                << (fields_.is_empty() ? country_columns(country_of(*address), '\t')
                                       : fields_.columns(database_, *address, '\t'))
                << '\n';
    }
  }

  // cin is tied to cout: before it waits for a line, those before it have their answers.
  void answer_lines() {
    std::string line;
    for (std::uint64_t number = 1; std::getline(std::cin, line); ++number) {
      const std::string text(trimmed(line));
      if (!text.empty()) answer(text, "line " + std::to_string(number) + ": ");
    }
  }

 private:
  Country country_of(const IpAddress& address) const {
    Country country;
    weir_geo_country(database_, nullptr, address.bytes.data(), address.length, &country);
    return country;
  }

  const weir_geo_t* database_;
  const Fields& fields_;
  bool json_;
  bool all_were_addresses_ = true;
};

}  // namespace

ExitCode lookup(const Options& options, const Fields& fields,
                const std::vector<std::string>& addresses) {
  weir_geo_t* opened = nullptr;
  weir_error_t error{};
  const char* const path = options.path.c_str();
  const weir_status_t status = fields.is_empty()
                                   ? weir_geo_open(path, options.field_or_null(), &opened, &error)
                                   : weir_geo_open_fields(path, &opened, &error);
  if (status != WEIR_OK) {
    std::cerr << "weir-geo: " << error.text << '\n';
    return kNoDatabase;
  }
  const Database database(opened, weir_geo_close);
  Answers answers(database.get(), fields, options.json);
  for (const std::string& address : addresses) {
    if (address == "-") {
      answers.answer_lines();
    } else {
      answers.answer(address, "");
    }
  }
  if (addresses.empty()) answers.answer_lines();
  return answers.all_were_addresses() ? kSuccess : kFoundWrong;
}

}  // namespace weir::tool
