"""weir_bypass: who is neither filtered nor limited; and $weir_client, the
client's address for keys of several parts."""

import pytest

import addresses as a
from client import encode, get, pipeline, statuses
from upstreams import http_upstream

ZONE = "weir_limit_zone $binary_remote_addr zone=one:1m rate=1r/m;"
LIMIT = "weir_limit zone=one burst=4 nodelay;"
BYPASS = "weir_bypass $http_x_pass;"
LOCATION = f"location / {{ {LIMIT} {BYPASS} }}"

FIVE_OF_9 = [200] * 5 + [429] * 4
ME = "198.51.100.1"


def passing(value="1"):
    return [("X-Pass", value)]


# The verdict as the answer's headers tell it.
TELL = ('add_header X-Words "$weir_status,$weir_limit_status,$weir_zone" always;'
        ' add_header X-Country $weir_country always;')


def words(nginx, path="/", address=ME, headers=()):
    answer = get(nginx.port, path, address, headers)
    return answer.status, *answer.header("X-Words").split(",")


@pytest.mark.parametrize("workers, listen", [(1, ""), (2, ""), (4, "reuseport")])
def test_who_is_bypassed_is_neither_limited_nor_charged(start_nginx, workers,
                                                        listen):
    nginx = start_nginx(ZONE, LOCATION, workers=workers, listen=listen)
    assert statuses(nginx.port, 20, "/", ME, passing()) == [200] * 20
    assert statuses(nginx.port, 9, address=ME) == FIVE_OF_9
    assert statuses(nginx.port, 20, "/", ME, passing()) == [200] * 20
    assert get(nginx.port, "/", ME).status == 429


@pytest.mark.parametrize("value, bypassed", [
    ("", False), ("0", False), ("1", True), ("00", True), ("no", True)])
def test_empty_and_zero_mean_no(start_nginx, value, bypassed):
    nginx = start_nginx(ZONE, LOCATION)
    codes = statuses(nginx.port, 9, "/", ME, passing(value))
    assert codes == ([200] * 9 if bypassed else FIVE_OF_9)


@pytest.mark.parametrize("directives", [
    "weir_bypass $arg_a $arg_b $http_x_pass;",
    "weir_bypass $arg_a; weir_bypass $arg_b$http_x_pass;"])
@pytest.mark.parametrize("path, headers, bypassed", [
    ("/", (), False), ("/?a=0", passing("0"), False), ("/?a=0", passing(), True),
    ("/?a=1", (), True)])
def test_one_variable_of_many_is_enough(start_nginx, directives, path, headers,
                                        bypassed):
    nginx = start_nginx(ZONE, directives + LIMIT)
    codes = statuses(nginx.port, 9, path, ME, headers)
    assert codes == ([200] * 9 if bypassed else FIVE_OF_9)


def test_the_word_is_bypassed(start_nginx):
    nginx = start_nginx(ZONE, TELL + LOCATION)
    assert words(nginx, "/", headers=passing()) == (200, "BYPASSED", "BYPASSED", "")
    assert words(nginx, "/") == (200, "PASSED", "PASSED", "one")
    assert not nginx.errors("limiting|denied")


def test_where_nothing_would_be_evaluated_nothing_is_bypassed(start_nginx):
    nginx = start_nginx(ZONE, TELL + BYPASS + "location / { weir_limit off; }")
    assert words(nginx, "/", headers=passing()) == (200, "", "", "")


GEO = ("weir_geo_db @db@; weir_geo_headers on;" + ZONE
       + "weir_country_limits zone=one { JP deny; DE off; default rate=1r/m; }")


def test_who_is_bypassed_is_not_filtered_and_keeps_headers_and_variables(
        start_nginx, country_db):
    """weir_geo_deny, a country that a limit denies, and what is neither."""
    with http_upstream() as port:
        nginx = start_nginx(
            GEO, TELL + "weir_geo_deny KP;" + BYPASS + "location / { weir_limit zone=one;"
            " proxy_pass http://127.0.0.1:@upstream@; }",
            words={"db": country_db, "upstream": port})
        for country in ("KP", "JP", "KR"):
            for _ in range(2):
                answer = get(nginx.port, "/", getattr(a, country), passing())
                assert answer.status == 200
                assert f"X-Geo-Country: {country}" in answer.text
                assert answer.header("X-Words") == "BYPASSED,BYPASSED,"
                assert answer.header("X-Country") == country
            refused = 200 if country == "KR" else 403
            assert get(nginx.port, "/", getattr(a, country)).status == refused
    assert len(nginx.errors("geo denied")) == 2


