// Where a vendor's database keeps the country.
//
//   MaxMind, DB-IP       country.iso_code, else registered_country.iso_code; continent.code;
//                        is_in_european_union beside the code (absent: not a member)
//   ip-location-db       country_code
//   IPinfo Lite          country_code, continent_code (its country is a name)
//   IPinfo country_asn   country
//
// Which of them it is shows in the records: the one under whose path most of them have two
// upper-case letters. An operator may name another field; then that one alone is read. What a
// database does not say of continent and membership comes from the built-in table.

#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "geo/country.h"
#include "geo/field_path.h"
#include "geo/mmdb_section.h"

namespace weir {

class CountrySchema {
 public:
  // The vendor's schema that fits most of the records; none if no record has a country's code.
  static std::optional<CountrySchema> detect(const MmdbSection& section,
                                             std::span<const std::uint32_t> records);

  // The field that an operator named. With the path of a vendor's first field come its companions,
  // but not the field that the vendor would fall back to.
  explicit CountrySchema(const FieldPath& code);

  // Has any of the records two upper-case letters there?
  bool fits_any(const MmdbSection& section, std::span<const std::uint32_t> records) const;

  // The fields that are read, in the order of their rank. Of the continent there may be none, and
  // a record may lack it: then the built-in table says. It says of membership where that has none.
  std::vector<FieldPath> country_fields() const;
  std::vector<FieldPath> continent_fields() const;
  std::vector<FieldPath> membership_fields() const;

  // Unknown, if the record is broken, has no code, or has one that is no country's. `looked_at` is
  // that of MmdbSection::find.
  Country read(const MmdbSection& section, std::size_t record,
               std::uint64_t* looked_at = nullptr) const noexcept;

 private:
  // A field with a code, and the one that says whether this country is a member.
  struct Source {
    FieldPath code;
    std::optional<FieldPath> in_eu;
  };

  CountrySchema() = default;
  static std::vector<CountrySchema> of_vendors();
  std::size_t count_fitting(const MmdbSection& section,
                            std::span<const std::uint32_t> records) const;

  std::vector<Source> sources_;  // the first that a record has counts
  std::optional<FieldPath> continent_;
};

}  // namespace weir
