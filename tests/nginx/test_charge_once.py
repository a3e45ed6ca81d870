"""One request of a client is charged once, however nginx serves it.

Subrequests, internal redirects, error pages, try_files and index files make
nginx run its phases again for one request. In each case here a budget of five
lets exactly five requests through. Every case runs against nginx's own
limit_req as well, which says what is right.
"""

import pytest

from client import encode, get, pipeline, statuses
from upstreams import http_upstream

ZONE = "weir_limit_zone $binary_remote_addr zone=one:1m rate=1r/m;"
LIMIT = "weir_limit zone=one burst=4 nodelay;"

# name: (inside of a server where every level is limited, path, status)
CASES = {
    "a plain file": ("", "/page", 200),
    "index files": ("", "/", 200),
    "index files, second choice": ("index none index.html;", "/", 200),
    "an internal redirect by the rewrite module":
        ("location /old { rewrite ^ /page last; }", "/old", 200),
    "try_files, to a file": ("location /try { try_files /none /page; }",
                             "/try", 200),
    "try_files, to a location":
        ("location /try { try_files /none /sub/page; }", "/try", 200),
    "try_files, to a named location":
        ("location /try { try_files /none @fallback; }"
         " location @fallback { proxy_pass http://127.0.0.1:@upstream@; }",
         "/try", 200),
    "error_page, to a file":
        ("error_page 404 /page;", "/none", 404),
    "error_page, to a named location":
        ("error_page 404 = @fallback;"
         " location @fallback { proxy_pass http://127.0.0.1:@upstream@; }",
         "/none", 200),
    "error_page, twice":
        ("recursive_error_pages on; error_page 404 = /none2;"
         " location /none2 { error_page 404 = /page; }", "/none", 200),
    "X-Accel-Redirect":
        ("location /accel { proxy_pass http://127.0.0.1:@upstream@/accel; }"
         " location /protected { internal; alias @dir@/html/page; }",
         "/accel", 200),
    "auth_request":
        ("location /auth { auth_request /ask; alias @dir@/html/page; }"
         " location = /ask { alias @dir@/html/page; }", "/auth", 200),
    "auth_request to an upstream":
        ("location /auth { auth_request /ask; alias @dir@/html/page; }"
         " location = /ask { proxy_pass http://127.0.0.1:@upstream@; }",
         "/auth", 200),
    "server-side includes":
        ("ssi on; ssi_types *;", "/ssi", 200),
    "nested server-side includes":
        ("ssi on; ssi_types *;", "/ssi2", 200),
    "mirror":
        ("location /mirrored { mirror /copy; mirror /copy;"
         " proxy_pass http://127.0.0.1:@upstream@; }"
         " location = /copy { internal;"
         " proxy_pass http://127.0.0.1:@upstream@; }", "/mirrored", 200),
    "addition":
        ("location /added { alias @dir@/html/page; add_before_body /page;"
         " add_after_body /page; addition_types *; }", "/added", 200),
    "slice":
        ("location /slice { slice 1k; proxy_set_header Range $slice_range;"
         " proxy_pass http://127.0.0.1:@upstream@; }", "/slice", 200),
    "a proxied request":
        ("location /proxied { proxy_pass http://127.0.0.1:@upstream@; }",
         "/proxied", 200),
    "a page for refused requests":
        ("error_page 429 /sub/page;", "/page", 200),
    "a named location for refused requests":
        ("error_page 429 @refused; location @refused"
         " { proxy_pass http://127.0.0.1:@upstream@; }", "/page", 200),
}


@pytest.fixture(scope="module")
def upstream():
    def reply(request):
        extra = []
        if request.path == "/accel":
            extra = [("X-Accel-Redirect", "/protected")]
        return 200, extra

    with http_upstream(reply) as port:
        yield port


