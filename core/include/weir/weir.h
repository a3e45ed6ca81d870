/*
 * weir.h: the C interface of libweir, a rate limiter and country lookup that
 * any C or C++ program can embed. It is the only public header of the library.
 *
 * Conventions
 *
 * - Text and bytes are passed as pointer and length; nothing needs a
 *   terminating NUL except file paths.
 * - Functions that can fail return a weir_status_t. Those that read
 *   configuration also fill a weir_error_t that the caller owns; its text
 *   quotes the offending word and says what was expected. The pointer may be
 *   NULL. On failure no output parameter is changed.
 * - Handles are opaque. What a weir_..._open/attach/new function returned is
 *   released by its weir_..._close/detach/free function, which accepts NULL.
 *   No memory is allocated by one side and freed by the other.
 * - No C++ exception ever leaves the library.
 * - The decision path (weir_decide, weir_charge, weir_refund,
 *   weir_limit_balance, weir_geo_country, weir_country_map_find,
 *   weir_country_filter_permits, weir_client_key) allocates nothing, takes no
 *   lock, makes no system call of its own and uses no floating point.
 *
 * Threads and processes
 *
 * - A zone's memory may be shared by any number of processes and threads.
 *   A weir_zone_t handle belongs to one thread: every thread and every
 *   process attaches for itself (after fork, the child attaches anew).
 *   Attaching is cheap; the handle carries a number that tells the writers
 *   of a zone apart.
 * - A process may be killed at any instruction: the others go on. A kill
 *   strands at most one charge per limit of the request it was deciding.
 * - All other handles are immutable once built and may be read by many
 *   threads at the same time.
 */

#ifndef WEIR_WEIR_H
#define WEIR_WEIR_H

#include <stddef.h>
#include <stdint.h>
#include <time.h>

