"""The documents tell the truth.

Every nginx example of every document is one that `nginx -t` takes, and every
example of docs/directives.md does what its text says; test_recipes.py,
test_coming_from_limit_req.py and test_readme.py show that of the others. An
example that no test runs fails here.
"""

import itertools
import json
import re
import time

import maxminddb
import pytest

import addresses as a
import documents
from client import encode, get, pipeline, statuses
from databases import built, moved, padded, replace, retyped
from documents import (PERIOD, databases, directives, proves, variables,
                       waits_for)
from server import OLD_DATABASE, wait_for
from upstreams import http_upstream
from waiting import hold

DIRECTIVES = "docs/directives.md"
ME = "198.51.100.1"
YOU = "198.51.100.2"
OFFICE = "192.168.1.1"
DAY = 86400

HERE = documents.ROOT / "tests" / "nginx"

# Where the examples of each document are run.
PROVED_BY = {"README.md": "test_readme.py",
             DIRECTIVES: "test_docs.py",
             "docs/recipes.md": "test_recipes.py",
             "docs/coming-from-limit-req.md": "test_coming_from_limit_req.py"}


# ---- All documents ----

@pytest.mark.parametrize("example", documents.all_examples(),
                         ids=lambda example: example.name)
def test_nginx_takes_every_example_without_a_warning(make_nginx, country_db,
                                                     fixture_dir, example):
    nginx = make_nginx(words={"db": country_db, "upstream": 3000,
                              "upstream2": 3001, **databases(fixture_dir)})
    code, said = documents.check(example, nginx)
    assert code == 0, said
    assert not re.search(r"\[(warn|error|crit|alert|emerg)\]", said), said


def test_every_document_with_examples_has_tests_that_run_them():
    found = {example.document for example in documents.all_examples()}
    assert found == set(PROVED_BY)
    for document, test in PROVED_BY.items():
        assert "documents.unproven(" in (HERE / test).read_text(), document


def test_every_example_of_the_reference_is_run():
    assert documents.unproven(DIRECTIVES) == []


@pytest.mark.parametrize("document", documents.documents())
def test_what_looks_like_a_configuration_is_marked_as_one(document):
    """So that it is found, and tested."""
    odd = [f"{document}:{block.line}: {line}"
           for block in documents.blocks(document)
           if not block.is_example() and block.language != "text"
           for line in block.text.splitlines()
           if documents.STATEMENT.match(line)]
    assert odd == []


def anchor(title):
    """As GitHub makes it of a heading."""
    return re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-")


def anchors(document):
    seen, fenced = {}, False
    for line in documents.lines_of(document):
        fenced ^= line.startswith("```")
        title = documents.HEADING.match(line)
        if title and not fenced:
            name = anchor(title[1])
            count = seen[name] = seen.get(name, -1) + 1
            yield f"{name}-{count}" if count else name


@pytest.mark.parametrize("document", documents.documents())
def test_links_lead_somewhere(document):
    text = (documents.ROOT / document).read_text()
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if "://" in target:
            continue
        path, _, name = target.partition("#")
        where = (documents.ROOT / document).parent / path if path \
            else documents.ROOT / document
        assert where.exists(), target
        if name:
            inner = str(where.resolve().relative_to(documents.ROOT))
            assert name in set(anchors(inner)), target


# ---- The reference is complete ----

def entries():
    """Headings of the reference's entries, each with its text."""
    text = (documents.ROOT / DIRECTIVES).read_text()
    return {title: body for title, body in
            re.findall(r"^### (\S+)$(.*?)(?=^##|\Z)", text, re.M | re.S)}


def test_the_reference_has_every_directive_and_variable():
    assert len(directives()) >= 20 and len(variables()) >= 9
    assert set(directives() + variables()) <= set(entries())


@pytest.mark.parametrize("name", [n for n in entries() if "weir" in n])
def test_every_entry_has_its_parts(name):
    body = entries()[name]
    assert "**Example.**" in body and "```nginx" in body
    if not name.startswith("$"):
        syntax = re.search(r"^```text\nSyntax:   (\S+) .*?\nDefault:  (.*?)\n"
                           r"Context:  (.*?)\n```$", body, re.M | re.S)
        assert syntax[1] == name
        assert syntax[2] == "-" or syntax[2].startswith(name)
        assert syntax[3] in ("http", "http, server, location")
    contents = (documents.ROOT / DIRECTIVES).read_text().partition("##")[0]
    assert f"[{name}](#" in contents


DEFAULTS = re.findall(r"^Default:  (weir_.*;)$",
                      (documents.ROOT / DIRECTIVES).read_text(), re.M)


@pytest.mark.parametrize("default", DEFAULTS)
def test_what_is_said_to_be_the_default_is_accepted_at_every_level(
        make_nginx, country_db, default):
    for text in (f"{default} server {{ }}", f"server {{ {default} }}",
                 f"server {{ location / {{ {default} }} }}"):
        nginx = make_nginx(documents.listening(
            f"weir_geo_db {country_db};\n{text}".replace("server", "\nserver")))
        assert nginx.check()[0] == 0


