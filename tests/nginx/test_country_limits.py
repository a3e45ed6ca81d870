"""weir_country_limits in full: which entry is whose, and out of which budget.

test_country.py has the everyday block. Here are the order of entries and of
lines, denials, keys other than the address, variable rates, windows, dry runs
and reloads. A country's quota is told by how many requests pass at once; rates
are too slow to refill in a test.
"""

import random

import pytest

import addresses as a
from client import get, statuses

DB = "weir_geo_db @db@;"
HOME = "192.168.1.1"
TELL = ('add_header X-Words "$weir_status,$weir_limit_status,$weir_zone"'
        ' always;')


def zone(name="one", key="$binary_remote_addr"):
    return f"weir_limit_zone {key} zone={name}:1m rate=1r/h;"


ZONE = zone()


def block(*entries, of="one"):
    lines = "\n".join(f"{entry};" for entry in entries)
    return f"weir_country_limits zone={of} {{\n{lines}\n}}\n"


def burst(code, number):
    return f"{code} rate=1r/h burst={number}"


def limit(words="burst=4 nodelay", of="one"):
    return f"weir_limit zone={of} {words};"


LOCATION = f"location / {{ {limit()} }}"


@pytest.fixture
def serve(start_nginx, country_db):
    def start(http, server="location / { }", database=country_db, **options):
        return start_nginx(DB + http, server, words={"db": database},
                           **options)
    return start


DENIED = "denied"


def passed(nginx, address, path="/", most=9):
    """How many of `most` requests of a client pass; the first ones do."""
    codes = statuses(nginx.port, most, path, address)
    if codes == [403] * most:
        return DENIED
    count = codes.count(200)
    assert codes == [200] * count + [429] * (most - count)
    return count


def words(nginx, address, path="/"):
    answer = get(nginx.port, path, address)
    return answer.status, *answer.header("X-Words").split(",")


# ---- Which entry ----

# By what a client may be meant, the most specific first.
LADDERS = {
    "KR": (a.KR, ["KR", "continent:AS", "default"]),
    "DE": (a.DE, ["DE", "EU", "continent:EU", "default"]),
    "DE by IPv6": (a.DE6, ["DE", "EU", "continent:EU", "default"]),
    "CH": (a.CH, ["CH", "continent:EU", "default"]),
    "US": (a.US, ["US", "continent:NA", "default"]),
    "BR": (a.BR, ["BR", "continent:SA", "default"]),
    "ZA": (a.ZA, ["ZA", "continent:AF", "default"]),
    "AU": (a.AU, ["AU", "continent:OC", "default"]),
    "unknown": (a.UNKNOWN, ["XX", "default"]),
    "private": (HOME, ["default"]),
    "loopback": ("::1", ["default"]),
}
EVERY = sorted({entry for _, ladder in LADDERS.values() for entry in ladder}
               | {"continent:AN", "JP", "FR"})


@pytest.mark.parametrize("client", LADDERS)
def test_the_next_entry_counts_where_a_more_specific_one_is_missing(serve,
                                                                    client):
    """Down to the zone's own rate, with the burst of the limit. Each step is
    another zone; what does not fit the client stands there with quotas too."""
    address, ladder = LADDERS[client]
    zones = blocks = locations = ""
    for step in range(len(ladder) + 1):
        name = f"z{step}"
        zones += zone(name)
        entries = [burst(entry, 0) for entry in EVERY if entry not in ladder]
        entries += [burst(entry, 1 + place)
                    for place, entry in enumerate(ladder) if place >= step]
        blocks += block(*entries, of=name)
        locations += (f"location = /{name} {{ {limit('burst=7 nodelay', name)}"
                      " alias @dir@/html/index.html; }")
    nginx = serve(zones + blocks, locations)
    counts = [passed(nginx, address, f"/z{step}")
              for step in range(len(ladder) + 1)]
    assert counts == [2 + step for step in range(len(ladder))] + [8]


WORLD = {"KR": a.KR, "DE": a.DE, "FR": a.FR, "CH": a.CH, "US": a.US, "ZA": a.ZA,
         "KP": a.KP, "XX": a.UNKNOWN, "ZZ": HOME}
ENTRIES = {"KR": 6, "DE": 5, "EU": 4, "continent:EU": 3, "continent:AS": 2,
           "XX": 1, "default": 0}
QUOTAS = {"KR": 7, "DE": 6, "FR": 5, "CH": 4, "KP": 3, "XX": 2, "US": 1, "ZA": 1,
          "ZZ": 1}


