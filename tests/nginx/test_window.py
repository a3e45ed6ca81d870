"""algorithm=sliding_window: so many requests in a window of that length.

Windows are days long: a test sees one of them, or the turn from one to the
next, at which what was counted goes on to count almost in full.
"""

import re

import pytest

import addresses as a
from client import SHARED, encode, get, pipeline, statuses

DAY = 86400
ZONE = ("weir_limit_zone $binary_remote_addr zone=one:1m rate=5r/d"
        " algorithm=sliding_window;")
LOCATION = "location / { weir_limit zone=one; }"
ME = "198.51.100.1"
FIVE_OF_20 = [200] * 5 + [429] * 15


@pytest.mark.parametrize("workers, listen", [
    (1, ""), (2, ""), (4, ""), (4, "reuseport")])
def test_the_number_of_the_rate_passes_at_once(start_nginx, workers, listen):
    nginx = start_nginx(ZONE, LOCATION, workers=workers, listen=listen)
    for client in (ME, a.KR6):
        assert statuses(nginx.port, 20, address=client) == FIVE_OF_20


def test_nothing_is_delayed(start_nginx):
    nginx = start_nginx(ZONE, LOCATION)
    assert pipeline(nginx.port, [encode("/", ME)] * 20) == FIVE_OF_20
    assert not nginx.errors("delaying")


@pytest.mark.parametrize("rate, passed", [("1r/s", 1), ("1r/30d", 1), ("30r/30d", 30),
                                          ("300r/d", 300)])
def test_windows_may_be_short_and_long(start_nginx, rate, passed):
    nginx = start_nginx(ZONE.replace("5r/d", rate), LOCATION)
    codes = pipeline(nginx.port, [encode("/", ME)] * (passed + 5))
    assert codes[:passed] == [200] * passed
    if rate != "1r/s":
        assert codes[passed:] == [429] * 5


def test_what_is_refused_is_not_counted_and_logged_with_its_excess(start_nginx):
    """One request, or four tokens, more than the five."""
    nginx = start_nginx(
        ZONE, 'add_header X-Words "$weir_status,$weir_zone" always;'
        "location / { weir_limit zone=one cost=$arg_c; }")
    answers = [get(nginx.port, "/", ME) for _ in range(6)]
    assert [answer.header("X-Words") for answer in answers] == \
        ["PASSED,one"] * 5 + ["REJECTED,one"]
    for _ in range(20):
        get(nginx.port, "/", ME)
    get(nginx.port, "/?c=4", ME)
    lines = nginx.errors("limiting requests, excess: ")
    said = [float(re.search(r'excess: (\d+\.\d{3}) by zone "one"', line)[1])
            for line in lines]
    assert len(said) == 22
    assert all(0.99 < excess <= 1 for excess in said[:21])
    assert 3.99 < said[21] <= 4


def test_costs_use_up_a_window(start_nginx):
    nginx = start_nginx(ZONE, "location / { weir_limit zone=one cost=$arg_c; }")
    codes = [get(nginx.port, f"/?c={cost}", ME).status
             for cost in (2, 4, 3, 1, 0, 1)]
    assert codes == [200, 429, 200, 429, 200, 429]


def test_retry_after_is_when_the_window_has_slid_on(start_nginx):
    """A fifth of the next window, and what is left of this one."""
    nginx = start_nginx(ZONE, "location / { weir_limit zone=one cost=$arg_c; }")
    assert statuses(nginx.port, 5, address=ME) == [200] * 5
    answer = get(nginx.port, "/", ME)
    assert answer.status == 429
    assert DAY / 5 - 600 < int(answer.header("Retry-After")) <= DAY * 1.2 + 1
    answer = get(nginx.port, "/?c=6", ME)
    assert (answer.status, answer.header("Retry-After")) == (429, None)


