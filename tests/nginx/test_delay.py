"""Which requests a limit delays: burst without nodelay, and delay=N.

Of all that is said here about weir_limit, nginx's own limit_req is asked as
well. What happens to a request while it waits is in test_waiting.py.
"""

import re

import pytest

import http2
from client import Connection, encode, get, pipeline, read_response, statuses
from server import wait_for
from waiting import CLIENT, DELAYING, delayed_answer, ended, hold, send, word

ZONE = "weir_limit_zone $binary_remote_addr zone=one:1m rate=1r/m;"
FAST = "weir_limit_zone $binary_remote_addr zone=one:1m rate=10r/s;"
PRIME = ("location /prime { weir_limit zone=one burst=99 nodelay;"
         " alias @dir@/html/index.html; }")
FREE = "location /free { alias @dir@/html/index.html; }"


@pytest.mark.parametrize("limit, passed, delayed", [
    ("burst=4", 1, 4),
    ("burst=4 delay=1", 2, 3),
    ("burst=4 delay=2", 3, 2),
    ("delay=3 burst=4", 4, 1),
    ("burst=4 delay=4", 5, 0),
    ("burst=4 delay=9", 5, 0),
    ("burst=4 nodelay", 5, 0),
    ("burst=1", 1, 1),
    ("", 1, 0),
    ("delay=3", 1, 0),
    ("nodelay", 1, 0),
])
@pytest.mark.parametrize("workers, listen", [(1, ""), (2, ""), (4, "reuseport")])
def test_the_first_pass_the_next_wait_and_the_rest_is_refused(
        start_limited, limit, passed, delayed, workers, listen):
    nginx = start_limited(
        ZONE, f"location / {{ weir_limit zone=one {limit}; }}", workers=workers,
        listen=listen)
    names = [f"r{n}" for n in range(passed + delayed + 2)]
    clients = [send(nginx, name) for name in names]
    waiting = names[passed:passed + delayed]
    wait_for(lambda: all(ended(nginx, name) for name in names if name not in waiting),
             "the end of those that don't wait")
    assert not any(ended(nginx, name) for name in waiting)
    for client in clients:
        client.close()
    assert [word(nginx, name) for name in names] == \
        ["PASSED"] * passed + ["DELAYED"] * delayed + ["REJECTED"] * 2
    codes = [nginx.access(name)["status"] for name in names]
    assert codes == ["200"] * passed + ["499"] * delayed + ["429"] * 2


def test_a_delay_is_logged_as_limit_req_does(start_limited):
    nginx = start_limited(ZONE, "location / { weir_limit zone=one burst=4; }")
    get(nginx.port, "/", CLIENT)
    clients = hold(nginx, 3)
    lines = nginx.errors("delaying")
    for number, line in enumerate(lines):
        assert re.search(
            rf"\[warn\] \d+#\d+: \*\d+ {DELAYING}({number + 1}\.000|{number}\.\d"
            r"\d\d), by zone \"one\", client: 198\.51\.100\.1, server: ", line)
    assert len(lines) == 3
    assert not nginx.errors("limiting")
    for client in clients:
        client.close()


@pytest.mark.parametrize("level, lower", [
    ("error", "warn"), ("warn", "notice"), ("notice", "info"), ("info", "info")])
def test_a_delay_is_logged_one_level_below_a_refusal(start_limited, level, lower):
    nginx = start_limited(
        ZONE, f"weir_limit_log_level {level};"
        "location / { weir_limit zone=one burst=1; }")
    clients = [send(nginx, name) for name in "abc"]
    assert len(nginx.errors(rf"\[{lower}\] .*{DELAYING}")) == 1
    assert len(nginx.errors(rf"\[{level}\] .*limiting requests")) == 1
    for client in clients:
        client.close()


@pytest.mark.parametrize("limit, said", [
    ("burst=4 delay=0", "delay"), ("burst=4 delay=-1", "delay"),
    ("burst=4 delay=x", "delay"), ("burst=4 delay=", "delay")])
def test_a_delay_is_a_number_above_zero(make_nginx, limiter, limit, said):
    nginx = make_nginx(limiter(ZONE), limiter(
        f"location / {{ weir_limit zone=one {limit}; }}"),
        module=not limiter.plain)
    code, message = nginx.check()
    assert code == 1
    assert "[emerg]" in message and said in message and "nginx.conf:" in message


