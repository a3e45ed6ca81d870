"""A small HTTP/2 client, on cleartext with prior knowledge.

It opens several streams on one connection, sends bodies when a test says so,
resets streams, and reads answers in whatever order they come. python3-h2 does
the frames, and sends headers as they are, but for lower-case names; here are
only the socket and what a test asks of it.

A GOAWAY is kept from python3-h2, for which a connection is over with it: the
streams that were open before still get their answers.
"""

import re
import socket
import subprocess
import time

import h2.config
import h2.connection
import h2.errors
import h2.events

import server
from client import TIMEOUT, Broken, Closed, Response

HEAD, GOAWAY = 9, 7  # bytes ahead of each frame; a type of frame


class Reset(Exception):
    """The server reset a stream before its answer was complete."""


def listen():
    """What to write behind an address to listen for HTTP/2: a parameter, or
    from nginx 1.25.1 on a directive of its own."""
    said = subprocess.run([server.binary(), "-v"], capture_output=True,
                          text=True, check=True).stderr
    version = re.search(r"nginx/(\d+)\.(\d+)\.(\d+)", said)
    new = tuple(map(int, version.groups())) >= (1, 25, 1)
    return "; http2 on" if new else "http2"


class Connection:
    """`first` is sent ahead of all else, as PROXY protocol lines are."""

    def __init__(self, port, first=b""):
        self.finished = {}  # stream: when it ended (monotonic), in that order
        self.goaway = False
        self._heads, self._bodies, self._resets = {}, {}, set()
        self._rest = b""
        self.socket = socket.create_connection(("127.0.0.1", port), TIMEOUT)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket.sendall(first)
        self.h2 = h2.connection.H2Connection(
            h2.config.H2Configuration(
                header_encoding="latin-1", validate_outbound_headers=False,
                normalize_outbound_headers=False))
        self.h2.initiate_connection()
        self._flush()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.socket.close()

    def fileno(self):  # for select()
        return self.socket.fileno()

    # ---- Sending ----

    def _flush(self):
        self.socket.sendall(self.h2.data_to_send())

    def send(self, path="/", address=None, headers=(), *, method="GET",
             body=None, host="localhost", end=True):
        """Opens a stream and returns its number. With `end=False` a body may
        follow by send_body()."""
        stream = self.h2.get_next_available_stream_id()
        head = [(":method", method), (":scheme", "http"), (":authority", host),
                (":path", path)]
        if address is not None:
            head.append(("x-forwarded-for", address))
        head += [(name.lower(), value) for name, value in headers]
        self._bodies[stream] = b""
        self.h2.send_headers(stream, head, end_stream=end and not body)
        self._flush()
        if body:
            self.send_body(stream, body, end=end)
        return stream

    def send_body(self, stream, data, *, end=True):
        """Sends a body, or a part of it, as fast as the server permits."""
        while data and stream not in self._resets:
            size = min(self.h2.local_flow_control_window(stream),
                       self.h2.max_outbound_frame_size)
            if size == 0:
                self.receive()
                continue
            self.h2.send_data(stream, data[:size])
            self._flush()
            data = data[size:]
        if end and not data:
            self.h2.end_stream(stream)
            self._flush()

    def reset(self, stream):
        self.h2.reset_stream(stream, h2.errors.ErrorCodes.CANCEL)
        self._flush()

    # ---- Receiving ----

    def _frames(self):
        """Bytes of whole frames, without any GOAWAY."""
        data = self.socket.recv(1 << 16)
        if not data:
            raise Closed()
        self._rest += data
        whole = b""
        while len(self._rest) >= HEAD:
            size = HEAD + int.from_bytes(self._rest[:3], "big")
            if len(self._rest) < size:
                break
            frame, self._rest = self._rest[:size], self._rest[size:]
            if frame[3] == GOAWAY:
                self.goaway = True
            else:
                whole += frame
        return whole

    def receive(self):
        """Waits until something comes and takes it in."""
        for event in self.h2.receive_data(self._frames()):
            if isinstance(event, h2.events.ResponseReceived):
                self._heads[event.stream_id] = event.headers
            elif isinstance(event, h2.events.DataReceived):
                self._bodies[event.stream_id] += event.data
                self.h2.acknowledge_received_data(
                    event.flow_controlled_length, event.stream_id)
            elif isinstance(event, h2.events.StreamEnded):
                self.finished[event.stream_id] = time.monotonic()
            elif isinstance(event, h2.events.StreamReset):
                self._resets.add(event.stream_id)
        self._flush()

    def read(self, stream):
        """The whole answer on a stream. Others go on meanwhile."""
        while stream not in self.finished:
            if stream in self._resets:
                raise Reset()
            self.receive()
        head = dict(self._heads[stream])
        if ":status" not in head:
            raise Broken(f"no status: {head!r}")
        headers = [(name, value) for name, value in self._heads[stream]
                   if not name.startswith(":")]
        return Response(int(head[":status"]), headers, self._bodies[stream])

    def request(self, path="/", address=None, headers=(), **options):
        return self.read(self.send(path, address, headers, **options))


def get(port, path="/", address=None, headers=(), **options):
    """One request on a connection of its own."""
    with Connection(port) as connection:
        return connection.request(path, address, headers, **options)
