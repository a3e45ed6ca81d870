
/*
 * weir_limit: its parameters, each of which is either understood or an error.
 * What depends on the zone, which may be defined later, is checked when all
 * of the configuration is known (ngx_http_weir_budget.c).
 */

#include "ngx_http_weir_module.h"


static ngx_int_t ngx_http_weir_limit_parameter(ngx_conf_t *cf,
    ngx_http_weir_limit_t *limit, ngx_str_t *value);
static ngx_int_t ngx_http_weir_limit_delay(ngx_conf_t *cf,
    ngx_http_weir_limit_t *limit, ngx_str_t *value);
static ngx_int_t ngx_http_weir_limit_rate(ngx_conf_t *cf,
    ngx_http_weir_limit_t *limit, ngx_str_t *value);
static ngx_int_t ngx_http_weir_limit_cost(ngx_conf_t *cf,
    ngx_http_weir_limit_t *limit, ngx_str_t *value);
static ngx_int_t ngx_http_weir_limit_count(ngx_conf_t *cf,
    ngx_http_weir_limit_t *limit, ngx_str_t *value);
static ngx_http_complex_value_t *ngx_http_weir_limit_value(ngx_conf_t *cf,
    ngx_str_t *value);


char *
ngx_http_weir_limit(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_weir_loc_conf_t *wlcf = conf;

    ngx_str_t                  *value;
    ngx_uint_t                  i;
    ngx_http_weir_limit_t      *limit, **slot;
    ngx_http_weir_main_conf_t  *wmcf;

    value = cf->args->elts;

    if (wlcf->limits == NULL
        || (wlcf->limits != NGX_CONF_UNSET_PTR
            && ngx_strcmp(value[1].data, "off") == 0))
    {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "\"weir_limit off\" is given beside another "
                           "\"weir_limit\", expected it alone at its level");
        return NGX_CONF_ERROR;
    }

    if (ngx_strcmp(value[1].data, "off") == 0 && cf->args->nelts == 2) {
        wlcf->limits = NULL;
        return NGX_CONF_OK;
    }

    if (ngx_http_weir_check_repeated(cf, 1) != NGX_OK) {
        return NGX_CONF_ERROR;
    }

    limit = ngx_pcalloc(cf->pool, sizeof(ngx_http_weir_limit_t));
    if (limit == NULL) {
        return NGX_CONF_ERROR;
    }

    limit->place = ngx_http_weir_place(cf);
    limit->fixed_cost = 1;

    for (i = 1; i < cf->args->nelts; i++) {
        if (ngx_http_weir_limit_parameter(cf, limit, &value[i]) != NGX_OK) {
            return NGX_CONF_ERROR;
        }
    }

    if (limit->zone == NULL) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "\"weir_limit\" names no zone, "
                           "expected \"zone=NAME\"");
        return NGX_CONF_ERROR;
    }

    if (wlcf->limits == NGX_CONF_UNSET_PTR) {
        wlcf->limits = ngx_array_create(cf->pool, 2, sizeof(void *));
        if (wlcf->limits == NULL) {
            return NGX_CONF_ERROR;
        }
    }

    slot = wlcf->limits->elts;

    for (i = 0; i < wlcf->limits->nelts; i++) {
        if (slot[i]->zone == limit->zone) {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "zone \"%V\" is used twice at one level, "
                               "expected one \"weir_limit\" for each zone",
                               &limit->zone->name);
            return NGX_CONF_ERROR;
        }
    }

    slot = ngx_array_push(wlcf->limits);
    if (slot == NULL) {
        return NGX_CONF_ERROR;
    }

    *slot = limit;

    wmcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_weir_module);

    slot = ngx_array_push(&wmcf->limits);
    if (slot == NULL) {
        return NGX_CONF_ERROR;
    }

    *slot = limit;

    return NGX_CONF_OK;
}


static ngx_int_t
ngx_http_weir_limit_parameter(ngx_conf_t *cf, ngx_http_weir_limit_t *limit,
    ngx_str_t *value)
{
    ngx_int_t  burst;
    ngx_str_t  name;

    if (ngx_strncmp(value->data, "zone=", 5) == 0) {
        name.data = value->data + 5;
        name.len = value->len - 5;

        limit->zone = ngx_http_weir_zone_by_name(cf, &name);

        return limit->zone ? NGX_OK : NGX_ERROR;
    }

    if (ngx_strncmp(value->data, "burst=", 6) == 0) {

        burst = ngx_http_weir_parse_number(cf, value, 1,
                                           NGX_HTTP_WEIR_MAX_BURST);
        if (burst == NGX_ERROR) {
            return NGX_ERROR;
        }

        limit->burst = burst;
        limit->burst_word = *value;

        return NGX_OK;
    }

    if (ngx_strncmp(value->data, "delay=", 6) == 0
        || ngx_strcmp(value->data, "nodelay") == 0)
    {
        return ngx_http_weir_limit_delay(cf, limit, value);
    }

    if (ngx_strncmp(value->data, "rate=", 5) == 0) {
        return ngx_http_weir_limit_rate(cf, limit, value);
    }

    if (ngx_strncmp(value->data, "cost=", 5) == 0) {
        return ngx_http_weir_limit_cost(cf, limit, value);
    }

    if (ngx_strncmp(value->data, "count=", 6) == 0) {
        return ngx_http_weir_limit_count(cf, limit, value);
    }

    if (ngx_strcmp(value->data, "dry_run") == 0) {
        limit->dry_run = 1;
        return NGX_OK;
    }

    ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                       "invalid parameter \"%V\" of \"weir_limit\", "
                       "expected \"zone=NAME\", \"burst=NUMBER\", "
                       "\"nodelay\", \"delay=NUMBER\", "
                       "\"rate=$variable\", \"cost=$variable\", "
                       "\"count=CODE,CODE,...\" or \"dry_run\"", value);
    return NGX_ERROR;
}


