/*
 * The C interface from C99: every function is called, every handle type is made and released, and
 * errors come back as statuses and texts.
 */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "weir/weir.h"

static int failures;

#define CHECK(condition)                                                       \
    do {                                                                       \
        if (!(condition)) {                                                    \
            fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition);    \
            failures++;                                                        \
        }                                                                      \
    } while (0)

#define ZONE_SIZE (256 * 1024)


static uint64_t
read_clock(void *context)
{
    return *(uint64_t *) context;
}


static void
test_quotas(weir_quota_t *quota, weir_format_t *format, weir_budget_t *budget)
{
    weir_error_t error;

    CHECK(weir_quota_parse("10r/m and more", 5, quota, &error) == WEIR_OK);
    CHECK(quota->tokens == 10 && quota->period == 60 && quota->burst == 0);

    CHECK(weir_quota_parse("10r/y", 5, quota, &error) == WEIR_INVALID);
    CHECK(strstr(error.text, "\"10r/y\"") != NULL);
    CHECK(weir_quota_parse("", 0, quota, NULL) == WEIR_INVALID);
    CHECK(quota->tokens == 10);

    quota->burst = 2;
    CHECK(weir_format_choose(WEIR_TOKEN_BUCKET, quota, 1, format, &error) == WEIR_OK);
    CHECK(format->algorithm == WEIR_TOKEN_BUCKET && format->tick_bits == 20);
    CHECK(weir_budget_make(quota, format, budget, &error) == WEIR_OK);
    CHECK(budget->tolerance == 3 * budget->interval);
    CHECK(weir_quota_window(quota, WEIR_TOKEN_BUCKET) == 18);
}


static void
test_zone(const weir_format_t *format, weir_budget_t budget)
{
    int i;
    void *memory = NULL;
    size_t deciding;
    uint64_t now;
    weir_zone_t *zone;
    weir_error_t error;
    weir_clock_t clock;
    weir_limit_t limits[2];
    weir_counters_t counters;
    weir_balance_t balance;

    now = 123456789;
    clock.now = read_clock;
    clock.context = &now;

    CHECK(posix_memalign(&memory, 64, ZONE_SIZE) == 0);
    memset(memory, 0xff, ZONE_SIZE);

    CHECK(weir_zone_size_min() <= 32 * 1024);
    zone = NULL;
    CHECK(weir_zone_attach(memory, ZONE_SIZE, WEIR_FULL_EVICT, &zone, &error) == WEIR_MISMATCH);
    CHECK(error.text[0] != '\0' && zone == NULL);
    CHECK(weir_zone_format(memory, 64, format, &error) == WEIR_NO_MEMORY);
    memset(memory, 0, ZONE_SIZE);
    CHECK(weir_zone_format_zeroed(memory, ZONE_SIZE, format, &error) == WEIR_OK);
    memset(memory, 0xff, ZONE_SIZE);
    CHECK(weir_zone_format(memory, ZONE_SIZE, format, &error) == WEIR_OK);
    CHECK(weir_zone_attach(memory, ZONE_SIZE, WEIR_FULL_EVICT, &zone, &error) == WEIR_OK);
    CHECK(weir_zone_get_format(zone).tick_bits == format->tick_bits);
    CHECK(weir_zone_slots(zone) > 3000);

    memset(limits, 0, sizeof(limits));
    for (i = 0; i < 2; i++) {
        limits[i].zone = zone;
        limits[i].key = i ? "bob" : "ann";
        limits[i].key_length = 3;
        limits[i].budget = budget;
        limits[i].cost = 1;
        limits[i].undelayed = WEIR_NODELAY;
    }

    CHECK(weir_decide(limits, 0, &clock, NULL) == WEIR_NONE);
    CHECK(weir_decide(limits, 2, &clock, &deciding) == WEIR_PASSED);
    CHECK(weir_decide(limits, 1, &clock, NULL) == WEIR_PASSED);
    CHECK(weir_decide(limits, 1, &clock, NULL) == WEIR_PASSED);
    CHECK(weir_limit_remaining(&limits[0]) == 0);
    weir_limit_balance(&limits[0], &clock, &balance);
    CHECK(balance.quota == 3 && balance.remaining == 0 && balance.full_after > 0);
    CHECK(weir_decide(limits, 2, &clock, &deciding) == WEIR_REJECTED);
    CHECK(deciding == 0 && limits[1].verdict == WEIR_NONE);
    CHECK(weir_limit_excess(&limits[0]) == 3000);
    CHECK(weir_limit_retry_after(&limits[0]) > 5900000000u);
    CHECK(weir_limit_retry_after(&limits[0]) < 6100000000u);

    now += weir_limit_retry_after(&limits[0]);
    CHECK(weir_decide(limits, 1, &clock, NULL) == WEIR_PASSED);
    weir_refund(&limits[0], &clock);
    CHECK(limits[0].charged == 0);

    weir_zone_skip(zone);
    weir_zone_sweep(zone, &clock);
    weir_zone_counters(zone, &counters);
    CHECK(counters.passed == 5 && counters.rejected == 1 && counters.skipped == 1);

    CHECK(weir_monotonic_now(NULL) > 0);

    weir_zone_detach(zone);
    weir_zone_detach(NULL);
    free(memory);
}


