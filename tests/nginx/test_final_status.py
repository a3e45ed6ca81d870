"""count=: it is the status that the client sees which counts, also where
nginx's own header filters change it after weir's has run."""

import pytest

from client import Connection, encode, raw, statuses

ZONE = "weir_limit_zone $binary_remote_addr zone=one:1m rate=1r/d;"
ME = "198.51.100.1"
LATER = "Fri, 31 Dec 2100 00:00:00 GMT"
EARLIER = "Sat, 01 Jan 2000 00:00:00 GMT"

CONDITIONS = {
    "none": ((), 200),
    "not modified": ([("If-Modified-Since", LATER)], 304),
    "modified": ([("If-Modified-Since", EARLIER)], 200),
    "a failed precondition": ([("If-Match", '"other"')], 412),
    "a part": ([("Range", "bytes=1-2")], 206),
    "two parts": ([("Range", "bytes=0-0,2-2")], 206),
    "no such part": ([("Range", "bytes=100-")], 416),
}


def serve(start_nginx, codes, more=""):
    """By one worker: a 200 is charged once its header is sent, and another
    worker could be asked before that."""
    return start_nginx(
        ZONE, "if_modified_since before; location / {"
        f" weir_limit zone=one burst=4 nodelay count={codes}; {more} }}",
        workers=1)


@pytest.mark.parametrize("condition", CONDITIONS)
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_the_status_after_all_filters_counts(start_nginx, method, condition):
    headers, status = CONDITIONS[condition]
    nginx = serve(start_nginx, status)
    codes = statuses(nginx.port, 8, "/", ME, headers, method=method)
    assert codes == [status] * 5 + [429] * 3


@pytest.mark.parametrize("condition", CONDITIONS)
def test_no_other_status_counts(start_nginx, condition):
    """Least of all the 200 that it was before."""
    headers, status = CONDITIONS[condition]
    others = {200, 206, 304, 412, 416} - {status}
    nginx = serve(start_nginx, ",".join(map(str, others)))
    assert statuses(nginx.port, 8, "/", ME, headers) == [status] * 8


@pytest.mark.parametrize("condition", CONDITIONS)
def test_it_counts_once(start_nginx, condition):
    headers, status = CONDITIONS[condition]
    nginx = serve(start_nginx, "200,206,304,412,416")
    assert statuses(nginx.port, 6, "/", ME, headers) == [status] * 5 + [429]


def test_a_page_for_a_failed_precondition_counts_by_its_status(start_nginx):
    nginx = start_nginx(
        ZONE, "error_page 412 = @page; location @page { return 418; } location / {"
        " weir_limit zone=one burst=4 nodelay count=412; }"
        " location /page { weir_limit zone=one burst=4 nodelay count=418;"
        " alias @dir@/html/index.html; }")
    headers = CONDITIONS["a failed precondition"][0]
    assert statuses(nginx.port, 8, "/", ME, headers) == [418] * 8
    assert statuses(nginx.port, 8, "/page", ME, headers) == [418] * 5 + [429] * 3


def test_an_answer_without_a_head_counts(start_nginx):
    nginx = start_nginx(ZONE, "location / { weir_limit zone=one count=200; }",
                        realip="", workers=1)
    assert raw(nginx.port, b"GET /\r\n") == b"index\n"
    assert b"429" in raw(nginx.port, b"GET /\r\n")


@pytest.mark.parametrize("page, code", [("= @gone", 444), ("@gone", 404)])
def test_without_an_answer_the_status_that_is_logged_counts(start_nginx, page, code):
    nginx = start_nginx(
        ZONE, f"error_page 404 {page}; location @gone {{ return 444; }}"
        f"location /yes {{ weir_limit zone=one count={code}; }}"
        f"location /no {{ weir_limit zone=one count={404 + 444 - code}; }}")
    for path, then in (("/no", 444), ("/yes", 444), ("/no", 429)):
        with Connection(nginx.port) as connection:
            connection.send(encode(f"{path}?id={path}{then}", ME, close=True))
            answer = connection.stream.read()
        assert (b"429" in answer) == (then == 429)
        status = code if then == 444 else 429
        assert nginx.access(f"{path}{then}")["status"] == str(status)