# (rate, seconds in which the burst is paid off, whether that is accepted)
YEAR, HOUR = 365 * DAY, 3600


@pytest.mark.parametrize("rate, paid_off, accepted", [
    (10, 4 * YEAR, True), (10, 5 * YEAR, False),
    (10000, 36 * HOUR, True), (10000, 40 * HOUR, False),
    (1000000, 16 * 60, True), (1000000, 18 * 60, False)])
def test_budgets_may_be_as_long_as_the_reference_says(make_nginx, rate, paid_off,
                                                      accepted):
    table = (documents.ROOT / DIRECTIVES).read_text()
    said = {4 * YEAR: "4 years", 36 * HOUR: "36 hours", 16 * 60: "16 minutes"}
    if accepted:
        assert re.search(rf"\| .*{rate:,} a second \| {said[paid_off]} \|", table)
    nginx = make_nginx(
        f"weir_limit_zone $uri zone=one:1m rate={rate}r/s;",
        f"weir_limit zone=one burst={rate * paid_off - 1} nodelay;")
    code, text = nginx.check()
    assert (code == 0) == accepted, text


@pytest.mark.parametrize("line, word", [
    ("weir_limit_zone $uri zone=one:1m rate=1000001r/s;", "1000000"),
    ("weir_limit_zone $uri zone=one:1m rate=1r/31d;", "30 days"),
    ("weir_limit_zone $uri zone=one:31k rate=1r/s;", "32k"),
    ("weir_limit_zone $uri zone=one:1m rate=1r/s ipv6_prefix=129;", "128"),
    ("weir_limit_zone $uri zone=one:1m rate=1r/s; server { weir_limit zone=one"
     " burst=2147483648; }", "2147483647"),
    ("weir_limit_zone $uri zone=one:1m rate=1r/s; server { weir_limit zone=one"
     " cost=4294967296; }", "4294967295"),
    ("weir_limit_status 600;", "599"), ("weir_limit_status 399;", "400"),
    ("weir_limit_log_rate 10001;", "10000"), ("weir_limit_log_rate 0;", "1"),
    ("weir_geo_db none.mmdb reload=99ms;", "100ms"),
    ("weir_geo_db none.mmdb reload=86401s;", "1d")])
def test_bounds_are_those_of_the_reference(make_nginx, line, word):
    nginx = make_nginx(documents.listening(line.replace("server", "\nserver")))
    code, said = nginx.check()
    assert code != 0
    assert re.search(rf"\b{word}\b", said), said
    text = (documents.ROOT / DIRECTIVES).read_text().replace(",", "")
    assert re.search(rf"\b{word}\b", text)


# ---- Running examples ----

def reply(request):
    """The status of ?s=, or 200."""
    return int(request.path.partition("s=")[2][:3] or 200), []


@pytest.fixture
def serve(start_nginx, country_db, fixture_dir):
    with http_upstream(reply) as port:
        yield documents.Runner(start_nginx, {
            "db": country_db, "upstream": port, **databases(fixture_dir)})


def passed(nginx, path="/", address=ME, most=120, refused=429, headers=()):
    """How many of `most` requests pass; they are the first."""
    codes = pipeline(nginx.port, [encode(path, address, headers)] * most)
    count = codes.count(200)
    assert codes == [200] * count + [refused] * (most - count)
    return count


def lines(nginx, name):
    """Lines of a log that an example writes, when as many are there; sorted,
    since workers may write them in another order than they answer in."""
    def read(count):
        wait_for(lambda: len(nginx.lines(name)) >= count, f"lines in {name}")
        return sorted(nginx.lines(name))
    return read


# ---- Limits ----

@proves(DIRECTIVES, "weir_limit_zone")
def test_a_client_has_its_budget_and_all_clients_share_another(serve, example):
    nginx = serve(example)
    assert passed(nginx) == 21
    others = [f"198.51.100.{n}" for n in range(2, 14)]
    nginx.write("other", "other\n")
    assert 21 + sum(passed(nginx, "/other", other, 25) for other in others) == 201
    assert nginx.errors('by zone "servers"')
    assert waits_for(get(nginx.port, "/", ME), 1, 10)
    assert waits_for(get(nginx.port, "/", others[-1]), 1, 500)


@proves(DIRECTIVES, "weir_limit_zone", 2)
def test_a_window_holds_so_many_requests_of_each_key(serve, example):
    nginx = serve(example)
    for key in ("5cf9a1c3", "77be02d1"):
        assert passed(nginx, "/api/", ME, 1010, headers=[("X-Api-Key", key)]) == 1000
    assert passed(nginx, "/api/", ME, 1010) == 1010


def is_about_a_tenth(seconds):
    """Of the period, but for the time that a test takes, and for rounding."""
    return PERIOD / 10 - 600 < int(seconds) < PERIOD / 10 * 1.01 + 1


