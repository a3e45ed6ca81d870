"""Dry runs of limits and of country filters, and the words, numbers and log
lines that tell what came of a request.

A verdict is told by headers of the answer, which hold the variables. Rates are
too slow to refill in a test, but where a request has to be delayed.
"""

import pytest

import addresses as a
from client import Connection, encode, get, read_response, statuses
from server import wait_for
from upstreams import http_upstream

HOUR, DAY = 3600, 86400
SLACK = 600  # seconds that a test may take

DB = "weir_geo_db @db@;"
ZONE = "weir_limit_zone $binary_remote_addr zone=one:1m rate=1r/h;"
LIMIT = "weir_limit zone=one burst=4 nodelay;"
TRIAL = "weir_limit zone=one burst=4 nodelay dry_run;"
LOCATION = f"location / {{ {LIMIT} }}"
ALIAS = "alias @dir@/html/index.html;"
DENY = "weir_geo_deny KP;"
DRY = "weir_geo_dry_run on;"
ME = "198.51.100.1"

TELL = ('add_header X-Words "$weir_status,$weir_limit_status,$weir_zone" always;'
        ' add_header X-Numbers "$weir_remaining,$weir_retry_after" always;')

FIVE_OF_7 = [200] * 5 + [429] * 2


@pytest.fixture
def serve(start_nginx, country_db):
    def start(http, server="location / { }", **options):
        return start_nginx(DB + TELL + http, server, words={"db": country_db},
                           **options)
    return start


def words(answer):
    return tuple(answer.header("X-Words").split(","))


def numbers(answer):
    return tuple(int(text) if text else None
                 for text in answer.header("X-Numbers").split(","))


def about(seconds, expected):
    return seconds is not None and expected - SLACK < seconds <= expected


# ---- Every combination of verdicts ----

# What a limit says of a request once /prime has been asked for: it lets it
# pass, delays it by half a second, or rejects it, as a second of these does.
# With a star it is in dry run.
ZONES = "".join(f"weir_limit_zone $binary_remote_addr zone={name}:1m rate={rate};"
                for name, rate in [("pass", "1r/h"), ("delay", "2r/s"),
                                   ("reject", "1r/h"), ("refuse", "1r/h")])
BURSTS = {"pass": "burst=99", "delay": "burst=99", "reject": "", "refuse": ""}
PRIME = ("location = /prime { " + ALIAS + "".join(
    f"weir_limit zone={name} burst=99 nodelay;"
    for name in ("delay", "reject", "refuse")) + " }")


def limits(names):
    return "".join(f"weir_limit zone={name.rstrip('*')} {BURSTS[name.rstrip('*')]}"
                   f"{' dry_run' if name.endswith('*') else ''};"
                   for name in names.split())


# Limits in order; what they come to; whose zone is named.
VERDICTS = [
    ("pass", "PASSED", "pass"),
    ("pass*", "PASSED", "pass"),
    ("reject", "REJECTED", "reject"),
    ("delay", "DELAYED", "delay"),
    ("reject*", "REJECTED_DRY_RUN", "reject"),
    ("delay*", "DELAYED_DRY_RUN", "delay"),
    ("pass reject", "REJECTED", "reject"),
    ("pass delay", "DELAYED", "delay"),
    ("pass reject*", "REJECTED_DRY_RUN", "reject"),
    ("pass delay*", "DELAYED_DRY_RUN", "delay"),
    ("delay reject", "REJECTED", "reject"),
    ("delay* reject", "REJECTED", "reject"),
    ("reject* refuse", "REJECTED", "refuse"),
    ("refuse reject*", "REJECTED", "refuse"),
    ("reject refuse", "REJECTED", "reject"),
    ("refuse reject", "REJECTED", "refuse"),
    ("reject* refuse*", "REJECTED_DRY_RUN", "reject"),
    ("refuse* reject*", "REJECTED_DRY_RUN", "refuse"),
    ("reject* delay", "DELAYED", "delay"),
    ("delay reject*", "DELAYED", "delay"),
    ("delay* reject*", "REJECTED_DRY_RUN", "reject"),
    ("reject* delay*", "REJECTED_DRY_RUN", "reject"),
    ("pass* reject* delay* refuse", "REJECTED", "refuse"),
]


