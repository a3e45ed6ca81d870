
/*
 * Updates of databases while nginx runs.
 *
 * Every worker looks at each file once an interval.  A file that has changed
 * (its inode, size, or a time, to whatever), and has not changed since the
 * last look, is read by one of them: by the one that holds the lock, which the
 * kernel takes from a worker that dies, and from no other.  A thread of its
 * own reads, compiles and publishes it; requests go on meanwhile, with what is
 * published.  Whatever is wrong with a file, the database stays as it is; that
 * is logged once for each such file.
 *
 * The thread blocks all signals, and calls nothing of nginx.  It tells what has
 * become of the file in the worker's own ngx_http_weir_update_t, and the
 * worker looks there.
 */

#include "ngx_http_weir_module.h"


static void ngx_http_weir_look(ngx_event_t *ev);
static void ngx_http_weir_look_out(ngx_http_weir_database_t *database,
    ngx_log_t *log);
static ngx_uint_t ngx_http_weir_same_file(ngx_http_weir_file_t *one,
    ngx_http_weir_file_t *other);
static void ngx_http_weir_warn_of_age(ngx_http_weir_database_t *database,
    ngx_log_t *log);
static ngx_int_t ngx_http_weir_start_reading(
    ngx_http_weir_database_t *database, ngx_log_t *log);
static void *ngx_http_weir_read(void *data);
static void ngx_http_weir_finish(ngx_http_weir_database_t *database,
    ngx_log_t *log);
static void ngx_http_weir_refuse(ngx_http_weir_database_t *database,
    ngx_log_t *log);
static void ngx_http_weir_log_refusal(ngx_http_weir_database_t *database,
    ngx_http_weir_file_t *file, ngx_log_t *log, char *text, char *hint);
static ngx_int_t ngx_http_weir_lock(ngx_http_weir_database_t *database,
    short type);


#define NGX_HTTP_WEIR_READING_INTERVAL  50              /* ms */
#define NGX_HTTP_WEIR_READING_NICE      10
#define NGX_HTTP_WEIR_AGE_INTERVAL      (24 * 60 * 60)  /* s */


void
ngx_http_weir_start_updates(ngx_cycle_t *cycle,
    ngx_http_weir_main_conf_t *wmcf)
{
    ngx_uint_t                  i;
    ngx_event_t                *ev;
    ngx_http_weir_database_t  **database;

    database = wmcf->databases.elts;

    for (i = 0; i < wmcf->databases.nelts; i++) {

        if (database[i]->reload == 0) {
            continue;
        }

        database[i]->update.seen = database[i]->updates->settled;

        ev = &database[i]->update.timer;

        ev->handler = ngx_http_weir_look;
        ev->data = database[i];
        ev->log = cycle->log;
        ev->cancelable = 1;

        ngx_add_timer(ev, database[i]->reload);
    }
}


/* A thread must not outlive what it uses. */

void
ngx_http_weir_end_updates(ngx_http_weir_main_conf_t *wmcf)
{
    ngx_uint_t                  i;
    ngx_http_weir_database_t  **database;

    database = wmcf->databases.elts;

    for (i = 0; i < wmcf->databases.nelts; i++) {
        if (database[i]->update.running) {
            (void) pthread_join(database[i]->update.thread, NULL);
            database[i]->update.running = 0;
        }
    }
}


static void
ngx_http_weir_look(ngx_event_t *ev)
{
    ngx_http_weir_update_t    *update;
    ngx_http_weir_database_t  *database;

    database = ev->data;
    update = &database->update;

    if (update->running) {

        if (update->done) {
            ngx_http_weir_finish(database, ev->log);
        }

    } else if (!ngx_exiting) {
        ngx_http_weir_warn_of_age(database, ev->log);
        ngx_http_weir_look_out(database, ev->log);
    }

    ngx_add_timer(ev, update->running
                          ? ngx_min(NGX_HTTP_WEIR_READING_INTERVAL,
                                    database->reload)
                          : database->reload);
}


static void
ngx_http_weir_look_out(ngx_http_weir_database_t *database, ngx_log_t *log)
{
    ngx_uint_t                steady;
    ngx_http_weir_file_t      now;
    ngx_http_weir_update_t   *update;
    ngx_http_weir_updates_t  *updates;

    update = &database->update;
    updates = database->updates;

    ngx_http_weir_look_at_file(database, &now);

    steady = ngx_http_weir_same_file(&now, &update->seen);
    update->seen = now;

    if (!steady || ngx_http_weir_lock(database, F_WRLCK) != NGX_OK) {
        return;
    }

    if (!ngx_http_weir_same_file(&now, &updates->settled)) {

        if (!now.found) {
            ngx_http_weir_log_refusal(database, &now, log,
                                      "the file can't be found", "");

        } else if (now.size > database->most) {
            ngx_http_weir_log_refusal(database, &now, log,
                                      "the file is far larger than the first "
                                      "one", "; a reload of nginx takes it");

        } else if (ngx_http_weir_start_reading(database, log) == NGX_OK) {
            return;  /* and keep the lock */
        }
    }

    (void) ngx_http_weir_lock(database, F_UNLCK);
}


static ngx_uint_t
ngx_http_weir_same_file(ngx_http_weir_file_t *one, ngx_http_weir_file_t *other)
{
    return ngx_memcmp(one, other, sizeof(ngx_http_weir_file_t)) == 0;
}


/* Once a day, by whichever worker is first. */