def is_quoted(text):
    """Whether the reference has a log line's text, but for numbers and lines."""
    def plain(words):
        return re.sub(r"\d+", "0", " ".join(words.split()))

    return plain(text) in plain((documents.ROOT / DIRECTIVES).read_text())


def test_a_reload_with_another_key_starts_a_zone_anew(start_nginx):
    zone = "weir_limit_zone $binary_remote_addr zone=one:1m rate=1r/d;"
    limit = "location / { weir_limit zone=one; }"
    nginx = start_nginx(zone, limit)
    assert passed(nginx, most=3) == 1
    nginx.reload(zone.replace("1r/d", "2r/d"), limit)
    assert passed(nginx, most=3) == 0
    nginx.reload(zone.replace("$binary_remote_addr", "$uri"), limit)
    assert passed(nginx, most=3) == 1
    (line,) = nginx.errors("starts anew")
    assert "[warn]" in line
    assert is_quoted(re.search(r'zone "one" starts anew.*$', line)[0])


LONG = "/?name=" + "x" * 7000  # ten times of it are a key that is too long


@pytest.mark.parametrize("size, key, limit, ask, level, text", [
    ("1m", "$arg_name" * 10, "", [LONG], "error",
     r"the value of the \"(\$arg_name)+\" key is more than 65535 bytes: \""),
    ("1m", "$uri", "rate=$plan", ["/?plan=fast"], "warn",
     r'zone "one" uses its own rate .*, expected '),
    ("1m", "$uri", "cost=$arg_n", ["/?n=many"], "warn",
     r'zone "one" takes one token .*4294967295'),
    ("32k", "$arg_k", "", [f"/?k={n}" for n in range(5000)], "warn",
     r'zone "one" is full: .* a larger zone'),
], ids=["long key", "bad rate", "bad cost", "full zone"])
def test_log_lines_are_those_of_the_reference(start_nginx, size, key, limit, ask,
                                              level, text):
    nginx = start_nginx(
        f"map $arg_plan $plan {{ default $arg_plan; }}"
        f"weir_limit_zone {key} zone=one:{size} rate=1r/d;",
        f"location / {{ weir_limit zone=one {limit}; }}")
    assert 200 in pipeline(nginx.port, [encode(path, ME) for path in ask])
    said = re.search(rf"\[{level}\] \S+ (?:\*\d+ )?({text})",
                     nginx.wait_errors(text)[0])
    assert is_quoted(re.sub(r"(\$arg_name)+", "$arg_name", said[1]))


@proves(DIRECTIVES, "weir_limit")
def test_a_burst_goes_on_at_once_or_waits(serve, example):
    nginx = serve(example)
    assert passed(nginx, "/fast/", most=14) == 13

    for path, at_once, waiting in (("/queue/", 1, 12), ("/both/", 9, 4)):
        assert statuses(nginx.port, at_once, path, ME) == [200] * at_once
        held = hold(nginx, waiting, path, ME)
        assert get(nginx.port, path, ME).status == 429
        for connection in held:
            connection.close()

    for path in ("/fast/", "/queue/", "/both/"):
        assert waits_for(get(nginx.port, path + "other", ME), 1, 10)
        assert get(nginx.port, path, YOU).status == 200


@proves(DIRECTIVES, "weir_limit", 2)
def test_a_plan_and_a_cost_come_with_the_request(serve, example):
    nginx = serve(example)
    assert passed(nginx, "/search", ME, 6) == 4
    assert passed(nginx, "/", YOU, 24) == 20
    assert statuses(nginx.port, 5, "/status", YOU) == [200] * 5
    gold, staff = [("X-Plan", "gold")], [("X-Plan", "staff")]
    assert passed(nginx, "/", YOU, headers=staff) == 120
    usual = get(nginx.port, "/", YOU)
    assert passed(nginx, "/", a.KR, 24, headers=gold) == 20
    assert waits_for(get(nginx.port, "/", a.KR, gold), 1, 100)
    assert waits_for(usual, 1, 10)


@proves(DIRECTIVES, "weir_limit", 3)
def test_failures_count_and_locations_have_limits_of_their_own(serve, example):
    nginx = serve(example)
    good, bad = "/login?s=200", "/login?s=401"
    assert passed(nginx, good) == 120
    assert statuses(nginx.port, 3, bad, ME) == [401] * 3
    assert statuses(nginx.port, 4, "/login?s=403", ME) == [403] * 2 + [429] * 2
    assert waits_for(get(nginx.port, good, ME), 1, 5)
    assert get(nginx.port, good, YOU).status == 200
    assert passed(nginx) == 41
    assert waits_for(get(nginx.port, "/other", ME), 1, 20)
    assert get(nginx.port, "/", YOU).status == 200
    assert passed(nginx, "/static/") == 120


