"""The JSON access log of config/logs: valid JSON whatever clients send, and
what its own comment says of it."""

import json
import pathlib
import re
import subprocess

import pytest

import addresses as a
import http2
from client import Closed, Connection, encode, get, raw, statuses
from server import wait_for
from upstreams import http_upstream

CONFIG = pathlib.Path(__file__).parents[2] / "config/logs/json.conf"
NAMES = {"time", "remote_addr", "host", "method", "uri", "status", "bytes",
         "request_time", "upstream_response_time", "referer", "user_agent",
         "country", "continent", "weir_status", "limit_status", "zone",
         "remaining", "retry_after"}
NUMBERS = {"status", "bytes", "request_time"}

LIMITS = ("weir_geo_db @db@;"
          "weir_limit_zone $binary_remote_addr zone=one:1m rate=1r/d;")
LOCATION = "location / { weir_limit zone=one burst=1 nodelay; }"
ME = "198.51.100.1"


@pytest.fixture
def serve(start_nginx, country_db):
    def start(inside=LOCATION, http=LIMITS, **words):
        nginx = start_nginx(
            f"include {CONFIG}; access_log @dir@/weir.json weir;{http}", inside,
            workers=1, words={"db": country_db, **words})  # which keeps the order
        return nginx
    return start


def raw_lines(nginx, count):
    """The log's bytes, when it has that many lines."""
    path = nginx.dir / "weir.json"

    def whole():
        lines = path.read_bytes().split(b"\n")
        return len(lines) > count and lines

    *lines, rest = wait_for(whole, f"{count} lines in {path}")
    assert (len(lines), rest) == (count, b"")
    return lines


def entries(nginx, count):
    """The log's objects, each of which has all fields and of the right kind."""
    found = [json.loads(line.decode(errors="replace"))
             for line in raw_lines(nginx, count)]
    for entry in found:
        assert set(entry) == NAMES
        for name, value in entry.items():
            kinds = (int, float) if name in NUMBERS else (str,)
            assert type(value) in kinds, name
    return found


def told(entry):
    """What weir has to say in it."""
    return tuple(entry[name] for name in
                 ("weir_status", "zone", "remaining", "retry_after"))


def test_an_ordinary_request_is_told_as_it_was(serve):
    nginx = serve()
    answer = get(nginx.port, "/index.html?a=b", a.KR, [
        ("Referer", "https://example.com/x"), ("User-Agent", "tester/1")])
    assert answer.status == 200
    (entry,) = entries(nginx, 1)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d[+-]\d\d:\d\d",
                        entry.pop("time"))
    assert 0 <= entry.pop("request_time") < 600
    assert entry.pop("bytes") > len(answer.body)
    assert entry == {
        "remote_addr": a.KR, "host": "localhost", "method": "GET",
        "uri": "/index.html?a=b", "status": 200, "upstream_response_time": "",
        "referer": "https://example.com/x", "user_agent": "tester/1",
        "country": "KR", "continent": "AS", "weir_status": "PASSED",
        "limit_status": "PASSED",
        "zone": "one", "remaining": "1", "retry_after": ""}


def test_bytes_are_all_that_was_sent(serve):
    nginx = serve()
    answer = raw(nginx.port, encode("/", ME, close=True), wait=True)
    (entry,) = entries(nginx, 1)
    assert entry["bytes"] == len(answer)


def test_a_refused_request_says_by_whom_and_until_when(serve):
    nginx = serve()
    assert statuses(nginx.port, 4, "/", ME) == [200, 200, 429, 429]
    *passed, third, fourth = entries(nginx, 4)
    assert [told(entry) for entry in passed] == [
        ("PASSED", "one", "1", ""), ("PASSED", "one", "0", "")]
    for entry in (third, fourth):
        assert entry["status"] == 429
        assert told(entry)[:3] == ("REJECTED", "one", "0")
        assert 86400 - 600 < int(entry["retry_after"]) <= 86400


def test_fields_are_empty_where_there_is_nothing_to_say(serve):
    """Nothing evaluated, denied by country, bypassed, an empty key."""
    nginx = serve(
        "location = /off { alias @dir@/html/index.html; }"
        "location = /geo { weir_geo_deny KP; weir_limit zone=one; }"
        "location = /pass { weir_limit zone=one; weir_bypass $arg_p;"
        " alias @dir@/html/index.html; }"
        "location = /key { weir_limit zone=two; alias @dir@/html/index.html; }",
        LIMITS + "weir_limit_zone $arg_k zone=two:1m rate=1r/d;")
    codes = [get(nginx.port, path, a.KP).status
             for path in ("/off", "/geo", "/pass?p=1", "/key")]
    assert codes == [200, 403, 200, 200]
    found = entries(nginx, 4)
    assert [told(entry) for entry in found] == [
        ("", "", "", ""), ("GEO_DENIED", "", "", ""), ("BYPASSED", "", "", ""),
        ("", "", "", "")]
    assert {entry["country"] for entry in found} == {"KP"}