def serve(start_nginx, upstream, server, limiter="weir_limit", *, at="server",
          http=ZONE):
    limits = f"{LIMIT} {limiter}_status 429;"
    nginx = start_nginx(
        http.replace("weir_limit", limiter)
        + (limits if at == "http" else "").replace("weir_limit", limiter),
        (server + (limits if at == "server" else "")
         ).replace("weir_limit", limiter),
        module=limiter == "weir_limit", words={"upstream": upstream})
    nginx.write("page", "page\n")
    nginx.write("sub/page", "page\n")
    nginx.write("ssi", "".join(
        f'<!--#include virtual="/page?{i}" -->' for i in range(6)))
    nginx.write("ssi2", '<!--#include virtual="/ssi" -->' * 3)
    return nginx


@pytest.mark.parametrize("limiter", ["weir_limit", "limit_req"])
@pytest.mark.parametrize("case", CASES)
def test_is_charged_once(start_nginx, upstream, case, limiter):
    server, path, status = CASES[case]
    nginx = serve(start_nginx, upstream, server, limiter)
    codes = statuses(nginx.port, 8, path, "198.51.100.1")
    assert codes == [status] * 5 + [429] * 3
    assert len(nginx.errors("limiting requests")) == 3


def test_bodies_of_subrequests_are_whole(start_nginx, upstream):
    nginx = serve(start_nginx, upstream, *CASES["nested server-side includes"][:1])
    assert get(nginx.port, "/ssi2", "198.51.100.1").text == "page\n" * 18


@pytest.mark.parametrize("limiter", ["weir_limit", "limit_req"])
@pytest.mark.parametrize("server, body", [
    ("error_page 429 /sub/page;", "page\n"),
    ("error_page 429 = /sub/page;", "page\n"),
    ("error_page 429 @refused; location @refused { rewrite ^ /page break; }",
     "page\n"),
])
def test_a_refused_request_gets_its_error_page(start_nginx, upstream, server,
                                               body, limiter):
    """The page's location is limited as well, and must not refuse again."""
    nginx = serve(start_nginx, upstream, server, limiter)
    answers = [get(nginx.port, "/page", "198.51.100.1") for _ in range(8)]
    assert all(answer.text == body for answer in answers)
    refused = 200 if "=" in server else 429
    assert [a.status for a in answers] == [200] * 5 + [refused] * 3


@pytest.mark.parametrize("limiter", ["weir_limit", "limit_req"])
def test_a_limit_behind_a_redirect_counts_if_none_came_before(
        start_nginx, upstream, limiter):
    nginx = serve(start_nginx, upstream,
                  f"location /free {{ error_page 404 = /paid/page; }}"
                  f"location /paid {{ {LIMIT} alias @dir@/html/sub;"
                  " weir_limit_status 429; }", limiter, at="nowhere")
    codes = statuses(nginx.port, 8, "/free", "198.51.100.1")
    assert codes == [200] * 5 + [429] * 3


@pytest.mark.parametrize("limiter", ["weir_limit", "limit_req"])
def test_the_first_location_with_a_limit_decides(start_nginx, upstream, limiter):
    nginx = serve(
        start_nginx, upstream,
        "location /first { weir_limit zone=one burst=4 nodelay;"
        " error_page 404 = /page; weir_limit_status 429; }"
        "location /page { weir_limit zone=two nodelay; weir_limit_status 429; }",
        limiter, at="nowhere",
        http=ZONE + ZONE.replace("zone=one", "zone=two"))
    assert statuses(nginx.port, 6, "/first", "198.51.100.1") == [200] * 5 + [429]
    assert statuses(nginx.port, 2, "/page", "198.51.100.1") == [200, 429]


def test_each_request_of_a_connection_is_charged(start_nginx, upstream):
    """What is remembered of one request does not live on in the next."""
    nginx = serve(start_nginx, upstream, "error_page 404 = /page;")
    requests = [encode(path, "198.51.100.1")
                for path in ("/page", "/none", "/", "/ssi") * 2]
    assert pipeline(nginx.port, requests) == [200] * 5 + [429] * 3
