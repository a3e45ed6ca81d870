"""Input that no well-meaning client sends: served or refused as documented,
and nothing crashes. Every test ends with a client that gets its answer from
the same workers as before."""

import pytest

import addresses as a
from client import Connection, encode, get, raw, statuses
from server import wait_for

ZONE = "weir_limit_zone $arg_k zone=one:1m rate=1r/m;"
LIMIT = "location / { weir_limit zone=one nodelay; }"
ROOMY = "large_client_header_buffers 4 256k; client_header_buffer_size 256k;"
TOO_LONG = r'\[error\] .*the value of the "\$arg_k" key is more than 65535 bytes'


@pytest.fixture
def serve(start_nginx, country_db):
    """Starts an nginx, and sees at the end that its workers are alive."""
    started = []

    def start(http, server, **options):
        nginx = start_nginx("weir_geo_db @db@;" + http, server,
                            words={"db": country_db}, **options)
        started.append((nginx, nginx.workers()))
        return nginx

    yield start
    for nginx, workers in started:
        assert get(nginx.port, "/?k=alive", a.KR).status == 200
        assert nginx.workers() == workers


@pytest.mark.parametrize("size", [65536, 70000, 200000])
def test_a_key_that_is_too_long_is_logged_and_not_limited(serve, size):
    nginx = serve(ZONE + ROOMY, LIMIT)
    key = "x" * size
    assert statuses(nginx.port, 3, f"/index.html?k={key}") == [200] * 3
    assert len(nginx.errors(TOO_LONG)) == 3


@pytest.mark.parametrize("size", [1, 255, 256, 4096, 65535])
def test_a_key_of_up_to_65535_bytes_is_limited(serve, size):
    nginx = serve(ZONE + ROOMY, LIMIT)
    for last in "ab":  # keys that differ in their last byte alone
        key = "x" * (size - 1) + last
        assert statuses(nginx.port, 2, f"/?k={key}") == [200, 429]
    assert not nginx.errors("65535 bytes")


def test_a_long_key_of_one_limit_does_not_stop_another(serve):
    nginx = serve(ZONE + ROOMY + "weir_limit_zone $binary_remote_addr"
                  " zone=two:1m rate=1r/m;",
                  "location / { weir_limit zone=one nodelay;"
                  " weir_limit zone=two burst=1 nodelay; }")
    path = "/?k=" + "x" * 70000
    assert statuses(nginx.port, 3, path, a.DE) == [200, 200, 429]


def test_an_empty_key_is_served_without_a_word(serve):
    nginx = serve(ZONE, LIMIT)
    assert statuses(nginx.port, 5, "/?k=") == [200] * 5
    assert statuses(nginx.port, 5, "/") == [200] * 5
    assert not nginx.errors("limiting|key")


@pytest.mark.parametrize("key", ["%00", "%ff%fe", "a%0d%0ab", "'\"\\", "{}$x", "."])
def test_keys_of_odd_bytes_are_keys_like_others(serve, key):
    nginx = serve("map $uri $key { ~^/k/(.*)$ $1; }"
                  "weir_limit_zone $arg_k$key zone=one:1m rate=1r/m;", LIMIT)
    assert statuses(nginx.port, 2, f"/?k={key}") == [200, 429]


def test_keys_may_hold_zero_bytes(serve):
    """Binary addresses do: those that differ behind a zero are different."""
    nginx = serve("weir_limit_zone $binary_remote_addr zone=one:1m rate=1r/m;",
                  LIMIT)
    for address in ("81.0.0.1", "81.0.0.2", "81.0.1.1"):
        assert statuses(nginx.port, 2, "/", address) == [200, 429]


UNIX = "listen unix:@dir@/http.sock;"


def test_unix_socket_clients_share_one_key_as_with_limit_req(serve):
    nginx = serve("weir_limit_zone $binary_remote_addr zone=one:1m rate=1r/m;",
                  UNIX + "location / { weir_limit zone=one burst=4 nodelay; }")
    path = nginx.dir / "http.sock"
    assert statuses(path, 8, "/?id=u") == [200] * 5 + [429] * 3
    assert nginx.access("u")["weir_country"] == "XX"
    assert len(nginx.errors(r"limiting requests, .* client: unix:")) == 3
    # An address whose bytes are the text "unix" is not that client.
    assert statuses(nginx.port, 1, "/", "117.110.105.120") == [200]


