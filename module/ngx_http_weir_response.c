
/*
 * What weir has to do with the response: it adds Retry-After where a limit has
 * refused the request, whoever writes the body then; and it charges limits
 * with count=, if the status is one that counts.
 *
 * The status that counts is the one that the client sees.  Of nginx's own header
 * filters, those that come later may turn a 200 into 206, 304, 412 or 416, and
 * nothing else: so a 200 is looked at when they are done, and all else before,
 * that a client which waits for its answer meets its charge.  Where no header
 * is sent (444, 499), or a subrequest is judged later, it is the status that is
 * logged.  A request is charged at most once, and not at all if weir itself
 * refuses it.
 */

#include "ngx_http_weir_module.h"


static ngx_int_t ngx_http_weir_header_filter(ngx_http_request_t *r);
static ngx_int_t ngx_http_weir_set_retry_after(ngx_http_request_t *r,
    uint64_t seconds);
static ngx_int_t ngx_http_weir_remember(ngx_http_request_t *r,
    ngx_http_weir_ctx_t *ctx, weir_limit_t *limit,
    ngx_http_weir_limit_t *conf);
static void ngx_http_weir_charge(ngx_http_weir_ctx_t *ctx, ngx_uint_t status);


#define NGX_HTTP_WEIR_SECOND  1000000000  /* in nanoseconds */


typedef struct {
    weir_limit_t                        limit;
    ngx_array_t                        *count;   /* statuses */
} ngx_http_weir_pending_t;


static ngx_http_output_header_filter_pt  ngx_http_next_header_filter;


void
ngx_http_weir_add_header_filter(void)
{
    ngx_http_next_header_filter = ngx_http_top_header_filter;
    ngx_http_top_header_filter = ngx_http_weir_header_filter;
}


static ngx_int_t
ngx_http_weir_header_filter(ngx_http_request_t *r)
{
    ngx_int_t             rc;
    ngx_http_weir_ctx_t  *ctx;

    if (r != r->main) {
        return ngx_http_next_header_filter(r);
    }

    ctx = ngx_http_weir_find_ctx(r);

    if (ctx && ctx->retry_after && !ctx->geo_denied
        && ngx_http_weir_set_retry_after(r, ctx->retry_after) != NGX_OK)
    {
        return NGX_ERROR;
    }

    if (ctx == NULL || ctx->pending == NULL) {
        return ngx_http_next_header_filter(r);
    }

    if (r->headers_out.status != NGX_HTTP_OK) {
        ngx_http_weir_charge(ctx, r->headers_out.status);

        return ngx_http_next_header_filter(r);
    }

    rc = ngx_http_next_header_filter(r);

    if (r->header_sent) {
        ngx_http_weir_charge(ctx, r->headers_out.status);
    }

    return rc;
}


ngx_int_t
ngx_http_weir_log_handler(ngx_http_request_t *r)
{
    ngx_http_weir_ctx_t  *ctx;

    if (r != r->main) {
        return NGX_OK;
    }

    ctx = ngx_http_weir_find_ctx(r);

    if (ctx) {
        ngx_http_weir_charge(ctx, r->err_status ? r->err_status
                                                : r->headers_out.status);
    }

    return NGX_OK;
}


/*
 * Whole seconds until all limits that refused a request would let it pass:
 * never too early.  0 if one of them never will.
 */

uint64_t
ngx_http_weir_retry_after(weir_limit_t *limits, ngx_uint_t n)
{
    uint64_t    wait, longest;
    ngx_uint_t  i;

    longest = 0;

    for (i = 0; i < n; i++) {

        if (limits[i].verdict != WEIR_REJECTED) {
            continue;
        }

        wait = weir_limit_retry_after(&limits[i]);

        if (wait == UINT64_MAX) {
            return 0;
        }

        longest = ngx_max(longest, wait);
    }

    return longest / NGX_HTTP_WEIR_SECOND
           + (longest % NGX_HTTP_WEIR_SECOND != 0);
}


/* In place of what an upstream may have said that serves the error page. */

static ngx_int_t
ngx_http_weir_set_retry_after(ngx_http_request_t *r, uint64_t seconds)
{
    ngx_uint_t        i;
    ngx_list_part_t  *part;
    ngx_table_elt_t  *h;

    static ngx_str_t  name = ngx_string("Retry-After");

    for (part = &r->headers_out.headers.part; part; part = part->next) {
        h = part->elts;

        for (i = 0; i < part->nelts; i++) {
            if (h[i].key.len == name.len
                && ngx_strncasecmp(h[i].key.data, name.data, name.len) == 0)
            {
                h[i].hash = 0;
            }
        }
    }

    h = ngx_list_push(&r->headers_out.headers);
    if (h == NULL) {
        return NGX_ERROR;
    }

    h->hash = 1;
    h->key = name;
#if (nginx_version >= 1023000)
    h->next = NULL;
#endif

    h->value.data = ngx_pnalloc(r->pool, NGX_INT64_LEN);
    if (h->value.data == NULL) {
        h->hash = 0;
        return NGX_ERROR;
    }

    h->value.len = ngx_sprintf(h->value.data, "%uL", seconds)
                   - h->value.data;

    return NGX_OK;
}


/* Remembers, of limits that have let a request pass, those with count=. */

ngx_int_t
ngx_http_weir_charge_later(ngx_http_request_t *r, ngx_http_weir_ctx_t *ctx,
    weir_limit_t *limits, ngx_http_weir_limit_t **conf, ngx_uint_t n)
{
    ngx_uint_t  i;

    for (i = 0; i < n; i++) {

        if (!limits[i].charge_later) {
            continue;
        }

        switch (limits[i].verdict) {

        case WEIR_PASSED:
        case WEIR_DELAYED:
        case WEIR_DELAYED_DRY_RUN:

            if (ngx_http_weir_remember(r, ctx, &limits[i], conf[i]) != NGX_OK)
            {
                return NGX_ERROR;
            }

            break;

        default: /* it rejects, or another one does */
            break;
        }
    }

    return NGX_OK;
}


/* The key is copied: it may be part of what changes until then. */

static ngx_int_t
ngx_http_weir_remember(ngx_http_request_t *r, ngx_http_weir_ctx_t *ctx,
    weir_limit_t *limit, ngx_http_weir_limit_t *conf)
{
    u_char                   *key;
    ngx_http_weir_pending_t  *pending;

    if (ctx->pending == NULL) {
        ctx->pending = ngx_array_create(r->pool, 1,
                                        sizeof(ngx_http_weir_pending_t));
        if (ctx->pending == NULL) {
            return NGX_ERROR;
        }
    }

    key = ngx_pnalloc(r->pool, limit->key_length);
    pending = ngx_array_push(ctx->pending);
    if (key == NULL || pending == NULL) {
        return NGX_ERROR;
    }

    ngx_memcpy(key, limit->key, limit->key_length);

    pending->limit = *limit;
    pending->limit.key = key;
    pending->count = conf->count;

    return NGX_OK;
}


static void
ngx_http_weir_charge(ngx_http_weir_ctx_t *ctx, ngx_uint_t status)
{
    ngx_uint_t               *code, i, j;
    ngx_http_weir_pending_t  *pending;

    if (ctx->pending == NULL) {
        return;
    }

    pending = ctx->pending->elts;

    for (i = 0; i < ctx->pending->nelts && !ctx->geo_denied; i++) {
        code = pending[i].count->elts;

        for (j = 0; j < pending[i].count->nelts; j++) {
            if (code[j] == status) {
                weir_charge(&pending[i].limit, &ngx_http_weir_clock);
                break;
            }
        }
    }

    ctx->pending = NULL;
}
