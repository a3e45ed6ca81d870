
/*
 * Judges a request under the limits of its location, all of them at once.
 */

#include "ngx_http_weir_module.h"


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
    ngx_int_t                rc;
    ngx_str_t                key;
    ngx_uint_t               i, n;
    weir_limit_t            *limits, *limit;
    ngx_http_weir_zone_t   **zones;
    ngx_http_weir_limit_t  **conf;

    conf = wlcf->limits->elts;

    limits = ngx_palloc(r->pool, wlcf->limits->nelts * sizeof(weir_limit_t));
    zones = ngx_palloc(r->pool, wlcf->limits->nelts * sizeof(void *));
    if (limits == NULL || zones == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    n = 0;

    for (i = 0; i < wlcf->limits->nelts; i++) {
        limit = &limits[n];

        rc = ngx_http_weir_set_terms(r, ctx, conf[i], limit);

        if (rc == NGX_ERROR) {
            return NGX_HTTP_INTERNAL_SERVER_ERROR;
        }

        if (rc == NGX_DECLINED) {
            continue;
        }

        rc = ngx_http_weir_key(r, conf[i]->zone, &key);

        if (rc == NGX_ERROR) {
            return NGX_HTTP_INTERNAL_SERVER_ERROR;
        }

        if (rc == NGX_DECLINED) {
            weir_zone_skip(conf[i]->zone->handle);
            continue;
        }

        limit->zone = conf[i]->zone->handle;
        limit->key = key.data;
        limit->key_length = key.len;
        limit->dry_run = wlcf->limit_dry_run || conf[i]->dry_run;
        zones[n++] = conf[i]->zone;
    }

    if (n == 0) {
        return NGX_DECLINED;
    }

    ctx->limit_verdict = weir_decide(limits, n, &ngx_http_weir_clock,
                                     &deciding);
    ctx->zone = &zones[deciding]->name;

    switch (ctx->limit_verdict) {

    case WEIR_PASSED:
        return NGX_DECLINED;

    case WEIR_REJECTED:
    case WEIR_REJECTED_DRY_RUN:
        ngx_http_weir_log_rejected(r, wlcf, &limits[deciding], ctx->zone);
        break;

    default: /* WEIR_DELAYED, WEIR_DELAYED_DRY_RUN */
        ngx_http_weir_log_delayed(r, wlcf, &limits[deciding], ctx->zone);
    }

    switch (ctx->limit_verdict) {

    case WEIR_REJECTED:

        /* that a subrequest may come again is nothing to tell the client */

        if (r == r->main) {
            ctx->retry_after = ngx_http_weir_retry_after(limits, n);
        }

        return wlcf->limit_status;

    case WEIR_DELAYED:
        return ngx_http_weir_delay(r, weir_limit_delay(&limits[deciding]));

    default: /* a dry run */
        return NGX_DECLINED;
    }
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