def judge(nginx, address, path="/"):
    """An answer from right after /prime's, on one connection."""
    with Connection(nginx.port) as connection:
        connection.send(encode("/prime", address) + encode(path, address))
        assert read_response(connection.stream).status == 200
        return read_response(connection.stream)


@pytest.mark.parametrize("names, word, zone", VERDICTS)
def test_what_is_enforced_beats_what_is_not_and_refusals_beat_delays(
        serve, names, word, zone):
    nginx = serve(ZONES, f"{PRIME} location / {{ {limits(names)} }}")
    answer = judge(nginx, ME)
    assert answer.status == (429 if word == "REJECTED" else 200)
    assert words(answer) == (word, word, zone)
    assert (answer.header("Retry-After") is not None) == (word == "REJECTED")
    assert (numbers(answer)[1] is not None) == word.startswith("REJECTED")
    lines = nginx.errors("limiting requests|delaying request")
    assert len(lines) == (word != "PASSED")
    if lines:
        assert f'by zone "{zone}", client: {ME}, ' in lines[0]
        assert (", dry run, excess: " in lines[0]) == word.endswith("DRY_RUN")
        assert ("limiting requests" in lines[0]) == word.startswith("REJECTED")


@pytest.mark.parametrize("names, word, zone", VERDICTS)
def test_a_dry_run_of_a_filter_beats_what_no_limit_has_enforced(serve, names, word,
                                                                zone):
    """For a client from a denied country, and for another."""
    nginx = serve(ZONES, f"{PRIME} location / {{ {DENY} {DRY} {limits(names)} }}")
    answer = judge(nginx, a.KP)
    enforced = word in ("REJECTED", "DELAYED")
    assert answer.status == (429 if word == "REJECTED" else 200)
    assert words(answer) == (word if enforced else "GEO_DENIED_DRY_RUN", word, zone)
    assert len(nginx.errors("geo denied, dry run, country: KP, client: ")) == 1
    assert words(judge(nginx, a.KR)) == (word, word, zone)
    assert len(nginx.errors("geo denied")) == 1
    assert len(nginx.errors("limiting requests|delaying request")) == \
        2 * (word != "PASSED")


@pytest.mark.parametrize("names", ["pass", "reject", "delay", "reject*", "delay*"])
def test_a_denial_in_force_beats_all_and_asks_no_limit(serve, names):
    nginx = serve(ZONES, f"{PRIME} location / {{ {DENY} {limits(names)} }}")
    answer = judge(nginx, a.KP)
    assert (answer.status, words(answer)) == (403, ("GEO_DENIED", "", ""))
    assert numbers(answer) == (None, None)
    assert not nginx.errors("limiting requests|delaying request|dry run")


@pytest.mark.parametrize("names", ["", "pass", "reject", "delay", "reject*"])
@pytest.mark.parametrize("deny", [DENY, DENY + DRY])
def test_a_bypass_beats_all(serve, deny, names):
    nginx = serve(ZONES, f"{PRIME} location / {{ {deny} {limits(names)}"
                  " weir_bypass $arg_pass; }")
    answer = judge(nginx, a.KP, "/?pass=1")
    assert (answer.status, words(answer)) == (200, ("BYPASSED", "BYPASSED", ""))
    assert numbers(answer) == (None, None)
    assert not nginx.errors("geo denied|limiting|delaying")


@pytest.mark.parametrize("inside, address, expected", [
    (DENY, a.KR, "PASSED"), (DENY + DRY, a.KR, "PASSED"),
    (DENY + DRY, a.KP, "GEO_DENIED_DRY_RUN"), (DENY, a.KP, "GEO_DENIED"),
    ("weir_geo_allow KR;" + DRY, a.US, "GEO_DENIED_DRY_RUN"),
    ("weir_geo_allow KR;" + DRY, a.KR, "PASSED"), (DRY, a.KP, "")])
