// Memory such as nginx gives a zone: shared, anonymous, in pages of the ordinary size. All of it is
// touched beforehand, so that no page fault is ever measured. A child inherits the memory but no
// page table for it: it calls map_pages().

#pragma once

#include <sys/mman.h>

#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <cstring>

namespace weir::bench {

inline void must(bool works, const char* what) {
  if (works) return;
  std::fprintf(stderr, "benchmark set-up failed: %s\n", what);
  std::exit(1);
}

class Memory {
 public:
  explicit Memory(size_t size) : size_(size) {
    address_ = mmap(nullptr, size, PROT_READ | PROT_WRITE,
                    MAP_SHARED | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
    must(address_ != MAP_FAILED, "no memory for a table; what to do: ask for fewer keys");
  }
  ~Memory() { munmap(address_, size_); }
  Memory(const Memory&) = delete;
  Memory& operator=(const Memory&) = delete;

  void map_pages() const {
    for (size_t at = 0; at < size_; at += 4096) {
      (void)*(static_cast<const volatile char*>(address_) + at);
    }
  }

  void clear() { std::memset(address_, 0, size_); }
  void* address() const { return address_; }
  size_t size() const { return size_; }

 private:
  void* address_;
  size_t size_;
};

}  // namespace weir::bench