static void
test_client_keys(void)
{
    uint8_t key[16];
    uint8_t ipv4[4] = { 192, 0, 2, 77 };
    uint8_t mapped[16] = { 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 192, 0, 2, 77 };
    uint8_t ipv6[16] = { 0x20, 1, 0xd, 0xb8, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12 };

    CHECK(weir_client_key(ipv4, 4, 32, 64, key) == 4);
    CHECK(memcmp(key, ipv4, 4) == 0);
    CHECK(weir_client_key(mapped, 16, 24, 64, key) == 4);
    CHECK(key[2] == 2 && key[3] == 0);
    CHECK(weir_client_key(ipv6, 16, 32, 64, key) == 16);
    CHECK(memcmp(key, ipv6, 8) == 0 && key[8] == 0 && key[15] == 0);
    CHECK(weir_client_key("unix:", 5, 32, 64, key) == 0);
}


static void
test_geo_fields(void)
{
    char text[16];
    uint8_t address[4] = { 81, 169, 145, 9 };
    weir_geo_t *geo;
    weir_error_t error;
    weir_geo_path_t *path;

    CHECK(weir_geo_open_fields("/nonexistent/x.mmdb", &geo, &error) == WEIR_IO);
    CHECK(weir_geo_open_fields(WEIR_FIXTURE_DIR "/fields.mmdb", &geo, &error) == WEIR_OK);
    CHECK(weir_geo_path_parse("city..en", 8, &path, &error) == WEIR_INVALID);
    CHECK(strstr(error.text, "\"city..en\"") != NULL);
    CHECK(weir_geo_path_parse("city.names.en, that is", 13, &path, &error) == WEIR_OK);
    CHECK(weir_geo_field(geo, path, address, 4, text, sizeof(text)) == 6);
    CHECK(memcmp(text, "Berlin", 6) == 0);
    address[0] = 9;
    CHECK(weir_geo_field(geo, path, address, 4, text, sizeof(text)) == 0);
    weir_geo_path_free(path);
    weir_geo_path_free(NULL);
    weir_geo_close(geo);
}