def test_a_filter_alone_has_its_words_and_limits_have_none(serve, inside, address,
                                                           expected):
    nginx = serve("", f"location / {{ {inside} }}")
    answer = get(nginx.port, "/", address)
    assert answer.status == (403 if expected == "GEO_DENIED" else 200)
    assert words(answer) == (expected, "", "")
    assert numbers(answer) == (None, None)


# ---- Country filters in dry run ----


@pytest.mark.parametrize("http, server, location, denied", [
    (DRY, "", "", False), ("", DRY, "", False), ("", "", DRY, False),
    (DRY, "weir_geo_dry_run off;", "", True), (DRY, "", "weir_geo_dry_run off;", True),
    ("", "", "", True), ("weir_geo_dry_run off;", DRY, "", False)])
def test_the_innermost_level_counts(serve, http, server, location, denied):
    nginx = serve(DENY + http, f"{server} location / {{ {location} }}")
    answer = get(nginx.port, "/", a.KP)
    assert answer.status == (403 if denied else 200)
    (line,) = nginx.errors("geo denied")
    assert (", dry run, " in line) == (not denied)


COUNTRIES = ("weir_country_limits zone=one"
             " { KP deny; KR rate=1r/h burst=1; default rate=1r/h burst=2; }")


def test_who_an_entry_would_deny_is_limited_by_the_zones_own_rate(serve):
    """Not by default's, and with the limit's burst; others as ever."""
    nginx = serve(ZONE + COUNTRIES, DRY + LOCATION)
    answers = [get(nginx.port, "/", a.KP) for _ in range(7)]
    assert [answer.status for answer in answers] == FIVE_OF_7
    assert [words(answer) for answer in answers] == \
        [("GEO_DENIED_DRY_RUN", "PASSED", "one")] * 5 + \
        [("REJECTED", "REJECTED", "one")] * 2
    assert len(nginx.errors(r"\[warn\] .* geo denied, dry run, country: KP, ")) == 7
    assert len(nginx.errors("limiting requests, excess")) == 2
    assert statuses(nginx.port, 4, "/", a.KR) == [200] * 2 + [429] * 2
    assert statuses(nginx.port, 4, "/", a.US) == [200] * 3 + [429]
    assert len(nginx.errors("geo denied")) == 7


def test_who_an_entry_would_deny_may_have_a_rate_of_its_own(serve):
    nginx = serve(ZONE + COUNTRIES, DRY + "location /"
                  " { weir_limit zone=one burst=4 nodelay rate=$arg_r; }")
    answers = [get(nginx.port, "/?r=off", a.KP) for _ in range(9)]
    assert {(answer.status, words(answer)) for answer in answers} == \
        {(200, ("GEO_DENIED_DRY_RUN", "", ""))}
    answers = [get(nginx.port, "/?r=1r/d", a.KP) for _ in range(7)]
    assert [answer.status for answer in answers] == FIVE_OF_7


def test_who_an_entry_would_deny_is_under_the_blocks_of_other_limits(serve):
    nginx = serve(
        ZONE + ZONE.replace("=one:", "=two:") + COUNTRIES
        + "weir_country_limits zone=two { KP rate=1r/h burst=1; }",
        f"{DRY} location / {{ {LIMIT} weir_limit zone=two burst=9 nodelay; }}")
    answers = [get(nginx.port, "/", a.KP) for _ in range(3)]
    assert [answer.status for answer in answers] == [200, 200, 429]
    assert words(answers[2]) == ("REJECTED", "REJECTED", "two")


def test_a_windows_deny_in_dry_run_is_under_the_zones_own_limit(serve):
    nginx = serve(ZONE.replace("1r/h", "3r/30d algorithm=sliding_window")
                  + "weir_country_limits zone=one { KP deny; default rate=9r/30d; }",
                  f"{DRY} location / {{ weir_limit zone=one; }}")
    assert statuses(nginx.port, 5, "/", a.KP) == [200] * 3 + [429] * 2


