
/*
 * A delayed request waits on its connection's write timer and then goes on
 * with its phases, as under limit_req, whose code this follows.
 *
 * "delayed" keeps anything from being written to the connection meanwhile,
 * and tells nginx that the timer is no timeout.  A client that goes away is
 * noticed by ngx_http_test_reading().
 *
 * The connection's events wake the request that it is busy with, or, in time,
 * those that wait for their turn behind that.  A background subrequest, as
 * mirror makes them, is neither and has a timer of its own; under limit_req it
 * would never go on, nor let go of its connection.
 */

#include "ngx_http_weir_module.h"


static void ngx_http_weir_resume(ngx_http_request_t *r);
static ngx_int_t ngx_http_weir_delay_background(ngx_http_request_t *r,
    ngx_msec_t delay);
static void ngx_http_weir_resume_background(ngx_event_t *ev);
static void ngx_http_weir_cancel(void *data);


/* The delay is in milliseconds; a timer holds 24 days. */

ngx_int_t
ngx_http_weir_delay(ngx_http_request_t *r, uint64_t delay)
{
    ngx_connection_t  *c;

    delay = ngx_min(delay, NGX_MAX_INT32_VALUE);

    if (r->background) {
        return ngx_http_weir_delay_background(r, delay);
    }

    c = r->connection;

    if (c->read->ready) {
        ngx_post_event(c->read, &ngx_posted_events);

    } else if (ngx_handle_read_event(c->read, 0) != NGX_OK) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    r->read_event_handler = ngx_http_test_reading;
    r->write_event_handler = ngx_http_weir_resume;

    c->write->delayed = 1;
    ngx_add_timer(c->write, (ngx_msec_t) delay);

    return NGX_AGAIN;
}


static void
ngx_http_weir_resume(ngx_http_request_t *r)
{
    ngx_event_t  *wev;

    wev = r->connection->write;

    if (wev->delayed) {

        if (ngx_handle_write_event(wev, 0) != NGX_OK) {
            ngx_http_finalize_request(r, NGX_HTTP_INTERNAL_SERVER_ERROR);
        }

        return;
    }

    if (ngx_handle_read_event(r->connection->read, 0) != NGX_OK) {
        ngx_http_finalize_request(r, NGX_HTTP_INTERNAL_SERVER_ERROR);
        return;
    }

    r->read_event_handler = ngx_http_block_reading;
    r->write_event_handler = ngx_http_core_run_phases;

    ngx_http_core_run_phases(r);
}


static ngx_int_t
ngx_http_weir_delay_background(ngx_http_request_t *r, ngx_msec_t delay)
{
    ngx_event_t         *ev;
    ngx_http_cleanup_t  *cln;

    ev = ngx_pcalloc(r->pool, sizeof(ngx_event_t));
    cln = ngx_http_cleanup_add(r, 0);
    if (ev == NULL || cln == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    ev->handler = ngx_http_weir_resume_background;
    ev->data = r;
    ev->log = r->connection->log;

    cln->handler = ngx_http_weir_cancel;
    cln->data = ev;

    r->write_event_handler = ngx_http_request_empty_handler;

    ngx_add_timer(ev, delay);

    return NGX_AGAIN;
}


static void
ngx_http_weir_resume_background(ngx_event_t *ev)
{
    ngx_connection_t    *c;
    ngx_http_request_t  *r;

    r = ev->data;
    c = r->connection;

    ngx_http_set_log_request(c->log, r);

    r->write_event_handler = ngx_http_core_run_phases;

    ngx_http_core_run_phases(r);

    ngx_http_run_posted_requests(c);
}


/* The main request is gone, and with it all subrequests. */

static void
ngx_http_weir_cancel(void *data)
{
    ngx_event_t  *ev = data;

    if (ev->timer_set) {
        ngx_del_timer(ev);
    }
}
