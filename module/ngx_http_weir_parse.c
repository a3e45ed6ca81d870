
/*
 * Parameters that several directives share, and the reporting of mistakes
 * that show only when all of the configuration is known (a zone that is never
 * defined, say): at the place that was written down when the directive was
 * read.
 */

#include "ngx_http_weir_module.h"


ngx_http_weir_place_t
ngx_http_weir_place(ngx_conf_t *cf)
{
    ngx_http_weir_place_t  place;

    place.file = cf->conf_file->file.name;
    place.line = cf->conf_file->line;

    return place;
}


/* Like ngx_conf_log_error(), at a place that has been read before. */

char *
ngx_http_weir_error_at(ngx_conf_t *cf, ngx_http_weir_place_t *place,
    const char *fmt, ...)
{
    u_char   errstr[NGX_MAX_CONF_ERRSTR], *p;
    va_list  args;

    va_start(args, fmt);
    p = ngx_vslprintf(errstr, errstr + NGX_MAX_CONF_ERRSTR, fmt, args);
    va_end(args);

    ngx_log_error(NGX_LOG_EMERG, cf->log, 0, "%*s in %V:%ui",
                  p - errstr, errstr, &place->file, place->line);

    return NGX_CONF_ERROR;
}


/* No parameter from the first on may be given twice: one would be lost. */

ngx_int_t
ngx_http_weir_check_repeated(ngx_conf_t *cf, ngx_uint_t first)
{
    size_t       len;
    u_char      *p;
    ngx_str_t   *value;
    ngx_uint_t   i, j;

    value = cf->args->elts;

    for (i = first; i < cf->args->nelts; i++) {

        p = (u_char *) ngx_strchr(value[i].data, '=');
        len = p ? (size_t) (p + 1 - value[i].data) : value[i].len + 1;

        for (j = first; j < i; j++) {
            if (ngx_strncmp(value[i].data, value[j].data, len) == 0) {
                ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                                   "\"%V\" is given twice (\"%V\" before), "
                                   "expected once", &value[i], &value[j]);
                return NGX_ERROR;
            }
        }
    }

    return NGX_OK;
}


/* "burst=20": the number, or NGX_ERROR with the mistake logged */

ngx_int_t
ngx_http_weir_parse_number(ngx_conf_t *cf, ngx_str_t *value, ngx_int_t min,
    ngx_int_t max)
{
    u_char     *p;
    ngx_int_t   n;

    p = (u_char *) ngx_strchr(value->data, '=') + 1;
    n = ngx_atoi(p, value->data + value->len - p);

    if (n == NGX_ERROR || n < min || n > max) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid value in \"%V\", "
                           "expected a number from %i to %i", value, min, max);
        return NGX_ERROR;
    }

    return n;
}


/* "rate=10r/s"; leaves the quota's burst alone */

ngx_int_t
ngx_http_weir_parse_rate(ngx_conf_t *cf, ngx_str_t *value, weir_quota_t *quota)
{
    weir_error_t  error;
    weir_quota_t  parsed;

    if (weir_quota_parse((char *) value->data + 5, value->len - 5, &parsed,
                         &error)
        != WEIR_OK)
    {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0, "%s", error.text);
        return NGX_ERROR;
    }

    quota->tokens = parsed.tokens;
    quota->period = parsed.period;

    return NGX_OK;
}