def test_a_dry_run_says_what_would_be(serve):
    nginx = serve("weir_limit_dry_run on;" + LOCATION)
    assert statuses(nginx.port, 3, "/", ME) == [200] * 3
    *_, last = entries(nginx, 3)
    assert told(last)[:3] == ("REJECTED_DRY_RUN", "one", "0")
    assert 86400 - 600 < int(last["retry_after"]) <= 86400


def test_an_upstreams_times_are_text(serve):
    """None, one, or several with a word between them."""
    with http_upstream() as port:
        nginx = serve(
            "location / { proxy_pass http://backends; }",
            LIMITS + "upstream backends { server 127.0.0.1:@port9@;"
            " server 127.0.0.1:@upstream@ backup; }", upstream=port)
        assert get(nginx.port).status == 200
    (entry,) = entries(nginx, 1)
    assert re.fullmatch(r"\d+\.\d{3}, \d+\.\d{3}",
                        entry["upstream_response_time"])


HOSTILE = ['"', '\\', '\\"', '","zone":"x', '"}\n{"', '\\u0022', "\x7f", "\t",
           "'", "</script>", "${weir_zone}", "%22%5c%0a%00", "é", "\u20ac",
           "\\", "x" * 2000]


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_hostile_text_stays_in_its_field(serve, text):
    """UTF-8 and not, in what clients choose. (A line's end would end a header.)
    The request may be refused as malformed, but is one line in any case."""
    nginx = serve()
    sent = text.encode()
    header = sent.replace(b"\n", b"")
    path = sent.replace(b"\n", b"%0a").replace(b"\t", b"%09").replace(b" ", b"+")
    path = path.replace(b"\x7f", b"%7f")
    with Connection(nginx.port) as connection:
        connection.send(b"GET /?" + path + b" HTTP/1.1\r\nHost: localhost\r\n"
                        b"X-Forwarded-For: " + ME.encode() + b"\r\n"
                        b"Referer: " + header + b"\r\nUser-Agent: "
                        + header + b"\r\nConnection: close\r\n\r\n")
        assert connection.stream.read().startswith(b"HTTP/1.1 200 ")
    (entry,) = entries(nginx, 1)
    assert entry["uri"] == "/?" + path.decode()
    # nginx takes blanks off a header's ends.
    assert entry["referer"] == header.decode().strip(" ")
    assert entry["user_agent"] == header.decode().strip(" ")
    assert told(entry) == ("PASSED", "one", "1", "")


def test_every_byte_that_nginx_takes_in_a_header_is_escaped(serve):
    """nginx takes all but 00 and line ends; those from 80 on are not UTF-8,
    and a reader that replaces them gets all else as it was."""
    nginx = serve()
    taken = bytes(set(range(1, 256)) - {10, 13})
    request = (b"GET /?" + bytes(range(0x80, 0x100)) + b" HTTP/1.1\r\nHost: x\r\n"
               b"Connection: close\r\nUser-Agent: [" + taken + b"]\r\n\r\n")
    assert raw(nginx.port, request, wait=True).startswith(b"HTTP/1.1 200 ")
    (line,) = raw_lines(nginx, 1)
    assert bytes(range(0x80, 0x100)) in line
    with pytest.raises(UnicodeDecodeError):
        line.decode()
    (entry,) = entries(nginx, 1)
    replaced = taken.decode(errors="replace")
    assert entry["user_agent"] == f"[{replaced}]"
    assert json.loads(line.decode("latin-1"))["user_agent"] == \
        f"[{taken.decode('latin-1')}]"
    assert told(entry) == ("PASSED", "one", "1", "")


@pytest.mark.parametrize("request_line, status", [
    (b"GET / HTTP/1.1\r\n\r\n", 400),              # no host
    (b"\x16\x03\x01\x02\x00\x01\xfc\x03\x03\"\\", 400),  # TLS
    (b"\"\\\x01 / HTTP/1.1\r\n\r\n", 400),
    (b"GET / HTTP/1.1\r\nHost: \"\\\xff\r\n\r\n", None),
    (b"GET / HTTP/9.9\r\n\r\n", 505),
    (b"GET /\r\n", 200),                           # HTTP/0.9
    (b"GET /" + b"\xff" * 9000 + b" HTTP/1.1\r\n\r\n", 414),
    (b"BREW /\" HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", None),
], ids=["no host", "TLS", "a bad method", "a bad host", "no version of HTTP",
        "HTTP 0.9", "too long", "another method"])
