
/*
 * Judges a request under the limits of its location, all of them at once.
 */

#include "ngx_http_weir_module.h"


static ngx_int_t ngx_http_weir_collect(ngx_http_request_t *r,
    ngx_http_weir_loc_conf_t *wlcf, ngx_http_weir_ctx_t *ctx,
    weir_limit_t *limits, ngx_http_weir_judged_t *judged);
static uint64_t ngx_http_weir_retry_after(weir_limit_t *limits, ngx_uint_t n,
    weir_verdict_t verdict);


#define NGX_HTTP_WEIR_SECOND  1000000000  /* in nanoseconds */


weir_clock_t  ngx_http_weir_clock = { weir_monotonic_now, NULL };


ngx_int_t
ngx_http_weir_judge(ngx_http_request_t *r, ngx_http_weir_loc_conf_t *wlcf,
    ngx_http_weir_ctx_t *ctx)
{
    size_t                   deciding;
    ngx_int_t                n;
    weir_limit_t            *limits;
    weir_verdict_t           verdict;
    ngx_http_weir_zone_t    *zone;
    ngx_http_weir_judged_t  *judged;

    n = wlcf->limits->nelts;

    limits = ngx_palloc(r->pool, n * sizeof(weir_limit_t));
    judged = ngx_palloc(r->pool, n * sizeof(ngx_http_weir_judged_t));
    if (limits == NULL || judged == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    n = ngx_http_weir_collect(r, wlcf, ctx, limits, judged);

    if (n == NGX_ERROR) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    if (n == 0) {
        return NGX_DECLINED;
    }

    verdict = weir_decide(limits, n, &ngx_http_weir_clock, &deciding);
    zone = judged[deciding].conf->zone;

    ctx->limit_verdict = verdict;
    ctx->zone = &zone->name;
    ctx->remaining = weir_limit_remaining(&limits[deciding]);
    ctx->retry_after = ngx_http_weir_retry_after(limits, n, verdict);

    if (verdict != WEIR_PASSED) {
        ngx_http_weir_log_limited(r, wlcf, zone, &limits[deciding]);
    }

    if (ngx_http_weir_remember(r, wlcf, ctx, judged, n) != NGX_OK) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    if (verdict == WEIR_REJECTED) {
        ctx->refused = (r == r->main);

        return wlcf->limit_status;
    }

    if (verdict == WEIR_DELAYED) {
        return ngx_http_weir_delay(r, weir_limit_delay(&limits[deciding]));
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
    ngx_http_weir_judged_t *judged)
{
    ngx_int_t                rc;
    ngx_str_t                key;
    ngx_uint_t               i, n;
    ngx_http_weir_limit_t  **all;

    all = wlcf->limits->elts;
    n = 0;

    for (i = 0; i < wlcf->limits->nelts; i++) {

        rc = ngx_http_weir_set_terms(r, ctx, all[i], &limits[n],
                                     &judged[n].quota);

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

        judged[n].limit = &limits[n];
        judged[n].conf = all[i];

        n++;
    }

    return n;
}


/*
 * Whole seconds until all limits that refused a request, or would have in
 * force, would let it pass: never too early.  0 if none refused it, or if one
 * of them never will.
 */

static uint64_t
ngx_http_weir_retry_after(weir_limit_t *limits, ngx_uint_t n,
    weir_verdict_t verdict)
{
    uint64_t    wait, longest;
    ngx_uint_t  i;

    longest = 0;

    for (i = 0; i < n; i++) {

        if (limits[i].verdict != verdict) {
            continue;
        }

        wait = weir_limit_retry_after(&limits[i]);

        if (wait == UINT64_MAX) {
            return 0;
        }

        longest = ngx_max(longest, wait);
    }

    return ngx_http_weir_whole_seconds(longest);
}


/* Of nanoseconds: rounded up, so that nobody is told to come too early. */

uint64_t
ngx_http_weir_whole_seconds(uint64_t nanoseconds)
{
    return nanoseconds / NGX_HTTP_WEIR_SECOND
           + (nanoseconds % NGX_HTTP_WEIR_SECOND != 0);
}
