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

TEST(KeyHash, TheTagIsNeverZeroAndFitsTwentyFourBits) {
  const Secret secret(1);
  for (uint32_t key = 0; key < 1'000'000; ++key) {
    const KeyHash hash = hash_key(&key, sizeof key, secret.bytes);
    ASSERT_NE(hash.tag, 0u);
    ASSERT_LT(hash.tag, 1u << 24);
  }
}

TEST(KeyHash, DependsOnTheSecret) {
  const Secret one(1), other(2);
  const std::string key = "192.0.2.1";
  const KeyHash a = hash_key(key.data(), key.size(), one.bytes);
  const KeyHash b = hash_key(key.data(), key.size(), other.bytes);
  EXPECT_FALSE(a.tag == b.tag && a.line1 == b.line1 && a.line2 == b.line2);
}

TEST(KeyHash, DependsOnLengthAndEveryByte) {
  const Secret secret(3);
  std::string key(300, 'a');
  const KeyHash whole = hash_key(key.data(), key.size(), secret.bytes);
  const KeyHash shorter = hash_key(key.data(), key.size() - 1, secret.bytes);
  EXPECT_NE(whole.line1, shorter.line1);
  for (size_t i = 0; i < key.size(); ++i) {
    key[i] = 'b';
    EXPECT_NE(hash_key(key.data(), key.size(), secret.bytes).line1, whole.line1) << i;
    key[i] = 'a';
  }
}

TEST(Scale, CoversTheWholeRangeForAnyCount) {
  for (const uint64_t count : {1u, 2u, 3u, 7u, 1000u, 4099u}) {
    EXPECT_EQ(scale<32>(0, count), 0u);
    EXPECT_EQ(scale<32>(UINT32_MAX, count), count - 1);
  }
}

}  // namespace
}  // namespace weir