def test_the_log_lines_of_limits_are_those_of_the_reference(start_nginx):
    """Each is found in the log of an nginx, but for its numbers."""
    nginx = start_nginx(
        "weir_limit_zone $binary_remote_addr zone=one:1m rate=1r/d;"
        "weir_limit_zone $binary_remote_addr zone=two:1m rate=1r/d;",
        "location /in/ { weir_limit zone=one burst=5 delay=4; }"
        "location /dry/ { weir_limit zone=two burst=5 delay=4 dry_run; }")
    get(nginx.port, "/in/", ME)
    statuses(nginx.port, 4, "/in/", ME)
    (waits,) = hold(nginx, 1, "/in/", ME)
    get(nginx.port, "/in/", ME)
    statuses(nginx.port, 7, "/dry/", ME)
    waits.close()
    found = {re.search(r"\S+ ((?:limiting|delaying) .*?), client: ", line)[1]
             .replace("two", "one") for line in nginx.errors("excess")}
    assert len({line.split(":")[0] for line in found}) == 4
    assert all(is_quoted(line) for line in found)


@proves(DIRECTIVES, "weir_limit_status")
def test_the_status_of_refusals_can_be_limit_reqs(serve, example):
    nginx = serve(example)
    assert passed(nginx, most=9, refused=503) == 6
    assert passed(nginx, "/", YOU, most=9, refused=503) == 6


@proves(DIRECTIVES, "weir_limit_dry_run")
def test_a_dry_run_says_what_it_would_refuse(serve, example):
    nginx = serve(example)
    assert passed(nginx, most=50) == 41
    dry = 'limiting requests, dry run, excess: .* by zone "later"'
    assert len(nginx.errors(dry)) == 41 - 11
    assert len(nginx.errors('limiting requests, excess: .* by zone "now"')) == 9
    assert passed(nginx, "/new/", YOU) == 120
    assert get(nginx.port, "/new/?id=x", YOU).status == 200
    assert nginx.access("x")["weir_limit_status"] == "REJECTED_DRY_RUN"
    assert waits_for(get(nginx.port, "/other", ME), 1, 20)
    nginx.reload(documents.placed(example.slowly().replace(" dry_run;", ";")))
    assert waits_for(get(nginx.port, "/other", YOU), 1, 5)


IETF = ["RateLimit-Policy", "RateLimit"]
LEGACY = ["X-RateLimit-Limit", "X-RateLimit-Remaining", "X-RateLimit-Reset"]


@proves(DIRECTIVES, "weir_limit_headers")
def test_responses_tell_their_clients_budgets(serve, example):
    """Of rates as they are written a minute is the period."""
    nginx = serve(example)
    first = get(nginx.port, "/", ME)
    reset = first.header("RateLimit").rpartition("t=")[2]
    assert is_about_a_tenth(reset)
    scaled = {"w=120": f"w={2 * PERIOD}", "w=60": f"w={PERIOD}", "t=6": f"t={reset}"}
    text = (documents.ROOT / DIRECTIVES).read_text()
    for name in IETF:
        said = first.header(name)
        claim = said
        for short, long in scaled.items():
            claim = claim.replace(long, short)
        assert f"`{name}: {claim}`" in text.replace("\n", " "), said
    assert all(first.header(name) is None for name in LEGACY)

    second = get(nginx.port, "/v1/", YOU)
    assert second.header("RateLimit").startswith('"clients";r=19;t=')
    limit, remaining, reset = (second.header(name) for name in LEGACY)
    assert (limit, remaining) == ("20", "19")
    assert is_about_a_tenth(reset)
    passed(nginx, "/v1/", YOU, 19)
    refused = get(nginx.port, "/v1/", YOU)
    assert waits_for(refused, 1, 10)
    assert get(nginx.port, "/v1/other", YOU).status == 429
    assert refused.header("X-RateLimit-Remaining") == "0"
    assert PERIOD / 10 < int(refused.header("X-RateLimit-Reset"))


@proves(DIRECTIVES, "weir_limit_log_level")
def test_delays_are_logged_one_level_lower(serve, example):
    nginx = serve(example)
    for path, address, delayed, refused in (("/", ME, "warn", "error"),
                                            ("/quiet/", YOU, "info", "notice")):
        assert get(nginx.port, path, address).status == 200
        held = hold(nginx, 5, path, address)
        assert get(nginx.port, path, address).status == 429
        for connection in held:
            connection.close()
        of = f"client: {re.escape(address)}"
        assert len(nginx.errors(rf"\[{delayed}\] .* delaying .*{of}")) == 5
        assert len(nginx.errors(rf"\[{refused}\] .* limiting .*{of}")) == 1


