
/*
 * weir_geo_variable: a field of a database as a variable.
 */

#include "ngx_http_weir_module.h"


static ngx_int_t ngx_http_weir_field_variable(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data);
static ngx_int_t ngx_http_weir_look_up_field(ngx_http_request_t *r,
    ngx_http_weir_ctx_t *ctx, ngx_http_weir_field_t *field, ngx_str_t *value);


#define NGX_HTTP_WEIR_FIELD_LEN      256    /* longer: looked up again */
#define NGX_HTTP_WEIR_MAX_FIELD_LEN  16384  /* longer: none */


/* weir_geo_variable $name FIELD.PATH [db=FILE] [default=TEXT]; */

char *
ngx_http_weir_geo_variable(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_weir_main_conf_t *wmcf = conf;

    ngx_str_t               *value, name;
    ngx_uint_t               i;
    weir_error_t             error;
    ngx_http_variable_t     *var;
    ngx_http_weir_field_t   *field, **slot;

    value = cf->args->elts;

    if (value[1].len < 2 || value[1].data[0] != '$') {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "\"%V\" in \"weir_geo_variable\" is no variable, "
                           "expected \"$name\"", &value[1]);
        return NGX_CONF_ERROR;
    }

    if (ngx_http_weir_check_repeated(cf, 3) != NGX_OK) {
        return NGX_CONF_ERROR;
    }

    field = ngx_pcalloc(cf->pool, sizeof(ngx_http_weir_field_t));
    slot = ngx_array_push(&wmcf->fields);
    if (field == NULL || slot == NULL) {
        return NGX_CONF_ERROR;
    }

    *slot = field;

    field->index = wmcf->fields.nelts - 1;
    field->place = ngx_http_weir_place(cf);

    for (i = 3; i < cf->args->nelts; i++) {

        if (ngx_strncmp(value[i].data, "db=", 3) == 0 && value[i].len > 3) {
            field->file.data = value[i].data + 3;
            field->file.len = value[i].len - 3;
            continue;
        }

        if (ngx_strncmp(value[i].data, "default=", 8) == 0) {
            field->otherwise.data = value[i].data + 8;
            field->otherwise.len = value[i].len - 8;
            continue;
        }

        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid parameter \"%V\" of "
                           "\"weir_geo_variable\", expected \"db=FILE\" or "
                           "\"default=TEXT\"", &value[i]);
        return NGX_CONF_ERROR;
    }

    if (field->file.len == 0) {
        ngx_http_weir_need_geo(cf, &cmd->name);
    }

    if (weir_geo_path_parse((char *) value[2].data, value[2].len, &field->path,
                            &error)
        != WEIR_OK)
    {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0, "%s", error.text);
        return NGX_CONF_ERROR;
    }

    if (ngx_http_weir_own(cf, field->path,
                          (ngx_pool_cleanup_pt) weir_geo_path_free)
        != NGX_OK)
    {
        return NGX_CONF_ERROR;
    }

    name.data = value[1].data + 1;
    name.len = value[1].len - 1;

    var = ngx_http_add_variable(cf, &name, NGX_HTTP_VAR_NOCACHEABLE);
    if (var == NULL) {
        return NGX_CONF_ERROR;
    }

    if (var->get_handler) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "variable \"%V\" is defined already, expected "
                           "another name in \"weir_geo_variable\"",
                           &value[1]);
        return NGX_CONF_ERROR;
    }

    var->get_handler = ngx_http_weir_field_variable;
    var->data = (uintptr_t) field;

    return NGX_CONF_OK;
}


/* Looked up when it is asked for, and once for each address. */

static ngx_int_t
ngx_http_weir_field_variable(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data)
{
    ngx_str_t                  *value;
    ngx_http_weir_ctx_t        *ctx;
    ngx_http_weir_field_t      *field;
    ngx_http_weir_main_conf_t  *wmcf;

    field = (ngx_http_weir_field_t *) data;

    ctx = ngx_http_weir_get_ctx(r);
    if (ctx == NULL) {
        return NGX_ERROR;
    }

    ngx_http_weir_locate(r, ctx);

    if (ctx->fields == NULL) {
        wmcf = ngx_http_get_module_main_conf(r, ngx_http_weir_module);

        ctx->fields = ngx_pcalloc(r->main->pool,
                                  wmcf->fields.nelts * sizeof(ngx_str_t));
        if (ctx->fields == NULL) {
            return NGX_ERROR;
        }
    }

    value = &ctx->fields[field->index];

    if (value->data == NULL
        && ngx_http_weir_look_up_field(r, ctx, field, value) != NGX_OK)
    {
        return NGX_ERROR;
    }

    v->data = value->data;
    v->len = value->len;
    v->valid = 1;
    v->no_cacheable = 0;
    v->not_found = 0;

    return NGX_OK;
}


static ngx_int_t
ngx_http_weir_look_up_field(ngx_http_request_t *r, ngx_http_weir_ctx_t *ctx,
    ngx_http_weir_field_t *field, ngx_str_t *value)
{
    char    *p, buf[NGX_HTTP_WEIR_FIELD_LEN];
    size_t   len, size;

    p = buf;
    size = sizeof(buf);

    for ( ;; ) {
        len = 0;

        if (field->database->geo) {
            len = weir_geo_field(field->database->geo, field->path,
                                 ctx->address, ctx->address_len, p, size);
        }

        if (len <= size || len > NGX_HTTP_WEIR_MAX_FIELD_LEN) {
            break;
        }

        /* again: after an update meanwhile it may be another text */

        size = len;

        p = ngx_pnalloc(r->main->pool, size);
        if (p == NULL) {
            return NGX_ERROR;
        }
    }

    if (len == 0 || len > NGX_HTTP_WEIR_MAX_FIELD_LEN) {
        value->len = field->otherwise.len;
        value->data = field->otherwise.len ? field->otherwise.data
                                           : (u_char *) "";
        return NGX_OK;
    }

    value->len = len;
    value->data = (u_char *) p;

    if (p == buf) {
        value->data = ngx_pnalloc(r->main->pool, len);
        if (value->data == NULL) {
            return NGX_ERROR;
        }

        ngx_memcpy(value->data, buf, len);
    }

    return NGX_OK;
}
