"""The life of a zone: when it keeps its counts and when it starts anew, what
is said when it is full, and whom that and a replaced module concern.

That the rate of a zone may change is in test_reload.py.
"""

import os
import re
import shutil
import threading
import time

import pytest

import server
from client import (SHARED, Connection, encode, get, pipeline, read_response,
                    statuses)
from server import wait_for
from storm import Storm
from upstreams import http_upstream

LOCATION = "location / { weir_limit zone=one; }"
BURST = "location / { weir_limit zone=one burst=4 nodelay; }"
ME = "198.51.100.1"
ANEW = r'\[warn\] .*zone "one" starts anew, without its counts: it '


def zone(more="", key="$binary_remote_addr", size="1m", rate="5r/d", name="one"):
    return f"weir_limit_zone {key} zone={name}:{size} rate={rate} {more};"


WINDOW = "algorithm=sliding_window"


# ---- Reloads ----


@pytest.mark.parametrize("before, after, why", [
    (zone(), zone(WINDOW), "had another algorithm"),
    (zone(WINDOW), zone(), "had another algorithm"),
    (zone(WINDOW), zone(WINDOW, rate="5r/2d"), "had windows of another period"),
    (zone(WINDOW), zone(WINDOW, key="$remote_addr"), "had another key"),
    (zone(WINDOW), zone(WINDOW, size="2m"), "had another size"),
    (zone(WINDOW), zone(WINDOW, rate="4000000000r/d"), "counted in units too"),
    (zone(), zone(rate="100000r/s"), "counted time too coarsely or too finely"),
])
@pytest.mark.parametrize("workers, listen", [(1, ""), (2, ""), (4, "reuseport")])
def test_a_zone_of_another_meaning_starts_anew(start_nginx, before, after, why,
                                               workers, listen):
    nginx = start_nginx(before, LOCATION, workers=workers, listen=listen)
    first = 5 if WINDOW in before else 1
    assert statuses(nginx.port, first + 1, address=ME) == [200] * first + [429]
    nginx.reload(after, LOCATION, wait_for_exit=True)
    assert statuses(nginx.port, 1, address=ME) == [200]
    assert len(nginx.wait_errors(ANEW + why)) == 1
    nginx.reload()
    assert len(nginx.errors("starts anew")) == 1


@pytest.mark.parametrize("rate, more", [("5r/d", 0), ("9r/d", 4), ("3r/d", 0),
                                        ("5r/24h", 0), ("300r/1d", 295)])
def test_a_window_keeps_its_counts_while_its_period_stays(start_nginx, rate, more):
    nginx = start_nginx(zone(WINDOW), LOCATION)
    assert statuses(nginx.port, 6, address=ME) == [200] * 5 + [429]
    nginx.reload(zone(WINDOW, rate=rate), LOCATION)
    codes = pipeline(nginx.port, [encode("/", ME)] * (more + 2))
    assert codes == [200] * more + [429] * 2
    assert not nginx.errors(r"\[warn\]")


def test_the_format_of_before_is_kept_if_it_serves(start_nginx):
    """Counts stand for four tokens each, where three would do by now."""
    large = 1000000
    nginx = start_nginx(zone(WINDOW, rate=f"{large}r/d"),
                        "location / { weir_limit zone=one cost=$arg_c; }")
    assert get(nginx.port, f"/?c={large - 1000}", ME).status == 200
    nginx.reload(zone(WINDOW, rate="600000r/d"),
                 "location / { weir_limit zone=one cost=$arg_c; }")
    assert get(nginx.port, "/?c=4", ME).status == 429
    assert not nginx.errors(r"\[warn\]")


def test_requests_that_wait_are_answered_over_a_reload_and_stay_charged(start_nginx):
    """They wait in old workers, in a zone that the new ones use as well."""
    def http(rate):
        return (zone(rate=rate)
                + "weir_limit_zone $host zone=all:1m rate=2r/s;")

    wait = "location / { weir_limit zone=one burst=9 nodelay; weir_limit zone=all burst=9; }"
    nginx = start_nginx(http("1r/d"), wait)
    clients = [Connection(nginx.port) for _ in range(5)]
    for client in clients:
        client.send(encode("/", ME, close=True))
    nginx.wait_errors("delaying request", 4)
    nginx.reload(http("1r/h"), wait)
    assert [read_response(client.stream).status for client in clients] == [200] * 5
    # Of ten hours five days' debt has used up all.
    assert get(nginx.port, "/", ME).status == 429
    assert not nginx.errors(r"starts anew")
    nginx.reload(http("1r/d"), BURST.replace("burst=4", "burst=9"))
    assert statuses(nginx.port, 6, address=ME) == [200] * 5 + [429]


