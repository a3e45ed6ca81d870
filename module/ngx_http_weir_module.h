
/*
 * The nginx shim of weir.
 *
 * It turns directives into the core's objects and the core's verdicts into
 * statuses, log lines, variables and headers, and holds no policy of its own.
 * This header is all that its files share.
 *
 * Ownership: everything is allocated from the configuration's pool and lives
 * as long as the cycle, but for the core's handles, which a pool cleanup
 * releases, and a zone's memory, which nginx owns and hands on to the next
 * cycle if name, size and tag are the same.
 */

#ifndef NGX_HTTP_WEIR_MODULE_H
#define NGX_HTTP_WEIR_MODULE_H

#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include <pthread.h>

#include <weir/weir.h>


#define NGX_HTTP_WEIR_MAX_BURST  NGX_MAX_INT32_VALUE
#define NGX_HTTP_WEIR_MAX_COST   ((off_t) NGX_MAX_UINT32_VALUE)

/* weir_limit_headers */

#define NGX_HTTP_WEIR_IETF       1
#define NGX_HTTP_WEIR_LEGACY     2


/* A place in the configuration, for mistakes that are found only later. */

typedef struct {
    ngx_str_t                           file;
    ngx_uint_t                          line;
} ngx_http_weir_place_t;


/* One line of a weir_country_limits block. */

typedef struct {
    weir_quota_t                        quota;
    ngx_http_weir_place_t               place;
    unsigned                            burst_set:1;
    unsigned                            off:1;
    unsigned                            deny:1;
} ngx_http_weir_country_entry_t;


typedef struct {
    weir_country_map_t                 *map;      /* selector -> entry */
    ngx_array_t                         entries;
    ngx_http_weir_place_t               place;
} ngx_http_weir_country_limits_t;


/*
 * What has been logged of a zone: that it is too small, and of its requests,
 * under weir_limit_log_rate.  It stands in the zone's own memory, behind the
 * table, and so lives as long as what it counts: across reloads, and whichever
 * worker is killed.
 */

#define NGX_HTTP_WEIR_REPORT_SIZE  64

typedef struct {
    ngx_atomic_t                        logged;  /* when; 0: never */
    uint64_t                            since;   /* what follows was so */
    uint64_t                            evicted;
    uint64_t                            full_rejected;
    uint64_t                            full_admitted;
    uint64_t                            exhausted;

    ngx_atomic_t                        lines;    /* a second, and how many
                                                     lines it has had */
    ngx_atomic_t                        unlogged; /* lines left out */
} ngx_http_weir_report_t;


/* A zone by name. It may be named before weir_limit_zone defines it. */

typedef struct {
    ngx_str_t                           name;
    ngx_str_t                           field_name; /* as a string of a
                                                       structured field */
    ngx_http_complex_value_t            key;
    weir_algorithm_t                    algorithm;
    weir_quota_t                        quota;
    weir_full_t                         full;
    uint32_t                            ipv4_prefix;
    uint32_t                            ipv6_prefix;
    ngx_http_weir_country_limits_t     *country_limits;  /* NULL: none */

    ngx_shm_zone_t                     *shm_zone;  /* NULL: not defined */
    ngx_http_weir_place_t               place;     /* of the definition */
    ngx_http_weir_place_t               first_use;

    weir_format_t                       format;
    void                               *memory;          /* in the zone */
    size_t                              size;
    ngx_http_weir_report_t             *report;          /* behind it */
    weir_zone_t                        *handle;          /* of this process */
} ngx_http_weir_zone_t;


/* What is logged once for each limit. */

typedef enum {
    NGX_HTTP_WEIR_BAD_RATE = 0,
    NGX_HTTP_WEIR_BAD_COST,
    NGX_HTTP_WEIR_FLAGS
} ngx_http_weir_flag_e;


/* A quota, and the same in the ticks of its zone. */

typedef struct {
    weir_quota_t                        quota;
    weir_budget_t                       budget;
} ngx_http_weir_allowance_t;


/*
 * One weir_limit. Allowances are made when all of the configuration is known.
 */

typedef struct {
    ngx_http_weir_zone_t               *zone;
    uint32_t                            burst;
    uint32_t                            undelayed; /* of the burst */
    ngx_str_t                           burst_word;  /* as they are written: */
    ngx_str_t                           delay_word;  /* windows have neither */
    uint32_t                            fixed_cost;
    ngx_http_complex_value_t           *rate;      /* NULL: none */
    ngx_http_complex_value_t           *cost;      /* NULL: fixed */
    ngx_array_t                        *count;     /* ngx_uint_t: statuses;
                                                      NULL: all requests */
    unsigned                            dry_run:1;
    ngx_http_weir_place_t               place;

    ngx_http_weir_allowance_t           allowance;
    ngx_http_weir_allowance_t          *country_allowances; /* per entry */
    ngx_atomic_t                       *flags;   /* one per kind, shared */
} ngx_http_weir_limit_t;


