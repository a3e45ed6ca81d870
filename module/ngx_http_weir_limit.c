
/*
 * Judges a request under the limits of its location, all of them at once.
 */

#include "ngx_http_weir_module.h"


static ngx_int_t ngx_http_weir_collect(ngx_http_request_t *r,
    ngx_http_weir_loc_conf_t *wlcf, ngx_http_weir_ctx_t *ctx,
    weir_limit_t *limits, ngx_http_weir_limit_t **conf);
static void ngx_http_weir_log_rejected(ngx_http_request_t *r,
    ngx_http_weir_loc_conf_t *wlcf, weir_limit_t *limit, ngx_str_t *zone);
static void ngx_http_weir_log_delayed(ngx_http_request_t *r,
    ngx_http_weir_loc_conf_t *wlcf, weir_limit_t *limit, ngx_str_t *zone);


weir_clock_t  ngx_http_weir_clock = { weir_monotonic_now, NULL };


ngx_int_t
ngx_http_weir_judge(ngx_http_request_t *r, ngx_http_weir_loc_conf_t *wlcf,
    ngx_http_weir_ctx_t *ctx)
{
    size_t                   deciding;
    ngx_int_t                n;
    weir_limit_t            *limits;
    ngx_http_weir_limit_t  **conf;

    limits = ngx_palloc(r->pool, wlcf->limits->nelts * sizeof(weir_limit_t));
    conf = ngx_palloc(r->pool, wlcf->limits->nelts * sizeof(void *));
    if (limits == NULL || conf == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    n = ngx_http_weir_collect(r, wlcf, ctx, limits, conf);

    if (n == NGX_ERROR) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    if (n == 0) {
        return NGX_DECLINED;
    }

    ctx->limit_verdict = weir_decide(limits, n, &ngx_http_weir_clock,
                                     &deciding);
    ctx->zone = &conf[deciding]->zone->name;

    if (ctx->limit_verdict == WEIR_REJECTED) {
        ngx_http_weir_log_rejected(r, wlcf, &limits[deciding], ctx->zone);

        /* when a subrequest may come again is nothing to tell the client */

        if (r == r->main) {
            ctx->retry_after = ngx_http_weir_retry_after(limits, n);
        }

        return wlcf->limit_status;
    }

    if (ngx_http_weir_charge_later(r, ctx, limits, conf, n) != NGX_OK) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    switch (ctx->limit_verdict) {

    case WEIR_DELAYED:
        ngx_http_weir_log_delayed(r, wlcf, &limits[deciding], ctx->zone);

        return ngx_http_weir_delay(r, weir_limit_delay(&limits[deciding]));

    case WEIR_DELAYED_DRY_RUN:
        ngx_http_weir_log_delayed(r, wlcf, &limits[deciding], ctx->zone);
        break;

    case WEIR_REJECTED_DRY_RUN:
        ngx_http_weir_log_rejected(r, wlcf, &limits[deciding], ctx->zone);
        break;

    default: /* WEIR_PASSED */
        break;
    }

    return NGX_DECLINED;
}


/*
 * Of the location's limits those that the request has to meet, and what they
 * were written as.  Returns how many.
 */

static ngx_int_t
ngx_http_weir_collect(ngx_http_request_t *r, ngx_http_weir_loc_conf_t *wlcf,
    ngx_http_weir_ctx_t *ctx, weir_limit_t *limits,
    ngx_http_weir_limit_t **conf)
{
    ngx_int_t                rc;
    ngx_str_t                key;
    ngx_uint_t               i, n;
    ngx_http_weir_limit_t  **all;

    all = wlcf->limits->elts;
    n = 0;

    for (i = 0; i < wlcf->limits->nelts; i++) {

        rc = ngx_http_weir_set_terms(r, ctx, all[i], &limits[n]);

        if (rc == NGX_ERROR) {
            return NGX_ERROR;
        }

        if (rc == NGX_DECLINED) {
            continue;
        }

        rc = ngx_http_weir_key(r, all[i]->zone, &key);

        if (rc == NGX_ERROR) {
            return NGX_ERROR;
        }

        if (rc == NGX_DECLINED) {
            weir_zone_skip(all[i]->zone->handle);
            continue;
        }

        limits[n].zone = all[i]->zone->handle;
        limits[n].key = key.data;
        limits[n].key_length = key.len;
        limits[n].dry_run = wlcf->limit_dry_run || all[i]->dry_run;
        conf[n++] = all[i];
    }

    return n;
}


/* The texts are limit_req's, so that filters made for it go on working. */

static void
ngx_http_weir_log_rejected(ngx_http_request_t *r,
    ngx_http_weir_loc_conf_t *wlcf, weir_limit_t *limit, ngx_str_t *zone)
{
    uint64_t  excess;

    excess = weir_limit_excess(limit);

    ngx_log_error(wlcf->limit_log_level, r->connection->log, 0,
                  "limiting requests%s, excess: %uL.%03uL by zone \"%V\"",
                  limit->verdict == WEIR_REJECTED_DRY_RUN ? ", dry run" : "",
                  excess / 1000, excess % 1000, zone);
}


static void
ngx_http_weir_log_delayed(ngx_http_request_t *r,
    ngx_http_weir_loc_conf_t *wlcf, weir_limit_t *limit, ngx_str_t *zone)
{
    uint64_t  excess;

    excess = weir_limit_excess(limit);

    ngx_log_error(wlcf->delay_log_level, r->connection->log, 0,
                  "delaying request%s, excess: %uL.%03uL, by zone \"%V\"",
                  limit->verdict == WEIR_DELAYED_DRY_RUN ? ", dry run" : "",
                  excess / 1000, excess % 1000, zone);
}