@pytest.fixture
def held():
    """An upstream that answers only when it is told to."""
    class Held:
        asked = threading.Semaphore(0)
        go = threading.Event()

    def reply(_):
        Held.asked.release()
        Held.go.wait(60)
        return 200, []

    with http_upstream(reply) as Held.port:
        yield Held
        Held.go.set()


@pytest.mark.parametrize("before, after, left", [
    (zone(), zone(), 2), (zone(), zone(rate="4r/d"), 2),
    (zone(WINDOW), zone(WINDOW, rate="6r/d"), 3),
    (zone(), zone(key="$remote_addr"), 5), (zone(), zone(WINDOW), 5),
    (zone(), zone(size="2m"), 5), (zone(WINDOW), zone(WINDOW, rate="5r/2d"), 5),
])
def test_old_workers_that_drain_harm_nothing(start_nginx, held, before, after, left):
    """Three requests are in old workers until others have been served by
    several generations of new ones, and are charged then: to the zone as it is
    now, if that is the zone they began with."""
    def servers(http):
        burst = "" if WINDOW in http else "burst=4"
        nodelay = burst and "nodelay"
        return (f"location /held {{ weir_limit zone=one {burst} count=200;"
                " proxy_pass http://127.0.0.1:@held@; }"
                f"location / {{ weir_limit zone=one {burst} {nodelay}; }}")

    nginx = start_nginx(before, servers(before), words={"held": held.port})
    clients = [Connection(nginx.port) for _ in range(3)]
    for client in clients:
        client.send(encode("/held", ME, close=True))
        assert held.asked.acquire(timeout=60)
    old = nginx.workers()
    with Storm(nginx.port, lambda n: "/", address="198.51.100.2") as storm:
        for http in [after, before, after, after]:
            nginx.reload(http, servers(http))
            new = [f"203.0.113.{i}" for i in range(10)]
            if http is after:
                assert all(get(nginx.port, "/", client).status in (200, 429)
                           for client in new)
    assert not storm.failures, storm.failures
    assert old & set(server.children(nginx.process.pid))
    held.go.set()
    assert [read_response(client.stream).status for client in clients] == [200] * 3
    wait_for(lambda: not old & set(server.children(nginx.process.pid)),
             "old workers to exit")
    codes = statuses(nginx.port, left + 2, address=ME)
    assert codes == [200] * left + [429] * 2


# ---- Full zones ----


FULL = (r'\[warn\] .*zone "one" is full: within \d+ s, (\d+) keys with the least debt'
        r" were forgotten, (\d+) requests refused and (\d+) let through")

SYNC = ["sync1", "sync2", "sync3"]


def small_zones(full):
    """Zone one, and others of which one at a time is filled to see that all
    have been looked at."""
    return "".join(zone(f"full={policy}", f"$arg_{name}", "32k", "1r/d", name)
                   for name, policy in [("one", full)] + [(n, "evict") for n in SYNC])


QUIET = ("access_log off; weir_limit_log_level info; error_log @dir@/error.log warn;"
         + "".join(f"location /{name} {{ weir_limit zone={name};"
                   " alias @dir@/html/index.html; }" for name in ["one"] + SYNC))


def flood(nginx, name, first=0):
    """6000 new keys, more than 32k have room for; how many of them passed."""
    requests = [encode(f"/{name}?{name}={i}") for i in range(first, first + 6000)]
    return pipeline(nginx.port, requests).count(200)


def wait_for_housekeeping(nginx, name):
    flood(nginx, name)
    nginx.wait_errors(f'zone "{name}" is full')


@pytest.mark.parametrize("full, column", [("evict", 0), ("reject", 1), ("admit", 2)])
@pytest.mark.parametrize("workers", [1, 2, 4])
def test_a_full_zone_is_logged_with_numbers(start_nginx, full, column, workers):
    nginx = start_nginx(small_zones(full), QUIET, workers=workers)
    assert statuses(nginx.port, 2, "/one?one=known") == [200, 429]
    passed = flood(nginx, "one")
    if full == "reject":
        assert 0 < passed < 6000
    else:
        assert passed >= 6000 - SHARED
    (line,) = nginx.wait_errors(FULL)
    numbers = list(map(int, re.search(FULL, line).groups()))
    assert 0 < numbers.pop(column) <= (6000 - passed if full == "reject" else 6000)
    assert numbers == [0, 0]
    assert "expected a larger zone" in line


