"""weir_geo_override: address ranges whose country the operator knows better.

Countries are those of a real database, but for a test that wants none. What an
override says goes for lists, budgets, headers and variables alike.
"""

import pytest

import addresses as a
import upstreams
from client import get, statuses

DB = "weir_geo_db @db@;"
SAY = ("add_header X-Country $weir_country always;"
       " add_header X-Continent $weir_continent always;")


@pytest.fixture
def serve(start_nginx, country_db):
    """`overrides` are lines of a range and a code."""
    def start(overrides, server="location / { }", http=DB, **words):
        lines = "".join(f"weir_geo_override {line};"
                        for line in overrides.strip().splitlines())
        return start_nginx(f"{http} {SAY} {lines}", server,
                           words={"db": country_db, **words})
    return start


def country(nginx, address):
    return get(nginx.port, "/", address).header("X-Country")


def test_an_override_goes_before_the_database(serve):
    nginx = serve(f"{a.KR}/32 JP\n{a.DE6} CH")
    for address, code, continent in ((a.KR, "JP", "AS"), (a.mapped(a.KR), "JP", "AS"),
                                     (a.DE6, "CH", "EU"), ("168.126.63.2", "KR", "AS"),
                                     ("2a01:4f8::2", "DE", "EU"), (a.US, "US", "NA")):
        answer = get(nginx.port, "/", address)
        assert answer.header("X-Country") == code, address
        assert answer.header("X-Continent") == continent, address


@pytest.mark.parametrize("overrides", [
    "168.0.0.0/6 FR\n168.126.0.0/16 JP\n168.126.63.0/24 US\n168.126.63.128/25 XX",
    "168.126.63.128/25 XX\n168.126.63.0/24 US\n168.126.0.0/16 JP\n168.0.0.0/6 FR"],
    ids=["wide first", "narrow first"])
def test_the_narrowest_range_counts_whatever_the_order(serve, overrides):
    nginx = serve(overrides)
    assert {address: country(nginx, address) for address in (
        "168.126.63.127", "168.126.63.128", "168.126.62.255", "168.126.64.0",
        "168.125.255.255", "171.255.255.255", "167.255.255.255", a.DE)} == {
            "168.126.63.127": "US", "168.126.63.128": "XX",
            "168.126.62.255": "JP", "168.126.64.0": "JP",
            "168.125.255.255": "FR", "171.255.255.255": "FR",
            "167.255.255.255": "US", a.DE: "DE"}


def test_the_narrowest_range_of_ipv6_counts(serve):
    nginx = serve("2001:220::/32 DE\n2001:220::/64 FR\n2001:220:0:0:8000::/65 CH\n"
                  "2001:220::1/128 XX")
    assert [country(nginx, address) for address in (
        a.KR6, "2001:220::2", "2001:220:0:0:8000::1", "2001:220:0:1::1", a.JP6)] == \
        ["XX", "FR", "CH", "DE", "JP"]


def test_ipv4_and_ipv6_are_apart(serve):
    """Of one length, and with the same bytes: 32.1.2.32 begins 2001:220::."""
    nginx = serve("32.1.2.32/32 FR\n2001:220::/32 DE")
    assert country(nginx, "32.1.2.32") == "FR"
    assert country(nginx, a.KR6) == "DE"


def test_a_mapped_range_is_one_of_ipv4(serve):
    nginx = serve("::ffff:168.126.0.0/112 JP")
    assert country(nginx, a.KR) == "JP"
    assert country(nginx, a.mapped(a.KR)) == "JP"
    assert country(nginx, a.KR6) == "KR"


def test_everything_can_be_overridden(serve):
    nginx = serve("0.0.0.0/0 DE\n::/0 FR")
    assert {country(nginx, address) for address in (a.KR, a.US, "10.0.0.1")} == {"DE"}
    assert {country(nginx, address)
            for address in (a.KR6, a.UNKNOWN, "fd00::1")} == {"FR"}


def test_private_addresses_can_be_of_a_country(serve):
    """An office that is reached by a tunnel, say. The rest stays private."""
    nginx = serve("10.1.0.0/16 KR\nfd00:1::/32 DE",
                  "weir_geo_deny private XX DE; location / { }")
    for address, code, status in (("10.1.2.3", "KR", 200), ("10.2.0.1", "ZZ", 403),
                                  ("fd00:1::1", "DE", 403), ("fd00:2::1", "ZZ", 403)):
        answer = get(nginx.port, "/", address)
        assert (answer.header("X-Country"), answer.status) == (code, status)


def test_public_addresses_can_be_private(serve):
    """As a client of one's own, they are never denied, but by `private`."""
    nginx = serve(f"{a.KR} ZZ\n{a.DE6} ZZ",
                  "location / { weir_geo_allow US; }"
                  " location /deny { weir_geo_deny KR DE XX continent:AS;"
                  " alias @dir@/html/index.html; }"
                  " location /private { weir_geo_deny private;"
                  " alias @dir@/html/index.html; }")
    for address in (a.KR, a.DE6):
        assert [get(nginx.port, path, address).status
                for path in ("/", "/deny", "/private")] == [200, 200, 403]
        answer = get(nginx.port, "/", address)
        assert answer.header("X-Country") == answer.header("X-Continent") == "ZZ"
    assert get(nginx.port, "/", a.DE).status == 403


