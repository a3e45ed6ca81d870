"""count=CODES: only responses with such a status use a client's budget.

A request is looked at before it is served, and charged when its response
turns out to be one of those; a charge that comes so late refuses nobody. What
a budget has left is read at `/left`, where every request is charged and 12 are
let through in all. limit_req has nothing like it.
"""

import contextlib
import threading

import pytest

import addresses
import http2
from client import Connection, encode, get, pipeline, read_response, statuses
from server import wait_for
from storm import Storm
from upstreams import http_upstream

ZONE = "weir_limit_zone $binary_remote_addr zone=login:1m rate=1r/m;"
COUNT = "weir_limit zone=login burst=4 nodelay count=401;"
PROXY = "proxy_pass http://127.0.0.1:@upstream@;"
LOGIN = f"location / {{ {COUNT} {PROXY} }}"
LEFT = ("location /left { weir_limit zone=login burst=11 nodelay;"
        " alias @dir@/html/index.html; }")
CLIENT = "198.51.100.1"

GOOD, BAD = "/?s=200", "/?s=401"
FIVE_OF_8 = [401] * 5 + [429] * 3

WORKERS = pytest.mark.parametrize("workers, listen", [
    (1, ""), (2, ""), (4, ""), (2, "reuseport"), (4, "reuseport")])


class Upstream:
    """Answers with the status of ?s=. What has ?hold= waits for release()."""

    def __init__(self):
        self.port = None
        self.asked = []
        self._held = threading.Event()
        self.release = self._held.set

    def reply(self, request):
        self.asked.append(request.path)
        if "hold=" in request.path:
            self._held.wait(60)
        return int(request.path.partition("s=")[2][:3] or 200), []


@pytest.fixture
def upstream():
    record = Upstream()
    with http_upstream(record.reply) as record.port:
        yield record
        record.release()


@pytest.fixture
def serve(start_nginx, upstream):
    def start(server=LOGIN, http=ZONE, **options):
        nginx = start_nginx(http, server + LEFT, **options,
                            words={"upstream": upstream.port})
        nginx.write("part", "part\n")
        nginx.write("ssi", '<!--#include virtual="/?s=401" -->')
        return nginx
    return start


def charged(nginx, address=CLIENT):
    """How much of a budget was used. It uses up the rest."""
    codes = statuses(nginx.port, 13, "/left", address)
    return 12 - codes.count(200)


def in_flight(nginx, upstream, count, path=BAD):
    """Connections of so many requests whose answers the upstream holds."""
    before = len(upstream.asked)
    clients = [Connection(nginx.port) for _ in range(count)]
    for number, client in enumerate(clients):
        client.send(encode(f"{path}&hold=1&id=held{number}", CLIENT))
    wait_for(lambda: len(upstream.asked) == before + count,
             "requests in flight")
    return clients


# ---- Which responses count ----

@WORKERS
def test_failed_logins_use_the_budget_and_good_ones_do_not(serve, upstream,
                                                           workers, listen):
    nginx = serve(workers=workers, listen=listen)
    assert statuses(nginx.port, 30, GOOD, CLIENT) == [200] * 30
    assert statuses(nginx.port, 8, BAD, CLIENT) == FIVE_OF_8
    assert statuses(nginx.port, 3, GOOD, CLIENT) == [429] * 3
    assert len(upstream.asked) == 35
    assert statuses(nginx.port, 8, BAD, "198.51.100.2") == FIVE_OF_8


# Nobody sends a password.
AUTH = "auth_basic login; auth_basic_user_file @dir@/users;"

ASK = "location /ask { %s proxy_pass http://127.0.0.1:@upstream@/?s=401; }"

