#include "error.h"

#include <algorithm>
#include <cstdarg>
#include <cstdio>

namespace weir {
namespace {

bool is_control(char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; }

bool continues_character(char c) { return (static_cast<unsigned char>(c) & 0xc0) == 0x80; }

}  // namespace

void set_error(weir_error_t* error, const char* format, ...) {
  if (error == nullptr) return;
  va_list arguments;
  va_start(arguments, format);
  std::vsnprintf(error->text, sizeof(error->text), format, arguments);
  va_end(arguments);
}

QuotedWord::QuotedWord(std::string_view word, std::size_t limit) noexcept {
  std::size_t end = std::min({word.size(), limit, kLongest});
  const bool is_cut = end < word.size();
  for (int i = 0; i < 3 && is_cut && end > 0 && continues_character(word[end]); ++i) --end;

  char* out = text_;
  *out++ = '"';
  for (const char c : word.substr(0, end)) {
    if (is_control(c)) {
      out += std::snprintf(out, sizeof("\\x00"), "\\x%02x", static_cast<unsigned char>(c));
    } else {
      *out++ = c;
    }
  }
  std::snprintf(out, sizeof("...\""), "%s\"", is_cut ? "..." : "");
}

}  // namespace weir
