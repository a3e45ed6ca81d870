
/*
 * Zones as the configuration names and defines them.
 */

#include "ngx_http_weir_module.h"


ngx_uint_t  ngx_http_weir_tags[2];


ngx_http_weir_zone_t *
ngx_http_weir_zone_by_name(ngx_conf_t *cf, ngx_str_t *name)
{
    ngx_uint_t                  i;
    ngx_http_weir_zone_t       *zone, **zones;
    ngx_http_weir_main_conf_t  *wmcf;

    if (name->len == 0) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "empty zone name in \"zone=\", "
                           "expected \"zone=NAME\"");
        return NULL;
    }

    wmcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_weir_module);
    zones = wmcf->zones.elts;

    for (i = 0; i < wmcf->zones.nelts; i++) {
        if (zones[i]->name.len == name->len
            && ngx_strncmp(zones[i]->name.data, name->data, name->len) == 0)
        {
            return zones[i];
        }
    }

    zone = ngx_pcalloc(cf->pool, sizeof(ngx_http_weir_zone_t));
    if (zone == NULL) {
        return NULL;
    }

    zone->name = *name;
    zone->first_use = ngx_http_weir_place(cf);

    if (ngx_http_weir_field_name(cf, name, &zone->field_name) != NGX_OK) {
        return NULL;
    }

    zones = ngx_array_push(&wmcf->zones);
    if (zones == NULL) {
        return NULL;
    }

    *zones = zone;

    return zone;
}


