"""Every recipe of docs/recipes.md does what its text says."""

import re
import subprocess

import pytest

import addresses as a
import documents
from client import Connection, encode, get, pipeline, read_response, statuses
from databases import built, moved
from documents import PERIOD, proves, waits_for
from server import wait_for
from upstreams import http_upstream

RECIPES = "docs/recipes.md"
ME = "198.51.100.1"
YOU = "198.51.100.2"
OFFICE = "192.168.1.1"


def reply(request):
    """The status of ?s=, or 200."""
    return int(request.path.partition("s=")[2][:3] or 200), []


@pytest.fixture
def serve(start_nginx, country_db, fixture_dir):
    with http_upstream(reply) as port:
        yield documents.Runner(start_nginx, {
            "db": country_db, "upstream": port,
            **documents.databases(fixture_dir)})


def passed(nginx, path="/", address=ME, most=120, headers=(), host="localhost"):
    """How many of `most` requests pass; they are the first."""
    codes = pipeline(nginx.port,
                     [encode(path, address, headers, host=host)] * most)
    count = codes.count(200)
    assert codes == [200] * count + [429] * (most - count)
    return count


def command(heading):
    """The shell command that a recipe shows, with its logs in another folder."""
    (text,) = [block.text for block in documents.blocks(RECIPES)
               if block.heading == heading and block.language == "indented"]
    return text


def run(text, nginx, check=True):
    text = text.replace("/var/log/nginx", str(nginx.dir))
    return subprocess.run(["sh", "-c", text], capture_output=True, text=True,
                          check=check).stdout.splitlines()


def test_every_recipe_is_run():
    assert documents.unproven(RECIPES) == []


def test_the_list_at_the_top_has_every_recipe():
    text = (documents.ROOT / RECIPES).read_text()
    assert re.findall(r"^- \[(.*)\]\(#", text, re.M) == \
        re.findall(r"^## (.*)$", text, re.M)


@proves(RECIPES, "Limits by country")
def test_countries_have_wide_and_narrow_budgets(serve, example):
    nginx = serve(example)
    found = {name: passed(nginx, "/", address)
             for name, address in [("KR", a.KR), ("DE", a.DE), ("XX", a.UNKNOWN),
                                   ("US", a.US), ("ZZ", OFFICE)]}
    assert found == {"KR": 101, "DE": 41, "XX": 6, "US": 11, "ZZ": 11}
    assert passed(nginx, "/", "168.126.64.1") == 101  # another Korean
    for address, rate in ((a.KR, 50), (a.JP, 50), (a.DE, 20), (a.UNKNOWN, 1),
                          (a.US, 5), (OFFICE, 5)):
        passed(nginx, "/", address)
        assert waits_for(get(nginx.port, "/other", address), 1, rate)
    assert get(nginx.port, "/", a.KP).status == 403
    line = f'{a.KP} KP 403 GEO_DENIED "GET / HTTP/1.1"'
    wait_for(lambda: line in nginx.lines("geo.log"), "the log")


@proves(RECIPES, "Login protection")
def test_failed_logins_use_up_a_budget(serve, example):
    nginx = serve(example)
    good, bad = "/login?s=200", "/login?s=401"
    assert passed(nginx, good) == 120
    codes = statuses(nginx.port, 3, bad, ME) \
        + statuses(nginx.port, 3, "/login?s=403", ME)
    assert codes == [401] * 3 + [403] * 2 + [429]
    assert get(nginx.port, good, ME).status == 429
    assert get(nginx.port, good, YOU).status == 200
    assert passed(nginx) == 120


@proves(RECIPES, "Login protection")
def test_failures_in_flight_are_let_pass_and_charged(start_nginx, country_db,
                                                     example):
    """Of 20 tries 16 have to be paid off before the next one."""
    asked, free = [], []

    def hold_back(request):
        asked.append(request)
        wait_for(lambda: free, "all to be in flight")
        return 401, []

    with http_upstream(hold_back) as port:
        nginx = documents.Runner(start_nginx, {"upstream": port})(
            example, [("rate=5r/30d", "rate=5r/h")])
        clients = [Connection(nginx.port) for _ in range(20)]
        for client in clients:
            client.send(encode("/login", ME))
        wait_for(lambda: len(asked) == 20, "tries in flight")
        free.append(True)
        assert [read_response(c.stream).status for c in clients] == [401] * 20
        for client in clients:
            client.close()
    assert waits_for(get(nginx.port, "/login", ME), 16, 5, 3600)


