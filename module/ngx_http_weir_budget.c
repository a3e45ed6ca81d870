
/*
 * From quotas as they are written to budgets in ticks.  Which quotas a zone
 * has to serve is known only when all limits and countries are: the zone's
 * rate with the burst of each limit, and each country's rate with its own
 * burst or that of each limit.
 */

#include "ngx_http_weir_module.h"


/* What goes under a limit for a country's entry; NULL: for all others. */

static weir_quota_t
ngx_http_weir_quota(ngx_http_weir_limit_t *limit,
    ngx_http_weir_country_entry_t *entry)
{
    weir_quota_t  quota;

    quota = entry ? entry->quota : limit->zone->quota;

    if (entry == NULL || !entry->burst_set) {
        quota.burst = limit->burst;
    }

    return quota;
}


/* The place is to blame if no zone of its own could serve the quota. */

static ngx_int_t
ngx_http_weir_add_quota(ngx_conf_t *cf, ngx_http_weir_zone_t *zone,
    ngx_array_t *quotas, weir_quota_t quota, ngx_http_weir_place_t *place)
{
    weir_error_t    error;
    weir_quota_t   *q;
    weir_format_t   format;

    if (weir_format_choose(zone->algorithm, &quota, 1, &format, &error)
        != WEIR_OK)
    {
        ngx_http_weir_error_at(cf, place, "%s", error.text);
        return NGX_ERROR;
    }

    q = ngx_array_push(quotas);
    if (q == NULL) {
        return NGX_ERROR;
    }

    *q = quota;

    return NGX_OK;
}


/* A sliding window has neither a burst nor delays. */

static ngx_int_t
ngx_http_weir_check_words(ngx_conf_t *cf, ngx_http_weir_main_conf_t *wmcf,
    ngx_http_weir_zone_t *zone)
{
    ngx_str_t                       *word;
    ngx_uint_t                       i, n;
    ngx_http_weir_limit_t          **limits;
    ngx_http_weir_country_entry_t   *entries;

    limits = wmcf->limits.elts;

    for (i = 0; i < wmcf->limits.nelts; i++) {

        if (limits[i]->zone != zone) {
            continue;
        }

        word = limits[i]->burst_word.len ? &limits[i]->burst_word
                                         : &limits[i]->delay_word;

        if (word->len) {
            ngx_http_weir_error_at(cf, &limits[i]->place,
                                   "\"%V\" has no meaning in zone \"%V\" "
                                   "with \"algorithm=sliding_window\", "
                                   "expected a limit without \"burst=\", "
                                   "\"delay=\" and \"nodelay\"",
                                   word, &zone->name);
            return NGX_ERROR;
        }
    }

    if (zone->country_limits == NULL) {
        return NGX_OK;
    }

    entries = zone->country_limits->entries.elts;
    n = zone->country_limits->entries.nelts;

    for (i = 0; i < n; i++) {
        if (entries[i].burst_set) {
            ngx_http_weir_error_at(cf, &entries[i].place,
                                   "\"burst=%uD\" has no meaning in zone "
                                   "\"%V\" with "
                                   "\"algorithm=sliding_window\", "
                                   "expected a rate alone",
                                   entries[i].quota.burst, &zone->name);
            return NGX_ERROR;
        }
    }

    return NGX_OK;
}


/* All quotas that the zone has to serve, under all of its limits. */

