"""weir_limit_log_rate: how many lines a flood of refused requests may write.

How many seconds a test takes is not known: what was logged and what is said to
have been left out have to add up, and no second may have more than it should.
"""

import re
import threading
import time

import pytest

import addresses as a
from client import encode, get, pipeline, statuses
from server import wait_for
from test_fail2ban import banned

ZONE = "weir_limit_zone $binary_remote_addr zone=one:1m rate=1r/h;"
LIMIT = "weir_limit zone=one burst=4 nodelay;"
LOCATION = f"location / {{ {LIMIT} }}"
ALIAS = "alias @dir@/html/index.html;"
ME, YOU = "198.51.100.1", "198.51.100.2"

LINE = r"(limiting requests|delaying request)"
LEFT_OUT = re.compile(
    r'^(\S+ \S+) \[error\] \d+#\d+: (\d+) lines about limited requests'
    r' were left out by "weir_limit_log_rate", zone "(\w+)"$')


def left_out(nginx, zone="one"):
    """The numbers that the lines of a zone say."""
    found = [LEFT_OUT.search(line) for line in nginx.errors("were left out")]
    assert all(found)
    return [int(match[2]) for match in found if match[3] == zone]


def written(nginx, zone="one"):
    return nginx.errors(rf'{LINE}.* by zone "{zone}"')


def wait_for_all(nginx, count, zone="one"):
    """Until so many requests are logged or said to have been left out."""
    wait_for(lambda: len(written(nginx, zone)) + sum(left_out(nginx, zone)) >= count,
             f"{count} requests to be accounted for")
    assert len(written(nginx, zone)) + sum(left_out(nginx, zone)) == count


class Seconds:
    """How many whole seconds of the monotonic clock, which is weir's, a test's
    requests have touched."""

    def __init__(self):
        self.first = int(time.monotonic())

    def count(self):
        return int(time.monotonic()) - self.first + 1


def flood(nginx, count, address=ME, threads=4, path="/"):
    """Refused requests over several connections at once."""
    codes = []

    def run():
        codes.extend(pipeline(nginx.port, [encode(path, address)] * count))

    running = [threading.Thread(target=run) for _ in range(threads)]
    for thread in running:
        thread.start()
    for thread in running:
        thread.join()
    assert len(codes) == threads * count
    return codes


@pytest.mark.parametrize("workers, listen, rate", [
    (1, "", 1), (2, "", 10), (4, "reuseport", 3)])
def test_a_flood_writes_few_lines_and_says_what_it_left_out(start_nginx, workers,
                                                            listen, rate):
    """The bound is over all workers, and one of them tells, once a second."""
    nginx = start_nginx(ZONE, f"weir_limit_log_rate {rate};" + LOCATION,
                        workers=workers, listen=listen)
    assert statuses(nginx.port, 5, "/", ME) == [200] * 5
    seconds = Seconds()
    assert set(flood(nginx, 1000)) == {429}
    assert rate <= len(written(nginx)) <= rate * seconds.count()
    wait_for_all(nginx, 4000)
    assert sum(left_out(nginx)) > 1000
    assert len(left_out(nginx)) <= seconds.count() + 1


def test_every_second_has_its_lines(start_nginx):
    nginx = start_nginx(ZONE, "weir_limit_log_rate 1;" + LOCATION)
    assert statuses(nginx.port, 5, "/", ME) == [200] * 5

    def another():
        assert get(nginx.port, "/", ME).status == 429
        return len(written(nginx)) >= 3

    wait_for(another, "a line in another second")


def test_what_was_left_out_is_told_once(start_nginx):
    nginx = start_nginx(ZONE, "weir_limit_log_rate 1;" + LOCATION)
    refused = 0
    for _ in range(2):
        refused += flood(nginx, 250).count(429)
        wait_for_all(nginx, refused)


def test_without_it_every_request_has_a_line(start_nginx):
    nginx = start_nginx(ZONE, LOCATION)
    codes = flood(nginx, 200)
    assert len(written(nginx)) == codes.count(429) == 795
    assert not nginx.errors("were left out")


def test_what_is_below_the_rate_is_logged_as_ever(start_nginx):
    nginx = start_nginx(ZONE, "weir_limit_log_rate 10000;" + LOCATION)
    codes = flood(nginx, 200)
    assert len(written(nginx)) == codes.count(429) == 795
    # A line of what was left out would come within a second.
    nginx.reload(ZONE, LOCATION, wait_for_exit=True)
    assert not nginx.errors("were left out")


@pytest.mark.parametrize("http, server, location, bounded", [
    ("1", "", "", True), ("", "1", "", True), ("", "", "1", True),
    ("1", "off", "", False), ("1", "", "off", False), ("10000", "1", "", True),
    ("1", "10000", "", False), ("", "", "", False)])
def test_the_innermost_level_counts(start_nginx, http, server, location, bounded):
    http, server, location = (word and f"weir_limit_log_rate {word};"
                              for word in (http, server, location))
    nginx = start_nginx(ZONE + http, f"{server} location / {{ {LIMIT} {location} }}")
    refused = flood(nginx, 250).count(429)
    wait_for_all(nginx, refused)
    assert bool(left_out(nginx)) == bounded


