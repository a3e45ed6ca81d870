"""What becomes of a request while it waits for its limit, and after.

It has one delay and one charge however nginx serves it, and loses no byte of
its body nor of its answer. test_delay.py says which requests wait, and
test_leaving.py what happens when a client or a worker goes away meanwhile.
"""

import hashlib

import pytest

import http2
from client import Connection, encode, get, read_response, statuses
from server import wait_for
from test_charge_once import CASES
from upstreams import http_upstream
from waiting import CLIENT, DELAYING, delayed_answer, judged

FAST = "weir_limit_zone $binary_remote_addr zone=one:1m rate=10r/s;"
WAIT = "weir_limit zone=one burst=20;"
PRIME = ("location /prime { weir_limit zone=one burst=99 nodelay;"
         " alias @dir@/html/index.html; }")
PROXY = "proxy_pass http://127.0.0.1:@upstream@;"


def digest(data):
    return hashlib.sha256(data).hexdigest()


@pytest.fixture(scope="module")
def upstream():
    """Tells what arrived of a body."""
    def reply(request):
        path, _, arguments = request.path.partition("?")
        if path == "/accel":
            return 200, [("X-Accel-Redirect", "/protected?" + arguments)]
        return 200, [("X-Body", digest(request.body))]

    with http_upstream(reply) as port:
        yield port


@pytest.fixture
def serve(start_limited, upstream):
    def start(http, inside, **options):
        nginx = start_limited(http, inside, words={"upstream": upstream},
                              **options)
        for name in ("page", "sub/page", "part"):
            nginx.write(name, name.rpartition("/")[2] + "\n")
        nginx.write("ssi", "".join(
            f'<!--#include virtual="/page?{i}" -->' for i in range(6)))
        nginx.write("ssi2", '<!--#include virtual="/ssi" -->' * 3)
        nginx.write("parts", '<!--#include virtual="/part" -->' * 3)
        nginx.write("late", '<!--#include virtual="/proxied" -->'
                            '<!--#include virtual="/part" -->')
        nginx.write("set", '<!--#include virtual="/part" set="x" -->'
                           '<!--#echo var="x" -->')
        return nginx
    return start


@pytest.fixture(params=["HTTP/1.1", "HTTP/2"])
def protocol(request):
    """An nginx option and a Connection class."""
    if request.param == "HTTP/2":
        return {"listen": http2.listen()}, http2.Connection
    return {}, Connection


# ---- One delay, one charge ----

@pytest.mark.parametrize("case", CASES)
def test_waits_once_and_is_charged_once(serve, case):
    """As in test_charge_once.py five requests pass, while a second limit makes
    them wait; those that a slow machine didn't delay come again from another
    address."""
    server, path, status = CASES[case]
    nginx = serve(FAST + "weir_limit_zone $binary_remote_addr zone=count:1m"
                  " rate=1r/m;",
                  server + WAIT + "weir_limit zone=count burst=4 nodelay;")
    for n in range(1, 50):
        address = f"198.51.100.{n}"
        clients = [Connection(nginx.port) for _ in range(5)]
        for client in clients:
            client.send(encode(path, address))
        for client in clients:
            assert read_response(client.stream).status == status
            client.close()
        assert statuses(nginx.port, 3, path, address) == [429] * 3
        wait_for(lambda: len(nginx.lines("access.log")) == 8 * n, "the log")
        words = [line.split()[3] for line in nginx.lines("access.log")]
        if "DELAYED" in words:
            break
    assert words.count("DELAYED") == len(nginx.errors(DELAYING))
    assert len(nginx.errors("limiting requests")) == 3 * n


# name: (inside of a server, path, body). Only what is asked for on the way is
# limited.
BEHIND = {
    "auth_request":
        ("location / { auth_request /part; } location /part { %s }",
         "/page", "page\n"),
    "auth_request to an upstream":
        (f"location / {{ auth_request /ask; }} location /ask {{ %s {PROXY} }}",
         "/page", "page\n"),
    "server-side includes":
        ("ssi on; ssi_types *; location /part { %s }", "/parts", "part\n" * 3),
    "an include behind a proxied one":
        (f"ssi on; ssi_types *; location /part {{ %s }}"
         f" location /proxied {{ {PROXY} }}", "/late", "part\n"),
    "an include that is kept for later":
        ("ssi on; ssi_types *; location /part { %s }", "/set", "part\n"),
    "addition":
        ("location /page { add_before_body /part; add_after_body /part;"
         " addition_types *; } location /part { %s }",
         "/page", "part\npage\npart\n"),
    "error_page":
        ("location /none { error_page 404 =200 /part?$args; }"
         " location /part { %s }", "/none", "part\n"),
    "error_page of a proxied request":
        ("location /none { error_page 502 =200 /part?$args;"
         " proxy_pass http://127.0.0.1:@port9@; } location /part { %s }",
         "/none", "part\n"),
    "try_files":
        ("location / { try_files /none @part; } location @part { %s"
         " rewrite ^ /part break; }", "/", "part\n"),
    "X-Accel-Redirect":
        (f"location /accel {{ {PROXY} }} location /protected {{ %s"
         " alias @dir@/html/part; }", "/accel", "part\n"),
    "an internal redirect":
        ("location / { rewrite ^ /part last; } location /part { %s }",
         "/", "part\n"),
}