def test_requests_are_answered_in_the_order_of_their_charge(start_limited):
    nginx = start_limited(FAST, "location / { weir_limit zone=one burst=9; }",
                          workers=1)
    names = [f"r{n}" for n in range(6)]
    clients = [send(nginx, name) for name in names]
    for client in clients:
        assert read_response(client.stream).status == 200
        client.close()
    wait_for(lambda: len(nginx.lines("access.log")) == 6, "the access log")
    order = [line.split()[0] for line in nginx.lines("access.log")]
    assert order == names


def test_a_pipeline_is_judged_one_by_one(start_limited):
    """The next request comes when the one before has been answered: each has
    waited, and a small burst is enough for all."""
    nginx = start_limited(FAST, "location / { weir_limit zone=one burst=4; }"
                          + PRIME)
    codes = []

    def ask(identity):
        requests = [encode(f"/?id={identity}", CLIENT)] * 7
        codes.extend(pipeline(nginx.port, requests))

    delayed_answer(nginx, ask)
    assert set(codes) == {200}


def test_a_connection_serves_on_after_a_delay(start_limited):
    nginx = start_limited(FAST, "location / { weir_limit zone=one burst=9; }"
                          + PRIME + FREE)
    with Connection(nginx.port) as client:
        for path in ("/free", "/", "/free", "/"):
            answer = delayed_answer(
                nginx, lambda name: client.request(f"/?id={name}", CLIENT))
            assert answer.text == "index\n"
            assert client.request(path, CLIENT).text == "index\n"


def test_streams_of_one_connection_wait_while_others_are_served(start_limited):
    nginx = start_limited(ZONE, "location / { weir_limit zone=one burst=3; }"
                          + FREE, listen=http2.listen())
    with http2.Connection(nginx.port) as client:
        assert client.request("/?id=a", CLIENT).status == 200
        waiting = [client.send(f"/?id={name}", CLIENT) for name in "bcd"]
        assert client.request("/?id=e", CLIENT).status == 429
        assert client.request("/free", CLIENT).status == 200
        assert not set(waiting) & set(client.finished)
        assert len(nginx.errors(DELAYING)) == 3
        client.reset(waiting[1])
        assert nginx.access("c")["status"] == "499"
        assert client.request("/free", CLIENT).status == 200
        assert not ended(nginx, "b") and not ended(nginx, "d")
    for name in "bd":
        assert nginx.access(name)["status"] == "499"
    assert [word(nginx, name) for name in "abcde"] == \
        ["PASSED"] + ["DELAYED"] * 3 + ["REJECTED"]


def test_streams_are_answered_in_the_order_of_their_charge(start_limited):
    nginx = start_limited(FAST, "location / { weir_limit zone=one burst=9; }",
                          listen=http2.listen())
    with http2.Connection(nginx.port) as client:
        streams = [client.send("/", CLIENT) for _ in range(6)]
        assert [client.read(stream).status for stream in streams] == [200] * 6
        assert list(client.finished) == streams
    assert nginx.errors(DELAYING)


def test_one_client_waits_alone(start_limited):
    nginx = start_limited(ZONE, "location / { weir_limit zone=one burst=4; }")
    get(nginx.port, "/", CLIENT)
    clients = hold(nginx, 4)
    for n in range(2, 30):
        assert get(nginx.port, "/", f"198.51.100.{n}").status == 200
    assert len(nginx.errors(DELAYING)) == 4
    for client in clients:
        client.close()


TWO = ("weir_limit_zone $binary_remote_addr zone=each:1m rate=2r/m;"
       "weir_limit_zone $host zone=total:1m rate=1r/m;")


@pytest.mark.parametrize("limits, zone", [
    ("zone=each burst=9; zone=total burst=9;", "total"),
    ("zone=total burst=9; zone=each burst=9;", "total"),
    ("zone=each burst=9; zone=total burst=9 delay=1;", "each"),
    ("zone=total burst=9 delay=1; zone=each burst=9;", "each"),
    ("zone=each burst=9; zone=total burst=9 nodelay;", "each"),
    ("zone=total burst=9 nodelay; zone=each burst=9;", "each"),
])
def test_the_longest_delay_is_the_one_that_counts(start_limited, limiter,
                                                  limits, zone):
    limits = limits.replace("zone=", "weir_limit zone=")
    nginx = start_limited(TWO, f"location / {{ {limits} }}")
    get(nginx.port, "/?id=a", CLIENT)
    send(nginx, "b").close()
    assert len(nginx.errors(rf'{DELAYING}[01]\.\d+, by zone "{zone}"')) == 1
    assert len(nginx.errors(DELAYING)) == 1
    if not limiter.plain:
        assert nginx.access("b")["weir_zone"] == zone


