
/*
 * The .mmdb files of a configuration: which there are, and how they are opened.
 *
 * The master reads each of them when it reads the configuration, so that a bad
 * one is a mistake in it.  A database that may be updated is put into memory
 * that the workers share, with as much room again for its successor; memory
 * and lock are the configuration's own, so that workers of an old and of a new
 * one never meet there.  ngx_http_weir_update.c does the rest.
 */

#include "ngx_http_weir_module.h"

#include <grp.h>
#include <sys/fsuid.h>
#include <sys/mman.h>


static ngx_int_t ngx_http_weir_share(ngx_conf_t *cf,
    ngx_http_weir_database_t *database, weir_geo_t *geo, weir_error_t *error);
static ngx_int_t ngx_http_weir_make_lock(ngx_conf_t *cf,
    ngx_http_weir_database_t *database);
static void ngx_http_weir_free_shared(void *data);
static void ngx_http_weir_close_lock(void *data);
static ngx_int_t ngx_http_weir_may_read(ngx_core_conf_t *ccf, ngx_str_t *file,
    ngx_log_t *log);


#define NGX_HTTP_WEIR_RELOAD       30000                   /* ms */

/* a file that came to more would be a danger before it is refused */
#define NGX_HTTP_WEIR_MOST         ((uint64_t) 64 * 1024 * 1024)
#define NGX_HTTP_WEIR_MOST_TIMES   4                /* of the first file */

#define NGX_HTTP_WEIR_DAY          (24 * 60 * 60)          /* s */
#define NGX_HTTP_WEIR_OLD          (30 * NGX_HTTP_WEIR_DAY)

#define NGX_HTTP_WEIR_PAGE         4096    /* what weir_geo_share_* aligns to */


ngx_http_weir_database_t *
ngx_http_weir_new_database(ngx_conf_t *cf, ngx_str_t *file,
    weir_geo_kind_t kind)
{
    ngx_http_weir_database_t   *database, **slot;
    ngx_http_weir_main_conf_t  *wmcf;

    wmcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_weir_module);

    database = ngx_pcalloc(cf->pool, sizeof(ngx_http_weir_database_t));
    slot = ngx_array_push(&wmcf->databases);
    if (database == NULL || slot == NULL) {
        return NULL;
    }

    *slot = database;

    database->file = *file;
    database->kind = kind;
    database->reload = NGX_HTTP_WEIR_RELOAD;

    if (ngx_conf_full_name(cf->cycle, &database->file, 1) != NGX_OK) {
        return NULL;
    }

    return database;
}


/*
 * The databases of weir_geo_variable, each once.  They are opened when all of
 * the configuration is known: they are updated as weir_geo_db's is, wherever
 * that stands.
 */

ngx_int_t
ngx_http_weir_open_fields(ngx_conf_t *cf, ngx_http_weir_main_conf_t *wmcf)
{
    ngx_uint_t                  i, j;
    ngx_str_t                   file;
    weir_error_t                error;
    ngx_http_weir_field_t     **field;
    ngx_http_weir_database_t   *database, **known;

    field = wmcf->fields.elts;

    for (i = 0; i < wmcf->fields.nelts; i++) {

        file = field[i]->file.len ? field[i]->file : wmcf->countries->file;

        if (ngx_conf_full_name(cf->cycle, &file, 1) != NGX_OK) {
            return NGX_ERROR;
        }

        known = wmcf->databases.elts;

        for (j = 0; j < wmcf->databases.nelts; j++) {
            if (known[j]->kind == WEIR_GEO_FIELDS
                && known[j]->file.len == file.len
                && ngx_strncmp(known[j]->file.data, file.data, file.len) == 0)
            {
                break;
            }
        }

        if (j < wmcf->databases.nelts) {
            field[i]->database = known[j];
            continue;
        }

        database = ngx_http_weir_new_database(cf, &file, WEIR_GEO_FIELDS);
        if (database == NULL) {
            return NGX_ERROR;
        }

        if (wmcf->countries) {
            database->reload = wmcf->countries->reload;
            database->accept = wmcf->countries->accept;
        }

        database->optional = wmcf->countries
                             && wmcf->countries->optional
                             && file.len == wmcf->countries->file.len
                             && ngx_strncmp(file.data,
                                            wmcf->countries->file.data,
                                            file.len)
                                == 0;

        field[i]->database = database;

        if (ngx_http_weir_open(cf, database, &error) == NGX_ERROR) {
            ngx_http_weir_error_at(cf, &field[i]->place, "%s", error.text);
            return NGX_ERROR;
        }
    }

    return NGX_OK;
}


