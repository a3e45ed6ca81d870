"""Requests that a limit delays, and what is known of them from outside.

A request that waits has its line in error.log and none yet in access.log. At
`rate=1r/m` it waits longer than any test; where a delay has to end, rates make
it last a few hundred milliseconds, and nothing depends on how long exactly.
"""

import itertools

from client import Connection, encode, get
from server import wait_for

CLIENT = "198.51.100.1"
DELAYING = "delaying request, excess: "

numbers = itertools.count()  # no two requests of one name


def judged(nginx, identity):
    """Whether the limits have had the request with `?id=`: it waits, or it
    was refused or has ended."""
    return nginx.errors(rf"excess: .*[?&]id={identity}[ &]") \
        or ended(nginx, identity)


def ended(nginx, identity):
    """Whether it is in access.log."""
    return any(line.split(" ", 1)[0] == identity
               for line in nginx.lines("access.log"))


def send(nginx, identity, path="/", address=CLIENT, **options):
    """Sends a request on a new connection and returns that when the request
    was judged. So requests are charged in the order in which they are sent."""
    connection = Connection(nginx.port)
    connection.send(encode(f"{path}?id={identity}", address, **options))
    wait_for(lambda: judged(nginx, identity), f"a verdict on {identity}")
    return connection


def send_at_once(nginx, names):
    """The same for several requests that are judged within a moment."""
    connections = [Connection(nginx.port) for _ in names]
    for connection, name in zip(connections, names):
        connection.send(encode(f"/?id={name}", CLIENT))
    for name in names:
        wait_for(lambda: judged(nginx, name), f"a verdict on {name}")
    return connections


def hold(nginx, count, path="/", address=CLIENT):
    """Connections of so many more requests, all of which wait."""
    held = []
    for n in range(count):
        before = len(nginx.errors(DELAYING))
        held.append(Connection(nginx.port))
        held[-1].send(encode(f"{path}?id=held{n}", address))
        nginx.wait_errors(DELAYING, before + 1)
    return held


def word(nginx, identity):
    """The limiter's word on a request that has ended."""
    return nginx.access(identity)["weir_limit_status"]


def delayed_answer(nginx, ask, prime=None):
    """What `ask(identity)` returns for a request that was delayed. Before it,
    `/prime` is charged for a wait; on a machine so slow that the wait is over
    before the request comes, once more."""
    prime = prime or (lambda: get(nginx.port, "/prime", CLIENT))
    for _ in range(50):
        for _ in range(3):
            prime()
        name = f"ask{next(numbers)}"
        answer = ask(name)
        if word(nginx, name) == "DELAYED":
            return answer
    raise AssertionError("no request was delayed")
