"""limit_req and weir_limit side by side judge the same requests alike.

Both have the same limits in the same locations of one nginx, so that both see
each request within microseconds; one of them at least is in dry run. Seeds fix
the limits and the schedule of requests, and a failure names its seed.

limit_req counts in thousandths of a request and whole milliseconds, and reads
its clock once for all that one turn of nginx's event loop brings; weir reads a
finer one for each request. So the two may know of slightly different excesses
and may disagree on a request whose excess is at a boundary. How far they may
be apart is no guess: a request is judged after it is sent and before the
answer to a later one of its connection has come, by weir's clock. limit_req's
may have been read earlier, when the worker woke up for another request and was
then held up: by no more, it is taken, than any answer has been waited for in
the whole run. And limit_req rounds at most a thousandth away with each request,
at rates where it rounds at all. Whatever a verdict says of any of the excesses behind it has to
agree within that. After a disagreement the two have charged differently: the
keys that took part in it are left out from then on.

Where limit_req refuses or delays, weir sees the request not at all or later.
So limit_req is in force only without delays, and there what it lets pass is
compared.
"""

import math
import random
import re
import select
import statistics
import time
from collections import Counter, defaultdict
from typing import NamedTuple

import pytest

import http2
from server import wait_for

SECONDS = 10.0
LOCATIONS = 20
FAMILIES = 5  # for each location: keys that are used together
CONNECTIONS = 8
RETIRED_AT_MOST = 0.1  # of all families, for each millisecond a batch takes

RATES = ["1r/s", "2r/s", "3r/s", "4r/s", "6r/m", "30r/m", "60r/m", "90r/m",
         "150r/m"]

INFINITE = math.inf


class Limit(NamedTuple):
    """In thousandths of a request, as limit_req counts; the rate is for a
    second."""
    name: str
    key: str
    written: str
    rate: int
    burst: int
    delay: float

    def text(self):
        burst = f"burst={self.burst // 1000}" if self.burst else ""
        delay = "nodelay" if self.delay == INFINITE else \
            f"delay={self.delay // 1000}" if self.delay else ""
        return f"{burst} {delay}"

    def rounds(self):
        """Whether limit_req loses fractions of a thousandth."""
        return self.rate % 1000 != 0


class Request(NamedTuple):
    identity: str
    location: int
    keys: dict  # name of a key: value

    def path(self):
        keys = "".join(f"&{name}={value}" for name, value in self.keys.items())
        return f"/l{self.location}?id={self.identity}{keys}"

    def family(self):
        return self.location, self.keys["g"]


class Verdict(NamedTuple):
    word: str          # without _DRY_RUN; "-" if nothing was evaluated
    zone: str = ""     # named in error.log
    excess: int = 0


# ---- Random limits and schedules ----

def random_limit(rng, name, key, delays):
    written = rng.choice(RATES)
    number, unit = written.split("r/")
    burst = rng.choice([0, 1, 2, 3, 5])
    delay = rng.choice([INFINITE, 0, *range(1, burst + 1)]) if delays \
        else INFINITE
    return Limit(name, key, written, int(number) * 1000 // {"s": 1, "m": 60}[unit],
                 burst * 1000, delay * 1000)


def random_limits(rng, delays):
    """For each location one to three limits, of which the later ones count
    for several values of the first one's key together."""
    limits = []
    for location in range(LOCATIONS):
        keys = rng.choice([["k"], ["k"], ["k", "g"], ["g", "k"], ["g", "k", "h"]])
        limits.append([random_limit(rng, f"{location}{key}", key, delays)
                       for key in keys])
    return limits


def random_schedule(rng, limits):
    """(when, connection, requests) in the order of time: each family sends
    bursts and pauses, around what its limits admit."""
    schedule = []
    for location in range(LOCATIONS):
        for number in range(FAMILIES):
            connection = rng.randrange(CONNECTIONS)
            rate = min(limit.rate for limit in limits[location]) / 1000
            when = rng.uniform(0, 1)
            while when < SECONDS:
                size = rng.choice([1, 1, 1, 1, 2, 3, 8])
                batch = []
                for _ in range(size):
                    keys = {"k": f"{number}.{rng.randrange(2)}", "g": number,
                            "h": rng.choice([number, ""])}
                    batch.append((location, keys))
                schedule.append((when, connection, batch))
                when += rng.choice([0.2, 1, 1, 1, 4]) * rng.uniform(0.1, 0.6) \
                    / max(rate, 0.5)
    schedule.sort(key=lambda entry: entry[0])
    identities = iter(range(10 ** 9))
    return [(when, connection, [Request(f"r{next(identities)}", *words)
                                for words in batch])
            for when, connection, batch in schedule]


