
/*
 * The variables: what is known of the client, and what has become of the
 * request.
 */

#include "ngx_http_weir_module.h"


static ngx_int_t ngx_http_weir_country_variable(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data);
static ngx_int_t ngx_http_weir_status_variable(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data);
static ngx_int_t ngx_http_weir_zone_variable(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data);
static ngx_int_t ngx_http_weir_remaining_variable(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data);
static ngx_int_t ngx_http_weir_retry_after_variable(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data);
static ngx_int_t ngx_http_weir_epoch_variable(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data);
static ngx_int_t ngx_http_weir_client_variable(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data);


/*
 * No variable is cacheable: realip may change the address, and with it the
 * country, at a location's level, and a verdict comes late.
 */

static ngx_http_variable_t  ngx_http_weir_variables[] = {

    { ngx_string("weir_country"), NULL, ngx_http_weir_country_variable,
      offsetof(weir_country_t, code), NGX_HTTP_VAR_NOCACHEABLE, 0 },

    { ngx_string("weir_continent"), NULL, ngx_http_weir_country_variable,
      offsetof(weir_country_t, continent), NGX_HTTP_VAR_NOCACHEABLE, 0 },

    { ngx_string("weir_status"), NULL, ngx_http_weir_status_variable,
      1, NGX_HTTP_VAR_NOCACHEABLE, 0 },

    { ngx_string("weir_limit_status"), NULL, ngx_http_weir_status_variable,
      0, NGX_HTTP_VAR_NOCACHEABLE, 0 },

    { ngx_string("weir_zone"), NULL, ngx_http_weir_zone_variable,
      0, NGX_HTTP_VAR_NOCACHEABLE, 0 },

    { ngx_string("weir_remaining"), NULL, ngx_http_weir_remaining_variable,
      0, NGX_HTTP_VAR_NOCACHEABLE, 0 },

    { ngx_string("weir_retry_after"), NULL,
      ngx_http_weir_retry_after_variable,
      0, NGX_HTTP_VAR_NOCACHEABLE, 0 },

    { ngx_string("weir_geo_epoch"), NULL, ngx_http_weir_epoch_variable,
      0, NGX_HTTP_VAR_NOCACHEABLE, 0 },

    { ngx_string("weir_client"), NULL, ngx_http_weir_client_variable,
      0, NGX_HTTP_VAR_NOCACHEABLE, 0 },

      ngx_http_null_variable
};


/* Indexed by weir_verdict_t; these are limit_req's words. */

static ngx_str_t  ngx_http_weir_verdicts[] = {
    ngx_null_string,
    ngx_string("PASSED"),
    ngx_string("DELAYED"),
    ngx_string("REJECTED"),
    ngx_string("DELAYED_DRY_RUN"),
    ngx_string("REJECTED_DRY_RUN")
};

static ngx_str_t  ngx_http_weir_geo_denied = ngx_string("GEO_DENIED");
static ngx_str_t  ngx_http_weir_geo_denied_dry_run =
    ngx_string("GEO_DENIED_DRY_RUN");
static ngx_str_t  ngx_http_weir_bypassed = ngx_string("BYPASSED");


