"""The worker that reads a database may be killed, put to sleep, or told to end."""

import contextlib
import os
import random
import signal
import time

import pytest

import addresses as a
from client import get
from databases import built, moved, replace
from served import EPOCH, INTERVAL, REFUSED, UPDATED
from server import children, wait_for


def builders(nginx):
    """Workers that have a second thread just now."""
    found = []
    for pid in children(nginx.process.pid):
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            if len(os.listdir(f"/proc/{pid}/task")) > 1:
                found.append(pid)
    return found


class Successors:
    """An nginx of four workers, and ever newer databases for it."""

    def __init__(self, nginx, world, interval=INTERVAL):
        self.nginx, self.world = nginx, world
        self.path = nginx.dir / "country.mmdb"
        self.path.write_bytes(world)
        self.number = 0
        self.now = None
        nginx.configure(f"weir_geo_db @dir@/country.mmdb reload={interval};",
                        'location / { return 200 "$weir_country $weir_geo_epoch"; }')
        nginx.start()

    def put(self):
        """The next database; returns what nginx says when it is in use."""
        self.number += 1
        code = [b"JP", b"DE", b"FR"][self.number % 3]
        replace(self.path, built(moved(self.world, code), EPOCH + self.number))
        self.now = f"{code.decode()} {EPOCH + self.number}"
        return self.now

    def caught(self):
        """The worker that is about to read the next database. On a machine so
        busy that it was missed, the one after that."""
        while True:
            self.put()
            found = wait_for(lambda: builders(self.nginx)
                             or self.answer() == self.now and [None],
                             "a worker that reads the file")
            assert len(found) == 1  # one at a time
            if found[0]:
                return found[0]

    def answer(self):
        return get(self.nginx.port, "/", a.KR).text

    def wait(self, text):
        wait_for(lambda: self.answer() == text, f"an update to {text}")

    def check_all_workers(self):
        wait_for(lambda: not builders(self.nginx), "all to end")
        assert {self.answer() for _ in range(40)} == {self.now}


@pytest.fixture
def successors(make_nginx, country_db):
    return Successors(make_nginx(workers=4), country_db.read_bytes())


def test_another_worker_goes_on_where_a_killed_one_was(successors):
    """Killed at random moments of the fifth of a second that it takes. Clients
    of a killed worker lose their connections, so that there is no load here."""
    nginx = successors.nginx
    nginx.allowed.append(r"exited on signal 9$")
    for _ in range(12):
        victim = successors.caught()
        time.sleep(random.random() * 0.25)
        os.kill(victim, signal.SIGKILL)
        wait_for(lambda: victim not in children(nginx.process.pid)
                 and len(nginx.workers()) == 4, "its successor")
        successors.wait(successors.now)
    assert not nginx.errors(REFUSED)
    successors.check_all_workers()


def test_another_worker_takes_over_within_two_intervals(make_nginx, country_db):
    """And what it takes to read the file. Five seconds more are for a machine
    that is busy."""
    successors = Successors(make_nginx(workers=4), country_db.read_bytes(), interval="5s")
    successors.nginx.allowed.append(r"exited on signal 9$")
    victim = successors.caught()
    os.kill(victim, signal.SIGKILL)
    wait_for(lambda: successors.answer() == successors.now, "another worker", 2 * 5 + 5)
    assert len(successors.nginx.wait_errors(UPDATED)) == 1


def test_a_worker_that_sleeps_while_it_reads_overwrites_nothing(successors):
    """It holds the lock as long as it lives: nobody publishes meanwhile, and
    when it wakes up, what comes after is newer. Requests go on, of workers
    that are awake."""
    for _ in range(5):
        before = successors.answer()
        sleeper = successors.caught()
        time.sleep(random.random() * 0.1)
        os.kill(sleeper, signal.SIGSTOP)
        try:
            older, newer = successors.now, successors.put()
            time.sleep(0.5)  # several intervals
            if builders(successors.nginx) == [sleeper]:
                assert successors.answer() in (before, older)
        finally:
            os.kill(sleeper, signal.SIGCONT)
        successors.wait(newer)
        successors.check_all_workers()
    assert not successors.nginx.errors(REFUSED)


def test_reloads_and_the_end_of_nginx_wait_for_who_reads(successors):
    nginx = successors.nginx
    for number in range(4):
        successors.caught()
        nginx.reload(wait_for_exit=number % 2 == 0)  # which reads it as well
        assert successors.answer() == successors.now
    successors.caught()
    nginx.stop()
    assert nginx.process.returncode == 0
