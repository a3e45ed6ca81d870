#include "info.h"

#include <algorithm>
#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <ctime>
#include <iostream>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "compiled_file.h"
#include "geo/mmdb_networks.h"
#include "json.h"

namespace weir::tool {
namespace {

// The English description, or else the first; empty if there is none.
std::string_view description(const MMDB_metadata_s& metadata) {
  std::string_view first;
  for (std::size_t i = 0; i < metadata.description.count; ++i) {
    const MMDB_description_s& one = *metadata.description.descriptions[i];
    if (std::strcmp(one.language, "en") == 0) return one.description;
    if (i == 0) first = one.description;
  }
  return first;
}

// A build epoch as a date and an age. A file can name any number; those of other years than 1970
// to 9999 are no dates.
struct BuildTime {
  std::string utc;           // 2026-01-31T12:00:00Z
  std::int64_t age_in_days;  // whole ones; negative if it lies ahead
};

std::optional<BuildTime> build_time(std::uint64_t epoch) {
  constexpr std::uint64_t kEndOf9999 = 253'402'300'799;
  if (epoch > kEndOf9999) return std::nullopt;
  const auto seconds = static_cast<std::time_t>(epoch);
  std::tm parts{};
  gmtime_r(&seconds, &parts);
  std::array<char, sizeof("9999-12-31T23:59:59Z")> text;
  std::strftime(text.data(), text.size(), "%Y-%m-%dT%H:%M:%SZ", &parts);

  using std::chrono::days, std::chrono::floor;
  // In seconds: nanoseconds, the clock's unit, reach no further than the year 2262.
  const auto now = floor<std::chrono::seconds>(std::chrono::system_clock::now());
  const std::chrono::sys_seconds built{std::chrono::seconds(seconds)};
  return BuildTime{text.data(), floor<days>(now - built).count()};
}

struct Contents {
  std::uint64_t networks = 0;  // with a record; without aliases
  std::set<std::string> countries;
};

Contents contents(const CompiledFile& compiled) {
  const MmdbTree& tree = compiled.mmdb().tree();
  Contents contents;
  for_each_network(tree, 1, [&](const MmdbNetwork& network) {
    if (!tree.is_value(network.record)) return;
    ++contents.networks;
    if (!compiled.table()) return;
    const auto address = IpAddress::from_number(network.first, tree.address_bits());
    const Country country = compiled.table()->find_country(address);
    if (find_country(country.code) != nullptr) contents.countries.insert(country.code);
  });
  return contents;
}

// What there is to say, each with a name, as JSON and as words.
class Facts {
 public:
  void add(const std::string& name, const std::string& json, const std::string& words) {
    object_.add(name, json);
    std::string label = name;
    std::replace(label.begin(), label.end(), '_', ' ');
    label.append(kWidth - label.size(), ' ');
    lines_ += label + words + '\n';
  }
  void add(const std::string& name, const std::string& json) { add(name, json, json); }
  // `otherwise` are the words for no field.
  void add(const std::string& name, const std::vector<FieldPath>& fields,
           const std::string& otherwise) {
    std::vector<std::string> elements;
    std::string words;
    for (const FieldPath& field : fields) {
      elements.push_back(json_string(field.text()));
      words += (words.empty() ? "" : ", ") + elements.back();
    }
    add(name, json_array(elements), words.empty() ? otherwise : words);
  }

  std::string json() const { return object_.text() + '\n'; }
  std::string words() const { return lines_; }

 private:
  static constexpr std::size_t kWidth = 18;

  JsonObject object_;
  std::string lines_;
};

void add_fields(const std::optional<CountrySchema>& schema, Facts* facts) {
  using Fields = std::vector<FieldPath>;
  const std::string otherwise = schema ? "built in" : "none";
  facts->add("country_fields", schema ? schema->country_fields() : Fields(), otherwise);
  facts->add("continent_fields", schema ? schema->continent_fields() : Fields(), otherwise);
  facts->add("eu_fields", schema ? schema->membership_fields() : Fields(), otherwise);
}

void add_table(const CompiledFile& compiled, Facts* facts) {
  std::array<char, 32> milliseconds;
  std::snprintf(milliseconds.data(), milliseconds.size(), "%.1f", compiled.compile_time().count());
  const bool is_there = compiled.table().has_value();
  facts->add("table_bytes", is_there ? std::to_string(compiled.table()->size()) : "null");
  facts->add("compile_ms", is_there ? milliseconds.data() : "null");
}

Facts facts_of(const CompiledFile& compiled, const std::string& path) {
  const MmdbFile& file = compiled.mmdb();
  const MMDB_metadata_s& metadata = file.metadata();
  const std::optional<BuildTime> built = build_time(metadata.build_epoch);
  const Contents found = contents(compiled);

  Facts facts;
  facts.add("file", json_string(path));
  facts.add("database_type", json_string(metadata.database_type));
  facts.add("description", json_string(description(metadata)));
  facts.add("build_epoch", std::to_string(metadata.build_epoch));
  facts.add("built", built ? json_string(built->utc) : "null");
  facts.add("age_days", built ? std::to_string(built->age_in_days) : "null");
  facts.add("ip_version", std::to_string(metadata.ip_version));
  facts.add("record_size", std::to_string(metadata.record_size));
  facts.add("node_count", std::to_string(metadata.node_count));
  add_fields(compiled.schema(), &facts);
  facts.add("networks", std::to_string(found.networks));
  facts.add("countries", std::to_string(found.countries.size()));
  facts.add("file_bytes", std::to_string(file.bytes().size()));
  add_table(compiled, &facts);
  return facts;
}

}  // namespace

ExitCode info(const Options& options) {
  CompiledFile compiled;
  if (!compiled.open_any(options)) return kNoDatabase;
  const Facts facts = facts_of(compiled, options.path);
  std::cout << (options.json ? facts.json() : facts.words());
  return kSuccess;
}

}  // namespace weir::tool
