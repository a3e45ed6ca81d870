#include "zone/key_hash.h"

#include <gtest/gtest.h>

#include <cstring>
#include <string>

namespace weir {
namespace {

struct Secret {
  explicit Secret(uint8_t seed) {
    for (size_t i = 0; i < kSecretSize; ++i) bytes[i] = static_cast<uint8_t>(seed + 37 * i);
  }
  uint8_t bytes[kSecretSize];
};

TEST(KeyHash, TheTagIsNeverZeroAndFitsItsBits) {
  const Secret secret(1);
  for (uint32_t key = 0; key < 1'000'000; ++key) {
    const KeyHash hash = hash_key(&key, sizeof key, secret.bytes);
    ASSERT_NE(hash.tag, 0u);
    ASSERT_LT(hash.tag, 1u << kTagBits);
  }
}

TEST(KeyHash, DependsOnTheSecret) {
  const Secret one(1), other(2);
  const std::string key = "192.0.2.1";
  const KeyHash a = hash_key(key.data(), key.size(), one.bytes);
  const KeyHash b = hash_key(key.data(), key.size(), other.bytes);
  EXPECT_FALSE(a.tag == b.tag && a.line == b.line);
}

TEST(KeyHash, DependsOnLengthAndEveryByte) {
  const Secret secret(3);
  std::string key(300, 'a');
  const KeyHash whole = hash_key(key.data(), key.size(), secret.bytes);
  const KeyHash shorter = hash_key(key.data(), key.size() - 1, secret.bytes);
  EXPECT_NE(whole.line, shorter.line);
  for (size_t i = 0; i < key.size(); ++i) {
    key[i] = 'b';
    EXPECT_NE(hash_key(key.data(), key.size(), secret.bytes).line, whole.line) << i;
    key[i] = 'a';
  }
}

TEST(Scale, CoversTheWholeRangeForAnyCount) {
  for (const uint64_t count : {1u, 2u, 3u, 7u, 1000u, 4099u}) {
    EXPECT_EQ(scale(0, count), 0u);
    EXPECT_EQ(scale(UINT64_MAX, count), count - 1);
  }
}

TEST(OtherLine, IsAnotherLineWhoseOtherLineIsTheFirst) {
  for (const uint64_t count : {2ull, 4ull, 6ull, 1000ull, 16'310ull, 1ull << 33}) {
    for (uint64_t i = 0; i < 1000; ++i) {
      const uint64_t line = scale(i * 0x9e37'79b9'7f4a'7c15, count);
      for (const uint32_t tag : {1u, 2u, 12'345u, (1u << kTagBits) - 1}) {
        const uint64_t other = other_line(line, tag, count);
        ASSERT_LT(other, count);
        ASSERT_NE(other, line);
        ASSERT_EQ(other_line(other, tag, count), line);
      }
    }
  }
  EXPECT_EQ(other_line(0, 12'345, 1), 0u);
}

TEST(OtherLine, TakesTheTagsOfOneLineToLinesAllOverTheZone) {
  constexpr uint64_t kCount = 64;
  unsigned hits[kCount] = {};
  for (uint32_t tag = 1; tag < 1u << kTagBits; tag += 101) ++hits[other_line(10, tag, kCount)];
  for (uint64_t line = 1; line < kCount; line += 2)
    EXPECT_NEAR(hits[line], 83'055 / 32, 83'055 / 320);
}

}  // namespace
}  // namespace weir
