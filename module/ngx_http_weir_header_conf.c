
/*
 * weir_geo_headers and weir_geo_header: which request headers each location
 * sets, and which of them, all locations of a server together, no client may
 * send.
 */

#include "ngx_http_weir_module.h"


static ngx_http_weir_header_t *ngx_http_weir_add_header(ngx_conf_t *cf,
    ngx_array_t *headers, ngx_str_t *name, ngx_http_weir_header_e type);
static ngx_int_t ngx_http_weir_collect_header(ngx_array_t *all,
    ngx_http_weir_header_t *header);


char *
ngx_http_weir_geo_headers(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    char                      *rv;
    ngx_http_weir_loc_conf_t  *wlcf = conf;

    rv = ngx_conf_set_flag_slot(cf, cmd, conf);

    if (rv == NGX_CONF_OK && wlcf->geo_headers) {
        ngx_http_weir_need_geo(cf, &cmd->name);
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
    ngx_http_header_t                 *known;
    ngx_http_weir_header_t            *header, **headers;
    ngx_http_compile_complex_value_t   ccv;

    value = cf->args->elts;
    name = &value[1];

    ngx_http_weir_need_geo(cf, &cmd->name);

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

    /*
     * nginx keeps pointers to the headers that it knows, and goes on using
     * what the client sent.  X-Real-IP it knows for realip only.
     */

    for (known = ngx_http_headers_in; known->name.len; known++) {
        if (ngx_http_weir_same_name(&known->name, name->data, name->len)
            && ngx_strcasecmp(known->name.data, (u_char *) "X-Real-IP") != 0)
        {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "header \"%V\" can't be set by "
                               "\"weir_geo_header\", expected one that "
                               "nginx does not read itself", name);
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
 * What a location sets is made at merge time: weir_geo_headers' two headers,
 * unless weir_geo_header sets one of the same name, and then those of
 * weir_geo_header, whose values may refer to the former.
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

        for (i = 0; conf->geo_headers && i < 2; i++) {
            if ((conf->headers == NULL
                 || !ngx_http_weir_is_ours(conf->headers, geo[i].name.data,
                                           geo[i].name.len))
                && ngx_http_weir_add_header(cf, conf->all_headers,
                                            &geo[i].name, geo[i].type)
                   == NULL)
            {
                return NGX_CONF_ERROR;
            }
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
