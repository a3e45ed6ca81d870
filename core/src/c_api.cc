// The C interface: arguments checked, exceptions stopped, everything else delegated.
//
// This is the one place where C and C++ meet. A function that may allocate runs inside guarded();
// the others are noexcept all the way down.

#include <algorithm>
#include <cstring>
#include <exception>
#include <memory>
#include <new>
#include <string>
#include <string_view>

#include "error.h"
#include "geo/country_filter.h"
#include "geo/country_map.h"
#include "geo/country_overrides.h"
#include "geo/country_table.h"
#include "geo/database.h"
#include "geo/ip_address.h"
#include "geo/mmdb.h"
#include "geo/mmdb_image.h"
#include "geo/publish.h"
#include "geo/published_database.h"
#include "limiter/quota.h"
#include "weir/weir.h"
#include "zone/decide.h"
#include "zone/zone.h"

struct weir_geo {
  std::unique_ptr<weir::Database> database;
  std::string path;  // of its file; empty if it follows what is published
};

struct weir_geo_path {
  weir::FieldPath path;
};

struct weir_geo_overrides {
  weir::CountryOverrides overrides;
};

struct weir_country_map {
  weir::CountryMap map;
};

struct weir_country_filter {
  weir::CountryFilter filter;
};

namespace {

template <class Function>
weir_status_t guarded(weir_error_t* error, Function&& function) noexcept {
  try {
    return function();
  } catch (const std::bad_alloc&) {
    weir::set_error(error, "out of memory");
    return WEIR_NO_MEMORY;
  } catch (const std::exception& e) {
    weir::set_error(error, "internal error: %s", e.what());
    return WEIR_INVALID;
  }
}

std::string_view view(const char* text, size_t length) { return {text, length}; }

}  // namespace

const char* weir_version(void) { return WEIR_VERSION; }

weir_status_t weir_quota_parse(const char* text, size_t length, weir_quota_t* quota,
                               weir_error_t* error) {
  return guarded(error, [&] { return weir::parse_quota(view(text, length), quota, error); });
}

uint64_t weir_quota_window(const weir_quota_t* quota, weir_algorithm_t algorithm) {
  return weir::window_of(*quota, algorithm);
}

weir_status_t weir_format_choose(weir_algorithm_t algorithm, const weir_quota_t* quotas,
                                 size_t count, weir_format_t* format, weir_error_t* error) {
  return guarded(error, [&] {
    return weir::choose_format(algorithm, {quotas, count}, format, error);
  });
}

weir_status_t weir_budget_make(const weir_quota_t* quota, const weir_format_t* format,
                               weir_budget_t* budget, weir_error_t* error) {
  return guarded(error, [&] { return weir::make_budget(*quota, *format, budget, error); });
}

size_t weir_zone_size_min(void) { return weir::Zone::min_size(); }

weir_status_t weir_zone_format(void* memory, size_t size, const weir_format_t* format,
                               weir_error_t* error) {
  return weir::Zone::format(memory, size, *format, false, error);
}

weir_status_t weir_zone_format_zeroed(void* memory, size_t size, const weir_format_t* format,
                                      weir_error_t* error) {
  return weir::Zone::format(memory, size, *format, true, error);
}

weir_status_t weir_zone_attach(void* memory, size_t size, weir_full_t when_full, weir_zone_t** zone,
                               weir_error_t* error) {
  const weir_status_t status = weir::Zone::check(memory, size, error);
  if (status != WEIR_OK) return status;
  return guarded(error, [&] {
    *zone = new weir_zone(memory, when_full);
    return WEIR_OK;
  });
}

void weir_zone_detach(weir_zone_t* zone) { delete zone; }

weir_format_t weir_zone_get_format(const weir_zone_t* zone) { return zone->format(); }

uint64_t weir_zone_slots(const weir_zone_t* zone) { return zone->slots(); }