# name: (inside of a server, path, status, how many of ten are charged)
RESPONSES = {
    "a password that nginx checks":
        (f"location / {{ {COUNT} {AUTH} }}", "/", 401, 5),
    "auth_request":
        (f"location / {{ {COUNT} auth_request /ask; }}" + ASK % "",
         "/", 401, 5),
    "a limited request with a limited auth_request":
        (COUNT + "location / { auth_request /ask; }" + ASK % "", "/", 401, 5),
    "a page of its own":
        (f"location / {{ {COUNT} {PROXY} proxy_intercept_errors on;"
         " error_page 401 /part; }", BAD, 401, 5),
    "a named location of its own":
        (f"location / {{ {COUNT} {PROXY} proxy_intercept_errors on;"
         " error_page 401 @page; } location @page { rewrite ^ /part break; }",
         BAD, 401, 5),
    "a page that makes it another status":
        (f"location / {{ {COUNT} {AUTH} error_page 401 =200 /part; }}"
         " location /part { }", "/", 200, 0),
    "a page that makes it one that counts":
        (f"location / {{ {COUNT} error_page 404 =401 /part; }}"
         " location /part { }", "/none", 401, 5),
    "an upstream that is not there":
        (f"location / {{ {COUNT.replace('401', '502,504')}"
         " proxy_pass http://127.0.0.1:@port9@; }", "/", 502, 5),
    "a forbidden file":
        (f"location / {{ {COUNT.replace('401', '403')} deny all; }}",
         "/", 403, 5),
    "a missing file":
        (f"location / {{ {COUNT.replace('401', '404')} }}", "/none", 404, 5),
    "a status that is not listed":
        (LOGIN, "/?s=403", 403, 0),
    "one of several that are listed":
        (LOGIN.replace("401", "401,403,500"), "/?s=403", 403, 5),
    "a good one that is listed":
        (LOGIN.replace("401", "200"), GOOD, 200, 5),
    "a part of a page":
        (f"{COUNT} ssi on; ssi_types *; location /ssi {{ }}"
         f" location / {{ {PROXY} }}", "/ssi", 200, 0),
    "a mirror's copy":
        (f"location / {{ {COUNT} mirror /copy; }} location /copy {{ {PROXY} }}",
         "/index.html?s=401", 200, 0),
    "return, which answers before any limit":
        (f"location / {{ {COUNT} return 401; }}", "/", 401, 0),
}


@pytest.mark.parametrize("case", RESPONSES)
def test_the_status_of_the_response_decides(serve, case):
    server, path, status, expected = RESPONSES[case]
    nginx = serve(server)
    codes = statuses(nginx.port, 10, path, CLIENT)
    assert codes == ([status] * 5 + [429] * 5 if expected else [status] * 10)
    assert charged(nginx) == expected


def test_a_limit_of_an_auth_request_counts_what_the_client_is_answered(serve):
    """Its own refusal is an answer to nginx, which makes it the client's."""
    nginx = serve("location / { auth_request /ask; }"
                  + ASK % (COUNT + "weir_limit_status 403;"))
    assert statuses(nginx.port, 8, "/", CLIENT) == [401] * 5 + [403] * 3
    assert charged(nginx) == 5


def test_requests_of_one_connection_are_judged_each_on_its_own(serve):
    nginx = serve()
    requests = [encode(path, CLIENT) for path in [GOOD, BAD] * 8]
    assert pipeline(nginx.port, requests) == [200, 401] * 5 + [429] * 6
    assert charged(nginx) == 5


@pytest.mark.parametrize("codes", ["401,429", "429,401"])
def test_weirs_own_refusals_never_count(serve, codes):
    nginx = serve(LOGIN.replace("401", codes))
    assert statuses(nginx.port, 30, BAD, CLIENT) == [401] * 5 + [429] * 25
    assert charged(nginx) == 5


def test_refusals_of_another_limit_never_count(serve):
    nginx = serve("location / { weir_limit zone=all burst=2 nodelay;"
                  f" {COUNT.replace('401', '401,429')} {PROXY} }}",
                  ZONE + ZONE.replace("zone=login", "zone=all"))
    assert statuses(nginx.port, 10, BAD, CLIENT) == [401] * 3 + [429] * 7
    assert charged(nginx) == 3