@pytest.mark.parametrize("seed", [None, *range(4)])
def test_the_order_of_lines_does_not_matter(serve, seed):
    lines = [burst(code, number) for code, number in ENTRIES.items()]
    if seed is None:
        lines.reverse()
    else:
        random.Random(seed).shuffle(lines)
    nginx = serve(ZONE + block(*lines), LOCATION)
    assert {code: passed(nginx, address)
            for code, address in WORLD.items()} == QUOTAS


@pytest.mark.parametrize("lines, expected", [
    ("DE off;EU deny", {"DE": 9, "FR": DENIED}),
    ("EU off;DE deny", {"DE": DENIED, "FR": 9}),
    ("EU off;continent:EU deny", {"FR": 9, "CH": DENIED}),
    ("continent:EU off;EU deny", {"FR": DENIED, "CH": 9}),
    ("continent:AS off;KR deny", {"KR": DENIED, "KP": 9}),
    ("default deny;KR off;EU rate=1r/h burst=1",
     {"KR": 9, "FR": 2, "US": DENIED, "XX": DENIED}),
    ("default off;US deny", {"US": DENIED, "KR": 9, "XX": 9, "ZZ": 9}),
    # Private addresses are never denied, and have the zone's own rate then.
    ("default deny;XX off", {"XX": 9, "US": DENIED, "ZZ": 5}),
    ("XX deny", {"XX": DENIED, "US": 5, "ZZ": 5}),
    ("XX off;default rate=1r/h burst=0", {"XX": 9, "US": 1, "ZZ": 1}),
])
def test_off_and_deny_are_entries_like_rates(serve, lines, expected):
    nginx = serve(ZONE + block(*lines.split(";")), LOCATION)
    assert {code: passed(nginx, WORLD[code]) for code in expected} == expected


@pytest.mark.parametrize("address", [HOME, "10.1.2.3", "127.0.0.2", "::1",
                                     "fd00::1", "::ffff:10.0.0.1"])
def test_private_addresses_take_default_and_nothing_else(serve, address):
    lines = [burst(entry, 0) for entry in EVERY if entry != "default"]
    nginx = serve(ZONE + zone("two") + block(*lines)
                  + block(*lines, burst("default", 2), of="two"),
                  LOCATION + f"location = /two {{ {limit(of='two')}"
                  " alias @dir@/html/index.html; }")
    assert passed(nginx, address) == 5
    assert passed(nginx, address, "/two") == 3


@pytest.mark.parametrize("name, address, entries, expected", [
    ("maxmind", "5.0.3.1", "XX EU continent:EU default", "XX"),  # "EU"
    ("maxmind", "5.0.4.1", "XX default", "XX"),                  # "A1"
    ("maxmind", "5.0.9.1", "XX default", "XX"),                  # "ZZ"
    ("maxmind", "5.0.2.1", "XX GB default", "GB"),               # "UK"
    ("maxmind", "5.0.0.1", "XX EU FR default", "FR"),            # registered
    ("ip-location-db", "5.0.3.1", "XX EU continent:AS default", "XX"),  # "AP"
    ("ip-location-db", "5.0.2.1", "XX continent:EU default", "continent:EU"),
    ("ip-location-db", "9.9.9.9", "XX continent:EU default", "XX"),
])
def test_what_is_no_country_is_XX_and_UK_is_GB(serve, fixture_dir, name, address,
                                               entries, expected):
    lines = [burst(entry, 2 if entry == expected else 0)
             for entry in entries.split()]
    nginx = serve(ZONE + block(*lines), LOCATION,
                  database=fixture_dir / f"{name}.mmdb")
    assert passed(nginx, address) == 3


# ---- Bursts ----


@pytest.mark.parametrize("words, none, zero, more", [
    ("nodelay", 1, 1, 7), ("burst=2 nodelay", 3, 1, 7),
    ("burst=8 nodelay", 9, 1, 7)])
def test_an_entrys_burst_stands_in_place_of_the_limits(serve, words, none, zero,
                                                       more):
    nginx = serve(ZONE + block("KR rate=1r/h", burst("DE", 0), burst("US", 6)),
                  f"location / {{ {limit(words)} }}")
    assert [passed(nginx, x) for x in (a.KR, a.DE, a.US)] == [none, zero, more]
    assert passed(nginx, a.BR) == none