def test_a_filter_without_limits_can_be_bypassed(start_nginx, country_db):
    nginx = start_nginx("weir_geo_db @db@; weir_geo_deny KP;", TELL + BYPASS + "location / { }",
                        words={"db": country_db})
    assert words(nginx, "/", a.KP) == (403, "GEO_DENIED", "", "")
    assert words(nginx, "/", a.KR) == (200, "PASSED", "", "")
    assert words(nginx, "/", a.KP, passing())[:2] == (200, "BYPASSED")


@pytest.mark.parametrize("outer, inner, bypassed", [
    (BYPASS, "", True),
    (BYPASS, "weir_bypass $arg_other;", False),
    ("weir_bypass $arg_other;", BYPASS, True),
    ("", "", False),
])
@pytest.mark.parametrize("level", ["http", "server"])
def test_levels_without_a_bypass_inherit_all_of_it(start_nginx, level, outer,
                                                   inner, bypassed):
    nginx = start_nginx(ZONE + (outer if level == "http" else ""),
                        (outer if level == "server" else "")
                        + f"location / {{ {LIMIT} {inner} }}")
    codes = statuses(nginx.port, 9, "/", ME, passing())
    assert codes == ([200] * 9 if bypassed else FIVE_OF_9)


@pytest.mark.parametrize("way", [
    "error_page 404 = /behind/index.html;", "error_page 404 = @behind;",
    "try_files /none /behind/index.html;", "rewrite ^ /behind/index.html last;"])
def test_a_limit_behind_a_redirect_applies_if_it_is_not_bypassed(start_nginx, way):
    behind = f"{LIMIT} alias @dir@/html/;"
    nginx = start_nginx(
        ZONE, f"{TELL} location /front {{ {LIMIT} {BYPASS} {way} }}"
        f"location /behind/ {{ {behind} }}"
        f"location @behind {{ {LIMIT} rewrite ^ /index.html break; }}")
    assert statuses(nginx.port, 9, "/front", ME, passing()) == FIVE_OF_9
    assert words(nginx, "/front", headers=passing())[1:] == \
        ("REJECTED", "REJECTED", "one")


def test_a_bypass_behind_a_redirect_comes_too_late(start_nginx):
    """What was charged before stays charged, and the word is the limit's."""
    nginx = start_nginx(
        ZONE, f"{TELL} location / {{ {LIMIT} error_page 404 = /behind; }}"
        f"location /behind {{ {LIMIT} {BYPASS} alias @dir@/html/index.html; }}")
    assert words(nginx, "/none", headers=passing())[:2] == (200, "PASSED")
    assert statuses(nginx.port, 8, "/none", ME, passing()) == [200] * 4 + [429] * 4


def test_a_refused_requests_page_may_be_bypassed(start_nginx):
    nginx = start_nginx(
        ZONE, f"{TELL} error_page 429 /sorry; location / {{ {LIMIT} }}"
        f"location /sorry {{ {LIMIT} {BYPASS} alias @dir@/html/index.html; }}")
    answers = [get(nginx.port, "/", ME, passing()) for _ in range(9)]
    assert [answer.status for answer in answers] == FIVE_OF_9
    assert {answer.text for answer in answers} == {"index\n"}
    assert words(nginx, "/", headers=passing())[1] == "REJECTED"


@pytest.mark.parametrize("main, part, charged", [
    ("", BYPASS, True), (BYPASS, "", True), (BYPASS, BYPASS, False)],
    ids=["the part", "the page", "both"])
def test_a_page_and_its_parts_are_bypassed_each_by_its_own_location(
        start_nginx, main, part, charged):
    nginx = start_nginx(
        ZONE, "ssi on; ssi_types *;"
        f"location /page {{ {LIMIT} {main} }} location /part {{ {LIMIT} {part} }}")
    nginx.write("page", '<!--#include virtual="/part" -->.')
    nginx.write("part", "part")
    answers = [get(nginx.port, "/page", ME, passing()) for _ in range(9)]
    assert [answer.status for answer in answers] == \
        ([200] * 9 if main else FIVE_OF_9)
    whole = [answer.text == "part." for answer in answers]
    assert whole == ([True] * 5 + [False] * 4 if charged else [True] * 9)
    assert get(nginx.port, "/page", ME).status == (429 if charged else 200)


