// The situations in which the table is model-checked. Lines of one word each: two words, so that
// everything that can collide does.

#pragma once

#include <vector>

#include "model/table_model.h"

namespace weir::model {

inline constexpr Tick kStart = 1'000'000;

inline uint64_t owes(uint32_t tag, Ticks debt) { return settled_word(tag, kStart + debt); }
inline uint64_t paid(uint32_t tag) { return settled_word(tag, kStart - 300); }
inline uint64_t stranded(uint32_t tag) { return claim_word(tag, 99); }

// The third program is for runs of three actors.
inline std::vector<Scenario> situations() {
  return {
      {.name = "insert", .capacity = 1, .before = {0, 0}, .programs = {"c", "c", "c"}},
      {.name = "insert and hit", .capacity = 2, .before = {0, 0}, .programs = {"cc", "cc", "c"}},
      {.name = "insert another key too",
       .capacity = 1,
       .before = {0, 0},
       .programs = {"c", "o", "c"}},
      {.name = "revive", .capacity = 1, .before = {paid(kKey), 0}, .programs = {"c", "c", "c"}},
      {.name = "revive in the other line",
       .capacity = 2,
       .before = {0, paid(kKey)},
       .programs = {"c", "cc", "c"}},
      {.name = "hit",
       .capacity = 4,
       .before = {owes(kKey, kToken), 0},
       .programs = {"cc", "cc", "c"}},
      {.name = "reject",
       .capacity = 2,
       .before = {0, owes(kKey, 2 * kToken)},
       .programs = {"c", "c", "c"}},
      {.name = "evict",
       .capacity = 1,
       .before = {owes(11, 5 * kToken), owes(12, 6 * kToken)},
       .programs = {"c", "c", "o"}},
      {.name = "evict the key itself",
       .capacity = 2,
       .before = {owes(kKey, kToken), owes(12, 6 * kToken)},
       .programs = {"cc", "o", "c"}},
      {.name = "reuse a dead word of another key",
       .capacity = 1,
       .before = {paid(kKey), owes(12, 6 * kToken)},
       .programs = {"c", "o", "o"}},
      {.name = "take over a stranded claim",
       .capacity = 1,
       .before = {stranded(kKey), 0},
       .programs = {"c", "c", "c"}},
      {.name = "clear a stranded claim",
       .capacity = 1,
       .before = {paid(kKey), stranded(kKey)},
       .programs = {"c", "c", "c"}},
      {.name = "only claims are left",
       .capacity = 1,
       .before = {stranded(11), stranded(12)},
       .programs = {"c", "o", "c"}},
      {.name = "refund", .capacity = 1, .before = {0, 0}, .programs = {"cr", "tcc", "c"}},
      {.name = "refund what time has paid for",
       .capacity = 2,
       .before = {owes(kKey, kToken), 0},
       .programs = {"crc", "cr", "c"}},
      {.name = "sweep",
       .capacity = 1,
       .before = {paid(kKey), stranded(kKey)},
       .programs = {"tcc", "s", "c"}},
      {.name = "sweep while inserting",
       .capacity = 1,
       .before = {0, 0},
       .programs = {"c", "s", "c"}},
      {.name = "the tick wraps",
       .capacity = 1,
       .before = {settled_word(kKey, kTickMask - 700), 0},
       .programs = {"c", "c", "c"},
       .start = kTickMask - 500},
  };
}

}  // namespace weir::model
