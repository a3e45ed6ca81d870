// Error texts for people: what was wrong, with the offending word in quotes, and what was expected.
//
// A weir_error_t belongs to the caller and may be NULL; a text that does not fit is cut. A word
// that came from a user goes through QuotedWord, so that neither its length nor its control
// characters can spoil the line it ends up in.

#pragma once

#include <cstddef>
#include <string_view>

#include "weir/weir.h"

namespace weir {

// Like printf, into error->text; does nothing if error is NULL.
void set_error(weir_error_t* error, const char* format, ...) __attribute__((format(printf, 2, 3)));

// `word` in double quotes, control characters as \xNN; cut after `limit` bytes (at most kLongest),
// but not inside a UTF-8 character, with "..." in place of the rest.
// Made to be a temporary: set_error(error, "%s is no rate", QuotedWord(word).c_str()).
class QuotedWord {
 public:
  static constexpr std::size_t kWord = 64;
  static constexpr std::size_t kLongest = 256;

  explicit QuotedWord(std::string_view word, std::size_t limit = kWord) noexcept;
  const char* c_str() const noexcept { return text_; }

 private:
  char text_[4 * kLongest + sizeof("\"...\"")];
};

}  // namespace weir