def test_each_limit_of_a_zone_gives_its_own_burst_to_entries_without(serve):
    nginx = serve(ZONE + block("EU rate=1r/h", burst("KR", 1)),
                  f"location / {{ {limit('burst=2 nodelay')} }}"
                  f"location = /more {{ {limit('burst=6 nodelay')}"
                  " alias @dir@/html/index.html; }")
    assert passed(nginx, a.DE) == 3
    assert passed(nginx, a.DE, "/more") == 4  # the same budget, so 7 in all
    assert passed(nginx, a.KR, "/more") == 2
    assert passed(nginx, a.KR) == 0


@pytest.mark.parametrize("words, undelayed", [
    ("burst=2", 0), ("burst=2 delay=1", 1), ("burst=2 delay=3", 3),
    ("burst=2 nodelay", 5)])
def test_a_limits_delay_goes_with_its_countries_bursts(serve, words, undelayed):
    """In a dry run, which delays nobody, and tells whom it would have."""
    nginx = serve(ZONE + TELL + block(burst("KR", 4)),
                  f"location / {{ {limit(words + ' dry_run')} }}")
    said = [get(nginx.port, "/", a.KR).header("X-Words").split(",")[0]
            for _ in range(7)]
    passing = min(1 + undelayed, 5)
    assert said == (["PASSED"] * passing + ["DELAYED_DRY_RUN"] * (5 - passing)
                    + ["REJECTED_DRY_RUN"] * 2)


def test_a_cost_is_held_against_the_countrys_burst(serve):
    nginx = serve(ZONE + block(burst("KR", 0), burst("DE", 5)),
                  f"location / {{ {limit('burst=2 nodelay cost=$arg_c')} }}")
    assert get(nginx.port, "/?c=2", a.KR).status == 429
    assert get(nginx.port, "/?c=2", a.KR).header("Retry-After") is None
    assert get(nginx.port, "/?c=1", a.KR).status == 200
    assert get(nginx.port, "/?c=6", a.DE).status == 200
    assert get(nginx.port, "/?c=4", a.US).status == 429
    assert get(nginx.port, "/?c=3", a.US).status == 200


def test_failed_logins_are_counted_out_of_the_countrys_budget(serve):
    nginx = serve(ZONE + block(burst("KR", 1), "DE off"),
                  f"location / {{ {limit('burst=4 nodelay count=401')}"
                  " error_page 404 =401 /index.html; }")
    assert passed(nginx, a.KR) == 9
    assert statuses(nginx.port, 4, "/bad", a.KR) == [401] * 2 + [429] * 2
    assert statuses(nginx.port, 7, "/bad", a.US) == [401] * 5 + [429] * 2
    assert statuses(nginx.port, 9, "/bad", a.DE) == [401] * 9
    assert get(nginx.port, "/", a.KR).status == 429
    assert get(nginx.port, "/", a.DE).status == 200


# ---- Denials ----


@pytest.mark.parametrize("status", [403, 404, 451])
@pytest.mark.parametrize("level", ["http", "server", "location"])
def test_a_deny_entry_answers_with_the_status_for_geo_denials(serve, level,
                                                              status):
    text = f"weir_geo_status {status};"
    at = {name: text if name == level else "weir_geo_status 410;"
          for name in ("http", "server", "location")}
    if level == "server":
        at["location"] = ""
    elif level == "http":
        at["server"] = at["location"] = ""
    nginx = serve(ZONE + TELL + block("KP deny") + at["http"],
                  at["server"] + f"location / {{ {limit()} {at['location']} }}")
    assert words(nginx, a.KP) == (status, "GEO_DENIED", "", "")
    assert words(nginx, a.KR) == (200, "PASSED", "PASSED", "one")
    assert get(nginx.port, "/", a.KP).header("Retry-After") is None


@pytest.mark.parametrize("order", ["total one", "one total"])
def test_a_deny_entry_comes_before_any_limit_is_charged(serve, order):
    """Also before those that stand above it."""
    lines = "".join(limit(of=name) for name in order.split())
    nginx = serve(ZONE + zone("total", "$host")
                  + block("KP deny"), f"location / {{ {lines} }}")
    assert passed(nginx, a.KP) == DENIED
    assert passed(nginx, a.KR) == 5
    assert get(nginx.port, "/", a.KP).status == 403  # though the total is used up
    assert not nginx.errors(f"limiting.*client: {a.KP}")
    assert len(nginx.errors(f"geo denied, country: KP, client: {a.KP}")) == 10


@pytest.mark.parametrize("words", ["burst=4 nodelay dry_run",
                                   "burst=4 nodelay rate=$arg_r",
                                   "burst=4 nodelay cost=0"])