static void
ngx_http_weir_warn_of_age(ngx_http_weir_database_t *database, ngx_log_t *log)
{
    ngx_atomic_uint_t  now, last;

    now = ngx_http_weir_seconds();
    last = database->updates->aged;

    if (last == 0) {
        /* what there was to say at the start has been said */
        (void) ngx_atomic_cmp_set(&database->updates->aged, 0, now);
        return;
    }

    if (now - last >= NGX_HTTP_WEIR_AGE_INTERVAL
        && ngx_atomic_cmp_set(&database->updates->aged, last, now))
    {
        ngx_http_weir_log_age(database, log);
    }
}


static ngx_int_t
ngx_http_weir_start_reading(ngx_http_weir_database_t *database,
    ngx_log_t *log)
{
    int                      err;
    sigset_t                 all, before;
    ngx_http_weir_update_t  *update;

    update = &database->update;

    update->reading = update->seen;
    update->done = 0;

    (void) sigfillset(&all);
    (void) pthread_sigmask(SIG_BLOCK, &all, &before);

    err = pthread_create(&update->thread, NULL, ngx_http_weir_read, database);

    (void) pthread_sigmask(SIG_SETMASK, &before, NULL);

    if (err) {
        ngx_log_error(NGX_LOG_ERR, log, err, "pthread_create() failed");
        return NGX_ERROR;
    }

    update->running = 1;

    return NGX_OK;
}


static void *
ngx_http_weir_read(void *data)
{
    ngx_http_weir_database_t *database = data;

    char                    *file;
    weir_geo_t              *geo;
    ngx_http_weir_update_t  *update;

    update = &database->update;
    file = (char *) database->file.data;

    /* on Linux, of this thread alone: requests go first */

    (void) setpriority(PRIO_PROCESS, 0, NGX_HTTP_WEIR_READING_NICE);

    update->status = database->kind == WEIR_GEO_COUNTRIES
                         ? weir_geo_open(file, database->country_field, &geo,
                                         &update->error)
                         : weir_geo_open_fields(file, &geo, &update->error);

    if (update->status == WEIR_OK) {
        update->verdict = weir_geo_publish(geo, database->memory,
                                           database->size, database->accept,
                                           time(NULL), &update->error);
        weir_geo_close(geo);
    }

    ngx_memory_barrier();

    update->done = 1;

    return NULL;
}


static void
ngx_http_weir_finish(ngx_http_weir_database_t *database, ngx_log_t *log)
{
    weir_geo_info_t           info;
    ngx_http_weir_update_t   *update;
    ngx_http_weir_updates_t  *updates;

    update = &database->update;
    updates = database->updates;

    (void) pthread_join(update->thread, NULL);
    update->running = 0;

    if (update->status == WEIR_OK && update->verdict <= WEIR_GEO_SAME) {
        updates->settled = update->reading;

        if (update->verdict == WEIR_GEO_PUBLISHED) {
            updates->updates++;
            weir_geo_get_info(database->geo, &info);

            ngx_log_error(NGX_LOG_NOTICE, log, 0,
                          "database \"%V\" updated: %uL networks",
                          &database->file, info.networks);

            ngx_http_weir_log_age(database, log);
        }

    } else {
        ngx_http_weir_refuse(database, log);
    }

    (void) ngx_http_weir_lock(database, F_UNLCK);
}


static void
ngx_http_weir_refuse(ngx_http_weir_database_t *database, ngx_log_t *log)
{
    char                    *hint;
    ngx_http_weir_update_t  *update;

    update = &database->update;
    hint = "";

    if (update->status == WEIR_OK) {

        switch (update->verdict) {

        case WEIR_GEO_OLDER:
            hint = ", or \"accept=older\"";
            break;

        case WEIR_GEO_SMALLER:
            hint = ", or \"accept=smaller\"";
            break;

        case WEIR_GEO_OTHER_TYPE:
            hint = ", or \"accept=type\"";
            break;

        case WEIR_GEO_TOO_LARGE:
            hint = "; a reload of nginx makes room";
            break;

        default: /* WEIR_GEO_HALF_DONE, WEIR_GEO_OF_FUTURE */
            hint = "; a reload of nginx takes it";
            break;
        }
    }

    ngx_http_weir_log_refusal(database, &update->reading, log,
                              update->error.text, hint);

    /* what could not be read may be readable the next time */

    if (update->status != WEIR_IO && update->status != WEIR_NO_MEMORY) {
        database->updates->settled = update->reading;
    }
}


static void
ngx_http_weir_log_refusal(ngx_http_weir_database_t *database,
    ngx_http_weir_file_t *file, ngx_log_t *log, char *text, char *hint)
{
    ngx_http_weir_updates_t  *updates;

    updates = database->updates;

    if (updates->logged_set && ngx_http_weir_same_file(&updates->logged, file))
    {
        return;
    }

    updates->logged = *file;
    updates->logged_set = 1;
    updates->failures++;

    ngx_log_error(NGX_LOG_ERR, log, 0,
                  "database \"%V\" is not updated, and stays as it was: %s%s",
                  &database->file, text, hint);
}


static ngx_int_t
ngx_http_weir_lock(ngx_http_weir_database_t *database, short type)
{
    struct flock  fl;

    ngx_memzero(&fl, sizeof(struct flock));

    fl.l_type = type;
    fl.l_whence = SEEK_SET;

    return fcntl(database->lock, F_SETLK, &fl) == -1 ? NGX_ERROR : NGX_OK;
}
