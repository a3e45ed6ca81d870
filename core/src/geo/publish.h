// Replacing a published database by its successor, or not.
//
// What is published came from a file that was good. A file that replaces it may be good as well and
// yet be a mistake: yesterday's, or one that a failed download has left with a few networks. So a
// successor has to be newer, and to know at least half as many networks. One of the same build time
// with other contents is never taken: whoever writes over a file in place comes to its metadata
// last, so that this is what a half-written one looks like.

#pragma once

#include <cstdint>
#include <span>

#include "geo/double_buffer.h"
#include "weir/weir.h"

namespace weir {

// See weir_geo_publish. `words` are a view's memory; errors quote `path`.
weir_geo_verdict_t publish(std::span<const std::uint64_t> words, const char* path,
                           unsigned accepted, std::uint64_t now, DoubleBuffer buffer,
                           weir_error_t* error) noexcept;

}  // namespace weir
