/*
 * limit_req.h: nginx's own limit_req as a library, to measure weir against
 * and to see what a kill does to it.
 *
 * What runs is ngx_http_limit_req_handler, unmodified, out of nginx's sources
 * (WEIR_NGINX_SOURCE; scripts/fetch-nginx-source), with nginx's own rbtree,
 * slab allocator, shared mutex and CRC-32 under it. limit_req.c stands in for
 * the rest of nginx: the request, whose only trait is its key, and the clock.
 *
 * - Time is milliseconds, and is what limit_req_set_time was told last. nginx
 *   reads its clock once per turn of its event loop, and limit_req never does.
 * - A zone lives in memory of the caller's, usually shared, and holds
 *   addresses: processes share it by fork, and never map it elsewhere.
 * - Handles are private to a process and survive fork; after it each process
 *   has its own. Not for threads: nginx has one a process.
 * - Rules are all "nodelay".
 */

#ifndef PEERS_LIMIT_REQ_H
#define PEERS_LIMIT_REQ_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct limit_req_zone limit_req_zone_t;
typedef struct limit_req_rules limit_req_rules_t;

typedef enum limit_req_verdict {
    LIMIT_REQ_PASSED = 1,    /* as NGX_HTTP_LIMIT_REQ_PASSED */
    LIMIT_REQ_REJECTED = 3,  /* as NGX_HTTP_LIMIT_REQ_REJECTED */
    LIMIT_REQ_NO_NODE = 6    /* refused: "could not allocate node" */
} limit_req_verdict_t;

/* limit_req_zone: makes `memory` (aligned to a page, all zero) a zone. `rate`
 * is in requests per 1000 s, as nginx keeps it: 1r/s is 1000. NULL if there is
 * not enough memory, in the zone or at all. */
limit_req_zone_t *limit_req_zone_new(void *memory, size_t size, uint64_t rate);

/* Frees the handle; the zone's memory stays the caller's. */
void limit_req_zone_free(limit_req_zone_t *zone);

/* How many keys the zone holds, live or not. */
uint64_t limit_req_zone_keys(const limit_req_zone_t *zone);

/* How often there was no room for a new key, so that nginx dropped the one
 * used longest ago, live or not, or had to refuse. */
uint64_t limit_req_zone_full(const limit_req_zone_t *zone);

/* What nginx's master does when a worker has died: lets go of the zone's mutex
 * if that worker held it. Returns 1 if so. */
int limit_req_zone_force_unlock(limit_req_zone_t *zone, pid_t dead);

/* limit_req: the rules of a location, one for each zone, each with its burst,
 * in requests. No zone may be named twice. NULL if there is no memory. */
limit_req_rules_t *limit_req_rules_new(limit_req_zone_t *const zones[],
    const uint64_t bursts[], size_t count);

void limit_req_rules_free(limit_req_rules_t *rules);

/* Sets this process's ngx_current_msec, for all decisions until the next. */
void limit_req_set_time(uint64_t milliseconds);

/* Handles a request for which the key of every rule is these bytes (at most
 * 65535; with none nothing is limited, and the request passes). */
limit_req_verdict_t limit_req_decide(limit_req_rules_t *rules,
    const void *key, size_t length);

/* If not NULL, called whenever a request's next rule asks for its key; `rule`
 * counts from 0. At 1 the first rule's key is found and pinned, and not yet
 * charged: where a kill hurts. */
extern void (*limit_req_before_rule)(size_t rule);

#ifdef __cplusplus
}
#endif

#endif /* PEERS_LIMIT_REQ_H */
