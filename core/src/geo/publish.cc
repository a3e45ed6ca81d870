#include "geo/publish.h"

#include <cstring>
#include <ctime>

#include "error.h"
#include "geo/database.h"

namespace weir {
namespace {

constexpr std::uint64_t kMostAhead = 24 * 60 * 60;  // seconds: clocks differ

class Date {
 public:
  explicit Date(std::uint64_t epoch) noexcept {
    const auto seconds = static_cast<std::time_t>(epoch);
    std::tm date{};
    if (epoch > INT64_MAX || gmtime_r(&seconds, &date) == nullptr ||
        std::strftime(text_, sizeof(text_), "%Y-%m-%d %H:%M:%S UTC", &date) == 0)
      std::strcpy(text_, "an unlikely time");
  }
  const char* c_str() const noexcept { return text_; }

 private:
  char text_[64];
};

// The first rule that the successor breaks; WEIR_GEO_PUBLISHED if it breaks none.
weir_geo_verdict_t compare(const DatabaseHeader& next, const DatabaseHeader& last,
                           const char* quoted, unsigned accepted, std::uint64_t now,
                           weir_error_t* error) noexcept {
  const auto refuses = [&](weir_geo_verdict_t verdict) { return (accepted & 1u << verdict) == 0; };
  const Date built(next.info.build_epoch);

  if (next.magic != last.magic ||
      (refuses(WEIR_GEO_OTHER_TYPE) &&
       std::strncmp(next.info.type, last.info.type, sizeof(last.info.type)) != 0)) {
    set_error(error, "%s is a database of type %s: expected %s", quoted,
              QuotedWord(next.info.type).c_str(), QuotedWord(last.info.type).c_str());
    return WEIR_GEO_OTHER_TYPE;
  }
  if (next.info.build_epoch == last.info.build_epoch) {
    set_error(
        error,
        "%s was built %s, as was the database in use, and differs from it: expected a whole file, "
        "or a newer one",
        quoted, built.c_str());
    return WEIR_GEO_HALF_DONE;
  }
  if (next.info.build_epoch > now && next.info.build_epoch - now > kMostAhead) {
    set_error(error, "%s was built %s, which is yet to come: expected one of the past", quoted,
              built.c_str());
    return WEIR_GEO_OF_FUTURE;
  }
  if (refuses(WEIR_GEO_OLDER) && next.info.build_epoch < last.info.build_epoch) {
    set_error(error, "%s was built %s, before the database in use: expected a newer one", quoted,
              built.c_str());
    return WEIR_GEO_OLDER;
  }
  if (refuses(WEIR_GEO_SMALLER) && next.info.networks < last.info.networks / 2) {
    set_error(error, "%s knows %llu networks, and the database in use %llu: expected half of them",
              quoted, static_cast<unsigned long long>(next.info.networks),
              static_cast<unsigned long long>(last.info.networks));
    return WEIR_GEO_SMALLER;
  }
  return WEIR_GEO_PUBLISHED;
}

}  // namespace

weir_geo_verdict_t publish(std::span<const std::uint64_t> words, const char* path,
                           unsigned accepted, std::uint64_t now, DoubleBuffer buffer,
                           weir_error_t* error) noexcept {
  if (words.empty()) return WEIR_GEO_SAME;  // a handle to what is published
  const QuotedWord quoted(path, QuotedWord::kLongest);
  if (words.size_bytes() > buffer.slot_size()) {
    set_error(error, "%s takes %zu bytes: expected at most %zu, for which there is room",
              quoted.c_str(), words.size_bytes(), buffer.slot_size());
    return WEIR_GEO_TOO_LARGE;
  }
  // Nobody else writes, so that what is published stays as it is.
  if (const std::uint64_t generation = buffer.generation()) {
    DatabaseHeader next, last;
    std::memcpy(&next, words.data(), sizeof(next));
    std::memcpy(&last, buffer.slot(generation), sizeof(last));
    if (next.size == last.size &&
        std::memcmp(words.data(), buffer.slot(generation), words.size_bytes()) == 0)
      return WEIR_GEO_SAME;
    const weir_geo_verdict_t verdict = compare(next, last, quoted.c_str(), accepted, now, error);
    if (verdict != WEIR_GEO_PUBLISHED) return verdict;
  }
  buffer.publish(words);
  return WEIR_GEO_PUBLISHED;
}

}  // namespace weir