@pytest.mark.parametrize("deny", [DENY, ""])
def test_both_dry_runs_together_stop_nothing(serve, deny):
    nginx = serve(ZONE + COUNTRIES, f"{DRY} {deny} weir_limit_dry_run on;" + LOCATION)
    answers = [get(nginx.port, "/", a.KP) for _ in range(7)]
    assert [(answer.status, *words(answer)) for answer in answers] == \
        [(200, "GEO_DENIED_DRY_RUN", "PASSED", "one")] * 5 + \
        [(200, "GEO_DENIED_DRY_RUN", "REJECTED_DRY_RUN", "one")] * 2
    assert len(nginx.errors("geo denied, dry run")) == 7
    assert len(nginx.errors("limiting requests, dry run")) == 2


def test_a_dry_run_of_the_filter_is_none_of_limits(serve):
    nginx = serve(ZONE, DRY + DENY + LOCATION)
    assert statuses(nginx.port, 7, "/", a.KP) == FIVE_OF_7
    assert statuses(nginx.port, 7, "/", a.KR) == FIVE_OF_7


def test_who_would_be_denied_is_charged(serve):
    """As everyone else is: what a dry run lets pass, it counts."""
    nginx = serve(ZONE.replace("$binary_remote_addr", "$host"),
                  DRY + DENY + LOCATION)
    assert statuses(nginx.port, 3, "/", a.KP) == [200] * 3
    assert statuses(nginx.port, 3, "/", a.KR) == [200] * 2 + [429]


def test_backends_get_the_headers_of_who_would_be_denied(serve):
    with http_upstream() as port:
        nginx = serve(DENY + DRY + "weir_geo_headers on;",
                      f"location / {{ proxy_pass http://127.0.0.1:{port}; }}")
        answer = get(nginx.port, "/", a.KP)
    assert "X-Geo-Country: KP" in answer.text
    assert words(answer)[0] == "GEO_DENIED_DRY_RUN"


@pytest.mark.parametrize("way", [
    "error_page 404 = /behind/index.html;", "try_files /none /behind/index.html;"])
@pytest.mark.parametrize("front, behind, status, word, lines", [
    (DENY + DRY, DENY + DRY, 200, "GEO_DENIED_DRY_RUN", 1),
    (DENY + DRY, "", 200, "GEO_DENIED_DRY_RUN", 1),
    (DENY + DRY, DENY, 403, "GEO_DENIED", 2),
    ("", DENY + DRY, 200, "GEO_DENIED_DRY_RUN", 1)])
def test_one_request_is_logged_once_through_its_redirects(
        serve, way, front, behind, status, word, lines):
    """And a denial in force behind one still is."""
    nginx = serve("", f"location /front {{ {front} {way} }}"
                  f"location /behind/ {{ {behind} alias @dir@/html/; }}")
    answer = get(nginx.port, "/front", a.KP)
    assert (answer.status, words(answer)[0]) == (status, word)
    assert len(nginx.errors("geo denied")) == lines


def test_parts_of_a_page_are_not_filtered_in_dry_run_either(serve):
    nginx = serve("", f"location / {{ auth_request /ask; }}"
                  f"location = /ask {{ {DENY} {DRY} {ALIAS} }}")
    answer = get(nginx.port, "/", a.KP)
    assert (answer.status, words(answer)) == (200, ("", "", ""))
    assert not nginx.errors("geo denied")


