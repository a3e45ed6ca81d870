#include "zone/key_hash.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

namespace weir {

static_assert(kSecretSize >= XXH3_SECRET_SIZE_MIN);

KeyHash hash_key(const void* key, size_t length, const uint8_t (&secret)[kSecretSize]) {
  const XXH128_hash_t hash = XXH3_128bits_withSecret(key, length, secret, kSecretSize);
  const auto tag = static_cast<uint32_t>(hash.high64 >> (64 - kTagBits));
  return {.line = hash.low64, .tag = tag != 0 ? tag : 1};
}

}  // namespace weir
