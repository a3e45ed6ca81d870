"""RateLimit and RateLimit-Policy as another program reads them.

The parser is npm's structured-headers, which has nothing of weir's:
tests/structured_fields says which. WEIR_STRUCTURED_FIELDS names a folder where
it is installed. Node and npm are heavy, and so these tests are run by
`./test.sh --all` only.
"""

import json
import os
import pathlib
import random
import subprocess

import pytest

import addresses as a
import http2
from client import get
from upstreams import http_upstream

HOUR = 3600
HEADERS = "weir_limit_headers both;"
ALIAS = "alias @dir@/html/index.html;"
ME = "198.51.100.1"


@pytest.fixture(scope="session")
def parse():
    """Lists of [item, parameters], or an error, for values of headers."""
    folder = os.environ.get("WEIR_STRUCTURED_FIELDS")
    if not folder or not pathlib.Path(folder, "parse.js").is_file():
        pytest.fail("WEIR_STRUCTURED_FIELDS names no folder with the parser:"
                    " ./test.sh --all makes one")

    def run(values):
        done = subprocess.run(
            ["node", "parse.js"], cwd=folder, text=True, check=True, timeout=60,
            input="".join(json.dumps(value) + "\n" for value in values),
            capture_output=True)
        found = [json.loads(line) for line in done.stdout.splitlines()]
        assert len(found) == len(values), done.stderr
        return found

    return run


def quoted(name):
    """As a word of a configuration file."""
    return name.replace("\\", "\\\\").replace('"', '\\"')


def told_as(name):
    """What a client is to read: bytes outside printable ASCII as %XX."""
    return "".join(chr(byte) if 0x20 <= byte <= 0x7e else f"%{byte:02X}"
                   for byte in name.encode())


def zone(name, words="rate=1r/h"):
    return f'weir_limit_zone $binary_remote_addr "zone={quoted(name)}:32k" {words};\n'


def limit(name, words="nodelay"):
    return f'weir_limit "zone={quoted(name)}" {words};\n'


def test_the_parser_is_strict(parse):
    """What weir would write if it were wrong is an error there."""
    wrong = ['"open', "'single';q=1", '"a" "b"', '"a";q=', '"a",', '"caf\u00e9"',
             '"tab\t"', '"a";Q=1', '"bad \\n escape"', '"a";q=1;w=1.2.3', "\x7f"]
    assert [list(answer) for answer in parse(wrong)] == [["error"]] * len(wrong)
    assert parse(['"a";q=1;w=2, b;q="x"', "1;q"]) == [
        [["a", {"q": 1, "w": 2}], [{"Token": "b"}, {"q": "x"}]],
        [[1, {"q": {"Boolean": "true"}}]]]


NAMES = ["plain", 'a"quote', "back\\slash", "two  words", '\\"', "\\\\", '"', "50%",
         "caf\u00e9", "\u20ac\u20ac", "tab\there", "\x01\x7f", "a, b;q=1", "~!@#^&*()",
         "'single'", "{brace}", "?1", "=?", "UPPER", "x" * 200, "%C3%A9"]


@pytest.mark.parametrize("name", NAMES, ids=range(len(NAMES)))
def test_any_zones_name_is_read_as_it_was_meant(start_nginx, parse, name):
    nginx = start_nginx(zone(name), f"{HEADERS} location / {{"
                        f" {limit(name, 'burst=4 nodelay')} }}")
    answer = get(nginx.port, "/", ME)
    policy, state = parse([answer.header("RateLimit-Policy"),
                           answer.header("RateLimit")])
    assert policy == [[told_as(name), {"q": 5, "w": 5 * HOUR}]]
    ((said, numbers),) = state
    assert (said, list(numbers), numbers["r"]) == (told_as(name), ["r", "t"], 4)
    assert 0 < numbers["t"] <= HOUR