/* NGX_DECLINED if there is no file, and that is all right. */

ngx_int_t
ngx_http_weir_open(ngx_conf_t *cf, ngx_http_weir_database_t *database,
    weir_error_t *error)
{
    char                  *file;
    ngx_int_t              rc;
    weir_geo_t            *geo;
    weir_status_t          status;
    ngx_http_weir_file_t   looked;

    geo = NULL;
    error->text[0] = '\0';
    file = (char *) database->file.data;

    if (ngx_process == NGX_PROCESS_SIGNALLER) {

        /* "nginx -s stop" reads a configuration, too: whatever the files are */

        database->found = 1;
        return NGX_OK;
    }

    ngx_http_weir_look_at_file(database, &looked);

    if (looked.found || !database->optional) {

        status = database->kind == WEIR_GEO_COUNTRIES
                     ? weir_geo_open(file, database->country_field, &geo,
                                     error)
                     : weir_geo_open_fields(file, &geo, error);

        if (status != WEIR_OK) {
            return NGX_ERROR;
        }
    }

    database->found = (geo != NULL);

    if (database->reload == 0) {
        database->geo = geo;

        if (geo && ngx_http_weir_own(cf, geo,
                                     (ngx_pool_cleanup_pt) weir_geo_close)
                   != NGX_OK)
        {
            return NGX_ERROR;
        }

    } else {
        rc = ngx_http_weir_share(cf, database, geo, error);
        weir_geo_close(geo);

        if (rc != NGX_OK) {
            return NGX_ERROR;
        }

        database->updates->settled = looked;
        database->most = ngx_max(NGX_HTTP_WEIR_MOST,
                                 NGX_HTTP_WEIR_MOST_TIMES * looked.size);
    }

    if (!database->found) {
        return NGX_DECLINED;
    }

    ngx_http_weir_log_age(database, cf->log);

    return NGX_OK;
}


static ngx_int_t
ngx_http_weir_share(ngx_conf_t *cf, ngx_http_weir_database_t *database,
    weir_geo_t *geo, weir_error_t *error)
{
    ngx_shm_t           *shm;
    ngx_pool_cleanup_t  *cln;

    shm = &database->shm;

    database->size = weir_geo_share_size(geo);

    shm->size = NGX_HTTP_WEIR_PAGE + database->size;
    shm->log = cf->log;
    ngx_str_set(&shm->name, "weir database");

    cln = ngx_pool_cleanup_add(cf->pool, 0);
    if (cln == NULL || ngx_shm_alloc(shm) != NGX_OK) {
        return NGX_ERROR;
    }

    cln->handler = ngx_http_weir_free_shared;
    cln->data = shm;

    database->updates = (ngx_http_weir_updates_t *) shm->addr;
    database->memory = shm->addr + NGX_HTTP_WEIR_PAGE;

    weir_geo_share_format(database->memory, database->size);

    if ((geo && weir_geo_publish(geo, database->memory, database->size, 0,
                                 ngx_time(), error)
                != WEIR_GEO_PUBLISHED)
        || weir_geo_share_attach(database->memory, database->size,
                                 database->kind, &database->geo, error)
           != WEIR_OK
        || ngx_http_weir_own(cf, database->geo,
                             (ngx_pool_cleanup_pt) weir_geo_close)
           != NGX_OK)
    {
        return NGX_ERROR;
    }

    return ngx_http_weir_make_lock(cf, database);
}


/*
 * Whoever updates the database holds a lock on an open file: it goes with its
 * holder, however that ends, and no sooner.
 */

static ngx_int_t
ngx_http_weir_make_lock(ngx_conf_t *cf, ngx_http_weir_database_t *database)
{
    ngx_pool_cleanup_t  *cln;

    cln = ngx_pool_cleanup_add(cf->pool, 0);
    if (cln == NULL) {
        return NGX_ERROR;
    }

    database->lock = memfd_create("weir-lock", MFD_CLOEXEC);

    if (database->lock == NGX_INVALID_FILE) {
        ngx_log_error(NGX_LOG_EMERG, cf->log, ngx_errno,
                      "memfd_create() failed");
        return NGX_ERROR;
    }

    cln->handler = ngx_http_weir_close_lock;
    cln->data = database;

    return NGX_OK;
}