def configuration(limits, more):
    http = ['log_format pair "$arg_id $status $limit_req_status'
            ' $weir_limit_status"; access_log @dir@/pair.log pair;'
            " http2_max_concurrent_streams 10000;"]
    server = [more, "location /free { alias @dir@/html/index.html; }"]
    for number, location in enumerate(limits):
        server.append(f"location /l{number} {{ alias @dir@/html/index.html;")
        for limit in location:
            for module in ("limit_req", "weir_limit"):
                zone = f"zone={module}.{limit.name}"
                http.append(f"{module}_zone $arg_{limit.key} {zone}:64k"
                            f" rate={limit.written};")
                server.append(f"{module} {zone} {limit.text()};")
        server.append("}")
    return "\n".join(http), "\n".join(server)


# ---- Sending, and reading what came of it ----

def run(port, schedule):
    """Sends the requests when it is time. Returns for each batch between which
    times it was judged: behind each one goes a request that is not limited,
    by whose answer all of the batch have been judged."""
    clients = [http2.Connection(port) for _ in range(CONNECTIONS)]
    sent = []
    begin = time.monotonic()

    def receive(until):
        while (left := until - time.monotonic()) > 0:
            ready, _, _ = select.select(clients, [], [], left)
            for client in ready:
                client.receive()

    for when, connection, batch in schedule:
        receive(begin + when)
        client = clients[connection]
        before = time.monotonic()
        for request in batch:
            client.send(request.path())
        sent.append((before, client, client.send("/free")))
    for _, client, mark in sent:
        client.read(mark)
    for client in clients:
        client.close()
    return [(before, client.finished[mark]) for before, client, mark in sent]


LINE = re.compile(r"(delaying|limiting) requests?(?:, dry run)?, excess:"
                  r" (\d+)\.(\d{3}),? by zone \"(\w+)\.(\w+)\".*[?&]id=(\w+)&")


def read_logs(nginx, count):
    """{identity: (status, {module: Verdict})}, and the words as they were."""
    wait_for(lambda: sum(line.startswith("r") for line in
                         nginx.lines("pair.log")) == count, "the access log")
    named = {}
    for match in filter(None, map(LINE.search, nginx.errors())):
        word = {"delaying": "DELAYED", "limiting": "REJECTED"}[match[1]]
        named[match[6], match[4]] = Verdict(word, match[5],
                                            int(match[2] + match[3]))
    verdicts, words = {}, defaultdict(Counter)
    for line in nginx.lines("pair.log"):
        identity, status, *both = line.split()
        if not identity.startswith("r"):
            continue
        found = {}
        for module, word in zip(("limit_req", "weir_limit"), both):
            words[module][word] += 1
            plain = word.removesuffix("_DRY_RUN")
            found[module] = named.get((identity, module), Verdict(plain))
            assert found[module].word == plain, f"{identity}: {line}"
        verdicts[identity] = int(status), found
    return verdicts, words


# ---- Comparing ----

def implied(verdict, limits):
    """For each of the limits between what excesses it has to have been, if the
    verdict is right."""
    if verdict.word == "-":
        return [(0, INFINITE)] * len(limits)
    bounds, seen = [], False
    waits = 1.0  # milliseconds; less is no delay
    if verdict.word == "DELAYED":
        decided = next(limit for limit in limits if limit.name == verdict.zone)
        waits += (verdict.excess - decided.delay) * 1000 / decided.rate
    for limit in limits:
        if limit.name == verdict.zone:
            bounds.append((verdict.excess, verdict.excess))
            seen = True
        elif verdict.word == "REJECTED":
            bounds.append((0, INFINITE if seen else limit.burst))
        else:
            bounds.append((0, min(limit.burst,
                                  limit.delay + waits * limit.rate / 1000)))
    return bounds


def is_consistent(verdict, limits):
    """Whether the excess that is logged is where the word says it is."""
    for limit in limits:
        if limit.name == verdict.zone:
            return limit.burst <= verdict.excess if verdict.word == "REJECTED" \
                else limit.delay <= verdict.excess <= limit.burst
    return verdict.word in ("PASSED", "-")


