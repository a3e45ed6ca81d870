
/*
 * Zones in shared memory: which format and which memory they get, and a
 * worker's handles to them.
 *
 * nginx hands a zone's memory on to the next cycle if name, size and tag are
 * the same.  What a zone's memory means depends on more than that: on the key
 * and on the format (algorithm, ticks, windows).  Where one of these changes,
 * the zone needs fresh memory, and it gets it by another tag: there are two,
 * and a reload that can't take a zone over gives it the tag that the old
 * cycle's has not.  (The noreuse flag is no way to do this: nginx asks the
 * flag of the old zone when it frees memory, so a flag that comes and goes
 * frees memory in use.)
 */

#include "ngx_http_weir_module.h"


static ngx_int_t ngx_http_weir_take_over(ngx_conf_t *cf,
    ngx_http_weir_zone_t *zone, ngx_array_t *quotas);
static ngx_uint_t ngx_http_weir_serves(weir_format_t *format,
    ngx_array_t *quotas);


/*
 * When all of the configuration is known: every zone that is named must be
 * defined, one format must serve all its quotas, and it is settled whether
 * the zone takes its predecessor's memory over.
 */

ngx_int_t
ngx_http_weir_init_zones(ngx_conf_t *cf, ngx_http_weir_main_conf_t *wmcf)
{
    ngx_uint_t               i;
    ngx_array_t              quotas;
    weir_error_t             error;
    ngx_http_weir_zone_t   **zones;
    ngx_http_weir_limit_t  **limits;

    zones = wmcf->zones.elts;

    for (i = 0; i < wmcf->zones.nelts; i++) {

        if (zones[i]->shm_zone == NULL) {
            ngx_http_weir_error_at(cf, &zones[i]->first_use,
                                   "unknown zone \"%V\", expected "
                                   "a \"weir_limit_zone\" that defines it",
                                   &zones[i]->name);
            return NGX_ERROR;
        }

        if (ngx_array_init(&quotas, cf->temp_pool, 8, sizeof(weir_quota_t))
            != NGX_OK
            || ngx_http_weir_collect_quotas(cf, wmcf, zones[i], &quotas)
               != NGX_OK)
        {
            return NGX_ERROR;
        }

        if (weir_format_choose(zones[i]->algorithm, quotas.elts, quotas.nelts,
                               &zones[i]->format, &error)
            != WEIR_OK)
        {
            ngx_http_weir_error_at(cf, &zones[i]->place, "zone \"%V\": %s",
                                   &zones[i]->name, error.text);
            return NGX_ERROR;
        }

        if (ngx_http_weir_take_over(cf, zones[i], &quotas) != NGX_OK) {
            return NGX_ERROR;
        }
    }

    limits = wmcf->limits.elts;

    for (i = 0; i < wmcf->limits.nelts; i++) {
        if (ngx_http_weir_make_allowances(cf, limits[i]) != NGX_OK) {
            return NGX_ERROR;
        }
    }

    return NGX_OK;
}


static ngx_shm_zone_t *
ngx_http_weir_old_zone(ngx_conf_t *cf, ngx_shm_zone_t *shm_zone)
{
    ngx_uint_t        i;
    ngx_shm_zone_t   *old;
    ngx_list_part_t  *part;

    if (cf->cycle->old_cycle == NULL) {
        return NULL;
    }

    for (part = &cf->cycle->old_cycle->shared_memory.part;
         part;
         part = part->next)
    {
        old = part->elts;

        for (i = 0; i < part->nelts; i++) {
            if (old[i].shm.name.len == shm_zone->shm.name.len
                && ngx_strncmp(old[i].shm.name.data, shm_zone->shm.name.data,
                               shm_zone->shm.name.len)
                   == 0)
            {
                return &old[i];
            }
        }
    }

    return NULL;
}


