"""Without weir_limit_headers nobody can tell from an admitted request's answer
that weir is there: it is byte for byte a plain nginx's. A refused one is
limit_req's, and has a Retry-After.

The plain nginx has no module loaded; its files have the same content and time.
Date alone is left out of the comparison.
"""

import os
import re

import pytest

import addresses as a
import http2
from client import Connection, encode, raw
from upstreams import http_upstream

WHEN = 1_600_000_000  # the files' time
TEXT = "".join(f"line {number}\n" for number in range(200))

# What judges a request: limits with all they can have, lists, a bypass.
HTTP = """
weir_geo_db @db@;
weir_limit_zone $binary_remote_addr zone=one:1m rate=1000r/s;
weir_limit_zone $host$uri zone=two:1m rate=2000r/s;
weir_limit_zone $host zone=window:1m rate=1000000r/h algorithm=sliding_window;
weir_country_limits zone=one { KR rate=3000r/s burst=500; KP deny; }
"""
LIMITS = """
weir_limit zone=one burst=10000 nodelay cost=$arg_cost;
weir_limit zone=two burst=10000 delay=9000 rate=$arg_rate;
weir_limit zone=window count=401,404,502;
weir_geo_deny CN;
"""
WAYS = {
    "by default": (HTTP, LIMITS, ""),
    "off": (HTTP + "weir_limit_headers off;", LIMITS, ""),
    "off at the server": (HTTP + "weir_limit_headers both;",
                          "weir_limit_headers off;" + LIMITS, ""),
    "in a dry run": (HTTP + "weir_limit_headers both;",
                     "weir_limit_dry_run on;" + LIMITS, ""),
    "bypassed": (HTTP + "weir_limit_headers both;",
                 LIMITS + "weir_bypass $pid;", ""),
}

SITE = """
port_in_redirect off;
error_page 410 /gone.html;
error_page 418 = @elsewhere;
location = /moved { return 301 /new; }
location = /found { return 302 https://example.com/; }
location = /say { return 200 "said\\n"; }
location = /nothing { return 204; }
location = /gone { return 410; }
location = /teapot { return 418; }
location @elsewhere { rewrite ^ /index.html break; }
location = /login { auth_basic realm; auth_basic_user_file @dir@/none; }
location = /more { add_header X-More "always" always; add_header Cache-Control no-store;
    alias @dir@/html/text; }
location = /gzip { gzip on; gzip_min_length 1; gzip_http_version 1.0; gzip_vary on;
    alias @dir@/html/text; }
location = /page.ssi { ssi on; ssi_types *; }
location /upstream/ { proxy_pass http://127.0.0.1:@upstream@; }
location /chunked/ { proxy_pass http://127.0.0.1:@upstream@; ssi on; ssi_types *; }
location /cached/ { proxy_cache cache; proxy_cache_valid any 1h;
    proxy_ignore_headers Set-Cookie; add_header X-Hit
    $upstream_cache_status; proxy_pass http://127.0.0.1:@upstream@; }
location /down/ { proxy_pass http://127.0.0.1:@nobody@; }
"""
CACHE = "proxy_cache_path @dir@/cache keys_zone=cache:1m;"

# What an upstream of one's own may say already.
OWN = [("RateLimit-Policy", '"theirs";q=7;w=3'), ("RateLimit", '"theirs";r=1;t=2'),
       ("X-RateLimit-Limit", "7"), ("x-ratelimit-remaining", "1"),
       ("X-RateLimit-Reset", "1600000000"), ("Retry-After", "3"),
       ("Set-Cookie", "a=b"), ("set-cookie", "c=d"), ("ETag", '"own"')]


def theirs(request):
    return (503 if "503" in request.path else 200), OWN


@pytest.fixture
def upstream():
    with http_upstream(theirs) as port:
        yield port


def write_files(nginx):
    for name, content in [("text", TEXT), ("gone.html", "gone\n"), ("part", "part"),
                          ("page.ssi", '<!--#include virtual="/part" -->.'),
                          ("folder/x", "x"), ("index.html", "index\n")]:
        os.utime(nginx.write(name, content), (WHEN, WHEN))


@pytest.fixture
def pair(start_nginx, country_db, upstream):
    """A plain nginx, or one with limit_req, and one with weir; each with the
    site on @port@, and on @port2@ for HTTP/2."""
    def start(way, site=SITE, plain=("", "")):
        http, before, after = way
        found = []
        for module, (head, text) in ((False, plain),
                                     (True, (http, before + after))):
            found.append(start_nginx(
                CACHE + head, text + site + "listen 127.0.0.1:@port2@ "
                + http2.listen() + ";", module=module, workers=1,
                words={"db": country_db, "upstream": upstream, "nobody": 1}))
            write_files(found[-1])
        return found
    return start


