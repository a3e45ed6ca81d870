
/*
 * What the error log says of requests that a limit refuses or delays.  The
 * texts are limit_req's, so that filters made for it go on working.
 *
 * weir_limit_log_rate bounds them for each zone, over all workers: the zone's
 * report holds the second of the last line and how many that second has had,
 * in the halves of one word, and counts those that were left out.  The first
 * worker tells of these once a second.
 */

#include "ngx_http_weir_module.h"


static ngx_uint_t ngx_http_weir_may_log(ngx_http_weir_report_t *report,
    ngx_uint_t rate);


#define NGX_HTTP_WEIR_HALF  (sizeof(ngx_atomic_uint_t) * 4)  /* in bits */
#define NGX_HTTP_WEIR_LINES (((ngx_atomic_uint_t) 1 << NGX_HTTP_WEIR_HALF) - 1)
#define NGX_HTTP_WEIR_MOST_AHEAD                                              \
    ((ngx_atomic_uint_t) 60 << NGX_HTTP_WEIR_HALF)


void
ngx_http_weir_log_limited(ngx_http_request_t *r,
    ngx_http_weir_loc_conf_t *wlcf, ngx_http_weir_zone_t *zone,
    weir_limit_t *limit)
{
    char        *dry_run;
    uint64_t     excess;
    ngx_log_t   *log;
    ngx_uint_t   level, delayed;

    delayed = limit->verdict == WEIR_DELAYED
              || limit->verdict == WEIR_DELAYED_DRY_RUN;

    level = delayed ? wlcf->delay_log_level : wlcf->limit_log_level;
    log = r->connection->log;

    if (log->log_level < level
        || (wlcf->limit_log_rate
            && !ngx_http_weir_may_log(zone->report, wlcf->limit_log_rate)))
    {
        return;
    }

    dry_run = limit->dry_run ? ", dry run" : "";
    excess = weir_limit_excess(limit);

    if (delayed) {
        ngx_log_error(level, log, 0,
                      "delaying request%s, excess: %uL.%03uL, by zone \"%V\"",
                      dry_run, excess / 1000, excess % 1000, &zone->name);
        return;
    }

    ngx_log_error(level, log, 0,
                  "limiting requests%s, excess: %uL.%03uL by zone \"%V\"",
                  dry_run, excess / 1000, excess % 1000, &zone->name);
}


static ngx_uint_t
ngx_http_weir_may_log(ngx_http_weir_report_t *report, ngx_uint_t rate)
{
    ngx_atomic_uint_t  now, seen, next, ahead;

    now = (ngx_atomic_uint_t) ngx_http_weir_seconds() << NGX_HTTP_WEIR_HALF;

    for ( ;; ) {
        seen = report->lines;

        /* another worker may have seen a later second than this one */

        ahead = (seen & ~NGX_HTTP_WEIR_LINES) - now;

        if (ahead > NGX_HTTP_WEIR_MOST_AHEAD) {
            next = now + 1;

        } else if ((seen & NGX_HTTP_WEIR_LINES) < rate) {
            next = seen + 1;

        } else {
            (void) ngx_atomic_fetch_add(&report->unlogged, 1);
            return 0;
        }

        if (ngx_atomic_cmp_set(&report->lines, seen, next)) {
            return 1;
        }
    }
}


void
ngx_http_weir_log_unlogged(ngx_http_weir_zone_t *zone, ngx_log_t *log)
{
    ngx_atomic_uint_t  n;

    n = zone->report->unlogged;

    if (n == 0 || !ngx_atomic_cmp_set(&zone->report->unlogged, n, 0)) {
        return;
    }

    ngx_log_error(NGX_LOG_ERR, log, 0,
                  "%uA lines about limited requests were left out by "
                  "\"weir_limit_log_rate\", zone \"%V\"",
                  n, &zone->name);
}
