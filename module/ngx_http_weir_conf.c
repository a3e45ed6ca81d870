
/*
 * The directives: their table, the simple setters, inheritance.
 *
 * Every mistake is reported with the file, the line, the offending word in
 * quotes and what was expected.
 */

#include "ngx_http_weir_module.h"


static char *ngx_http_weir_status_slot(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
static char *ngx_http_weir_word_slot(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
static char *ngx_http_weir_log_rate(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
static char *ngx_http_weir_geo_status(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
static char *ngx_http_weir_geo_log_level(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
static char *ngx_http_weir_geo_dry_run(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
static char *ngx_http_weir_bypass(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);


#define NGX_HTTP_WEIR_ANYWHERE                                                \
    (NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF)

#define ngx_http_weir_loc(name, args, set, field)                             \
    ngx_http_weir_loc_words(name, args, set, field, NULL)

#define ngx_http_weir_loc_words(name, args, set, field, words)                \
    { ngx_string(name), NGX_HTTP_WEIR_ANYWHERE|args, set,                     \
      NGX_HTTP_LOC_CONF_OFFSET, offsetof(ngx_http_weir_loc_conf_t, field),    \
      words }

#define NGX_HTTP_WEIR_MAX_LOG_RATE  10000  /* lines a second */


static ngx_conf_enum_t  ngx_http_weir_levels[] = {
    { ngx_string("info"), NGX_LOG_INFO },
    { ngx_string("notice"), NGX_LOG_NOTICE },
    { ngx_string("warn"), NGX_LOG_WARN },
    { ngx_string("error"), NGX_LOG_ERR },
    { ngx_null_string, 0 }
};


static ngx_conf_enum_t  ngx_http_weir_limit_headers[] = {
    { ngx_string("off"), 0 },
    { ngx_string("ietf"), NGX_HTTP_WEIR_IETF },
    { ngx_string("legacy"), NGX_HTTP_WEIR_LEGACY },
    { ngx_string("both"), NGX_HTTP_WEIR_IETF|NGX_HTTP_WEIR_LEGACY },
    { ngx_null_string, 0 }
};


ngx_command_t  ngx_http_weir_commands[] = {

    { ngx_string("weir_limit_zone"),
      NGX_HTTP_MAIN_CONF|NGX_CONF_2MORE,
      ngx_http_weir_limit_zone,
      NGX_HTTP_MAIN_CONF_OFFSET, 0, NULL },

    { ngx_string("weir_country_limits"),
      NGX_HTTP_MAIN_CONF|NGX_CONF_BLOCK|NGX_CONF_TAKE1,
      ngx_http_weir_country_limits,
      NGX_HTTP_MAIN_CONF_OFFSET, 0, NULL },

    { ngx_string("weir_geo_db"),
      NGX_HTTP_MAIN_CONF|NGX_CONF_1MORE,
      ngx_http_weir_geo_db,
      NGX_HTTP_MAIN_CONF_OFFSET, 0, NULL },

    { ngx_string("weir_geo_override"),
      NGX_HTTP_MAIN_CONF|NGX_CONF_TAKE2,
      ngx_http_weir_geo_override,
      NGX_HTTP_MAIN_CONF_OFFSET, 0, NULL },

    { ngx_string("weir_geo_variable"),
      NGX_HTTP_MAIN_CONF|NGX_CONF_2MORE,
      ngx_http_weir_geo_variable,
      NGX_HTTP_MAIN_CONF_OFFSET, 0, NULL },

    ngx_http_weir_loc("weir_limit", NGX_CONF_1MORE,
                      ngx_http_weir_limit, limits),

    ngx_http_weir_loc("weir_limit_status", NGX_CONF_TAKE1,
                      ngx_http_weir_status_slot, limit_status),

    ngx_http_weir_loc_words("weir_limit_log_level", NGX_CONF_TAKE1,
                            ngx_http_weir_word_slot, limit_log_level,
                            ngx_http_weir_levels),

    ngx_http_weir_loc("weir_limit_log_rate", NGX_CONF_TAKE1,
                      ngx_http_weir_log_rate, limit_log_rate),

    ngx_http_weir_loc("weir_limit_dry_run", NGX_CONF_FLAG,
                      ngx_conf_set_flag_slot, limit_dry_run),

    ngx_http_weir_loc_words("weir_limit_headers", NGX_CONF_TAKE1,
                            ngx_http_weir_word_slot, limit_headers,
                            ngx_http_weir_limit_headers),

    ngx_http_weir_loc("weir_bypass", NGX_CONF_1MORE,
                      ngx_http_weir_bypass, bypass),

    ngx_http_weir_loc("weir_geo_source", NGX_CONF_TAKE1,
                      ngx_http_weir_geo_source, geo_source),

    ngx_http_weir_loc("weir_geo_allow", NGX_CONF_1MORE,
                      ngx_http_weir_geo_filter, filter),

    ngx_http_weir_loc("weir_geo_deny", NGX_CONF_1MORE,
                      ngx_http_weir_geo_filter, filter),

    ngx_http_weir_loc("weir_geo_status", NGX_CONF_TAKE1,
                      ngx_http_weir_geo_status, geo_status),

    ngx_http_weir_loc("weir_geo_dry_run", NGX_CONF_FLAG,
                      ngx_http_weir_geo_dry_run, geo_dry_run),

    ngx_http_weir_loc_words("weir_geo_log_level", NGX_CONF_TAKE1,
                            ngx_http_weir_geo_log_level, geo_log_level,
                            ngx_http_weir_levels),

    ngx_http_weir_loc("weir_geo_headers", NGX_CONF_FLAG,
                      ngx_http_weir_geo_headers, geo_headers),

    ngx_http_weir_loc("weir_geo_header", NGX_CONF_TAKE2,
                      ngx_http_weir_geo_header, headers),

      ngx_null_command
};


void *
ngx_http_weir_create_main_conf(ngx_conf_t *cf)
{
    ngx_http_weir_main_conf_t  *wmcf;

    wmcf = ngx_pcalloc(cf->pool, sizeof(ngx_http_weir_main_conf_t));
    if (wmcf == NULL) {
        return NULL;
    }

    if (ngx_array_init(&wmcf->zones, cf->pool, 4, sizeof(void *)) != NGX_OK
        || ngx_array_init(&wmcf->limits, cf->pool, 4, sizeof(void *))
           != NGX_OK
        || ngx_array_init(&wmcf->filters, cf->pool, 4, sizeof(void *))
           != NGX_OK
        || ngx_array_init(&wmcf->databases, cf->pool, 2, sizeof(void *))
           != NGX_OK
        || ngx_array_init(&wmcf->fields, cf->pool, 4, sizeof(void *))
           != NGX_OK)
    {
        return NULL;
    }

    return wmcf;
}


void *
ngx_http_weir_create_srv_conf(ngx_conf_t *cf)
{
    ngx_http_weir_srv_conf_t  *wscf;

    wscf = ngx_pcalloc(cf->pool, sizeof(ngx_http_weir_srv_conf_t));
    if (wscf == NULL) {
        return NULL;
    }

    if (ngx_array_init(&wscf->headers, cf->pool, 2, sizeof(void *))
        != NGX_OK)
    {
        return NULL;
    }

    return wscf;
}


void *
ngx_http_weir_create_loc_conf(ngx_conf_t *cf)
{
    ngx_http_weir_loc_conf_t  *wlcf;

    wlcf = ngx_pcalloc(cf->pool, sizeof(ngx_http_weir_loc_conf_t));
    if (wlcf == NULL) {
        return NULL;
    }

    /*
     * set by ngx_pcalloc():
     *
     *     wlcf->filter = NULL;
     *     wlcf->all_headers = NULL;
     */

    wlcf->limits = NGX_CONF_UNSET_PTR;
    wlcf->limit_status = NGX_CONF_UNSET_UINT;
    wlcf->limit_log_level = NGX_CONF_UNSET_UINT;
    wlcf->limit_log_rate = NGX_CONF_UNSET_UINT;
    wlcf->limit_dry_run = NGX_CONF_UNSET;
    wlcf->limit_headers = NGX_CONF_UNSET_UINT;
    wlcf->bypass = NGX_CONF_UNSET_PTR;
    wlcf->geo_source = NGX_CONF_UNSET;
    wlcf->geo_status = NGX_CONF_UNSET_UINT;
    wlcf->geo_log_level = NGX_CONF_UNSET_UINT;
    wlcf->geo_dry_run = NGX_CONF_UNSET;
    wlcf->geo_headers = NGX_CONF_UNSET;
    wlcf->headers = NGX_CONF_UNSET_PTR;

    return wlcf;
}


/*
 * Limits, bypasses, allow and deny lists together, and headers are each
 * inherited only as a whole, by levels that have none of their own, as nginx's
 * own are.
 */

char *
ngx_http_weir_merge_loc_conf(ngx_conf_t *cf, void *parent, void *child)
{
    ngx_http_weir_loc_conf_t  *prev = parent;
    ngx_http_weir_loc_conf_t  *conf = child;

    ngx_conf_merge_ptr_value(conf->limits, prev->limits, NULL);
    ngx_conf_merge_uint_value(conf->limit_status, prev->limit_status,
                              NGX_HTTP_TOO_MANY_REQUESTS);
    ngx_conf_merge_uint_value(conf->limit_log_level, prev->limit_log_level,
                              NGX_LOG_ERR);

    conf->delay_log_level = conf->limit_log_level == NGX_LOG_INFO
                                ? NGX_LOG_INFO : conf->limit_log_level + 1;

    ngx_conf_merge_uint_value(conf->limit_log_rate, prev->limit_log_rate, 0);
    ngx_conf_merge_value(conf->limit_dry_run, prev->limit_dry_run, 0);
    ngx_conf_merge_uint_value(conf->limit_headers, prev->limit_headers, 0);
    ngx_conf_merge_ptr_value(conf->bypass, prev->bypass, NULL);

    ngx_conf_merge_value(conf->geo_source, prev->geo_source, NGX_DECLINED);

    if (conf->filter == NULL) {
        conf->filter = prev->filter;
    }

    ngx_conf_merge_uint_value(conf->geo_status, prev->geo_status,
                              NGX_HTTP_FORBIDDEN);
    ngx_conf_merge_uint_value(conf->geo_log_level, prev->geo_log_level,
                              NGX_LOG_WARN);
    ngx_conf_merge_value(conf->geo_dry_run, prev->geo_dry_run, 0);

    return ngx_http_weir_merge_headers(cf, prev, conf);
}


/*
 * Has an object of the core released with the configuration; at once, if that
 * can't be arranged.  NULL, an object that could not be made, is an error.
 */

ngx_int_t
ngx_http_weir_own(ngx_conf_t *cf, void *object, ngx_pool_cleanup_pt release)
{
    ngx_pool_cleanup_t  *cln;

    if (object == NULL) {
        return NGX_ERROR;
    }

    cln = ngx_pool_cleanup_add(cf->pool, 0);
    if (cln == NULL) {
        release(object);
        return NGX_ERROR;
    }

    cln->handler = release;
    cln->data = object;

    return NGX_OK;
}


static char *
ngx_http_weir_status_slot(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    char  *p = conf;

    ngx_int_t    status;
    ngx_str_t   *value;
    ngx_uint_t  *field;

    field = (ngx_uint_t *) (p + cmd->offset);

    if (*field != NGX_CONF_UNSET_UINT) {
        return "is duplicate";
    }

    value = cf->args->elts;

    status = ngx_atoi(value[1].data, value[1].len);
    if (status < 400 || status > 599) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid status \"%V\" in \"%V\", "
                           "expected a number from 400 to 599",
                           &value[1], &cmd->name);
        return NGX_CONF_ERROR;
    }

    *field = status;

    return NGX_CONF_OK;
}


/* One of the words that cmd->post lists. */

static char *
ngx_http_weir_word_slot(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    char  *p = conf;

    char             *before;
    u_char            expected[NGX_MAX_CONF_ERRSTR], *last, *end;
    ngx_str_t        *value;
    ngx_uint_t       *field, i;
    ngx_conf_enum_t  *words;

    field = (ngx_uint_t *) (p + cmd->offset);

    if (*field != NGX_CONF_UNSET_UINT) {
        return "is duplicate";
    }

    value = cf->args->elts;
    words = cmd->post;

    for (i = 0; words[i].name.len; i++) {
        if (value[1].len == words[i].name.len
            && ngx_strcasecmp(value[1].data, words[i].name.data) == 0)
        {
            *field = words[i].value;
            return NGX_CONF_OK;
        }
    }

    last = expected;
    end = expected + sizeof(expected);

    for (i = 0; words[i].name.len; i++) {
        before = i == 0 ? "" : words[i + 1].name.len ? ", " : " or ";
        last = ngx_slprintf(last, end, "%s\"%V\"", before, &words[i].name);
    }

    ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                       "invalid word \"%V\" in \"%V\", expected %*s",
                       &value[1], &cmd->name, last - expected, expected);

    return NGX_CONF_ERROR;
}


/* weir_limit_log_rate NUMBER|off; */

static char *
ngx_http_weir_log_rate(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_weir_loc_conf_t *wlcf = conf;

    ngx_int_t   rate;
    ngx_str_t  *value;

    if (wlcf->limit_log_rate != NGX_CONF_UNSET_UINT) {
        return "is duplicate";
    }

    value = cf->args->elts;

    if (ngx_strcasecmp(value[1].data, (u_char *) "off") == 0) {
        wlcf->limit_log_rate = 0;
        return NGX_CONF_OK;
    }

    rate = ngx_atoi(value[1].data, value[1].len);

    if (rate < 1 || rate > NGX_HTTP_WEIR_MAX_LOG_RATE) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid number \"%V\" in \"%V\", expected "
                           "from 1 to %d lines a second, or \"off\"",
                           &value[1], &cmd->name, NGX_HTTP_WEIR_MAX_LOG_RATE);
        return NGX_CONF_ERROR;
    }

    wlcf->limit_log_rate = rate;

    return NGX_CONF_OK;
}


static char *
ngx_http_weir_geo_status(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_weir_need_geo(cf, &cmd->name);

    return ngx_http_weir_status_slot(cf, cmd, conf);
}


static char *
ngx_http_weir_geo_log_level(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_weir_need_geo(cf, &cmd->name);

    return ngx_http_weir_word_slot(cf, cmd, conf);
}


static char *
ngx_http_weir_geo_dry_run(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_weir_need_geo(cf, &cmd->name);

    return ngx_conf_set_flag_slot(cf, cmd, conf);
}


/* weir_bypass $variable ...;  Without a variable it would be all or none. */

static char *
ngx_http_weir_bypass(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_str_t   *value;
    ngx_uint_t   i;

    value = cf->args->elts;

    for (i = 1; i < cf->args->nelts; i++) {
        if (ngx_http_script_variables_count(&value[i]) == 0) {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "\"%V\" in \"weir_bypass\" is no variable, "
                               "expected \"$variable\"", &value[i]);
            return NGX_CONF_ERROR;
        }
    }

    return ngx_http_set_predicate_slot(cf, cmd, conf);
}
