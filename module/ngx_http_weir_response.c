
/*
 * What weir has to do with the response: it charges limits with count=, if the
 * status is one that counts; adds Retry-After where a limit has refused the
 * request, whoever writes the body then; and tells of the client's budgets.
 *
 * The status that counts is the one that the client sees.  Of nginx's own
 * header filters, those that come later may turn a 200 into 206, 304, 412 or
 * 416, and nothing else: so a 200 is looked at when they are done, and all
 * else before, that a client which waits for its answer meets its charge.
 * Where no header is sent (444, 499), or a subrequest is judged later, it is
 * the status that is logged.
 */

#include "ngx_http_weir_module.h"


static ngx_int_t ngx_http_weir_header_filter(ngx_http_request_t *r);
static ngx_int_t ngx_http_weir_set_headers_out(ngx_http_request_t *r,
    ngx_http_weir_ctx_t *ctx);


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
    ngx_uint_t            ok;
    ngx_http_weir_ctx_t  *ctx;

    if (r != r->main) {
        return ngx_http_next_header_filter(r);
    }

    ctx = ngx_http_weir_find_ctx(r);

    if (ctx == NULL) {
        return ngx_http_next_header_filter(r);
    }

    ok = r->headers_out.status == NGX_HTTP_OK;

    if (!ok) {
        ngx_http_weir_charge(ctx, r->headers_out.status);
    }

    if (!ctx->geo_denied
        && ngx_http_weir_set_headers_out(r, ctx) != NGX_OK)
    {
        return NGX_ERROR;
    }

    rc = ngx_http_next_header_filter(r);

    if (ok && r->header_sent) {
        ngx_http_weir_charge(ctx, r->headers_out.status);
    }

    return rc;
}


static ngx_int_t
ngx_http_weir_set_headers_out(ngx_http_request_t *r, ngx_http_weir_ctx_t *ctx)
{
    u_char     number[NGX_INT64_LEN];
    ngx_str_t  value;

    static ngx_str_t  retry_after = ngx_string("Retry-After");

    /* when a subrequest may come again is nothing to tell the client */

    if (ctx->refused && ctx->retry_after) {
        value.data = number;
        value.len = ngx_sprintf(number, "%uL", ctx->retry_after) - number;

        if (ngx_http_weir_set_response_header(r, &retry_after, &value)
            != NGX_OK)
        {
            return NGX_ERROR;
        }
    }

    return ngx_http_weir_set_limit_headers(r, ctx);
}


/*
 * Sets a header in place of what an upstream may have said.  The name has to
 * outlive the request; the value is copied.
 */

ngx_int_t
ngx_http_weir_set_response_header(ngx_http_request_t *r, ngx_str_t *name,
    ngx_str_t *value)
{
    ngx_uint_t        i;
    ngx_list_part_t  *part;
    ngx_table_elt_t  *h;

    for (part = &r->headers_out.headers.part; part; part = part->next) {
        h = part->elts;

        for (i = 0; i < part->nelts; i++) {
            if (h[i].key.len == name->len
                && ngx_strncasecmp(h[i].key.data, name->data, name->len) == 0)
            {
                h[i].hash = 0;
            }
        }
    }

    h = ngx_list_push(&r->headers_out.headers);
    if (h == NULL) {
        return NGX_ERROR;
    }

    h->hash = 0;
    h->key = *name;
#if (nginx_version >= 1023000)
    h->next = NULL;
#endif

    h->value.data = ngx_pstrdup(r->pool, value);
    if (h->value.data == NULL) {
        return NGX_ERROR;
    }

    h->value.len = value->len;
    h->hash = 1;

    return NGX_OK;
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
