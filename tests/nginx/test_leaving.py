"""Clients and workers that go away while requests wait for their limit.

What waits is forgotten with its client: status 499, nothing is asked of an
upstream, and the charge stays. A worker that ends in peace answers before.
Requests that are to be waiting for certain wait for minutes (see waiting.py).
"""

import signal
import socket
import struct

import pytest

import http2
from client import Connection, encode, get, read_response
from server import wait_for
from upstreams import http_upstream
from waiting import (CLIENT, DELAYING, ended, hold, judged, send, send_at_once,
                     word)

ZONE = "weir_limit_zone $binary_remote_addr zone=one:1m rate=1r/m;"
LOCATION = ("location / { weir_limit zone=one burst=3;"
            " proxy_pass http://127.0.0.1:@upstream@; }")
FAST = "weir_limit_zone $binary_remote_addr zone=one:1m rate=4r/s;"
WAIT = "location / { weir_limit zone=one burst=9; }"
NAMES = ["first", "second", "third", "fourth"]


@pytest.fixture
def asked():
    """The paths that the upstream was asked for."""
    return []


@pytest.fixture
def serve(start_limited, asked):
    def reply(request):
        asked.append(request.path)
        return 200, []

    with http_upstream(reply) as port:
        def start(http=ZONE, inside=LOCATION, **options):
            return start_limited(http, inside, words={"upstream": port},
                                 **options)
        yield start


def end(connection, how):
    if how == "half":
        connection.socket.shutdown(socket.SHUT_WR)
        return
    if how == "reset":
        connection.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER,
                                     struct.pack("ii", 1, 0))
    connection.close()


def check_the_charge_stays(nginx, asked):
    """Of four requests one passed and one is gone: two more may wait."""
    clients = hold(nginx, 2)
    assert send(nginx, "late").stream.readline().split()[1] == b"429"
    assert get(nginx.port, "/other", "198.51.100.2").status == 200
    for client in clients:
        client.close()
    wait_for(lambda: ended(nginx, "held1"), "the end of those that waited")
    assert asked == ["/?id=a", "/other"]


@pytest.mark.parametrize("how", ["close", "reset", "half"])
@pytest.mark.parametrize("rest", [
    {}, {"method": "POST", "body": b"x" * 9999},
    {"method": "POST", "headers": [("Content-Length", "9")]}],
    ids=["no body", "a body", "half a body"])
def test_a_client_may_go_away_while_it_waits(serve, asked, how, rest):
    """A half-closed connection is taken for a closed one, as everywhere in
    nginx."""
    nginx = serve()
    get(nginx.port, "/?id=a", CLIENT)
    client = send(nginx, "b", **rest)
    end(client, how)
    assert nginx.access("b")["status"] == "499"
    assert word(nginx, "b") == "DELAYED"
    check_the_charge_stays(nginx, asked)
    client.close()


@pytest.mark.parametrize("behind", [b"", encode("/?id=x", CLIENT)],
                         ids=["alone", "before another"])
def test_a_client_may_have_gone_before_the_delay_begins(serve, asked, behind):
    nginx = serve()
    get(nginx.port, "/?id=a", CLIENT)
    with Connection(nginx.port) as client:
        client.send(encode("/?id=b", CLIENT) + behind)
    assert nginx.access("b")["status"] == "499"
    check_the_charge_stays(nginx, asked)
    assert not ended(nginx, "x")


@pytest.mark.parametrize("how", ["stream", "close", "reset"])
def test_a_stream_may_go_away_while_it_waits(serve, asked, how):
    nginx = serve(inside=f"listen 127.0.0.1:@port2@ {http2.listen()};" + LOCATION)
    with http2.Connection(nginx.port_of("port2")) as client:
        assert client.request("/?id=a", CLIENT).status == 200
        stream = client.send("/?id=b", CLIENT)
        wait_for(lambda: judged(nginx, "b"), "the delay")
        if how == "stream":
            client.reset(stream)
        else:
            end(client, how)
        assert nginx.access("b")["status"] == "499"
        check_the_charge_stays(nginx, asked)


