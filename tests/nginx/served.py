"""An nginx whose database changes while it serves requests.

Under a load that goes on all the time, every answer has to be right: the
country that the database in use says, from before a file is touched until an
update of it is logged, and that of its successor from then on. No answer may
be missing.

A worker looks at the file ten times a second here. What is expected not to
happen is waited for by what happens in its place: a refusal is logged.
"""

import contextlib
import threading
import time

import addresses as a
from client import Connection, encode, get, read_response
from databases import replace
from server import wait_for

INTERVAL = "100ms"
UPDATED = r'\[notice\] .* database ".*" updated: \d+ networks$'
REFUSED = r'\[error\] .* database ".*" is not updated, and stays as it was: '

THREADS = 4

EPOCH = int(time.time()) - 86400  # yesterday: newer than the originals


class Served:
    """An nginx whose database is a file of its own, and the load on it."""

    def __init__(self, nginx, data, parameters="", http="", expect="KR"):
        self.nginx = nginx
        self.path = nginx.dir / "country.mmdb"
        self.put(data)
        nginx.configure(
            f"weir_geo_db @dir@/country.mmdb reload={INTERVAL} {parameters};" + http,
            'location / { return 200 "$weir_country"; }'
            'location /epoch { return 200 "$weir_geo_epoch"; }')
        self.answers = []  # (when it was asked for, when it came, what)
        self.failures = []
        self.changes = [(0.0, 0.0, expect)]  # touched, known to be in use, code
        self.stop = threading.Event()
        self.threads = [threading.Thread(target=self._ask) for _ in range(THREADS)]

    def __enter__(self):
        self.nginx.start()
        for thread in self.threads:
            thread.start()
        wait_for(lambda: len(self.answers) > 50, "the load")
        return self

    def __exit__(self, kind, *_):
        self.stop.set()
        for thread in self.threads:
            thread.join()
        if kind is None:
            self.check()

    def _ask(self):
        while not self.stop.is_set():
            try:
                with Connection(self.nginx.port) as connection:
                    for _ in range(20):
                        asked = time.monotonic()
                        connection.send(encode("/", a.KR))
                        answer = read_response(connection.stream)
                        self.answers.append((asked, time.monotonic(),
                                             answer.text if answer.status == 200
                                             else answer.status))
                        time.sleep(0.001)
            except Exception as error:  # whatever it is, it fails the test
                self.failures.append(repr(error))
                return

    def check(self):
        assert not self.failures
        spans = [(touched, following[1], code) for (touched, _, code), following in
                 zip(self.changes, [*self.changes[1:], (0, float("inf"), "")])]
        for asked, came, code in self.answers:
            assert any(code == said and came >= first and asked <= last
                       for first, last, said in spans), \
                (asked, came, code, self.changes)
        assert len(self.answers) > 100

    # ---- Changing the file ----

    def put(self, data):
        replace(self.path, data)

    def updates(self):
        return len(self.nginx.errors(UPDATED))

    def refusals(self, pattern=""):
        return len(self.nginx.errors(REFUSED + ".*" + pattern))

    @contextlib.contextmanager
    def updating(self, code):
        """What is done inside makes the database another one."""
        before, touched = self.updates(), time.monotonic()
        # Asked for until now, answered from now on: either will do.
        self.changes.append((touched, float("inf"), code))
        yield
        wait_for(lambda: self.updates() > before, "an update")
        self.changes[-1] = (touched, time.monotonic(), code)

    @contextlib.contextmanager
    def refusing(self, pattern):
        """What is done inside changes nothing, but for a line in the log."""
        before, updates = self.refusals(pattern), self.updates()
        yield
        wait_for(lambda: self.refusals(pattern) > before, f"a refusal: {pattern}")
        assert self.updates() == updates

    def country(self):
        return get(self.nginx.port, "/", a.KR).text