def key(value):
    return [("X-Api-Key", value)]


@proves(RECIPES, "API plans")
def test_customers_have_plans(serve, example):
    nginx = serve(example)
    for name, value, rate in (("alice", "5cf9a1c3", 100), ("bob", "77be02d1", 20)):
        assert passed(nginx, "/api/", ME, 60, key(value)) == 51, name
        assert waits_for(get(nginx.port, "/api/", YOU, key(value)), 1, rate)
    assert passed(nginx, "/api/", ME, headers=key("09d4e8aa")) == 120
    # Without a key, or with one that is made up, it is the address.
    assert passed(nginx, "/api/", ME, 40) == 40
    assert sum(passed(nginx, "/api/", ME, 1, key(f"made-up-{n}"))
               for n in range(20)) == 11
    assert waits_for(get(nginx.port, "/api/", ME), 1, 5)
    assert passed(nginx, "/api/", YOU, 60) == 51


@proves(RECIPES, "Requests that cost more")
@pytest.mark.parametrize("path, number", [
    ("/page", 60), ("/search?q=x", 12), ("/export/all", 3), ("/health", 120)])
def test_requests_cost_more_or_nothing(serve, example, path, number):
    nginx = serve(example)
    assert passed(nginx, path) == number
    if number < 120:
        assert get(nginx.port, "/page", ME).status == 429
        assert get(nginx.port, "/health", ME).status == 200


@proves(RECIPES, "Requests that cost more")
def test_a_cheap_request_may_pass_where_a_dear_one_does_not(serve, example):
    nginx = serve(example)
    assert statuses(nginx.port, 2, "/export/all", ME) == [200] * 2
    assert statuses(nginx.port, 5, "/page", ME) == [200] * 5
    refused = get(nginx.port, "/export/all", ME)
    assert waits_for(refused, 5, 20)
    assert get(nginx.port, "/search", ME).status == 200


@proves(RECIPES, "One budget for a whole country")
def test_a_country_has_one_budget_and_main_markets_have_no_bound(serve, example):
    nginx = serve(example)
    for address, bound in ((a.US, 200), (a.GB, 200), (a.CH, 200), (OFFICE, 200),
                           (a.KR, 10), (a.DE, 10)):
        network = address.rpartition(".")[0]
        found = [passed(nginx, "/", f"{network}.{n}", 22) for n in range(1, 22)]
        assert found[:19] == [21] * 19
        assert sum(found) == (401 if bound == 200 else 21 * 21)
        assert waits_for(get(nginx.port, "/other", f"{network}.21"), 1, bound)
    assert sum(passed(nginx, "/", f"3000:0:0:{n}::1", 22) for n in range(9)) == 51
    assert waits_for(get(nginx.port, "/", "3000:0:0:8::1"), 1, 50)
    assert nginx.errors('by zone "countries"')


@proves(RECIPES, "IPv6")
def test_networks_have_budgets_beside_clients(serve, example):
    nginx = serve(example)
    # Of one /56: two /64, and their sum is the line's.
    assert passed(nginx, "/", "2a01:4f8:0:100::1", 30) == 21
    assert passed(nginx, "/", "2a01:4f8:0:100::2", 30) == 0
    assert passed(nginx, "/", "2a01:4f8:0:101::1", 30) == 20
    # Of one /48: 101 in all.
    found = [passed(nginx, "/", f"2a01:4f8:0:{n}00::1", 30) for n in range(2, 6)]
    assert found == [21, 21, 18, 0]
    # Of one IPv4 /24, in which no two addresses are one line.
    found = [passed(nginx, "/", f"198.51.100.{n}", 30) for n in range(1, 7)]
    assert found == [21, 21, 21, 21, 17, 0]
    for neighbour in ("2a01:4f8:1::1", "198.51.101.1"):
        assert get(nginx.port, "/", neighbour).status == 200
    for zone in ("clients", "lines", "networks"):
        assert nginx.errors(f'by zone "{zone}"')
    for address, rate in (("2a01:4f8:0:100::1", 10), ("2a01:4f8:0:101::2", 20),
                          ("198.51.100.9", 50), ("2a01:4f8:0:900::1", 50)):
        assert waits_for(get(nginx.port, "/other", address), 1, rate)