@pytest.mark.parametrize("page", [
    "ssi on; ssi_types *;", "auth_request /part;",
    "add_before_body /part; addition_types *;"],
    ids=["include", "auth_request", "addition"])
def test_a_client_may_go_away_while_a_part_of_its_page_waits(serve, page):
    nginx = serve(inside=f"location / {{ {page} }} location /part {{"
                  " weir_limit zone=one burst=3; }")
    nginx.write("part", "part\n")
    nginx.write("page", '<!--#include virtual="/part" -->')
    assert get(nginx.port, "/page?id=a", CLIENT).status == 200
    send(nginx, "b", "/page").close()
    wait_for(lambda: ended(nginx, "b"), "the end of the request")
    assert word(nginx, "b") == "DELAYED"
    assert get(nginx.port, "/page", "198.51.100.2").status == 200
    # Whoever waits: nothing is left open that a worker would wait for.
    nginx.reload(wait_for_exit=True)


def test_many_clients_may_go_away_at_once(serve, asked):
    nginx = serve(inside=LOCATION.replace("burst=3", "burst=200"), workers=4)
    get(nginx.port, "/?id=a", CLIENT)
    clients = [Connection(nginx.port) for _ in range(150)]
    for number, client in enumerate(clients):
        client.send(encode(f"/?id=r{number}", CLIENT))
    nginx.wait_errors(DELAYING, 150)
    for number, client in enumerate(clients):
        end(client, ("close", "reset", "half")[number % 3])
    for number in range(150):
        assert nginx.access(f"r{number}")["status"] == "499"
    assert asked == ["/?id=a"]
    for client in clients:
        client.close()


def test_a_reload_lets_those_that_wait_have_their_answer(serve):
    nginx = serve(FAST, WAIT)
    clients = send_at_once(nginx, NAMES)
    nginx.reload(wait_for_exit=True)
    for client in clients:
        assert read_response(client.stream).text == "index\n"
        client.close()
    assert nginx.errors(DELAYING)


def test_one_that_waits_in_an_old_worker_is_charged_in_the_new(serve):
    nginx = serve()
    get(nginx.port, "/", CLIENT)
    clients = hold(nginx, 2)
    nginx.reload()
    clients.append(send(nginx, "third"))
    assert not ended(nginx, "third")
    assert get(nginx.port, "/", CLIENT).status == 429
    for client in clients:
        client.close()


def test_a_graceful_shutdown_answers_those_that_wait(serve):
    nginx = serve(FAST, WAIT)
    clients = send_at_once(nginx, NAMES)
    nginx.process.send_signal(signal.SIGQUIT)
    for client in clients:
        assert read_response(client.stream).text == "index\n"
        client.close()
    assert nginx.process.wait() == 0
    assert nginx.errors(DELAYING)


def test_a_graceful_shutdown_answers_streams_that_wait(serve):
    nginx = serve(FAST, WAIT, listen=http2.listen())
    with http2.Connection(nginx.port) as client:
        streams = [client.send(f"/?id={name}", CLIENT) for name in NAMES]
        wait_for(lambda: judged(nginx, NAMES[-1]), "the delays")
        nginx.process.send_signal(signal.SIGQUIT)
        for stream in streams:
            assert client.read(stream).text == "index\n"
    assert nginx.process.wait() == 0
    assert nginx.errors(DELAYING)


def test_a_shutdown_that_may_not_wait_ends_those_that_do(serve):
    nginx = serve(main="worker_shutdown_timeout 10ms;")
    get(nginx.port, "/", CLIENT)
    clients = hold(nginx, 3)
    nginx.stop()
    assert [client.stream.read() for client in clients] == [b""] * 3
    for client in clients:
        client.close()


def test_a_killed_worker_takes_along_who_waits_but_not_their_charges(serve):
    nginx = serve(workers=1)
    nginx.allowed.append(r"\[alert\] .*exited on signal 9")
    get(nginx.port, "/", CLIENT)
    clients = hold(nginx, 2)
    nginx.kill_worker()
    for client in clients:
        client.close()
    clients = hold(nginx, 1)
    assert get(nginx.port, "/", CLIENT).status == 429
    assert get(nginx.port, "/", "198.51.100.2").status == 200
    clients[0].close()