char *
ngx_http_weir_limit_zone(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    u_char                            *p;
    ssize_t                            size;
    ngx_int_t                          prefix;
    ngx_str_t                         *value, name, s;
    ngx_uint_t                         i, j;
    weir_quota_t                       quota;
    ngx_http_weir_zone_t              *zone;
    ngx_http_complex_value_t           key;
    ngx_http_compile_complex_value_t   ccv;

    weir_full_t       full = WEIR_FULL_EVICT;
    uint32_t          ipv4_prefix = 32, ipv6_prefix = 64;
    weir_algorithm_t  algorithm = WEIR_TOKEN_BUCKET;

    static struct {
        ngx_str_t    name;
        weir_full_t  value;
    } fulls[] = {
        { ngx_string("full=evict"), WEIR_FULL_EVICT },
        { ngx_string("full=reject"), WEIR_FULL_REJECT },
        { ngx_string("full=admit"), WEIR_FULL_ADMIT }
    };

    value = cf->args->elts;

    ngx_memzero(&key, sizeof(ngx_http_complex_value_t));
    ngx_memzero(&ccv, sizeof(ngx_http_compile_complex_value_t));

    ccv.cf = cf;
    ccv.value = &value[1];
    ccv.complex_value = &key;

    if (ngx_http_compile_complex_value(&ccv) != NGX_OK) {
        return NGX_CONF_ERROR;
    }

    if (ngx_http_weir_check_repeated(cf, 2) != NGX_OK) {
        return NGX_CONF_ERROR;
    }

    size = 0;
    ngx_memzero(&quota, sizeof(weir_quota_t));
    ngx_str_null(&name);

    for (i = 2; i < cf->args->nelts; i++) {

        if (ngx_strncmp(value[i].data, "zone=", 5) == 0) {

            name.data = value[i].data + 5;

            p = (u_char *) ngx_strchr(name.data, ':');

            if (p == NULL || p == name.data) {
                ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                                   "invalid zone \"%V\", "
                                   "expected \"zone=NAME:SIZE\"", &value[i]);
                return NGX_CONF_ERROR;
            }

            name.len = p - name.data;

            s.data = p + 1;
            s.len = value[i].data + value[i].len - s.data;

            size = ngx_parse_size(&s);

            if (size == NGX_ERROR) {
                ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                                   "invalid zone size \"%V\", expected "
                                   "a size as in \"zone=NAME:10m\"",
                                   &value[i]);
                return NGX_CONF_ERROR;
            }

            if (size < (ssize_t) (8 * ngx_pagesize)) {
                ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                                   "zone \"%V\" is too small, "
                                   "expected at least %uzk",
                                   &value[i], 8 * ngx_pagesize / 1024);
                return NGX_CONF_ERROR;
            }

            continue;
        }

        if (ngx_strncmp(value[i].data, "rate=", 5) == 0) {

            if (ngx_http_weir_parse_rate(cf, &value[i], &quota) != NGX_OK) {
                return NGX_CONF_ERROR;
            }

            continue;
        }

        if (ngx_strncmp(value[i].data, "ipv4_prefix=", 12) == 0) {

            prefix = ngx_http_weir_parse_number(cf, &value[i], 1, 32);
            if (prefix == NGX_ERROR) {
                return NGX_CONF_ERROR;
            }

            ipv4_prefix = prefix;
            continue;
        }

        if (ngx_strncmp(value[i].data, "ipv6_prefix=", 12) == 0) {

            prefix = ngx_http_weir_parse_number(cf, &value[i], 1, 128);
            if (prefix == NGX_ERROR) {
                return NGX_CONF_ERROR;
            }

            ipv6_prefix = prefix;
            continue;
        }

        if (ngx_strcmp(value[i].data, "algorithm=token_bucket") == 0) {
            algorithm = WEIR_TOKEN_BUCKET;
            continue;
        }

        if (ngx_strcmp(value[i].data, "algorithm=sliding_window") == 0) {
            algorithm = WEIR_SLIDING_WINDOW;
            continue;
        }

        for (j = 0; j < sizeof(fulls) / sizeof(fulls[0]); j++) {
            if (value[i].len == fulls[j].name.len
                && ngx_strcmp(value[i].data, fulls[j].name.data) == 0)
            {
                full = fulls[j].value;
                break;
            }
        }

        if (j < sizeof(fulls) / sizeof(fulls[0])) {
            continue;
        }

        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid parameter \"%V\" of \"weir_limit_zone\", "
                           "expected \"zone=NAME:SIZE\", \"rate=RATE\", "
                           "\"algorithm=token_bucket|sliding_window\", "
                           "\"ipv4_prefix=LENGTH\", \"ipv6_prefix=LENGTH\" "
                           "or \"full=evict|reject|admit\"", &value[i]);
        return NGX_CONF_ERROR;
    }

    if (name.len == 0 || quota.tokens == 0) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "\"weir_limit_zone\" of key \"%V\" has no \"%s\", "
                           "expected both \"zone=NAME:SIZE\" "
                           "and \"rate=RATE\"",
                           &value[1], name.len == 0 ? "zone=" : "rate=");
        return NGX_CONF_ERROR;
    }

    zone = ngx_http_weir_zone_by_name(cf, &name);
    if (zone == NULL) {
        return NGX_CONF_ERROR;
    }

    if (zone->shm_zone) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "zone \"%V\" is already defined in %V:%ui, "
                           "expected another name",
                           &name, &zone->place.file, zone->place.line);
        return NGX_CONF_ERROR;
    }

    if (ngx_strstr(value[1].data, "weir_country")
        || ngx_strstr(value[1].data, "weir_continent"))
    {
        ngx_http_weir_need_geo(cf, &value[1]);
    }

    zone->place = ngx_http_weir_place(cf);
    zone->key = key;
    zone->algorithm = algorithm;
    zone->quota = quota;
    zone->full = full;
    zone->ipv4_prefix = ipv4_prefix;
    zone->ipv6_prefix = ipv6_prefix;

    zone->shm_zone = ngx_shared_memory_add(cf, &name, size,
                                           &ngx_http_weir_tags[0]);
    if (zone->shm_zone == NULL) {
        return NGX_CONF_ERROR;
    }

    if (zone->shm_zone->data) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "zone \"%V\" is already in use, "
                           "expected another name", &name);
        return NGX_CONF_ERROR;
    }

    zone->shm_zone->init = ngx_http_weir_init_zone;
    zone->shm_zone->data = zone;

    return NGX_CONF_OK;
}