@pytest.mark.parametrize("path", ["/", "/?r=off", "/?r=100r/s"])
def test_a_deny_entry_denies_whatever_the_limit_would_do(serve, path, words):
    nginx = serve(ZONE + block("KP deny"), f"location / {{ {limit(words)} }}")
    assert passed(nginx, a.KP, path) == DENIED


def test_a_deny_entry_denies_also_where_the_key_is_empty(serve):
    nginx = serve(zone(key="$arg_k")
                  + block("KP deny"), LOCATION)
    assert passed(nginx, a.KP) == DENIED
    assert passed(nginx, a.KR) == 9


def test_a_deny_entry_denies_where_its_zone_is_used(serve):
    nginx = serve(ZONE + zone("two")
                  + block("KP deny") + block("KR deny", of="two"),
                  "".join(f"location = /{name} {{ {lines}"
                          " alias @dir@/html/index.html; }"
                          for name, lines in [
                              ("one", limit()), ("two", limit(of="two")),
                              ("both", limit() + limit(of="two")),
                              ("off", "weir_limit off;")]))
    for name, denied in [("one", "KP"), ("two", "KR"), ("both", "KP KR"),
                         ("off", "")]:
        for code in ("KP", "KR", "US"):
            code_status = get(nginx.port, f"/{name}", WORLD[code]).status
            assert code_status == (403 if code in denied.split() else 200)


def test_off_of_one_limit_leaves_the_deny_of_another(serve):
    nginx = serve(ZONE + zone("two")
                  + block("KP off") + block("KP deny", of="two"),
                  f"location / {{ {limit()} {limit(of='two')} }}")
    assert passed(nginx, a.KP) == DENIED


# ---- Keys ----


def test_clients_of_one_country_share_nothing_under_an_addresss_key(serve):
    nginx = serve(ZONE + block(burst("continent:AS", 1)), LOCATION)
    for address in (a.KR, "168.126.63.2", a.JP, a.KR6, "2001:220:0:1::1"):
        assert passed(nginx, address) == 2
    assert passed(nginx, "2001:220::2") == 0  # one /64 is one client


def test_every_country_of_the_union_has_a_budget_of_its_own(serve):
    """Though the entry is one: the key says who shares."""
    nginx = serve(zone(key="$weir_country")
                  + block(burst("EU", 1)), LOCATION)
    assert passed(nginx, a.DE) == 2
    assert passed(nginx, a.FR) == 2
    assert passed(nginx, a.DE6) == 0
    assert passed(nginx, a.UNKNOWN) == 5
    assert passed(nginx, HOME) == 5
    assert passed(nginx, "fd00::1") == 0  # all private addresses are ZZ


def test_a_zone_keyed_on_the_continent_is_one_budget_per_continent(serve):
    nginx = serve(zone(key="$weir_continent")
                  + block(burst("continent:AS", 3), burst("JP", 0)), LOCATION)
    assert passed(nginx, a.JP) == 1
    assert passed(nginx, a.KR) == 3  # of four tokens JP has one
    assert passed(nginx, a.DE) == 5
    assert passed(nginx, a.CH) == 0


@pytest.mark.parametrize("key, same, other", [
    ("$arg_k", "/?k=x", "/?k=y"), ("$arg_k$uri", "/?k=x", "/?k=y")])
def test_countries_with_one_key_share_its_budget_each_up_to_its_burst(
        serve, key, same, other):
    nginx = serve(zone(key=key)
                  + block(burst("KR", 3), burst("DE", 1), "US off", "KP deny"),
                  LOCATION)
    assert passed(nginx, a.DE, same) == 2
    assert passed(nginx, a.KR, same) == 2
    assert passed(nginx, a.DE, same) == 0
    assert passed(nginx, a.US, same) == 9
    assert passed(nginx, a.KP, same) == DENIED
    assert passed(nginx, a.BR, same) == 1  # the zone's burst is 4
    assert passed(nginx, a.DE, other) == 2


def test_a_zone_keyed_on_the_host_is_one_budget_per_site(serve):
    nginx = serve(zone(key="$host")
                  + block(burst("KR", 2), burst("default", 0)), LOCATION)

    def count(address, host):
        return statuses(nginx.port, 5, "/", address, host=host).count(200)

    assert count(a.KR, "one.example") == 3
    assert count("168.126.63.2", "one.example") == 0
    assert count(a.DE, "one.example") == 0
    assert count(a.DE, "two.example") == 1
    assert count(a.KR, "two.example") == 2