@pytest.mark.parametrize("level", ["info", "notice", "warn", "error"])
@pytest.mark.parametrize("where", ["http", "server", "location"])
def test_denials_are_logged_at_their_level(serve, level, where):
    """Those of lists and of entries, in force and in dry run."""
    at = {name: f"weir_geo_log_level {level};" if name == where else
          "weir_geo_log_level info;" if where == "location" and name == "http" else ""
          for name in ("http", "server", "location")}
    paths = {"list": DENY, "list-dry": DENY + DRY, "entry": LIMIT,
             "entry-dry": LIMIT + DRY}
    nginx = serve(ZONE + COUNTRIES + at["http"], at["server"] + "".join(
        f"location = /{path} {{ {inside} {at['location']} {ALIAS} }}"
        for path, inside in paths.items()))
    for path in paths:
        assert get(nginx.port, f"/{path}", a.KP).status == \
            (200 if path.endswith("dry") else 403)
    assert len(nginx.errors(rf"\[{level}\] .*: \*\d+ geo denied, country: KP, "
                            f"client: {a.KP}, ")) == 2
    assert len(nginx.errors(rf"\[{level}\] .*: \*\d+ geo denied, dry run, country: "
                            f"KP, client: {a.KP}, ")) == 2
    assert len(nginx.errors("geo denied")) == 4


# ---- Limits in dry run ----


@pytest.mark.parametrize("http, server, location, dry", [
    ("on", "", "", True), ("", "on", "", True), ("", "", "on", True),
    ("on", "off", "", False), ("on", "", "off", False), ("", "", "", False),
    ("off", "on", "", True)])
def test_the_innermost_level_counts_for_limits(serve, http, server, location, dry):
    http, server, location = (word and f"weir_limit_dry_run {word};"
                              for word in (http, server, location))
    nginx = serve(ZONE + http, f"{server} location / {{ {LIMIT} {location} }}")
    assert statuses(nginx.port, 7, "/", ME) == ([200] * 7 if dry else FIVE_OF_7)
    lines = nginx.errors("limiting requests")
    assert [", dry run, excess: " in line for line in lines] == [dry] * 2


def test_a_limits_own_dry_run_is_not_ended_by_its_level(serve):
    nginx = serve(ZONE, f"location / {{ {TRIAL} weir_limit_dry_run off; }}")
    assert statuses(nginx.port, 7, "/", ME) == [200] * 7
    assert len(nginx.errors("limiting requests, dry run")) == 2


@pytest.mark.parametrize("seen, left", [(3, 2), (5, 0), (9, 0)])
def test_a_dry_run_counts_as_in_force(serve, seen, left):
    """What it lets pass beyond the budget, it does not charge."""
    nginx = serve(ZONE, f"location / {{ {TRIAL} }}")
    assert statuses(nginx.port, seen, "/", ME) == [200] * seen
    nginx.reload(DB + TELL + ZONE, LOCATION)
    assert statuses(nginx.port, left + 1, "/", ME) == [200] * left + [429]
    answer = get(nginx.port, "/", ME)
    assert about(int(answer.header("Retry-After")), HOUR)


@pytest.mark.parametrize("level, lower", [("error", "warn"), ("warn", "notice"),
                                          ("notice", "info"), ("info", "info")])
@pytest.mark.parametrize("dry", ["", " dry_run"])
def test_limits_log_at_their_level_and_delays_one_lower(serve, level, lower, dry):
    nginx = serve(ZONE.replace("1r/h", "2r/s"),
                  f"weir_limit_log_level {level}; location / {{"
                  f" weir_limit zone=one burst=1{dry}; }}"
                  f"location = /no {{ weir_limit zone=one{dry}; {ALIAS} }}")
    with Connection(nginx.port) as connection:
        connection.send(b"".join(encode(path, ME) for path in ("/", "/", "/no")))
        codes = [read_response(connection.stream).status for _ in range(3)]
    assert codes == [200, 200, 200 if dry else 429]
    text = ", dry run" if dry else ""
    assert len(nginx.errors(rf"\[{lower}\] .* delaying request{text}, excess")) == 1
    assert len(nginx.errors(rf"\[{level}\] .* limiting requests{text}, excess")) == 1


# ---- Numbers ----