/* "nodelay" or "delay=8": limit_req lets the last of them win. */

static ngx_int_t
ngx_http_weir_limit_delay(ngx_conf_t *cf, ngx_http_weir_limit_t *limit,
    ngx_str_t *value)
{
    ngx_int_t  delay;

    if (limit->delay_word.len) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "\"%V\" is given beside \"%V\", "
                           "expected one of them", value, &limit->delay_word);
        return NGX_ERROR;
    }

    limit->delay_word = *value;

    if (value->data[0] == 'n') {
        limit->undelayed = WEIR_NODELAY;
        return NGX_OK;
    }

    delay = ngx_http_weir_parse_number(cf, value, 1, NGX_HTTP_WEIR_MAX_BURST);
    if (delay == NGX_ERROR) {
        return NGX_ERROR;
    }

    limit->undelayed = delay;

    return NGX_OK;
}


/* "rate=$variable": a rate that is always the same is the zone's. */

static ngx_int_t
ngx_http_weir_limit_rate(ngx_conf_t *cf, ngx_http_weir_limit_t *limit,
    ngx_str_t *value)
{
    if (ngx_http_script_variables_count(value) == 0) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "\"%V\" of \"weir_limit\" has no variable, "
                           "expected \"rate=$variable\", or the rate in "
                           "\"weir_limit_zone\"", value);
        return NGX_ERROR;
    }

    limit->rate = ngx_http_weir_limit_value(cf, value);

    return limit->rate ? NGX_OK : NGX_ERROR;
}


/* "cost=$variable" or "cost=2" */

static ngx_int_t
ngx_http_weir_limit_cost(ngx_conf_t *cf, ngx_http_weir_limit_t *limit,
    ngx_str_t *value)
{
    off_t  n;

    if (ngx_http_script_variables_count(value) == 0) {
        n = ngx_atoof(value->data + 5, value->len - 5);

        if (n == NGX_ERROR || n > NGX_HTTP_WEIR_MAX_COST) {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "invalid value in \"%V\", expected "
                               "a number from 0 to %O or a \"$variable\"",
                               value, NGX_HTTP_WEIR_MAX_COST);
            return NGX_ERROR;
        }

        limit->fixed_cost = (uint32_t) n;
        return NGX_OK;
    }

    limit->cost = ngx_http_weir_limit_value(cf, value);

    return limit->cost ? NGX_OK : NGX_ERROR;
}


/* "count=401,403" */

static ngx_int_t
ngx_http_weir_limit_count(ngx_conf_t *cf, ngx_http_weir_limit_t *limit,
    ngx_str_t *value)
{
    u_char      *p, *end, *comma;
    ngx_int_t    status;
    ngx_str_t    s;
    ngx_uint_t  *codes, i;

    limit->count = ngx_array_create(cf->pool, 4, sizeof(ngx_uint_t));
    if (limit->count == NULL) {
        return NGX_ERROR;
    }

    p = value->data + 6;
    end = value->data + value->len;

    for ( ;; ) {
        comma = ngx_strlchr(p, end, ',');

        s.data = p;
        s.len = (comma ? comma : end) - p;

        status = ngx_atoi(s.data, s.len);

        if (s.len != 3 || status < 200 || status > 599) {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "invalid status \"%V\" in \"%V\", expected "
                               "numbers from 200 to 599, as in "
                               "\"count=401,403\"", &s, value);
            return NGX_ERROR;
        }

        codes = limit->count->elts;

        for (i = 0; i < limit->count->nelts; i++) {
            if (codes[i] == (ngx_uint_t) status) {
                ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                                   "status \"%V\" is given twice in \"%V\", "
                                   "expected once", &s, value);
                return NGX_ERROR;
            }
        }

        codes = ngx_array_push(limit->count);
        if (codes == NULL) {
            return NGX_ERROR;
        }

        *codes = status;

        if (comma == NULL) {
            return NGX_OK;
        }

        p = comma + 1;
    }
}


/* What stands behind "rate=" or "cost=". */

static ngx_http_complex_value_t *
ngx_http_weir_limit_value(ngx_conf_t *cf, ngx_str_t *value)
{
    ngx_str_t                          s;
    ngx_http_complex_value_t          *cv;
    ngx_http_compile_complex_value_t   ccv;

    cv = ngx_palloc(cf->pool, sizeof(ngx_http_complex_value_t));
    if (cv == NULL) {
        return NULL;
    }

    s.data = value->data + 5;
    s.len = value->len - 5;

    ngx_memzero(&ccv, sizeof(ngx_http_compile_complex_value_t));

    ccv.cf = cf;
    ccv.value = &s;
    ccv.complex_value = cv;

    if (ngx_http_compile_complex_value(&ccv) != NGX_OK) {
        return NULL;
    }

    return cv;
}