@proves(DIRECTIVES, "weir_limit_log_rate")
def test_a_flood_does_not_fill_the_log(serve, example):
    """Of more lines than 10 a second could be in the time of a test."""
    nginx = serve(example)
    assert passed(nginx, most=3021) == 21
    more = re.compile(r'(\d+) lines about limited requests were left out by'
                      r' "weir_limit_log_rate", zone "one"$')

    def left_out():
        return sum(int(more.search(line)[1])
                   for line in nginx.errors(more.pattern))

    wait_for(lambda: len(nginx.errors("limiting requests, excess")) + left_out()
             == 3000, "all to be told of")
    assert left_out() > 0
    assert waits_for(get(nginx.port, "/other", ME), 1, 10)
    assert get(nginx.port, "/", YOU).status == 200
    assert is_quoted(more.search(nginx.errors(more.pattern)[0])[0])


# ---- Limits by country ----

@proves(DIRECTIVES, "weir_country_limits")
def test_every_country_has_its_budget(serve, example):
    nginx = serve(example)
    assert {name: passed(nginx, "/", address)
            for name, address in [("KR", a.KR), ("JP", a.JP), ("DE", a.DE),
                                  ("ZA", a.ZA), ("XX", a.UNKNOWN), ("CH", a.CH),
                                  ("US", a.US), ("ZZ", OFFICE)]} == \
        {"KR": 101, "JP": 101, "DE": 21, "ZA": 11, "XX": 1, "CH": 120,
         "US": 21, "ZZ": 21}
    assert passed(nginx, "/", a.KP, 5, refused=403) == 0
    for address, rate in ((a.KR, 50), (a.JP, 50), (a.DE, 20), (a.ZA, 5),
                          (a.UNKNOWN, 2), (a.US, 10), (OFFICE, 10)):
        assert waits_for(get(nginx.port, "/other", address), 1, rate)


# ---- Geo ----

@proves(DIRECTIVES, "weir_geo_db")
def test_a_database_of_ones_own_has_its_country_where_it_says(serve, example):
    nginx = serve(example)
    assert get(nginx.port, "/", a.KR).status == 403
    assert get(nginx.port, "/", a.DE).status == 200
    text = (documents.ROOT / DIRECTIVES).read_text()
    record = json.loads(re.search(r"records say `(\{.*\})`", text)[1])
    assert record["where"]["land"]["code"] == "KR"
    assert "country=where.land.code" in example.text


@proves(DIRECTIVES, "weir_geo_db", 2)
def test_an_optional_database_need_not_be_there(serve, make_nginx, example):
    nginx = serve(example)
    assert get(nginx.port, "/", a.KP).status == 403
    nginx = make_nginx(documents.placed(example.text),
                       words={"db": "/nonexistent/country.mmdb"})
    code, said = nginx.check()
    assert code == 0
    assert re.search(r'\[warn\] .*no file "/nonexistent/country.mmdb": every'
                     r" country is unknown \(XX\)", said)
    nginx.start()
    assert get(nginx.port, "/?id=x", a.KP).status == 200
    assert nginx.access("x")["weir_country"] == "XX"


UPDATED = r"\[notice\] .* database \".*\" updated: "
REFUSED = r"\[error\] .* database \".*\" is not updated"


@proves(DIRECTIVES, "weir_geo_db", 3)
def test_an_older_database_is_taken_if_it_may_be(serve, example, folder, fixture_dir):
    file, good = folder / "country.mmdb", fixture_dir / "maxmind.mmdb"
    file.write_bytes(built(good.read_bytes(), 1_750_000_000))
    nginx = serve(example, [("reload=5m", "reload=100ms")], db=file)
    assert get(nginx.port, "/", a.KR).status == 200
    replace(file, moved(good.read_bytes(), b"KP"))
    nginx.wait_errors(UPDATED)
    assert get(nginx.port, "/", a.KR).status == 403


def test_an_optional_database_is_taken_up_when_it_is_there(make_nginx, fixture_dir):
    nginx = make_nginx()
    file = nginx.dir / "country.mmdb"
    nginx.configure(f"weir_geo_db {file} optional reload=100ms;",
                    "location / { return 200 $weir_country$weir_geo_epoch; }")
    nginx.start()
    assert get(nginx.port, "/", a.KR).text == "XX"
    replace(file, (fixture_dir / "maxmind.mmdb").read_bytes())
    nginx.wait_errors(UPDATED)
    assert get(nginx.port, "/", a.KR).text == "KR1700000000"


def is_said_of_databases(lines):
    """Whether the reference quotes them, of a file in the usual place."""
    found = [re.sub(r'/tmp/[^"]*/', "/var/lib/GeoIP/",
                    re.search(r'database "/.*', line)[0]) for line in lines]
    assert found
    return all(is_quoted(line) for line in found)


