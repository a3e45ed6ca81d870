"""Upstream servers that answer with exactly what nginx sent them.

One for each protocol that nginx speaks to backends: HTTP, FastCGI, uwsgi and
SCGI. The body of each answer is the head of the request: for HTTP the raw
lines, for the others a line `NAME: value` for each parameter. A test reads
what reached the backend in the response; nothing is shared between threads.
"""

import contextlib
import socketserver
import struct
import threading
from typing import NamedTuple


class Request(NamedTuple):
    path: str
    lines: list  # as received
    body: bytes = b""  # HTTP only


class _Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True
    request_queue_size = 128


@contextlib.contextmanager
def _serving(handle, reply):
    """Runs a handler in a thread; yields its port."""

    class Handler(socketserver.StreamRequestHandler):
        timeout = 60

        def handle(self):
            with contextlib.suppress(ConnectionError, TimeoutError):
                handle(self.rfile, self.wfile, reply)

    with _Server(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever,
                                  kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield server.server_address[1]
        finally:
            server.shutdown()
            thread.join()


def _exactly(stream, size):
    data = stream.read(size)
    if len(data) != size:
        raise ConnectionError("the request ended early")
    return data


def _cgi_head(status, extra):
    lines = [f"Status: {status}", "Content-Type: text/plain"]
    lines += [f"{name}: {value}" for name, value in extra]
    return "\r\n".join(lines + ["", ""]).encode("latin-1")


def _answer(parameters, reply):
    """What a CGI-like backend says, from its (name, value) parameters."""
    lines = [f"{name}: {value}" for name, value in parameters]
    path = dict(parameters).get("REQUEST_URI", "")
    status, extra = reply(Request(path, lines))
    return _cgi_head(status, extra) + "\n".join(lines).encode("latin-1")


def _http(stream, out, reply):
    start = stream.readline().decode("latin-1").split(" ")
    lines = []
    while (line := stream.readline()) not in (b"\r\n", b""):
        lines.append(line.decode("latin-1").rstrip("\r\n"))
    sent = b""
    for line in lines:
        name, _, value = line.partition(":")
        if name.lower() == "content-length":
            sent = _exactly(stream, int(value))
    status, extra = reply(Request(start[1] if len(start) > 1 else "", lines,
                                  sent))
    body = "\n".join(lines).encode("latin-1")
    head = [f"HTTP/1.1 {status} Recorded", "Content-Type: text/plain",
            f"Content-Length: {len(body)}", "Connection: close"]
    head += [f"{name}: {value}" for name, value in extra]
    out.write("\r\n".join(head + ["", ""]).encode("latin-1") + body)


def _scgi(stream, out, reply):
    size = b""
    while (byte := _exactly(stream, 1)) != b":":
        size += byte
    words = _exactly(stream, int(size)).decode("latin-1").split("\0")
    out.write(_answer(list(zip(words[::2], words[1::2])), reply))


def _uwsgi(stream, out, reply):
    _, size, _ = struct.unpack("<BHB", _exactly(stream, 4))
    data, words = _exactly(stream, size), []
    while data:
        (length,) = struct.unpack_from("<H", data)
        words.append(data[2:2 + length].decode("latin-1"))
        data = data[2 + length:]
    out.write(_answer(list(zip(words[::2], words[1::2])), reply))


_PARAMS, _STDIN, _STDOUT, _END = 4, 5, 6, 3


def _fastcgi_records(stream):
    while True:
        _, kind, _, size, padding, _ = struct.unpack(
            ">BBHHBB", _exactly(stream, 8))
        yield kind, _exactly(stream, size)
        _exactly(stream, padding)


def _fastcgi_pairs(data):
    def length(at):
        if data[at] < 128:
            return data[at], at + 1
        return struct.unpack_from(">I", data, at)[0] & 0x7fffffff, at + 4

    at = 0
    while at < len(data):
        name, at = length(at)
        value, at = length(at)
        yield (data[at:at + name].decode("latin-1"),
               data[at + name:at + name + value].decode("latin-1"))
        at += name + value


def _fastcgi(stream, out, reply):
    params = b""
    for kind, data in _fastcgi_records(stream):
        if kind == _PARAMS:
            params += data
        elif kind == _STDIN and not data:
            break
    body = _answer(list(_fastcgi_pairs(params)), reply)
    for first in range(0, len(body), 32768):
        part = body[first:first + 32768]
        out.write(struct.pack(">BBHHBB", 1, _STDOUT, 1, len(part), 0, 0) + part)
    out.write(struct.pack(">BBHHBB", 1, _END, 1, 8, 0, 0) + bytes(8))


def _ok(_):
    return 200, []


def http_upstream(reply=_ok):
    """`reply` gets a Request and returns a status and extra headers."""
    return _serving(_http, reply)


def fastcgi_upstream(reply=_ok):
    return _serving(_fastcgi, reply)


def uwsgi_upstream(reply=_ok):
    return _serving(_uwsgi, reply)


def scgi_upstream(reply=_ok):
    return _serving(_scgi, reply)
