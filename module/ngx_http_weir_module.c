
/*
 * The module itself: its place among nginx's phases, and the request's
 * context.
 */

#include "ngx_http_weir_module.h"


static ngx_int_t ngx_http_weir_init(ngx_conf_t *cf);
static ngx_int_t ngx_http_weir_add_handler(ngx_conf_t *cf,
    ngx_http_phases phase, ngx_http_handler_pt handler, ngx_uint_t first);
static ngx_int_t ngx_http_weir_init_module(ngx_cycle_t *cycle);
static ngx_int_t ngx_http_weir_init_process(ngx_cycle_t *cycle);
static void ngx_http_weir_exit_process(ngx_cycle_t *cycle);


static ngx_http_module_t  ngx_http_weir_module_ctx = {
    ngx_http_weir_add_variables,           /* preconfiguration */
    ngx_http_weir_init,                    /* postconfiguration */

    ngx_http_weir_create_main_conf,        /* create main configuration */
    NULL,                                  /* init main configuration */

    ngx_http_weir_create_srv_conf,         /* create server configuration */
    NULL,                                  /* merge server configuration */

    ngx_http_weir_create_loc_conf,         /* create location configuration */
    ngx_http_weir_merge_loc_conf           /* merge location configuration */
};


ngx_module_t  ngx_http_weir_module = {
    NGX_MODULE_V1,
    &ngx_http_weir_module_ctx,             /* module context */
    ngx_http_weir_commands,                /* module directives */
    NGX_HTTP_MODULE,                       /* module type */
    NULL,                                  /* init master */
    ngx_http_weir_init_module,             /* init module */
    ngx_http_weir_init_process,            /* init process */
    NULL,                                  /* init thread */
    NULL,                                  /* exit thread */
    ngx_http_weir_exit_process,            /* exit process */
    NULL,                                  /* exit master */
    NGX_MODULE_V1_PADDING
};


static ngx_int_t
ngx_http_weir_init(ngx_conf_t *cf)
{
    ngx_http_weir_main_conf_t  *wmcf;

    wmcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_weir_module);

    ngx_http_weir_check_loaded(cf);

    if (ngx_http_weir_check_geo(cf, wmcf) != NGX_OK
        || ngx_http_weir_open_fields(cf, wmcf) != NGX_OK
        || ngx_http_weir_init_zones(cf, wmcf) != NGX_OK
        || ngx_http_weir_init_flags(cf, wmcf) != NGX_OK)
    {
        return NGX_ERROR;
    }

    if (wmcf->limits.nelts) {
        ngx_http_weir_add_header_filter();

        if (ngx_http_weir_add_handler(cf, NGX_HTTP_LOG_PHASE,
                                      ngx_http_weir_log_handler, 0)
            != NGX_OK)
        {
            return NGX_ERROR;
        }
    }

    /*
     * A request that nginx refuses before its phases begin (400, 414, 494)
     * may still be redirected by error_page, and then starts at one of the
     * rewrite phases.
     */

    if (ngx_http_weir_add_handler(cf, NGX_HTTP_POST_READ_PHASE,
                                  ngx_http_weir_strip_handler, 0)
        != NGX_OK
        || ngx_http_weir_add_handler(cf, NGX_HTTP_SERVER_REWRITE_PHASE,
                                     ngx_http_weir_strip_handler, 1)
           != NGX_OK
        || ngx_http_weir_add_handler(cf, NGX_HTTP_REWRITE_PHASE,
                                     ngx_http_weir_strip_handler, 1)
           != NGX_OK)
    {
        return NGX_ERROR;
    }

    return ngx_http_weir_add_handler(cf, NGX_HTTP_PREACCESS_PHASE,
                                     ngx_http_weir_handler, 0);
}


/*
 * Adds a handler that runs as the first or as the last of its phase.
 *
 * Handlers of a phase run in reverse order of their array, and a dynamic
 * module registers last.  At index 0 a handler runs after realip's, in dynamic
 * and static builds alike, and so sees the address that realip sets, also at a
 * location's level.
 */

