"""Whose limit it is: addresses that a proxy tells, and two limiters at once.

The limit goes by the address that realip finds, at whatever level it is told
whom to trust, on every protocol. limit_req and weir_limit judge one request
independently, limit_req first: what it refuses never reaches weir, and what
weir refuses has been charged by limit_req, as between nginx's own modules.
"""

import shutil
import subprocess

import pytest

import http2
import server
from client import Connection, encode, get, read_response

ZONE = "weir_limit_zone $binary_remote_addr zone=one:1m rate=1r/m;"
LIMIT = "weir_limit zone=one burst=4 nodelay;"
LOCATION = f"location / {{ {LIMIT} }}"

FIVE_OF_8 = [200] * 5 + [429] * 3

A, B, A6, B6 = "198.51.100.1", "198.51.100.2", "2001:db8:1::1", "2001:db8:2::1"


@pytest.fixture(params=["HTTP/1.1", "HTTP/2"])
def protocol(request):
    """What to listen with, and a Connection class."""
    if request.param == "HTTP/2":
        return http2.listen(), http2.Connection
    return "", Connection


def codes(client, count, address, headers=()):
    """The status codes of so many requests on one connection."""
    return [client.request("/", address, headers).status for _ in range(count)]


# ---- Addresses that a proxy tells ----

@pytest.mark.parametrize("level", ["http", "server", "location"])
def test_the_limit_goes_by_the_address_that_realip_finds(start_limited, protocol,
                                                         level):
    """Also where requests of many clients share a proxy's connection."""
    listen, connect = protocol
    at = {name: server.REALIP if name == level else ""
          for name in ("http", "server", "location")}
    nginx = start_limited(
        at["http"] + ZONE, at["server"] + f"location / {{ {at['location']}"
        f" {LIMIT} }}", realip="", listen=listen)
    with connect(nginx.port) as client:
        for address in (A, B, A6, B6):
            assert codes(client, 8, address) == FIVE_OF_8
        assert codes(client, 8, None) == FIVE_OF_8
        assert codes(client, 2, A) == [429] * 2
    for address in (A, B, A6, B6):
        assert nginx.errors(f"limiting .*, client: {address}, ")


def test_clients_of_one_proxy_take_turns(start_limited, protocol):
    listen, connect = protocol
    nginx = start_limited(ZONE, LOCATION, listen=listen)
    with connect(nginx.port) as client:
        turns = [client.request("/", address).status
                 for address in (A, B) * 8]
    assert turns[::2] == turns[1::2] == FIVE_OF_8


@pytest.mark.parametrize("level", ["http", "server", "location"])
def test_who_is_not_trusted_is_the_client(start_limited, protocol, level):
    listen, connect = protocol
    realip = "set_real_ip_from 192.0.2.1; real_ip_header X-Forwarded-For;"
    at = {name: realip if name == level else ""
          for name in ("http", "server", "location")}
    nginx = start_limited(
        at["http"] + ZONE, at["server"] + f"location / {{ {at['location']}"
        f" {LIMIT} }}", realip="", listen=listen)
    with connect(nginx.port) as client:
        spoofed = [client.request("/", f"198.51.100.{n}").status
                   for n in range(8)]
    assert spoofed == FIVE_OF_8


@pytest.mark.parametrize("chain, same", [
    ("{}, 127.0.0.1", True),
    ("203.0.113.9, {}", True),
    ("203.0.113.9, {}, 192.0.2.1, 192.0.2.2", True),
    ("{}, 203.0.113.9", False),
])
def test_of_a_chain_of_proxies_the_last_one_that_is_not_trusted_counts(
        start_limited, protocol, chain, same):
    """What a client writes ahead of it changes nothing."""
    listen, connect = protocol
    nginx = start_limited(
        ZONE, LOCATION, listen=listen, realip="set_real_ip_from 192.0.2.0/24;"
        "set_real_ip_from 127.0.0.1; real_ip_recursive on;"
        "real_ip_header X-Forwarded-For;")
    with connect(nginx.port) as client:
        assert codes(client, 8, chain.format(A)) == FIVE_OF_8
        left = codes(client, 1, chain.format(B))
        assert left == ([200] if same else [429])
        assert codes(client, 1, A) == ([429] if same else [200])


def test_another_header_can_tell_the_address(start_limited, protocol):
    listen, connect = protocol
    nginx = start_limited(
        ZONE, LOCATION, listen=listen,
        realip="set_real_ip_from 127.0.0.1; real_ip_header X-Real-IP;")
    with connect(nginx.port) as client:
        for address in (A, B):
            told = [("X-Real-IP", address)]
            assert codes(client, 8, "203.0.113.9", told) == FIVE_OF_8


def proxy_line(address):
    family = "TCP6" if ":" in address else "TCP4"
    return f"PROXY {family} {address} {address} 4711 80\r\n".encode()


