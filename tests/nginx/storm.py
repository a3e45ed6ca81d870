"""Load from several threads, with every outcome counted.

A storm goes on until it is told to stop, however long the events take that it
accompanies. What can happen to a request:

- an answer: counted under (what was asked, its status);
- "idle": a connection that had served requests before was closed before the
  first byte of this one's answer. Every server that closes idle connections
  does that now and then, and clients ask again;
- "failed": anything else, such as a refused or reset new connection, or an
  answer that ends early.
"""

import threading
from collections import Counter

from client import Broken, Closed, Connection, encode, read_response

THREADS = 4


class Storm:
    """`ask(n)` gives the n-th request of a thread as a path. Use it in a with
    statement; `counts` is complete behind it."""

    def __init__(self, port, ask, *, keep_alive=False, address="198.51.100.1"):
        self.port = port
        self.ask = ask
        self.keep_alive = keep_alive
        self.address = address
        self.counts = Counter()
        self.failures = []  # what happened, for the reader of a failed test
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._run)
                         for _ in range(THREADS)]

    def __enter__(self):
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def _count(self, outcome, error=None):
        with self._lock:
            self.counts[outcome] += 1
            if error is not None and len(self.failures) < 10:
                self.failures.append(repr(error))

    def _run(self):
        connection, served, n = None, 0, 0
        while not self._stop.is_set():
            path = self.ask(n)
            n += 1
            try:
                if connection is None:
                    connection, served = Connection(self.port), 0
                connection.send(encode(path, self.address,
                                       close=not self.keep_alive))
                response = read_response(connection.stream)
            except (OSError, Closed, Broken) as error:
                lost = isinstance(error, (Closed, ConnectionResetError,
                                          BrokenPipeError))
                self._count("idle" if served and lost else "failed", error)
                ended = True
            else:
                self._count((path, response.status))
                served += 1
                ended = response.header("Connection") == "close"
            if ended and connection is not None:
                connection.close()
                connection = None
        if connection is not None:
            connection.close()

    def seen(self, status, path=None):
        """How many answers had a status, to one path or to all."""
        with self._lock:
            return sum(count for outcome, count in self.counts.items()
                       if isinstance(outcome, tuple) and outcome[1] == status
                       and path in (None, outcome[0]))
