"""Limits of one client: how many requests pass, and what is said about it.

Rates are so slow (a request a minute or less) that the time a test takes can't
change a count: `rate=1r/m burst=4 nodelay` lets exactly 5 requests through.
The words and numbers are limit_req's; where both know a directive, the same
test runs against nginx's own limit_req to keep the expectations honest.
"""

import re

import pytest

from client import SHARED, Connection, encode, get, pipeline, statuses

ZONE = "weir_limit_zone $binary_remote_addr zone=one:1m rate=1r/m;"
LIMIT = "weir_limit zone=one burst=4 nodelay;"
LOCATION = f"location / {{ {LIMIT} }}"

FIVE_OF_20 = [200] * 5 + [429] * 15
REJECTED = r"limiting requests, excess: (5\.000|4\.9\d\d) by zone \"one\""


@pytest.mark.parametrize("workers, listen", [
    (1, ""), (2, ""), (4, ""), (2, "reuseport"), (4, "reuseport")])
def test_five_of_20_pass_with_any_number_of_workers(start_nginx, limiter,
                                                     workers, listen):
    nginx = start_nginx(limiter(ZONE), limiter(LOCATION) + limiter.status,
                        workers=workers, listen=listen,
                        module=not limiter.plain)
    assert statuses(nginx.port, 20, address="198.51.100.1") == FIVE_OF_20


def test_five_of_20_pass_on_one_connection(start_nginx):
    nginx = start_nginx(ZONE, LOCATION)
    request = encode("/", "198.51.100.1")
    assert pipeline(nginx.port, [request] * 20) == FIVE_OF_20


def test_all_workers_share_the_counts(start_nginx):
    """With sockets of their own (reuseport), 60 connections reach more than
    one of 4 workers, and 5 requests pass in all of them together."""
    nginx = start_nginx(ZONE, LOCATION + "add_header X-Worker $pid always;",
                        workers=4, listen="reuseport")
    answers = [get(nginx.port, "/", "198.51.100.1") for _ in range(60)]
    assert len({answer.header("X-Worker") for answer in answers}) > 1
    assert [a.status for a in answers] == [200] * 5 + [429] * 55


def test_each_address_has_a_budget_of_its_own(start_nginx):
    nginx = start_nginx(ZONE, LOCATION)
    for address in ("198.51.100.1", "198.51.100.2", "203.0.113.1"):
        assert statuses(nginx.port, 20, address=address) == FIVE_OF_20


@pytest.mark.parametrize("parameters, same, other", [
    ("", "2001:db8:0:1::1 2001:db8:0:1::2 2001:db8:0:1:ffff::", "2001:db8:0:2::1"),
    ("ipv6_prefix=128", "2001:db8::1", "2001:db8::2"),
    ("ipv6_prefix=48", "2001:db8:7::1 2001:db8:7:ffff::1", "2001:db8:8::1"),
    ("ipv6_prefix=61", "2001:db8:0:8::1 2001:db8:0:f::1", "2001:db8:0:10::1"),
    ("", "198.51.100.7", "198.51.100.8"),
    ("ipv4_prefix=24", "198.51.100.1 198.51.100.254", "198.51.101.1"),
    ("ipv4_prefix=30", "198.51.100.4 198.51.100.7", "198.51.100.8"),
    ("", "198.51.100.7 ::ffff:198.51.100.7 ::ffff:c633:6407", "::ffff:198.51.100.8"),
    ("ipv4_prefix=24 ipv6_prefix=16", "::ffff:198.51.100.7 198.51.100.9",
     "::ffff:203.0.113.7"),
])
@pytest.mark.parametrize("key", ["$binary_remote_addr", "$by_map"])
def test_addresses_of_one_prefix_are_one_client(start_nginx, key, parameters,
                                                same, other):
    """Also where a map hands the address on as the key."""
    nginx = start_nginx(
        "map $http_x_vip $by_map { default $binary_remote_addr; 1 ''; }"
        f" weir_limit_zone {key} zone=one:1m rate=1r/m {parameters};", LOCATION)
    same = same.split()
    codes = [get(nginx.port, "/", same[i % len(same)]).status for i in range(20)]
    assert codes == FIVE_OF_20
    assert statuses(nginx.port, 20, address=other) == FIVE_OF_20


