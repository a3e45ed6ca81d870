"""A small HTTP/1.1 client that sends exactly what a test says.

It writes header names as they are given, keeps connections or not, sends many
requests ahead of their answers, and tells apart the ways in which a connection
can end. http.client does too much for that, and too little.
"""

import socket
from typing import NamedTuple

TIMEOUT = 60.0


class Closed(Exception):
    """The server closed the connection before the first byte of an answer."""


class Broken(Exception):
    """An answer began and was not complete, or was no HTTP."""


class Response(NamedTuple):
    status: int
    headers: list
    body: bytes

    @property
    def text(self):
        return self.body.decode(errors="replace")

    def header(self, name):
        values = [v for k, v in self.headers if k.lower() == name.lower()]
        return values[0] if values else None


def encode(path="/", address=None, headers=(), *, method="GET", body=b"",
           close=False, host="localhost"):
    """One request. `address` is whom realip shall take for the client."""
    lines = [f"{method} {path} HTTP/1.1", f"Host: {host}"]
    if address is not None:
        lines.append(f"X-Forwarded-For: {address}")
    if close:
        lines.append("Connection: close")
    if body:
        lines.append(f"Content-Length: {len(body)}")
    lines.extend(f"{name}: {value}" for name, value in headers)
    return "\r\n".join(lines + ["", ""]).encode("latin-1") + body


def _line(stream, first=False):
    line = stream.readline(1 << 20)
    if first and not line:
        raise Closed()
    if not line.endswith(b"\r\n"):
        raise Broken(f"a line ends in {line[-40:]!r}")
    return line[:-2].decode("latin-1")


def _exactly(stream, size):
    data = stream.read(size)
    if len(data) != size:
        raise Broken(f"{len(data)} of {size} bytes of a body")
    return data


def _chunks(stream):
    body = b""
    while size := int(_line(stream), 16):
        body += _exactly(stream, size)
        _line(stream)
    while _line(stream):
        pass
    return body


def read_response(stream, method="GET"):
    words = _line(stream, first=True).split(" ", 2)
    if len(words) < 2 or not words[0].startswith("HTTP/1.") or \
            not words[1].isdigit():
        raise Broken(f"no status line: {words!r}")
    headers = []
    while line := _line(stream):
        name, _, value = line.partition(":")
        headers.append((name, value.strip()))
    response = Response(int(words[1]), headers, b"")
    if method == "HEAD" or response.status in (204, 304):
        return response
    if response.header("Transfer-Encoding") == "chunked":
        return response._replace(body=_chunks(stream))
    length = response.header("Content-Length")
    if length is None:
        return response._replace(body=stream.read())
    return response._replace(body=_exactly(stream, int(length)))


class Connection:
    """A connection to a port of this machine, or to a unix socket's path.
    `first` is sent ahead of all else, as PROXY protocol lines are."""

    def __init__(self, where, first=b""):
        if isinstance(where, int):
            self.socket = socket.create_connection(("127.0.0.1", where), TIMEOUT)
            self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        else:
            self.socket = socket.socket(socket.AF_UNIX)
            self.socket.settimeout(TIMEOUT)
            self.socket.connect(str(where))
        self.socket.sendall(first)
        self.stream = self.socket.makefile("rb")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.stream.close()
        self.socket.close()

    def send(self, data):
        self.socket.sendall(data)

    def request(self, path="/", address=None, headers=(), **options):
        self.send(encode(path, address, headers, **options))
        return read_response(self.stream, options.get("method", "GET"))


def get(where, path="/", address=None, headers=(), **options):
    """One request on a connection of its own."""
    with Connection(where) as connection:
        return connection.request(path, address, headers, close=True, **options)


def statuses(where, count, path="/", address=None, headers=(), **options):
    """The status codes of so many equal requests, each on a connection of its
    own, one after the other."""
    return [get(where, path, address, headers, **options).status
            for _ in range(count)]


# Of a flood of new keys, two in a million share the budget of another that has
# the same tag (ARCHITECTURE.md): so many may be refused for it, and never are.
SHARED = 10


def pipeline(where, requests):
    """The status codes of many encoded requests on one connection."""
    codes = []
    with Connection(where) as connection:
        for first in range(0, len(requests), 64):
            batch = requests[first:first + 64]
            connection.send(b"".join(batch))
            codes += [read_response(connection.stream).status for _ in batch]
    return codes


def raw(where, data, *, wait=False):
    """Sends bytes and returns all that comes back until the server closes.
    Without `wait` nothing more is to be expected from this client, for which
    nginx gives up what it still waits for."""
    with Connection(where) as connection:
        connection.send(data)
        if not wait:
            connection.socket.shutdown(socket.SHUT_WR)
        try:
            return connection.stream.read()
        except ConnectionResetError:
            return b""
