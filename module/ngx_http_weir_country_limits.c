
/*
 * The weir_country_limits block: what goes for the clients of a country in
 * place of the zone's own rate.
 */

#include "ngx_http_weir_module.h"


static char *ngx_http_weir_country_entry(ngx_conf_t *cf, ngx_command_t *dummy,
    void *conf);


char *
ngx_http_weir_country_limits(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    char                            *rv;
    ngx_str_t                       *value, s;
    ngx_conf_t                       save;
    ngx_http_weir_zone_t            *zone;
    ngx_http_weir_country_limits_t  *limits;

    value = cf->args->elts;

    if (ngx_strncmp(value[1].data, "zone=", 5) != 0) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid parameter \"%V\" of "
                           "\"weir_country_limits\", expected \"zone=NAME\"",
                           &value[1]);
        return NGX_CONF_ERROR;
    }

    s.data = value[1].data + 5;
    s.len = value[1].len - 5;

    zone = ngx_http_weir_zone_by_name(cf, &s);
    if (zone == NULL) {
        return NGX_CONF_ERROR;
    }

    if (zone->country_limits) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "zone \"%V\" already has \"weir_country_limits\" "
                           "in %V:%ui, expected one block",
                           &s, &zone->country_limits->place.file,
                           zone->country_limits->place.line);
        return NGX_CONF_ERROR;
    }

    limits = ngx_pcalloc(cf->pool, sizeof(ngx_http_weir_country_limits_t));
    if (limits == NULL) {
        return NGX_CONF_ERROR;
    }

    limits->place = ngx_http_weir_place(cf);
    ngx_http_weir_need_geo(cf, &cmd->name);

    if (ngx_array_init(&limits->entries, cf->pool, 8,
                       sizeof(ngx_http_weir_country_entry_t))
        != NGX_OK)
    {
        return NGX_CONF_ERROR;
    }

    limits->map = weir_country_map_new();

    if (ngx_http_weir_own(cf, limits->map,
                          (ngx_pool_cleanup_pt) weir_country_map_free)
        != NGX_OK)
    {
        return NGX_CONF_ERROR;
    }

    zone->country_limits = limits;

    save = *cf;
    cf->handler = ngx_http_weir_country_entry;
    cf->handler_conf = (void *) limits;

    rv = ngx_conf_parse(cf, NULL);

    *cf = save;

    if (rv == NGX_CONF_OK && limits->entries.nelts == 0) {
        return ngx_http_weir_error_at(cf, &limits->place,
                                      "\"weir_country_limits\" of zone "
                                      "\"%V\" is empty, expected a line as "
                                      "in \"KR rate=10r/s;\"", &s);
    }

    return rv;
}


/* CODE ... rate=RATE [burst=NUMBER];  CODE ... off;  CODE ... deny; */

static char *
ngx_http_weir_country_entry(ngx_conf_t *cf, ngx_command_t *dummy, void *conf)
{
    ngx_http_weir_country_limits_t *limits = conf;

    ngx_int_t                       burst;
    ngx_str_t                      *value;
    ngx_uint_t                      i, codes;
    weir_error_t                    error;
    ngx_http_weir_country_entry_t  *entry;

    value = cf->args->elts;

    if (ngx_http_weir_check_repeated(cf, 0) != NGX_OK) {
        return NGX_CONF_ERROR;
    }

    entry = ngx_array_push(&limits->entries);
    if (entry == NULL) {
        return NGX_CONF_ERROR;
    }

    ngx_memzero(entry, sizeof(ngx_http_weir_country_entry_t));
    entry->place = ngx_http_weir_place(cf);
    codes = 0;

    for (i = 0; i < cf->args->nelts; i++) {

        if (ngx_strncmp(value[i].data, "rate=", 5) == 0) {

            if (ngx_http_weir_parse_rate(cf, &value[i], &entry->quota)
                != NGX_OK)
            {
                return NGX_CONF_ERROR;
            }

            continue;
        }

        if (ngx_strncmp(value[i].data, "burst=", 6) == 0) {

            burst = ngx_http_weir_parse_number(cf, &value[i], 0,
                                               NGX_HTTP_WEIR_MAX_BURST);
            if (burst == NGX_ERROR) {
                return NGX_CONF_ERROR;
            }

            entry->quota.burst = burst;
            entry->burst_set = 1;
            continue;
        }

        if (ngx_strcmp(value[i].data, "off") == 0) {
            entry->off = 1;
            continue;
        }

        if (ngx_strcmp(value[i].data, "deny") == 0) {
            entry->deny = 1;
            continue;
        }

        if (weir_country_map_set(limits->map, (char *) value[i].data,
                                 value[i].len, limits->entries.nelts - 1,
                                 &error)
            != WEIR_OK)
        {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0, "%s", error.text);
            return NGX_CONF_ERROR;
        }

        codes++;
    }

    if (codes == 0) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "no country before \"%V\", expected "
                           "CODE ... and \"rate=RATE\", \"off\" or \"deny\"",
                           &value[0]);
        return NGX_CONF_ERROR;
    }

    if ((entry->quota.tokens != 0) + entry->off + entry->deny != 1
        || (entry->burst_set && entry->quota.tokens == 0))
    {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "what goes for \"%V\" is not clear, expected one "
                           "of \"rate=RATE [burst=NUMBER]\", \"off\" "
                           "and \"deny\"", &value[0]);
        return NGX_CONF_ERROR;
    }

    return NGX_CONF_OK;
}


/* Which entry of the zone's weir_country_limits is this client's; -1: none. */

int32_t
ngx_http_weir_find_entry(ngx_http_request_t *r, ngx_http_weir_ctx_t *ctx,
    ngx_http_weir_zone_t *zone)
{
    if (zone->country_limits == NULL) {
        return -1;
    }

    return weir_country_map_find(zone->country_limits->map,
                                 ngx_http_weir_country(r, ctx));
}