def test_a_country_has_a_number_of_its_own(start_nginx, country_db):
    nginx = start_nginx(
        ZONE + "weir_geo_db @db@; weir_country_limits zone=one {"
        " KR rate=2r/d; DE off; KP deny; default rate=3r/d; }",
        LOCATION, words={"db": country_db})
    for client, passed in ((a.KR, 2), (a.FR, 3)):
        assert statuses(nginx.port, 8, address=client) == \
            [200] * passed + [429] * (8 - passed)
    assert statuses(nginx.port, 8, address=a.DE) == [200] * 8
    assert get(nginx.port, "/", a.KP).status == 403


def test_a_rate_may_come_with_the_request_if_its_period_is_the_zones(start_nginx):
    nginx = start_nginx(ZONE, "location / { weir_limit zone=one rate=$arg_r; }")
    assert statuses(nginx.port, 4, "/?r=2r/d", ME) == [200, 200, 429, 429]
    assert statuses(nginx.port, 4, "/?r=4r/24h", ME) == [200, 200, 429, 429]
    assert statuses(nginx.port, 3, "/?r=9r/h", ME) == [200, 429, 429]
    assert statuses(nginx.port, 3, "/?r=off", ME) == [200] * 3
    (line,) = nginx.errors(r"\[warn\]")
    assert '"rate=$arg_r"' in line and '"9r/h" does not fit' in line


def test_failures_are_counted_when_they_are_known(start_nginx):
    nginx = start_nginx(ZONE, "location / { weir_limit zone=one count=404; }")
    assert statuses(nginx.port, 20, "/", ME) == [200] * 20
    assert statuses(nginx.port, 7, "/none", ME) == [404] * 5 + [429] * 2
    assert get(nginx.port, "/", ME).status == 429


def test_a_window_and_a_bucket_are_charged_all_or_nothing(start_nginx):
    nginx = start_nginx(
        ZONE + "weir_limit_zone $host zone=total:1m rate=1r/d;",
        "location / { weir_limit zone=total burst=7 nodelay; weir_limit zone=one; }")
    assert statuses(nginx.port, 20, address=ME) == FIVE_OF_20
    assert statuses(nginx.port, 5, address=a.KR) == [200] * 3 + [429] * 2
    assert len(nginx.errors('by zone "one"')) == 15
    assert len(nginx.errors('by zone "total"')) == 2


def test_a_dry_run_counts_and_refuses_nobody(start_nginx):
    nginx = start_nginx(ZONE, "location / { weir_limit zone=one dry_run; }"
                        "location /real { weir_limit zone=one;"
                        " alias @dir@/html/index.html; }")
    assert statuses(nginx.port, 7, address=ME) == [200] * 7
    assert len(nginx.errors("limiting requests, dry run, ")) == 2
    assert get(nginx.port, "/real", ME).status == 429


def test_a_killed_worker_takes_no_count_along(start_nginx):
    nginx = start_nginx(ZONE, LOCATION, workers=2)
    nginx.allowed.append(r"worker process \d+ exited on signal 9$")
    assert statuses(nginx.port, 3, address=ME) == [200] * 3
    for worker in nginx.workers():
        nginx.kill_worker(worker)
    assert statuses(nginx.port, 4, address=ME) == [200] * 2 + [429] * 2


FLOOD = [encode(f"/?k={i}") for i in range(8000)]


@pytest.mark.parametrize("full, refused, newcomer", [
    ("reject", range(SHARED, 8000), 429), ("admit", range(SHARED), 200),
    ("evict", range(SHARED), 200)])
def test_a_full_zone_of_windows(start_nginx, full, refused, newcomer):
    """Whoever used up a window stays refused: those with less go first."""
    nginx = start_nginx(
        ZONE.replace("$binary_remote_addr zone=one:1m", f"$arg_k full={full} zone=one:32k"),
        LOCATION + "access_log off; error_log @dir@/flood.log crit;")
    assert statuses(nginx.port, 6, "/?k=abuser") == [200] * 5 + [429]
    assert pipeline(nginx.port, FLOOD).count(429) in refused
    assert statuses(nginx.port, 3, "/?k=abuser") == [429] * 3
    fresh = [get(nginx.port, f"/?k=new{i}").status for i in range(20)]
    assert fresh.count(newcomer) >= 18
