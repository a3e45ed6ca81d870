"""Retry-After: when a request that a limit refused would pass.

Rates are a request an hour or slower, and a test may take minutes: what it
expects is the time until the next token, and some less.
"""

import time

import pytest

import addresses as a
from client import encode, get, pipeline, read_response, statuses, Connection
from upstreams import http_upstream

HOUR, DAY = 3600, 86400
SLACK = 600  # seconds that a test may take

ZONE = "weir_limit_zone $binary_remote_addr zone=one:1m rate=1r/d;"
LIMIT = "weir_limit zone=one burst=4 nodelay;"
LOCATION = f"location / {{ {LIMIT} }}"
ME = "198.51.100.1"


def retry_after(answer):
    """The header, of which there is at most one; None: there is none."""
    values = [v for k, v in answer.headers if k.lower() == "retry-after"]
    assert len(values) <= 1
    assert all(value.isdigit() for value in values)
    return int(values[0]) if values else None


def is_about(answer, seconds):
    said = retry_after(answer)
    return said is not None and seconds - SLACK < said <= seconds


def use_up(nginx, path="/", address=ME, count=5):
    assert statuses(nginx.port, count, path, address) == [200] * count


@pytest.mark.parametrize("workers, listen", [(1, ""), (2, ""), (4, "reuseport")])
def test_a_refusal_says_when_to_come_again(start_nginx, workers, listen):
    nginx = start_nginx(ZONE, LOCATION, workers=workers, listen=listen)
    answers = [get(nginx.port, "/", ME) for _ in range(8)]
    assert [retry_after(answer) for answer in answers[:5]] == [None] * 5
    for answer in answers[5:]:
        assert answer.status == 429
        assert is_about(answer, DAY)


def test_it_is_never_too_early(start_nginx):
    """Rounded up: who waits that long is served."""
    nginx = start_nginx(ZONE.replace("1r/d", "10r/7s"),
                        "location / { weir_limit zone=one; }")
    while (answer := get(nginx.port, "/", ME)).status == 200:
        pass
    time.sleep(retry_after(answer))
    assert get(nginx.port, "/", ME).status == 200


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST"])
@pytest.mark.parametrize("status", [400, 429, 503, 599])
def test_every_status_and_method_has_it(start_nginx, status, method):
    nginx = start_nginx(ZONE, f"weir_limit_status {status};" + LOCATION)
    use_up(nginx)
    answer = get(nginx.port, "/", ME, method=method)
    assert answer.status == status
    assert is_about(answer, DAY)


def test_each_answer_of_a_connection_has_its_own(start_nginx):
    nginx = start_nginx(ZONE, LOCATION)
    with Connection(nginx.port) as connection:
        connection.send(b"".join(encode("/", address)
                                 for address in [ME] * 6 + [a.KR, ME]))
        answers = [read_response(connection.stream) for _ in range(8)]
    assert [answer.status for answer in answers] == [200] * 5 + [429, 200, 429]
    assert [retry_after(answer) is not None for answer in answers] == \
        [False] * 5 + [True, False, True]


@pytest.mark.parametrize("cost, wait", [(1, 0), (2, 1), (3, 2), (5, 4)])
def test_it_is_the_time_until_the_same_request_would_pass(start_nginx, cost, wait):
    """Four of five tokens are used."""
    nginx = start_nginx(
        ZONE, "location / { weir_limit zone=one burst=4 nodelay cost=$arg_c; }")
    use_up(nginx, count=4)
    answer = get(nginx.port, f"/?c={cost}", ME)
    if wait == 0:
        assert (answer.status, retry_after(answer)) == (200, None)
    else:
        assert answer.status == 429
        assert is_about(answer, wait * DAY)