def test_a_key_of_several_parts_takes_the_countrys_quota_for_each(serve):
    nginx = serve(zone(key="$weir_client$uri")
                  + block(burst("KR", 2), burst("DE", 1)), LOCATION)
    nginx.write("other", "other")
    for path in ("/index.html", "/other"):
        for address in (a.KR, "168.126.63.2"):
            assert passed(nginx, address, path) == 3
        assert passed(nginx, a.DE, path) == 2
        assert passed(nginx, a.KR, path) == 0


def test_an_empty_key_is_not_limited_in_any_country(serve):
    nginx = serve(zone(key="$arg_k") + TELL
                  + block(burst("KR", 0), burst("default", 0)), LOCATION)
    assert passed(nginx, a.KR) == 9
    assert words(nginx, a.KR) == (200, "", "", "")
    assert passed(nginx, a.KR, "/?k=x") == 1


def test_the_country_is_that_of_the_address_that_realip_finds_for_the_location(
        serve):
    nginx = serve(ZONE + block(burst("KR", 1), burst("default", 2)),
                  "location / { set_real_ip_from 127.0.0.1;"
                  f" real_ip_header X-Forwarded-For; {limit()} }}"
                  f"location = /as-is {{ {limit()}"
                  " alias @dir@/html/index.html; }", realip="")
    assert passed(nginx, a.KR) == 2
    assert passed(nginx, a.KR, "/as-is") == 3


# ---- Several limits ----


def test_each_limit_goes_by_its_own_block(serve):
    """All or nothing: what one refuses, the other is not charged for."""
    nginx = serve(
        ZONE + zone("total", "$host") + TELL
        + block(burst("KR", 1), burst("DE", 5), "US off")
        + block(burst("KR", 5), burst("DE", 4), burst("US", 6), "JP off",
                of="total"),
        f"location / {{ {limit(of='total')} {limit()} }}")
    assert passed(nginx, a.KR) == 2
    assert words(nginx, a.KR)[1:] == ("REJECTED", "REJECTED", "one")
    assert passed(nginx, a.DE) == 3  # of five two are gone
    assert words(nginx, a.DE)[1:] == ("REJECTED", "REJECTED", "total")
    assert passed(nginx, a.US) == 2
    assert passed(nginx, a.JP) == 5


def test_a_limit_without_a_block_is_everyones(serve):
    nginx = serve(ZONE + zone("total", "$host")
                  + block("KR off", "DE rate=1r/h burst=1"),
                  f"location / {{ {limit('burst=6 nodelay', 'total')} {limit()} }}")
    assert passed(nginx, a.DE) == 2
    assert passed(nginx, a.KR) == 5
    assert passed(nginx, a.US) == 0


def test_off_everywhere_is_as_if_there_were_no_limit(serve):
    nginx = serve(ZONE + zone("two") + TELL
                  + block("KR JP off") + block("continent:AS off", of="two"),
                  f"location / {{ {limit()} {limit(of='two')} }}")
    assert passed(nginx, a.KR) == 9
    assert words(nginx, a.KR) == (200, "", "", "")
    assert words(nginx, a.US) == (200, "PASSED", "PASSED", "one")


# ---- Variable rates ----


@pytest.mark.parametrize("path, expected", [
    ("/", {"KR": 2, "DE": 9, "KP": DENIED, "US": 5}),
    ("/?r=", {"KR": 2, "DE": 9, "KP": DENIED, "US": 5}),
    ("/?r=1r/h", {"KR": 5, "DE": 5, "KP": DENIED, "US": 5}),
    ("/?r=off", {"KR": 9, "DE": 9, "KP": DENIED, "US": 9}),
])
def test_a_rate_that_is_given_wins_over_all_entries_but_deny(serve, path,
                                                             expected):
    """And has the limit's burst."""
    nginx = serve(ZONE + block(burst("KR", 1), "DE off", "KP deny"),
                  f"location / {{ {limit('burst=4 nodelay rate=$arg_r')} }}")
    assert {code: passed(nginx, WORLD[code], path) for code in expected} == expected
    assert not nginx.errors(r"\[warn\] (?!.*geo denied)")