@proves(RECIPES, "Behind a CDN or load balancer")
def test_the_client_is_whom_the_cdn_names(serve, example):
    nginx = serve(example, [("192.0.2.0/24", "127.0.0.0/8")])
    assert get(nginx.port, "/", a.KP).status == 403
    assert passed(nginx, "/", a.KR, 30) == 21
    assert passed(nginx, "/", a.DE, 30) == 21
    # The CDN has machines of its own on the way.
    assert get(nginx.port, "/", f"{a.KP}, 127.0.0.7").status == 403
    # What the client itself has put before the CDN's word is not believed.
    assert get(nginx.port, "/", f"{a.FR}, {a.KP}").status == 403
    assert waits_for(get(nginx.port, "/", f"{a.FR}, {a.KR}"), 1, 10)


@proves(RECIPES, "Behind a CDN or load balancer")
def test_nobody_else_is_believed(serve, example):
    """Here this machine is no CDN: all requests are its own."""
    nginx = serve(example)
    assert get(nginx.port, "/?id=x", a.KP).status == 200
    assert nginx.access("x")["weir_country"] == "ZZ"
    assert passed(nginx, "/", a.KR, 30) == 20
    assert get(nginx.port, "/", a.DE).status == 429


@proves(RECIPES, "Trying limits out in a dry run")
def test_a_dry_run_stops_nobody_and_tells_who_would_be(serve, example):
    nginx = serve(example)
    assert passed(nginx, "/", a.DE, 30) == 30
    assert passed(nginx, "/", a.KR, 5) == 5
    wait_for(lambda: len(nginx.lines("verdicts.log")) == 35, "the log")
    line = f'{a.DE} DE REJECTED_DRY_RUN REJECTED_DRY_RUN "GET / HTTP/1.1"'
    assert nginx.lines("verdicts.log").count(line) == 9
    said = run(command("Trying limits out in a dry run"), nginx)
    assert said == [f"9 {a.DE} DE REJECTED_DRY_RUN REJECTED_DRY_RUN",
                    f"5 {a.KR} KR GEO_DENIED_DRY_RUN PASSED"]
    assert len(nginx.errors(r"\[info\] .* limiting requests, dry run")) == 9
    assert len(nginx.errors(r"\[info\] .* geo denied, dry run, country: KR")) == 5


@proves(RECIPES, "Trying limits out in a dry run")
def test_without_the_dry_run_lines_it_is_in_force(serve, example):
    nginx = serve(example, [("weir_limit_dry_run   on;", ""),
                            ("weir_geo_dry_run   on;", "")])
    assert passed(nginx, "/", a.DE, 30) == 21
    assert waits_for(get(nginx.port, "/", a.DE), 1, 10)
    assert get(nginx.port, "/", a.KR).status == 403


@proves(RECIPES, "Several sites in one nginx")
def test_sites_share_a_zone_or_have_their_own(serve, example):
    nginx = serve(example)
    for first, second in (("blog", "wiki"), ("wiki", "blog")):
        address = {"blog": ME, "wiki": YOU}[first]
        assert passed(nginx, "/", address, 15, host=f"{first}.example") == 15
        assert passed(nginx, "/", address, 15, host=f"{second}.example") == 6
    for site, budget, rate in (("shop", 61, 30), ("forum", 11, 5),
                               ("chat", 11, 5), ("blog", 21, 10)):
        host = f"{site}.example"
        assert passed(nginx, "/", a.KR, host=host) == budget
        assert waits_for(get(nginx.port, "/other", a.KR, host=host), 1, rate)
        assert get(nginx.port, "/", a.JP, host=host).status == 200
    assert passed(nginx, "/", a.KR, host="static.example") == 120


@proves(RECIPES, "Telling clients their budget")
def test_clients_are_told_their_budget(serve, example):
    nginx = serve(example)
    names = ["RateLimit-Policy", "RateLimit", "X-RateLimit-Limit",
             "X-RateLimit-Remaining", "X-RateLimit-Reset"]
    first = get(nginx.port, "/api/", ME, key("5cf9a1c3"))
    said = [first.header(name) for name in names]
    reset = said.pop()
    assert PERIOD / 100 - 600 < int(reset) < PERIOD / 100 * 1.01 + 1
    assert said == [f'"keys";q=100;w={PERIOD}', f'"keys";r=99;t={reset}', "100", "99"]
    assert passed(nginx, "/api/", ME, 120, key("5cf9a1c3")) == 99
    refused = get(nginx.port, "/api/", ME, key("5cf9a1c3"))
    assert refused.status == 429
    assert refused.header("RateLimit").startswith('"keys";r=0;t=')
    assert refused.header("X-RateLimit-Remaining") == "0"
    assert waits_for(refused, 1, 100)
    for headers in ([], key("made-up")):
        nobody = get(nginx.port, "/api/", ME, headers)
        assert nobody.status == 200
        assert all(nobody.header(name) is None for name in names)


