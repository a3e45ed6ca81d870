// A database that answers from whatever is published in a double buffer at the moment.
//
// It remembers the view of the generation that it saw last, so that a look-up which meets the same
// one costs two loads more than one in memory of its own. That makes it one thread's: each thread,
// and each process, has one of its own.

#pragma once

#include <optional>

#include "geo/database.h"
#include "geo/double_buffer.h"

namespace weir {

template <class View>
class PublishedDatabase final : public Database {
 public:
  explicit PublishedDatabase(DoubleBuffer buffer) : buffer_(buffer) {}

  Country find_country(const IpAddress& address) const noexcept override {
    return ask(kUnknownCountry, [&](const View& view) { return view.find_country(address); });
  }
  std::size_t find_field(const IpAddress& address, const FieldPath& path,
                         std::span<char> text) const noexcept override {
    return ask(std::size_t{0},
               [&](const View& view) { return view.find_field(address, path, text); });
  }
  DatabaseInfo info() const noexcept override {
    return ask(DatabaseInfo{}, [](const View& view) { return view.info(); });
  }
  std::span<const std::uint64_t> words() const noexcept override { return {}; }

 private:
  template <class Answer, class Question>
  Answer ask(const Answer& otherwise, Question&& question) const noexcept {
    for (unsigned i = 0; i < DoubleBuffer::kMostTries; ++i) {
      const std::uint64_t generation = buffer_.generation();
      if (generation != seen_) {
        view_ = View::open(buffer_.slot(generation), buffer_.slot_size());
        seen_ = generation;
      }
      const Answer answer = view_ ? question(*view_) : otherwise;
      if (buffer_.holds(generation)) return answer;
      seen_ = 0;
    }
    return otherwise;
  }

  DoubleBuffer buffer_;
  mutable std::uint64_t seen_ = 0;  // no view yet
  mutable std::optional<View> view_;
};

}  // namespace weir
