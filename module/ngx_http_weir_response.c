
/*
 * What weir adds to the response: Retry-After, where a limit has refused the
 * request, whoever writes the body then.
 */

#include "ngx_http_weir_module.h"


static ngx_int_t ngx_http_weir_header_filter(ngx_http_request_t *r);
static ngx_int_t ngx_http_weir_set_retry_after(ngx_http_request_t *r,
    uint64_t seconds);


#define NGX_HTTP_WEIR_SECOND  1000000000  /* in nanoseconds */


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

    return ngx_http_next_header_filter(r);
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
