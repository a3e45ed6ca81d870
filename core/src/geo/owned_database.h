// A database in memory of its own, which nothing ever changes: any number of threads may ask it at
// the same time, and processes that are forked share it.

#pragma once

#include <utility>

#include "geo/database.h"
#include "pages.h"

namespace weir {

template <class View>
class OwnedDatabase final : public Database {
 public:
  // `words` have to be what View::open accepts.
  explicit OwnedDatabase(PageVector<std::uint64_t> words)
      : words_(std::move(words)), view_(*View::open(words_.data(), words_.size() * 8)) {}

  Country find_country(const IpAddress& address) const noexcept override {
    return view_.find_country(address);
  }
  std::size_t find_field(const IpAddress& address, const FieldPath& path,
                         std::span<char> text) const noexcept override {
    return view_.find_field(address, path, text);
  }
  DatabaseInfo info() const noexcept override { return view_.info(); }
  std::span<const std::uint64_t> words() const noexcept override { return words_; }

 private:
  PageVector<std::uint64_t> words_;
  View view_;
};

}  // namespace weir
