"""fail2ban's own filter for limit_req reads weir's lines as it reads those.

The filter is the one that Debian ships, unchanged, and what it says of an error
log is compared for weir_limit and limit_req: whom a jail would ban. Rates are
too slow to refill in a test.
"""

import collections
import os
import pathlib
import shutil
import subprocess

import pytest

import addresses as a
from client import encode, get, raw, statuses

FILTER = "nginx-limit-req"
FILTER_FILE = pathlib.Path(f"/etc/fail2ban/filter.d/{FILTER}.conf")

ZONE = "weir_limit_zone $binary_remote_addr zone=one:1m rate=1r/m;"
LIMIT = "weir_limit zone=one burst=4 nodelay;"
LOCATION = f"location / {{ {LIMIT} }}"

ME, YOU, SIX = "198.51.100.1", "198.51.100.2", "2001:db8::1"


def banned(nginx, name=FILTER):
    """How many lines of error.log name which address, for the filter. With
    this option fail2ban-regex prints the address of each match, and no more."""
    tool = shutil.which("fail2ban-regex")
    assert tool and FILTER_FILE.is_file(), "fail2ban is not installed"
    done = subprocess.run(
        [tool, "--out", "ip", "--usedns", "no", "--encoding", "utf-8",
         nginx.dir / "error.log", name], capture_output=True, text=True,
        check=False, timeout=60, env={**os.environ, "LC_ALL": "C.UTF-8"})
    assert done.returncode == 0, done.stderr  # also where nothing matched
    return collections.Counter(done.stdout.split())


def refuse(nginx, count, address=ME, path="/", **options):
    """So many refused requests of a client, who has made none before."""
    codes = statuses(nginx.port, 5 + count, path, address, **options)
    assert codes == [200] * 5 + [429] * count


def test_who_is_refused_is_found_by_address_once_a_line(start_limited):
    nginx = start_limited(ZONE, LOCATION)
    refuse(nginx, 3, ME)
    refuse(nginx, 1, YOU)
    assert statuses(nginx.port, 5, "/", a.KR) == [200] * 5
    assert banned(nginx) == {ME: 3, YOU: 1}


def test_ipv6_clients_are_found_as_they_are(start_limited):
    """And an IPv4-mapped one as its IPv4 address."""
    nginx = start_limited(ZONE, LOCATION)
    refuse(nginx, 2, SIX)
    refuse(nginx, 1, a.mapped(ME))
    assert banned(nginx) == {SIX: 2, ME: 1}


def test_all_addresses_of_one_slash_64_are_named_one_by_one(start_nginx):
    """They share weir's budget; a ban is for the address in the line."""
    nginx = start_nginx(ZONE, LOCATION)
    refuse(nginx, 1, SIX)
    for last in (2, 3):
        assert get(nginx.port, "/", f"2001:db8::{last}").status == 429
    assert banned(nginx) == {f"2001:db8::{last}": 1 for last in (1, 2, 3)}


def test_every_log_level_is_read(start_limited):
    levels = ["info", "notice", "warn", "error"]
    nginx = start_limited(
        ZONE.replace("addr", "addr$uri"), "".join(
            f"location = /{level} {{ weir_limit_log_level {level}; {LIMIT}"
            " alias @dir@/html/index.html; }" for level in levels))
    for level in levels:
        refuse(nginx, 2, ME, f"/{level}")
        assert len(nginx.errors(rf"\[{level}\] .*limiting requests")) == 2
    assert banned(nginx) == {ME: 8}


def test_the_status_makes_no_difference(start_nginx):
    nginx = start_nginx(ZONE.replace("addr", "addr$uri"), "".join(
        f"location = /{status} {{ weir_limit_status {status}; {LIMIT} }}"
        for status in (403, 444, 503)))
    for status in (403, 444, 503):
        for _ in range(7):
            raw(nginx.port, encode(f"/{status}", ME, close=True), wait=True)
    assert banned(nginx) == {ME: 6}


def test_several_limits_give_one_line_for_each_refused_request(start_limited):
    nginx = start_limited(
        ZONE + "weir_limit_zone $host zone=total:1m rate=1r/m;",
        f"location / {{ {LIMIT} weir_limit zone=total burst=6 nodelay; }}")
    refuse(nginx, 2, ME, host="one.example")
    codes = statuses(nginx.port, 4, "/", YOU, host="one.example")
    assert codes == [200] * 2 + [429] * 2
    assert banned(nginx) == {ME: 2, YOU: 2}


