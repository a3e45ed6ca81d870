// A value of an .mmdb file as text, as a configuration can use it.
//
// A string is itself, but for control characters, which are spaces: the text goes into headers and
// logs. Numbers are decimal, and the shortest that mean the same (37.751, 1e-05); a
// boolean is 1 or 0, as nginx's "if" and weir_bypass want it; bytes are hexadecimal. A map or an
// array has no text: ask for something in it.
//
// The value may be overwritten while it is read: see relaxed.h.

#pragma once

#include <cstddef>
#include <span>

#include "geo/mmdb_section.h"

namespace weir {

// Writes what fits, and returns how long the whole text is; 0 if there is none.
std::size_t write_text(const MmdbValue& value, std::span<char> text) noexcept;

}  // namespace weir