static ngx_int_t
ngx_http_weir_add_handler(ngx_conf_t *cf, ngx_http_phases phase,
    ngx_http_handler_pt handler, ngx_uint_t first)
{
    ngx_uint_t                  i;
    ngx_array_t                *handlers;
    ngx_http_handler_pt        *h;
    ngx_http_core_main_conf_t  *cmcf;

    cmcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_core_module);
    handlers = &cmcf->phases[phase].handlers;

    if (ngx_array_push(handlers) == NULL) {
        return NGX_ERROR;
    }

    h = handlers->elts;
    i = handlers->nelts - 1;

    for ( /* void */ ; !first && i > 0; i--) {
        h[i] = h[i - 1];
    }

    h[i] = handler;

    return NGX_OK;
}


/* When the workers' user is known, in the master. */

static ngx_int_t
ngx_http_weir_init_module(ngx_cycle_t *cycle)
{
    ngx_http_weir_main_conf_t  *wmcf;

    wmcf = ngx_http_cycle_get_module_main_conf(cycle, ngx_http_weir_module);

    if (wmcf) {
        ngx_http_weir_check_readable(cycle, wmcf);
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_weir_init_process(ngx_cycle_t *cycle)
{
    ngx_http_weir_main_conf_t  *wmcf;

    if (ngx_process == NGX_PROCESS_HELPER) {
        return NGX_OK;
    }

    wmcf = ngx_http_cycle_get_module_main_conf(cycle, ngx_http_weir_module);
    if (wmcf == NULL) {
        return NGX_OK;
    }

    if (ngx_http_weir_attach_zones(cycle, wmcf) != NGX_OK) {
        return NGX_ERROR;
    }

    ngx_http_weir_start_housekeeping(cycle, wmcf);
    ngx_http_weir_start_updates(cycle, wmcf);

    return NGX_OK;
}


static void
ngx_http_weir_exit_process(ngx_cycle_t *cycle)
{
    ngx_http_weir_main_conf_t  *wmcf;

    wmcf = ngx_http_cycle_get_module_main_conf(cycle, ngx_http_weir_module);

    if (wmcf) {
        ngx_http_weir_end_updates(wmcf);
        ngx_http_weir_detach_zones(wmcf);
    }
}


/*
 * An internal redirect zeroes r->ctx, so the context hangs on a cleanup of
 * the main request's pool, where it is found again, as realip does it.
 */

static void
ngx_http_weir_ctx_cleanup(void *data)
{
    /* only a mark to find the context by */
}


ngx_http_weir_ctx_t *
ngx_http_weir_find_ctx(ngx_http_request_t *r)
{
    ngx_pool_cleanup_t   *cln;
    ngx_http_weir_ctx_t  *ctx;

    r = r->main;

    ctx = ngx_http_get_module_ctx(r, ngx_http_weir_module);

    if (ctx == NULL && (r->internal || r->filter_finalize)) {

        for (cln = r->pool->cleanup; cln; cln = cln->next) {
            if (cln->handler == ngx_http_weir_ctx_cleanup) {
                ctx = cln->data;
                ngx_http_set_ctx(r, ctx, ngx_http_weir_module);
                break;
            }
        }
    }

    return ctx;
}


ngx_http_weir_ctx_t *
ngx_http_weir_get_ctx(ngx_http_request_t *r)
{
    ngx_pool_cleanup_t   *cln;
    ngx_http_weir_ctx_t  *ctx;

    ctx = ngx_http_weir_find_ctx(r);
    if (ctx) {
        return ctx;
    }

    cln = ngx_pool_cleanup_add(r->main->pool, sizeof(ngx_http_weir_ctx_t));
    if (cln == NULL) {
        return NULL;
    }

    ctx = cln->data;
    ngx_memzero(ctx, sizeof(ngx_http_weir_ctx_t));
    cln->handler = ngx_http_weir_ctx_cleanup;

    ngx_http_set_ctx(r->main, ctx, ngx_http_weir_module);

    return ctx;
}
