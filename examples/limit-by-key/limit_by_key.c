/*
 * Limits by key with libweir: reads one key per line from standard input and prints for each
 * whether it passes, under a rate and burst given as arguments.
 *
 *     $ printf 'ann\nann\nbob\nann\n' | limit_by_key 1r/m 1
 *     ann passed, 1 left
 *     ann passed, 0 left
 *     bob passed, 1 left
 *     ann rejected, retry in 60 s
 *
 * The zone lies in memory that children made by fork() would share.
 */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include <weir/weir.h>

#define ZONE_SIZE (1024 * 1024)

static void
die(const char *message)
{
    fprintf(stderr, "limit_by_key: %s\n", message);
    exit(2);
}

int
main(int argc, char **argv)
{
    char line[4096], *end;
    long burst;
    void *memory;
    size_t length;
    weir_zone_t *zone;
    weir_limit_t limit;
    weir_quota_t quota;
    weir_error_t error;
    weir_format_t format;
    weir_clock_t clock = { weir_monotonic_now, NULL };

    if (argc != 3) {
        die("usage: limit_by_key RATE BURST, for example limit_by_key 10r/s 5");
    }

    /* What is allowed. */

    if (weir_quota_parse(argv[1], strlen(argv[1]), &quota, &error) != WEIR_OK) {
        die(error.text);
    }

    burst = strtol(argv[2], &end, 10);
    if (*argv[2] == '\0' || *end != '\0' || burst < 0 || burst > 1000000) {
        die("the burst must be a number from 0 to 1000000");
    }
    quota.burst = (uint32_t) burst;

    /* Where it is remembered. */

    if (weir_format_choose(WEIR_TOKEN_BUCKET, &quota, 1, &format, &error) != WEIR_OK) {
        die(error.text);
    }

    memory = mmap(NULL, ZONE_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) {
        die("no memory");
    }

    if (weir_zone_format(memory, ZONE_SIZE, &format, &error) != WEIR_OK
        || weir_zone_attach(memory, ZONE_SIZE, WEIR_FULL_EVICT, &zone, &error) != WEIR_OK)
    {
        die(error.text);
    }

    memset(&limit, 0, sizeof(limit));
    limit.zone = zone;
    limit.cost = 1;
    limit.undelayed = WEIR_NODELAY;
    if (weir_budget_make(&quota, &format, &limit.budget, &error) != WEIR_OK) {
        die(error.text);
    }

    /* One decision per line. */

    while (fgets(line, sizeof(line), stdin) != NULL) {
        length = strcspn(line, "\n");
        limit.key = line;
        limit.key_length = length;

        if (weir_decide(&limit, 1, &clock, NULL) == WEIR_PASSED) {
            printf("%.*s passed, %llu left\n", (int) length, line,
                   (unsigned long long) weir_limit_remaining(&limit));
        } else {
            printf("%.*s rejected, retry in %llu s\n", (int) length, line,
                   (unsigned long long) ((weir_limit_retry_after(&limit) + 999999999)
                                         / 1000000000));
        }
    }

    weir_zone_detach(zone);
    munmap(memory, ZONE_SIZE);

    return 0;
}