static void
ngx_http_weir_free_shared(void *data)
{
    ngx_shm_t  *shm = data;

    shm->log = ngx_cycle->log;

    ngx_shm_free(shm);
}


static void
ngx_http_weir_close_lock(void *data)
{
    ngx_http_weir_database_t  *database = data;

    (void) ngx_close_file(database->lock);
}


void
ngx_http_weir_look_at_file(ngx_http_weir_database_t *database,
    ngx_http_weir_file_t *file)
{
    ngx_file_info_t  fi;

    ngx_memzero(file, sizeof(ngx_http_weir_file_t));

    if (ngx_file_info(database->file.data, &fi) == NGX_FILE_ERROR) {
        return;
    }

    file->found = 1;
    file->device = fi.st_dev;
    file->inode = fi.st_ino;
    file->size = fi.st_size;
    file->mtime = fi.st_mtim.tv_sec * 1000000000ull + fi.st_mtim.tv_nsec;
    file->ctime = fi.st_ctim.tv_sec * 1000000000ull + fi.st_ctim.tv_nsec;
}


void
ngx_http_weir_log_age(ngx_http_weir_database_t *database, ngx_log_t *log)
{
    time_t           age;
    weir_geo_info_t  info;

    weir_geo_get_info(database->geo, &info);

    age = ngx_time() - (time_t) info.build_epoch;

    if (info.build_epoch == 0
        || info.build_epoch > (uint64_t) ngx_time()
        || age <= NGX_HTTP_WEIR_OLD)
    {
        return;
    }

    ngx_log_error(NGX_LOG_WARN, log, 0,
                  "database \"%V\" was built %T days ago, "
                  "expected one of the last 30 days",
                  &database->file, age / NGX_HTTP_WEIR_DAY);
}


/*
 * Updates are read by workers, who may be allowed less than the master.  That
 * is no reason not to start: what the master has read is there.
 */

void
ngx_http_weir_check_readable(ngx_cycle_t *cycle,
    ngx_http_weir_main_conf_t *wmcf)
{
    ngx_uint_t                  i;
    ngx_core_conf_t            *ccf;
    ngx_http_weir_database_t  **database;

    ccf = (ngx_core_conf_t *) ngx_get_conf(cycle->conf_ctx, ngx_core_module);
    database = wmcf->databases.elts;

    if (!ccf->master) {
        return;  /* there is one process, which stays who it is */
    }

    for (i = 0; i < wmcf->databases.nelts; i++) {

        if (database[i]->reload == 0
            || !database[i]->found
            || ngx_http_weir_may_read(ccf, &database[i]->file, cycle->log)
               == NGX_OK)
        {
            continue;
        }

        ngx_log_error(NGX_LOG_WARN, cycle->log, ngx_errno,
                      "database \"%V\" can't be read by the workers' user "
                      "\"%s\", and so not be updated while nginx runs",
                      &database[i]->file, ccf->username);
    }
}


static ngx_int_t
ngx_http_weir_may_read(ngx_core_conf_t *ccf, ngx_str_t *file, ngx_log_t *log)
{
    int        n;
    gid_t      gid, *groups;
    ngx_fd_t   fd;
    ngx_err_t  err;

    if (geteuid() != 0 || ccf->user == 0) {
        return NGX_OK;
    }

    n = getgroups(0, NULL);
    if (n < 0) {
        return NGX_OK;
    }

    groups = ngx_alloc((n + 1) * sizeof(gid_t), log);
    if (groups == NULL) {
        return NGX_OK;
    }

    fd = NGX_INVALID_FILE;
    err = 0;
    n = getgroups(n, groups);
    gid = getegid();

    if (n >= 0 && initgroups(ccf->username, ccf->group) == 0) {
        (void) setfsgid(ccf->group);
        (void) setfsuid(ccf->user);

        fd = ngx_open_file(file->data, NGX_FILE_RDONLY|NGX_FILE_NONBLOCK,
                           NGX_FILE_OPEN, 0);
        err = ngx_errno;

        (void) setfsuid(0);
        (void) setfsgid(gid);
        (void) setgroups(n, groups);
    }

    ngx_free(groups);

    if (fd != NGX_INVALID_FILE) {
        (void) ngx_close_file(fd);
        return NGX_OK;
    }

    ngx_set_errno(err);

    return err ? NGX_ERROR : NGX_OK;
}
