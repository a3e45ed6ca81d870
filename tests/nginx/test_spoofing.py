"""No client can forge a header that weir sets: 100,000 requests that try.

They go through nginx to an upstream of each protocol, in all the ways in which
a request can get there. Clients write forged headers in every spelling that
they can send (forgery.py). An upstream judges each request as it came: one
right value under each of weir's names, in whatever spelling, and nowhere what
was forged. It counts, too, so that no request is left out unnoticed; and where
weir sets no header, such requests arrive with all that was forged.

WEIR_SEED chooses the requests; a failure prints it. WEIR_FORGED_REQUESTS makes
them more, or fewer: ./test.sh --all sends a tenth to the same nginx and module
when it has built both from source.
"""

import collections
import concurrent.futures
import contextlib
import multiprocessing
import os
import random
import threading

import pytest

import addresses as a
import http2
import upstreams
from client import Connection
from forgery import INNOCENT, SECRET, Forger

REQUESTS = int(os.environ.get("WEIR_FORGED_REQUESTS") or 100_000)
CONTROL = REQUESTS // 20
BLOCK = 50   # requests of one connection
CLIENTS = 4  # connections at a time

NAMES = ["x-geo-country", "x-geo-continent", "x-edge_1"]
COUNTRIES = {a.KR: ("KR", "AS"), a.DE6: ("DE", "EU"), a.UNKNOWN: ("XX", "XX"),
             a.mapped(a.JP): ("JP", "AS"), "": ("ZZ", "ZZ")}

WEIR = ("weir_geo_db @db@; weir_geo_headers on;"
        " weir_geo_header X-Edge_1 edge-$weir_country;")

ANSWER = b"<seen>"

# ---- The ways through nginx ----

PASSES = {
    "http": "proxy_pass http://http; proxy_http_version 1.1;"
            " proxy_set_header Connection '';",
    "fastcgi": "fastcgi_pass fastcgi; fastcgi_keep_conn on;"
               " fastcgi_param REQUEST_URI $uri;",
    "uwsgi": "uwsgi_pass uwsgi; uwsgi_param REQUEST_URI $uri;",
    "scgi": "scgi_pass scgi; scgi_param REQUEST_URI $uri;",
    "grpc": "grpc_pass grpc;",
}
CGI = ("fastcgi", "uwsgi", "scgi")

# For each of the client's requests, so many reach the upstream, and so many of
# them have all that the client sent.
WAYS = {"plain": (1, 1), "error": (1, 1), "named": (1, 1), "try": (1, 1),
        "rewrite": (1, 1), "accel": (2, 2), "again": (2, 2), "part": (1, 1),
        "copied": (3, 3), "connection": (1, 1), "own": (1, 1), "off": (1, 0)}

# What decides itself which of the client's headers go on: no way for controls.
SELECTIVE = ("own", "off")


def locations(protocol):
    """What is inside of the location for each way."""
    to = PASSES[protocol]
    module = "proxy" if protocol == "http" else protocol
    values = {"X-Geo-Country": "$weir_country", "X-Geo-Continent": "$weir_continent",
              "X-Edge_1": "edge-$weir_country",
              "X-Forwarded-For": "$http_x_forwarded_for"}
    own = "".join(f"{module}_param HTTP_{name.upper().replace('-', '_')} {value};"
                  if protocol in CGI else f"{module}_set_header {name} {value};"
                  for name, value in values.items())
    inside = {
        "plain": to,
        "error": f"error_page 404 = /{protocol}/plain; return 404;",
        "named": f"error_page 404 = @{protocol}; return 404;",
        "try": f"try_files /none @{protocol};",
        "rewrite": f"rewrite ^ /{protocol}/plain last;",
        "accel": to,
        "again": f"{to} {module}_intercept_errors on;"
                 f" error_page 503 = /{protocol}/plain;",
        "part": f"ssi on; ssi_types *; alias @dir@/html/{protocol};",
        "copied": f"auth_request /{protocol}/plain; mirror /{protocol}/plain; {to}",
        "own": to + own,
    }
    if protocol != "grpc":  # which has no such directive
        inside["off"] = f"{to} {own} {module}_pass_request_headers off;"
    if protocol == "http":  # others hand Connection on, or never do
        inside["connection"] = to.replace("''", "$http_connection") + \
            "proxy_request_buffering off;"
    return inside


def ways(without=()):
    """Pairs of a protocol and a way."""
    return [(protocol, way) for protocol in PASSES
            for way in locations(protocol) if way not in without]