def test_a_text_key_has_no_prefix(start_nginx):
    nginx = start_nginx(
        "weir_limit_zone $remote_addr zone=one:1m rate=1r/m;", LOCATION)
    for address in ("2001:db8::1", "2001:db8::2"):
        assert statuses(nginx.port, 6, address=address) == [200] * 5 + [429]


def test_a_composite_key_is_taken_as_it_is(start_nginx):
    nginx = start_nginx(
        "weir_limit_zone $binary_remote_addr$uri zone=one:1m rate=1r/m;", LOCATION)
    nginx.write("a", "a")
    nginx.write("b", "b")
    for path in ("/a", "/b"):
        assert statuses(nginx.port, 20, path, "2001:db8::1") == FIVE_OF_20


def test_an_empty_key_is_not_limited(start_nginx, limiter):
    nginx = start_nginx(
        limiter("weir_limit_zone $arg_k zone=one:1m rate=1r/m;"),
        limiter(LOCATION) + limiter.status, module=not limiter.plain)
    assert statuses(nginx.port, 20, "/") == [200] * 20
    assert statuses(nginx.port, 20, "/?k=") == [200] * 20
    assert statuses(nginx.port, 20, "/?k=1") == FIVE_OF_20


def test_without_burst_one_request_passes(start_nginx):
    nginx = start_nginx(ZONE, "location / { weir_limit zone=one nodelay; }")
    assert statuses(nginx.port, 3, address="198.51.100.1") == [200, 429, 429]


def test_no_burst_needs_no_nodelay(start_nginx):
    nginx = start_nginx(ZONE, "location / { weir_limit zone=one; }")
    assert statuses(nginx.port, 3, address="198.51.100.1") == [200, 429, 429]


@pytest.mark.parametrize("rate", ["1r/m", "5r/h", "1r/d", "20r/d", "1r/7d", "3r/2h"])
def test_slow_rates_are_understood(start_nginx, rate):
    nginx = start_nginx(
        f"weir_limit_zone $binary_remote_addr zone=one:1m rate={rate};", LOCATION)
    assert statuses(nginx.port, 20, address="198.51.100.1") == FIVE_OF_20


def test_a_fast_rate_lets_everything_through(start_nginx):
    nginx = start_nginx(
        "weir_limit_zone $binary_remote_addr zone=one:1m rate=1000000r/s;",
        "location / { weir_limit zone=one burst=1000 nodelay; }")
    codes = pipeline(nginx.port, [encode("/", "198.51.100.1")] * 500)
    assert codes == [200] * 500


@pytest.mark.parametrize("status", [400, 444, 503, 599])
def test_the_status_of_a_refusal_can_be_chosen(start_nginx, status):
    nginx = start_nginx(ZONE, f"weir_limit_status {status};"
                        "location / { weir_limit zone=one nodelay; }")
    assert get(nginx.port, "/", "198.51.100.1").status == 200
    with Connection(nginx.port) as connection:
        connection.send(encode("/?id=no", "198.51.100.1"))
        first = connection.stream.readline()
    # 444 closes the connection without an answer.
    assert first == b"" if status == 444 else f" {status} ".encode() in first
    assert nginx.access("no")["status"] == str(status)


def test_a_refusal_is_logged_as_limit_req_does(start_nginx, limiter):
    nginx = start_nginx(limiter(ZONE), limiter(LOCATION) + limiter.status,
                        module=not limiter.plain)
    statuses(nginx.port, 6, address="198.51.100.1")
    lines = nginx.errors("limiting requests")
    assert len(lines) == 1
    assert re.search(r"\[error\] \d+#\d+: \*\d+ " + REJECTED
                     + r", client: 198\.51\.100\.1, server: ", lines[0])


@pytest.mark.parametrize("level", ["info", "notice", "warn", "error"])
def test_the_level_of_the_log_line_can_be_chosen(start_nginx, level):
    nginx = start_nginx(ZONE, f"weir_limit_log_level {level};" + LOCATION)
    statuses(nginx.port, 6, address="198.51.100.1")
    assert len(nginx.errors(rf"\[{level}\] .*{REJECTED}")) == 1