def test_addresses_can_be_made_unknown(serve):
    nginx = serve(f"{a.KR} XX\n10.0.0.0/8 XX", "location / { weir_geo_deny XX; }")
    for address, status in ((a.KR, 403), ("10.0.0.1", 403), (a.UNKNOWN, 403),
                            ("168.126.63.2", 200), ("192.168.0.1", 200)):
        assert get(nginx.port, "/", address).status == status


def test_lists_take_the_eu_and_the_continent_of_the_code(serve):
    """The file's word on the network does not linger."""
    nginx = serve(f"{a.KR} DE\n{a.DE} ZA\n{a.FR} CH",
                  "location / { weir_geo_allow EU; } location /af {"
                  " weir_geo_allow continent:AF; alias @dir@/html/index.html; }")
    assert [get(nginx.port, "/", x).status for x in (a.KR, a.DE, a.FR)] == \
        [200, 403, 403]
    assert get(nginx.port, "/af", a.DE).status == 200


def test_uk_means_gb(serve):
    assert country(serve(f"{a.KR} UK"), a.KR) == "GB"


def test_budgets_by_country_go_by_it(serve):
    nginx = serve(
        f"{a.KR} DE\n{a.DE} KP\n{a.US} ZZ\n{a.FR} XX\n10.0.0.0/8 KR",
        "location / { weir_limit zone=one nodelay; }",
        DB + "weir_limit_zone $binary_remote_addr zone=one:1m rate=1r/h;"
        "weir_country_limits zone=one { KR rate=1r/h burst=5; DE rate=1r/h burst=3;"
        " XX rate=1r/h burst=1; US rate=1r/h burst=9; KP deny;"
        " default rate=1r/h burst=2; }")
    found = {address: statuses(nginx.port, 8, "/", address)
             for address in (a.KR, a.DE, a.US, a.FR, "10.0.0.1", "168.126.63.2")}
    assert {address: codes.count(200) for address, codes in found.items()} == {
        a.KR: 4, a.DE: 0, a.US: 3, a.FR: 2, "10.0.0.1": 6, "168.126.63.2": 6}
    assert found[a.DE] == [403] * 8


def test_headers_to_the_upstream_go_by_it(serve):
    with upstreams.http_upstream() as port:
        nginx = serve(f"{a.KR} BR", "weir_geo_headers on; location / {"
                      f" proxy_pass http://127.0.0.1:{port}; }}")
        lines = get(nginx.port, "/", a.KR).text.splitlines()
    assert "X-Geo-Country: BR" in lines and "X-Geo-Continent: SA" in lines


def test_it_goes_for_the_address_of_a_source(serve):
    nginx = serve(f"{a.KR} JP", "weir_geo_source $http_x_client; location / { }")
    answer = get(nginx.port, "/", a.DE, [("X-Client", a.KR)])
    assert answer.header("X-Country") == "JP"
    assert get(nginx.port, "/", a.KR).header("X-Country") == "XX"


def test_it_goes_without_the_optional_database(serve):
    nginx = serve(f"{a.KR} KR\n10.1.0.0/16 DE\n2001:220::/32 KR",
                  "location / { weir_geo_allow KR; }",
                  "weir_geo_db @dir@/none.mmdb optional;")
    for address, code, status in ((a.KR, "KR", 200), (a.KR6, "KR", 200),
                                  (a.DE, "XX", 403), ("10.1.0.1", "DE", 403),
                                  ("10.2.0.1", "ZZ", 200)):
        answer = get(nginx.port, "/", address)
        assert (answer.header("X-Country"), answer.status) == (code, status)


def test_fields_of_databases_stay_as_they_are(start_nginx, fixture_dir):
    """An override is of the country alone."""
    nginx = start_nginx(
        "weir_geo_db @fixtures@/maxmind.mmdb;"
        "weir_geo_variable $code country.iso_code; weir_geo_override 81.169.145.0/24 FR;"
        f"{SAY} add_header X-Code $code;", "location / { }",
        words={"fixtures": fixture_dir})
    answer = get(nginx.port, "/", "81.169.145.1")
    assert (answer.header("X-Country"), answer.header("X-Code")) == ("FR", "DE")


def test_thousands_of_ranges_are_told_apart(serve):
    codes = ["KR", "JP", "DE", "FR", "US", "BR", "ZA"]
    lines = [f"20.{n // 256}.{n % 256}.0/24 {codes[n % 7]}" for n in range(3000)]
    nginx = serve("\n".join(lines))
    for n in range(0, 3000, 211):
        assert country(nginx, f"20.{n // 256}.{n % 256}.77") == codes[n % 7]


def test_a_reload_changes_overrides(serve, country_db):
    nginx = serve(f"{a.KR} JP")
    assert country(nginx, a.KR) == "JP"
    nginx.reload(f"{DB} {SAY} weir_geo_override {a.KR} DE;", "location / { }")
    assert country(nginx, a.KR) == "DE"
    nginx.reload(f"{DB} {SAY}", "location / { }")
    assert country(nginx, a.KR) == "KR"