def test_denials_by_country_never_count(serve, country_db):
    """Behind a redirect, too, when the limit has let the request pass."""
    nginx = serve(
        f"location / {{ {COUNT.replace('401', '401,403')} error_page 404 = /denied;"
        " location /none {} } location /denied { weir_geo_deny KP; }",
        f"weir_geo_db {country_db};" + ZONE)
    assert statuses(nginx.port, 10, "/none", addresses.KP) == [403] * 10
    nginx.reload(ZONE, LOGIN + LEFT)
    assert charged(nginx, addresses.KP) == 0


def test_a_refusal_by_a_counting_limit_charges_no_other(serve):
    nginx = serve(f"location / {{ weir_limit zone=all burst=9 nodelay; {COUNT}"
                  f" {PROXY} }} location /all {{ weir_limit zone=all burst=9"
                  " nodelay; alias @dir@/html/index.html; }",
                  ZONE + ZONE.replace("zone=login", "zone=all"))
    assert statuses(nginx.port, 20, BAD, CLIENT) == [401] * 5 + [429] * 15
    assert statuses(nginx.port, 6, "/all", CLIENT) == [200] * 5 + [429]


@pytest.mark.parametrize("word", ["count=", "count=x", "count=401,", "count=42",
                                  "count=401,4o3", "count=-401", "count=40100"])
def test_a_code_that_is_none_is_a_configuration_error(make_nginx, word):
    nginx = make_nginx(
        ZONE, f"location / {{ weir_limit zone=login burst=4 nodelay {word}; }}")
    code, said = nginx.check()
    assert code == 1 and "[emerg]" in said and "expected" in said
    codes = word.partition("=")[2]
    assert any(f'"{text}"' in said for text in (word, codes, codes[4:]))


def test_a_dry_run_refuses_nobody(serve):
    nginx = serve(LOGIN.replace("count", "dry_run count"))
    assert statuses(nginx.port, 9, BAD, CLIENT) == [401] * 9
    get(nginx.port, BAD + "&id=x", CLIENT)
    assert nginx.access("x")["weir_limit_status"] == "REJECTED_DRY_RUN"


# ---- Requests in flight ----

def test_a_late_charge_refuses_nobody_and_counts_all_the_same(serve, upstream):
    nginx = serve()
    clients = in_flight(nginx, upstream, 10)
    upstream.release()
    assert [read_response(c.stream).status for c in clients] == [401] * 10
    assert statuses(nginx.port, 5, GOOD, CLIENT) == [429] * 5
    assert charged(nginx) == 10


def test_what_is_in_flight_uses_nothing_until_it_is_answered(serve, upstream):
    nginx = serve()
    clients = in_flight(nginx, upstream, 100, GOOD)
    assert statuses(nginx.port, 5, BAD, CLIENT) == [401] * 5
    assert get(nginx.port, GOOD, CLIENT).status == 429
    upstream.release()
    assert [read_response(c.stream).status for c in clients] == [200] * 100
    assert charged(nginx) == 5