def test_what_is_hardly_a_request_is_a_valid_line(serve, request_line, status):
    nginx = serve()
    raw(nginx.port, request_line)
    (entry,) = entries(nginx, 1)
    if status:
        assert entry["status"] == status
    assert entry["remote_addr"] == "127.0.0.1"


def test_a_request_without_a_status_is_a_valid_line(serve):
    """nginx logs a broken HTTP/2 header as 000, which is no number in JSON."""
    nginx = serve("listen 127.0.0.1:@port2@ " + http2.listen() + ";" + LOCATION)
    with http2.Connection(nginx.port_of("port2")) as connection:
        connection.socket.sendall(b"\0\0\x05\x01\x04\0\0\0\x01abcde")
        with pytest.raises(Closed):
            while True:
                connection.receive()
    (entry,) = entries(nginx, 1)
    assert entry["status"] == 0
    assert entry["method"] == entry["uri"] == entry["host"] == ""


@pytest.mark.parametrize("status, logged", [("042", 42), ("200", 200)])
def test_whatever_status_an_upstream_has_is_a_valid_line(serve, status, logged):
    with http_upstream(lambda _: (status, [])) as port:
        nginx = serve("location / { proxy_pass http://127.0.0.1:@upstream@; }",
                      LIMITS, upstream=port)
        get(nginx.port, "/", ME)
        (entry,) = entries(nginx, 1)
    assert entry["status"] == logged


def test_who_goes_away_while_being_delayed_is_a_valid_line(serve):
    """Over HTTP/1.1 and, on one connection with others, over HTTP/2."""
    nginx = serve(
        "listen 127.0.0.1:@port2@ " + http2.listen() + ";"
        "location / { weir_limit zone=one burst=9; }",
        LIMITS)
    get(nginx.port, "/", ME)
    with Connection(nginx.port) as connection:
        connection.send(encode("/", ME))
        nginx.wait_errors("delaying request")
    with http2.Connection(nginx.port_of("port2")) as connection:
        connection.send("/", ME)
        nginx.wait_errors("delaying request", 2)
        connection.reset(1)
        assert connection.request("/", a.KR).status == 200
    found = entries(nginx, 4)
    assert sorted(entry["weir_status"] for entry in found) == \
        ["DELAYED"] * 2 + ["PASSED"] * 2


# ---- The questions of the comment ----


def examples():
    return re.findall(r"^#   (jq .*)$", CONFIG.read_text(), re.MULTILINE)


def test_the_comments_questions_have_the_right_answers(serve):
    """Each is run as it stands there; also where bytes are no UTF-8."""
    nginx = serve(
        "location / { weir_geo_deny KP; weir_limit zone=one burst=1 nodelay; }"
        "location = /dry { weir_geo_deny FR; weir_geo_dry_run on;"
        " weir_limit zone=two dry_run;"
        " alias @dir@/html/index.html; }",
        LIMITS + "weir_limit_zone $binary_remote_addr zone=two:1m rate=1r/h;")
    junk = [("User-Agent", "\xff\"\\")]
    for address, count in ((a.KR, 4), (a.DE, 3), (a.US, 1), (a.KP, 2)):
        statuses(nginx.port, count, "/", address, junk)
    statuses(nginx.port, 4, "/dry", a.FR, junk)
    entries(nginx, 14)
    answers = {}
    for example in examples():
        done = subprocess.run(["bash", "-euo", "pipefail", "-c", example],
                              cwd=nginx.dir, capture_output=True, text=True,
                              check=True, timeout=60)
        assert done.stderr == ""
        answers[len(answers)] = [line.split() for line in done.stdout.splitlines()]
    assert [answers[n] for n in range(4)] == [
        [["2", a.KR], ["1", a.DE]], [["3", "two"]], [["2", "KP"]],
        [[x] for x in sorted([a.KR, a.DE, a.FR])]]
    ((longest,),) = answers[4]
    assert 86400 - 600 < int(longest) <= 86400
    assert len(answers) == 5


def test_the_file_is_loaded_as_its_comment_says(make_nginx, country_db):
    """With no database either: the country is then unknown."""
    nginx = make_nginx(f"include {CONFIG}; access_log @dir@/weir.json weir;",
                       "location / { }")
    code, said = nginx.check()
    assert code == 0 and "[warn]" not in said, said
    nginx.start()
    assert get(nginx.port, "/", a.KR).status == 200
    (entry,) = entries(nginx, 1)
    assert (entry["country"], entry["continent"]) == ("XX", "XX")