def test_several_limits_are_one_list_with_the_tightest_first(start_nginx, parse):
    names = NAMES[:8]
    nginx = start_nginx(
        "".join(zone(name) for name in names),
        f"{HEADERS} location / {{ " + "".join(
            limit(name, f"burst={9 - place} nodelay")
            for place, name in enumerate(names)) + "}")
    answers = [get(nginx.port, "/", ME) for _ in range(5)]
    assert [answer.status for answer in answers] == [200] * 3 + [429] * 2
    order = [names[-1], *names[:-1]]
    expected = [[told_as(name), {"q": 10 - names.index(name),
                                 "w": (10 - names.index(name)) * HOUR}]
                for name in order]
    found = parse([answer.header("RateLimit-Policy") for answer in answers])
    assert found == [expected] * 5
    states = parse([answer.header("RateLimit") for answer in answers])
    assert [[(item, numbers["r"]) for item, numbers in state] for state in states] \
        == [[(told_as(names[-1]), r)] for r in (2, 1, 0, 0, 0)]


def test_windows_countries_and_rates_of_requests_too(start_nginx, parse, country_db):
    nginx = start_nginx(
        "weir_geo_db @db@;" + zone("a bucket") + zone(
            'a "window"', "rate=3r/30d algorithm=sliding_window")
        + "weir_country_limits \"zone=a bucket\" { KR rate=7r/h burst=2; }",
        f"{HEADERS} location / {{ {limit('a bucket', 'nodelay rate=$arg_r')}"
        + limit('a "window"', "") + "}", words={"db": country_db})
    window = ['a "window"', {"q": 3, "w": 30 * 24 * HOUR}]
    for path, address, q, w in [("/", a.KR, 3, 1543), ("/", a.DE, 1, HOUR),
                                ("/?r=100r/m", a.US, 1, 1)]:
        (policy,) = parse([get(nginx.port, path, address).header("RateLimit-Policy")])
        assert sorted(policy) == sorted([["a bucket", {"q": q, "w": w}], window])


def test_whoever_makes_the_answer(start_nginx, parse):
    theirs = [("RateLimit-Policy", "not a list;;"), ("RateLimit", '"open')]
    with http_upstream(lambda request: (200, theirs * 2)) as port:
        nginx = start_nginx(
            zone('"one"'), f"listen 127.0.0.1:@port2@ {http2.listen()};"
            f"{HEADERS} {limit(chr(34) + 'one' + chr(34), 'burst=99 nodelay')}"
            "location /up { proxy_pass http://127.0.0.1:@upstream@; }"
            "location /down { proxy_pass http://127.0.0.1:@port9@; }",
            words={"upstream": port})
        answers = [get(nginx.port, path, ME) for path in ("/", "/none", "/up", "/down")]
        answers += [http2.get(nginx.port_of("port2"), path, ME)
                    for path in ("/", "/none", "/up", "/down")]
    assert [answer.status for answer in answers] == [200, 404, 200, 502] * 2
    for answer in answers:
        names = [name.lower() for name, _ in answer.headers]
        assert [names.count(name) for name in ("ratelimit-policy", "ratelimit")] \
            == [1, 1]
    found = parse([answer.header("RateLimit") for answer in answers])
    assert [(item, numbers["r"]) for ((item, numbers),) in found] == \
        [('"one"', r) for r in range(99, 91, -1)]
    assert parse([answer.header("RateLimit-Policy") for answer in answers]) == \
        [[['"one"', {"q": 100, "w": 100 * HOUR}]]] * 8


def test_random_names_in_random_company(start_nginx, parse):
    seed = int(os.environ.get("WEIR_SEED") or random.SystemRandom().randrange(1 << 32))
    print(f"WEIR_SEED={seed}")
    chance = random.Random(seed)
    letters = [chr(code) for code in range(1, 0x7f) if chr(code) not in ":\n\r"]
    letters += ['"', "\\", " ", "%", "\u00e9", "\u20ac", "\U0001f600"] * 5
    names = list({"".join(chance.choices(letters, k=chance.randint(1, 12)))
                  for _ in range(90)})
    groups = [names[first:first + 3] for first in range(0, len(names), 3)]
    nginx = start_nginx(
        "".join(map(zone, names)), HEADERS + "".join(
            f"location = /{number} {{ {''.join(map(limit, group))} {ALIAS} }}"
            for number, group in enumerate(groups)))
    answers = [get(nginx.port, f"/{number}", ME) for number in range(len(groups))]
    found = parse([answer.header("RateLimit-Policy") for answer in answers])
    for group, policy in zip(groups, found):
        assert sorted(policy) == sorted([told_as(name), {"q": 1, "w": HOUR}]
                                        for name in group), f"WEIR_SEED={seed}"