/* A request header that weir sets: its name, and where its value is from. */

typedef enum {
    NGX_HTTP_WEIR_HEADER_COUNTRY = 0,
    NGX_HTTP_WEIR_HEADER_CONTINENT,
    NGX_HTTP_WEIR_HEADER_VALUE
} ngx_http_weir_header_e;


typedef struct {
    ngx_str_t                           name;
    ngx_str_t                           lowcase;
    ngx_uint_t                          hash;
    ngx_http_weir_header_e              type;
    ngx_http_complex_value_t            value;
} ngx_http_weir_header_t;


/* A level's allow and deny lists, and where they stand. */

typedef struct {
    weir_country_filter_t              *lists;
    ngx_http_weir_place_t               place;
} ngx_http_weir_filter_t;


/*
 * A file as it was when somebody looked at it, to see whether it has changed
 * since.  Compared whole: no padding.
 */

typedef struct {
    uint64_t                            found;   /* 0: there was none */
    uint64_t                            device;
    uint64_t                            inode;
    uint64_t                            size;
    uint64_t                            mtime;   /* ns */
    uint64_t                            ctime;   /* ns */
} ngx_http_weir_file_t;


/* What the workers of a configuration share of a database's updates. */

typedef struct {
    ngx_http_weir_file_t                settled; /* published, or refused */
    ngx_http_weir_file_t                logged;  /* refused: said so */
    ngx_uint_t                          logged_set;
    uint64_t                            updates; /* how many: published */
    uint64_t                            failures;   /* and files refused */
    ngx_atomic_t                        aged;    /* when it was last logged
                                                    that it is old: s */
} ngx_http_weir_updates_t;


/* A worker's look-out for a new file, and the thread that reads one. */

typedef struct {
    ngx_event_t                         timer;
    ngx_http_weir_file_t                seen;    /* at the last look */
    ngx_http_weir_file_t                reading;
    pthread_t                           thread;
    ngx_uint_t                          running;
    ngx_atomic_t                        done;    /* set by the thread, as
                                                    what follows: */
    weir_status_t                       status;
    weir_geo_verdict_t                  verdict;
    weir_error_t                        error;
} ngx_http_weir_update_t;


/*
 * An .mmdb file, read when the configuration is.  If it may be updated, it
 * stands in memory that the workers share, and the file's changes are looked
 * for; else each worker has what the master has read.
 */

typedef struct {
    ngx_str_t                           file;    /* full name */
    weir_geo_kind_t                     kind;
    char                               *country_field;  /* NULL: found out */
    ngx_msec_t                          reload;  /* 0: never */
    ngx_uint_t                          accept;  /* WEIR_GEO_ACCEPT bits */
    ngx_uint_t                          optional;

    weir_geo_t                         *geo;     /* NULL: there is none */
    ngx_uint_t                          found;   /* when it was opened */

    ngx_shm_t                           shm;     /* updates, and behind: */
    void                               *memory;  /* the database */
    size_t                              size;
    uint64_t                            most;    /* bytes of a file to read */
    ngx_http_weir_updates_t            *updates;
    ngx_fd_t                            lock;    /* of who updates it */
    ngx_http_weir_update_t              update;
} ngx_http_weir_database_t;


/* A variable with a field of a database. */

typedef struct {
    weir_geo_path_t                    *path;
    ngx_str_t                           file;    /* empty: weir_geo_db's */
    ngx_http_weir_database_t           *database;
    ngx_str_t                           otherwise;
    ngx_uint_t                          index;   /* among all of them */
    ngx_http_weir_place_t               place;
} ngx_http_weir_field_t;


typedef struct {
    ngx_array_t                         zones;   /* ngx_http_weir_zone_t * */
    ngx_array_t                         limits;  /* ngx_http_weir_limit_t * */
    ngx_array_t                         filters; /* ngx_http_weir_filter_t * */

    ngx_array_t                         databases;
                                               /* ngx_http_weir_database_t * */
    ngx_http_weir_database_t           *countries;  /* NULL: no weir_geo_db */
    ngx_array_t                         fields;  /* ngx_http_weir_field_t * */
    weir_geo_overrides_t               *overrides;  /* NULL: none */

    ngx_str_t                           geo_word;   /* the first that ... */
    ngx_http_weir_place_t               geo_place;  /* ... needs one */

    ngx_event_t                         housekeeping;
} ngx_http_weir_main_conf_t;