def test_a_full_zone_is_logged_once_a_minute_whatever_happens(start_nginx):
    """A flood, killed workers and a reload are not reasons to say it again."""
    began = time.monotonic()
    nginx = start_nginx(small_zones("evict"), QUIET)
    nginx.allowed.append(r"worker process \d+ exited on signal 9$")
    flood(nginx, "one")
    nginx.wait_errors(FULL)
    flood(nginx, "one", 10000)
    wait_for_housekeeping(nginx, "sync1")
    for worker in nginx.workers():
        nginx.kill_worker(worker)
    flood(nginx, "one", 20000)
    wait_for_housekeeping(nginx, "sync2")
    nginx.reload(small_zones("reject"), QUIET)
    flood(nginx, "one", 30000)
    wait_for_housekeeping(nginx, "sync3")
    minutes = int((time.monotonic() - began) // 60)
    assert len(nginx.errors(FULL)) <= 1 + minutes
    assert all(len(nginx.errors(f'"{name}" is full')) <= 1 + minutes for name in SYNC)


def test_nothing_is_said_of_a_zone_with_room(start_nginx):
    nginx = start_nginx(small_zones("evict").replace("one:32k", "one:1m"), QUIET)
    flood(nginx, "one")
    wait_for_housekeeping(nginx, "sync1")
    assert not nginx.errors('"one"')


# ---- A replaced module ----


REPLACED = r'\[warn\] .*the module file "%s" was replaced; the running nginx goes on'


@pytest.fixture
def module(tmp_path, monkeypatch):
    """A copy of the module, which is loaded in its place."""
    copy = tmp_path / "ngx_http_weir_module.so"
    shutil.copy(server.module_path(), copy)
    monkeypatch.setenv("WEIR_MODULE", str(copy))
    return copy


def another_file(module):
    """Of the same size and date."""
    os.replace(shutil.copy2(module, module.with_suffix(".new")), module)


def another_date(module):
    os.utime(module, (1, 1))


@pytest.mark.parametrize("replace", [another_file, another_date])
def test_a_replaced_module_is_logged_at_each_reload(start_nginx, module, replace):
    """Which keeps the old one, and all counts."""
    nginx = start_nginx(zone(), BURST)
    line = REPLACED % re.escape(str(module))
    nginx.reload()
    assert not nginx.errors("module file")
    assert statuses(nginx.port, 6, address=ME) == [200] * 5 + [429]
    replace(module)
    for number in (1, 2):
        nginx.reload()
        assert len(nginx.errors(line)) == number
        assert get(nginx.port, "/", ME).status == 429
    nginx.stop()
    (nginx.dir / "nginx.pid").unlink(missing_ok=True)
    nginx.start()
    nginx.reload()
    assert len(nginx.errors("module file")) == 2


def test_a_module_file_that_is_gone_is_logged(start_nginx, module):
    nginx = start_nginx(zone(), BURST)
    away = module.rename(module.with_suffix(".away"))
    nginx.reload()
    assert len(nginx.errors(f'the module file "{module}" is gone')) == 1
    away.rename(module)
    nginx.reload()
    assert len(nginx.errors("module file")) == 1


def test_a_test_of_the_configuration_does_not_mind(start_nginx, module):
    nginx = start_nginx(zone(), BURST)
    another_file(module)
    code, said = nginx.check()
    assert code == 0 and "warn" not in said


def test_a_module_from_another_file_starts_zones_anew(start_nginx, module,
                                                      monkeypatch):
    nginx = start_nginx(zone(), BURST)
    assert statuses(nginx.port, 6, address=ME) == [200] * 5 + [429]
    other = shutil.copy(module, module.with_name("other.so"))
    monkeypatch.setenv("WEIR_MODULE", str(other))
    nginx.reload(zone(), BURST)
    assert nginx.errors(ANEW + "was made by another module, or by this one loaded from")
    assert not nginx.errors("module file")
    assert statuses(nginx.port, 6, address=ME) == [200] * 5 + [429]
