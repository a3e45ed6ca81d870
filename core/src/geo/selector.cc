#include "geo/selector.h"

#include <optional>

#include "error.h"
#include "geo/country.h"

namespace weir {
namespace {

using Kind = Selector::Kind;

constexpr std::string_view kContinentPrefix = "continent:";

Selector make(Kind kind) { return {kind, 0}; }

Selector make(Kind kind, std::string_view code) {
  return {kind, static_cast<std::uint16_t>(code_place(code[0], code[1]))};
}

std::optional<Selector> read(std::string_view word, SelectorUse use) {
  if (word == "EU") return make(Kind::kUnion);
  if (word == kUnknownCountry.code) return make(Kind::kCountry, word);
  if (const Country* country = find_country(word)) return make(Kind::kCountry, country->code);
  if (word.starts_with(kContinentPrefix)) {
    const std::string_view code = word.substr(kContinentPrefix.size());
    if (is_continent(code)) return make(Kind::kContinent, code);
  }
  if (use == SelectorUse::kMap) {
    if (word == "default") return make(Kind::kDefault);
  } else {
    if (word == "private") return make(Kind::kPrivate);
    if (word == "all") return make(Kind::kAll);
  }
  return std::nullopt;
}

}  // namespace

weir_status_t parse_selector(std::string_view word, SelectorUse use, Selector* selector,
                             weir_error_t* error) {
  if (const std::optional<Selector> found = read(word, use)) {
    *selector = *found;
    return WEIR_OK;
  }
  const QuotedWord quoted(word);
  if (word.starts_with(kContinentPrefix)) {
    set_error(error, "%s is no continent: expected \"continent:\" and one of AF AN AS EU NA OC SA",
              quoted.c_str());
  } else {
    set_error(error,
              "%s is no country: expected a code of ISO 3166-1 in upper case, such as \"KR\", or "
              "\"EU\", \"continent:AF\", \"XX\"%s",
              quoted.c_str(),
              use == SelectorUse::kMap ? " or \"default\"" : ", \"private\" or \"all\"");
  }
  return WEIR_INVALID;
}

}  // namespace weir