def test_what_the_log_says_of_updates_is_what_the_reference_says(
        make_nginx, fixture_dir):
    nginx = make_nginx()
    file = nginx.dir / "country.mmdb"
    now, name = int(time.time()), "weir-test-maxmind"

    def typed(data, kind="GeoLite2-Country"):
        return retyped(data, name, kind)

    data = built((fixture_dir / "maxmind.mmdb").read_bytes(), now - 100)
    small = retyped(built((fixture_dir / "record-24.mmdb").read_bytes(), now),
                    "weir-test-record-24", name)
    file.write_bytes(typed(data))
    nginx.configure(f"weir_geo_db {file} reload=100ms;", "location / { }")
    nginx.start()

    refused = [typed(built(data, now - 200)),       # built earlier
               typed(moved(data, b"JP")),    # at the same time, and another
               typed(small),
               typed(built(data, now), "GeoLite2-City"),
               b"garbage"]
    for count, other in enumerate(refused, 1):
        replace(file, other)
        nginx.wait_errors(REFUSED, count)
    file.unlink()
    nginx.wait_errors(REFUSED, len(refused) + 1)
    replace(file, typed(built(data, now)))
    nginx.wait_errors(UPDATED)
    assert is_said_of_databases(nginx.errors(REFUSED) + nginx.errors(UPDATED))


def test_what_the_log_says_of_a_database_without_room_is_in_the_reference(
        make_nginx, fixture_dir):
    nginx = make_nginx()
    file = nginx.dir / "country.mmdb"
    data = (fixture_dir / "fields.mmdb").read_bytes()
    file.write_bytes(data)
    nginx.configure(
        f"weir_geo_db {fixture_dir}/maxmind.mmdb reload=100ms;"
        f"weir_geo_variable $city city.names.en db={file};",
        "location / { return 200 $city; }")
    nginx.start()
    large = padded(built(data, 1_700_000_001), 16 << 20)
    replace(file, large)
    assert is_said_of_databases(nginx.wait_errors(REFUSED))
    nginx.reload()
    replace(file, built(large, 1_700_000_002).replace(b"\x46Berlin", b"\x46Bremen"))
    nginx.wait_errors(UPDATED)
    assert get(nginx.port, "/", a.DE).text == "Bremen"


def test_what_the_log_says_of_a_files_age_and_mode_is_in_the_reference(
        make_nginx, fixture_dir):
    nginx = make_nginx()
    file = nginx.dir / "country.mmdb"
    file.write_bytes((fixture_dir / "maxmind.mmdb").read_bytes())
    file.chmod(0o600)
    nginx.configure(f"weir_geo_db {file};", "location / { }")
    nginx.start()
    said = [line for line in nginx.lines("error.log") if "[warn]" in line]
    assert [line for line in said if OLD_DATABASE.search(line)]
    assert is_said_of_databases(said)


@proves(DIRECTIVES, "weir_geo_source")
def test_the_country_is_whom_the_application_asks_for(serve, example):
    nginx = serve(example)

    def ask(address, path="/for/"):
        return get(nginx.port, path, "127.0.0.1", [("X-Customer-Address", address)])

    assert received(ask(a.KR).text, "X-Geo-Country") == ["KR"]
    assert received(ask(a.DE6).text, "X-Geo-Country") == ["DE"]
    assert received(ask(f"{a.KR}, {a.KR}").text, "X-Geo-Country") == ["XX"]
    assert ask(a.KP).status == 403
    assert ask(a.KP, "/").status == 200
    spoof = [("X-Customer-Address", a.KR)]
    assert get(nginx.port, "/for/", a.KP, spoof).status == 403
    assert passed(nginx, "/for/", ME, 20, refused=403) == 0
    # Of 21 requests, the application has had 4; those denied cost nothing.
    found = [ask(f"168.126.63.{n}").status for n in range(30)]
    assert found == [200] * 17 + [429] * 13
    assert waits_for(ask(a.DE), 1, 10)


@proves(DIRECTIVES, "weir_geo_override")
def test_the_operator_knows_better_than_the_database(serve, example):
    """Of networks that the database has in Germany."""
    nginx = serve(example, [("203.0.113.0/24", "81.169.145.0/24"),
                            ("203.0.113.64/26", "81.169.145.64/26"),
                            ("2001:db8:1::10", "2a01:4f8:1::10")])
    found = {}
    for address in ("81.169.145.1", "81.169.145.64", "81.169.146.1", "10.20.1.1",
                    "2a01:4f8:1::10", "2a01:4f8:1::11"):
        answer = get(nginx.port, f"/?id={address}", address)
        found[address] = answer.status, nginx.access(address)["weir_country"]
    assert found == {
        "81.169.145.1": (200, "CH"), "81.169.145.64": (403, "DE"),
        "81.169.146.1": (403, "DE"), "10.20.1.1": (200, "KR"),
        "2a01:4f8:1::10": (200, "ZZ"), "2a01:4f8:1::11": (403, "DE")}


@proves(DIRECTIVES, "weir_geo_variable")
def test_fields_go_to_the_log_and_to_the_backend(serve, example):
    nginx = serve(example)
    text = (documents.ROOT / DIRECTIVES).read_text()
    assert '`{"partner": true}`' in text
    spoof = [("X-City", "Paris")]
    for address, name in ((a.DE, "Berlin"), (a.KR, "Seoul"), (a.US, "-")):
        answer = get(nginx.port, "/", address, spoof)
        assert received(answer.text, "X-City") == [name]
    assert lines(nginx, "places.log")(3) == sorted(
        [f"{a.DE} DE Berlin", f"{a.KR} KR Seoul", f"{a.US} US -"])
    assert passed(nginx, "/", a.DE) == 120
    assert passed(nginx, "/", a.KR) == 5
    assert waits_for(get(nginx.port, "/other", a.KR), 1, 10)