#ifdef __cplusplus
extern "C" {
#endif

#if defined(__GNUC__)
#define WEIR_API __attribute__((visibility("default")))
#else
#define WEIR_API
#endif

#define WEIR_VERSION "0.1.0"

/* The version of the library that is linked, as WEIR_VERSION is of the
 * header. Static storage. */
WEIR_API const char *weir_version(void);

typedef enum weir_status {
    WEIR_OK = 0,
    WEIR_INVALID = 1,    /* an argument or a text is wrong: see the error */
    WEIR_NO_MEMORY = 2,  /* an allocation failed, or a zone is too small */
    WEIR_IO = 3,         /* a file could not be read */
    WEIR_MISMATCH = 4    /* no weir zone, or one of another layout or size */
} weir_status_t;

/* A NUL-terminated sentence without a full stop; cut to fit if need be. */
typedef struct weir_error {
    char text[512];
} weir_error_t;


/* ---- Clock ------------------------------------------------------------
 *
 * The library has no clock of its own. The caller hands one in: a function
 * that returns nanoseconds since any fixed point, never going back, and the
 * same for all processes that share a zone. weir_decide calls it one to three
 * times per limit, for each of several limits one or two times more, and more
 * often where another process has interfered.
 */
typedef struct weir_clock {
    uint64_t (*now)(void *context);
    void *context;
} weir_clock_t;

/* A ready-made clock function: the system's monotonic clock. */
static inline uint64_t
weir_monotonic_now(void *unused)
{
    struct timespec ts;

    (void) unused;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (uint64_t) ts.tv_sec * 1000000000u + (uint64_t) ts.tv_nsec;
}


/* ---- Quota ------------------------------------------------------------
 *
 * `tokens` per `period` seconds on average, and `burst` tokens more than one
 * at once from rest (limit_req's burst: burst + 1 pass at once).
 * Ranges: tokens 1..4294967295, period 1..2592000 (30 days), burst
 * 0..4294967294, tokens / period at most 1,000,000 a second.
 */
typedef struct weir_quota {
    uint32_t tokens;
    uint32_t period;
    uint32_t burst;
} weir_quota_t;

/*
 * Reads a rate: NUMBER "r/" [NUMBER] UNIT, where UNIT is s, m, h or d:
 * "10r/s", "100r/m", "5r/h", "1000r/d", "10r/5s". A number alone is one a
 * second, as for limit_req. Sets tokens and period, and burst to 0.
 */
WEIR_API weir_status_t weir_quota_parse(const char *text, size_t length,
    weir_quota_t *quota, weir_error_t *error);

/* How a key's use of its budget is counted. */
typedef enum weir_algorithm {
    WEIR_TOKEN_BUCKET = 0,   /* limit_req's: burst + 1 at once, then the rate */
    WEIR_SLIDING_WINDOW = 1  /* `tokens` in any `period`, by an estimate from
                                this window's count and the last one's: the
                                worst true window holds twice that. No burst */
} weir_algorithm_t;

/* Seconds, rounded up, in which all of a used-up quota comes back: burst + 1
 * tokens at the rate; a sliding window's period. */
WEIR_API uint64_t weir_quota_window(const weir_quota_t *quota,
    weir_algorithm_t algorithm);

/*
 * What the words of a zone mean; one for the whole zone. A token bucket counts
 * time in ticks of 2^-tick_bits seconds (10..27; period and unit are 0). A
 * sliding window has one period in seconds, and a count stands for `unit`
 * tokens (1, but for limits above 262,143; tick_bits is 0).
 */
typedef struct weir_format {
    weir_algorithm_t algorithm;
    uint32_t tick_bits;
    uint32_t period;
    uint32_t unit;
} weir_format_t;

/*
 * Chooses the format that serves all quotas of a zone with less than 1 % of
 * rounding: 2^-20 s, unless a fast or a very slow quota forces other ticks;
 * the quotas' period. Fails, naming two quotas, if none serves them all; and
 * on a sliding window's quota with a burst.
 */
WEIR_API weir_status_t weir_format_choose(weir_algorithm_t algorithm,
    const weir_quota_t *quotas, size_t count, weir_format_t *format,
    weir_error_t *error);

/*
 * A quota in the ticks of its zone. Token bucket: `interval` ticks pay for one
 * token, rounded up, so that never more is admitted than was written; a key
 * may be `tolerance` = (burst + 1) * interval ticks in debt, at most 2^37.
 * Sliding window: a tick is a microsecond, `interval` is the period, which
 * pays for one count, and `tolerance` is the limit in counts times that, and
 * interval - 1.
 */
typedef struct weir_budget {
    uint64_t interval;
    uint64_t tolerance;
} weir_budget_t;

/* Fails if the format is not one that weir_format_choose would give for a set
 * of quotas with this one in it. */
WEIR_API weir_status_t weir_budget_make(const weir_quota_t *quota,
    const weir_format_t *format, weir_budget_t *budget, weir_error_t *error);


/* ---- Zone -------------------------------------------------------------
 *
 * A zone is a piece of memory, usually shared, that holds one 64-bit word
 * per key. The caller owns the memory; it is aligned to 64 bytes and holds
 * position-independent data, so processes may map it at different addresses.
 * Debts are meaningless after a reboot: do not keep a zone in a file that
 * outlives one.
 */
typedef struct weir_zone weir_zone_t;

/* What to do when a new key finds no free word: forget the live key with the
 * least debt among those it could replace; refuse; or admit unlimited. */
typedef enum weir_full {
    WEIR_FULL_EVICT = 0,
    WEIR_FULL_REJECT = 1,
    WEIR_FULL_ADMIT = 2
} weir_full_t;

/* The smallest size in bytes that weir_zone_format accepts. */
WEIR_API size_t weir_zone_size_min(void);

/* Turns `memory` into an empty zone, whatever it held before. Nobody else may
 * be using it. Draws a new hash secret from the system. */
WEIR_API weir_status_t weir_zone_format(void *memory, size_t size,
    const weir_format_t *format, weir_error_t *error);

/* The same for memory that is all zero, as fresh anonymous memory is: writes
 * the header only, so that pages are taken up as keys come. (Sweeping reads
 * every line, and so takes up all of them within an hour.) */
WEIR_API weir_status_t weir_zone_format_zeroed(void *memory, size_t size,
    const weir_format_t *format, weir_error_t *error);

/* Opens a formatted zone. Checks its header, and never clears anything. */
WEIR_API weir_status_t weir_zone_attach(void *memory, size_t size,
    weir_full_t when_full, weir_zone_t **zone, weir_error_t *error);

WEIR_API void weir_zone_detach(weir_zone_t *zone);

WEIR_API weir_format_t weir_zone_get_format(const weir_zone_t *zone);

/* How many keys the zone has words for. */
WEIR_API uint64_t weir_zone_slots(const weir_zone_t *zone);

/*
 * One step of housekeeping: clears words that have long been dead, so that
 * they can't look alive when the ticks, or the windows' numbers, come round.
 * Call it about once a second from at least one of the processes. A step takes
 * as much of the zone as makes it go round once an hour, or oftener where that
 * is needed; after a pause it takes more, at most all. Without it, keys may be
 * refused that should pass, after 3 * 2^38 ticks (9 days by default, 1.7 hours
 * at the highest rates) or 125 windows. Returns the number of words cleared.
 */
WEIR_API uint64_t weir_zone_sweep(weir_zone_t *zone,
    const weir_clock_t *clock);

/* What happened in a zone since it was formatted, over all processes. */
typedef struct weir_counters {
    uint64_t passed;
    uint64_t delayed;
    uint64_t rejected;       /* with those refused for the reasons below */
    uint64_t delayed_dry_run;
    uint64_t rejected_dry_run;
    uint64_t skipped;        /* requests without a usable key */
    uint64_t exhausted;      /* refused: too many concurrent changes */
    uint64_t evicted;        /* live keys forgotten for new ones */
    uint64_t full_rejected;  /* refused: no free word (WEIR_FULL_REJECT) */
    uint64_t full_admitted;  /* unlimited: no free word (WEIR_FULL_ADMIT) */
} weir_counters_t;

WEIR_API void weir_zone_counters(const weir_zone_t *zone,
    weir_counters_t *counters);

/* Counts a request that had no usable key for this zone. */
WEIR_API void weir_zone_skip(weir_zone_t *zone);


/* ---- Decision --------------------------------------------------------- */

/* The numbers are limit_req's. */
typedef enum weir_verdict {
    WEIR_NONE = 0,
    WEIR_PASSED = 1,
    WEIR_DELAYED = 2,
    WEIR_REJECTED = 3,
    WEIR_DELAYED_DRY_RUN = 4,
    WEIR_REJECTED_DRY_RUN = 5
} weir_verdict_t;

/* For `undelayed`: whatever passes, passes at once. */
#define WEIR_NODELAY UINT32_MAX

/* One limit that a request has to meet. */
typedef struct weir_limit {
    /* In: whose budget, in which zone, and how many tokens. A cost of 0
     * always passes, unless late charges have overdrawn the budget. */
    weir_zone_t *zone;
    const void *key;
    size_t key_length;
    weir_budget_t budget;  /* from weir_budget_make for this zone */
    uint32_t cost;
    uint32_t undelayed;    /* tokens of the burst that may be used without
                              delay: limit_req's delay=; a sliding window
                              never delays */
    uint8_t dry_run;       /* not 0: judge, but never stop the request */
    uint8_t charge_later;  /* not 0: judge, but charge nothing; weir_charge
                              does that, if it comes to it */

    /* Out, in ticks of the zone, if verdict is not WEIR_NONE. */
    weir_verdict_t verdict;
    uint64_t debt;      /* what the key owes after this decision */
    uint64_t wait;      /* until a delayed request may go on, or until the
                           same request would pass; UINT64_MAX: never */
    uint64_t charged;   /* what this request was charged; 0 if nothing */
    uint64_t state;     /* if charged: the key's state just after it */
} weir_limit_t;

/*
 * Decides about one request under `count` limits, all or nothing: it is
 * charged to every one of them, or, if one rejects, to none. Limits in dry
 * run are judged likewise but stop neither the request nor another's charge.
 *
 * Returns the verdict on the request: REJECTED if a limit rejects; else
 * DELAYED if one delays, and the request is to wait for weir_limit_delay of
 * *deciding; else what limits in dry run would have said; else PASSED.
 * WEIR_NONE if count is 0. *deciding (may be NULL) is the index of the first
 * limit that rejects, of that with the longest delay, or of the one nearest
 * to its bound if all passed. Where the request is rejected, limits that would
 * have let it pass have the verdict WEIR_NONE.
 *
 * No two limits may name the same key of the same zone.
 */
WEIR_API weir_verdict_t weir_decide(weir_limit_t *limits, size_t count,
    const weir_clock_t *clock, size_t *deciding);

/*
 * Charges a limit that passed with charge_later, now that the request turned
 * out to count. Never rejects: the debt grows beyond the budget, and stops
 * growing at 2^37 ticks (36 hours by default; in a sliding window at 262,143
 * counts). So what is admitted may exceed the budget by the requests that were
 * let pass and not charged yet. Sets debt, charged and state.
 */
WEIR_API void weir_charge(weir_limit_t *limit, const weir_clock_t *clock);

/* Gives back what was charged for this limit, as far as it is still owed, and
 * sets `charged` to 0. To be called within 2^38 ticks (3 days by default, half
 * an hour at the highest rates), or 100 windows: later, it may take what others
 * have been charged. */
WEIR_API void weir_refund(weir_limit_t *limit, const weir_clock_t *clock);

/* What is left of a key's budget. */
typedef struct weir_balance {
    uint64_t quota;       /* tokens that may be taken at once from rest */
    uint64_t remaining;   /* whole tokens that may be taken at once now */
    uint64_t full_after;  /* nanoseconds until all of the quota may be, if
                             nothing is taken until then: exact to the tick,
                             and never too early */
} weir_balance_t;

/* Looks up the budget of a limit's key, as it would be with the limit's cost
 * charged now whatever the budget says (0: as it is). Charges nothing and
 * counts nothing. */
WEIR_API void weir_limit_balance(const weir_limit_t *limit,
    const weir_clock_t *clock, weir_balance_t *balance);

/* Whole tokens that could be taken at once after this decision; fewer than the
 * cost, if it was refused and waiting can cure that. */
WEIR_API uint64_t weir_limit_remaining(const weir_limit_t *limit);

/* In thousandths of a token, what limit_req's log calls excess: tokens beyond
 * the first that are not paid yet; in a sliding window, what the request would
 * come to above the limit. */
WEIR_API uint64_t weir_limit_excess(const weir_limit_t *limit);

/* Milliseconds, rounded down, that a delayed request has to wait before it is
 * served, and at least 1; 0 if it was not delayed. As in limit_req, a delay of
 * less than a millisecond is none. */
WEIR_API uint64_t weir_limit_delay(const weir_limit_t *limit);

/* Nanoseconds from the decision until the same request would pass: 0 if it
 * was not refused, UINT64_MAX if it never can (its cost is above burst + 1, or
 * above the window's limit). Exact to the tick, and never too early. */
WEIR_API uint64_t weir_limit_retry_after(const weir_limit_t *limit);


/* ---- Client addresses -------------------------------------------------
 *
 * Addresses are binary, in network byte order: 4 bytes of IPv4 or 16 of IPv6.
 * An IPv4-mapped IPv6 address (::ffff:a.b.c.d) is taken as its IPv4 address.
 */

/*
 * The key under which a client is limited: its address with all bits after
 * the prefix cleared. Prefix lengths are 1..32 and 1..128. Writes 4 or 16
 * bytes to `key` and returns how many; 0 if `length` is neither 4 nor 16.
 */
WEIR_API size_t weir_client_key(const void *address, size_t length,
    uint32_t ipv4_prefix, uint32_t ipv6_prefix, uint8_t key[16]);


/* ---- Country ---------------------------------------------------------- */

/* NUL-terminated codes: ISO 3166-1 alpha-2 (and XK), or "XX" for unknown and
 * "ZZ" for private and reserved addresses; continents as AF AN AS EU NA OC SA,
 * or "XX" and "ZZ" likewise. */
typedef struct weir_country {
    char code[3];
    char continent[3];
    uint8_t in_eu;   /* 1 for members of the European Union */
    uint8_t unused;  /* 0: the whole is copied as one word */
} weir_country_t;

/* A database: of countries, or of fields of any kind. */
typedef struct weir_geo weir_geo_t;

/*
 * Opens a country database in MaxMind's .mmdb format, on a private copy of
 * the file: what happens to the file afterwards does not matter. It is
 * compiled into a table, and the table compared with what libmaxminddb says of
 * a sample of its networks.
 * country_field names the field that holds the ISO code, such as
 * "country.iso_code"; NULL means to find it out by looking at the data.
 * Any number of threads may ask it, and processes that are forked.
 */
WEIR_API weir_status_t weir_geo_open(const char *path,
    const char *country_field, weir_geo_t **geo, weir_error_t *error);

/* Opens any .mmdb file for its fields, in a private copy likewise. */
WEIR_API weir_status_t weir_geo_open_fields(const char *path,
    weir_geo_t **geo, weir_error_t *error);

WEIR_API void weir_geo_close(weir_geo_t *geo);

typedef struct weir_geo_overrides weir_geo_overrides_t;

/* The country of an address: what overrides say, if not NULL; "ZZ" for private
 * addresses; what the database says, if not NULL; "XX" where it has none,
 * where length is neither 4 nor 16, and of a database of fields. */
WEIR_API void weir_geo_country(const weir_geo_t *geo,
    const weir_geo_overrides_t *overrides, const void *address, size_t length,
    weir_country_t *country);

/* Where a field is in a record: names with dots between, up to 16 and 255
 * bytes, such as "city.names.en"; elements of arrays count from 0, as in
 * "subdivisions.0.iso_code". A path that begins with "metadata" is one of the
 * file's metadata, such as "metadata.build_epoch". */
typedef struct weir_geo_path weir_geo_path_t;

WEIR_API weir_status_t weir_geo_path_parse(const char *text, size_t length,
    weir_geo_path_t **path, weir_error_t *error);
WEIR_API void weir_geo_path_free(weir_geo_path_t *path);

/*
 * The field of an address's record as text: strings as they are, numbers in
 * decimal, booleans as 1 or 0, bytes in hexadecimal. Writes up to `size` bytes
 * of it, without a NUL, and returns how long all of it is; 0 if there is none,
 * or if the path leads to a map or an array. Not for the decision path: it
 * walks the tree and the record, and a float takes floating point.
 */
WEIR_API size_t weir_geo_field(const weir_geo_t *geo,
    const weir_geo_path_t *path, const void *address, size_t length,
    char *text, size_t size);

typedef struct weir_geo_info {
    uint64_t build_epoch;  /* when it was built, in seconds since 1970 */
    uint64_t networks;     /* in its tree; of countries, those that have one */
    char type[64];         /* its type, as its metadata say; NUL-terminated */
} weir_geo_info_t;

WEIR_API void weir_geo_get_info(const weir_geo_t *geo, weir_geo_info_t *info);


/* ---- Databases that are replaced while they are in use ------------------
 *
 * Memory that processes share may hold a database and, one after the other,
 * its successors. Whoever asks gets the one that was published last, and never
 * waits. There is one publisher at a time: see to that by a lock that dies
 * with its holder. A publisher that dies half-way leaves what was published
 * before, and another one may go on.
 */

typedef enum weir_geo_kind {
    WEIR_GEO_COUNTRIES = 0,
    WEIR_GEO_FIELDS
} weir_geo_kind_t;

/* Bytes of memory for a database and successors up to half as large again (16
 * MB at least), twice: two of them stand there while one replaces the other.
 * geo may be NULL: the first is yet to come. */
WEIR_API size_t weir_geo_share_size(const weir_geo_t *geo);

/* Prepares zeroed memory of that size, aligned to 4096 bytes. */
WEIR_API void weir_geo_share_format(void *memory, size_t size);

/* A handle to whatever is published in the memory, of that kind; "XX", and no
 * field, as long as nothing is. It belongs to one thread. A process that is
 * forked has its own copy. Close it with weir_geo_close. */
WEIR_API weir_status_t weir_geo_share_attach(void *memory, size_t size,
    weir_geo_kind_t kind, weir_geo_t **geo, weir_error_t *error);

typedef enum weir_geo_verdict {
    WEIR_GEO_PUBLISHED = 0,
    WEIR_GEO_SAME,        /* is what is published, to the byte */
    WEIR_GEO_OLDER,       /* built earlier */
    WEIR_GEO_SMALLER,     /* knows less than half as many networks */
    WEIR_GEO_OTHER_TYPE,  /* of another type, or kind */
    WEIR_GEO_HALF_DONE,   /* built at the same time, but another one */
    WEIR_GEO_OF_FUTURE,   /* built more than a day from now */
    WEIR_GEO_TOO_LARGE    /* there is no room for it in this memory */
} weir_geo_verdict_t;

#define WEIR_GEO_ACCEPT(verdict)  (1u << (verdict))

/*
 * Publishes a database that was opened, unless it looks like a mistake beside
 * the one that is published: then error says what is wrong with it. The
 * verdicts OLDER, SMALLER and OTHER_TYPE (but not of another kind) may be
 * accepted. HALF_DONE may not: so does a file look that is just being
 * overwritten in place, since its metadata stand at its end. Nor may
 * OF_FUTURE, behind which all others would be older. `now` is in seconds since
 * 1970. The first database is published whatever it is, if there is room.
 */
WEIR_API weir_geo_verdict_t weir_geo_publish(const weir_geo_t *geo,
    void *memory, size_t size, unsigned accept, uint64_t now,
    weir_error_t *error);


/*
 * Address ranges whose country the caller knows better than databases. The
 * longest prefix that holds an address counts.
 */
WEIR_API weir_geo_overrides_t *weir_geo_overrides_new(void); /* or NULL */
WEIR_API void weir_geo_overrides_free(weir_geo_overrides_t *overrides);

/* A range such as "192.0.2.0/24", "2001:db8::/32" or a single address, and a
 * code of a country, "XX" or "ZZ". Fails on others, and on a range that is
 * given twice. */
WEIR_API weir_status_t weir_geo_overrides_add(weir_geo_overrides_t *overrides,
    const char *range, size_t range_length, const char *code,
    size_t code_length, weir_error_t *error);


/*
 * A map from selectors to numbers of the caller's choice. Selectors are an
 * ISO 3166-1 alpha-2 code (upper case; XK is accepted, UK means GB), "EU",
 * "continent:AF" (AF AN AS EU NA OC SA), "XX" (unknown) and "default".
 */
typedef struct weir_country_map weir_country_map_t;

WEIR_API weir_country_map_t *weir_country_map_new(void); /* NULL: no memory */
WEIR_API void weir_country_map_free(weir_country_map_t *map);

/* Fails on a word that is no selector, and on one that is set already.
 * value is 0..65534. */
WEIR_API weir_status_t weir_country_map_set(weir_country_map_t *map,
    const char *word, size_t length, uint32_t value, weir_error_t *error);

/* The value of the most specific selector: country, then EU, then continent,
 * then default; private addresses take default. -1 if none matches. */
WEIR_API int32_t weir_country_map_find(const weir_country_map_t *map,
    const weir_country_t *country);


/*
 * An allow list and a deny list. Words are the selectors above but default,
 * and "private" (private and reserved addresses) and "all".
 */
typedef struct weir_country_filter weir_country_filter_t;

WEIR_API weir_country_filter_t *weir_country_filter_new(void);
WEIR_API void weir_country_filter_free(weir_country_filter_t *filter);

/* A word given twice in one list is an error. */
WEIR_API weir_status_t weir_country_filter_allow(weir_country_filter_t *filter,
    const char *word, size_t length, weir_error_t *error);
WEIR_API weir_status_t weir_country_filter_deny(weir_country_filter_t *filter,
    const char *word, size_t length, weir_error_t *error);

/* 1 if a client of this country may pass. What is denied, by whichever of its
 * selectors, is denied even if allowed; if anything is allowed, all the rest
 * is denied; private addresses are denied only by the word "private". */
WEIR_API int weir_country_filter_permits(const weir_country_filter_t *filter,
    const weir_country_t *country);


#ifdef __cplusplus
}
#endif

#endif /* WEIR_WEIR_H */
