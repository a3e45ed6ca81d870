/*
 * limit_req.h, by including nginx's file: its handler and its zone's set-up
 * are static there. Functions of nginx that it calls and that are neither
 * here nor in the files of nginx's in CMakeLists.txt are never reached: see
 * unreached.c.
 */

#include <ngx_http_limit_req_module.c>

#include <pthread.h>

#include "limit_req.h"


struct limit_req_zone {
    ngx_shm_zone_t             shm_zone;
    ngx_http_limit_req_ctx_t   ctx;
    uint64_t                   used;  /* allocations of an empty zone */
};


struct limit_req_rules {
    ngx_http_limit_req_conf_t  conf;
};


static ngx_uint_t limit_req_slabs(const limit_req_zone_t *zone);
static void limit_req_init(void);
static void limit_req_in_child(void);


/* What nginx's core has, and its files use. */

ngx_pid_t             ngx_pid;
ngx_int_t             ngx_ncpu;
volatile ngx_msec_t   ngx_current_msec;
volatile ngx_cycle_t *ngx_cycle;

void (*limit_req_before_rule)(size_t rule);

/* Nothing is logged but alerts, and of those only the fact. */
static ngx_log_t            silent;
static ngx_log_t            alerts = { .log_level = NGX_LOG_ALERT };
static ngx_uint_t           alerts_seen;

/* One request after another, as in a worker. */
static ngx_cycle_t          cycle = { .log = &alerts };
static ngx_connection_t     connection = { .log = &silent };
static void                *loc_conf[1];
static ngx_http_request_t   request;
static ngx_str_t            request_key;
static size_t               request_rule;


limit_req_zone_t *
limit_req_zone_new(void *memory, size_t size, uint64_t rate)
{
    ngx_slab_pool_t   *pool = memory;
    limit_req_zone_t  *zone;

    limit_req_init();

    if (size < 8 * ngx_pagesize) {  /* nginx's own bound */
        return NULL;
    }

    zone = calloc(1, sizeof(limit_req_zone_t));
    if (zone == NULL) {
        return NULL;
    }

    pool->end = (u_char *) memory + size;
    pool->min_shift = 3;
    pool->addr = memory;

    if (ngx_shmtx_create(&pool->mutex, &pool->lock, NULL) != NGX_OK) {
        free(zone);
        return NULL;
    }

    ngx_slab_init(pool);

    zone->shm_zone.shm.addr = memory;
    zone->shm_zone.shm.size = size;
    ngx_str_set(&zone->shm_zone.shm.name, "peer");
    zone->shm_zone.data = &zone->ctx;
    zone->ctx.rate = rate;

    if (ngx_http_limit_req_init_zone(&zone->shm_zone, NULL) != NGX_OK) {
        free(zone);
        return NULL;
    }

    zone->used = limit_req_slabs(zone);

    return zone;
}


void
limit_req_zone_free(limit_req_zone_t *zone)
{
    free(zone);
}


uint64_t
limit_req_zone_keys(const limit_req_zone_t *zone)
{
    return limit_req_slabs(zone) - zone->used;
}


uint64_t
limit_req_zone_full(const limit_req_zone_t *zone)
{
    uint64_t                fails;
    ngx_uint_t              i;
    const ngx_slab_pool_t  *pool = zone->ctx.shpool;

    fails = 0;

    for (i = 0; i < ngx_pagesize_shift - pool->min_shift; i++) {
        fails += pool->stats[i].fails;
    }

    return fails;
}


int
limit_req_zone_force_unlock(limit_req_zone_t *zone, pid_t dead)
{
    return (int) ngx_shmtx_force_unlock(&zone->ctx.shpool->mutex, dead);
}