ADDRESSES = {"KR": a.KR, "DE": a.DE, "FR": a.FR, "GB": a.GB, "CH": a.CH,
             "US": a.US, "KP": a.KP, "XX": a.UNKNOWN, "ZZ": OFFICE}


def admitted(nginx, path="/", refused=403):
    codes = {code: get(nginx.port, path, address).status
             for code, address in ADDRESSES.items()}
    assert set(codes.values()) <= {200, refused}
    return {code for code, status in codes.items() if status == 200}


@proves(DIRECTIVES, "weir_geo_allow")
def test_only_listed_countries_come_in(serve, example):
    nginx = serve(example)
    assert admitted(nginx) == {"DE", "CH", "GB", "ZZ"}
    assert admitted(nginx, "/open/") == set(ADDRESSES)


@proves(DIRECTIVES, "weir_geo_deny")
def test_listed_countries_are_denied(serve, example):
    nginx = serve(example)
    nginx.write("denied.html", "not from there\n")
    assert admitted(nginx) == set(ADDRESSES) - {"KP", "XX"}
    assert get(nginx.port, "/", a.KP).text == "not from there\n"
    assert admitted(nginx, "/public/") == set(ADDRESSES) - {"KP", "XX", "ZZ"}
    assert nginx.errors(r"\[warn\] .* geo denied, country: KP, client: ")


@proves(DIRECTIVES, "weir_geo_status")
def test_the_status_of_denials_is_chosen_for_a_location(serve, example):
    nginx = serve(example)
    assert admitted(nginx) == set(ADDRESSES) - {"KP"}
    assert admitted(nginx, "/films/", 451) == {"DE", "CH", "ZZ"}