def test_each_zone_has_lines_of_its_own(start_nginx):
    nginx = start_nginx(
        ZONE + ZONE.replace("=one:", "=two:"), "weir_limit_log_rate 1;" + LOCATION
        + f"location = /two {{ {LIMIT.replace('=one', '=two')} {ALIAS} }}")
    flood(nginx, 300, threads=2)
    flood(nginx, 200, YOU, threads=2, path="/two")
    wait_for_all(nginx, 595)
    wait_for_all(nginx, 395, "two")
    assert written(nginx) and written(nginx, "two")
    assert left_out(nginx) and left_out(nginx, "two")


def test_locations_of_one_zone_share_its_lines(start_nginx):
    nginx = start_nginx(
        ZONE, "weir_limit_log_rate 1;" + LOCATION
        + f"location = /more {{ {LIMIT} {ALIAS} }}")
    seconds = Seconds()
    flood(nginx, 300, threads=2)
    flood(nginx, 300, threads=2, path="/more")
    assert len(written(nginx)) <= seconds.count()
    wait_for_all(nginx, 1195)


def test_a_location_that_logs_all_is_not_bound_by_another(start_nginx):
    nginx = start_nginx(
        ZONE, LOCATION
        + f"location = /few {{ weir_limit_log_rate 1; {LIMIT} {ALIAS} }}")
    flood(nginx, 300, threads=1, path="/few")
    before = len(written(nginx))
    flood(nginx, 100, threads=1)
    assert len(written(nginx)) == before + 100
    wait_for_all(nginx, 395)


def test_delays_and_dry_runs_are_among_them(start_nginx):
    """Of one zone, in whatever location: who owes a second's tokens is delayed
    by about as much, or would be refused."""
    nginx = start_nginx(
        ZONE.replace("1r/h", "1000r/s"), "weir_limit_log_rate 1; location /"
        " { weir_limit zone=one burst=9999; }"
        f"location = /dry {{ weir_limit zone=one dry_run; {ALIAS} }}"
        "location = /owe"
        f" {{ weir_limit zone=one burst=9999 nodelay cost=1000; {ALIAS} }}")
    for path in ("/", "/dry"):
        pipeline(nginx.port, [encode("/owe", ME), *[encode(path, ME)] * 50])
    wait_for(lambda: len(nginx.lines("access.log")) == 102, "the access log")
    words = [line.split()[2] for line in nginx.lines("access.log")]
    assert {"DELAYED", "REJECTED_DRY_RUN"} <= set(words)
    wait_for_all(nginx, 102 - words.count("PASSED"))
    assert left_out(nginx)


def test_lines_below_the_logs_level_are_not_counted(start_nginx):
    """What nobody would read is neither written nor said to be missing."""
    nginx = start_nginx(
        ZONE, "weir_limit_log_rate 1; weir_limit_log_level info;"
        f"error_log @dir@/error.log warn; {LOCATION}")
    flood(nginx, 300, threads=2)
    nginx.reload(ZONE, "weir_limit_log_rate 1;" + LOCATION, wait_for_exit=True)
    flood(nginx, 300, threads=2)
    wait_for_all(nginx, 600)


def test_what_was_left_out_is_said_after_a_reload_too(start_nginx):
    """And after the worker that would say it was killed."""
    nginx = start_nginx(ZONE, "weir_limit_log_rate 1;" + LOCATION, workers=1)
    nginx.allowed.append(r"worker process \d+ exited on signal 9$")
    flood(nginx, 300, threads=2)
    nginx.reload()
    flood(nginx, 300, threads=2)
    nginx.kill_worker()
    flood(nginx, 300, threads=2)
    wait_for_all(nginx, 1795)


def test_fail2ban_finds_the_lines_that_are_written_and_no_others(start_nginx):
    nginx = start_nginx(ZONE, "weir_limit_log_rate 5;" + LOCATION)
    flood(nginx, 500)
    wait_for_all(nginx, 1995)
    found = banned(nginx)
    assert found == {ME: len(written(nginx))}
    assert left_out(nginx)


def test_denials_are_not_bound_by_it(start_nginx, country_db):
    nginx = start_nginx(
        ZONE + "weir_geo_db @db@; weir_geo_deny KP;",
        "weir_limit_log_rate 1;" + LOCATION, words={"db": country_db})
    assert set(flood(nginx, 50, a.KP)) == {403}
    assert len(nginx.errors("geo denied")) == 200
    assert not nginx.errors("were left out")


def test_the_answers_are_the_same(start_nginx):
    """It is for the log alone."""
    nginx = start_nginx(ZONE, "weir_limit_log_rate 1; weir_limit_headers both;"
                        'add_header X-Words "$weir_status,$weir_zone" always;'
                        + LOCATION)
    answers = [get(nginx.port, "/", ME) for _ in range(9)]
    assert [answer.status for answer in answers] == [200] * 5 + [429] * 4
    for answer in answers[5:]:
        assert answer.header("X-Words") == "REJECTED,one"
        assert answer.header("X-RateLimit-Remaining") == "0"
        assert answer.header("Retry-After")