static ngx_int_t
ngx_http_weir_take_over(ngx_conf_t *cf, ngx_http_weir_zone_t *zone,
    ngx_array_t *quotas)
{
    char                  *reason;
    ngx_shm_zone_t        *old_shm_zone;
    ngx_http_weir_zone_t  *old;

    old_shm_zone = ngx_http_weir_old_zone(cf, zone->shm_zone);
    if (old_shm_zone == NULL) {
        return NGX_OK;
    }

    if (old_shm_zone->tag != &ngx_http_weir_tags[0]
        && old_shm_zone->tag != &ngx_http_weir_tags[1])
    {
        reason = "was made by another module, or by this one "
                 "loaded from another file";
        goto anew;
    }

    old = old_shm_zone->data;
    reason = NULL;

    if (old->key.value.len != zone->key.value.len
        || ngx_strncmp(old->key.value.data, zone->key.value.data,
                       zone->key.value.len)
           != 0)
    {
        reason = "had another key";

    } else if (old->algorithm != zone->algorithm) {
        reason = "had another algorithm";

    } else if (old->format.period != zone->format.period) {
        reason = "had windows of another period";

    } else if (!ngx_http_weir_serves(&old->format, quotas)) {
        reason = zone->algorithm == WEIR_TOKEN_BUCKET
                     ? "counted time too coarsely or too finely "
                       "for its new rates"
                     : "counted in units too large or too small "
                       "for its new rates";
    }

    if (reason) {
        zone->shm_zone->tag = old_shm_zone->tag == &ngx_http_weir_tags[0]
                                  ? &ngx_http_weir_tags[1]
                                  : &ngx_http_weir_tags[0];
        goto anew;
    }

    zone->shm_zone->tag = old_shm_zone->tag;

    if (old_shm_zone->shm.size != zone->shm_zone->shm.size) {
        reason = "had another size";
        goto anew;
    }

    zone->format = old->format;

    return NGX_OK;

anew:

    ngx_log_error(NGX_LOG_WARN, cf->log, 0,
                  "zone \"%V\" starts anew, without its counts: it %s",
                  &zone->name, reason);

    return NGX_OK;
}


/* Whether a format that was chosen for other quotas serves these as well. */

static ngx_uint_t
ngx_http_weir_serves(weir_format_t *format, ngx_array_t *quotas)
{
    ngx_uint_t      i;
    weir_quota_t   *quota;
    weir_budget_t   budget;

    quota = quotas->elts;

    for (i = 0; i < quotas->nelts; i++) {
        if (weir_budget_make(&quota[i], format, &budget, NULL) != WEIR_OK) {
            return 0;
        }
    }

    return 1;
}


ngx_int_t
ngx_http_weir_init_zone(ngx_shm_zone_t *shm_zone, void *data)
{
    ngx_http_weir_zone_t  *old = data;

    size_t                 size;
    weir_error_t           error;
    ngx_slab_pool_t       *shpool;
    ngx_http_weir_zone_t  *zone;

    zone = shm_zone->data;

    if (old) {
        zone->memory = old->memory;
        zone->size = old->size;
        zone->report = old->report;
        return NGX_OK;
    }

    /* One allocation takes all that the slab pool has left. */

    shpool = (ngx_slab_pool_t *) shm_zone->shm.addr;
    size = shpool->pfree * ngx_pagesize;

    zone->memory = ngx_slab_alloc(shpool, size);
    if (zone->memory == NULL) {
        return NGX_ERROR;
    }

    /* fresh shared memory is zero, but for what a debugging allocator does */

#if (NGX_DEBUG_MALLOC)
    ngx_memzero(zone->memory, size);
#endif

    /* the last line of the table is the housekeeper's */

    zone->size = size - NGX_HTTP_WEIR_REPORT_SIZE;
    zone->report = (ngx_http_weir_report_t *)
                       ((u_char *) zone->memory + zone->size);
    zone->report->since = ngx_http_weir_seconds();

    if (weir_zone_format_zeroed(zone->memory, zone->size, &zone->format,
                                &error)
        != WEIR_OK)
    {
        ngx_log_error(NGX_LOG_EMERG, shm_zone->shm.log, 0,
                      "zone \"%V\": %s", &zone->name, error.text);
        return NGX_ERROR;
    }

    return NGX_OK;
}


/* In every worker a handle to each zone. */

ngx_int_t
ngx_http_weir_attach_zones(ngx_cycle_t *cycle, ngx_http_weir_main_conf_t *wmcf)
{
    ngx_uint_t              i;
    weir_error_t            error;
    ngx_http_weir_zone_t  **zones;

    zones = wmcf->zones.elts;

    for (i = 0; i < wmcf->zones.nelts; i++) {
        if (weir_zone_attach(zones[i]->memory, zones[i]->size, zones[i]->full,
                             &zones[i]->handle, &error)
            != WEIR_OK)
        {
            ngx_log_error(NGX_LOG_EMERG, cycle->log, 0,
                          "zone \"%V\": %s", &zones[i]->name, error.text);
            return NGX_ERROR;
        }
    }

    return NGX_OK;
}


void
ngx_http_weir_detach_zones(ngx_http_weir_main_conf_t *wmcf)
{
    ngx_uint_t              i;
    ngx_http_weir_zone_t  **zones;

    zones = wmcf->zones.elts;

    for (i = 0; i < wmcf->zones.nelts; i++) {
        weir_zone_detach(zones[i]->handle);
        zones[i]->handle = NULL;
    }
}
