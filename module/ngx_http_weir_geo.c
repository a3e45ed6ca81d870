
/*
 * The country database, allow and deny lists, and the country of a request.
 */

#include "ngx_http_weir_module.h"


static ngx_int_t ngx_http_weir_geo_is_missing(ngx_str_t *file);
static ngx_http_weir_filter_t *ngx_http_weir_new_filter(ngx_conf_t *cf);
static ngx_int_t ngx_http_weir_geo_variable_is_used(ngx_conf_t *cf);


/* weir_geo_db FILE [reload=off] [country=PATH.TO.FIELD] [optional]; */

char *
ngx_http_weir_geo_db(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_weir_main_conf_t *wmcf = conf;

    char          *field;
    ngx_str_t     *value, file;
    ngx_uint_t     i, optional;
    weir_error_t   error;

    if (wmcf->geo_db_set) {
        return "is duplicate";
    }

    wmcf->geo_db_set = 1;

    if (ngx_http_weir_check_repeated(cf, 2) != NGX_OK) {
        return NGX_CONF_ERROR;
    }

    value = cf->args->elts;
    field = NULL;
    optional = 0;

    for (i = 2; i < cf->args->nelts; i++) {

        if (ngx_strncmp(value[i].data, "country=", 8) == 0) {
            field = (char *) value[i].data + 8;
            continue;
        }

        if (ngx_strcmp(value[i].data, "optional") == 0) {
            optional = 1;
            continue;
        }

        if (ngx_strcmp(value[i].data, "reload=off") == 0) {
            continue;
        }

        if (ngx_strncmp(value[i].data, "reload=", 7) == 0) {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "\"%V\" is not supported by this version, "
                               "expected \"reload=off\" (the file is read "
                               "when nginx starts or reloads)", &value[i]);
            return NGX_CONF_ERROR;
        }

        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid parameter \"%V\" of \"weir_geo_db\", "
                           "expected \"country=PATH.TO.FIELD\", "
                           "\"reload=off\" or \"optional\"", &value[i]);
        return NGX_CONF_ERROR;
    }

    file = value[1];

    if (ngx_conf_full_name(cf->cycle, &file, 1) != NGX_OK) {
        return NGX_CONF_ERROR;
    }

    if (optional && ngx_http_weir_geo_is_missing(&file)) {
        ngx_conf_log_error(NGX_LOG_WARN, cf, 0,
                           "no file \"%V\": every country is unknown (XX)",
                           &file);
        return NGX_CONF_OK;
    }

    if (weir_geo_open((char *) file.data, field, &wmcf->geo, &error)
        != WEIR_OK)
    {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0, "%s", error.text);
        return NGX_CONF_ERROR;
    }

    if (ngx_http_weir_own(cf, wmcf->geo, (ngx_pool_cleanup_pt) weir_geo_close)
        != NGX_OK)
    {
        return NGX_CONF_ERROR;
    }

    return NGX_CONF_OK;
}


static ngx_int_t
ngx_http_weir_geo_is_missing(ngx_str_t *file)
{
    ngx_file_info_t  fi;

    return ngx_file_info(file->data, &fi) == NGX_FILE_ERROR
           && ngx_errno == NGX_ENOENT;
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

    if (wmcf->geo_word.len && !wmcf->geo_db_set) {
        ngx_http_weir_error_at(cf, &wmcf->geo_place,
                               "\"%V\" has no country database to ask, "
                               "expected \"weir_geo_db FILE\" "
                               "at the http level", &wmcf->geo_word);
        return NGX_ERROR;
    }

    /* A shared log format may well name it; see also weir_limit_zone. */

    if (!wmcf->geo_db_set && ngx_http_weir_geo_variable_is_used(cf)) {
        ngx_log_error(NGX_LOG_NOTICE, cf->log, 0,
                      "\"$weir_country\" or \"$weir_continent\" is used, and "
                      "without \"weir_geo_db FILE\" every public address "
                      "is \"XX\"");
    }

    if (wmcf->geo) {
        return NGX_OK;
    }

    /* An optional database is missing: who comes from nowhere known? */

    weir_geo_country(NULL, NULL, 0, &unknown);
    filter = wmcf->filters.elts;

    for (i = 0; i < wmcf->filters.nelts; i++) {
        if (!weir_country_filter_permits(filter[i]->lists, &unknown)) {
            ngx_log_error(NGX_LOG_WARN, cf->log, 0,
                          "without a country database, this allow or deny "
                          "list denies every client that is not private "
                          "in %V:%ui",
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


/*
 * The country of the client.  It is looked up once, and again if realip has
 * given the connection another address since: that is another sockaddr.
 */

weir_country_t *
ngx_http_weir_country(ngx_http_request_t *r, ngx_http_weir_ctx_t *ctx)
{
    void                       *addr;
    size_t                      len;
    struct sockaddr            *sa;
    ngx_http_weir_main_conf_t  *wmcf;

    sa = r->connection->sockaddr;

    if (ctx->sockaddr == sa) {
        return &ctx->country;
    }

    ctx->sockaddr = sa;

    len = ngx_http_weir_address(r->connection, &addr);

    wmcf = ngx_http_get_module_main_conf(r, ngx_http_weir_module);
    weir_geo_country(wmcf->geo, addr, len, &ctx->country);

    return &ctx->country;
}