static void
test_geo_share(void)
{
    void *memory = NULL;
    size_t size;
    uint8_t address[4] = { 81, 169, 145, 9 }, private_address[4] = { 10, 0, 0, 1 };
    weir_geo_t *geo, *handle;
    weir_error_t error;
    weir_country_t country;
    weir_geo_overrides_t *overrides;

    CHECK(weir_geo_open(WEIR_FIXTURE_DIR "/maxmind.mmdb", NULL, &geo, &error) == WEIR_OK);
    size = weir_geo_share_size(geo);
    CHECK(posix_memalign(&memory, 4096, size) == 0);
    memset(memory, 0, size);
    weir_geo_share_format(memory, size);
    CHECK(weir_geo_share_attach(memory, size, WEIR_GEO_COUNTRIES, &handle, &error) == WEIR_OK);

    weir_geo_country(handle, NULL, address, 4, &country);
    CHECK(strcmp(country.code, "XX") == 0);
    CHECK(weir_geo_publish(geo, memory, size, 0, 1800000000, &error) == WEIR_GEO_PUBLISHED);
    CHECK(weir_geo_publish(geo, memory, size, 0, 1800000000, &error) == WEIR_GEO_SAME);
    CHECK(weir_geo_publish(handle, memory, size, 0, 1800000000, &error) == WEIR_GEO_SAME);
    weir_geo_close(geo);
    weir_geo_country(handle, NULL, address, 4, &country);
    CHECK(strcmp(country.code, "DE") == 0);

    overrides = weir_geo_overrides_new();
    CHECK(overrides != NULL);
    CHECK(weir_geo_overrides_add(overrides, "81.169.0.0/16", 13, "FR", 2, &error) == WEIR_OK);
    CHECK(weir_geo_overrides_add(overrides, "10.0.0.0/8", 10, "KR", 2, &error) == WEIR_OK);
    CHECK(weir_geo_overrides_add(overrides, "10.0.0.0/8", 10, "KR", 2, &error) == WEIR_INVALID);
    weir_geo_country(handle, overrides, address, 4, &country);
    CHECK(strcmp(country.code, "FR") == 0);
    weir_geo_country(NULL, overrides, private_address, 4, &country);
    CHECK(strcmp(country.code, "KR") == 0);
    weir_geo_overrides_free(overrides);
    weir_geo_overrides_free(NULL);

    weir_geo_close(handle);
    free(memory);
}


static void
test_geo(void)
{
    uint8_t loopback[4] = { 127, 0, 0, 1 };
    weir_geo_t *geo;
    weir_geo_info_t info;
    weir_error_t error;
    weir_country_t country;
    weir_country_map_t *map;
    weir_country_filter_t *filter;

    geo = NULL;
    CHECK(weir_geo_open("/nonexistent/x.mmdb", NULL, &geo, &error) == WEIR_IO);
    CHECK(strstr(error.text, "\"/nonexistent/x.mmdb\"") != NULL && geo == NULL);

    CHECK(weir_geo_open(WEIR_FIXTURE_DIR "/maxmind.mmdb", NULL, &geo, &error) == WEIR_OK);
    weir_geo_get_info(geo, &info);
    CHECK(info.build_epoch > 0);
    CHECK(info.networks > 0);
    weir_geo_country(geo, NULL, "unix:", 5, &country);
    CHECK(strcmp(country.code, "XX") == 0 && strcmp(country.continent, "XX") == 0);
    weir_geo_country(geo, NULL, loopback, 4, &country);
    CHECK(strcmp(country.code, "ZZ") == 0);
    weir_geo_country(NULL, NULL, loopback, 4, &country);
    CHECK(strcmp(country.code, "ZZ") == 0);
    weir_geo_close(geo);
    weir_geo_close(NULL);

    test_geo_fields();
    test_geo_share();

    map = weir_country_map_new();
    CHECK(weir_country_map_set(map, "default", 7, 3, &error) == WEIR_OK);
    CHECK(weir_country_map_find(map, &country) == 3);
    CHECK(weir_country_map_set(map, "default", 7, 4, &error) == WEIR_INVALID);
    CHECK(weir_country_map_set(map, "QQ", 2, 4, &error) == WEIR_INVALID);
    CHECK(strstr(error.text, "\"QQ\"") != NULL);
    weir_country_map_free(map);
    weir_country_map_free(NULL);

    filter = weir_country_filter_new();
    CHECK(weir_country_filter_permits(filter, &country) == 1);
    CHECK(weir_country_filter_deny(filter, "private", 7, &error) == WEIR_OK);
    CHECK(weir_country_filter_allow(filter, "KR", 2, &error) == WEIR_OK);
    CHECK(weir_country_filter_allow(filter, "kr", 2, &error) == WEIR_INVALID);
    CHECK(weir_country_filter_permits(filter, &country) == 0);
    weir_country_filter_free(filter);
    weir_country_filter_free(NULL);
}


int
main(void)
{
    weir_format_t format;
    weir_quota_t quota;
    weir_budget_t budget;

    CHECK(strcmp(weir_version(), WEIR_VERSION) == 0);
    test_quotas(&quota, &format, &budget);
    test_zone(&format, budget);
    test_client_keys();
    test_geo();

    if (failures != 0) {
        fprintf(stderr, "%d failed\n", failures);
        return 1;
    }

    return 0;
}