def test_a_unix_socket_client_is_of_an_unknown_country(serve):
    nginx = serve(
        "weir_limit_zone $binary_remote_addr zone=one:1m rate=1r/m;"
        "weir_country_limits zone=one { XX rate=1r/h burst=2;"
        " default rate=1r/h burst=6; }",
        UNIX + "location / { weir_limit zone=one nodelay; }"
        "location /no { weir_geo_deny XX; alias @dir@/html/index.html; }"
        "location /yes { weir_geo_allow XX; alias @dir@/html/index.html; }")
    path = nginx.dir / "http.sock"
    assert get(path, "/no").status == 403
    assert get(path, "/yes").status == 200
    assert statuses(path, 4) == [200] * 3 + [429]
    assert nginx.errors("geo denied, country: XX, client: unix:")


def test_realip_gives_a_unix_socket_client_an_address(serve):
    nginx = serve("set_real_ip_from unix:;", UNIX + "location / { }")
    get(nginx.dir / "http.sock", "/?id=x", a.KR)
    assert nginx.access("x")["weir_country"] == "KR"


FILTERED = ("weir_geo_deny KP; weir_geo_headers on; location / {"
            " weir_limit zone=one nodelay; }")


@pytest.mark.parametrize("data", [
    b"\x00" * 100 + b"\r\n\r\n", b"\xff\xfe\xfd\r\n\r\n", b"GET\r\n\r\n",
    b"GET / HTTP/9.9\r\nHost: a\r\n\r\n",
    b"GET / HTTP/1.1\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: a\r\n folded: KR\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: a\r\nX-Geo-Country : KR\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: a\r\nX-Geo\x00Country: KR\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: a\r\n: KR\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n",
    b"GET /%zz HTTP/1.1\r\nHost: a\r\n\r\n",
    b"GET /../../etc HTTP/1.1\r\nHost: a\r\n\r\n",
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\x00" * 64,
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\xff" * 64,
    b"GET / HTTP/1.1\r\nHost: a\r\n" + b"A: b\r\n" * 10000 + b"\r\n",
    b"GET /" + b"a" * 100000 + b" HTTP/1.1\r\nHost: a\r\n\r\n",
], ids=range(16))
def test_garbage_is_refused(serve, data):
    nginx = serve(ZONE, FILTERED)
    answer = raw(nginx.port, data)
    assert not answer or b" 200 " not in answer.split(b"\r\n")[0]


def test_a_request_that_never_ends_its_head_harms_nothing(serve):
    nginx = serve(ZONE, FILTERED)
    for part in (b"", b"G", b"GET / HTTP/1.1\r\nHost: a\r\nX-Geo-Coun"):
        assert raw(nginx.port, part) == b""


def test_http_09_is_served(serve):
    nginx = serve(ZONE, FILTERED)
    assert raw(nginx.port, b"GET /\r\n") == b"index\n"


@pytest.mark.parametrize("data", [
    b"\x00\xff\r\n\r\n", b"GET / HTTP/1.1\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: a\r\n folded: KR\r\n\r\n"])
def test_variables_of_a_bad_request_can_be_logged(serve, data):
    """Such a request never reaches a phase; logging asks for its country."""
    nginx = serve(ZONE, FILTERED + "access_log @dir@/bad.log test;")
    assert b" 400 " in raw(nginx.port, data)
    path = nginx.dir / "bad.log"
    words = wait_for(lambda: path.read_text().split(), "a line in the log")
    assert words[:5] == ["-", "400", "-", "-", "-"]
    assert words[5] == "ZZ"


@pytest.mark.parametrize("forwarded", [
    "garbage", "999.1.1.1", "", ",", "::::", "168.126.63.1:port", "unix:",
    "x" * 5000])
def test_a_forwarded_address_that_is_none_leaves_the_connections(serve, forwarded):
    nginx = serve(ZONE, "location / { }")
    get(nginx.port, "/?id=x", forwarded)
    assert nginx.access("x")["weir_country"] == "ZZ"


def test_a_client_that_leaves_early_is_charged_and_forgotten(serve):
    nginx = serve(ZONE, LIMIT)
    for number in range(50):
        with Connection(nginx.port) as connection:
            connection.send(encode(f"/?k=left{number}"))
    assert statuses(nginx.port, 2, "/?k=new") == [200, 429]