typedef struct {
    ngx_array_t                         headers; /* ngx_http_weir_header_t *:
                                                    all that any location of
                                                    the server sets */
} ngx_http_weir_srv_conf_t;


typedef struct {
    ngx_array_t                        *limits;  /* ngx_http_weir_limit_t * */
    ngx_uint_t                          limit_status;
    ngx_uint_t                          limit_log_level;
    ngx_uint_t                          delay_log_level; /* one lower */
    ngx_uint_t                          limit_log_rate;  /* lines a second;
                                                            0: all */
    ngx_flag_t                          limit_dry_run;
    ngx_uint_t                          limit_headers;

    ngx_array_t                        *bypass; /* predicates */

    ngx_int_t                           geo_source; /* index of a variable; or
                                                       NGX_DECLINED */
    ngx_http_weir_filter_t             *filter;
    ngx_uint_t                          geo_status;
    ngx_uint_t                          geo_log_level;
    ngx_flag_t                          geo_dry_run;

    ngx_flag_t                          geo_headers;
    ngx_array_t                        *headers; /* weir_geo_header's */
    ngx_array_t                        *all_headers;  /* with those of
                                                         weir_geo_headers */
} ngx_http_weir_loc_conf_t;


/* A limit that a request was judged under, and on what terms. */

typedef struct {
    weir_limit_t                       *limit;
    weir_quota_t                        quota;
    ngx_http_weir_limit_t              *conf;
    unsigned                            pending:1; /* the response's status
                                                      may charge it */
    unsigned                            told:1;    /* in its headers */
} ngx_http_weir_judged_t;


/*
 * What has become of a request. It belongs to the main request and outlives
 * internal redirects, so that limits are charged once and a denial is acted
 * on once.
 */

typedef struct {
    struct sockaddr                    *sockaddr;  /* the client's, or */
    ngx_int_t                           source;    /* weir_geo_source and */
    ngx_str_t                           text;      /* its value, of which ... */
    u_char                              address[16];   /* ... this is the */
    size_t                              address_len;   /* address; 0: none */

    weir_country_t                      country;   /* of the address */
    ngx_str_t                          *fields;    /* likewise, by index; data
                                                      NULL: not yet looked up;
                                                      NULL: none of them */

    weir_verdict_t                      limit_verdict;
    ngx_str_t                          *zone;      /* that gave the verdict */
    uint64_t                            remaining; /* tokens, likewise */
    uint64_t                            retry_after; /* seconds; 0: unknown */
    ngx_http_weir_judged_t             *judged;    /* NULL: nothing that
                                                      the response needs */
    ngx_uint_t                          njudged;
    ngx_uint_t                          limit_headers;

    unsigned                            located:1;  /* address is set */
    unsigned                            country_set:1;
    unsigned                            refused:1;  /* itself, by a limit */
    unsigned                            geo_evaluated:1;
    unsigned                            geo_denied:1;
    unsigned                            geo_denied_dry_run:1;
    unsigned                            bypassed:1;
    unsigned                            headers_stripped:1;
    unsigned                            headers_set:1;
} ngx_http_weir_ctx_t;


/* ngx_http_weir_module.c */

ngx_http_weir_ctx_t *ngx_http_weir_get_ctx(ngx_http_request_t *r);
ngx_http_weir_ctx_t *ngx_http_weir_find_ctx(ngx_http_request_t *r);

/* ngx_http_weir_conf.c */

void *ngx_http_weir_create_main_conf(ngx_conf_t *cf);
void *ngx_http_weir_create_srv_conf(ngx_conf_t *cf);
void *ngx_http_weir_create_loc_conf(ngx_conf_t *cf);
char *ngx_http_weir_merge_loc_conf(ngx_conf_t *cf, void *parent, void *child);

ngx_int_t ngx_http_weir_own(ngx_conf_t *cf, void *object,
    ngx_pool_cleanup_pt release);

extern ngx_command_t  ngx_http_weir_commands[];

/* ngx_http_weir_loaded.c */

void ngx_http_weir_check_loaded(ngx_conf_t *cf);

/* ngx_http_weir_variables.c */

ngx_int_t ngx_http_weir_add_variables(ngx_conf_t *cf);

/* ngx_http_weir_parse.c */

