"""weir_limit_headers: what answers tell clients of their budgets.

Rates are a request an hour or slower, and a test may take minutes: of a time
it expects what it is from rest, and some less.
"""

import concurrent.futures
import re
import threading
from typing import NamedTuple

import pytest

import addresses as a
import http2
from client import (Closed, Connection, encode, get, pipeline, raw,
                    read_response, statuses)
from upstreams import fastcgi_upstream, http_upstream

HOUR, DAY = 3600, 86400
SLACK = 600  # seconds that a test may take

IETF = {"ratelimit-policy", "ratelimit"}
LEGACY = {"x-ratelimit-limit", "x-ratelimit-remaining", "x-ratelimit-reset"}

ZONE = "weir_limit_zone $binary_remote_addr zone=one:1m rate=1r/h;"
LIMIT = "weir_limit zone=one burst=4 nodelay;"
BOTH = "weir_limit_headers both;"
LOCATION = f"location / {{ {LIMIT} }}"
ALIAS = "alias @dir@/html/index.html;"
ME = "198.51.100.1"


class Policy(NamedTuple):
    name: str
    q: int
    w: int


class State(NamedTuple):
    name: str
    r: int
    t: int


def fields(answer):
    """Our headers in an answer, by their names in small letters; of each there
    is at most one."""
    found = [(k.lower(), v) for k, v in answer.headers
             if k.lower() in IETF | LEGACY]
    assert len(dict(found)) == len(found)
    return dict(found)


STRING = r'"((?:[ !#-\[\]-~]|\\["\\])*)"'


def told(answer):
    """What an answer says: policies and state, which are strict in form; and
    the legacy headers, if they are there, say the same."""
    found = fields(answer)
    policies = [
        Policy(match[1], int(match[2]), int(match[3])) for match in
        [re.fullmatch(rf"{STRING};q=([1-9]\d*);w=([1-9]\d*)", item)
         for item in found["ratelimit-policy"].split(", ")]]
    match = re.fullmatch(rf"{STRING};r=(0|[1-9]\d*);t=(0|[1-9]\d*)",
                         found["ratelimit"])
    state = State(match[1], int(match[2]), int(match[3]))
    assert state.name == policies[0].name
    assert state.r <= policies[0].q
    if found.keys() & LEGACY:
        assert [found[name] for name in sorted(LEGACY)] == \
            [str(policies[0].q), str(state.r), str(state.t)]
    return policies, state


def about(seconds, expected):
    """A second more is rounding: what was charged in this very moment."""
    return expected - SLACK < seconds <= expected + 1


# ---- Modes ----

NAMES = {"off": set(), "ietf": IETF, "legacy": LEGACY, "both": IETF | LEGACY}


@pytest.mark.parametrize("mode", NAMES)
def test_each_mode_sets_its_headers_on_all_judged_requests(start_nginx, mode):
    nginx = start_nginx(ZONE, f"weir_limit_headers {mode};" + LOCATION)
    answers = [get(nginx.port, "/", ME) for _ in range(7)]
    assert [answer.status for answer in answers] == [200] * 5 + [429] * 2
    for answer in answers:
        assert fields(answer).keys() == NAMES[mode]


def test_they_are_off_by_default(start_nginx):
    nginx = start_nginx(ZONE, LOCATION)
    assert [fields(get(nginx.port, "/", ME)) for _ in range(7)] == [{}] * 7


def test_the_headers_are_spelled_as_the_draft_and_custom_have_it(start_nginx):
    nginx = start_nginx(ZONE, BOTH + LOCATION)
    answer = raw(nginx.port, encode("/", ME, close=True), wait=True).decode()
    assert re.search(
        '\r\nRateLimit-Policy: "one";q=5;w=18000\r\n'
        'RateLimit: "one";r=4;t=3[0-9]{3}\r\n'
        'X-RateLimit-Limit: 5\r\nX-RateLimit-Remaining: 4\r\n'
        'X-RateLimit-Reset: 3[0-9]{3}\r\n', answer)


# ---- Values ----


@pytest.mark.parametrize("workers, listen", [(1, ""), (2, ""), (4, "reuseport")])
def test_what_is_left_counts_down_to_none(start_nginx, workers, listen):
    """And the time until all is there again grows by one token's each."""
    nginx = start_nginx(ZONE, BOTH + LOCATION, workers=workers, listen=listen)
    for r in (4, 3, 2, 1, 0, 0, 0):
        policies, state = told(get(nginx.port, "/", ME))
        assert policies == [Policy("one", 5, 5 * HOUR)]
        assert (state.name, state.r) == ("one", r)
        assert about(state.t, (5 - r) * HOUR)


def test_each_client_is_told_of_its_own_budget(start_nginx):
    nginx = start_nginx(ZONE, BOTH + LOCATION)
    seen = [told(get(nginx.port, "/", address))[1].r
            for address in (ME, ME, a.KR, ME, a.DE6, "2a01:4f8::2", a.KR)]
    assert seen == [4, 3, 4, 2, 4, 3, 3]


def test_each_answer_of_a_connection_tells_its_own(start_nginx):
    nginx = start_nginx(ZONE, BOTH + LOCATION)
    with Connection(nginx.port) as connection:
        connection.send(b"".join(encode("/", address)
                                 for address in [ME] * 6 + [a.KR, ME]))
        answers = [read_response(connection.stream) for _ in range(8)]
    assert [told(answer)[1].r for answer in answers] == [4, 3, 2, 1, 0, 0, 4, 0]