def test_of_equal_delays_the_last_one_written_is_named(start_limited):
    nginx = start_limited(
        ZONE + ZONE.replace("zone=one", "zone=two"),
        "location / { weir_limit zone=one burst=9; weir_limit zone=two burst=9; }")
    get(nginx.port, "/?id=a", CLIENT)
    send(nginx, "b").close()
    assert len(nginx.errors(DELAYING + '.* by zone "two"')) == 1


def test_a_request_that_one_limit_refuses_neither_waits_nor_is_charged(
        start_limited):
    """Though another limit would delay it: what that one has left is seen by
    the excess of the next client's first request."""
    nginx = start_limited(
        TWO, "location / { weir_limit zone=total burst=9;"
        " weir_limit zone=each burst=1 nodelay; }")
    get(nginx.port, "/", CLIENT)
    clients = hold(nginx, 1)
    assert statuses(nginx.port, 5, address=CLIENT) == [429] * 5
    assert len(nginx.errors('limiting requests, .* by zone "each"')) == 5
    clients.append(send(nginx, "other", address="198.51.100.2"))
    assert nginx.errors(
        DELAYING + r'(2\.000|1\.\d+), by zone "total", client: 198\.51\.100\.2,')
    for client in clients:
        client.close()


def test_an_empty_key_delays_nothing(start_limited):
    nginx = start_limited(
        "weir_limit_zone $arg_k zone=key:1m rate=1r/m;" + ZONE,
        "location / { weir_limit zone=key burst=9; }"
        "location /two { weir_limit zone=one burst=9 nodelay;"
        " weir_limit zone=key burst=9; alias @dir@/html/index.html; }")
    assert statuses(nginx.port, 20) == [200] * 20
    assert statuses(nginx.port, 11, "/two", CLIENT) == [200] * 10 + [429]


@pytest.mark.parametrize("level", ["http", "server", "location"])
def test_in_dry_run_nothing_waits(start_limited, level):
    at = {name: "weir_limit_dry_run on;" if name == level else ""
          for name in ("http", "server", "location")}
    nginx = start_limited(
        ZONE + at["http"], at["server"] + f"location / {{ {at['location']}"
        " weir_limit zone=one burst=4 delay=1; }")
    codes = [get(nginx.port, f"/?id=r{n}", CLIENT).status for n in range(8)]
    assert codes == [200] * 8
    assert [word(nginx, f"r{n}") for n in range(8)] == ["PASSED"] * 2 \
        + ["DELAYED_DRY_RUN"] * 3 + ["REJECTED_DRY_RUN"] * 3
    assert len(nginx.errors(r"\[warn\] .*delaying request, dry run, excess: "
                            r'[1-4]\.\d+, by zone "one", client')) == 3
    assert len(nginx.errors(r"\[error\] .*limiting requests, dry run, excess: "
                            r'[45]\.\d+ by zone "one", client')) == 3


def test_a_delay_below_a_millisecond_is_none(start_limited):
    """The whole burst is worth 0.8 ms."""
    nginx = start_limited(
        "weir_limit_zone $binary_remote_addr zone=one:1m rate=5000r/s;",
        "location / { weir_limit zone=one burst=4; }", workers=1)
    requests = [encode(f"/?id=r{n}", CLIENT) for n in range(300)]
    assert set(pipeline(nginx.port, requests)) <= {200, 429}
    wait_for(lambda: ended(nginx, "r299"), "the last request")
    words = {line.split()[3] for line in nginx.lines("access.log")}
    assert "PASSED" in words
    assert words <= {"PASSED", "REJECTED"}
    assert not nginx.errors(DELAYING)


def test_limits_with_and_without_delay_share_one_count(start_limited):
    nginx = start_limited(
        ZONE, "location / { weir_limit zone=one burst=4; }"
        "location /now { weir_limit zone=one burst=6 nodelay;"
        " alias @dir@/html/index.html; }")
    assert statuses(nginx.port, 3, "/now", CLIENT) == [200] * 3
    clients = hold(nginx, 2)
    assert get(nginx.port, "/", CLIENT).status == 429
    assert statuses(nginx.port, 3, "/now", CLIENT) == [200, 200, 429]
    for client in clients:
        client.close()
