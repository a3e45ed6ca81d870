"""Upstream servers that answer with exactly what nginx sent them.

One for each protocol that nginx speaks to backends: HTTP, FastCGI, uwsgi, SCGI
and gRPC. The body of each answer is the head of the request: for HTTP the raw
lines, for the others a line `NAME: value` for each parameter or header. A test
reads what reached the backend in the response; nothing is shared between
threads.

Connections are kept where the protocol has that, and nginx asks for it.
"""

import contextlib
import socketserver
import struct
import threading
from typing import NamedTuple

import h2.config
import h2.connection
import h2.events


class Request(NamedTuple):
    path: str
    lines: list  # as received; trailers of the body are among them
    body: bytes = b""  # HTTP and gRPC only


class _Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True
    request_queue_size = 128


@contextlib.contextmanager
def _serving(handle, reply):
    """Runs a handler in a thread; yields its port."""

    class Handler(socketserver.StreamRequestHandler):
        timeout = 60
        disable_nagle_algorithm = True

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


def _answer(request, reply):
    """Status, extra headers and body: the record, but for a body of reply's."""
    status, extra, *body = reply(request)
    return status, extra, body[0] if body else \
        "\n".join(request.lines).encode("latin-1")


def _cgi_answer(parameters, reply):
    """What a CGI-like backend says, from its (name, value) parameters."""
    lines = [f"{name}: {value}" for name, value in parameters]
    path = dict(parameters).get("REQUEST_URI", "")
    status, extra, body = _answer(Request(path, lines), reply)
    return _cgi_head(status, extra) + body


def _http_lines(stream):
    lines = []
    while (line := stream.readline()) not in (b"\r\n", b""):
        lines.append(line.decode("latin-1").rstrip("\r\n"))
    return lines


def _http_chunks(stream):
    body = b""
    while size := int(stream.readline(), 16):
        body += _exactly(stream, size)
        _exactly(stream, len("\r\n"))
    return body


def _http(stream, out, reply):
    while start := stream.readline().split():
        lines, sent = _http_lines(stream), b""
        fields = {name.lower(): value.strip() for name, _, value in
                  (line.partition(":") for line in lines)}
        if fields.get("transfer-encoding") == "chunked":
            sent = _http_chunks(stream)
            lines += _http_lines(stream)
        elif "content-length" in fields:
            sent = _exactly(stream, int(fields["content-length"]))
        keep = start[2] == b"HTTP/1.1" and fields.get("connection") != "close"
        status, extra, body = _answer(
            Request(start[1].decode("latin-1"), lines, sent), reply)
        head = [f"HTTP/1.1 {status} Recorded", "Content-Type: text/plain",
                f"Content-Length: {len(body)}",
                f"Connection: {'keep-alive' if keep else 'close'}"]
        head += [f"{name}: {value}" for name, value in extra]
        out.write("\r\n".join(head + ["", ""]).encode("latin-1") + body)
        if not keep:
            break


def _scgi(stream, out, reply):
    size = b""
    while (byte := _exactly(stream, 1)) != b":":
        size += byte
    words = _exactly(stream, int(size)).decode("latin-1").split("\0")
    out.write(_cgi_answer(list(zip(words[::2], words[1::2])), reply))


def _uwsgi(stream, out, reply):
    _, size, _ = struct.unpack("<BHB", _exactly(stream, 4))
    data, words = _exactly(stream, size), []
    while data:
        (length,) = struct.unpack_from("<H", data)
        words.append(data[2:2 + length].decode("latin-1"))
        data = data[2 + length:]
    out.write(_cgi_answer(list(zip(words[::2], words[1::2])), reply))


_BEGIN, _END, _PARAMS, _STDIN, _STDOUT = 1, 3, 4, 5, 6
_KEEP_CONN = 1


def _fastcgi_records(stream):
    while head := stream.read(8):
        _, kind, _, size, padding, _ = struct.unpack(">BBHHBB", head)
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
    for kind, data in _fastcgi_records(stream):
        if kind == _BEGIN:
            _, flags = struct.unpack_from(">HB", data)
            params = b""
        elif kind == _PARAMS:
            params += data
        elif kind == _STDIN and not data:
            body = _cgi_answer(list(_fastcgi_pairs(params)), reply)
            records = b""
            for first in range(0, len(body), 32768):
                part = body[first:first + 32768]
                records += struct.pack(">BBHHBB", 1, _STDOUT, 1, len(part), 0,
                                       0) + part
            out.write(records + struct.pack(">BBHHBB", 1, _END, 1, 8, 0, 0) +
                      bytes(8))
            if not flags & _KEEP_CONN:
                break


def _grpc(stream, out, reply):
    """HTTP/2 on cleartext. python3-h2 does the frames, and is not to change or
    refuse any header: the record is what came."""
    connection = h2.connection.H2Connection(h2.config.H2Configuration(
        client_side=False, header_encoding="latin-1",
        validate_inbound_headers=False, normalize_inbound_headers=False))
    connection.initiate_connection()
    requests = {}
    while True:
        out.write(connection.data_to_send())
        data = stream.read1(1 << 16)
        if not data:
            break
        for event in connection.receive_data(data):
            if isinstance(event, h2.events.RequestReceived):
                requests[event.stream_id] = Request(
                    dict(event.headers)[":path"],
                    [f"{name}: {value}" for name, value in event.headers])
            elif isinstance(event, h2.events.TrailersReceived):
                requests[event.stream_id].lines.extend(
                    f"{name}: {value}" for name, value in event.headers)
            elif isinstance(event, h2.events.DataReceived):
                request = requests[event.stream_id]
                requests[event.stream_id] = request._replace(
                    body=request.body + event.data)
                connection.acknowledge_received_data(
                    event.flow_controlled_length, event.stream_id)
            elif isinstance(event, h2.events.StreamReset):
                requests.pop(event.stream_id, None)
            elif isinstance(event, h2.events.StreamEnded):
                status, extra, body = _answer(
                    requests.pop(event.stream_id), reply)
                connection.send_headers(event.stream_id, [
                    (":status", str(status)), ("content-type", "text/plain"),
                    *extra])
                size = connection.max_outbound_frame_size
                for first in range(0, len(body), size):
                    connection.send_data(event.stream_id,
                                         body[first:first + size])
                connection.end_stream(event.stream_id)


def _ok(_):
    return 200, []


def http_upstream(reply=_ok):
    """`reply` gets a Request and returns a status, extra headers, and a body if
    it shall not be the record."""
    return _serving(_http, reply)


def fastcgi_upstream(reply=_ok):
    return _serving(_fastcgi, reply)


def uwsgi_upstream(reply=_ok):
    return _serving(_uwsgi, reply)


def scgi_upstream(reply=_ok):
    return _serving(_scgi, reply)


def grpc_upstream(reply=_ok):
    return _serving(_grpc, reply)