@pytest.mark.parametrize("where", ["limit", "location", "server", "http"])
def test_dry_run_refuses_nothing_and_logs_what_it_would_do(start_nginx, where):
    on = "weir_limit_dry_run on;"
    limit = LIMIT.replace(";", " dry_run;") if where == "limit" else LIMIT
    nginx = start_nginx(
        ZONE + (on if where == "http" else ""),
        (on if where == "server" else "")
        + f"location / {{ {limit} {on if where == 'location' else ''} }}")
    assert statuses(nginx.port, 7, address="198.51.100.1") == [200] * 7
    line = REJECTED.replace("requests", "requests, dry run")
    assert len(nginx.errors(r"\[error\] .*" + line)) == 2


def test_dry_run_of_limit_req_has_the_same_words(start_nginx, limiter):
    nginx = start_nginx(
        limiter(ZONE), limiter("weir_limit_dry_run on;" + LOCATION),
        module=not limiter.plain)
    assert statuses(nginx.port, 6, address="198.51.100.1") == [200] * 6
    line = REJECTED.replace("requests", "requests, dry run")
    assert len(nginx.errors(line)) == 1


def test_a_limit_in_dry_run_does_not_weaken_another(start_nginx):
    nginx = start_nginx(
        ZONE + "weir_limit_zone $host zone=trial:1m rate=1r/m;",
        f"location / {{ weir_limit zone=trial nodelay dry_run; {LIMIT} }}")
    assert statuses(nginx.port, 20, address="198.51.100.1") == FIVE_OF_20


@pytest.mark.parametrize("outer, inner, codes", [
    (LIMIT, "", FIVE_OF_20),
    (LIMIT, "weir_limit off;", [200] * 20),
    (LIMIT, "weir_limit zone=two burst=1 nodelay;", [200] * 2 + [429] * 18),
    ("weir_limit off;", LIMIT, FIVE_OF_20),
    ("", "", [200] * 20),
])
@pytest.mark.parametrize("level", ["http", "server"])
def test_limits_are_inherited_where_a_level_has_none(start_nginx, level, outer,
                                                     inner, codes):
    nginx = start_nginx(
        ZONE + "weir_limit_zone $binary_remote_addr zone=two:1m rate=1r/m;"
        + (outer if level == "http" else ""),
        (outer if level == "server" else "") + f"location / {{ {inner} }}")
    assert statuses(nginx.port, 20, address="198.51.100.1") == codes


TWO_ZONES = ("weir_limit_zone $binary_remote_addr zone=each:1m rate=1r/m;"
             "weir_limit_zone $host zone=total:1m rate=1r/m;")


@pytest.mark.parametrize("order, named", [
    (("each burst=4", "total burst=9"), (30, 1)),
    (("total burst=9", "each burst=4"), (15, 16)),
], ids=["each first", "total first"])
def test_several_limits_charge_all_or_nothing(start_nginx, order, named):
    """Two clients may take 5 of 10 each. If a refusal by one limit were
    charged to the other, less would be left for the second client, whose
    refusals are by both limits: the first one written is named."""
    limits = "".join(f"weir_limit zone={words} nodelay;" for words in order)
    nginx = start_nginx(TWO_ZONES, f"location / {{ {limits} }}")
    for address in ("198.51.100.1", "198.51.100.2"):
        assert statuses(nginx.port, 20, address=address) == FIVE_OF_20
    assert get(nginx.port, "/", "198.51.100.3").status == 429
    assert named == (len(nginx.errors('by zone "each"')),
                     len(nginx.errors('by zone "total"')))


def test_the_first_limit_that_rejects_is_named(start_nginx):
    nginx = start_nginx(
        TWO_ZONES, "location / { weir_limit zone=total nodelay;"
        " weir_limit zone=each nodelay; }")
    assert statuses(nginx.port, 2, "/?id=x", "198.51.100.1") == [200, 429]
    assert len(nginx.errors('excess: .* by zone "total"')) == 1
    assert not nginx.errors('by zone "each"')


def logged(nginx, identity, address="198.51.100.1"):
    get(nginx.port, f"/?id={identity}", address)
    words = nginx.access(identity)
    return words["weir_status"], words["weir_limit_status"], words["weir_zone"]