ngx_int_t
ngx_http_weir_add_variables(ngx_conf_t *cf)
{
    ngx_http_variable_t  *var, *v;

    for (v = ngx_http_weir_variables; v->name.len; v++) {
        var = ngx_http_add_variable(cf, &v->name, v->flags);
        if (var == NULL) {
            return NGX_ERROR;
        }

        var->get_handler = v->get_handler;
        var->data = v->data;
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_weir_variable(ngx_http_variable_value_t *v, u_char *data, size_t len)
{
    if (len == 0) {
        v->not_found = 1;
        return NGX_OK;
    }

    v->valid = 1;
    v->no_cacheable = 0;
    v->not_found = 0;
    v->len = len;
    v->data = data;

    return NGX_OK;
}


/* data is the offset of a two-letter code in weir_country_t */

static ngx_int_t
ngx_http_weir_country_variable(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data)
{
    ngx_http_weir_ctx_t  *ctx;

    ctx = ngx_http_weir_get_ctx(r);
    if (ctx == NULL) {
        return NGX_ERROR;
    }

    return ngx_http_weir_variable(v,
                               (u_char *) ngx_http_weir_country(r, ctx) + data,
                               2);
}


/*
 * What is enforced comes before what is in dry run, and the filter, which is
 * asked first, before limits.  data is 1 for $weir_status and 0 for
 * $weir_limit_status.
 */

static ngx_int_t
ngx_http_weir_status_variable(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data)
{
    ngx_str_t            *word;
    ngx_http_weir_ctx_t  *ctx;

    ctx = ngx_http_weir_find_ctx(r);
    if (ctx == NULL) {
        v->not_found = 1;
        return NGX_OK;
    }

    word = &ngx_http_weir_verdicts[ctx->limit_verdict];

    if (data && ctx->geo_denied) {
        word = &ngx_http_weir_geo_denied;

    } else if (data && ctx->geo_denied_dry_run
               && ctx->limit_verdict != WEIR_REJECTED
               && ctx->limit_verdict != WEIR_DELAYED)
    {
        word = &ngx_http_weir_geo_denied_dry_run;

    } else if (word->len == 0 && ctx->bypassed) {
        word = &ngx_http_weir_bypassed;

    } else if (data && ctx->geo_evaluated && word->len == 0) {
        word = &ngx_http_weir_verdicts[WEIR_PASSED];
    }

    return ngx_http_weir_variable(v, word->data, word->len);
}


static ngx_int_t
ngx_http_weir_zone_variable(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data)
{
    ngx_http_weir_ctx_t  *ctx;

    ctx = ngx_http_weir_find_ctx(r);
    if (ctx == NULL || ctx->zone == NULL) {
        v->not_found = 1;
        return NGX_OK;
    }

    return ngx_http_weir_variable(v, ctx->zone->data, ctx->zone->len);
}


static ngx_int_t
ngx_http_weir_number_variable(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uint64_t number)
{
    u_char  *p;

    p = ngx_pnalloc(r->pool, NGX_INT64_LEN);
    if (p == NULL) {
        return NGX_ERROR;
    }

    return ngx_http_weir_variable(v, p, ngx_sprintf(p, "%uL", number) - p);
}


static ngx_int_t
ngx_http_weir_remaining_variable(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data)
{
    ngx_http_weir_ctx_t  *ctx;

    ctx = ngx_http_weir_find_ctx(r);
    if (ctx == NULL || ctx->zone == NULL) {
        v->not_found = 1;
        return NGX_OK;
    }

    return ngx_http_weir_number_variable(r, v, ctx->remaining);
}


/* Whoever is denied in the end is told no time: waiting doesn't help. */

static ngx_int_t
ngx_http_weir_retry_after_variable(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data)
{
    ngx_http_weir_ctx_t  *ctx;

    ctx = ngx_http_weir_find_ctx(r);
    if (ctx == NULL || ctx->retry_after == 0 || ctx->geo_denied) {
        v->not_found = 1;
        return NGX_OK;
    }

    return ngx_http_weir_number_variable(r, v, ctx->retry_after);
}


/* Of the country database that is in use at the moment. */

static ngx_int_t
ngx_http_weir_epoch_variable(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data)
{
    weir_geo_info_t             info;
    ngx_http_weir_main_conf_t  *wmcf;

    wmcf = ngx_http_get_module_main_conf(r, ngx_http_weir_module);

    info.build_epoch = 0;

    if (wmcf->countries && wmcf->countries->geo) {
        weir_geo_get_info(wmcf->countries->geo, &info);
    }

    if (info.build_epoch == 0) {
        v->not_found = 1;
        return NGX_OK;
    }

    return ngx_http_weir_number_variable(r, v, info.build_epoch);
}


static ngx_int_t
ngx_http_weir_client_variable(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data)
{
    ngx_str_t  client;

    if (ngx_http_weir_client(r, &client) != NGX_OK) {
        return NGX_ERROR;
    }

    return ngx_http_weir_variable(v, client.data, client.len);
}