def test_they_tell_what_is_left_and_when_a_refused_request_would_pass(serve):
    nginx = serve(ZONE, LOCATION)
    answers = [get(nginx.port, "/", ME) for _ in range(7)]
    assert [numbers(answer)[0] for answer in answers] == [4, 3, 2, 1, 0, 0, 0]
    assert [numbers(answer)[1] for answer in answers[:5]] == [None] * 5
    for answer in answers[5:]:
        assert about(numbers(answer)[1], HOUR)
        assert answer.header("Retry-After") == str(numbers(answer)[1])


@pytest.mark.parametrize("where", ["limit", "level"])
def test_a_dry_run_has_the_numbers_of_a_refusal_and_no_header(serve, where):
    nginx = serve(ZONE, f"location / {{ {TRIAL if where == 'limit' else LIMIT}"
                  f" {'weir_limit_dry_run on;' if where == 'level' else ''} }}")
    answers = [get(nginx.port, "/", ME) for _ in range(7)]
    assert [numbers(answer)[0] for answer in answers] == [4, 3, 2, 1, 0, 0, 0]
    assert [numbers(answer)[1] is not None for answer in answers] == \
        [False] * 5 + [True] * 2
    assert about(numbers(answers[6])[1], HOUR)
    assert [answer.header("Retry-After") for answer in answers] == [None] * 7


@pytest.mark.parametrize("dry", ["", " dry_run"])
def test_they_go_by_the_cost(serve, dry):
    nginx = serve(ZONE, "location / { weir_limit zone=one burst=4 nodelay"
                  f" cost=$arg_c{dry}; }}")
    for cost, left, wait in [(2, 3, 0), (0, 3, 0), (5, 3, 2), (4, 3, 1), (6, 3, None),
                             (3, 0, 0), (1, 0, 1), (5, 0, 5), (0, 0, 0)]:
        answer = get(nginx.port, f"/?c={cost}", ME)
        remaining, retry_after = numbers(answer)
        assert remaining == left
        if not wait:  # it passes, or never does
            assert retry_after is None
            assert words(answer)[0].startswith("PASS" if wait == 0 else "REJECT")
        else:
            assert about(retry_after, wait * HOUR)


def test_a_window_has_them_too(serve):
    nginx = serve(ZONE.replace("1r/h", "3r/30d algorithm=sliding_window"),
                  "location / { weir_limit zone=one; }")
    answers = [get(nginx.port, "/", ME) for _ in range(5)]
    assert [numbers(answer)[0] for answer in answers] == [2, 1, 0, 0, 0]
    assert [numbers(answer)[1] is None for answer in answers] == \
        [True] * 3 + [False] * 2
    assert 0 < numbers(answers[4])[1] <= 60 * DAY


TWO = ("".join(f"weir_limit_zone $binary_remote_addr zone={name}:1m rate={rate};"
               for name, rate in [("h", "1r/h"), ("d", "1r/d")]))


@pytest.mark.parametrize("lines, zone, wait", [
    ("h,d", "h", DAY), ("d,h", "d", DAY), ("h*,d", "d", DAY), ("h,d*", "h", HOUR),
    ("h*,d*", "h", DAY), ("h burst=4,d*", "d", DAY), ("h burst=4,d", "d", DAY)])
def test_of_several_what_is_left_is_the_named_zones_and_the_wait_the_longest(
        serve, lines, zone, wait):
    text = "".join(f"weir_limit zone={line.rstrip('*')} nodelay"
                   f"{' dry_run' if line.endswith('*') else ''};"
                   for line in lines.split(","))
    nginx = serve(TWO, f"location / {{ {text} }}")
    assert get(nginx.port, "/", ME).status == 200
    answer = get(nginx.port, "/", ME)
    assert words(answer)[2] == zone
    remaining, retry_after = numbers(answer)
    assert remaining == 0
    assert about(retry_after, wait)


def test_a_delayed_request_has_something_left_and_no_time_to_come_again(serve):
    """Its own wait is over when it is answered."""
    nginx = serve(ZONES, f"{PRIME} location / {{ {limits('delay')} }}"
                  f"location = /dry {{ {limits('delay*')} {ALIAS} }}")
    for path in ("/", "/dry"):
        answer = judge(nginx, ME, path)
        assert "DELAYED" in words(answer)[0]
        remaining, retry_after = numbers(answer)
        assert 90 <= remaining <= 99
        assert retry_after is None