ngx_http_weir_place_t ngx_http_weir_place(ngx_conf_t *cf);
char *ngx_http_weir_error_at(ngx_conf_t *cf, ngx_http_weir_place_t *place,
    const char *fmt, ...);
ngx_int_t ngx_http_weir_check_repeated(ngx_conf_t *cf, ngx_uint_t first);
ngx_int_t ngx_http_weir_parse_number(ngx_conf_t *cf, ngx_str_t *value,
    ngx_int_t min, ngx_int_t max);
ngx_int_t ngx_http_weir_parse_rate(ngx_conf_t *cf, ngx_str_t *value,
    weir_quota_t *quota);

/* ngx_http_weir_zone.c */

char *ngx_http_weir_limit_zone(ngx_conf_t *cf, ngx_command_t *cmd, void *conf);
ngx_http_weir_zone_t *ngx_http_weir_zone_by_name(ngx_conf_t *cf,
    ngx_str_t *name);

/* the two tags that a zone's shared memory may have */
extern ngx_uint_t  ngx_http_weir_tags[2];

/* ngx_http_weir_limit_conf.c */

char *ngx_http_weir_limit(ngx_conf_t *cf, ngx_command_t *cmd, void *conf);

/* ngx_http_weir_country_limits.c */

char *ngx_http_weir_country_limits(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
int32_t ngx_http_weir_find_entry(ngx_http_request_t *r,
    ngx_http_weir_ctx_t *ctx, ngx_http_weir_zone_t *zone);

/* ngx_http_weir_budget.c */

ngx_int_t ngx_http_weir_collect_quotas(ngx_conf_t *cf,
    ngx_http_weir_main_conf_t *wmcf, ngx_http_weir_zone_t *zone,
    ngx_array_t *quotas);
ngx_int_t ngx_http_weir_make_allowances(ngx_conf_t *cf,
    ngx_http_weir_limit_t *limit);

/* ngx_http_weir_shm.c */

ngx_int_t ngx_http_weir_init_zones(ngx_conf_t *cf,
    ngx_http_weir_main_conf_t *wmcf);
ngx_int_t ngx_http_weir_init_zone(ngx_shm_zone_t *shm_zone, void *data);
ngx_int_t ngx_http_weir_attach_zones(ngx_cycle_t *cycle,
    ngx_http_weir_main_conf_t *wmcf);
void ngx_http_weir_detach_zones(ngx_http_weir_main_conf_t *wmcf);

/* ngx_http_weir_housekeeping.c */

void ngx_http_weir_start_housekeeping(ngx_cycle_t *cycle,
    ngx_http_weir_main_conf_t *wmcf);
uint64_t ngx_http_weir_seconds(void);

/* ngx_http_weir_database_conf.c */

char *ngx_http_weir_geo_db(ngx_conf_t *cf, ngx_command_t *cmd, void *conf);

/* ngx_http_weir_database.c */

ngx_http_weir_database_t *ngx_http_weir_new_database(ngx_conf_t *cf,
    ngx_str_t *file, weir_geo_kind_t kind);
ngx_int_t ngx_http_weir_open(ngx_conf_t *cf,
    ngx_http_weir_database_t *database, weir_error_t *error);
ngx_int_t ngx_http_weir_open_fields(ngx_conf_t *cf,
    ngx_http_weir_main_conf_t *wmcf);
void ngx_http_weir_check_readable(ngx_cycle_t *cycle,
    ngx_http_weir_main_conf_t *wmcf);
void ngx_http_weir_log_age(ngx_http_weir_database_t *database,
    ngx_log_t *log);
void ngx_http_weir_look_at_file(ngx_http_weir_database_t *database,
    ngx_http_weir_file_t *file);

/* ngx_http_weir_update.c */

void ngx_http_weir_start_updates(ngx_cycle_t *cycle,
    ngx_http_weir_main_conf_t *wmcf);
void ngx_http_weir_end_updates(ngx_http_weir_main_conf_t *wmcf);

/* ngx_http_weir_field.c */

char *ngx_http_weir_geo_variable(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);

/* ngx_http_weir_geo.c */

char *ngx_http_weir_geo_source(ngx_conf_t *cf, ngx_command_t *cmd, void *conf);
char *ngx_http_weir_geo_override(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
char *ngx_http_weir_geo_filter(ngx_conf_t *cf, ngx_command_t *cmd, void *conf);
void ngx_http_weir_need_geo(ngx_conf_t *cf, ngx_str_t *word);
ngx_int_t ngx_http_weir_check_geo(ngx_conf_t *cf,
    ngx_http_weir_main_conf_t *wmcf);
weir_country_t *ngx_http_weir_country(ngx_http_request_t *r,
    ngx_http_weir_ctx_t *ctx);
void ngx_http_weir_locate(ngx_http_request_t *r, ngx_http_weir_ctx_t *ctx);

/* ngx_http_weir_key.c */

size_t ngx_http_weir_address(ngx_connection_t *c, void **addr);
ngx_int_t ngx_http_weir_client(ngx_http_request_t *r, ngx_str_t *client);
ngx_int_t ngx_http_weir_key(ngx_http_request_t *r, ngx_http_weir_zone_t *zone,
    ngx_str_t *key);

/* ngx_http_weir_header_conf.c */

char *ngx_http_weir_geo_headers(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
char *ngx_http_weir_geo_header(ngx_conf_t *cf, ngx_command_t *cmd, void *conf);
char *ngx_http_weir_merge_headers(ngx_conf_t *cf,
    ngx_http_weir_loc_conf_t *prev, ngx_http_weir_loc_conf_t *conf);

/* ngx_http_weir_headers.c */

u_char ngx_http_weir_fold(u_char ch);
ngx_int_t ngx_http_weir_same_name(ngx_str_t *known, u_char *name, size_t len);
ngx_int_t ngx_http_weir_is_ours(ngx_array_t *headers, u_char *name,
    size_t len);
ngx_int_t ngx_http_weir_strip_handler(ngx_http_request_t *r);
ngx_int_t ngx_http_weir_set_headers(ngx_http_request_t *r,
    ngx_http_weir_ctx_t *ctx);

/* ngx_http_weir_handler.c */

ngx_int_t ngx_http_weir_handler(ngx_http_request_t *r);

/* ngx_http_weir_delay.c */

ngx_int_t ngx_http_weir_delay(ngx_http_request_t *r, uint64_t delay);

/* ngx_http_weir_response.c */

void ngx_http_weir_add_header_filter(void);
ngx_int_t ngx_http_weir_log_handler(ngx_http_request_t *r);
ngx_int_t ngx_http_weir_set_response_header(ngx_http_request_t *r,
    ngx_str_t *name, ngx_str_t *value);

/* ngx_http_weir_limit_headers.c */

ngx_int_t ngx_http_weir_set_limit_headers(ngx_http_request_t *r,
    ngx_http_weir_ctx_t *ctx);
ngx_int_t ngx_http_weir_field_name(ngx_conf_t *cf, ngx_str_t *name,
    ngx_str_t *field_name);

/* ngx_http_weir_judged.c */

ngx_int_t ngx_http_weir_remember(ngx_http_request_t *r,
    ngx_http_weir_loc_conf_t *wlcf, ngx_http_weir_ctx_t *ctx,
    ngx_http_weir_judged_t *judged, ngx_uint_t n);
void ngx_http_weir_charge(ngx_http_weir_ctx_t *ctx, ngx_uint_t status);
ngx_uint_t ngx_http_weir_is_counted(ngx_http_weir_limit_t *conf,
    ngx_uint_t status);

/* ngx_http_weir_limit_log.c */

void ngx_http_weir_log_limited(ngx_http_request_t *r,
    ngx_http_weir_loc_conf_t *wlcf, ngx_http_weir_zone_t *zone,
    weir_limit_t *limit);
void ngx_http_weir_log_unlogged(ngx_http_weir_zone_t *zone, ngx_log_t *log);

/* ngx_http_weir_once.c */

ngx_int_t ngx_http_weir_init_flags(ngx_conf_t *cf,
    ngx_http_weir_main_conf_t *wmcf);
ngx_uint_t ngx_http_weir_once(ngx_atomic_t *flag);

/* ngx_http_weir_terms.c */

ngx_int_t ngx_http_weir_set_terms(ngx_http_request_t *r,
    ngx_http_weir_ctx_t *ctx, ngx_http_weir_limit_t *conf,
    weir_limit_t *limit, weir_quota_t *quota);

/* ngx_http_weir_limit.c */

ngx_int_t ngx_http_weir_judge(ngx_http_request_t *r,
    ngx_http_weir_loc_conf_t *wlcf, ngx_http_weir_ctx_t *ctx);

uint64_t ngx_http_weir_whole_seconds(uint64_t nanoseconds);

extern weir_clock_t  ngx_http_weir_clock;


extern ngx_module_t  ngx_http_weir_module;


#endif /* NGX_HTTP_WEIR_MODULE_H */