@pytest.mark.parametrize("level", ["http", "server", "location"])
def test_the_limit_goes_by_the_proxy_protocols_address(start_limited, protocol,
                                                       level):
    """One connection is one client here, whatever its headers say."""
    listen, connect = protocol
    realip = "set_real_ip_from 127.0.0.1; real_ip_header proxy_protocol;"
    at = {name: realip if name == level else ""
          for name in ("http", "server", "location")}
    listen = f"proxy_protocol {listen}"
    nginx = start_limited(
        at["http"] + ZONE, at["server"] + f"location / {{ {at['location']}"
        f" {LIMIT} }}", realip="", listen=listen)
    for address in (A, B, A6, B6):
        seen = []
        for _ in range(4):
            with connect(nginx.port, proxy_line(address)) as client:
                seen += codes(client, 2, "203.0.113.9")
        assert seen == FIVE_OF_8


def test_a_proxy_that_is_not_trusted_is_the_client_itself(start_limited, protocol):
    listen, connect = protocol
    nginx = start_limited(
        ZONE, LOCATION, listen=f"proxy_protocol {listen}",
        realip="set_real_ip_from 192.0.2.1; real_ip_header proxy_protocol;")
    seen = []
    for number in range(8):
        line = proxy_line(f"198.51.100.{number}")
        with connect(nginx.port, line) as client:
            seen += codes(client, 1, None)
    assert seen == FIVE_OF_8


def test_an_unknown_address_of_the_proxy_protocol_is_the_proxys(start_limited):
    nginx = start_limited(
        ZONE, LOCATION, listen="proxy_protocol",
        realip="set_real_ip_from 127.0.0.1; real_ip_header proxy_protocol;")
    seen = []
    for _ in range(8):
        with Connection(nginx.port, b"PROXY UNKNOWN\r\n") as client:
            seen += codes(client, 1, None)
    assert seen == FIVE_OF_8


def why_not_http3():
    """What is missing here for a test over HTTP/3."""
    built = subprocess.run([server.binary(), "-V"], capture_output=True,
                           text=True, check=True).stderr
    if "http_v3_module" not in built:
        return "this nginx is built without http_v3_module"
    curl = shutil.which("curl")
    if not curl or "HTTP3" not in subprocess.run(
            [curl, "-V"], capture_output=True, text=True, check=True).stdout:
        return "there is no curl that speaks HTTP/3"
    return ""


@pytest.mark.parametrize("level", ["http", "server", "location"])
def test_over_http_3_the_limit_goes_by_realip_as_well(make_nginx, limiter, level):
    if missing := why_not_http3():
        pytest.skip(missing)
    at = {name: server.REALIP if name == level else ""
          for name in ("http", "server", "location")}
    nginx = make_nginx(
        at["http"] + limiter(ZONE) + "server {"
        " listen 127.0.0.1:@port@ quic; http3 on; root @dir@/html;"
        " ssl_certificate @dir@/cert; ssl_certificate_key @dir@/key;"
        f" {at['server']} {limiter.status}"
        f" location / {{ {at['location']} {limiter(LIMIT)} }} }}",
        realip="", module=not limiter.plain, workers=1)
    subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes",
                    "-subj", "/CN=localhost", "-out", nginx.dir / "cert",
                    "-keyout", nginx.dir / "key"], capture_output=True, check=True)
    nginx.start()

    def ask(address):
        """A connection for each: curl of Debian 13 loses answers of others."""
        return subprocess.run(
            ["curl", "-sSk", "--http3-only", "--noproxy", "*", "--max-time", "60",
             "-H", f"X-Forwarded-For: {address}", "-o", "/dev/null",
             "-w", "HTTP/%{http_version} %{http_code}",
             f"https://127.0.0.1:{nginx.port}/"],
            capture_output=True, text=True, check=True).stdout

    for address in (A, B, A6, B6):
        assert [ask(address) for _ in range(8)] == \
            [f"HTTP/3 {code}" for code in FIVE_OF_8]


# ---- limit_req and weir_limit on one request ----

WORDS = ('log_format both "$arg_id $status $limit_req_status $weir_limit_status";'
         " access_log @dir@/both.log both;")


@pytest.fixture
def serve_both(start_nginx):
    """limit_req counts by ?r=, weir_limit by ?w=."""
    def start(limit_req, weir, more="", rate="1r/m"):
        nginx = start_nginx(
            f"limit_req_zone $arg_r zone=req:1m rate={rate};"
            f" weir_limit_zone $arg_w zone=weir:1m rate={rate};" + WORDS,
            f"location / {{ weir_limit zone=weir {weir};"
            f" limit_req zone=req {limit_req}; {more} }}")
        return nginx
    return start


def both(nginx, r, w):
    """The status of a request, and both modules' words on it."""
    identity = f"r{len(nginx.lines('both.log'))}"
    get(nginx.port, f"/?id={identity}&r={r}&w={w}")

    def line():
        found = [words.split() for words in nginx.lines("both.log")]
        return [words[1:] for words in found if words[0] == identity]

    return tuple(server.wait_for(line, f"request {identity} in both.log")[0])


PASSED = ("200", "PASSED", "PASSED")
BY_LIMIT_REQ = ("503", "REJECTED", "-")
BY_WEIR = ("429", "PASSED", "REJECTED")