@proves(RECIPES, "Letting your own monitoring pass")
def test_monitoring_is_neither_filtered_nor_limited(serve, example):
    nginx = serve(example)
    secret = [("X-Load-Test", "b7d1e5a0")]
    assert passed(nginx, "/", "192.0.2.10") == 120
    assert passed(nginx, "/", a.US, headers=secret) == 120
    get(nginx.port, "/?id=x", "192.0.2.10")
    assert nginx.access("x")["weir_status"] == "BYPASSED"
    assert get(nginx.port, "/", a.US).status == 403
    assert get(nginx.port, "/", a.US, [("X-Load-Test", "1")]).status == 403
    assert passed(nginx, "/", a.DE, 30) == 21
    assert passed(nginx, "/", "192.0.2.20", 30) == 21
    assert waits_for(get(nginx.port, "/other", a.DE), 1, 10)


@proves(RECIPES, "Keeping the country database up to date")
def test_a_database_is_fetched_and_taken_up(serve, folder, fixture_dir, example):
    """What comes from afar here comes from another folder."""
    shop, home = folder / "shop", folder / "home"
    shop.mkdir()
    home.mkdir()
    data = (fixture_dir / "maxmind.mmdb").read_bytes()
    (home / "country.mmdb").write_bytes(data)
    nginx = serve(example, [("reload=1m", "reload=100ms")],
                  db=home / "country.mmdb")
    fetch = command("Keeping the country database up to date") \
        .replace("/var/lib/GeoIP", str(home)) \
        .replace("https://geo.example", f"file://{shop}")

    def asked():
        before = len(nginx.lines("geo.log"))
        get(nginx.port, "/", a.KR)
        wait_for(lambda: len(nginx.lines("geo.log")) > before, "the log")
        return nginx.lines("geo.log")[-1].split()[1:3]

    epoch = 1_700_000_000
    assert asked() == ["KR", str(epoch)]
    run(fetch, nginx, check=False)  # there is nothing to be had
    assert (home / "country.mmdb").read_bytes() == data

    newer = built(moved(data, b"JP"), epoch + 1)
    (shop / "country.mmdb").write_bytes(newer)
    run(fetch, nginx)
    assert (home / "country.mmdb").stat().st_mode & 0o777 == 0o644
    nginx.wait_errors("updated: ")
    assert asked() == ["JP", str(epoch + 1)]

    for count, other in enumerate((data[:1000], built(data, epoch - 1)), 1):
        (shop / "country.mmdb").write_bytes(other)
        run(fetch, nginx)
        nginx.wait_errors("is not updated", count)
        assert asked() == ["JP", str(epoch + 1)]

    nginx.reload()
    assert asked() == ["KR", str(epoch - 1)]


@proves(RECIPES, "Cities and networks")
def test_cities_and_networks_are_known(serve, example):
    nginx = serve(example)
    spoof = [("X-City", "Paris"), ("x_asn", "1")]
    for address, city, asn in ((a.DE, "Berlin", "64500"), (a.KR, "Seoul", "64510"),
                               (a.US, "-", "0")):
        lines = get(nginx.port, "/", address, spoof).text.splitlines()
        assert [line for line in lines if re.match("x.(city|asn)", line, re.I)] == \
            [f"X-City: {city}", f"X-ASN: {asn}"]
    wait_for(lambda: len(nginx.lines("places.log")) == 3, "the log")
    assert sorted(nginx.lines("places.log")) == sorted([
        f'{a.DE} DE "Berlin" AS64500 "Example \\x22Hosting\\x22 GmbH" 200',
        f'{a.KR} KR "Seoul" AS64510 "-" 200', f'{a.US} US "-" AS0 "-" 200'])
    assert passed(nginx, "/", a.DE, 30) == 4
    assert waits_for(get(nginx.port, "/", a.DE), 1, 1)
    for address in (a.KR, a.US):
        assert passed(nginx, "/", address, 30) == 20
        assert waits_for(get(nginx.port, "/other", address), 1, 10)
