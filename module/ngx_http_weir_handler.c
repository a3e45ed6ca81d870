
/*
 * A request's way through, in the PREACCESS phase, after realip:
 * bypass -> geo filter -> limits -> headers for the upstream.
 */

#include "ngx_http_weir_module.h"


static ngx_int_t ngx_http_weir_control(ngx_http_request_t *r,
    ngx_http_weir_loc_conf_t *wlcf, ngx_http_weir_ctx_t *ctx);
static ngx_int_t ngx_http_weir_filter(ngx_http_request_t *r,
    ngx_http_weir_loc_conf_t *wlcf, ngx_http_weir_ctx_t *ctx);
static ngx_uint_t ngx_http_weir_permits(ngx_http_request_t *r,
    ngx_http_weir_loc_conf_t *wlcf, ngx_http_weir_ctx_t *ctx);


ngx_int_t
ngx_http_weir_handler(ngx_http_request_t *r)
{
    ngx_int_t                  rc;
    ngx_http_weir_ctx_t       *ctx;
    ngx_http_weir_loc_conf_t  *wlcf;
    ngx_http_weir_srv_conf_t  *wscf;

    wlcf = ngx_http_get_module_loc_conf(r, ngx_http_weir_module);
    wscf = ngx_http_get_module_srv_conf(r, ngx_http_weir_module);

    if (wlcf->filter == NULL
        && wlcf->limits == NULL
        && wscf->headers.nelts == 0)
    {
        return NGX_DECLINED;
    }

    ctx = ngx_http_weir_get_ctx(r);
    if (ctx == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    /* A denied request has had its answer; this is error_page's redirect. */

    if (!ctx->geo_denied) {
        rc = ngx_http_weir_control(r, wlcf, ctx);
        if (rc != NGX_DECLINED) {
            return rc;
        }
    }

    return ngx_http_weir_set_headers(r, ctx);
}


/*
 * What may stop the request: filters, as nginx's access rules at each pass but
 * not for subrequests; limits, once.  weir_bypass goes for the location at
 * hand, so that limits met behind a redirect may apply where it doesn't.
 */

static ngx_int_t
ngx_http_weir_control(ngx_http_request_t *r, ngx_http_weir_loc_conf_t *wlcf,
    ngx_http_weir_ctx_t *ctx)
{
    ngx_int_t  rc;

    if (wlcf->limits == NULL && (wlcf->filter == NULL || r != r->main)) {
        return NGX_DECLINED;
    }

    rc = ngx_http_test_predicates(r, wlcf->bypass);

    if (rc == NGX_ERROR) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    if (r == r->main) {
        ctx->bypassed = (rc == NGX_DECLINED);
    }

    if (rc == NGX_DECLINED) {
        return NGX_DECLINED;
    }

    if (r == r->main) {
        rc = ngx_http_weir_filter(r, wlcf, ctx);
        if (rc != NGX_DECLINED) {
            return rc;
        }
    }

    if (wlcf->limits == NULL || ctx->limit_verdict != WEIR_NONE) {
        return NGX_DECLINED;
    }

    return ngx_http_weir_judge(r, wlcf, ctx);
}


static ngx_int_t
ngx_http_weir_filter(ngx_http_request_t *r, ngx_http_weir_loc_conf_t *wlcf,
    ngx_http_weir_ctx_t *ctx)
{
    if (wlcf->filter) {
        ctx->geo_evaluated = 1;
    }

    if (ngx_http_weir_permits(r, wlcf, ctx)) {
        return NGX_DECLINED;
    }

    if (!wlcf->geo_dry_run) {
        ctx->geo_denied = 1;

        ngx_log_error(wlcf->geo_log_level, r->connection->log, 0,
                      "geo denied, country: %s",
                      ngx_http_weir_country(r, ctx)->code);

        return wlcf->geo_status;
    }

    if (!ctx->geo_denied_dry_run) {
        ctx->geo_denied_dry_run = 1;

        ngx_log_error(wlcf->geo_log_level, r->connection->log, 0,
                      "geo denied, dry run, country: %s",
                      ngx_http_weir_country(r, ctx)->code);
    }

    return NGX_DECLINED;
}


/*
 * Whether the lists let the client in, and no weir_country_limits deny it:
 * private addresses, which take "default" there, are denied by lists alone.
 */

static ngx_uint_t
ngx_http_weir_permits(ngx_http_request_t *r, ngx_http_weir_loc_conf_t *wlcf,
    ngx_http_weir_ctx_t *ctx)
{
    int32_t                          found;
    ngx_uint_t                       i;
    ngx_http_weir_limit_t          **limits;
    ngx_http_weir_country_entry_t   *entry;

    if (wlcf->filter
        && !weir_country_filter_permits(wlcf->filter->lists,
                                        ngx_http_weir_country(r, ctx)))
    {
        return 0;
    }

    if (wlcf->limits == NULL) {
        return 1;
    }

    limits = wlcf->limits->elts;

    for (i = 0; i < wlcf->limits->nelts; i++) {
        found = ngx_http_weir_find_entry(r, ctx, limits[i]->zone);

        if (found >= 0) {
            entry = limits[i]->zone->country_limits->entries.elts;

            if (entry[found].deny
                && ngx_strcmp(ngx_http_weir_country(r, ctx)->code, "ZZ") != 0)
            {
                return 0;
            }
        }
    }

    return 1;
}