def test_it_goes_by_the_rate_that_was_used(start_nginx, country_db):
    nginx = start_nginx(
        ZONE + "weir_geo_db @db@; weir_country_limits zone=one { KR rate=1r/h; }",
        "location / { weir_limit zone=one rate=$arg_r; }", words={"db": country_db})
    for path, client, wait in [("/", a.DE, DAY), ("/", a.KR, HOUR),
                               ("/?r=1r/12h", ME, DAY // 2), ("/?r=no", a.JP, DAY)]:
        assert get(nginx.port, path, client).status == 200
        answer = get(nginx.port, path, client)
        assert answer.status == 429
        assert is_about(answer, wait)


def test_a_cost_that_never_passes_has_none(start_nginx):
    nginx = start_nginx(
        ZONE + "weir_limit_zone $host zone=two:1m rate=1r/h;",
        "location / { weir_limit zone=two burst=9 cost=$arg_t nodelay;"
        " weir_limit zone=one burst=4 nodelay cost=$arg_c; }")
    assert get(nginx.port, "/?c=5&t=10", ME).status == 200
    for path in ("/?c=6&t=0", "/?c=6&t=1", "/?c=1&t=11"):
        answer = get(nginx.port, path, ME)
        assert (answer.status, retry_after(answer)) == (429, None)
    assert is_about(get(nginx.port, "/?c=1&t=1", ME), DAY)


ZONES = "".join(f"weir_limit_zone $binary_remote_addr zone={name}:1m rate={rate};"
                for name, rate in [("h", "1r/h"), ("d", "1r/d"), ("w", "1r/7d")])


@pytest.mark.parametrize("limits, wait", [
    ("h d", DAY), ("d h", DAY), ("d burst=1,h", HOUR), ("h w d", 7 * DAY),
    ("w burst=1,d burst=1,h", HOUR), ("w dry_run,h", HOUR)])
def test_it_is_the_longest_of_all_limits_that_refuse(start_nginx, limits, wait):
    names = limits.split("," if "," in limits else " ")
    lines = "".join(f"weir_limit zone={name} nodelay;" for name in names)
    nginx = start_nginx(ZONES, f"location / {{ {lines} }}")
    use_up(nginx, count=1)
    answer = get(nginx.port, "/", ME)
    assert answer.status == 429
    assert is_about(answer, wait)


@pytest.mark.parametrize("words, directive", [
    (" dry_run;", ""), (";", "weir_limit_dry_run on;")])
def test_a_dry_run_has_none(start_nginx, words, directive):
    nginx = start_nginx(
        ZONE, f"location / {{ weir_limit zone=one nodelay{words} {directive} }}")
    assert [retry_after(get(nginx.port, "/", ME)) for _ in range(5)] == [None] * 5
    assert len(nginx.errors("dry run")) == 4


def test_a_full_zones_refusal_has_it(start_nginx):
    nginx = start_nginx(
        "weir_limit_zone $arg_k zone=one:32k rate=1r/d full=reject;",
        "location / { weir_limit zone=one; } weir_limit_log_level info;"
        "access_log off; error_log @dir@/flood.log crit;")
    pipeline(nginx.port, [encode(f"/?k={i}") for i in range(8000)])
    answers = [get(nginx.port, f"/?k=new{i}") for i in range(20)]
    refused = [answer for answer in answers if answer.status == 429]
    assert len(refused) >= 18
    assert all(0 < retry_after(answer) <= DAY for answer in refused)


# ---- Who else may write the answer ----


@pytest.fixture
def upstream():
    """A server that has an opinion of its own, in two spellings."""
    def reply(request):
        return 503, [("Retry-After", "7"), ("retry-after", "8")]

    with http_upstream(reply) as port:
        yield port


PAGES = {
    "a file": ("error_page 429 /sorry;", 429),
    "a file, as 200": ("error_page 429 =200 /sorry;", 200),
    "a redirect": ("error_page 429 =302 https://example.com/;", 302),
    "a named location": ("error_page 429 @sorry;", 429),
    "a named location's status": ("error_page 429 = @sorry;", 200),
    "an upstream": ("error_page 429 @upstream;", 429),
    "an upstream's status": ("error_page 429 = @upstream;", 503),
    "a return": ("error_page 429 = @return;", 418),
}


@pytest.mark.parametrize("page", PAGES)
def test_whoever_serves_the_page_it_is_there_once(start_nginx, upstream, page):
    error_page, status = PAGES[page]
    nginx = start_nginx(
        ZONE, error_page + f"location / {{ {LIMIT} }}"
        "location = /sorry { alias @dir@/html/index.html; }"
        "location @sorry { rewrite ^ /index.html break; }"
        "location @return { return 418 later; }"
        "location @upstream { proxy_pass http://127.0.0.1:@upstream@; }",
        words={"upstream": upstream})
    use_up(nginx)
    answer = get(nginx.port, "/", ME)
    assert answer.status == status
    assert is_about(answer, DAY)


@pytest.mark.parametrize("condition, status", [
    (("If-Modified-Since", "Fri, 31 Dec 2100 00:00:00 GMT"), 304),
    (("If-Match", '"none"'), 412),
    (("Range", "bytes=1-2"), 206), (("Range", "bytes=100-"), 416)])
def test_a_page_served_under_conditions_has_it(start_nginx, condition, status):
    nginx = start_nginx(
        ZONE, "error_page 429 =200 /sorry; if_modified_since before;"
        f"{LOCATION} location = /sorry {{ alias @dir@/html/index.html; }}")
    use_up(nginx)
    answer = get(nginx.port, "/", ME, [condition])
    assert answer.status == status
    assert is_about(answer, DAY)


def test_an_upstreams_own_stays_where_nothing_was_refused(start_nginx, upstream):
    nginx = start_nginx(
        ZONE, f"location / {{ {LIMIT} proxy_pass http://127.0.0.1:@upstream@; }}",
        words={"upstream": upstream})
    answer = get(nginx.port, "/", ME)
    assert [v for k, v in answer.headers if k.lower() == "retry-after"] == ["7", "8"]


def test_a_denied_client_is_told_no_time(start_nginx, country_db):
    """Not even if its limit refused it first, and its error page's location
    the country."""
    nginx = start_nginx(
        ZONE + "weir_geo_db @db@;",
        f"error_page 429 /sorry; location / {{ {LIMIT} }}"
        "location /sorry { weir_geo_deny KP; alias @dir@/html/index.html; }"
        "location /no { weir_geo_deny KP; }", words={"db": country_db})
    use_up(nginx, address=a.KP)
    for path in ("/no", "/"):
        answer = get(nginx.port, path, a.KP)
        assert (answer.status, retry_after(answer)) == (403, None)


def test_a_refused_subrequest_is_not_the_clients_request(start_nginx):
    nginx = start_nginx(
        ZONE, "location /auth { auth_request /ask; alias @dir@/html/index.html; }"
        f"location = /ask {{ {LIMIT} weir_limit_status 403;"
        " alias @dir@/html/index.html; }")
    use_up(nginx, "/auth")
    answer = get(nginx.port, "/auth", ME)
    assert (answer.status, retry_after(answer)) == (403, None)


def test_444_has_no_answer_to_put_it_in(start_nginx):
    nginx = start_nginx(ZONE, "weir_limit_status 444;" + LOCATION)
    use_up(nginx)
    with Connection(nginx.port) as connection:
        connection.send(encode("/", ME))
        assert connection.stream.read() == b""
