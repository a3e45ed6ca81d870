// Memory for large arrays, straight from the system, and back to it at once.
//
// malloc keeps what it gets back for the next caller, and holes between. A server that compiles a
// database at each reload would so grow by several times what it uses.

#pragma once

#include <sys/mman.h>

#include <cstddef>
#include <new>
#include <vector>

namespace weir {

template <class T>
struct PageAllocator {
  using value_type = T;

  PageAllocator() = default;
  template <class Other>
  explicit PageAllocator(const PageAllocator<Other>&) noexcept {}

  T* allocate(std::size_t count) {
    void* pages = mmap(nullptr, count * sizeof(T), PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (pages == MAP_FAILED) throw std::bad_alloc();
    return static_cast<T*>(pages);
  }
  void deallocate(T* pages, std::size_t count) noexcept { munmap(pages, count * sizeof(T)); }

  friend bool operator==(const PageAllocator&, const PageAllocator&) noexcept { return true; }
};

// A vector of at least some pages; its elements are aligned to a page.
template <class T>
using PageVector = std::vector<T, PageAllocator<T>>;

}  // namespace weir