limit_req_rules_t *
limit_req_rules_new(limit_req_zone_t *const zones[], const uint64_t bursts[],
    size_t count)
{
    size_t                       i;
    limit_req_rules_t           *rules;
    ngx_http_limit_req_limit_t  *limits;

    rules = calloc(1, sizeof(limit_req_rules_t));
    limits = calloc(count, sizeof(ngx_http_limit_req_limit_t));

    if (rules == NULL || limits == NULL) {
        free(rules);
        free(limits);
        return NULL;
    }

    for (i = 0; i < count; i++) {
        limits[i].shm_zone = &zones[i]->shm_zone;
        limits[i].burst = bursts[i] * 1000;
        limits[i].delay = NGX_MAX_INT_T_VALUE / 1000 * 1000;  /* nodelay */
    }

    rules->conf.limits.elts = limits;
    rules->conf.limits.nelts = count;
    rules->conf.limit_log_level = NGX_LOG_ERR;
    rules->conf.delay_log_level = NGX_LOG_WARN;
    rules->conf.status_code = NGX_HTTP_SERVICE_UNAVAILABLE;

    return rules;
}


void
limit_req_rules_free(limit_req_rules_t *rules)
{
    if (rules != NULL) {
        free(rules->conf.limits.elts);
        free(rules);
    }
}


void
limit_req_set_time(uint64_t milliseconds)
{
    ngx_current_msec = milliseconds;
}


limit_req_verdict_t
limit_req_decide(limit_req_rules_t *rules, const void *key, size_t length)
{
    ngx_uint_t  alerts_before;

    alerts_before = alerts_seen;

    request_key.data = (u_char *) key;
    request_key.len = length;
    request_rule = 0;

    loc_conf[0] = &rules->conf;
    request.limit_req_status = 0;

    (void) ngx_http_limit_req_handler(&request);

    if (request.limit_req_status != NGX_HTTP_LIMIT_REQ_REJECTED) {
        return LIMIT_REQ_PASSED;
    }

    return alerts_seen != alerts_before ? LIMIT_REQ_NO_NODE
                                        : LIMIT_REQ_REJECTED;
}


/* The handler's way to its key. */

ngx_int_t
ngx_http_complex_value(ngx_http_request_t *r, ngx_http_complex_value_t *val,
    ngx_str_t *value)
{
    if (limit_req_before_rule != NULL) {
        limit_req_before_rule(request_rule);
    }

    request_rule++;
    *value = request_key;

    return NGX_OK;
}


void
ngx_log_error_core(ngx_uint_t level, ngx_log_t *log, ngx_err_t err,
    const char *fmt, ...)
{
    alerts_seen++;
}


/* The zone is corrupt, as a kill may leave it. nginx has logged an alert, and
 * goes on unless debug_points is set. */

void
ngx_debug_point(void)
{
}


static ngx_uint_t
limit_req_slabs(const limit_req_zone_t *zone)
{
    ngx_uint_t              i, used;
    const ngx_slab_pool_t  *pool = zone->ctx.shpool;

    used = 0;

    for (i = 0; i < ngx_pagesize_shift - pool->min_shift; i++) {
        used += pool->stats[i].used;
    }

    return used;
}


/* What nginx does at start-up, as far as its files here need it. */

static void
limit_req_init(void)
{
    ngx_uint_t  n;

    if (ngx_pagesize) {
        return;
    }

    ngx_pagesize = getpagesize();
    for (n = ngx_pagesize; n >>= 1; ngx_pagesize_shift++) { /* void */ }

    ngx_cacheline_size = NGX_CPU_CACHE_LINE;
    ngx_ncpu = sysconf(_SC_NPROCESSORS_ONLN);
    ngx_pid = getpid();
    ngx_cycle = &cycle;

    request.main = &request;
    request.connection = &connection;
    request.loc_conf = loc_conf;
    ngx_http_limit_req_module.ctx_index = 0;

    ngx_slab_sizes_init();

    if (ngx_crc32_table_init() != NGX_OK
        || pthread_atfork(NULL, NULL, limit_req_in_child) != 0)
    {
        abort();  /* no memory for a few bytes */
    }
}


/* The mutex holds its owner's pid. */

static void
limit_req_in_child(void)
{
    ngx_pid = getpid();
}
