
/*
 * Request headers for the upstream, which no client can spoof.
 *
 * What a client sent under a name that weir sets is removed at once, in the
 * first phase that the request goes through and for all locations of the
 * server, before the rewrite module can read and keep it as $http_name; and
 * the headers are set anew in every PREACCESS pass, since internal redirects
 * change the location.
 *
 * nginx's upstream modules copy r->headers_in.headers as they find it, with
 * elements marked as deleted, so removing means another list.  Elements stay
 * where they are, since headers_in.host and its like point at them: the list
 * is rebuilt of parts that point at the runs of elements that stay.  The
 * parts are always fresh ones: a subrequest starts with a copy of its parent's
 * list head, and must not change the parent's list through it.
 */

#include "ngx_http_weir_module.h"


static ngx_int_t ngx_http_weir_strip_connection(ngx_http_request_t *r,
    ngx_array_t *headers, ngx_table_elt_t *h);
static ngx_int_t ngx_http_weir_remove_headers(ngx_http_request_t *r,
    ngx_array_t *headers);
static ngx_int_t ngx_http_weir_push_header(ngx_http_request_t *r,
    ngx_http_weir_header_t *header, ngx_str_t *value);


/*
 * Backends see one name in many spellings: CGI folds case and turns "-" into
 * "_", and some turn other characters into "_" as well.  So two names are the
 * same if they differ only in case and in what is no letter or digit.
 */

u_char
ngx_http_weir_fold(u_char ch)
{
    if (ch >= 'A' && ch <= 'Z') {
        return ch | 0x20;
    }

    if ((ch >= 'a' && ch <= 'z') || (ch >= '0' && ch <= '9')) {
        return ch;
    }

    return '-';
}


ngx_int_t
ngx_http_weir_same_name(ngx_str_t *known, u_char *name, size_t len)
{
    size_t  i;

    if (known->len != len) {
        return 0;
    }

    for (i = 0; i < len; i++) {
        if (ngx_http_weir_fold(known->data[i])
            != ngx_http_weir_fold(name[i]))
        {
            return 0;
        }
    }

    return 1;
}


ngx_int_t
ngx_http_weir_is_ours(ngx_array_t *headers, u_char *name, size_t len)
{
    ngx_uint_t                i;
    ngx_http_weir_header_t  **header;

    header = headers->elts;

    for (i = 0; i < headers->nelts; i++) {
        if (ngx_http_weir_same_name(&header[i]->lowcase, name, len)) {
            return 1;
        }
    }

    return 0;
}


