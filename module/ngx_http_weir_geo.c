
/*
 * Which address of a request counts, its country, and lists of countries.
 */

#include "ngx_http_weir_module.h"


static ngx_http_weir_filter_t *ngx_http_weir_new_filter(ngx_conf_t *cf);
static ngx_int_t ngx_http_weir_geo_variable_is_used(ngx_conf_t *cf);
static size_t ngx_http_weir_parse_address(ngx_str_t *text, u_char *address);


/* weir_geo_source $variable; */

char *
ngx_http_weir_geo_source(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_weir_loc_conf_t *wlcf = conf;

    ngx_str_t  *value, name;

    if (wlcf->geo_source != NGX_CONF_UNSET) {
        return "is duplicate";
    }

    value = cf->args->elts;
    name.data = value[1].data + 1;
    name.len = value[1].len - 1;

    if (ngx_http_script_variables_count(&value[1]) != 1
        || value[1].data[0] != '$')
    {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "\"%V\" in \"weir_geo_source\" is no variable, "
                           "expected \"$variable\"", &value[1]);
        return NGX_CONF_ERROR;
    }

    ngx_http_weir_need_geo(cf, &cmd->name);

    wlcf->geo_source = ngx_http_get_variable_index(cf, &name);

    return wlcf->geo_source == NGX_ERROR ? NGX_CONF_ERROR : NGX_CONF_OK;
}


/* weir_geo_override CIDR CODE; */

char *
ngx_http_weir_geo_override(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_weir_main_conf_t *wmcf = conf;

    ngx_str_t     *value;
    weir_error_t   error;

    ngx_http_weir_need_geo(cf, &cmd->name);

    if (wmcf->overrides == NULL) {
        wmcf->overrides = weir_geo_overrides_new();

        if (ngx_http_weir_own(cf, wmcf->overrides,
                              (ngx_pool_cleanup_pt) weir_geo_overrides_free)
            != NGX_OK)
        {
            return NGX_CONF_ERROR;
        }
    }

    value = cf->args->elts;

    if (weir_geo_overrides_add(wmcf->overrides, (char *) value[1].data,
                               value[1].len, (char *) value[2].data,
                               value[2].len, &error)
        != WEIR_OK)
    {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0, "%s in \"%V\"",
                           error.text, &cmd->name);
        return NGX_CONF_ERROR;
    }

    return NGX_CONF_OK;
}


/* weir_geo_allow CODE ...;  weir_geo_deny CODE ...; */

char *
ngx_http_weir_geo_filter(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_weir_loc_conf_t *wlcf = conf;

    ngx_str_t      *value;
    ngx_uint_t      i, allow;
    weir_error_t    error;
    weir_status_t   status;

    value = cf->args->elts;
    allow = ngx_strcmp(cmd->name.data, "weir_geo_allow") == 0;

    ngx_http_weir_need_geo(cf, &cmd->name);

    if (wlcf->filter == NULL) {

        wlcf->filter = ngx_http_weir_new_filter(cf);
        if (wlcf->filter == NULL) {
            return NGX_CONF_ERROR;
        }
    }

    for (i = 1; i < cf->args->nelts; i++) {

        status = allow ? weir_country_filter_allow(wlcf->filter->lists,
                                                   (char *) value[i].data,
                                                   value[i].len, &error)
                       : weir_country_filter_deny(wlcf->filter->lists,
                                                  (char *) value[i].data,
                                                  value[i].len, &error);

        if (status != WEIR_OK) {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0, "%s in \"%V\"",
                               error.text, &cmd->name);
            return NGX_CONF_ERROR;
        }
    }

    return NGX_CONF_OK;
}


static ngx_http_weir_filter_t *
ngx_http_weir_new_filter(ngx_conf_t *cf)
{
    ngx_http_weir_filter_t     *filter, **slot;
    ngx_http_weir_main_conf_t  *wmcf;

    wmcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_weir_module);

    filter = ngx_palloc(cf->pool, sizeof(ngx_http_weir_filter_t));
    slot = ngx_array_push(&wmcf->filters);
    if (filter == NULL || slot == NULL) {
        return NULL;
    }

    filter->place = ngx_http_weir_place(cf);

    filter->lists = weir_country_filter_new();

    if (ngx_http_weir_own(cf, filter->lists,
                          (ngx_pool_cleanup_pt) weir_country_filter_free)
        != NGX_OK)
    {
        return NULL;
    }

    *slot = filter;

    return filter;
}


/*
 * Notes that the word being read, a directive or a key, can't do without a
 * database; the first is kept.
 */

void
ngx_http_weir_need_geo(ngx_conf_t *cf, ngx_str_t *word)
{
    ngx_http_weir_main_conf_t  *wmcf;

    wmcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_weir_module);

    if (wmcf->geo_word.len == 0) {
        wmcf->geo_word = *word;
        wmcf->geo_place = ngx_http_weir_place(cf);
    }
}