class Clock:
    """How far apart the two limiters can be in one key's excess."""

    def __init__(self, limit, start, held_up):
        self.limit = limit
        self.start = start
        self.held_up = held_up
        self.requests = 0
        self.widest = 0.0

    def tolerance(self, before, after):
        """In thousandths. Both the present time and that since which the key
        is in debt are known as well as requests are timed, and to limit_req
        as whole milliseconds. weir's interval is rounded up by a 2^-20 s."""
        width = (after - before + self.held_up) * 1000 + 1
        self.requests += 1
        self.widest = max(self.widest, width)
        rate = self.limit.rate / 1000
        drift = rate * rate / 2 ** 20 * (after - self.start) * 1000
        rounding = 2 + (self.requests if self.limit.rounds() else 0)
        return rate * (width + self.widest) + drift + rounding


def compare(limits, schedule, times, verdicts):
    """Families in which the two disagreed, as they may. Asserts that whatever
    they say is within what their clocks explain."""
    clocks, retired, compared = {}, set(), 0
    held_up = max(after - before for before, after in times)
    for (_, _, batch), (before, after) in zip(schedule, times):
        for request in batch:
            of_request = [limit for limit in limits[request.location]
                          if request.keys[limit.key] != ""]
            tolerances = [clocks.setdefault(
                (limit.name, request.keys[limit.key]),
                Clock(limit, before, held_up))
                .tolerance(before, after) for limit in of_request]
            _, found = verdicts[request.identity]
            theirs, ours = found["limit_req"], found["weir_limit"]
            unseen = ours.word == "-" and theirs.word == "REJECTED"
            if request.family() in retired or unseen:
                continue
            compared += 1
            told = f"{request}: {of_request}: {theirs} {ours}"
            assert is_consistent(theirs, of_request), told
            assert is_consistent(ours, of_request), told
            pairs = zip(implied(theirs, of_request), implied(ours, of_request))
            for (a, b), tolerance in zip(pairs, tolerances):
                apart = max(a[0] - b[1], b[0] - a[1])
                assert apart <= tolerance, f"{told} {apart} > {tolerance:.1f}"
            if theirs.word != ours.word:
                retired.add(request.family())
    return retired, compared


def check_statuses(verdicts, refusing):
    """What a limiter that is in force refuses has its status, and no other."""
    for identity, (status, found) in verdicts.items():
        if refusing and found[refusing].word == "REJECTED":
            expected = {"limit_req": {503}, "weir_limit": {429}}[refusing]
        else:
            expected = {200, 499}  # 499 if it still waited in the end
        assert status in expected, f"{identity}: {status} {found}"


DRY = {name: f"{name}_dry_run on;" for name in ("limit_req", "weir_limit")}


@pytest.mark.parametrize("in_force, delays, seed", [
    ("", False, 1), ("limit_req", False, 2), ("", True, 3), ("weir_limit", True, 4),
], ids=["both in dry run, nodelay", "limit_req in force, nodelay",
        "both in dry run, delays", "weir_limit in force, delays"])
def test_both_judge_alike(start_nginx, capsys, in_force, delays, seed):
    rng = random.Random(seed)
    limits = random_limits(rng, delays)
    schedule = random_schedule(rng, limits)
    dry_run = "".join(text for name, text in DRY.items() if name != in_force)
    nginx = start_nginx(*configuration(limits, dry_run), listen=http2.listen())
    times = run(nginx.port, schedule)
    count = sum(len(batch) for _, _, batch in schedule)
    verdicts, words = read_logs(nginx, count)
    check_statuses(verdicts, in_force)
    retired, compared = compare(limits, schedule, times, verdicts)
    with capsys.disabled():
        print(f"\nseed {seed}: {count} requests, {compared} compared;"
              f" {len(retired)} of {LOCATIONS * FAMILIES} families retired;",
              {module: dict(counter) for module, counter in words.items()})
    # A machine that is slow leaves more time between the two clocks.
    slowness = max(1, statistics.median(b - a for a, b in times) * 1000)
    assert len(retired) <= RETIRED_AT_MOST * slowness * LOCATIONS * FAMILIES
    for module, counter in words.items():
        suffix = "" if module == in_force else "_DRY_RUN"
        expected = ["PASSED", "REJECTED" + suffix] \
            + (["DELAYED" + suffix] if delays else [])
        if module == "weir_limit" and in_force == "limit_req":
            expected.remove("REJECTED_DRY_RUN")  # it sees only what passes
        assert all(counter[word] > 100 for word in expected), counter
