
/*
 * What is said once of a configuration, though each of its workers meets it
 * many times: flags in memory that the workers share, and that lives as long
 * as their configuration.  A worker that is killed or replaced doesn't say it
 * again, a reload does.
 */

#include "ngx_http_weir_module.h"


static void ngx_http_weir_free_flags(void *data);


/* Gives each limit whose terms come with requests its flags. */

ngx_int_t
ngx_http_weir_init_flags(ngx_conf_t *cf, ngx_http_weir_main_conf_t *wmcf)
{
    ngx_shm_t               *shm;
    ngx_uint_t               i, n;
    ngx_atomic_t            *flags;
    ngx_pool_cleanup_t      *cln;
    ngx_http_weir_limit_t  **limits;

    limits = wmcf->limits.elts;
    n = 0;

    for (i = 0; i < wmcf->limits.nelts; i++) {
        n += limits[i]->rate || limits[i]->cost;
    }

    if (n == 0) {
        return NGX_OK;
    }

    cln = ngx_pool_cleanup_add(cf->pool, sizeof(ngx_shm_t));
    if (cln == NULL) {
        return NGX_ERROR;
    }

    shm = cln->data;
    ngx_memzero(shm, sizeof(ngx_shm_t));

    shm->size = n * NGX_HTTP_WEIR_FLAGS * sizeof(ngx_atomic_t);
    shm->log = cf->log;
    ngx_str_set(&shm->name, "weir flags");

    if (ngx_shm_alloc(shm) != NGX_OK) {
        return NGX_ERROR;
    }

    cln->handler = ngx_http_weir_free_flags;

    flags = (ngx_atomic_t *) shm->addr;

    for (i = 0; i < wmcf->limits.nelts; i++) {
        if (limits[i]->rate || limits[i]->cost) {
            limits[i]->flags = flags;
            flags += NGX_HTTP_WEIR_FLAGS;
        }
    }

    return NGX_OK;
}


static void
ngx_http_weir_free_flags(void *data)
{
    ngx_shm_t  *shm = data;

    shm->log = ngx_cycle->log;

    ngx_shm_free(shm);
}


/* True for the first that asks. */

ngx_uint_t
ngx_http_weir_once(ngx_atomic_t *flag)
{
    return *flag == 0 && ngx_atomic_cmp_set(flag, 0, 1);
}