def test_variables_tell_the_verdict_and_the_zone(start_nginx):
    nginx = start_nginx(ZONE, "location / { weir_limit zone=one nodelay; }")
    assert logged(nginx, "first") == ("PASSED", "PASSED", "one")
    assert logged(nginx, "second") == ("REJECTED", "REJECTED", "one")


def test_variables_tell_of_a_dry_run(start_nginx):
    nginx = start_nginx(
        ZONE, "location / { weir_limit zone=one nodelay dry_run; }")
    assert logged(nginx, "first") == ("PASSED", "PASSED", "one")
    word = "REJECTED_DRY_RUN"
    assert logged(nginx, "second") == (word, word, "one")


@pytest.mark.parametrize("key, limit", [
    ("$binary_remote_addr", "weir_limit off;"), ("$arg_k", LIMIT)])
def test_variables_are_unset_if_nothing_was_evaluated(start_nginx, key, limit):
    nginx = start_nginx(f"weir_limit_zone {key} zone=one:1m rate=1r/m;",
                        f"location / {{ {limit} }}")
    assert logged(nginx, "x") == ("-", "-", "-")


def test_an_enforced_verdict_beats_that_of_a_dry_run(start_nginx):
    nginx = start_nginx(
        ZONE + "weir_limit_zone $host zone=trial:1m rate=1r/m;",
        "location / { weir_limit zone=trial nodelay dry_run;"
        " weir_limit zone=one burst=1 nodelay; }")
    assert logged(nginx, "a")[0] == "PASSED"
    assert logged(nginx, "b")[::2] == ("REJECTED_DRY_RUN", "trial")
    assert logged(nginx, "c")[::2] == ("REJECTED", "one")


@pytest.mark.parametrize("request_limit, codes", [
    ("burst=2 nodelay", [200] * 3 + [503] * 3),
    ("burst=9 nodelay", [200] * 5 + [429]),
])
def test_limit_req_and_weir_limit_serve_one_request(start_nginx, request_limit,
                                                    codes):
    nginx = start_nginx(
        ZONE + "limit_req_zone $host zone=req:1m rate=1r/m;",
        f"location / {{ limit_req zone=req {request_limit}; {LIMIT} }}")
    assert statuses(nginx.port, 6, address="198.51.100.1") == codes


def test_a_request_that_limit_req_delays_is_charged_once(start_nginx):
    nginx = start_nginx(
        ZONE + "limit_req_zone $host zone=req:1m rate=100r/s;",
        f"location / {{ limit_req zone=req burst=50; {LIMIT} }}")
    requests = [encode("/", "198.51.100.1")] * 20
    assert pipeline(nginx.port, requests) == FIVE_OF_20


FLOOD = [encode(f"/?k={i}") for i in range(12000)]  # more than 32k have room for


@pytest.mark.parametrize("full, refused, newcomer", [
    ("reject", range(SHARED, 12000), [429] * 3),
    ("admit", range(SHARED), [200] * 3),
    ("evict", range(SHARED), [200, 429, 429]),
])
def test_a_full_zone(start_nginx, full, refused, newcomer):
    """A flood of new keys, each seen once, fills a zone of the smallest size.
    A key that has used up its budget before stays refused under each policy:
    keys with less debt are forgotten first."""
    nginx = start_nginx(
        f"weir_limit_zone $arg_k zone=one:32k rate=1r/d full={full};"
        "weir_limit_log_level info;",
        "location / { weir_limit zone=one nodelay; }"
        "location /heavy { weir_limit zone=one burst=4 nodelay; }"
        "access_log off; error_log @dir@/flood.log crit;")
    nginx.write("heavy", "heavy")
    assert statuses(nginx.port, 7, "/heavy?k=abuser") == [200] * 5 + [429] * 2
    assert pipeline(nginx.port, FLOOD).count(429) in refused
    assert statuses(nginx.port, 3, "/heavy?k=abuser") == [429] * 3
    codes = [statuses(nginx.port, 3, f"/?k=new{i}") for i in range(20)]
    if full == "evict":
        assert all(new == newcomer for new in codes)
    else:
        # A word may be free in the two lines of one of these keys.
        assert sum(new == newcomer for new in codes) >= 18
