// What a zone holds of one key: the words of its two lines, by address, and which of them are its
// own: live, claims, or dead.

#pragma once

#include <algorithm>
#include <cstdint>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "zone/word.h"
#include "zone/zone.h"

namespace weir::test {

class KeyWords {
 public:
  using Indices = std::vector<size_t>;
  using IsLive = std::function<bool(uint64_t word)>;  // of settled words

  KeyWords(const Zone& zone, const std::string& key, IsLive is_live)
      : place_(zone.place_of(key.data(), key.size())), is_live_(std::move(is_live)) {
    const auto [lower, upper] = std::minmax(place_.line1, place_.line2);
    for (Line* line : {lower, upper}) {
      for (auto& word : line->words) words_.push_back(&word);
    }
  }

  uint64_t operator[](size_t index) const { return words_[index]->load(); }
  void set(size_t index, uint64_t word) { words_[index]->store(word); }

  Indices live() const {
    return all([&](uint64_t word) { return is_mine(word) && !is_claim(word) && is_live_(word); });
  }
  Indices claims() const {
    return all([&](uint64_t word) { return is_mine(word) && is_claim(word); });
  }
  Indices dead() const {
    return all([&](uint64_t word) { return is_mine(word) && !is_claim(word) && !is_live_(word); });
  }
  Indices free() const {
    return all([](uint64_t word) { return word == 0; });
  }

  bool prefers_the_upper_line() const { return place_.line1 > place_.line2; }

 private:
  bool is_mine(uint64_t word) const { return tag_of(word) == place_.tag; }

  template <class Is>
  Indices all(Is&& is) const {
    Indices found;
    for (size_t i = 0; i < words_.size(); ++i) {
      if (is((*this)[i])) found.push_back(i);
    }
    return found;
  }

  Place place_;
  IsLive is_live_;
  std::vector<StdAtomics::Word*> words_;
};

}  // namespace weir::test
