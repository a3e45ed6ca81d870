
/*
 * The limits that a request was judged under, kept for its response: those
 * with count=, which its status may charge, and those that its headers tell
 * of.
 *
 * A request is charged at most once, and not at all if weir itself refuses it.
 */

#include "ngx_http_weir_module.h"


static ngx_uint_t ngx_http_weir_may_be_charged(weir_limit_t *limit);


/* The keys are copied: they may be part of what changes until then. */

ngx_int_t
ngx_http_weir_remember(ngx_http_request_t *r, ngx_http_weir_loc_conf_t *wlcf,
    ngx_http_weir_ctx_t *ctx, ngx_http_weir_judged_t *judged, ngx_uint_t n)
{
    u_char        *key;
    ngx_uint_t     i, kept;
    weir_limit_t  *limit;

    kept = 0;

    for (i = 0; i < n; i++) {
        limit = judged[i].limit;

        judged[i].pending = ngx_http_weir_may_be_charged(limit);
        judged[i].told = r == r->main && wlcf->limit_headers
                         && !limit->dry_run;

        if (!judged[i].pending && !judged[i].told) {
            continue;
        }

        key = ngx_pnalloc(r->pool, limit->key_length);
        if (key == NULL) {
            return NGX_ERROR;
        }

        ngx_memcpy(key, limit->key, limit->key_length);
        limit->key = key;
        kept = 1;
    }

    if (kept) {
        ctx->judged = judged;
        ctx->njudged = n;
    }

    ctx->limit_headers = wlcf->limit_headers;

    return NGX_OK;
}


/* If it has let the request pass, and so have all others. */

static ngx_uint_t
ngx_http_weir_may_be_charged(weir_limit_t *limit)
{
    if (!limit->charge_later) {
        return 0;
    }

    switch (limit->verdict) {

    case WEIR_PASSED:
    case WEIR_DELAYED:
    case WEIR_DELAYED_DRY_RUN:
        return 1;

    default:
        return 0;
    }
}


void
ngx_http_weir_charge(ngx_http_weir_ctx_t *ctx, ngx_uint_t status)
{
    ngx_uint_t               i;
    ngx_http_weir_judged_t  *judged;

    judged = ctx->judged;

    for (i = 0; judged && i < ctx->njudged; i++) {

        if (judged[i].pending && !ctx->geo_denied
            && ngx_http_weir_is_counted(judged[i].conf, status))
        {
            weir_charge(judged[i].limit, &ngx_http_weir_clock);

            if (ctx->zone == &judged[i].conf->zone->name) {
                ctx->remaining = weir_limit_remaining(judged[i].limit);
            }
        }

        judged[i].pending = 0;
    }
}


ngx_uint_t
ngx_http_weir_is_counted(ngx_http_weir_limit_t *conf, ngx_uint_t status)
{
    ngx_uint_t  *code, i;

    code = conf->count->elts;

    for (i = 0; i < conf->count->nelts; i++) {
        if (code[i] == status) {
            return 1;
        }
    }

    return 0;
}