@WORKERS
def test_the_overshoot_is_at_most_what_is_in_flight(serve, workers, listen):
    """100 clients try passwords at once, again and again. When the fifth
    failure is charged, 99 other requests may have been let through."""
    nginx = serve(workers=workers, listen=listen)
    codes = []
    start = threading.Barrier(100)

    def guess():
        start.wait()
        codes.extend(statuses(nginx.port, 3, BAD, CLIENT))

    threads = [threading.Thread(target=guess) for _ in range(100)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert set(codes) <= {401, 429} and len(codes) == 300
    assert 5 <= codes.count(401) <= 5 + 99
    assert statuses(nginx.port, 5, GOOD, CLIENT) == [429] * 5


@WORKERS
def test_good_logins_at_once_use_nothing(serve, workers, listen):
    nginx = serve(workers=workers, listen=listen)
    with Storm(nginx.port, lambda n: GOOD, keep_alive=True) as storm:
        wait_for(lambda: storm.seen(200) >= 400, "good logins")
    assert not storm.failures, storm.failures
    assert storm.seen(429) == 0
    assert statuses(nginx.port, 8, BAD, CLIENT) == FIVE_OF_8


def test_an_old_workers_answer_is_charged_after_a_reload(serve, upstream):
    nginx = serve()
    clients = in_flight(nginx, upstream, 5)
    nginx.reload()
    upstream.release()
    assert [read_response(c.stream).status for c in clients] == [401] * 5
    assert get(nginx.port, GOOD, CLIENT).status == 429


def test_streams_of_one_connection_are_charged_each(serve, upstream):
    nginx = serve(listen=http2.listen())
    with http2.Connection(nginx.port) as client:
        assert [client.request(GOOD, CLIENT).status for _ in range(9)] == [200] * 9
        streams = [client.send(BAD + "&hold=1", CLIENT) for _ in range(7)]
        wait_for(lambda: len(upstream.asked) == 16, "requests in flight")
        assert client.request(GOOD, CLIENT).status == 200
        upstream.release()
        assert [client.read(stream).status for stream in streams] == [401] * 7
        assert client.request(GOOD, CLIENT).status == 429


# ---- Clients that do not wait for the end ----

LARGE = (f"location / {{ {COUNT} {AUTH} error_page 401 /large; }}"
         " location /large { }")


@pytest.mark.parametrize("then", ["read", "close"])
def test_a_response_counts_once_when_its_head_is_sent(serve, then):
    """The client has seen the head and lets the rest wait, or never has it."""
    nginx = serve(LARGE)
    nginx.write("large", b"x" * 8000000)
    with contextlib.ExitStack() as stack:
        clients = [stack.enter_context(Connection(nginx.port)) for _ in range(5)]
        for client in clients:
            client.send(encode("/", CLIENT))
            assert client.stream.readline().split()[1] == b"401"
        assert get(nginx.port, "/", CLIENT).status == 429
        if then == "read":
            for client in clients:
                while client.stream.readline() != b"\r\n":
                    pass
                assert len(client.stream.read(8000000)) == 8000000
    nginx.reload(wait_for_exit=True)
    assert charged(nginx) == 5


def nothing_left(nginx):
    """Whether the budget is used up; a good login looks and is not charged."""
    return get(nginx.port, GOOD, CLIENT).status == 429


@pytest.mark.parametrize("codes, counts", [("401", False), ("401,499", True)])
def test_who_hangs_up_before_any_answer_has_499(serve, upstream, codes, counts):
    nginx = serve(LOGIN.replace("401", codes))
    for client in in_flight(nginx, upstream, 5):
        client.close()
    for number in range(5):
        assert nginx.access(f"held{number}")["status"] == "499"
    upstream.release()
    if counts:
        wait_for(lambda: nothing_left(nginx), "the last charge")
        assert charged(nginx) == 5
    else:
        assert statuses(nginx.port, 8, BAD, CLIENT) == FIVE_OF_8


def test_a_stream_that_is_reset_before_any_answer_has_499(serve, upstream):
    nginx = serve(LOGIN.replace("401", "499"), listen=http2.listen())
    with http2.Connection(nginx.port) as client:
        streams = [client.send(GOOD + "&hold=1", CLIENT) for _ in range(5)]
        wait_for(lambda: len(upstream.asked) == 5, "requests in flight")
        for stream in streams:
            client.reset(stream)
        wait_for(lambda: client.request(GOOD, CLIENT).status == 429,
                 "the last charge")


@pytest.mark.parametrize("codes, counts", [("404", False), ("444", True)])
def test_a_connection_that_is_closed_without_answer_has_444(serve, codes, counts):
    nginx = serve(f"location / {{ {COUNT.replace('401', codes)}"
                  " error_page 404 = @drop; } location @drop { return 444; }")
    for number in range(5):
        with Connection(nginx.port) as client:
            client.send(encode(f"/none?id=r{number}", CLIENT))
            assert client.stream.read() == b""
        assert nginx.access(f"r{number}")["status"] == "444"
    if counts:
        wait_for(lambda: get(nginx.port, "/", CLIENT).status == 429, "the charge")
    assert charged(nginx) == (5 if counts else 0)