def backends():
    """Of what is idle nginx closes connections before an upstream does."""
    keep = "keepalive 16; keepalive_timeout 30s;"
    return "".join(f"upstream {protocol} {{ server 127.0.0.1:@{protocol}_port@;"
                   f" {'' if protocol in ('uwsgi', 'scgi') else keep} }}\n"
                   for protocol in PASSES)


def servers(variants):
    """One for each (underscores_in_headers, ignore_invalid_headers), on a port
    for HTTP/1.1 and one for HTTP/2. A request that nginx refuses goes to where
    its argument says."""
    everything = "\n".join(
        f"location @{protocol} {{ {PASSES[protocol]} }} " + " ".join(
            f"location /{protocol}/{way} {{ {text} }}"
            for way, text in locations(protocol).items())
        for protocol in PASSES)
    return "".join(
        f"""server {{
            listen 127.0.0.1:@port1{n}@;
            listen 127.0.0.1:@port2{n}@ {http2.listen()};
            root @dir@/html;
            access_log off;
            underscores_in_headers {underscores};
            ignore_invalid_headers {ignore};
            error_page 400 405 494 501 = $arg_to;
            {everything}
        }}\n""" for n, (underscores, ignore) in enumerate(variants))


# ---- The upstreams ----

# A name as a backend sees it that folds names.
FOLDED = "".join(chr(byte).lower() if chr(byte).isascii() and chr(byte).isalnum()
                 else "_" for byte in range(0x100))
OURS = [name.translate(FOLDED) for name in NAMES]


class Judge:
    """What an upstream makes of its requests, in a process of its own."""

    def __init__(self, protocol):
        self.protocol = protocol
        self.prefix = "http_" if protocol in CGI else ""
        self.lock = threading.Lock()
        self.tally = collections.Counter()
        self.wrong = []

    def reply(self, request):
        text = "\n".join([request.path, *request.lines]) + \
            request.body.decode("latin-1")
        fields = collections.defaultdict(list)
        for line in request.lines:
            name, _, value = line.partition(":")
            fields[name.translate(FOLDED)].append(value.strip(" "))
        address, = fields.get(self.prefix + "x_forwarded_for", [""])
        country, continent = COUNTRIES[address]
        right = [fields.get(self.prefix + name) for name in OURS] == \
            [[country], [continent], [f"edge-{country}"]]
        named = [word for value in fields.get(self.prefix + "connection", [])
                 for word in value.split(",")
                 if word.strip(" \t").translate(FOLDED) in OURS]
        seen = {"requests": 1, "right": right, "forged": text.count(SECRET.decode()),
                "innocent": text.count(INNOCENT.decode()),
                "named by Connection": len(named)}
        with self.lock:
            self.tally.update(seen)
            if not right or seen["forged"] or named:
                self.wrong = self.wrong[:2] + [text]
        return self.answer(request.path.partition("?")[0])

    def answer(self, path):
        if path.endswith("/accel"):
            return 200, [("X-Accel-Redirect", f"/{self.protocol}/plain")], b""
        return 503 if path.endswith("/again") else 200, [], ANSWER


def _judge(protocol, pipe):
    judge = Judge(protocol)
    with getattr(upstreams, f"{protocol}_upstream")(judge.reply) as port:
        pipe.send(port)
        pipe.recv()
        pipe.send((judge.tally, judge.wrong))


@contextlib.contextmanager
def judges():
    """For each protocol the port of its upstream, and a function that ends it
    and returns what it has seen."""
    fork = multiprocessing.get_context("fork")
    ports, pipes, processes = {}, {}, []

    def verdicts():
        for pipe in pipes.values():
            pipe.send("how was it?")
        return {protocol: pipe.recv() for protocol, pipe in pipes.items()}

    try:
        for protocol in PASSES:
            pipes[protocol], theirs = fork.Pipe()
            processes.append(fork.Process(target=_judge, args=(protocol, theirs)))
            processes[-1].start()
            theirs.close()
            ports[protocol] = pipes[protocol].recv()
        yield ports, verdicts
    finally:
        for process in processes:
            process.kill()
            process.join()


# ---- The clients ----

class Expected:
    """What the upstreams are to see of some requests."""

    def __init__(self):
        self.tallies = {protocol: collections.Counter() for protocol in PASSES}

    def add(self, protocol, way, headers):
        requests, whole = WAYS[way]
        self.tallies[protocol].update({
            "requests": requests, "right": requests, "innocent": 2 * whole,
            "sent": headers.forged * whole})

    def update(self, other):
        for protocol, tally in other.tallies.items():
            self.tallies[protocol].update(tally)


def target(forger, protocol, way):
    """A path; its argument is for a request that nginx refuses."""
    to = forger.chance.choice([f"/{protocol}/plain", f"@{protocol}"])
    return f"/{protocol}/{way}?to={to}"


