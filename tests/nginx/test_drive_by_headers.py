"""Clients who go by what the answers tell them, and by nothing else.

Random configurations, each with one client: who takes no more than is left is
never refused, and who waits as long as is said is admitted. Time that passes
unnoticed, on a busy machine, only adds to what is left, so that nothing but an
answer that says too much can fail these.

WEIR_SEED chooses the configurations and what the clients do; a failure prints
it.
"""

import concurrent.futures
import os
import random
import re
import time

import pytest

from client import Connection

CLIENTS = 24  # at a time, in threads
SECONDS = 4   # so long each of them goes on

RATES = ["5r/s", "10r/s", "20r/s", "50r/s", "20r/2s", "15r/2s"]
PERIODS = {"5r/s": 1, "10r/s": 1, "20r/s": 1, "50r/s": 1, "20r/2s": 2, "15r/2s": 2}


class Answer:
    """A status, and what the headers say, in either way of saying it."""

    def __init__(self, response):
        self.status = response.status
        policy, state = (response.header(name)
                         for name in ("RateLimit-Policy", "RateLimit"))
        legacy = [response.header(f"X-RateLimit-{name}")
                  for name in ("Limit", "Remaining", "Reset")]
        self.retry_after = response.header("Retry-After")
        quotas = list(map(int, re.findall(r";q=(\d+);w=\d+", policy)))
        self.least_quota = min(quotas)
        match = re.search(r";r=(\d+);t=(\d+)$", state)
        self.left, self.full_after = int(match[1]), int(match[2])
        self.said = f"{self.status}, {policy}; {state}, {self.retry_after}"
        assert legacy == [str(quotas[0]), match[1], match[2]], self.said
        assert self.status in (200, 429), self.said
        # Told of a refusal that waiting can cure.
        assert self.status == 429 or self.retry_after is None, self.said


class Client:
    """One of a location's own; with what it did, for whoever reads a failure."""

    def __init__(self, port, location, rate, chance):
        self.connection = Connection(port)
        self.location, self.rate, self.chance = location, rate, chance
        self.history = []
        self.last = None

    def ask(self, cost):
        before = self.last
        answer = Answer(self.connection.request(
            f"{self.location}?k=me&c={cost}&r={self.rate}"))
        self.history.append(f"{time.monotonic():.3f} cost {cost}: {answer.said}")
        if before:
            # It alone takes from these budgets, and time gives back.
            taken = cost if answer.status == 200 else 0
            self.must(answer.left >= before.left - taken, "more is gone than taken")
        self.last = answer
        return answer

    def must(self, fact, what):
        assert fact, "\n".join([what, *self.history[-6:]])

    def sleep(self, seconds):
        time.sleep(seconds)
        self.history.append(f"slept {seconds:.3f}")

    # ---- What it may do ----

    def spend(self):
        """Up to all that is left."""
        if self.last.left:
            cost = self.chance.randint(1, self.last.left)
            self.must(self.ask(cost).status == 200, "refused while there is enough")

    def spend_all(self):
        if self.last.left:
            cost = self.last.left
            self.must(self.ask(cost).status == 200, "refused while there is enough")

    def look(self):
        self.must(self.ask(0).status == 200, "refused for looking")

    def pause(self):
        self.sleep(self.chance.random() * 0.2)

    def wait(self):
        """Of limits with as much left as the tightest all are full by then, and
        every other one has had more."""
        cost = min(self.last.left + 1, self.last.least_quota)
        self.sleep(self.last.full_after)
        self.must(self.ask(cost).status == 200, "refused after waiting")

    def overspend(self):
        """More than is left: if that is refused, when to come again is true."""
        cost = self.last.left + self.chance.randint(1, 5)
        refused = self.ask(cost)
        if refused.status == 200:
            return
        self.must((refused.retry_after is None) == (cost > refused.least_quota),
                  "told when to come again, or not told")
        if refused.retry_after and self.chance.random() < 0.5:
            self.must(int(refused.retry_after) >= 1, "told to come at once")
            self.sleep(int(refused.retry_after))
            self.must(self.ask(cost).status == 200, "refused when it came again")


class Alone(Client):
    """Under one limit, which is full after waiting."""

    def wait(self):
        quota = self.last.least_quota
        self.sleep(self.last.full_after)
        self.must(self.ask(quota).status == 200, "not full after waiting")


def drive(client):
    client.connection.socket.settimeout(60)
    try:
        client.look()
        end = time.monotonic() + SECONDS
        while time.monotonic() < end:
            client.chance.choices(
                [client.spend, client.spend_all, client.look, client.pause,
                 client.overspend, client.wait], [10, 2, 3, 3, 3, 1])[0]()
    finally:
        client.connection.close()
    return len(client.history)


