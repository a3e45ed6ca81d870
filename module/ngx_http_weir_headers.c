
/*
 * Request headers for the upstream, which no client can spoof.
 *
 * What a client sent under a name that weir sets is removed at once, in the
 * POST_READ phase and for all locations of the server, before the rewrite
 * phase can read and keep it as $http_name; and the headers are set anew in
 * every PREACCESS pass, since internal redirects change the location.
 *
 * nginx's upstream modules copy r->headers_in.headers as they find it, with
 * elements marked as deleted, so removing means another list.  Elements stay
 * where they are, since headers_in.host and its like point at them: the list
 * is rebuilt of parts that point at the runs of elements that stay.  The
 * parts are always fresh ones: a subrequest starts with a copy of its parent's
 * list head, and must not change the parent's list through it.
 */

#include "ngx_http_weir_module.h"


static ngx_http_weir_header_t *ngx_http_weir_add_header(ngx_conf_t *cf,
    ngx_array_t *headers, ngx_str_t *name, ngx_http_weir_header_e type);
static ngx_int_t ngx_http_weir_collect_header(ngx_array_t *all,
    ngx_http_weir_header_t *header);
static ngx_int_t ngx_http_weir_remove_headers(ngx_http_request_t *r,
    ngx_array_t *headers);
static ngx_int_t ngx_http_weir_push_header(ngx_http_request_t *r,
    ngx_http_weir_header_t *header, ngx_str_t *value);
static ngx_int_t ngx_http_weir_is_ours(ngx_array_t *headers, u_char *name,
    size_t len);
static ngx_int_t ngx_http_weir_strip_connection(ngx_http_request_t *r,
    ngx_array_t *headers, ngx_table_elt_t *h);


/*
 * Backends see one name in many spellings: CGI folds case and turns "-" into
 * "_", and some turn other characters into "_" as well.  So two names are the
 * same if they differ only in case and in what is no letter or digit.
 */

static ngx_inline u_char
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


static ngx_int_t
ngx_http_weir_same_name(ngx_str_t *lowcase, u_char *name, size_t len)
{
    size_t  i;

    if (lowcase->len != len) {
        return 0;
    }

    for (i = 0; i < len; i++) {
        if (ngx_http_weir_fold(lowcase->data[i])
            != ngx_http_weir_fold(name[i]))
        {
            return 0;
        }
    }

    return 1;
}


static ngx_int_t
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


/* Configuration */


char *
ngx_http_weir_geo_headers(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    char                      *rv;
    ngx_http_weir_loc_conf_t  *wlcf = conf;

    rv = ngx_conf_set_flag_slot(cf, cmd, conf);

    if (rv == NGX_CONF_OK && wlcf->geo_headers) {
        ngx_http_weir_need_geo(cf, &cmd->name, ngx_http_weir_place(cf));
    }

    return rv;
}


/* weir_geo_header NAME VALUE; */

char *
ngx_http_weir_geo_header(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_weir_loc_conf_t *wlcf = conf;

    ngx_str_t                         *value, *name;
    ngx_uint_t                         i;
    ngx_http_weir_header_t            *header, **headers;
    ngx_http_compile_complex_value_t   ccv;

    /* Changing these would change what nginx itself has made of a request. */

    static ngx_str_t  reserved[] = {
        ngx_string("host"),
        ngx_string("connection"),
        ngx_string("content-length"),
        ngx_string("transfer-encoding"),
        ngx_string("te"),
        ngx_string("upgrade"),
        ngx_string("expect"),
        ngx_null_string
    };

    value = cf->args->elts;
    name = &value[1];

    ngx_http_weir_need_geo(cf, &cmd->name, ngx_http_weir_place(cf));

    for (i = 0; i < name->len; i++) {
        if (ngx_http_weir_fold(name->data[i]) == '-'
            && name->data[i] != '-' && name->data[i] != '_')
        {
            break;
        }
    }

    if (name->len == 0 || i < name->len) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid header name \"%V\" in \"weir_geo_header\","
                           " expected letters, digits, \"-\" and \"_\"", name);
        return NGX_CONF_ERROR;
    }

    for (i = 0; reserved[i].len; i++) {
        if (ngx_http_weir_same_name(&reserved[i], name->data, name->len)) {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "header \"%V\" can't be set by "
                               "\"weir_geo_header\", expected one that "
                               "nginx does not act on itself", name);
            return NGX_CONF_ERROR;
        }
    }

    if (wlcf->headers == NGX_CONF_UNSET_PTR) {
        wlcf->headers = ngx_array_create(cf->pool, 2, sizeof(void *));
        if (wlcf->headers == NULL) {
            return NGX_CONF_ERROR;
        }
    }

    headers = wlcf->headers->elts;

    for (i = 0; i < wlcf->headers->nelts; i++) {
        if (ngx_http_weir_same_name(&headers[i]->lowcase, name->data,
                                    name->len))
        {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "header \"%V\" is set twice at one level, "
                               "expected one \"weir_geo_header\" for each",
                               name);
            return NGX_CONF_ERROR;
        }
    }

    header = ngx_http_weir_add_header(cf, wlcf->headers, name,
                                      NGX_HTTP_WEIR_HEADER_VALUE);
    if (header == NULL) {
        return NGX_CONF_ERROR;
    }

    ngx_memzero(&ccv, sizeof(ngx_http_compile_complex_value_t));

    ccv.cf = cf;
    ccv.value = &value[2];
    ccv.complex_value = &header->value;

    if (ngx_http_compile_complex_value(&ccv) != NGX_OK) {
        return NGX_CONF_ERROR;
    }

    return NGX_CONF_OK;
}