def blank(answer):
    """Without what differs between two seconds."""
    return re.sub(rb"\r\nDate: [^\r]*", b"\r\nDate: -", answer)


def both(pair, request):
    """The two answers to the bytes of requests, of which the last closes."""
    first, second = (blank(raw(nginx.port, request, wait=True)) for nginx in pair)
    assert first
    return first, second


def ask(path, *headers, **options):
    return encode(path, a.KR, headers, close=True, **options)


OLD = ("If-Modified-Since", "Sun, 13 Sep 2020 12:26:40 GMT")  # WHEN
REQUESTS = {
    "a file": ask("/text"),
    "HEAD": ask("/text", method="HEAD"),
    "a range": ask("/text", ("Range", "bytes=5-9")),
    "ranges": ask("/text", ("Range", "bytes=5-9,20-29,-5")),
    "no such range": ask("/text", ("Range", "bytes=99999-")),
    "not modified": ask("/text", OLD),
    "a tag": ask("/text", ("If-None-Match", f'"{WHEN:x}-{len(TEXT):x}"')),
    "any tag": ask("/text", ("If-None-Match", "*")),
    "a failed precondition": ask("/text", ("If-Match", '"none"')),
    "index": ask("/"),
    "not found": ask("/none"),
    "HEAD of nothing": ask("/none", method="HEAD"),
    "forbidden": ask("/folder/"),
    "a folder's slash": ask("/folder?cost=3"),
    "POST to a file": ask("/text", method="POST", body=b"x=y"),
    "OPTIONS": ask("/text", method="OPTIONS"),
    "a redirect": ask("/moved"),
    "a redirect elsewhere": ask("/found"),
    "text": ask("/say?rate=5000r/s"),
    "204": ask("/nothing"),
    "an error page": ask("/gone"),
    "a named location": ask("/teapot"),
    "401": ask("/login"),
    "added headers": ask("/more"),
    "added headers, not found": ask("/more/none"),
    "gzip": ask("/gzip", ("Accept-Encoding", "gzip")),
    "not gzip": ask("/gzip"),
    "a page with parts": ask("/page.ssi"),
    "an upstream": ask("/upstream/"),
    "an upstream, HEAD": ask("/upstream/", method="HEAD"),
    "an upstream, POST": ask("/upstream/", method="POST", body=b"x" * 5000),
    "an upstream's range": ask("/upstream/", ("Range", "bytes=0-1")),
    "an upstream's tag": ask("/upstream/", ("If-None-Match", '"own"')),
    "an upstream's error": ask("/upstream/503"),
    "chunks": ask("/chunked/"),
    "no upstream": ask("/down/"),
    "nothing limited": ask("/text?rate=off"),
    "HTTP/1.0": b"GET /text HTTP/1.0\r\n\r\n",
    "HTTP/1.0, kept": b"GET /text HTTP/1.0\r\nConnection: keep-alive\r\n\r\n"
                      b"GET /none HTTP/1.0\r\n\r\n",
    "HTTP/1.0, chunks": b"GET /chunked/ HTTP/1.0\r\n\r\n",
    "HTTP/0.9": b"GET /text\r\n",
    "no host": b"GET / HTTP/1.1\r\n\r\n",
    "no request": b"\x16\x03\x01\r\n\r\n",
    "another version": b"GET / HTTP/7.0\r\n\r\n",
}


@pytest.mark.parametrize("way", WAYS)
def test_admitted_requests_are_answered_byte_for_byte_as_without(pair, way):
    servers = pair(WAYS[way])
    for name, request in REQUESTS.items():
        first, second = both(servers, request)
        assert first == second, name


def test_the_plain_nginx_answers_what_its_name_says(pair):
    """So that the comparison above is one of these statuses and headers."""
    statuses = {}
    servers = pair(WAYS["by default"])
    for name, request in REQUESTS.items():
        answer, _ = both(servers, request)
        found = re.match(rb"HTTP/1.1 (\d\d\d) ", answer)
        statuses.setdefault(found and int(found[1]), []).append(name)
        if name == "an upstream":
            assert all(f"\r\n{k}: {v}\r\n".encode() in answer for k, v in OWN)
    assert {None, 200, 204, 206, 301, 302, 304, 400, 401, 403, 404, 405, 410, 412,
            416, 502, 503, 505} == set(statuses)
    assert sorted(statuses[304]) == ["a tag", "any tag", "not modified"]


