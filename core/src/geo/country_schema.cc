#include "geo/country_schema.h"

#include <algorithm>

namespace weir {
namespace {

// The text at this place of the record; empty if there is none.
std::string_view read_text(const MmdbSection& section, std::size_t record, const FieldPath& path,
                           std::uint64_t* looked_at = nullptr) noexcept {
  const std::optional<MmdbValue> value = section.find(record, path, looked_at);
  return value ? value->string().value_or("") : "";
}

}  // namespace

std::vector<CountrySchema> CountrySchema::of_vendors() {
  CountrySchema nested;
  nested.sources_ = {
      {FieldPath::known("country.iso_code"), FieldPath::known("country.is_in_european_union")},
      {FieldPath::known("registered_country.iso_code"),
       FieldPath::known("registered_country.is_in_european_union")}};
  nested.continent_ = FieldPath::known("continent.code");

  CountrySchema flat;
  flat.sources_ = {{FieldPath::known("country_code"), std::nullopt}};
  flat.continent_ = FieldPath::known("continent_code");

  CountrySchema bare;
  bare.sources_ = {{FieldPath::known("country"), std::nullopt}};

  return {nested, flat, bare};
}

CountrySchema::CountrySchema(const FieldPath& code) {
  sources_ = {{code, std::nullopt}};
  for (CountrySchema& vendor : of_vendors()) {
    if (vendor.sources_.front().code.parts() != code.parts()) continue;
    sources_ = {vendor.sources_.front()};
    continent_ = vendor.continent_;
  }
}

std::size_t CountrySchema::count_fitting(const MmdbSection& section,
                                         std::span<const std::uint32_t> records) const {
  const auto fits = [&](std::uint32_t record) {
    return std::any_of(sources_.begin(), sources_.end(), [&](const Source& source) {
      return has_code_form(read_text(section, record, source.code));
    });
  };
  return static_cast<std::size_t>(std::count_if(records.begin(), records.end(), fits));
}

bool CountrySchema::fits_any(const MmdbSection& section,
                             std::span<const std::uint32_t> records) const {
  return count_fitting(section, records) != 0;
}

std::optional<CountrySchema> CountrySchema::detect(const MmdbSection& section,
                                                   std::span<const std::uint32_t> records) {
  std::optional<CountrySchema> best;
  std::size_t best_count = 0;
  for (const CountrySchema& vendor : of_vendors()) {
    const std::size_t count = vendor.count_fitting(section, records);
    if (count > best_count) {
      best = vendor;
      best_count = count;
    }
  }
  return best;
}

std::vector<FieldPath> CountrySchema::country_fields() const {
  std::vector<FieldPath> fields;
  for (const Source& source : sources_) fields.push_back(source.code);
  return fields;
}

std::vector<FieldPath> CountrySchema::continent_fields() const {
  return continent_ ? std::vector{*continent_} : std::vector<FieldPath>();
}

std::vector<FieldPath> CountrySchema::membership_fields() const {
  std::vector<FieldPath> fields;
  for (const Source& source : sources_) {
    if (source.in_eu) fields.push_back(*source.in_eu);
  }
  return fields;
}

Country CountrySchema::read(const MmdbSection& section, std::size_t record,
                            std::uint64_t* looked_at) const noexcept {
  for (const Source& source : sources_) {
    const std::string_view code = read_text(section, record, source.code, looked_at);
    if (code.empty()) continue;
    const Country* known = find_country(code);
    if (known == nullptr) return kUnknownCountry;
    Country country = *known;
    if (source.in_eu) {
      const std::optional<MmdbValue> flag = section.find(record, *source.in_eu, looked_at);
      country.in_eu = flag && flag->boolean().value_or(false) ? 1 : 0;
    }
    if (continent_) {
      const std::string_view continent = read_text(section, record, *continent_, looked_at);
      if (is_continent(continent)) continent.copy(country.continent, 2);
    }
    return country;
  }
  return kUnknownCountry;
}

}  // namespace weir