uint64_t weir_zone_sweep(weir_zone_t* zone, const weir_clock_t* clock) {
  return zone->sweep(*clock);
}

void weir_zone_counters(const weir_zone_t* zone, weir_counters_t* counters) {
  *counters = zone->counters();
}

void weir_zone_skip(weir_zone_t* zone) { zone->count(weir::kSkipped); }

weir_verdict_t weir_decide(weir_limit_t* limits, size_t count, const weir_clock_t* clock,
                           size_t* deciding) {
  size_t index = 0;
  const weir_verdict_t verdict = weir::decide({limits, count}, *clock, index);
  if (deciding != nullptr) *deciding = index;
  return verdict;
}

void weir_charge(weir_limit_t* limit, const weir_clock_t* clock) {
  limit->zone->charge_late(*limit, *clock);
}

void weir_refund(weir_limit_t* limit, const weir_clock_t* clock) {
  limit->zone->refund(*limit, *clock);
}

void weir_limit_balance(const weir_limit_t* limit, const weir_clock_t* clock,
                        weir_balance_t* balance) {
  *balance = weir::balance(*limit, *clock);
}

uint64_t weir_limit_remaining(const weir_limit_t* limit) { return weir::remaining(*limit); }

uint64_t weir_limit_excess(const weir_limit_t* limit) { return weir::excess(*limit); }

uint64_t weir_limit_delay(const weir_limit_t* limit) { return weir::delay(*limit); }

uint64_t weir_limit_retry_after(const weir_limit_t* limit) { return weir::retry_after(*limit); }

size_t weir_client_key(const void* address, size_t length, uint32_t ipv4_prefix,
                       uint32_t ipv6_prefix, uint8_t key[16]) {
  const auto client = weir::IpAddress::from_bytes(address, length);
  const auto masked = client.masked(client.length == 4 ? ipv4_prefix : ipv6_prefix);
  std::memcpy(key, masked.bytes.data(), masked.length);
  return masked.length;
}

weir_status_t weir_geo_open(const char* path, const char* country_field, weir_geo_t** geo,
                            weir_error_t* error) {
  return guarded(error, [&] {
    std::unique_ptr<weir::Database> database;
    const weir_status_t status = weir::open_country_mmdb(path, country_field, &database, error);
    if (status == WEIR_OK) *geo = new weir_geo{std::move(database), path};
    return status;
  });
}

weir_status_t weir_geo_open_fields(const char* path, weir_geo_t** geo, weir_error_t* error) {
  return guarded(error, [&] {
    std::unique_ptr<weir::Database> database;
    const weir_status_t status = weir::open_field_mmdb(path, &database, error);
    if (status == WEIR_OK) *geo = new weir_geo{std::move(database), path};
    return status;
  });
}

void weir_geo_close(weir_geo_t* geo) { delete geo; }

void weir_geo_country(const weir_geo_t* geo, const weir_geo_overrides_t* overrides,
                      const void* address, size_t length, weir_country_t* country) {
  const auto client = weir::IpAddress::from_bytes(address, length);
  if (overrides != nullptr) {
    if (const weir::Country* known = overrides->overrides.find(client)) {
      *country = *known;
      return;
    }
  }
  *country = weir::country_of(geo != nullptr ? geo->database.get() : nullptr, client);
}

weir_status_t weir_geo_path_parse(const char* text, size_t length, weir_geo_path_t** path,
                                  weir_error_t* error) {
  return guarded(error, [&] {
    weir::FieldPath parsed;
    const weir_status_t status = weir::FieldPath::parse(view(text, length), &parsed, error);
    if (status == WEIR_OK) *path = new weir_geo_path{std::move(parsed)};
    return status;
  });
}

void weir_geo_path_free(weir_geo_path_t* path) { delete path; }

size_t weir_geo_field(const weir_geo_t* geo, const weir_geo_path_t* path, const void* address,
                      size_t length, char* text, size_t size) {
  return geo->database->find_field(weir::IpAddress::from_bytes(address, length), path->path,
                                   {text, size});
}

