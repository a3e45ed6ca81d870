
/*
 * weir_limit_headers: what a response says of its client's budgets.
 *
 * "ietf" is draft-ietf-httpapi-ratelimit-headers-10, in structured fields
 * (RFC 9651): RateLimit-Policy lists the limits in force that the request was
 * judged under, the tightest first, and RateLimit tells how that one stands:
 * the limit with the fewest tokens left, and of equals the one that takes
 * longest to be full.  "legacy" tells of the same limit as X-RateLimit-*.
 *
 * Budgets are looked up here and now, not when the request was judged: what a
 * slow upstream's response says is as true as any other.
 */

#include "ngx_http_weir_module.h"


typedef struct {
    ngx_http_weir_judged_t             *judged;
    uint64_t                            quota;
    uint64_t                            window;    /* seconds */
    uint64_t                            remaining;
    uint64_t                            full_after; /* seconds, rounded up */
} ngx_http_weir_told_t;


static ngx_uint_t ngx_http_weir_look_all_up(ngx_http_weir_ctx_t *ctx,
    ngx_uint_t status, ngx_http_weir_told_t *told);
static void ngx_http_weir_look_up(ngx_http_weir_judged_t *judged,
    ngx_uint_t status, ngx_http_weir_told_t *told);
static uint32_t ngx_http_weir_still_to_charge(ngx_http_weir_judged_t *judged,
    ngx_uint_t status);
static ngx_int_t ngx_http_weir_set_ietf(ngx_http_request_t *r,
    ngx_http_weir_told_t *told, ngx_uint_t n);
static ngx_int_t ngx_http_weir_set_legacy(ngx_http_request_t *r,
    ngx_http_weir_told_t *told);
static ngx_int_t ngx_http_weir_set_number(ngx_http_request_t *r,
    ngx_str_t *name, uint64_t number);


#define NGX_HTTP_WEIR_POLICY_LEN                                              \
    (sizeof(";q=;w=, ") - 1 + 2 * NGX_INT64_LEN)


ngx_int_t
ngx_http_weir_set_limit_headers(ngx_http_request_t *r,
    ngx_http_weir_ctx_t *ctx)
{
    ngx_uint_t             n;
    ngx_http_weir_told_t  *told;

    if (ctx->judged == NULL || ctx->limit_headers == 0) {
        return NGX_OK;
    }

    told = ngx_palloc(r->pool, ctx->njudged * sizeof(ngx_http_weir_told_t));
    if (told == NULL) {
        return NGX_ERROR;
    }

    n = ngx_http_weir_look_all_up(ctx, r->headers_out.status, told);

    if (n == 0) {
        return NGX_OK;
    }

    if ((ctx->limit_headers & NGX_HTTP_WEIR_IETF)
        && ngx_http_weir_set_ietf(r, told, n) != NGX_OK)
    {
        return NGX_ERROR;
    }

    if (ctx->limit_headers & NGX_HTTP_WEIR_LEGACY) {
        return ngx_http_weir_set_legacy(r, told);
    }

    return NGX_OK;
}


/* How the limits stand, the tightest first.  Returns how many. */

static ngx_uint_t
ngx_http_weir_look_all_up(ngx_http_weir_ctx_t *ctx, ngx_uint_t status,
    ngx_http_weir_told_t *told)
{
    ngx_uint_t             i, n, tightest;
    ngx_http_weir_told_t   first;

    n = 0;
    tightest = 0;

    for (i = 0; i < ctx->njudged; i++) {

        if (!ctx->judged[i].told) {
            continue;
        }

        ngx_http_weir_look_up(&ctx->judged[i], status, &told[n]);

        if (told[n].remaining < told[tightest].remaining
            || (told[n].remaining == told[tightest].remaining
                && told[n].full_after > told[tightest].full_after))
        {
            tightest = n;
        }

        n++;
    }

    if (tightest) {
        first = told[tightest];
        ngx_memmove(&told[1], told, tightest * sizeof(ngx_http_weir_told_t));
        told[0] = first;
    }

    return n;
}


/*
 * A limit that has refused the request tells no more than that: a key for
 * which a full zone has no room owes nothing, and is refused all the same.
 */

static void
ngx_http_weir_look_up(ngx_http_weir_judged_t *judged, ngx_uint_t status,
    ngx_http_weir_told_t *told)
{
    uint64_t        wait;
    weir_limit_t    limit;
    weir_balance_t  balance;

    limit = *judged->limit;
    limit.cost = ngx_http_weir_still_to_charge(judged, status);

    weir_limit_balance(&limit, &ngx_http_weir_clock, &balance);

    if (judged->limit->verdict == WEIR_REJECTED) {
        balance.remaining = ngx_min(balance.remaining,
                                    weir_limit_remaining(judged->limit));
        wait = weir_limit_retry_after(judged->limit);

        if (wait != UINT64_MAX) {
            balance.full_after = ngx_max(balance.full_after, wait);
        }
    }

    told->judged = judged;
    told->quota = balance.quota;
    told->window = weir_quota_window(&judged->quota,
                                     judged->conf->zone->algorithm);
    told->remaining = balance.remaining;
    told->full_after = ngx_http_weir_whole_seconds(balance.full_after);
}