ngx_int_t
ngx_http_weir_collect_quotas(ngx_conf_t *cf, ngx_http_weir_main_conf_t *wmcf,
    ngx_http_weir_zone_t *zone, ngx_array_t *quotas)
{
    ngx_uint_t                       i, j, n;
    weir_quota_t                     quota;
    ngx_http_weir_limit_t          **limits;
    ngx_http_weir_country_entry_t   *entries;

    if (zone->algorithm == WEIR_SLIDING_WINDOW
        && ngx_http_weir_check_words(cf, wmcf, zone) != NGX_OK)
    {
        return NGX_ERROR;
    }

    if (ngx_http_weir_add_quota(cf, zone, quotas, zone->quota, &zone->place)
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    entries = NULL;
    n = 0;

    if (zone->country_limits) {
        entries = zone->country_limits->entries.elts;
        n = zone->country_limits->entries.nelts;
    }

    for (i = 0; i < n; i++) {
        if (entries[i].quota.tokens
            && ngx_http_weir_add_quota(cf, zone, quotas, entries[i].quota,
                                       &entries[i].place)
               != NGX_OK)
        {
            return NGX_ERROR;
        }
    }

    limits = wmcf->limits.elts;

    for (i = 0; i < wmcf->limits.nelts; i++) {

        if (limits[i]->zone != zone) {
            continue;
        }

        quota = ngx_http_weir_quota(limits[i], NULL);

        if (ngx_http_weir_add_quota(cf, zone, quotas, quota,
                                    &limits[i]->place)
            != NGX_OK)
        {
            return NGX_ERROR;
        }

        for (j = 0; j < n; j++) {

            if (entries[j].quota.tokens == 0) {
                continue;
            }

            quota = ngx_http_weir_quota(limits[i], &entries[j]);

            if (ngx_http_weir_add_quota(cf, zone, quotas, quota,
                                        &limits[i]->place)
                != NGX_OK)
            {
                return NGX_ERROR;
            }
        }
    }

    return NGX_OK;
}


/* How many tokens a key may use at once: no request may cost more. */

static uint64_t
ngx_http_weir_capacity(ngx_http_weir_zone_t *zone, weir_quota_t *quota)
{
    return zone->algorithm == WEIR_SLIDING_WINDOW
               ? quota->tokens : (uint64_t) quota->burst + 1;
}


/* A fixed cost that no budget of the limit allows refuses every request. */

static ngx_int_t
ngx_http_weir_check_cost(ngx_conf_t *cf, ngx_http_weir_limit_t *limit)
{
    uint64_t                        largest;
    ngx_uint_t                      i;
    weir_quota_t                    quota;
    ngx_http_weir_zone_t           *zone;
    ngx_http_weir_country_entry_t  *entries;

    zone = limit->zone;

    if (limit->cost
        || (limit->rate && zone->algorithm == WEIR_SLIDING_WINDOW))
    {
        return NGX_OK;
    }

    quota = ngx_http_weir_quota(limit, NULL);
    largest = ngx_http_weir_capacity(zone, &quota);

    if (zone->country_limits) {
        entries = zone->country_limits->entries.elts;

        for (i = 0; i < zone->country_limits->entries.nelts; i++) {

            if (entries[i].quota.tokens) {
                quota = ngx_http_weir_quota(limit, &entries[i]);
                largest = ngx_max(largest,
                                  ngx_http_weir_capacity(zone, &quota));
            }
        }
    }

    if (limit->fixed_cost > largest) {
        ngx_http_weir_error_at(cf, &limit->place,
                               "\"cost=%uD\" is more than zone \"%V\" allows "
                               "at once, expected at most %uL",
                               limit->fixed_cost, &zone->name, largest);
        return NGX_ERROR;
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_weir_make_allowance(ngx_conf_t *cf, ngx_http_weir_limit_t *limit,
    ngx_http_weir_country_entry_t *entry, ngx_http_weir_allowance_t *allowance)
{
    weir_error_t  error;

    allowance->quota = ngx_http_weir_quota(limit, entry);

    if (weir_budget_make(&allowance->quota, &limit->zone->format,
                         &allowance->budget, &error)
        != WEIR_OK)
    {
        ngx_http_weir_error_at(cf, &limit->place, "zone \"%V\": %s",
                               &limit->zone->name, error.text);
        return NGX_ERROR;
    }

    return NGX_OK;
}


ngx_int_t
ngx_http_weir_make_allowances(ngx_conf_t *cf, ngx_http_weir_limit_t *limit)
{
    ngx_uint_t                       i, n;
    ngx_http_weir_zone_t            *zone;
    ngx_http_weir_allowance_t       *allowances;
    ngx_http_weir_country_entry_t   *entries;

    if (ngx_http_weir_check_cost(cf, limit) != NGX_OK) {
        return NGX_ERROR;
    }

    if (ngx_http_weir_make_allowance(cf, limit, NULL, &limit->allowance)
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    zone = limit->zone;

    if (zone->country_limits == NULL) {
        return NGX_OK;
    }

    entries = zone->country_limits->entries.elts;
    n = zone->country_limits->entries.nelts;

    allowances = ngx_palloc(cf->pool, n * sizeof(ngx_http_weir_allowance_t));
    if (allowances == NULL) {
        return NGX_ERROR;
    }

    limit->country_allowances = allowances;

    for (i = 0; i < n; i++) {

        /*
         * A country that is denied may be met all the same: by a subrequest,
         * since denials are for main requests, and in dry run.  Then the
         * zone's own rate goes for it.
         */

        if (entries[i].quota.tokens == 0) {
            allowances[i] = limit->allowance;
            continue;
        }

        if (ngx_http_weir_make_allowance(cf, limit, &entries[i],
                                         &allowances[i])
            != NGX_OK)
        {
            return NGX_ERROR;
        }
    }

    return NGX_OK;
}