void weir_geo_get_info(const weir_geo_t* geo, weir_geo_info_t* info) {
  *info = geo->database->info();
}

size_t weir_geo_share_size(const weir_geo_t* geo) {
  constexpr size_t kSmallestSlot = 16 << 20;
  const size_t now = geo != nullptr ? geo->database->words().size_bytes() : 0;
  return weir::DoubleBuffer::size_of_memory(std::max(kSmallestSlot, now + now / 2));
}

void weir_geo_share_format(void* memory, size_t size) { weir::DoubleBuffer::format(memory, size); }

weir_status_t weir_geo_share_attach(void* memory, size_t size, weir_geo_kind_t kind,
                                    weir_geo_t** geo, weir_error_t* error) {
  return guarded(error, [&] {
    const auto buffer = weir::DoubleBuffer::attach(memory, size);
    if (!buffer) {
      weir::set_error(error, "no memory for databases: expected what weir_geo_share_format made");
      return WEIR_INVALID;
    }
    std::unique_ptr<weir::Database> database;
    if (kind == WEIR_GEO_COUNTRIES)
      database = std::make_unique<weir::PublishedDatabase<weir::CountryTable>>(*buffer);
    else
      database = std::make_unique<weir::PublishedDatabase<weir::MmdbImage>>(*buffer);
    *geo = new weir_geo{std::move(database), {}};
    return WEIR_OK;
  });
}

weir_geo_verdict_t weir_geo_publish(const weir_geo_t* geo, void* memory, size_t size,
                                    unsigned accept, uint64_t now, weir_error_t* error) {
  const auto buffer = weir::DoubleBuffer::attach(memory, size);
  if (!buffer) {
    weir::set_error(error, "no memory for databases: expected what weir_geo_share_format made");
    return WEIR_GEO_TOO_LARGE;
  }
  return weir::publish(geo->database->words(), geo->path.c_str(), accept, now, *buffer, error);
}

weir_geo_overrides_t* weir_geo_overrides_new(void) { return new (std::nothrow) weir_geo_overrides; }

void weir_geo_overrides_free(weir_geo_overrides_t* overrides) { delete overrides; }

weir_status_t weir_geo_overrides_add(weir_geo_overrides_t* overrides, const char* range,
                                     size_t range_length, const char* code, size_t code_length,
                                     weir_error_t* error) {
  return guarded(error, [&] {
    return overrides->overrides.add(view(range, range_length), view(code, code_length), error);
  });
}

weir_country_map_t* weir_country_map_new(void) { return new (std::nothrow) weir_country_map; }

void weir_country_map_free(weir_country_map_t* map) { delete map; }

weir_status_t weir_country_map_set(weir_country_map_t* map, const char* word, size_t length,
                                   uint32_t value, weir_error_t* error) {
  return guarded(error, [&] { return map->map.set(view(word, length), value, error); });
}

int32_t weir_country_map_find(const weir_country_map_t* map, const weir_country_t* country) {
  return map->map.find(*country);
}

weir_country_filter_t* weir_country_filter_new(void) {
  return new (std::nothrow) weir_country_filter;
}

void weir_country_filter_free(weir_country_filter_t* filter) { delete filter; }

weir_status_t weir_country_filter_allow(weir_country_filter_t* filter, const char* word,
                                        size_t length, weir_error_t* error) {
  return guarded(error, [&] { return filter->filter.allow(view(word, length), error); });
}

weir_status_t weir_country_filter_deny(weir_country_filter_t* filter, const char* word,
                                       size_t length, weir_error_t* error) {
  return guarded(error, [&] { return filter->filter.deny(view(word, length), error); });
}

int weir_country_filter_permits(const weir_country_filter_t* filter,
                                const weir_country_t* country) {
  return filter->filter.permits(*country) ? 1 : 0;
}
