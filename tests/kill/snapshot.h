// A copy of some memory, to compare with and to put back.

#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <vector>

namespace weir::test {

class Snapshot {
 public:
  Snapshot(void* address, size_t size) : address_(address), bytes_(size) { renew(); }

  void renew() { std::memcpy(bytes_.data(), address_, bytes_.size()); }
  void put_back() const { std::memcpy(address_, bytes_.data(), bytes_.size()); }
  bool is_unchanged() const { return std::memcmp(address_, bytes_.data(), bytes_.size()) == 0; }

 private:
  void* address_;
  std::vector<uint8_t> bytes_;
};

}  // namespace weir::test
