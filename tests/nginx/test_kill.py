"""Workers killed under load: the next one goes on with the same counts.

A worker that dies (SIGKILL, as the kernel's out-of-memory killer sends) holds
no lock and leaves nothing half-done in a zone. The kill may strand the one
charge whose answer was not written yet: of a budget of N requests, at least
N - kills and never more than N are answered.
"""

import random

import pytest

from client import SHARED, encode, pipeline, statuses
from server import wait_for
from storm import Storm

KILLS = 15
BUDGET = 2000

HTTP = ("weir_limit_zone $arg_k zone=one:1m rate=1r/h;"
        "weir_limit_zone $host zone=total:1m rate=1r/h;")
SERVER = ("location / { weir_limit zone=one burst=4 nodelay; }"
          f"location /load {{ weir_limit zone=one burst={BUDGET - 1} nodelay;"
          " alias @dir@/html/index.html; }"
          f"location /both {{ weir_limit zone=one burst={BUDGET + 99} nodelay;"
          f" weir_limit zone=total burst={BUDGET - 1} nodelay;"
          " alias @dir@/html/index.html; }")


def storm_with_kills(nginx, path):
    """Kills workers whenever the number of passed requests reaches one of
    some random numbers; goes on until the budget has long been used up."""
    chance = random.Random(path)
    with Storm(nginx.port, lambda n: path) as storm:
        for moment in sorted(chance.sample(range(20, BUDGET - 20), KILLS)):
            wait_for(lambda: storm.seen(200) >= moment, "the load")
            nginx.kill_worker(chance.choice(sorted(nginx.workers())))
        wait_for(lambda: storm.seen(429) >= 300, "refusals")
    return storm


@pytest.mark.parametrize("path", ["/load?k=hot", "/both?k=hot"])
@pytest.mark.parametrize("workers", [1, 3])
def test_counts_survive_killed_workers(start_nginx, workers, path):
    """With two limits, charges that are given back are interrupted too."""
    nginx = start_nginx(HTTP, SERVER, workers=workers)
    nginx.allowed.append(r"worker process \d+ exited on signal 9$")
    storm = storm_with_kills(nginx, path)
    passed = storm.seen(200)
    assert BUDGET - KILLS <= passed <= BUDGET
    assert len(nginx.errors(r"\[alert\] .*exited on signal 9$")) == KILLS

    # Nothing is stuck: neither for the old key nor for new ones.
    assert statuses(nginx.port, 3, path) == [429] * 3
    for key in range(40):
        requests = [encode(f"/?k=new{key}")] * 8
        assert pipeline(nginx.port, requests) == [200] * 5 + [429] * 3
    nginx.reload(wait_for_exit=True)
    assert statuses(nginx.port, 3, path) == [429] * 3
    assert statuses(nginx.port, 3, "/?k=new1") == [429] * 3


def test_a_storm_of_new_keys_survives_killed_workers(start_nginx):
    """Workers are killed while they insert keys, in a zone that is too small
    for all of them: claims that a dead worker left harm nobody."""
    nginx = start_nginx(HTTP.replace("one:1m", "one:64k"),
                        SERVER + "access_log off; weir_limit_log_level info;")
    nginx.allowed.append(r"worker process \d+ exited on signal 9$")
    chance = random.Random("keys")
    with Storm(nginx.port, lambda n: f"/?k={chance.getrandbits(64)}") as storm:
        for number in range(1, KILLS + 1):
            wait_for(lambda: storm.seen(200) >= number * 100, "the load")
            nginx.kill_worker(chance.choice(sorted(nginx.workers())))
    assert storm.seen(429) <= SHARED  # each key is new, and evicts if need be
    keys = [encode(f"/?k=after{i}") for i in range(3000)]
    assert pipeline(nginx.port, keys).count(200) >= 3000 - SHARED
    for key in range(40):
        requests = [encode(f"/?k=new{key}")] * 8
        assert pipeline(nginx.port, requests) == [200] * 5 + [429] * 3