@pytest.mark.parametrize("rate, words, q, w", [
    ("100r/m", "burst=99", 100, 60), ("10r/s", "burst=99", 100, 10),
    ("10r/s", "burst=20 nodelay", 21, 3), ("10r/s", "", 1, 1),
    ("10r/5s", "", 1, 1), ("10r/5s", "burst=9", 10, 5), ("5r/h", "", 1, 720),
    ("7r/h", "", 1, 515), ("1000r/d", "burst=999", 1000, DAY),
    ("3r/s", "burst=9 delay=3", 10, 4), ("1r/30d", "", 1, 30 * DAY),
    ("1r/d", "burst=6", 7, 7 * DAY), ("1000000r/s", "", 1, 1),
    ("1000000r/s", "burst=100000000", 100000001, 101),
])
def test_the_policy_is_the_bucket_and_the_time_to_fill_it(start_nginx, rate,
                                                          words, q, w):
    nginx = start_nginx(ZONE.replace("1r/h", rate),
                        f"{BOTH} location / {{ weir_limit zone=one {words}; }}")
    policies, state = told(get(nginx.port, "/", ME))
    assert policies == [Policy("one", q, w)]
    assert state.r in (q - 1, q)
    assert 0 <= state.t <= max(w // q + 1, 1)


@pytest.mark.parametrize("rate, q, w", [
    ("100r/m", 100, 60), ("3r/30d", 3, 30 * DAY), ("1r/s", 1, 1),
    ("10r/5s", 10, 5), ("5000r/h", 5000, HOUR), ("7r/2d", 7, 2 * DAY)])
def test_the_policy_of_a_window_is_its_limit_and_its_period(start_nginx, rate, q,
                                                            w):
    nginx = start_nginx(ZONE.replace("1r/h", f"{rate} algorithm=sliding_window"),
                        f"{BOTH} location / {{ weir_limit zone=one; }}")
    policies, state = told(get(nginx.port, "/", ME))
    assert policies == [Policy("one", q, w)]
    assert state.t <= w + 1


def test_a_window_counts_down_and_is_full_within_two_of_them(start_nginx):
    """One count has faded at the beginning of the next window, and three when
    two thirds of that are over."""
    nginx = start_nginx(
        ZONE.replace("1r/h", "3r/30d algorithm=sliding_window"),
        f"{BOTH} location / {{ weir_limit zone=one; }}")
    seen = [told(get(nginx.port, "/", ME))[1] for _ in range(5)]
    assert [state.r for state in seen] == [2, 1, 0, 0, 0]
    assert 0 < seen[0].t <= 30 * DAY
    for state, parts in zip(seen[1:], (15, 20, 20, 20)):
        assert about(state.t, seen[0].t + parts * DAY)


@pytest.mark.parametrize("costs, left", [
    ([1, 3, 0, 1], [4, 1, 1, 0]), ([5, 0, 1], [0, 0, 0]),
    ([2, 4, 3], [3, 3, 0]), ([6, 1], [5, 4]), ([0, 0], [5, 5])])
def test_a_cost_is_taken_off_or_not_at_all(start_nginx, costs, left):
    """A request that is refused leaves what is there, also to be told."""
    nginx = start_nginx(
        ZONE, BOTH + "location /"
        " { weir_limit zone=one burst=4 nodelay cost=$arg_c; }")
    for cost, r in zip(costs, left):
        _, state = told(get(nginx.port, f"/?c={cost}", ME))
        assert state.r == r
        assert about(state.t, (5 - r) * HOUR) if r < 5 else state.t == 0


COUNTRIES = ("weir_geo_db @db@; weir_country_limits zone=one {"
             " KR rate=2r/h burst=9; DE rate=1r/d; JP off; KP deny; }")


@pytest.mark.parametrize("path, address, q, w, t", [
    ("/", a.US, 5, 5 * HOUR, HOUR), ("/", a.KR, 10, 5 * HOUR, HOUR // 2),
    ("/", a.DE, 5, 5 * DAY, DAY), ("/?r=1r/m", a.US, 5, 300, 60),
    ("/?r=1r/12h", a.KR, 5, 60 * HOUR, 12 * HOUR), ("/?r=4r/h", a.JP, 5, 4500, 900),
    ("/?r=bad", a.KR, 5, 5 * HOUR, HOUR), ("/?r=", a.KR, 10, 5 * HOUR, HOUR // 2)])
def test_the_quota_is_the_one_that_the_request_was_judged_by(
        start_nginx, country_db, path, address, q, w, t):
    """The country's, or what came with the request."""
    nginx = start_nginx(
        ZONE + COUNTRIES, BOTH + "location /"
        " { weir_limit zone=one burst=4 nodelay rate=$arg_r; }",
        words={"db": country_db})
    policies, state = told(get(nginx.port, path, address))
    assert policies == [Policy("one", q, w)]
    assert state.r == q - 1
    assert about(state.t, t)


def test_who_owes_more_than_the_quota_is_told_how_long(start_nginx, country_db):
    """Four tokens of an hour each, charged to a key at a larger quota."""
    nginx = start_nginx(
        ZONE.replace("$binary_remote_addr", "$arg_k") + "weir_geo_db @db@;"
        "weir_country_limits zone=one { KR rate=1r/h burst=3;"
        " DE rate=1r/h burst=1; }", BOTH + LOCATION, words={"db": country_db})
    assert statuses(nginx.port, 4, "/?k=x", a.KR) == [200] * 4
    answer = get(nginx.port, "/?k=x", a.DE)
    policies, state = told(answer)
    assert (answer.status, policies) == (429, [Policy("one", 2, 2 * HOUR)])
    assert state.r == 0
    assert about(state.t, 4 * HOUR)
    assert about(int(answer.header("Retry-After")), 3 * HOUR)


def test_they_tell_how_it_stands_when_the_answer_comes(start_nginx):
    """While an upstream works on it, others of the same client are served."""
    served = []

    def reply(request):
        if request.path == "/slow":
            served.extend(statuses(nginx.port, 3, "/", ME))
        return 200, []

    with http_upstream(reply) as port:
        nginx = start_nginx(
            ZONE, BOTH + f"location / {{ {LIMIT}"
            " proxy_pass http://127.0.0.1:@upstream@; }", words={"upstream": port})
        _, state = told(get(nginx.port, "/slow", ME))
    assert served == [200] * 3
    assert state.r == 1
    assert about(state.t, 4 * HOUR)


@pytest.mark.parametrize("words", ["burst=9", "burst=9 delay=1"])
def test_a_delayed_request_tells_of_its_budget_when_it_goes_on(start_nginx, words):
    nginx = start_nginx(ZONE.replace("1r/h", "1r/s"),
                        BOTH + f"location / {{ weir_limit zone=one {words}; }}")
    with Connection(nginx.port) as connection:
        connection.send(encode("/", ME) * 3)
        answers = [read_response(connection.stream) for _ in range(3)]
    for answer in answers:
        policies, state = told(answer)
        assert policies == [Policy("one", 10, 10)]
        assert state.r >= 7
        assert state.t <= 3
    assert nginx.errors("delaying request")


# ---- Whose answer ----


@pytest.fixture
def upstream():
    """Its status is what the path says, if anything."""
    def reply(request):
        status = int((re.findall(r"\d\d\d", request.path) or ["200"])[0])
        more = {302: [("Location", "/x")], 401: [("WWW-Authenticate", "Basic")]}
        if "inside" in request.path:
            more[status] = [("X-Accel-Redirect", "/index.html")]
        return status, more.get(status, [])

    with http_upstream(reply) as port:
        yield port


SITE = """
location / { }
location = /gone { return 410; error_page 410 /index.html; }
location = /as-200 { return 410; error_page 410 =200 /index.html; }
location = /ssi { ssi on; ssi_types *; }
location = /gzip { gzip on; gzip_types *; gzip_min_length 1; alias @dir@/html/ssi; }
location = /login { auth_basic x; auth_basic_user_file @dir@/none; }
location = /denied { deny all; }
location = /limited { limit_except GET { deny all; } }
location = /try { try_files /none @named; }
location @named { rewrite ^ /index.html break; }
location /up/ { proxy_pass http://127.0.0.1:@upstream@; }
location /kept/ { proxy_pass http://127.0.0.1:@upstream@;
    proxy_cache cache; proxy_cache_valid any 1h; }
location /down { proxy_pass http://127.0.0.1:@port9@; }
location /page { proxy_pass http://127.0.0.1:@upstream@; proxy_intercept_errors on;
    error_page 503 /index.html; }
location /cgi { fastcgi_pass 127.0.0.1:@fastcgi@; fastcgi_param REQUEST_URI $uri; }
"""
ANSWERS = [
    ("a file", "/index.html", 200, {}),
    ("an index", "/", 200, {}),
    ("HEAD", "/index.html", 200, {"method": "HEAD"}),
    ("POST", "/index.html", 405, {"method": "POST", "body": b"x"}),
    ("not found", "/none", 404, {}),
    ("a folder", "/folder", 301, {}),
    ("no index", "/folder/", 403, {}),
    ("not modified", "/index.html", 304, {"headers": [("If-None-Match", "*")]}),
    ("a range", "/index.html", 206, {"headers": [("Range", "bytes=1-2")]}),
    ("no range", "/index.html", 416, {"headers": [("Range", "bytes=99-")]}),
    ("no match", "/index.html", 412, {"headers": [("If-Match", '"x"')]}),
    ("an error page", "/gone", 410, {}),
    ("an error page as 200", "/as-200", 200, {}),
    ("a page with parts", "/ssi", 200, {}),
    ("gzip", "/gzip", 200, {"headers": [("Accept-Encoding", "gzip")]}),
    ("a login", "/login", 401, {}),
    ("denied", "/denied", 403, {}),
    ("another method", "/limited", 403, {"method": "DELETE"}),
    ("a named location", "/try", 200, {}),
    ("an upstream", "/up/", 200, {}),
    ("an upstream, HEAD", "/up/", 200, {"method": "HEAD"}),
    ("an upstream, POST", "/up/", 200, {"method": "POST", "body": b"x" * 5000}),
    ("an upstream's 204", "/up/204", 204, {}),
    ("an upstream's 302", "/up/302", 302, {}),
    ("an upstream's 401", "/up/401", 401, {}),
    ("an upstream's 500", "/up/500", 500, {}),
    ("an upstream's 429", "/up/429", 429, {}),
    ("an upstream sends inside", "/up/inside", 200, {}),
    ("a miss", "/kept/", 200, {}),
    ("a hit", "/kept/", 200, {}),
    ("a hit of 404", "/kept/404", 404, {}),
    ("no upstream", "/down", 502, {}),
    ("a page for an upstream", "/page/503", 503, {}),
    ("FastCGI", "/cgi", 200, {}),
]
assert len({name for name, *_ in ANSWERS}) == len(ANSWERS)


@pytest.fixture
def serve_site(start_nginx, upstream):
    """The site, under one budget of 1000 for each client."""
    with fastcgi_upstream() as fastcgi:
        def start(http="", inside=BOTH):
            nginx = start_nginx(
                "proxy_cache_path @dir@/cache keys_zone=cache:1m;"
                + ZONE.replace("1r/h", "1000r/30d") + http,
                "weir_limit zone=one burst=999 nodelay;"
                f"listen 127.0.0.1:@port2@ {http2.listen()};{inside}{SITE}",
                words={"upstream": upstream, "fastcgi": fastcgi})
            nginx.write("ssi", '<!--#include virtual="/index.html" -->.')
            nginx.write("folder/x", "x")
            return nginx
        yield start


def test_whoever_makes_the_answer_it_tells_of_the_budget(serve_site):
    nginx = serve_site()
    for number, (name, path, status, options) in enumerate(ANSWERS):
        answer = get(nginx.port, path, ME, **options)
        assert answer.status == status, name
        policies, state = told(answer)
        assert policies == [Policy("one", 1000, 30 * DAY)], name
        assert state.r == 999 - number, name
        assert fields(answer).keys() == IETF | LEGACY, name


def test_over_http2_too(serve_site):
    nginx = serve_site()
    with http2.Connection(nginx.port_of("port2")) as connection:
        for number, (name, path, status, options) in enumerate(ANSWERS):
            answer = connection.request(path, ME, **options)
            assert answer.status == status, name
            policies, state = told(answer)
            assert (policies[0].q, state.r) == (1000, 999 - number), name


def test_in_http_10_too_and_not_in_09(serve_site):
    nginx = serve_site()
    answer = raw(nginx.port, b"GET / HTTP/1.0\r\n\r\n", wait=True)
    assert b'\r\nRateLimit: "one";r=999;t=' in answer
    assert raw(nginx.port, b"GET /\r\n", wait=True) == b"index\n"


def test_what_is_answered_before_limits_are_asked_tells_nothing(start_nginx):
    """nginx's return is: such an answer is limited by nobody."""
    nginx = start_nginx(ZONE, f"{BOTH} {LIMIT} location / {{ return 200 x; }}"
                        "location = /moved { return 301 /x; }")
    assert [fields(get(nginx.port, "/", ME)) for _ in range(9)] == [{}] * 9
    assert fields(get(nginx.port, "/moved", ME)) == {}


@pytest.mark.parametrize("request_line", [
    b"GET / HTTP/1.1\r\n\r\n", b"\x16\x03\x01\r\n\r\n", b"GET / HTTP/9.9\r\n\r\n",
    b"GET /" + b"x" * 9000 + b" HTTP/1.1\r\nHost: x\r\n\r\n",
], ids=["no host", "TLS", "another version", "too long"])
def test_what_no_limit_has_judged_tells_nothing(serve_site, request_line):
    nginx = serve_site()
    answer = raw(nginx.port, request_line, wait=True)
    assert b"HTTP/1.1 " in answer
    assert b"ratelimit" not in answer.lower()


PAGES = {
    "nginx's own": ("", 429),
    "a file": ("error_page 429 /sorry;", 429),
    "a file, as 200": ("error_page 429 =200 /sorry;", 200),
    "a redirect": ("error_page 429 =302 https://example.com/;", 302),
    "a named location": ("error_page 429 @sorry;", 429),
    "an upstream": ("error_page 429 @upstream;", 429),
    "an upstream's status": ("error_page 429 = @upstream;", 200),
    "a return": ("error_page 429 = @return;", 418),
    "another budget's": ("error_page 429 = /other;", 200),
    "not found": ("error_page 429 = /gone;", 404),
}


@pytest.mark.parametrize("mode", ["both", "ietf", "legacy", "off"])
@pytest.mark.parametrize("page", PAGES)
def test_whoever_writes_a_refusals_page_it_tells_of_the_budget(
        start_nginx, upstream, page, mode):
    """As the location wants that has judged it, not the page's."""
    error_page, status = PAGES[page]
    others = "".join(
        f"location {name} {{ weir_limit_headers {other}; {inside} }}"
        for name, inside in [
            ("= /sorry", ALIAS), ("@sorry", "rewrite ^ /index.html break;"),
            ("@return", "return 418 later;"),
            ("@upstream", "proxy_pass http://127.0.0.1:@upstream@;"),
            ("= /other", "weir_limit zone=two burst=9;" + ALIAS)]
        for other in ["both" if mode == "off" else "off"])
    nginx = start_nginx(
        ZONE + ZONE.replace("=one:", "=two:"),
        f"{error_page} location / {{ {LIMIT} weir_limit_headers {mode}; }}" + others,
        words={"upstream": upstream})
    assert statuses(nginx.port, 5, "/", ME) == [200] * 5
    answer = get(nginx.port, "/", ME)
    assert answer.status == status
    assert fields(answer).keys() == NAMES[mode]
    if mode == "both":
        policies, state = told(answer)
        assert (policies, state.r) == ([Policy("one", 5, 5 * HOUR)], 0)
        assert about(state.t, 5 * HOUR)
    assert about(int(answer.header("Retry-After")), HOUR)


def test_444_has_no_answer_to_tell_anything_in(start_nginx):
    nginx = start_nginx(ZONE, f"{BOTH} weir_limit_status 444;" + LOCATION)
    assert statuses(nginx.port, 5, "/", ME) == [200] * 5
    with pytest.raises(Closed):
        get(nginx.port, "/", ME)


# ---- Several limits ----

ZONES = "".join(f"weir_limit_zone $binary_remote_addr zone={name}:1m rate={rate};"
                for name, rate in [("h", "1r/h"), ("d", "1r/d"), ("w", "1r/7d")])


def several(*limits):
    lines = "".join(f"weir_limit zone={words};" for words in limits)
    return f"{BOTH} location / {{ {lines} }}"


@pytest.mark.parametrize("limits, order, r, t", [
    (["h burst=9", "d burst=4", "w burst=1"], "w h d", 1, 7 * DAY),
    (["w burst=9", "d burst=4", "h burst=1"], "h w d", 1, HOUR),
    (["h burst=4", "d burst=2", "w burst=9"], "d h w", 2, DAY),
    (["h burst=4", "d burst=4", "w burst=4"], "w h d", 4, 7 * DAY),
    (["w burst=4", "h burst=4", "d burst=4"], "w h d", 4, 7 * DAY),
    (["h burst=4", "w burst=5", "d burst=4"], "d h w", 4, DAY),
    (["h", "d", "w"], "w h d", 0, 7 * DAY),
])
def test_all_policies_are_told_and_the_state_of_the_tightest(start_nginx, limits,
                                                             order, r, t):
    """The one with the fewest tokens left, and of equals the one that takes
    longest to be full. It comes first, and the others as they are written."""
    nginx = start_nginx(ZONES, several(*(f"{words} nodelay" for words in limits)))
    policies, state = told(get(nginx.port, "/", ME))
    assert [policy.name for policy in policies] == order.split()
    assert (state.name, state.r) == (order.split()[0], r)
    # What is counted for weeks is counted in coarser steps, rounded up.
    assert about(state.t, t) or state.t == t + 1
    bursts = {words.split(" ")[0]: int(words.partition("=")[2] or 0)
              for words in limits}
    seconds = {"h": HOUR, "d": DAY, "w": 7 * DAY}
    for name, q, w in policies:
        assert (q, w) == (bursts[name] + 1, (bursts[name] + 1) * seconds[name])


def test_which_is_the_tightest_changes_with_what_is_left(start_nginx):
    nginx = start_nginx(ZONES, several("h burst=4 nodelay cost=$arg_h",
                                       "d burst=4 nodelay cost=$arg_d"))
    seen = [told(get(nginx.port, path, ME))[1] for path in (
        "/?h=1&d=0", "/?h=0&d=1", "/?h=0&d=1", "/?h=3&d=0", "/?h=1&d=3",
        "/?h=0&d=3", "/?h=1&d=0")]
    assert [(state.name, state.r) for state in seen] == [
        ("h", 4), ("d", 4), ("d", 3), ("h", 1), ("d", 0), ("d", 0), ("d", 0)]


def test_a_refusal_tells_of_the_tightest_which_has_refused(start_nginx):
    """And the other keeps what it did not charge."""
    nginx = start_nginx(ZONES, several("d burst=9 nodelay", "h burst=1 nodelay"))
    answers = [get(nginx.port, "/", ME) for _ in range(4)]
    assert [answer.status for answer in answers] == [200, 200, 429, 429]
    for answer in answers[2:]:
        policies, state = told(answer)
        assert policies == [Policy("h", 2, 2 * HOUR), Policy("d", 10, 10 * DAY)]
        assert state.r == 0
        assert about(state.t, 2 * HOUR)


def test_one_zone_may_be_told_of_twice(start_nginx):
    """With two quotas: each is a policy of that name."""
    nginx = start_nginx(
        ZONES, BOTH + "location / { weir_limit zone=h burst=4 nodelay;"
        " weir_limit zone=d burst=1 nodelay rate=$arg_r; }"
        f"location = /h {{ weir_limit zone=h burst=1 nodelay; {ALIAS} }}")
    assert told(get(nginx.port, "/?r=1r/h", ME))[0] == [
        Policy("d", 2, 2 * HOUR), Policy("h", 5, 5 * HOUR)]
    policies, state = told(get(nginx.port, "/h", ME))
    assert (policies, state.r) == ([Policy("h", 2, 2 * HOUR)], 0)


def test_a_window_and_a_bucket_are_told_of_together(start_nginx):
    nginx = start_nginx(
        ZONES + ZONE.replace("1r/h", "3r/30d algorithm=sliding_window"),
        several("h burst=2 nodelay cost=$arg_h", "one"))
    policies, state = told(get(nginx.port, "/?h=1", ME))
    assert policies in ([Policy("one", 3, 30 * DAY), Policy("h", 3, 3 * HOUR)],
                        [Policy("h", 3, 3 * HOUR), Policy("one", 3, 30 * DAY)])
    assert state.r == 2
    policies, state = told(get(nginx.port, "/?h=2", ME))
    assert policies == [Policy("h", 3, 3 * HOUR), Policy("one", 3, 30 * DAY)]
    assert state.r == 0


# ---- What is left out ----


def test_a_limit_in_dry_run_is_left_out(start_nginx):
    nginx = start_nginx(ZONES, several("w dry_run", "h burst=4 nodelay", "d dry_run"))
    for r in (4, 3, 2):
        policies, state = told(get(nginx.port, "/", ME))
        assert policies == [Policy("h", 5, 5 * HOUR)]
        assert (state.name, state.r) == ("h", r)


OWN = {"RateLimit-Policy": '"theirs";q=7;w=3', "RateLimit": '"theirs";r=1;t=2',
       "X-RateLimit-Limit": "70", "X-RateLimit-Remaining": "10",
       "X-RateLimit-Reset": "1600000000"}
SMALL = {name.lower(): value for name, value in OWN.items()}


@pytest.fixture
def opinion():
    """An upstream that tells of budgets itself."""
    with http_upstream(lambda request: (200, list(OWN.items()))) as port:
        yield port


@pytest.mark.parametrize("mode", NAMES)
def test_an_upstreams_own_are_replaced_where_ours_are_set(start_nginx, opinion,
                                                          mode):
    nginx = start_nginx(
        ZONE, f"weir_limit_headers {mode}; location / {{ {LIMIT}"
        " proxy_pass http://127.0.0.1:@upstream@; }", words={"upstream": opinion})
    found = fields(get(nginx.port, "/", ME))
    assert found.keys() == IETF | LEGACY
    theirs = {name for name, value in found.items() if value == SMALL[name]}
    assert theirs == (IETF | LEGACY) - NAMES[mode]


def test_an_upstreams_own_are_replaced_in_any_spelling_and_number(start_nginx):
    more = [(spell(name), value) for name, value in OWN.items()
            for spell in (str.lower, str.upper, str)]
    kept = [("X-Rate-Limit-Limit", "1"), ("RateLimit-Limit", "2"),
            ("RateLimit-Reset", "3"), ("X-RateLimit-Policy", "4")]
    with http_upstream(lambda request: (200, more + kept)) as port:
        nginx = start_nginx(
            ZONE, BOTH + f"location / {{ {LIMIT}"
            " proxy_pass http://127.0.0.1:@upstream@; }", words={"upstream": port})
        answer = get(nginx.port, "/", ME)
    assert told(answer)[1].r == 4
    assert [item for item in answer.headers if item in kept] == kept


SILENT = {
    "bypassed": f"location / {{ {LIMIT} weir_bypass $host; @pass@ }}",
    "an empty key": "location / { weir_limit zone=key; @pass@ }",
    "a rate of off": "location / { weir_limit zone=one rate=$off; @pass@ }",
    "a country of off": "location / { weir_limit zone=country; @pass@ }",
    "no limit": f"{LIMIT} location / {{ weir_limit off; @pass@ }}",
    "a dry run": f"weir_limit_dry_run on; location / {{ {LIMIT} @pass@ }}",
    "a limit's dry run":
        "location / { weir_limit zone=one burst=4 dry_run; @pass@ }",
    "a filter alone": "location / { weir_geo_deny KP; @pass@ }",
    "a limit on a part":
        "location / { auth_request /ask; @pass@ }"
        f"location = /ask {{ {LIMIT} {ALIAS} }}",
}


@pytest.mark.parametrize("case", SILENT)
def test_where_no_limit_is_in_force_an_upstreams_own_stay(start_nginx, country_db,
                                                          opinion, case):
    nginx = start_nginx(
        ZONE + ZONE.replace("=one:", "=country:") + "weir_geo_db @db@;"
        + "weir_country_limits zone=country { KR off; }"
        + ZONE.replace("=one:", "=key:").replace("$binary_remote_addr", "$arg_k"),
        BOTH + "set $off off;" + SILENT[case].replace(
            "@pass@", "proxy_pass http://127.0.0.1:@upstream@;"),
        words={"upstream": opinion, "db": country_db})
    for _ in range(3):
        answer = get(nginx.port, "/", a.KR)
        assert answer.status == 200
        assert fields(answer) == SMALL


@pytest.mark.parametrize("case", SILENT)
def test_where_no_limit_is_in_force_none_are_set(start_nginx, country_db, case):
    nginx = start_nginx(
        ZONE + ZONE.replace("=one:", "=country:") + "weir_geo_db @db@;"
        + "weir_country_limits zone=country { KR off; }"
        + ZONE.replace("=one:", "=key:").replace("$binary_remote_addr", "$arg_k"),
        BOTH + "set $off off;" + SILENT[case].replace("@pass@", ""),
        words={"db": country_db})
    for path, status in (("/", 200), ("/none", 404), ("/", 200)):
        answer = get(nginx.port, path, a.KR)
        assert (answer.status, fields(answer)) == (status, {})


@pytest.mark.parametrize("deny", ["weir_geo_deny KP;", "",
                                  "weir_geo_deny KP; error_page 403 /index.html;"])
def test_a_denied_request_is_told_nothing(start_nginx, country_db, deny):
    nginx = start_nginx(ZONE + COUNTRIES, f"{BOTH} {LIMIT} {deny}",
                        words={"db": country_db})
    answer = get(nginx.port, "/", a.KP)
    assert (answer.status, fields(answer)) == (403, {})


def test_who_is_denied_after_being_refused_is_told_nothing(start_nginx, country_db):
    nginx = start_nginx(
        ZONE + "weir_geo_db @db@;", f"error_page 429 /sorry; {BOTH} {LOCATION}"
        f"location = /sorry {{ weir_geo_deny KP; {ALIAS} }}",
        words={"db": country_db})
    assert statuses(nginx.port, 5, "/", a.KP) == [200] * 5
    answer = get(nginx.port, "/", a.KP)
    assert (answer.status, fields(answer)) == (403, {})


# ---- Limits that are charged by the status ----


def counting(codes):
    return (BOTH + f"location / {{ weir_limit zone=one burst=4 nodelay count={codes};"
            " error_page 418 =401 /index.html; error_page 419 =403 /index.html;"
            " if ($arg_s = 401) { return 418; } if ($arg_s = 403) { return 419; } }")


def test_a_charge_by_status_is_taken_off_what_its_answer_tells(start_nginx):
    nginx = start_nginx(ZONE, counting("401,404"))
    seen = []
    for path in ("/", "/?s=401", "/", "/none", "/?s=403", "/", "/none", "/?s=401",
                 "/none", "/none", "/"):
        answer = get(nginx.port, path, ME)
        seen.append((answer.status, told(answer)[1].r))
    assert seen == [(200, 5), (401, 4), (200, 4), (404, 3), (403, 3), (200, 3),
                    (404, 2), (401, 1), (404, 0), (429, 0), (429, 0)]


@pytest.mark.parametrize("codes, charged", [
    ("200", [4, 3, 2]), ("401,200", [4, 3, 2]), ("401", [5, 5, 5]),
    # Of a 200 it isn't known yet whether it will become one of these.
    ("206", [4, 4, 4]), ("304", [4, 4, 4]), ("404,412", [4, 4, 4]),
    ("416", [4, 4, 4])])
def test_of_a_200_a_charge_that_may_come_is_taken_off_beforehand(
        start_nginx, codes, charged):
    # A 200 is charged once its header is sent; another worker could be faster.
    nginx = start_nginx(ZONE, counting(codes), workers=1)
    assert [told(get(nginx.port, "/", ME))[1].r for _ in charged] == charged
    # What it has really been charged.
    assert told(get(nginx.port, "/?s=403", ME))[1].r == \
        (2 if "200" in codes else 5)


@pytest.mark.parametrize("code, header", [
    (206, ("Range", "bytes=1-2")), (304, ("If-None-Match", "*")),
    (412, ("If-Match", '"x"')), (416, ("Range", "bytes=99-"))])
def test_what_a_200_becomes_is_charged_and_told_right(start_nginx, code, header):
    nginx = start_nginx(ZONE, counting(code), workers=1)
    for r in (4, 3, 2, 1, 0):
        answer = get(nginx.port, "/", ME, [header])
        assert (answer.status, told(answer)[1].r) == (code, r)
    answer = get(nginx.port, "/", ME)
    assert (answer.status, told(answer)[1].r) == (429, 0)


def test_a_charge_by_status_beside_one_at_once(start_nginx):
    """Each tells of its own, and a late one may become the tightest."""
    nginx = start_nginx(ZONES, BOTH + "location / { weir_limit zone=h burst=4 nodelay;"
                        " weir_limit zone=d burst=2 nodelay count=404; }")
    seen = [told(get(nginx.port, path, ME)) for path in ("/", "/none", "/none")]
    assert [state[:2] for _, state in seen] == [("d", 3), ("d", 2), ("d", 1)]
    assert [policy.name for policy in seen[0][0]] == ["d", "h"]


@pytest.mark.parametrize("cost, left, codes", [
    (2, [3, 1, 1, 1], [404, 404, 429, 429]), (0, [5] * 4, [404] * 4)])
def test_a_late_charge_takes_its_cost(start_nginx, cost, left, codes):
    nginx = start_nginx(
        ZONE, BOTH + "location / { weir_limit zone=one burst=4 nodelay count=404"
        f" cost={cost}; }}")
    answers = [get(nginx.port, "/none", ME) for _ in left]
    assert [told(answer)[1].r for answer in answers] == left
    assert [answer.status for answer in answers] == codes


def test_what_is_owed_beyond_the_budget_is_none_left(start_nginx):
    """Requests that were let pass together, and then all charged."""
    waiting = threading.Barrier(3)

    def reply(_):
        waiting.wait(60)
        return 404, []

    with http_upstream(reply) as port:
        nginx = start_nginx(
            ZONE, BOTH + "location / { weir_limit zone=one burst=4 nodelay count=404"
            " cost=5; proxy_pass http://127.0.0.1:@upstream@; }",
            words={"upstream": port})
        with concurrent.futures.ThreadPoolExecutor(3) as pool:
            answers = list(pool.map(lambda _: get(nginx.port, "/", ME), range(3)))
    assert [answer.status for answer in answers] == [404] * 3
    states = sorted((told(answer)[1] for answer in answers), key=lambda s: s.t)
    assert [state.r for state in states] == [0] * 3
    assert about(states[2].t, 15 * HOUR)


def test_who_finds_no_room_in_a_full_zone_is_told_nothing_is_left(start_nginx):
    """Though the zone knows of no debt of theirs."""
    nginx = start_nginx(
        "weir_limit_zone $arg_k zone=one:32k rate=1r/d full=reject;",
        BOTH + "location / { weir_limit zone=one burst=9 nodelay; }"
        'add_header X-Left "$weir_remaining" always; weir_limit_log_level info;'
        "access_log off; error_log @dir@/flood.log crit;")
    pipeline(nginx.port, [encode(f"/?k={i}") for i in range(8000)])
    answers = [get(nginx.port, f"/?k=new{i}") for i in range(20)]
    refused = [answer for answer in answers if answer.status == 429]
    assert len(refused) >= 18
    for answer in refused:
        _, state = told(answer)
        assert (state.r, answer.header("X-Left")) == (0, "0")
        assert state.t >= int(answer.header("Retry-After")) > 0


# ---- Where it is written ----


@pytest.mark.parametrize("http, server, location, mode", [
    ("both", "", "", "both"), ("", "ietf", "", "ietf"), ("", "", "legacy", "legacy"),
    ("both", "legacy", "", "legacy"), ("legacy", "", "ietf", "ietf"),
    ("both", "both", "off", "off"), ("both", "off", "", "off"), ("", "", "", "off")])
def test_the_innermost_level_counts(start_nginx, http, server, location, mode):
    http, server, location = (word and f"weir_limit_headers {word};"
                              for word in (http, server, location))
    nginx = start_nginx(ZONE + http, f"{server} location / {{ {LIMIT} {location} }}")
    assert fields(get(nginx.port, "/", ME)).keys() == NAMES[mode]


@pytest.mark.parametrize("way", [
    "error_page 404 = /behind/index.html;", "error_page 404 = @behind;",
    "try_files /none /behind/index.html;"])
@pytest.mark.parametrize("front, behind, mode", [
    (f"{LIMIT} weir_limit_headers ietf;", "weir_limit_headers legacy;", "ietf"),
    (f"{LIMIT} weir_limit_headers off;", f"{LIMIT} weir_limit_headers both;", "off"),
    ("weir_limit_headers ietf;", f"{LIMIT} weir_limit_headers legacy;", "legacy"),
    (LIMIT, f"{LIMIT} weir_limit_headers both;", "off"),
    (f"{LIMIT} weir_bypass $host; {BOTH}", f"{LIMIT} weir_limit_headers ietf;",
     "ietf"),
    (f"{LIMIT} {BOTH}", f"{LIMIT} weir_bypass $host;", "both"),
])
def test_the_location_counts_that_has_judged_the_request(start_nginx, way, front,
                                                         behind, mode):
    nginx = start_nginx(
        ZONE, f"location /front {{ {front} {way} }}"
        f"location /behind/ {{ {behind} alias @dir@/html/; }}"
        f"location @behind {{ {behind} rewrite ^ /index.html break; }}")
    answer = get(nginx.port, "/front", ME)
    assert (answer.status, fields(answer).keys()) == (200, NAMES[mode])


def test_a_page_tells_of_its_own_limits_and_not_of_its_parts(start_nginx):
    nginx = start_nginx(
        ZONE + ZONE.replace("=one:", "=two:"),
        f"{BOTH} ssi on; ssi_types *; location /page {{ {LIMIT} }}"
        "location /bare { } location /part { weir_limit zone=two burst=1 nodelay; }"
        f"location /asked {{ {LIMIT} auth_request /part; }}")
    for name in ("page", "bare", "asked"):
        nginx.write(name, '<!--#include virtual="/part" -->.')
    nginx.write("part", "part")
    policies, state = told(get(nginx.port, "/page", ME))
    assert (policies, state.r) == ([Policy("one", 5, 5 * HOUR)], 4)
    assert fields(get(nginx.port, "/bare", ME)) == {}
    policies, state = told(get(nginx.port, "/asked", ME))
    assert (policies, state.r) == ([Policy("one", 5, 5 * HOUR)], 3)


def test_a_refused_part_is_none_of_the_pages_budget(start_nginx):
    nginx = start_nginx(
        ZONE, f"{BOTH} location / {{ auth_request /ask; }}"
        f"location = /ask {{ {LIMIT} weir_limit_status 403; {ALIAS} }}")
    answers = [get(nginx.port, "/", ME) for _ in range(7)]
    assert [answer.status for answer in answers] == [200] * 5 + [403] * 2
    assert [fields(answer) for answer in answers] == [{}] * 7


def test_a_reload_changes_the_mode_and_the_quota(start_nginx):
    nginx = start_nginx(ZONE, LOCATION)
    assert fields(get(nginx.port, "/", ME)) == {}
    nginx.reload(ZONE, BOTH + LOCATION.replace("burst=4", "burst=6"))
    policies, state = told(get(nginx.port, "/", ME))
    assert (policies, state.r) == ([Policy("one", 7, 7 * HOUR)], 5)
    nginx.reload(ZONE, "weir_limit_headers off;" + LOCATION)
    assert fields(get(nginx.port, "/", ME)) == {}


# ---- Names ----


@pytest.mark.parametrize("name, told_as", [
    ("plain-name_1.x", '"plain-name_1.x"'), ('a"b', r'"a\"b"'),
    ("back\\slash", r'"back\\slash"'), ("two words", '"two words"'),
    ("50%;q=1, \"x\"", r'"50%;q=1, \"x\""'), ("caf\u00e9", '"caf%C3%A9"'),
    ("\u20ac", '"%E2%82%AC"'), ("tab\there", '"tab%09here"'),
    ("\x7f~", '"%7F~"')])
def test_a_zones_name_is_a_string_of_printable_ascii(start_nginx, name, told_as):
    quoted = name.replace("\\", "\\\\").replace('"', '\\"')
    nginx = start_nginx(
        f'weir_limit_zone $binary_remote_addr "zone={quoted}:1m" rate=1r/h;',
        f'{BOTH} location / {{ weir_limit "zone={quoted}" burst=4 nodelay; }}')
    found = fields(get(nginx.port, "/", ME))
    assert found["ratelimit-policy"] == told_as + ";q=5;w=18000"
    assert re.fullmatch(re.escape(told_as) + r";r=4;t=\d+", found["ratelimit"])