@proves(DIRECTIVES, "weir_geo_dry_run")
def test_a_dry_run_shows_who_would_be_denied(serve, example):
    nginx = serve(example)
    for country, address, budget, lines_each in (("KP", a.KP, 21, 1),
                                                 ("KR", a.KR, 41, 1),
                                                 ("DE", a.DE, 41, 0)):
        assert passed(nginx, "/", address, 50) == budget
        assert waits_for(get(nginx.port, "/other", address), 1, 10 * budget // 20)
        said = nginx.errors(f"geo denied, dry run, country: {country},"
                            ' .*"GET / HTTP')
        assert len(said) == 50 * lines_each
    assert not nginx.errors("geo denied, country")
    get(nginx.port, "/?id=refused", a.KP)
    get(nginx.port, "/?id=passes", a.US)
    assert nginx.access("refused")["weir_status"] == "REJECTED"
    assert nginx.access("passes")["weir_status"] == "GEO_DENIED_DRY_RUN"


@proves(DIRECTIVES, "weir_geo_log_level")
@pytest.mark.parametrize("level, logged", [("notice", 0), ("warn", 1)])
def test_denials_have_a_level(serve, example, level, logged):
    nginx = serve(example, [("log_level notice", f"log_level {level}")])
    assert get(nginx.port, "/", a.KP).status == 403
    found = [line for line in nginx.lines("site.log") if "geo denied" in line]
    assert len(found) == logged


def received(text, name):
    """Values of a header that the upstream got, in any spelling."""
    pairs = [line.partition(":") for line in text.splitlines()]
    return [value.strip() for key, _, value in pairs
            if re.sub("[^a-z0-9]", "-", key.lower()) == name.lower()]


@proves(DIRECTIVES, "weir_geo_headers")
def test_the_backend_learns_the_country_and_nobody_can_spoof_it(serve, example):
    nginx = serve(example)
    spoof = [("X-Geo-Country", "CN"), ("x-GEO-continent", "NA")]
    for address, country, continent in ((a.KR, "KR", "AS"), (OFFICE, "ZZ", "ZZ"),
                                        (a.UNKNOWN, "XX", "XX")):
        text = get(nginx.port, "/", address, spoof).text
        assert received(text, "X-Geo-Country") == [country]
        assert received(text, "X-Geo-Continent") == [continent]
        text = get(nginx.port, "/plain/", address, spoof).text
        assert received(text, "X-Geo-Country") == []
        assert received(text, "X-Geo-Continent") == []


@proves(DIRECTIVES, "weir_geo_header")
def test_any_header_can_be_sent_to_the_backend(serve, example):
    nginx = serve(example)
    spoof = [("X-Language", "xx"), ("x-client-country", "CN")]
    for address, country, languages in ((a.KR, "KR", ["ko"]), (a.US, "US", []),
                                        (a.DE, "DE", ["de"])):
        text = get(nginx.port, "/", address, spoof).text
        assert received(text, "X-Client-Country") == [country]
        assert received(text, "X-Language") == languages


# ---- For both ----

@proves(DIRECTIVES, "weir_bypass")
def test_monitoring_is_not_limited(serve, example):
    nginx = serve(example)
    secret = [("X-Probe", "c0ffee42")]
    assert passed(nginx, "/", "192.0.2.10") == 120
    assert passed(nginx, "/", ME, headers=secret) == 120
    assert passed(nginx, "/", ME, headers=[("X-Probe", "guess")]) == 6
    assert waits_for(get(nginx.port, "/other", ME), 1, 10)
    assert passed(nginx, "/", YOU) == 6
    assert get(nginx.port, "/?id=x", ME, secret).status == 200
    assert nginx.access("x")["weir_status"] == "BYPASSED"


# ---- Variables ----

@proves(DIRECTIVES, "$weir_country")
def test_the_country_is_a_variable(serve, example):
    nginx = serve(example)
    for address, country in ((a.KR, "KR"), (a.UNKNOWN, "XX"), (OFFICE, "ZZ")):
        text = get(nginx.port, "/", address).text
        assert received(text, "Accept-Country") == [country]


@proves(DIRECTIVES, "$weir_continent")
def test_a_continent_has_its_backend(serve, example):
    with http_upstream(lambda _: (200, [("X-Backend", "Asia")])) as port:
        nginx = serve(example, upstream2=port)
        assert get(nginx.port, "/", a.KR).header("X-Backend") == "Asia"
        assert get(nginx.port, "/", a.DE).header("X-Backend") is None
        assert get(nginx.port, "/", a.UNKNOWN).status == 200


@proves(DIRECTIVES, "$weir_geo_epoch")
def test_a_page_says_how_old_the_database_is(serve, example, country_db):
    nginx = serve(example)
    with maxminddb.open_database(country_db) as reader:
        epoch = reader.metadata().build_epoch
    assert get(nginx.port, "/geo-epoch").text == f"{epoch}\n"


@proves(DIRECTIVES, "$weir_status")
def test_the_log_says_what_has_become_of_requests(serve, example):
    nginx = serve(example)
    get(nginx.port, "/", a.KP)
    statuses(nginx.port, 7, "/", a.KR)
    log = lines(nginx, "weir.log")(8)
    request = '"GET / HTTP/1.1"'
    assert log == sorted(
        [f"{a.KP} KP 403 GEO_DENIED - {request}"]
        + [f"{a.KR} KR 200 PASSED one {request}"] * 6
        + [f"{a.KR} KR 429 REJECTED one {request}"])


@proves(DIRECTIVES, "$weir_limit_status")
def test_only_limited_requests_are_logged(serve, example):
    nginx = serve(example)
    statuses(nginx.port, 8, "/", ME)
    assert lines(nginx, "limited.log")(2) == [f"{ME} REJECTED one"] * 2


@proves(DIRECTIVES, "$weir_zone")
def test_a_refusal_names_its_zone(serve, example):
    nginx = serve(example)
    statuses(nginx.port, 6, "/", ME)
    assert get(nginx.port, "/", ME).header("X-Limited-By") == "clients"
    nginx.write("other", "other\n")
    others = itertools.cycle([YOU, a.KR, a.DE, a.US])
    for other in itertools.islice(others, 15):
        assert get(nginx.port, "/other", other).status == 200
    refused = get(nginx.port, "/", a.JP)
    assert (refused.status, refused.header("X-Limited-By")) == (429, "servers")
    assert waits_for(refused, 1, 100)
    assert waits_for(get(nginx.port, "/other", ME), 1, 10)


@proves(DIRECTIVES, "$weir_remaining")
def test_the_log_says_how_much_is_left(serve, example):
    nginx = serve(example)
    passed(nginx, most=7)
    assert lines(nginx, "budget.log")(7) == \
        [f"{ME} one {left}" for left in (0, 0, 1, 2, 3, 4, 5)]


@proves(DIRECTIVES, "$weir_retry_after")
def test_the_page_of_a_refusal_says_when_to_come_again(serve, example):
    nginx = serve(example)
    passed(nginx, most=6)
    answer = get(nginx.port, "/", ME)
    assert answer.status == 429
    assert answer.text == ("Please come again in"
                           f" {answer.header('Retry-After')} seconds.\n")


@proves(DIRECTIVES, "$weir_client")
def test_a_client_in_a_key_of_several_parts_is_a_64(serve, example):
    nginx = serve(example)
    nginx.write("other", "other\n")
    assert passed(nginx, "/", "2001:db8:1:2::1", 4) == 4
    assert passed(nginx, "/", "2001:db8:1:2:ffff::1", 4) == 2
    assert passed(nginx, "/other", "2001:db8:1:2::1", 9) == 6
    assert passed(nginx, "/", "2001:db8:1:3::1", 9) == 6
    assert passed(nginx, "/", ME, 9) == 6