def http1_block(port, forger, choices):
    """Sends all requests of a connection ahead of their answers. nginx takes up
    a request when the one before is over, with its copy for a mirror; so the
    last, behind which the connection is closed, has none."""
    expected, requests = Expected(), []
    for left in reversed(range(BLOCK)):
        protocol, way = forger.chance.choice(choices)
        body = way != "part" and forger.happens(0.1)  # no POST for a static page
        refused = left == 0 and forger.happens(0.8)
        if refused or left == 0 and way == "copied":
            way, body = "plain", False
        headers = forger.headers()
        requests.append(forger.encode(target(forger, protocol, way), headers.pairs,
                                      body=body, close=left == 0, refused=refused))
        expected.add(protocol, way, headers)
    with Connection(port) as connection:
        connection.send(b"".join(requests))
        answers = b""
        while (count := answers.count(ANSWER)) < BLOCK:
            part = connection.socket.recv(1 << 16)
            assert part, f"no answer to {requests[count]}: ...{answers[-500:]}"
            answers += part
    return expected


def http2_block(port, forger, choices):
    """Sends all requests of a connection at once, and none that is mirrored,
    since nobody waits for a copy."""
    expected, streams = Expected(), []
    with http2.Connection(port) as connection:
        for _ in range(BLOCK):
            protocol, way = forger.chance.choice(choices)
            method = "TRACE" if forger.happens(0.05) else "GET"
            if way == "copied" or method == "TRACE":
                way = "plain"
            headers = forger.headers()
            streams.append(connection.send(target(forger, protocol, way),
                                           headers=headers.pairs, method=method))
            expected.add(protocol, way, headers)
        for stream in streams:
            response = connection.read(stream)
            assert ANSWER in response.body, f"{response}"
    return expected


def storm(nginx, variants, seed, requests, choices):
    """Sends all requests and returns what the upstreams are to see."""
    def block(number):
        forger = Forger(f"{seed} {number}", NAMES, list(COUNTRIES))
        send, kind = (http2_block, 2) if number % 16 == 15 else (http1_block, 1)
        port = nginx.port_of(f"port{kind}{number // 16 % variants}")
        try:
            return send(port, forger, choices)
        except Exception as error:
            raise AssertionError(f"WEIR_SEED={seed}, block {number}: {error!r}") \
                from error

    expected = Expected()
    pool = concurrent.futures.ThreadPoolExecutor(CLIENTS)
    try:
        for part in pool.map(block, range(requests // BLOCK)):
            expected.update(part)
    finally:
        pool.shutdown(cancel_futures=True)
    return expected.tallies


@pytest.fixture
def seed():
    seed = int(os.environ.get("WEIR_SEED") or random.SystemRandom().randrange(1 << 32))
    print(f"WEIR_SEED={seed}")
    return seed


def run(start_nginx, country_db, seed, weir, variants, requests, choices):
    """What the upstreams are to see, and what they have seen."""
    with judges() as (ports, verdicts):
        nginx = start_nginx(
            "error_log @dir@/error.log warn;" + weir + backends() + servers(variants),
            words={"db": country_db, **{f"{protocol}_port": port
                                        for protocol, port in ports.items()}})
        for protocol in PASSES:
            nginx.write(protocol, f'<!--#include virtual="/{protocol}/plain" -->')
        return storm(nginx, len(variants), seed, requests, choices), verdicts()


def test_no_upstream_ever_sees_a_forged_header(start_nginx, country_db, seed):
    variants = [(underscores, ignore) for underscores in ("on", "off")
                for ignore in ("on", "off")]
    expected, verdicts = run(start_nginx, country_db, seed, WEIR, variants,
                             REQUESTS, ways())
    for protocol, (seen, wrong) in verdicts.items():
        assert expected[protocol].pop("sent") > 0
        assert seen == expected[protocol] and not wrong, \
            "\n\n".join([f"WEIR_SEED={seed}, {protocol}", *wrong])


def test_without_weir_every_forged_header_arrives(start_nginx, country_db, seed):
    """So the test above can fail: nginx takes all of these spellings."""
    weir = "weir_geo_db @db@; weir_geo_headers off;"
    expected, verdicts = run(start_nginx, country_db, seed, weir, [("on", "off")],
                             CONTROL, ways(without=SELECTIVE))
    for protocol, (seen, wrong) in verdicts.items():
        sent = expected[protocol]["sent"]
        assert seen["requests"] == expected[protocol]["requests"]
        assert seen["innocent"] == expected[protocol]["innocent"]
        assert seen["forged"] == sent > 0
        assert seen["right"] == 0 and len(wrong) == 3
        assert seen["named by Connection"] > 0 or protocol == "grpc"
