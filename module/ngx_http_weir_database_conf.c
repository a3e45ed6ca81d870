
/*
 * weir_geo_db: the country database, and how it is updated.
 */

#include "ngx_http_weir_module.h"


static char *ngx_http_weir_geo_db_parameter(ngx_conf_t *cf, ngx_str_t *value,
    ngx_http_weir_database_t *database);
static ngx_int_t ngx_http_weir_parse_reload(ngx_str_t *value,
    ngx_msec_t *reload);
static ngx_int_t ngx_http_weir_parse_accept(ngx_str_t *value,
    ngx_uint_t *accept);


#define NGX_HTTP_WEIR_MIN_RELOAD   100                     /* ms */
#define NGX_HTTP_WEIR_MAX_RELOAD   (24 * 60 * 60 * 1000)


/*
 * weir_geo_db FILE [reload=TIME|off] [country=PATH.TO.FIELD] [optional]
 *     [accept=older,smaller,type];
 */

char *
ngx_http_weir_geo_db(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_weir_main_conf_t *wmcf = conf;

    char                      *rv;
    ngx_str_t                 *value;
    ngx_uint_t                 i;
    weir_error_t               error;
    ngx_http_weir_database_t  *database;

    if (wmcf->countries) {
        return "is duplicate";
    }

    if (ngx_http_weir_check_repeated(cf, 2) != NGX_OK) {
        return NGX_CONF_ERROR;
    }

    value = cf->args->elts;

    database = ngx_http_weir_new_database(cf, &value[1], WEIR_GEO_COUNTRIES);
    if (database == NULL) {
        return NGX_CONF_ERROR;
    }

    wmcf->countries = database;

    for (i = 2; i < cf->args->nelts; i++) {
        rv = ngx_http_weir_geo_db_parameter(cf, &value[i], database);
        if (rv != NGX_CONF_OK) {
            return rv;
        }
    }

    switch (ngx_http_weir_open(cf, database, &error)) {

    case NGX_OK:
        break;

    case NGX_DECLINED:
        ngx_conf_log_error(NGX_LOG_WARN, cf, 0,
                           "no file \"%V\": every country is unknown (XX)",
                           &database->file);
        break;

    default: /* NGX_ERROR */
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0, "%s", error.text);
        return NGX_CONF_ERROR;
    }

    return NGX_CONF_OK;
}


static char *
ngx_http_weir_geo_db_parameter(ngx_conf_t *cf, ngx_str_t *value,
    ngx_http_weir_database_t *database)
{
    if (ngx_strncmp(value->data, "country=", 8) == 0) {
        database->country_field = (char *) value->data + 8;
        return NGX_CONF_OK;
    }

    if (ngx_strcmp(value->data, "optional") == 0) {
        database->optional = 1;
        return NGX_CONF_OK;
    }

    if (ngx_strncmp(value->data, "reload=", 7) == 0) {

        if (ngx_http_weir_parse_reload(value, &database->reload) == NGX_OK) {
            return NGX_CONF_OK;
        }

        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid time \"%V\" in \"weir_geo_db\", expected "
                           "from \"reload=100ms\" to \"reload=1d\", "
                           "or \"reload=off\"", value);
        return NGX_CONF_ERROR;
    }

    if (ngx_strncmp(value->data, "accept=", 7) == 0) {

        if (ngx_http_weir_parse_accept(value, &database->accept) == NGX_OK) {
            return NGX_CONF_OK;
        }

        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid list \"%V\" in \"weir_geo_db\", expected "
                           "\"older\", \"smaller\" or \"type\", each once, "
                           "with commas between", value);
        return NGX_CONF_ERROR;
    }

    ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                       "invalid parameter \"%V\" of \"weir_geo_db\", "
                       "expected \"reload=TIME\", \"country=PATH.TO.FIELD\", "
                       "\"optional\" or \"accept=older,smaller,type\"", value);

    return NGX_CONF_ERROR;
}


static ngx_int_t
ngx_http_weir_parse_reload(ngx_str_t *value, ngx_msec_t *reload)
{
    ngx_int_t  time;
    ngx_str_t  s;

    s.data = value->data + 7;
    s.len = value->len - 7;

    if (s.len == 3 && ngx_strncmp(s.data, "off", 3) == 0) {
        *reload = 0;
        return NGX_OK;
    }

    time = ngx_parse_time(&s, 0);

    if (time == NGX_ERROR
        || time < NGX_HTTP_WEIR_MIN_RELOAD
        || time > NGX_HTTP_WEIR_MAX_RELOAD)
    {
        return NGX_ERROR;
    }

    *reload = time;

    return NGX_OK;
}


static ngx_int_t
ngx_http_weir_parse_accept(ngx_str_t *value, ngx_uint_t *accept)
{
    u_char      *p, *word, *end;
    ngx_uint_t   i, bit;

    static struct {
        ngx_str_t            word;
        weir_geo_verdict_t   verdict;
    } words[] = {
        { ngx_string("older"), WEIR_GEO_OLDER },
        { ngx_string("smaller"), WEIR_GEO_SMALLER },
        { ngx_string("type"), WEIR_GEO_OTHER_TYPE },
        { ngx_null_string, 0 }
    };

    end = value->data + value->len;

    for (word = value->data + 7; word <= end; word = p + 1) {

        for (p = word; p < end && *p != ','; p++) { /* void */ }

        for (i = 0; words[i].word.len; i++) {
            if (words[i].word.len == (size_t) (p - word)
                && ngx_strncmp(words[i].word.data, word, p - word) == 0)
            {
                break;
            }
        }

        bit = WEIR_GEO_ACCEPT(words[i].verdict);

        if (words[i].word.len == 0 || (*accept & bit)) {
            return NGX_ERROR;
        }

        *accept |= bit;
    }

    return NGX_OK;
}