ngx_int_t
ngx_http_weir_strip_handler(ngx_http_request_t *r)
{
    ngx_uint_t                 i, n;
    ngx_list_part_t           *part;
    ngx_table_elt_t           *h;
    ngx_http_weir_ctx_t       *ctx;
    ngx_http_weir_srv_conf_t  *wscf;

    static ngx_str_t  connection = ngx_string("connection");

    wscf = ngx_http_get_module_srv_conf(r, ngx_http_weir_module);

    if (wscf->headers.nelts == 0) {
        return NGX_DECLINED;
    }

    ctx = ngx_http_weir_get_ctx(r);
    if (ctx == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    if (ctx->headers_stripped) {
        return NGX_DECLINED;
    }

    ctx->headers_stripped = 1;
    n = 0;

    for (part = &r->headers_in.headers.part; part; part = part->next) {
        h = part->elts;

        for (i = 0; i < part->nelts; i++) {

            n += ngx_http_weir_is_ours(&wscf->headers, h[i].key.data,
                                       h[i].key.len);

            if (ngx_http_weir_same_name(&connection, h[i].key.data,
                                        h[i].key.len)
                && ngx_http_weir_strip_connection(r, &wscf->headers, &h[i])
                   != NGX_OK)
            {
                return NGX_HTTP_INTERNAL_SERVER_ERROR;
            }
        }
    }

    if (n && ngx_http_weir_remove_headers(r, &wscf->headers) != NGX_OK) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    return NGX_DECLINED;
}


/*
 * A "Connection" header names headers that the next hop is to drop.  Where it
 * is handed on to the upstream it must not name ours.  nginx has taken from
 * it what it needs for itself.
 */

static ngx_int_t
ngx_http_weir_strip_connection(ngx_http_request_t *r, ngx_array_t *headers,
    ngx_table_elt_t *h)
{
    u_char      *p, *end, *token, *last, *out;
    ngx_str_t    kept;
    ngx_uint_t   dropped;

    kept.data = ngx_pnalloc(r->pool, h->value.len + 1);
    if (kept.data == NULL) {
        return NGX_ERROR;
    }

    dropped = 0;
    out = kept.data;
    p = h->value.data;
    end = p + h->value.len;

    while (p < end) {

        while (p < end && (*p == ' ' || *p == '\t' || *p == ',')) {
            p++;
        }

        token = p;

        while (p < end && *p != ',') {
            p++;
        }

        for (last = p;
             last > token && (last[-1] == ' ' || last[-1] == '\t');
             last--)
        { /* void */ }

        if (last == token) {
            continue;
        }

        if (ngx_http_weir_is_ours(headers, token, last - token)) {
            dropped = 1;
            continue;
        }

        if (out > kept.data) {
            *out++ = ',';
        }

        out = ngx_cpymem(out, token, last - token);
    }

    *out = '\0';
    kept.len = out - kept.data;

    if (dropped) {
        h->value = kept;
    }

    return NGX_OK;
}


/* Sets the location's headers, and removes those of an earlier pass. */

ngx_int_t
ngx_http_weir_set_headers(ngx_http_request_t *r, ngx_http_weir_ctx_t *ctx)
{
    ngx_str_t                  value;
    ngx_uint_t                 i, n;
    weir_country_t            *country;
    ngx_http_weir_header_t   **header;
    ngx_http_weir_loc_conf_t  *wlcf;
    ngx_http_weir_srv_conf_t  *wscf;

    wlcf = ngx_http_get_module_loc_conf(r, ngx_http_weir_module);
    wscf = ngx_http_get_module_srv_conf(r, ngx_http_weir_module);

    n = wlcf->all_headers ? wlcf->all_headers->nelts : 0;

    if (n == 0 && !ctx->headers_set) {
        return NGX_DECLINED;
    }

    if (ngx_http_weir_remove_headers(r, &wscf->headers) != NGX_OK) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    if (n == 0) {
        return NGX_DECLINED;
    }

    ctx->headers_set = 1;
    country = ngx_http_weir_country(r, ctx);
    header = wlcf->all_headers->elts;

    for (i = 0; i < n; i++) {

        switch (header[i]->type) {

        case NGX_HTTP_WEIR_HEADER_COUNTRY:
            value.data = (u_char *) country->code;
            value.len = 2;
            break;

        case NGX_HTTP_WEIR_HEADER_CONTINENT:
            value.data = (u_char *) country->continent;
            value.len = 2;
            break;

        default: /* NGX_HTTP_WEIR_HEADER_VALUE */

            if (ngx_http_complex_value(r, &header[i]->value, &value)
                != NGX_OK)
            {
                return NGX_HTTP_INTERNAL_SERVER_ERROR;
            }
        }

        if (ngx_http_weir_push_header(r, header[i], &value) != NGX_OK) {
            return NGX_HTTP_INTERNAL_SERVER_ERROR;
        }
    }

    return NGX_DECLINED;
}


/*
 * Rebuilds the list without the elements of these names.  Its last part is
 * said to be full, so that the next push starts a part of its own: upstream
 * modules read the first element of every part but the first, so there must
 * be no empty one.
 */

static ngx_int_t
ngx_http_weir_remove_headers(ngx_http_request_t *r, ngx_array_t *headers)
{
    ngx_uint_t        i, start;
    ngx_list_t       *list;
    ngx_list_part_t  *part, *run, *first, **next;
    ngx_table_elt_t  *h;

    list = &r->headers_in.headers;
    run = NULL;
    first = NULL;
    next = &first;

    for (part = &list->part; part; part = part->next) {
        h = part->elts;
        start = 0;

        for (i = 0; i <= part->nelts; i++) {

            if (i < part->nelts
                && !ngx_http_weir_is_ours(headers, h[i].key.data,
                                          h[i].key.len))
            {
                continue;
            }

            if (i > start) {
                run = ngx_palloc(r->pool, sizeof(ngx_list_part_t));
                if (run == NULL) {
                    return NGX_ERROR;
                }

                run->elts = &h[start];
                run->nelts = i - start;
                run->next = NULL;

                *next = run;
                next = &run->next;
            }

            start = i + 1;
        }
    }

    if (first == NULL) {
        return ngx_list_init(list, r->pool, 4, sizeof(ngx_table_elt_t));
    }

    list->part = *first;
    list->last = (run == first) ? &list->part : run;
    list->nalloc = run->nelts;

    return NGX_OK;
}


static ngx_int_t
ngx_http_weir_push_header(ngx_http_request_t *r,
    ngx_http_weir_header_t *header, ngx_str_t *value)
{
    size_t            i;
    ngx_table_elt_t  *h;

    /* as proxy_set_header: an empty value means no header */

    if (value->len == 0) {
        return NGX_OK;
    }

    h = ngx_list_push(&r->headers_in.headers);
    if (h == NULL) {
        return NGX_ERROR;
    }

    h->hash = header->hash;
    h->key = header->name;
    h->lowcase_key = header->lowcase.data;
    h->value.len = value->len;
    h->value.data = ngx_pnalloc(r->pool, value->len + 1);
    if (h->value.data == NULL) {
        return NGX_ERROR;
    }

    /* a decoded $uri may hold a line break: it must not start a header */

    for (i = 0; i < value->len; i++) {
        h->value.data[i] = value->data[i] < 0x20 ? ' ' : value->data[i];
    }

    h->value.data[i] = '\0';

#if (nginx_version >= 1023000)
    h->next = NULL;
#endif

    return NGX_OK;
}
