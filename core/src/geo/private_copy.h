// A copy of a file that nobody else can change.
//
// A database is replaced while it is in use, and not always by a rename: whoever maps the original
// gets SIGBUS when somebody truncates it in place. So the file is read once, from front to back,
// into a sealed memfd; where that can't be reached by a name (/proc is not mounted), into a
// temporary file that is removed when the copy is closed.
//
// The copy owns its descriptor and its mapping. Whoever opens it by name() may keep what it opened
// after the copy is gone.

#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

#include "weir/weir.h"

namespace weir {

class PrivateCopy {
 public:
  enum class Place { kMemory, kTemporaryFile };

  PrivateCopy() = default;
  PrivateCopy(const PrivateCopy&) = delete;
  PrivateCopy& operator=(const PrivateCopy&) = delete;
  ~PrivateCopy();

  // WEIR_IO if `path` is not a file that can be read, or changes while it is read, or if there is
  // no room for a copy; WEIR_INVALID if it is empty or too large (4 GiB) to be a database. `first`
  // is where to try first. To be called once.
  weir_status_t make(const char* path, weir_error_t* error, Place first = Place::kMemory);

  // Opens as the copy, as long as this lives.
  const char* name() const noexcept { return name_.c_str(); }
  Place place() const noexcept { return is_named_file_ ? Place::kTemporaryFile : Place::kMemory; }

  const std::uint8_t* bytes() const noexcept { return bytes_; }
  std::size_t size() const noexcept { return size_; }

 private:
  bool open_in_memory();
  bool open_temporary_file();

  int fd_ = -1;
  bool is_named_file_ = false;
  std::string name_;
  const std::uint8_t* bytes_ = nullptr;
  std::size_t size_ = 0;
};

}  // namespace weir