def test_what_limit_req_refuses_is_not_charged_by_weir(serve_both):
    nginx = serve_both("burst=2 nodelay", "burst=4 nodelay")
    assert [both(nginx, "a", "x") for _ in range(3)] == [PASSED] * 3
    assert [both(nginx, "a", "x") for _ in range(4)] == [BY_LIMIT_REQ] * 4
    assert [both(nginx, "b", "x") for _ in range(3)] == [PASSED] * 2 + [BY_WEIR]


def test_what_weir_refuses_has_been_charged_by_limit_req(serve_both):
    nginx = serve_both("burst=4 nodelay", "burst=2 nodelay")
    assert [both(nginx, "a", "x") for _ in range(3)] == [PASSED] * 3
    assert [both(nginx, "a", "x") for _ in range(3)] == \
        [BY_WEIR] * 2 + [BY_LIMIT_REQ]
    assert both(nginx, "a", "y") == BY_LIMIT_REQ
    assert both(nginx, "b", "x") == BY_WEIR
    assert both(nginx, "b", "y") == PASSED


def test_where_both_would_refuse_limit_req_does(serve_both):
    nginx = serve_both("nodelay", "nodelay")
    assert both(nginx, "a", "x") == PASSED
    assert both(nginx, "a", "x") == BY_LIMIT_REQ
    assert len(nginx.errors('limiting requests, .* by zone "req"')) == 1
    assert not nginx.errors('by zone "weir"')


@pytest.mark.parametrize("dry_run, words", [
    ("limit_req_dry_run on;", [("200", "REJECTED_DRY_RUN", "PASSED"),
                               ("429", "REJECTED_DRY_RUN", "REJECTED")]),
    ("weir_limit_dry_run on;", [("503", "REJECTED", "-")] * 2),
    ("limit_req_dry_run on; weir_limit_dry_run on;",
     [("200", "REJECTED_DRY_RUN", "PASSED"),
      ("200", "REJECTED_DRY_RUN", "REJECTED_DRY_RUN")]),
])
def test_a_dry_run_of_one_is_not_one_of_the_other(serve_both, dry_run, words):
    nginx = serve_both("burst=1 nodelay", "burst=2 nodelay", dry_run)
    assert [both(nginx, "a", "x") for _ in range(4)] == [PASSED] * 2 + words


def test_an_empty_key_of_one_is_not_one_of_the_other(serve_both):
    nginx = serve_both("nodelay", "nodelay")
    assert both(nginx, "", "x") == ("200", "-", "PASSED")
    assert both(nginx, "", "x") == ("429", "-", "REJECTED")
    assert both(nginx, "a", "") == ("200", "PASSED", "-")
    assert both(nginx, "a", "") == BY_LIMIT_REQ


def words_of_a_burst(nginx, n):
    """Both modules' words on four requests that come at once."""
    clients = [Connection(nginx.port) for _ in range(4)]
    for number, client in enumerate(clients):
        client.send(encode(f"/?id=c{n}x{number}&r={n}&w={n}"))
    for client in clients:
        assert read_response(client.stream).status == 200
        client.close()
    server.wait_for(lambda: len(nginx.lines("both.log")) == 4 * (n + 1),
                    "the log")
    return {tuple(line.split()[1:]) for line in nginx.lines("both.log")[4 * n:]}


@pytest.mark.parametrize("limit_req, weir, words", [
    ("burst=9", "burst=9 nodelay", ("200", "DELAYED", "PASSED")),
    ("burst=9 nodelay", "burst=9", ("200", "PASSED", "DELAYED")),
    ("burst=9", "burst=9 delay=9", ("200", "DELAYED", "PASSED")),
])
def test_one_may_delay_what_the_other_lets_pass(serve_both, limit_req, weir, words):
    """A machine may be so slow that nothing is delayed: then once more."""
    nginx = serve_both(limit_req, weir, rate="10r/s")
    for n in range(50):
        seen = words_of_a_burst(nginx, n)
        assert seen <= {PASSED, words}
        if words in seen:
            break
    assert words in seen


def test_what_limit_req_has_delayed_comes_to_weir_one_by_one(serve_both):
    """Four at once would be one too many for weir's burst."""
    nginx = serve_both("burst=9", "burst=2", rate="10r/s")
    for n in range(3):
        words_of_a_burst(nginx, n)
    assert not nginx.errors("limiting requests")


def test_a_page_for_both_kinds_of_refusal_is_charged_by_neither(serve_both):
    nginx = serve_both(
        "burst=1 nodelay", "burst=2 nodelay",
        "error_page 503 429 = /index.html;")
    assert [both(nginx, "a", "x") for _ in range(2)] == [PASSED] * 2
    get(nginx.port, "/?r=a&w=x")
    assert both(nginx, "b", "x") == PASSED
    answers = [get(nginx.port, f"/?r=c{n}&w=x") for n in range(3)]
    assert {answer.text for answer in answers} == {"index\n"}
    assert len(nginx.errors('limiting requests, .* by zone "req"')) == 1
    assert len(nginx.errors('limiting requests, .* by zone "weir"')) == 3