def configuration(number, chance):
    """Zones and a location with one to three limits of random terms: some have
    their rate from the request, some from the client's country, and some are
    charged when the response is there. A burst is paid off within two seconds,
    or a few more at another rate."""
    zones = limits = ""
    count = chance.choice([1, 1, 2, 3])
    given = chance.choice(RATES)
    for index in range(count):
        name, rate = f"z{number}_{index}", chance.choice(RATES)
        window = chance.random() < 0.4
        algorithm = " algorithm=sliding_window" if window else ""
        zones += f"weir_limit_zone $arg_k zone={name}:32k rate={rate}{algorithm};\n"
        words = ""
        if not window:
            per_second = int(rate.partition("r")[0]) // PERIODS[rate]
            burst = chance.randint(0, 2 * per_second)
            words = f" burst={burst}" if burst else ""
            words += chance.choice([" nodelay"] * 6
                                   + [f" delay={burst or 1}"] * 3 + [""])
            if chance.random() < 0.25:
                words += " rate=$arg_r"
            if chance.random() < 0.25:
                zones += (f"weir_country_limits zone={name} {{ KR off; default"
                          f" rate={chance.choice(RATES)} burst={burst}; }}\n")
        if chance.random() < 0.25:
            words += " count=200"
        limits += f"weir_limit zone={name}{words} cost=$arg_c;\n"
    location = (f"location = /{number} {{\n{limits}weir_limit_headers both;"
                " alias @dir@/html/index.html; }\n")
    return zones, location, count, given


@pytest.mark.parametrize("workers", [1, 3])
def test_who_goes_by_the_headers_is_never_surprised(start_nginx, country_db, workers):
    seed = int(os.environ.get("WEIR_SEED") or random.SystemRandom().randrange(1 << 32))
    print(f"WEIR_SEED={seed}")
    chance = random.Random(seed)
    made = [configuration(number, chance) for number in range(CLIENTS)]
    nginx = start_nginx("weir_geo_db @db@;" + "".join(zones for zones, *_ in made),
                        "".join(location for _, location, *_ in made),
                        workers=workers, listen="reuseport",
                        words={"db": country_db})
    clients = [(Alone if count == 1 else Client)(
        nginx.port, f"/{number}", given, random.Random(seed + number))
        for number, (*_, count, given) in enumerate(made)]
    with concurrent.futures.ThreadPoolExecutor(CLIENTS) as pool:
        done = [pool.submit(drive, client) for client in clients]
        for future, (zones, location, *_) in zip(done, made):
            try:
                assert future.result() > 2
            except AssertionError as error:
                raise AssertionError(
                    f"WEIR_SEED={seed}\n{zones}{location}{error}") from None


# ---- Not a second too late ----

SLOW = ["1r/5s", "1r/3s", "2r/7s"]


def come_again(port, location, cost):
    """Whether the second before the last was refused, as far as the clock can
    tell; and the last one is admitted."""
    with Connection(port) as connection:
        def ask():
            return Answer(connection.request(f"{location}?k=me&c={cost}"))

        sent, refused = time.monotonic(), ask()
        while refused.status == 200:
            sent, refused = time.monotonic(), ask()
        told = time.monotonic()
        wait = int(refused.retry_after)
        time.sleep(max(0, sent + wait - 1.3 - time.monotonic()))
        early = ask()
        # The limit has judged it no later than this after the first one.
        known = time.monotonic() - sent <= wait - 1
        if known:
            assert early.status == 429, f"after {wait - 1} s: {refused.said}"
        if early.status == 429:
            time.sleep(max(0, told + wait - time.monotonic()))
            assert ask().status == 200, f"after {wait} s: {refused.said}"
        return known


@pytest.mark.parametrize("algorithm", ["token_bucket", "sliding_window"])
def test_a_second_before_the_time_to_come_again_is_too_early(start_nginx, algorithm):
    words = "" if algorithm == "sliding_window" else "burst=2 nodelay"
    cases = [(rate, cost) for rate in SLOW for cost in (1, 2)
             if words or cost <= int(rate[0])]
    zones = "".join(
        f"weir_limit_zone $arg_k zone=z{number}:32k rate={rate}"
        f" algorithm={algorithm};\n" for number, (rate, _) in enumerate(cases))
    locations = "".join(
        f"location = /{number} {{ weir_limit zone=z{number} {words} cost=$arg_c;"
        " weir_limit_headers both; alias @dir@/html/index.html; }\n"
        for number in range(len(cases)))
    nginx = start_nginx(zones, locations)
    with concurrent.futures.ThreadPoolExecutor(len(cases)) as pool:
        done = [pool.submit(come_again, nginx.port, f"/{number}", cost)
                for number, (_, cost) in enumerate(cases)]
        known = [future.result() for future in done]
    # Again, if the machine was too busy to be in time, or there is no second
    # before the one that was told.
    for number, (_, cost) in enumerate(cases):
        assert known[number] or any(come_again(nginx.port, f"/{number}", cost)
                                    for _ in range(9)), "never a second early"