@pytest.mark.parametrize("way", WAYS)
def test_answers_on_one_connection_are_the_same_in_the_same_order(pair, way):
    servers = pair(WAYS[way])
    paths = ["/text", "/none", "/upstream/", "/say", "/down/", "/chunked/",
             "/moved", "/gone", "/cached/", "/cached/", "/nothing"] * 3
    request = b"".join(encode(path, a.KR) for path in paths) + ask("/text")
    first, second = both(servers, request)
    assert first.count(b"HTTP/1.1 ") == len(paths) + 1
    assert b"X-Hit: HIT" in first
    assert first == second


@pytest.mark.parametrize("way", WAYS)
def test_over_http2_the_same_headers_come_in_the_same_order(pair, way):
    servers = pair(WAYS[way])

    def answers(nginx):
        with http2.Connection(nginx.port_of("port2")) as connection:
            for path in ("/text", "/none", "/upstream/", "/upstream/503", "/moved",
                         "/gone", "/cached/", "/cached/", "/down/", "/nothing"):
                for method in ("GET", "HEAD"):
                    answer = connection.request(path, a.KR, method=method)
                    yield answer._replace(headers=[
                        (k, "-" if k == "date" else v) for k, v in answer.headers])

    assert list(answers(servers[0])) == list(answers(servers[1]))


# ---- Refused ----

PLAIN = ("limit_req_zone $binary_remote_addr zone=one:1m rate=1r/m;",
         "limit_req zone=one; limit_req_status 429;")
REFUSING = ("weir_limit_zone $binary_remote_addr zone=one:1m rate=1r/m;",
            "weir_limit zone=one;", "")
PAGES = {"nginx's own page": "",
         "a file": "error_page 429 /gone.html;",
         "a file as 200": "error_page 429 =200 /gone.html;",
         "a named location": "error_page 429 @elsewhere;",
         "a redirect": "error_page 429 =302 https://example.com/;"}


def without_retry_after(answer, count=1):
    """The answer less these lines, of which there are so many."""
    rest, found = re.subn(rb"\r\nRetry-After: [1-9]\d*(?=\r\n)", b"", answer)
    assert found == count
    return rest


@pytest.mark.parametrize("page", PAGES)
def test_a_refusal_is_limit_reqs_but_for_retry_after(pair, page):
    site = PAGES[page] + SITE
    servers = pair(REFUSING, site, PLAIN)
    first, second = both(servers, ask("/text"))
    assert first == second
    for name, request in {
            "GET": ask("/text"), "HEAD": ask("/text", method="HEAD"),
            "POST": ask("/text", method="POST", body=b"x"),
            "nothing": ask("/none"), "a folder": ask("/folder/"),
            "an upstream": ask("/upstream/"), "more": ask("/more"),
            "HTTP/1.0": b"GET /text HTTP/1.0\r\nX-Forwarded-For: %s\r\n\r\n"
                        % a.KR.encode()}.items():
        first, second = both(servers, request)
        assert first == without_retry_after(second), name


def test_refusals_on_one_connection_are_limit_reqs(pair):
    servers = pair(REFUSING, SITE, PLAIN)
    request = encode("/text", a.KR) * 5 + ask("/text")
    first, second = both(servers, request)
    assert first.count(b"HTTP/1.1 429 ") == 5
    assert first == without_retry_after(second, 5)


def test_refusals_over_http2_are_limit_reqs(pair):
    servers = pair(REFUSING, SITE, PLAIN)
    found = []
    for nginx in servers:
        with http2.Connection(nginx.port_of("port2")) as connection:
            answers = [connection.request("/text", a.KR) for _ in range(3)]
        assert [answer.status for answer in answers] == [200, 429, 429]
        found.append([answer._replace(headers=[
            (k, v) for k, v in answer.headers if k != "date"])
            for answer in answers])
    plain, weirs = found
    assert plain == [answer._replace(headers=[
        (k, v) for k, v in answer.headers if k != "retry-after"])
        for answer in weirs]
    assert [sum(k == "retry-after" for k, _ in answer.headers)
            for answer in weirs] == [0, 1, 1]


def test_a_refusal_with_444_has_no_answer_as_limit_reqs(pair):
    plain = (PLAIN[0], PLAIN[1].replace("429", "444"))
    servers = pair((REFUSING[0], "weir_limit_status 444;" + REFUSING[1], ""),
                   SITE, plain)
    for nginx in servers:
        with Connection(nginx.port) as connection:
            connection.send(encode("/text", a.KR) * 2)
            answer = connection.stream.read()
            assert answer.count(b"HTTP/1.1 ") == 1


def test_a_denied_request_is_answered_as_by_nginxs_own_deny(pair):
    servers = pair((HTTP + "weir_limit_headers both;", LIMITS + "weir_geo_deny KR;",
                    ""), SITE, ("", "deny all;"))
    for name in ("a file", "HEAD", "POST to a file", "an upstream", "not found"):
        first, second = both(servers, REQUESTS[name])
        assert first == second, name
        assert b" 403 " in first