ngx_int_t
ngx_http_weir_check_geo(ngx_conf_t *cf, ngx_http_weir_main_conf_t *wmcf)
{
    ngx_uint_t                i;
    weir_country_t            unknown;
    ngx_http_weir_filter_t  **filter;

    if (wmcf->geo_word.len && wmcf->countries == NULL) {
        ngx_http_weir_error_at(cf, &wmcf->geo_place,
                               "\"%V\" has no country database to ask, "
                               "expected \"weir_geo_db FILE\" "
                               "at the http level", &wmcf->geo_word);
        return NGX_ERROR;
    }

    /* A shared log format may well name it; see also weir_limit_zone. */

    if (wmcf->countries == NULL && ngx_http_weir_geo_variable_is_used(cf)) {
        ngx_log_error(NGX_LOG_NOTICE, cf->log, 0,
                      "\"$weir_country\" or \"$weir_continent\" is used, and "
                      "without \"weir_geo_db FILE\" every public address "
                      "is \"XX\"");
    }

    if (wmcf->countries == NULL || wmcf->countries->found) {
        return NGX_OK;
    }

    /* An optional database is missing: who comes from nowhere known? */

    weir_geo_country(NULL, NULL, NULL, 0, &unknown);
    filter = wmcf->filters.elts;

    for (i = 0; i < wmcf->filters.nelts; i++) {
        if (!weir_country_filter_permits(filter[i]->lists, &unknown)) {
            ngx_log_error(NGX_LOG_WARN, cf->log, 0,
                          "without a country database, this allow or deny "
                          "list denies every client that is neither private "
                          "nor in a \"weir_geo_override\" in %V:%ui",
                          &filter[i]->place.file, filter[i]->place.line);
        }
    }

    return NGX_OK;
}


/* Whether anything in the configuration refers to a geo variable. */

static ngx_int_t
ngx_http_weir_geo_variable_is_used(ngx_conf_t *cf)
{
    ngx_uint_t                  i;
    ngx_http_variable_t        *v;
    ngx_http_core_main_conf_t  *cmcf;

    cmcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_core_module);
    v = cmcf->variables.elts;

    for (i = 0; i < cmcf->variables.nelts; i++) {
        if ((v[i].name.len == 12
             && ngx_strncmp(v[i].name.data, "weir_country", 12) == 0)
            || (v[i].name.len == 14
                && ngx_strncmp(v[i].name.data, "weir_continent", 14) == 0))
        {
            return 1;
        }
    }

    return 0;
}


/* The country of the request's address.  It is looked up once. */

weir_country_t *
ngx_http_weir_country(ngx_http_request_t *r, ngx_http_weir_ctx_t *ctx)
{
    ngx_http_weir_main_conf_t  *wmcf;

    ngx_http_weir_locate(r, ctx);

    if (!ctx->country_set) {
        wmcf = ngx_http_get_module_main_conf(r, ngx_http_weir_module);

        weir_geo_country(wmcf->countries ? wmcf->countries->geo : NULL,
                         wmcf->overrides, ctx->address, ctx->address_len,
                         &ctx->country);
        ctx->country_set = 1;
    }

    return &ctx->country;
}


/*
 * Finds the address whose country is asked for: the connection's, or what the
 * location's weir_geo_source says.  What is known of it is kept until that
 * changes: realip gives the connection another sockaddr, and a redirect may
 * lead to a location with another source, or change the source's value.
 */

void
ngx_http_weir_locate(ngx_http_request_t *r, ngx_http_weir_ctx_t *ctx)
{
    void                       *addr;
    ngx_str_t                   text;
    struct sockaddr            *sa;
    ngx_http_weir_loc_conf_t   *wlcf;
    ngx_http_variable_value_t  *vv;

    wlcf = ngx_http_get_module_loc_conf(r, ngx_http_weir_module);

    sa = r->connection->sockaddr;
    ngx_str_set(&text, "");

    if (wlcf->geo_source != NGX_DECLINED) {
        vv = ngx_http_get_flushed_variable(r, wlcf->geo_source);

        if (vv && !vv->not_found) {
            text.data = vv->data;
            text.len = vv->len;
        }
    }

    if (ctx->located
        && ctx->sockaddr == sa
        && ctx->source == wlcf->geo_source
        && ctx->text.len == text.len
        && ngx_memcmp(ctx->text.data, text.data, text.len) == 0)
    {
        return;
    }

    ctx->located = 1;
    ctx->sockaddr = sa;
    ctx->source = wlcf->geo_source;
    ctx->text = text;

    if (wlcf->geo_source == NGX_DECLINED) {
        ctx->address_len = ngx_http_weir_address(r->connection, &addr);

        if (ctx->address_len) {
            ngx_memcpy(ctx->address, addr, ctx->address_len);
        }

    } else {
        ctx->address_len = ngx_http_weir_parse_address(&text, ctx->address);
    }

    ctx->country_set = 0;
    ctx->fields = NULL;
}


/*
 * One address, and nothing else; returns how many bytes it has.  By inet_pton,
 * since ngx_inet_addr() would take "192.0.2." and "192.0..2" for addresses.
 */

static size_t
ngx_http_weir_parse_address(ngx_str_t *text, u_char *address)
{
    char  buf[INET6_ADDRSTRLEN];

    if (text->len >= sizeof(buf)
        || ngx_strlchr(text->data, text->data + text->len, '\0') != NULL)
    {
        return 0;
    }

    ngx_memcpy(buf, text->data, text->len);
    buf[text->len] = '\0';

    if (inet_pton(AF_INET, buf, address) == 1) {
        return sizeof(struct in_addr);
    }

    if (inet_pton(AF_INET6, buf, address) == 1) {
        return sizeof(struct in6_addr);
    }

    return 0;
}