/*
 * A limit with count= may be charged after these headers: nginx's later
 * filters may turn a 200 into one of these statuses.  To tell too little is
 * better than to promise what is taken away.
 */

static uint32_t
ngx_http_weir_still_to_charge(ngx_http_weir_judged_t *judged,
    ngx_uint_t status)
{
    ngx_uint_t  i;

    static ngx_uint_t  later[] = {
        NGX_HTTP_OK,
        NGX_HTTP_PARTIAL_CONTENT,
        NGX_HTTP_NOT_MODIFIED,
        NGX_HTTP_PRECONDITION_FAILED,
        NGX_HTTP_RANGE_NOT_SATISFIABLE
    };

    if (!judged->pending || status != NGX_HTTP_OK) {
        return 0;
    }

    for (i = 0; i < sizeof(later) / sizeof(later[0]); i++) {
        if (ngx_http_weir_is_counted(judged->conf, later[i])) {
            return judged->limit->cost;
        }
    }

    return 0;
}


static ngx_int_t
ngx_http_weir_set_ietf(ngx_http_request_t *r, ngx_http_weir_told_t *told,
    ngx_uint_t n)
{
    size_t      len;
    u_char     *p;
    ngx_str_t   policy, limit, *name;
    ngx_uint_t  i;

    static ngx_str_t  policy_name = ngx_string("RateLimit-Policy");
    static ngx_str_t  limit_name = ngx_string("RateLimit");

    len = 0;

    for (i = 0; i < n; i++) {
        len += told[i].judged->conf->zone->field_name.len
               + NGX_HTTP_WEIR_POLICY_LEN;
    }

    policy.data = ngx_pnalloc(r->pool, len);
    if (policy.data == NULL) {
        return NGX_ERROR;
    }

    p = policy.data;

    for (i = 0; i < n; i++) {
        name = &told[i].judged->conf->zone->field_name;
        p = ngx_sprintf(p, "%s%V;q=%uL;w=%uL", i ? ", " : "", name,
                        told[i].quota, told[i].window);
    }

    policy.len = p - policy.data;

    name = &told[0].judged->conf->zone->field_name;

    limit.data = ngx_pnalloc(r->pool, name->len + NGX_HTTP_WEIR_POLICY_LEN);
    if (limit.data == NULL) {
        return NGX_ERROR;
    }

    limit.len = ngx_sprintf(limit.data, "%V;r=%uL;t=%uL", name,
                            told[0].remaining, told[0].full_after)
                - limit.data;

    if (ngx_http_weir_set_response_header(r, &policy_name, &policy)
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    return ngx_http_weir_set_response_header(r, &limit_name, &limit);
}


static ngx_int_t
ngx_http_weir_set_legacy(ngx_http_request_t *r, ngx_http_weir_told_t *told)
{
    static ngx_str_t  limit = ngx_string("X-RateLimit-Limit");
    static ngx_str_t  remaining = ngx_string("X-RateLimit-Remaining");
    static ngx_str_t  reset = ngx_string("X-RateLimit-Reset");

    if (ngx_http_weir_set_number(r, &limit, told->quota) != NGX_OK
        || ngx_http_weir_set_number(r, &remaining, told->remaining) != NGX_OK)
    {
        return NGX_ERROR;
    }

    return ngx_http_weir_set_number(r, &reset, told->full_after);
}


static ngx_int_t
ngx_http_weir_set_number(ngx_http_request_t *r, ngx_str_t *name,
    uint64_t number)
{
    u_char     buf[NGX_INT64_LEN];
    ngx_str_t  value;

    value.data = buf;
    value.len = ngx_sprintf(buf, "%uL", number) - buf;

    return ngx_http_weir_set_response_header(r, name, &value);
}


/*
 * A zone's name as a string of a structured field, which is printable ASCII in
 * quotes; anything else goes as %XX.
 */

ngx_int_t
ngx_http_weir_field_name(ngx_conf_t *cf, ngx_str_t *name,
    ngx_str_t *field_name)
{
    u_char      *p, ch;
    ngx_uint_t   i;

    p = ngx_pnalloc(cf->pool, 3 * name->len + 2);
    if (p == NULL) {
        return NGX_ERROR;
    }

    field_name->data = p;

    *p++ = '"';

    for (i = 0; i < name->len; i++) {
        ch = name->data[i];

        if (ch < 0x20 || ch > 0x7e) {
            p = ngx_sprintf(p, "%%%02Xi", (ngx_int_t) ch);
            continue;
        }

        if (ch == '"' || ch == '\\') {
            *p++ = '\\';
        }

        *p++ = ch;
    }

    *p++ = '"';

    field_name->len = p - field_name->data;

    return NGX_OK;
}