def test_a_subrequest_that_is_not_bypassed_leaves_the_pages_word(start_nginx):
    nginx = start_nginx(
        ZONE + "weir_limit_zone $arg_none zone=two:1m rate=1r/m;",
        f"{TELL} location / {{ {LIMIT} {BYPASS} auth_request /ask; }}"
        " location /ask { weir_limit zone=two; weir_bypass $arg_none;"
        " alias @dir@/html/index.html; }")
    assert words(nginx, headers=passing()) == (200, "BYPASSED", "BYPASSED", "")


def test_each_request_of_a_connection_is_bypassed_by_itself(start_nginx):
    nginx = start_nginx(ZONE, LOCATION)
    requests = [encode("/", ME, passing()), encode("/", ME)] * 7
    assert pipeline(nginx.port, requests) == [200] * 10 + [200, 429] * 2


# ---- $weir_client ----


@pytest.mark.parametrize("same, other", [
    ("2001:db8:0:1::1 2001:db8:0:1::2 2001:db8:0:1:ffff::", "2001:db8:0:2::1"),
    ("198.51.100.7", "198.51.100.8"),
    ("198.51.100.7 ::ffff:198.51.100.7 ::ffff:c633:6407", "::ffff:198.51.100.8"),
])
@pytest.mark.parametrize("key", ["$weir_client$uri", "$host$weir_client",
                                 "$weir_client"])
def test_one_slash_64_is_one_client_in_keys_of_several_parts(start_nginx, key,
                                                             same, other):
    nginx = start_nginx(f"weir_limit_zone {key} zone=one:1m rate=1r/m;",
                        f"location / {{ {LIMIT} }}")
    nginx.write("other", "other")
    same = same.split()
    codes = [get(nginx.port, "/", same[i % len(same)]).status for i in range(9)]
    assert codes == FIVE_OF_9
    assert statuses(nginx.port, 9, "/", other) == FIVE_OF_9
    code = get(nginx.port, "/other", same[0]).status
    assert code == (200 if "uri" in key else 429)


@pytest.mark.parametrize("key", ["$weir_client", "$by_map"])
@pytest.mark.parametrize("parameters, same, other", [
    ("ipv6_prefix=48", "2001:db8:7::1 2001:db8:7:ffff::1", "2001:db8:8::1"),
    ("ipv6_prefix=128", "2001:db8::1", "2001:db8::2"),
    ("ipv4_prefix=24", "198.51.100.1 ::ffff:198.51.100.254", "198.51.101.1"),
])
def test_alone_it_takes_the_zones_prefixes_as_the_address_does(
        start_nginx, key, parameters, same, other):
    nginx = start_nginx(
        "map $arg_x $by_map { default $weir_client; 1 ''; }"
        f"weir_limit_zone {key} zone=one:1m rate=1r/m {parameters};",
        f"location / {{ {LIMIT} }}")
    same = same.split()
    codes = [get(nginx.port, "/", same[i % len(same)]).status for i in range(9)]
    assert codes == FIVE_OF_9
    assert statuses(nginx.port, 9, "/", other) == FIVE_OF_9


def test_it_follows_realip_at_a_locations_level(start_nginx):
    """Asked for before realip's location-level pass, and again after it."""
    nginx = start_nginx(
        "weir_limit_zone $weir_client$uri zone=one:1m rate=1r/m;",
        "set $early $weir_client;"
        "location / { set_real_ip_from 127.0.0.1;"
        f" real_ip_header X-Forwarded-For; {LIMIT} }}", realip="")
    for address in (a.KR, a.DE, a.KR6):
        assert statuses(nginx.port, 9, address=address) == FIVE_OF_9


@pytest.mark.parametrize("key", ["$weir_client", "$weir_client$uri"])
def test_clients_of_a_unix_socket_are_one_client(start_nginx, key):
    nginx = start_nginx(f"weir_limit_zone {key} zone=one:1m rate=1r/m;",
                        f"listen unix:@dir@/s.sock; location / {{ {LIMIT} }}")
    assert statuses(nginx.dir / "s.sock", 9) == FIVE_OF_9
    assert statuses(nginx.port, 9, address="117.110.105.120") == FIVE_OF_9
