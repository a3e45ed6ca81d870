
/*
 * The terms on which a limit judges a request: out of which budget, how many
 * tokens it takes, and when.
 *
 * The budget is that of a non-empty rate=$variable, else the country's, else
 * the zone's; what makes no sense as a rate means the zone's, and as a cost 1.
 * Such values may come from clients, so they are logged once.
 */

#include "ngx_http_weir_module.h"


static ngx_int_t ngx_http_weir_choose_allowance(ngx_http_request_t *r,
    ngx_http_weir_ctx_t *ctx, ngx_http_weir_limit_t *conf,
    ngx_http_weir_allowance_t *allowance);
static ngx_int_t ngx_http_weir_read_rate(ngx_http_request_t *r,
    ngx_http_weir_limit_t *conf, ngx_str_t *value,
    ngx_http_weir_allowance_t *allowance);
static ngx_int_t ngx_http_weir_read_cost(ngx_http_request_t *r,
    ngx_http_weir_limit_t *conf, uint32_t *cost);
static u_char *ngx_http_weir_quote(u_char *p, ngx_str_t *value);


#define NGX_HTTP_WEIR_QUOTED_LEN  64


/* NGX_DECLINED: the request is not limited. */

ngx_int_t
ngx_http_weir_set_terms(ngx_http_request_t *r, ngx_http_weir_ctx_t *ctx,
    ngx_http_weir_limit_t *conf, weir_limit_t *limit, weir_quota_t *quota)
{
    ngx_int_t                  rc;
    ngx_http_weir_allowance_t  allowance;

    rc = ngx_http_weir_choose_allowance(r, ctx, conf, &allowance);
    if (rc != NGX_OK) {
        return rc;
    }

    *quota = allowance.quota;
    limit->budget = allowance.budget;

    if (ngx_http_weir_read_cost(r, conf, &limit->cost) != NGX_OK) {
        return NGX_ERROR;
    }

    limit->undelayed = conf->undelayed;
    limit->charge_later = (conf->count != NULL);

    return NGX_OK;
}


static ngx_int_t
ngx_http_weir_choose_allowance(ngx_http_request_t *r,
    ngx_http_weir_ctx_t *ctx, ngx_http_weir_limit_t *conf,
    ngx_http_weir_allowance_t *allowance)
{
    int32_t                         found;
    ngx_str_t                       value;
    ngx_http_weir_country_entry_t  *entries;

    if (conf->rate) {

        if (ngx_http_complex_value(r, conf->rate, &value) != NGX_OK) {
            return NGX_ERROR;
        }

        if (value.len) {
            return ngx_http_weir_read_rate(r, conf, &value, allowance);
        }
    }

    found = ngx_http_weir_find_entry(r, ctx, conf->zone);

    if (found < 0) {
        *allowance = conf->allowance;
        return NGX_OK;
    }

    entries = conf->zone->country_limits->entries.elts;

    if (entries[found].off) {
        return NGX_DECLINED;
    }

    *allowance = conf->country_allowances[found];

    return NGX_OK;
}


static ngx_int_t
ngx_http_weir_read_rate(ngx_http_request_t *r, ngx_http_weir_limit_t *conf,
    ngx_str_t *value, ngx_http_weir_allowance_t *allowance)
{
    char          *or_off;
    weir_quota_t  *quota;
    weir_error_t   error, *explain;

    if (value->len == 3 && ngx_strncmp(value->data, "off", 3) == 0) {
        return NGX_DECLINED;
    }

    /* an explanation that nobody would read takes time */

    explain = conf->flags[NGX_HTTP_WEIR_BAD_RATE] ? NULL : &error;
    quota = &allowance->quota;

    if (weir_quota_parse((char *) value->data, value->len, quota, explain)
        == WEIR_OK)
    {
        quota->burst = conf->burst;

        if (weir_budget_make(quota, &conf->zone->format, &allowance->budget,
                             explain)
            == WEIR_OK)
        {
            return NGX_OK;
        }

        or_off = "";

    } else {
        or_off = ", or \"off\"";
    }

    *allowance = conf->allowance;

    if (explain && ngx_http_weir_once(&conf->flags[NGX_HTTP_WEIR_BAD_RATE])) {
        ngx_log_error(NGX_LOG_WARN, r->connection->log, 0,
                      "zone \"%V\" uses its own rate in place of "
                      "\"rate=%V\" (logged once): %s%s",
                      &conf->zone->name, &conf->rate->value, error.text,
                      or_off);
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_weir_read_cost(ngx_http_request_t *r, ngx_http_weir_limit_t *conf,
    uint32_t *cost)
{
    off_t      n;
    u_char     quoted[4 * NGX_HTTP_WEIR_QUOTED_LEN], *last;
    ngx_str_t  value;

    *cost = conf->fixed_cost;

    if (conf->cost == NULL) {
        return NGX_OK;
    }

    if (ngx_http_complex_value(r, conf->cost, &value) != NGX_OK) {
        return NGX_ERROR;
    }

    if (value.len == 0) {
        return NGX_OK;
    }

    n = ngx_atoof(value.data, value.len);

    if (n != NGX_ERROR && n <= NGX_HTTP_WEIR_MAX_COST) {
        *cost = (uint32_t) n;
        return NGX_OK;
    }

    if (ngx_http_weir_once(&conf->flags[NGX_HTTP_WEIR_BAD_COST])) {
        last = ngx_http_weir_quote(quoted, &value);

        ngx_log_error(NGX_LOG_WARN, r->connection->log, 0,
                      "zone \"%V\" takes one token in place of \"cost=%V\" "
                      "(logged once): invalid cost \"%*s\", "
                      "expected a number from 0 to %O",
                      &conf->zone->name, &conf->cost->value,
                      last - quoted, quoted, NGX_HTTP_WEIR_MAX_COST);
    }

    return NGX_OK;
}


/* So that neither its length nor its control characters can spoil the log. */

static u_char *
ngx_http_weir_quote(u_char *p, ngx_str_t *value)
{
    size_t  i, n;

    n = ngx_min(value->len, NGX_HTTP_WEIR_QUOTED_LEN - 1);

    for (i = 0; i < n; i++) {
        if (value->data[i] < 0x20 || value->data[i] == 0x7f) {
            p = ngx_sprintf(p, "\\x%02xd", (int) value->data[i]);
        } else {
            *p++ = value->data[i];
        }
    }

    return n < value->len ? ngx_cpymem(p, "...", 3) : p;
}