static ngx_http_weir_header_t *
ngx_http_weir_add_header(ngx_conf_t *cf, ngx_array_t *headers, ngx_str_t *name,
    ngx_http_weir_header_e type)
{
    ngx_http_weir_header_t  *header, **slot;

    header = ngx_pcalloc(cf->pool, sizeof(ngx_http_weir_header_t));
    slot = ngx_array_push(headers);
    if (header == NULL || slot == NULL) {
        return NULL;
    }

    header->name = *name;
    header->type = type;

    header->lowcase.len = name->len;
    header->lowcase.data = ngx_pnalloc(cf->pool, name->len);
    if (header->lowcase.data == NULL) {
        return NULL;
    }

    header->hash = ngx_hash_strlow(header->lowcase.data, name->data,
                                   name->len);
    *slot = header;

    return header;
}


/*
 * What a location sets is made at merge time: weir_geo_headers' two headers
 * and those of weir_geo_header, of which one of the same name goes first.
 */

char *
ngx_http_weir_merge_headers(ngx_conf_t *cf, ngx_http_weir_loc_conf_t *prev,
    ngx_http_weir_loc_conf_t *conf)
{
    ngx_uint_t                 i;
    ngx_http_weir_header_t   **header, **slot;
    ngx_http_weir_srv_conf_t  *wscf;

    static struct {
        ngx_str_t               name;
        ngx_http_weir_header_e  type;
    } geo[] = {
        { ngx_string("X-Geo-Country"), NGX_HTTP_WEIR_HEADER_COUNTRY },
        { ngx_string("X-Geo-Continent"), NGX_HTTP_WEIR_HEADER_CONTINENT }
    };

    ngx_conf_merge_value(conf->geo_headers, prev->geo_headers, 0);
    ngx_conf_merge_ptr_value(conf->headers, prev->headers, NULL);

    if (!conf->geo_headers && conf->headers == NULL) {
        return NGX_CONF_OK;
    }

    if (conf->geo_headers == prev->geo_headers
        && conf->headers == prev->headers && prev->all_headers)
    {
        conf->all_headers = prev->all_headers;

    } else {
        conf->all_headers = ngx_array_create(cf->pool, 4, sizeof(void *));
        if (conf->all_headers == NULL) {
            return NGX_CONF_ERROR;
        }

        if (conf->headers) {
            header = conf->headers->elts;

            for (i = 0; i < conf->headers->nelts; i++) {
                slot = ngx_array_push(conf->all_headers);
                if (slot == NULL) {
                    return NGX_CONF_ERROR;
                }

                *slot = header[i];
            }
        }

        for (i = 0; conf->geo_headers && i < 2; i++) {
            if (!ngx_http_weir_is_ours(conf->all_headers, geo[i].name.data,
                                       geo[i].name.len)
                && ngx_http_weir_add_header(cf, conf->all_headers,
                                            &geo[i].name, geo[i].type)
                   == NULL)
            {
                return NGX_CONF_ERROR;
            }
        }
    }

    wscf = ngx_http_conf_get_module_srv_conf(cf, ngx_http_weir_module);
    header = conf->all_headers->elts;

    for (i = 0; i < conf->all_headers->nelts; i++) {
        if (ngx_http_weir_collect_header(&wscf->headers, header[i]) != NGX_OK)
        {
            return NGX_CONF_ERROR;
        }
    }

    return NGX_CONF_OK;
}


static ngx_int_t
ngx_http_weir_collect_header(ngx_array_t *all, ngx_http_weir_header_t *header)
{
    ngx_http_weir_header_t  **slot;

    if (ngx_http_weir_is_ours(all, header->name.data, header->name.len)) {
        return NGX_OK;
    }

    slot = ngx_array_push(all);
    if (slot == NULL) {
        return NGX_ERROR;
    }

    *slot = header;

    return NGX_OK;
}


/* Requests */


ngx_int_t
ngx_http_weir_strip_handler(ngx_http_request_t *r)
{
    ngx_uint_t                 i, n;
    ngx_list_part_t           *part;
    ngx_table_elt_t           *h;
    ngx_http_weir_srv_conf_t  *wscf;

    static ngx_str_t  connection = ngx_string("connection");

    wscf = ngx_http_get_module_srv_conf(r, ngx_http_weir_module);

    if (wscf->headers.nelts == 0) {
        return NGX_DECLINED;
    }

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
    u_char     *p, *end, *token, *last, *out;
    ngx_str_t   kept;

    kept.data = ngx_pnalloc(r->pool, h->value.len + 1);
    if (kept.data == NULL) {
        return NGX_ERROR;
    }

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

        if (last == token
            || ngx_http_weir_is_ours(headers, token, last - token))
        {
            continue;
        }

        if (out > kept.data) {
            *out++ = ',';
        }

        out = ngx_cpymem(out, token, last - token);
    }

    *out = '\0';
    kept.len = out - kept.data;

    if (kept.len != h->value.len) {
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
