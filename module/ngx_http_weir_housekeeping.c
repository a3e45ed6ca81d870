
/*
 * What the first worker does once a second: it sweeps the zones, and says how
 * many lines weir_limit_log_rate has left out, and if a zone is too small, at
 * most once a minute for each.  Old and new workers may both do so for a
 * while, with one zone; whoever moves its "logged" on logs.
 */

#include "ngx_http_weir_module.h"


static void ngx_http_weir_keep_house(ngx_event_t *ev);
static void ngx_http_weir_watch(ngx_http_weir_zone_t *zone, ngx_log_t *log);
static void ngx_http_weir_log_full(ngx_http_weir_zone_t *zone, ngx_log_t *log,
    weir_counters_t *now, uint64_t seconds);


#define NGX_HTTP_WEIR_HOUSEKEEPING_INTERVAL  1000  /* ms */
#define NGX_HTTP_WEIR_REPORT_INTERVAL        60    /* s */


void
ngx_http_weir_start_housekeeping(ngx_cycle_t *cycle,
    ngx_http_weir_main_conf_t *wmcf)
{
    ngx_event_t  *ev;

    if (wmcf->zones.nelts == 0 || ngx_worker != 0) {
        return;
    }

    ev = &wmcf->housekeeping;

    ev->handler = ngx_http_weir_keep_house;
    ev->data = wmcf;
    ev->log = cycle->log;
    ev->cancelable = 1;

    ngx_add_timer(ev, NGX_HTTP_WEIR_HOUSEKEEPING_INTERVAL);
}


static void
ngx_http_weir_keep_house(ngx_event_t *ev)
{
    ngx_uint_t                  i;
    ngx_http_weir_zone_t      **zones;
    ngx_http_weir_main_conf_t  *wmcf;

    wmcf = ev->data;
    zones = wmcf->zones.elts;

    for (i = 0; i < wmcf->zones.nelts; i++) {
        weir_zone_sweep(zones[i]->handle, &ngx_http_weir_clock);
        ngx_http_weir_log_unlogged(zones[i], ev->log);
        ngx_http_weir_watch(zones[i], ev->log);
    }

    ngx_add_timer(ev, NGX_HTTP_WEIR_HOUSEKEEPING_INTERVAL);
}


static void
ngx_http_weir_watch(ngx_http_weir_zone_t *zone, ngx_log_t *log)
{
    uint64_t                 now;
    ngx_atomic_uint_t        logged;
    weir_counters_t          counters;
    ngx_http_weir_report_t  *report;

    report = zone->report;
    weir_zone_counters(zone->handle, &counters);

    if (counters.evicted == report->evicted
        && counters.full_rejected == report->full_rejected
        && counters.full_admitted == report->full_admitted
        && counters.exhausted == report->exhausted)
    {
        return;
    }

    now = ngx_http_weir_seconds();
    logged = report->logged;

    if ((logged && now - logged < NGX_HTTP_WEIR_REPORT_INTERVAL)
        || !ngx_atomic_cmp_set(&report->logged, logged, now))
    {
        return;
    }

    ngx_http_weir_log_full(zone, log, &counters, now - report->since);

    report->since = now;
    report->evicted = counters.evicted;
    report->full_rejected = counters.full_rejected;
    report->full_admitted = counters.full_admitted;
    report->exhausted = counters.exhausted;
}


static void
ngx_http_weir_log_full(ngx_http_weir_zone_t *zone, ngx_log_t *log,
    weir_counters_t *now, uint64_t seconds)
{
    uint64_t                 evicted, rejected, admitted, exhausted;
    ngx_http_weir_report_t  *report;

    report = zone->report;

    evicted = now->evicted - report->evicted;
    rejected = now->full_rejected - report->full_rejected;
    admitted = now->full_admitted - report->full_admitted;
    exhausted = now->exhausted - report->exhausted;

    if (evicted || rejected || admitted) {
        ngx_log_error(NGX_LOG_WARN, log, 0,
                      "zone \"%V\" is full: within %uL s, %uL keys with the "
                      "least debt were forgotten, %uL requests refused and "
                      "%uL let through for want of room, "
                      "expected a larger zone",
                      &zone->name, seconds, evicted, rejected, admitted);
    }

    if (exhausted) {
        ngx_log_error(NGX_LOG_WARN, log, 0,
                      "zone \"%V\" is contended: within %uL s, %uL requests "
                      "were refused, with too many others charging their keys",
                      &zone->name, seconds, exhausted);
    }
}


/* On the clock that all processes share; never 0. */

uint64_t
ngx_http_weir_seconds(void)
{
    return ngx_http_weir_clock.now(ngx_http_weir_clock.context) / 1000000000
           + 1;
}