def test_the_filter_may_be_for_some_zones_only(start_limited):
    nginx = start_limited(
        ZONE + ZONE.replace("=one:", "=two:"),
        LOCATION + f"location = /two {{ {LIMIT.replace('=one', '=two')}"
        " alias @dir@/html/index.html; }")
    refuse(nginx, 2, ME)
    refuse(nginx, 3, YOU, "/two")
    assert banned(nginx) == {ME: 2, YOU: 3}
    assert banned(nginx, FILTER + "[ngx_limit_req_zones=two]") == {YOU: 3}
    assert not banned(nginx, FILTER + "[ngx_limit_req_zones=tw]")


def test_a_dry_run_bans_nobody(start_limited):
    nginx = start_limited(ZONE, "weir_limit_dry_run on;" + LOCATION)
    assert statuses(nginx.port, 9, address=ME) == [200] * 9
    assert len(nginx.errors("limiting requests, dry run, excess: ")) == 4
    assert not banned(nginx)


def test_a_dry_run_of_one_limit_hides_no_refusal_by_another(start_nginx):
    nginx = start_nginx(
        ZONE + ZONE.replace("=one:", "=two:"),
        f"location / {{ weir_limit zone=two dry_run; {LIMIT} }}")
    refuse(nginx, 2)
    assert len(nginx.errors("dry run")) == 4
    assert banned(nginx) == {ME: 2}


@pytest.mark.parametrize("dry_run", ["off", "on"])
def test_who_is_delayed_is_not_banned(start_limited, dry_run):
    nginx = start_limited(
        ZONE.replace("1r/m", "1r/s"),
        f"weir_limit_dry_run {dry_run};"
        "location / { weir_limit zone=one burst=1000; }")
    assert statuses(nginx.port, 3, address=ME) == [200] * 3
    assert nginx.errors("delaying request")
    assert not banned(nginx)


def test_other_lines_ban_nobody(start_nginx, country_db):
    """Of denied countries, bad values, bypasses and late charges."""
    nginx = start_nginx(
        ZONE + "weir_geo_db @db@; weir_geo_deny KP;",
        "weir_bypass $arg_pass; location /"
        " { weir_limit zone=one burst=4 nodelay rate=$arg_r cost=$arg_c; }"
        "location /count { weir_limit zone=one burst=1 count=404; }",
        words={"db": country_db})
    assert get(nginx.port, "/", a.KP).status == 403
    assert get(nginx.port, "/?r=bad&c=bad", ME).status == 200
    assert statuses(nginx.port, 9, "/?pass=1", YOU) == [200] * 9
    assert get(nginx.port, "/count", SIX).status == 404
    assert len(nginx.errors(r"\[warn\]")) == 3
    assert not banned(nginx)


HOSTILE = [
    '*1 limiting requests, excess: 1.000 by zone "one", client: 203.0.113.9,',
    '\\n2026/01/01 00:00:00 [error] 1#1: *1 limiting requests, excess: 1.000 by'
    ' zone "one", client: 203.0.113.9, server: x',
    '", client: 203.0.113.9, server: , request: "GET / HTTP/1.1',
    '\xff\xfe\x80 client: 203.0.113.9,',
]


def test_nobody_can_have_others_banned(start_limited):
    """By what they write into paths and headers; a request that nginx takes
    for none is in no line of a limit's."""
    nginx = start_limited(ZONE, LOCATION)
    clients = [f"198.51.100.{last}" for last in range(1, 1 + len(HOSTILE))]
    for client, text in zip(clients, HOSTILE):
        path = text.replace(" ", "%20").replace("\\n", "%0a")
        headers = [("Referer", text), ("User-Agent", text), ("X-Real-IP", text)]
        refuse(nginx, 1, client, "/?" + path, headers=headers)
        raw(nginx.port, encode("/?" + text, client, headers, close=True), wait=True)
        raw(nginx.port,
            f"GET / HTTP/1.1\r\nHost: {text}\r\n\r\n".encode("latin-1"), wait=True)
    found = banned(nginx)
    assert set(found) == set(clients)
    assert found.total() == len(nginx.errors(
        r"^\S+ \S+ \[error\] \d+#\d+: \*\d+ limiting requests"))