@pytest.mark.parametrize("case", BEHIND)
def test_what_is_behind_a_request_may_wait(serve, protocol, case):
    server, path, body = BEHIND[case]
    options, connect = protocol
    nginx = serve(FAST, server.replace("%s", WAIT) + PRIME, **options)
    with connect(nginx.port) as client:
        def ask(name):
            return client.request(f"{path}?id={name}", CLIENT)

        def prime():
            return client.request("/prime", CLIENT)

        answer = delayed_answer(nginx, ask, prime)
        assert answer.status == 200
        assert answer.text.endswith(body)
        assert prime().status == 200
    words = [line.split()[3] for line in nginx.lines("access.log")]
    assert words.count("DELAYED") == len(nginx.errors(DELAYING))


def test_a_copy_that_would_wait_keeps_nothing_open(start_nginx, upstream):
    """Not limit_req's: a mirror's copy that it delays is never resumed, and
    the request that was mirrored never ends."""
    nginx = start_nginx(
        FAST, f"location / {{ mirror /copy; {PROXY} }}"
        f" location /copy {{ internal; {WAIT} {PROXY} }}" + PRIME,
        words={"upstream": upstream})
    with Connection(nginx.port) as client:
        for number in range(4):
            get(nginx.port, "/prime", CLIENT)
            assert client.request(f"/?id=r{number}", CLIENT).status == 200
            assert nginx.access(f"r{number}")["status"] == "200"
    nginx.reload(wait_for_exit=True)


# ---- Bodies and answers ----

BODY = bytes(range(256)) * 1200


@pytest.mark.parametrize("option", [
    "", "proxy_request_buffering off;", "client_body_buffer_size 1k;",
    "client_body_in_single_buffer on; client_body_buffer_size 1m;",
    "client_body_in_file_only clean;"])
def test_a_body_that_comes_during_the_delay_arrives_whole(serve, protocol,
                                                          option):
    options, connect = protocol
    nginx = serve(FAST, f"location / {{ {WAIT} {PROXY} {option} }}" + PRIME,
                  **options)
    with connect(nginx.port) as client:
        def prime():
            return client.request("/prime", CLIENT)

        def at_once(name):
            return client.request(f"/?id={name}", CLIENT, method="POST",
                                  body=BODY)

        def in_parts(name):
            path, half = f"/?id={name}", len(BODY) // 2
            if connect is Connection:
                whole = encode(path, CLIENT, method="POST", body=BODY)
                client.send(whole[:-half])
                wait_for(lambda: judged(nginx, name), "the delay")
                client.send(whole[-half:])
                return read_response(client.stream)
            stream = client.send(path, CLIENT, method="POST", end=False,
                                 body=BODY[:-half])
            wait_for(lambda: judged(nginx, name), "the delay")
            client.send_body(stream, BODY[-half:])
            return client.read(stream)

        for ask in (at_once, in_parts):
            answer = delayed_answer(nginx, ask, prime)
            assert answer.header("X-Body") == digest(BODY)


def test_who_expects_100_gets_it_after_the_delay(serve):
    nginx = serve(FAST, f"location / {{ {WAIT} {PROXY} }}" + PRIME)
    expect = [("Expect", "100-continue"), ("Content-Length", "5")]

    def ask(name):
        with Connection(nginx.port) as client:
            client.send(encode(f"/?id={name}", CLIENT, expect, method="POST"))
            assert read_response(client.stream, "HEAD").status == 100
            assert nginx.errors(rf"{DELAYING}.*id={name} ")
            client.send(b"hello")
            return read_response(client.stream)

    assert delayed_answer(nginx, ask).header("X-Body") == digest(b"hello")


@pytest.mark.parametrize("option", [
    "", "sendfile on;", "limit_rate 4m;", "postpone_output 0;",
    "output_buffers 1 1k;"])
def test_a_large_answer_is_whole_after_a_delay(serve, protocol, option):
    options, connect = protocol
    nginx = serve(FAST, f"location / {{ {WAIT} {option} }}" + PRIME, **options)
    large = b"0123456789abcdef" * 300000
    nginx.write("large", large)
    with connect(nginx.port) as client:
        answer = delayed_answer(
            nginx, lambda name: client.request(f"/large?id={name}", CLIENT),
            lambda: client.request("/prime", CLIENT))
    assert answer.body == large


def test_a_delay_is_no_time_out(serve, protocol):
    options, connect = protocol
    nginx = serve(FAST, f"location / {{ {WAIT} send_timeout 1ms;"
                  " client_body_timeout 1ms; keepalive_time 1ms; }" + PRIME,
                  **options)

    def ask(name):
        with connect(nginx.port) as client:
            return client.request(f"/?id={name}", CLIENT)

    assert delayed_answer(nginx, ask, lambda: ask("prime")).status == 200