def logged(nginx, count):
    """What the access log has of the numbers, when it has so many lines. Those
    of one worker are in the order of the requests."""
    def lines():
        found = nginx.lines("numbers.log")
        return len(found) >= count and found
    return [line.split(",") for line in wait_for(lines, f"{count} log lines")]


def test_what_is_left_is_logged_after_a_late_charge(serve):
    """Not only where the status is known when headers are made."""
    nginx = serve(
        ZONE + "log_format numbers '$status,$weir_status,$weir_remaining,"
        "$weir_retry_after'; access_log @dir@/numbers.log numbers;",
        "location / { weir_limit zone=one burst=4 nodelay count=206,404,499; }",
        workers=1)
    for path, headers in [("/", ()), ("/none", ()), ("/", [("Range", "bytes=0-1")]),
                          ("/", ()), ("/none", ()), ("/none", ()), ("/none", ()),
                          ("/", ())]:
        get(nginx.port, path, ME, headers)
    found = logged(nginx, 8)
    assert [line[:3] for line in found] == [
        ["200", "PASSED", "5"], ["404", "PASSED", "4"], ["206", "PASSED", "3"],
        ["200", "PASSED", "3"], ["404", "PASSED", "2"], ["404", "PASSED", "1"],
        ["404", "PASSED", "0"], ["429", "REJECTED", "0"]]
    assert [line[3] for line in found[:7]] == ["-"] * 7
    assert about(int(found[7][3]), HOUR)


@pytest.mark.parametrize("at_once, late, expected", [
    (4, 2, [("d", 2), ("d", 1), ("d", 0), ("d", 0)]),
    (2, 9, [("h", 2), ("h", 1), ("h", 0), ("h", 0)])])
def test_a_late_charge_changes_the_number_of_its_own_zone_alone(serve, at_once,
                                                                late, expected):
    """Of two, that one is named which is nearer to its bound."""
    nginx = serve(
        TWO + "log_format numbers '$weir_zone,$weir_remaining';"
        " access_log @dir@/numbers.log numbers;",
        f"location / {{ weir_limit zone=h burst={at_once} nodelay;"
        f" weir_limit zone=d burst={late} nodelay count=404; }}", workers=1)
    assert statuses(nginx.port, 4, "/none", ME) == [404] * 3 + [429]
    assert [(zone, int(left)) for zone, left in logged(nginx, 4)] == expected


@pytest.mark.parametrize("inside, address, status", [
    ("weir_limit off;", a.KR, 200), (DENY + LIMIT, a.KP, 403),
    (DENY + DRY, a.KP, 200), (f"{LIMIT} weir_bypass $host;", a.KR, 200),
    ("weir_limit zone=key;", a.KR, 200), ("weir_limit zone=one rate=$off;", a.KR, 200)])
def test_where_no_limit_was_asked_there_are_none(serve, inside, address, status):
    nginx = serve(ZONE + ZONE.replace("=one:", "=key:").replace(
        "$binary_remote_addr", "$arg_k"), "set $off off;"
        f"location / {{ {inside} }}")
    for _ in range(3):
        answer = get(nginx.port, "/", address)
        assert answer.status == status
        assert numbers(answer) == (None, None)
        assert words(answer)[2] == ""


def test_who_is_denied_by_the_page_of_a_refusal_is_told_no_time(serve):
    """No Retry-After is sent, and the variable says what it says."""
    nginx = serve(ZONE, f"error_page 429 /sorry; {LOCATION}"
                  f"location = /sorry {{ {DENY} {ALIAS} }}")
    assert statuses(nginx.port, 5, "/", a.KP) == [200] * 5
    answer = get(nginx.port, "/", a.KP)
    assert (answer.status, words(answer)[0]) == (403, "GEO_DENIED")
    assert answer.header("Retry-After") is None
    assert numbers(answer)[1] is None