def test_each_of_several_limits_has_its_own_rate_or_else_the_countrys(serve):
    nginx = serve(
        ZONE + zone("two") + block(burst("KR", 1))
        + block(burst("KR", 2), of="two"),
        f"location / {{ {limit('burst=4 nodelay rate=$arg_a')}"
        f" {limit('burst=6 nodelay rate=$arg_b', 'two')} }}")
    for last, (path, count) in enumerate([
            ("/", 2), ("/?a=1r/h", 3), ("/?b=1r/h", 2), ("/?a=off", 3),
            ("/?a=1r/h&b=1r/h", 5), ("/?a=off&b=1r/h", 7), ("/?a=off&b=off", 9)]):
        assert passed(nginx, f"168.126.63.{last + 1}", path) == count


# ---- Sliding windows ----

WINDOW = ("weir_limit_zone $binary_remote_addr zone=one:1m rate=3r/30d"
          " algorithm=sliding_window;")


def in_window(code, number):
    return f"{code} rate={number}r/30d"


def test_a_windows_entries_go_by_the_same_order(serve):
    nginx = serve(WINDOW + block(
        in_window("continent:EU", 4), in_window("EU", 5), in_window("DE", 6),
        in_window("XX", 1), "US off", "KP deny", in_window("KR", 2)),
        f"location / {{ {limit('')} }}")
    assert {code: passed(nginx, address) for code, address in WORLD.items()} == {
        "KR": 2, "DE": 6, "FR": 5, "CH": 4, "US": 9, "ZA": 3, "KP": DENIED,
        "XX": 1, "ZZ": 3}


def test_countries_share_a_windows_budget_under_one_key(serve):
    nginx = serve(WINDOW.replace("$binary_remote_addr", "$arg_k") + block(
        in_window("KR", 5), in_window("DE", 2)), f"location / {{ {limit('')} }}")
    assert passed(nginx, a.DE, "/?k=x") == 2
    assert passed(nginx, a.KR, "/?k=x") == 3
    assert passed(nginx, a.US, "/?k=x") == 0
    assert passed(nginx, a.US, "/?k=y") == 3


def test_a_window_keyed_on_the_country_is_one_budget_per_country(serve):
    nginx = serve(WINDOW.replace("$binary_remote_addr", "$weir_country")
                  + block(in_window("KR", 5)), f"location / {{ {limit('')} }}")
    assert passed(nginx, a.KR) == 5
    assert passed(nginx, "168.126.64.1") == 0
    assert passed(nginx, a.DE) == 3


def test_a_rate_that_is_given_wins_over_a_windows_entries(serve):
    nginx = serve(WINDOW + block(in_window("KR", 1), "DE off", "KP deny"),
                  f"location / {{ {limit('rate=$arg_r')} }}")
    assert passed(nginx, a.KR, "/?r=4r/30d") == 4
    assert passed(nginx, a.DE, "/?r=2r/30d") == 2
    assert passed(nginx, a.DE) == 9
    assert passed(nginx, a.KP, "/?r=4r/30d") == DENIED
    assert passed(nginx, "168.126.63.2") == 1


def test_a_window_and_a_bucket_each_have_their_own_block(serve):
    nginx = serve(WINDOW + zone("two") + block(in_window("KR", 6))
                  + block(burst("KR", 2), burst("DE", 6), of="two"),
                  f"location / {{ {limit('')} {limit(of='two')} }}")
    assert passed(nginx, a.KR) == 3
    assert passed(nginx, a.DE) == 3
    assert get(nginx.port, "/", a.KR).status == 429


# ---- Reloads ----


def test_a_reload_changes_the_quota_and_keeps_the_count(serve):
    nginx = serve(ZONE + block(burst("KR", 1), burst("DE", 3)), LOCATION)
    assert passed(nginx, a.KR) == 2
    assert passed(nginx, a.DE) == 4
    nginx.reload(DB + ZONE + block(burst("KR", 5), burst("DE", 1), "JP deny"),
                 LOCATION)
    assert passed(nginx, a.KR) == 4
    assert passed(nginx, a.DE) == 0
    assert passed(nginx, a.JP) == DENIED
    nginx.reload(DB + ZONE, LOCATION)
    assert passed(nginx, a.KR) == 0
    assert passed(nginx, a.DE) == 1
    assert passed(nginx, a.JP) == 5


@pytest.mark.parametrize("workers, listen", [(1, ""), (4, "reuseport")])
def test_all_workers_share_a_countrys_budget(serve, workers, listen):
    nginx = serve(zone(key="$weir_country")
                  + block(burst("KR", 19)), LOCATION, workers=workers,
                  listen=listen)
    assert passed(nginx, a.KR, most=40) == 20
    assert passed(nginx, "168.126.64.1", most=10) == 0
