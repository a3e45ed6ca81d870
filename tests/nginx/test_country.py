"""Limits and denials by country, on a real world-wide database.

Clients come from their countries by way of realip. A country's quota is told
by how many requests pass at once; rates are too slow to refill in a test.
"""

import pytest

import addresses as a
from client import Closed, get, raw, statuses

DB = "weir_geo_db @db@;"
ZONE = "weir_limit_zone $binary_remote_addr zone=one:1m rate=1r/m;"
LOCATION = "location / { weir_limit zone=one nodelay; }"

QUOTAS = """
weir_country_limits zone=one {
    KR JP        rate=2r/h burst=3;
    EU           rate=1r/h burst=1;
    DE           rate=1r/h burst=6;
    continent:AF rate=1r/h burst=4;
    continent:EU rate=1r/h burst=8;
    XX           rate=1r/h burst=0;
    US           off;
    KP           deny;
    default      rate=1r/h burst=2;
}
"""


@pytest.fixture
def serve(start_nginx, country_db):
    def start(http, server="location / { }", **options):
        return start_nginx(DB + http, server, words={"db": country_db},
                           **options)
    return start


def passed(nginx, address, most=12):
    """How many of `most` requests of a client pass; the first ones do."""
    codes = statuses(nginx.port, most, address=address)
    count = codes.count(200)
    assert codes == [200] * count + [429] * (most - count)
    return count


@pytest.mark.parametrize("address, quota", [
    (a.KR, 4), (a.JP, 4), (a.KR6, 4), (a.JP6, 4), (a.mapped(a.KR), 4),
    (a.FR, 2), (a.DE, 7), (a.DE6, 7), (a.CH, 9), (a.GB, 9), (a.ZA, 5),
    (a.BR, 3), (a.UNKNOWN, 1), (a.US, 12), ("192.168.1.1", 3), ("fd00::1", 3),
], ids=str)
def test_the_most_specific_quota_applies(serve, address, quota):
    """Country, then EU, then continent, then default; DE is in the EU and
    FR's quota is the EU's though Europe's is larger."""
    assert passed(serve(ZONE + QUOTAS, LOCATION), address) == quota


def test_kr_gets_its_quota_and_de_the_default(serve):
    nginx = serve(ZONE + "weir_country_limits zone=one {"
                  " KR rate=1r/h burst=7; default rate=1r/h burst=1; }", LOCATION)
    assert passed(nginx, a.KR) == 8
    assert passed(nginx, a.DE) == 2


def test_every_client_has_its_countrys_quota_for_itself(serve):
    nginx = serve(ZONE + QUOTAS, LOCATION)
    for address in (a.KR, "168.126.63.2", "168.126.64.1"):
        assert passed(nginx, address) == 4


def test_without_default_the_zones_own_rate_applies(serve):
    nginx = serve(ZONE + "weir_country_limits zone=one {"
                  " KR rate=1r/h burst=0; }",
                  "location / { weir_limit zone=one burst=4 nodelay; }")
    assert passed(nginx, a.KR) == 1
    assert passed(nginx, a.DE) == 5
    assert passed(nginx, a.UNKNOWN) == 5


def test_an_entry_without_burst_keeps_that_of_the_limit(serve):
    nginx = serve(ZONE + "weir_country_limits zone=one { KR rate=1r/h;"
                  " DE off; default rate=2r/h; }",
                  "location / { weir_limit zone=one burst=4 nodelay; }"
                  "location /more { weir_limit zone=one burst=7 nodelay;"
                  " alias @dir@/html/index.html; }")
    assert passed(nginx, a.KR) == 5
    assert passed(nginx, a.DE) == 12
    assert passed(nginx, a.FR) == 5
    assert statuses(nginx.port, 9, "/more", "168.126.64.1").count(200) == 8


def test_quotas_of_one_zone_do_not_touch_another(serve):
    nginx = serve(ZONE + "weir_limit_zone $binary_remote_addr zone=two:1m"
                  " rate=1r/m;" + QUOTAS,
                  "location / { weir_limit zone=two burst=5 nodelay; }")
    assert passed(nginx, a.KR) == 6
    assert passed(nginx, a.KP) == 6


def test_two_zones_have_tables_of_their_own(serve):
    nginx = serve(
        ZONE + "weir_limit_zone $host zone=total:1m rate=1r/m;"
        "weir_country_limits zone=one { KR rate=1r/h burst=5; }"
        "weir_country_limits zone=total { KR rate=1r/h burst=2; DE off; }",
        "location / { weir_limit zone=one burst=8 nodelay;"
        " weir_limit zone=total burst=8 nodelay; }")
    assert passed(nginx, a.KR) == 3
    assert passed(nginx, a.DE) == 9


def test_a_zone_keyed_on_the_country_is_one_budget_per_country(serve):
    nginx = serve("weir_limit_zone $weir_country zone=one:1m rate=1r/m;"
                  "weir_country_limits zone=one { KR rate=1r/h burst=2; }",
                  "location / { weir_limit zone=one burst=4 nodelay; }")
    clients = [a.KR, "168.126.63.2", "168.126.64.1", a.KR6]
    assert [get(nginx.port, "/", c).status for c in clients] == [200] * 3 + [429]
    clients = [a.DE, "81.169.145.151", a.DE6]
    assert [get(nginx.port, "/", c).status for c in clients] == [200] * 3
    assert passed(nginx, a.FR) == 5


@pytest.mark.parametrize("address, code, continent", [
    (a.KR, "KR", "AS"), (a.DE, "DE", "EU"), (a.DE6, "DE", "EU"),
    (a.US, "US", "NA"), (a.ZA, "ZA", "AF"), (a.BR, "BR", "SA"),
    (a.UNKNOWN, "XX", "XX"), (a.mapped(a.JP), "JP", "AS"),
    *((address, "ZZ", "ZZ") for address in a.PRIVATE),
])
def test_variables_tell_country_and_continent(serve, address, code, continent):
    nginx = serve("")
    get(nginx.port, "/?id=x", address)
    words = nginx.access("x")
    assert (words["weir_country"], words["weir_continent"]) == (code, continent)
    assert words["weir_status"] == "-"


def test_variables_work_in_maps_and_rewrites(serve):
    nginx = serve("map $weir_country $tongue { default en; KR ko; DE de; }",
                  "add_header X-Tongue $tongue;"
                  " if ($weir_country = US) { return 204; }")
    assert get(nginx.port, "/", a.KR).header("X-Tongue") == "ko"
    assert get(nginx.port, "/", a.DE).header("X-Tongue") == "de"
    assert get(nginx.port, "/", a.US).status == 204


def test_a_denied_country_gets_403_and_its_log_line(serve):
    nginx = serve("weir_geo_deny KP;")
    assert get(nginx.port, "/?id=no", a.KP).status == 403
    assert get(nginx.port, "/", a.KR).status == 200
    lines = nginx.errors("geo denied")
    assert len(lines) == 1
    assert "[warn]" in lines[0]
    assert f"geo denied, country: KP, client: {a.KP}, server: " in lines[0]
    assert nginx.access("no")["weir_status"] == "GEO_DENIED"


def test_deny_in_a_country_table_answers_as_weir_geo_deny(serve):
    nginx = serve(ZONE + QUOTAS, "weir_geo_status 451;" + LOCATION)
    assert statuses(nginx.port, 3, "/?id=no", a.KP) == [451] * 3
    assert len(nginx.errors(r"\[warn\] .* geo denied, country: KP, client")) == 3
    assert nginx.access("no")["weir_status"] == "GEO_DENIED"
    assert not nginx.errors("limiting requests")


def test_a_denied_request_is_not_charged(serve):
    nginx = serve("weir_limit_zone $host zone=one:1m rate=1r/m;"
                  "weir_geo_deny KP;",
                  "location / { weir_limit zone=one burst=4 nodelay; }")
    assert statuses(nginx.port, 9, address=a.KP) == [403] * 9
    assert passed(nginx, a.KR) == 5


def test_a_dry_run_of_limits_denies_all_the_same(serve):
    nginx = serve(ZONE + QUOTAS + "weir_limit_dry_run on;", LOCATION)
    assert statuses(nginx.port, 2, address=a.KP) == [403] * 2
    assert passed(nginx, a.FR) == 12


def test_the_page_of_a_denied_request_is_not_charged(serve):
    nginx = serve("weir_limit_zone $host zone=one:1m rate=1r/m;",
                  "location / { weir_geo_deny KP; error_page 403 /page/index.html; }"
                  "location /page { weir_limit zone=one burst=4 nodelay;"
                  " alias @dir@/html; }")
    assert statuses(nginx.port, 9, address=a.KP) == [403] * 9
    assert statuses(nginx.port, 6, "/page/index.html") == [200] * 5 + [429]


@pytest.mark.parametrize("status", [404, 444, 451, 503])
def test_the_status_of_a_denial_can_be_chosen(serve, status):
    nginx = serve(f"weir_geo_deny KP; weir_geo_status {status};")
    if status != 444:
        assert get(nginx.port, "/", a.KP).status == status
    else:
        with pytest.raises(Closed):
            get(nginx.port, "/?id=no", a.KP)
        assert nginx.access("no")["status"] == "444"
    assert get(nginx.port, "/", a.KR).status == 200


ALL = {"KR": a.KR, "DE": a.DE, "FR": a.FR, "CH": a.CH, "US": a.US, "ZA": a.ZA,
       "KP": a.KP, "XX": a.UNKNOWN, "ZZ": "192.168.1.1"}


def admitted(nginx, path="/"):
    """Which of the countries in ALL get an answer other than 403."""
    codes = {code: get(nginx.port, path, address).status
             for code, address in ALL.items()}
    assert set(codes.values()) <= {200, 403}
    return {code for code, status in codes.items() if status == 200}


@pytest.mark.parametrize("rules, expected", [
    ("weir_geo_deny KP;", "KR DE FR CH US ZA XX ZZ"),
    ("weir_geo_deny KP US; weir_geo_deny CH;", "KR DE FR ZA XX ZZ"),
    ("weir_geo_deny EU;", "KR CH US ZA KP XX ZZ"),
    ("weir_geo_deny continent:EU;", "KR US ZA KP XX ZZ"),
    ("weir_geo_deny XX;", "KR DE FR CH US ZA KP ZZ"),
    ("weir_geo_deny all;", "ZZ"),
    ("weir_geo_deny private;", "KR DE FR CH US ZA KP XX"),
    ("weir_geo_deny all private;", ""),
    ("weir_geo_allow KR;", "KR ZZ"),
    ("weir_geo_allow KR; weir_geo_allow US ZA;", "KR US ZA ZZ"),
    ("weir_geo_allow EU XX;", "DE FR XX ZZ"),
    ("weir_geo_allow continent:AS continent:AF;", "KR KP ZA ZZ"),
    ("weir_geo_allow private;", "ZZ"),
    ("weir_geo_allow KR; weir_geo_deny private;", "KR"),
    ("weir_geo_allow all;", "KR DE FR CH US ZA KP XX ZZ"),
    ("weir_geo_allow all; weir_geo_deny KP;", "KR DE FR CH US ZA XX ZZ"),
    ("weir_geo_allow EU; weir_geo_deny DE;", "FR ZZ"),
    ("weir_geo_allow DE; weir_geo_deny EU;", "ZZ"),
    ("weir_geo_allow KR; weir_geo_deny continent:AS;", "ZZ"),
])
def test_lists_of_countries(serve, rules, expected):
    """What is denied stays denied, at any specificity, even if allowed;
    private addresses are denied by the word alone."""
    nginx = serve(rules)
    assert admitted(nginx) == set(expected.split())


@pytest.mark.parametrize("outer, inner, expected", [
    ("weir_geo_deny KP;", "", "KR DE FR CH US ZA XX ZZ"),
    ("weir_geo_deny KP;", "weir_geo_deny US;", "KR DE FR CH ZA KP XX ZZ"),
    ("weir_geo_deny KP;", "weir_geo_allow all;", "KR DE FR CH US ZA KP XX ZZ"),
    ("weir_geo_allow KR;", "weir_geo_deny US;", "KR DE FR CH ZA KP XX ZZ"),
    ("weir_geo_allow KR; weir_geo_deny KP;", "weir_geo_status 403;", "KR ZZ"),
])
@pytest.mark.parametrize("level", ["http", "server"])
def test_lists_are_inherited_as_one(serve, level, outer, inner, expected):
    nginx = serve(outer if level == "http" else "",
                  (outer if level == "server" else "")
                  + f"location / {{ {inner} }}")
    assert admitted(nginx) == set(expected.split())


@pytest.mark.parametrize("page, body", [
    ("error_page 403 /denied.html;", "not from there\n"),
    ("error_page 403 =200 /denied.html;", "not from there\n"),
    ("error_page 403 @denied; location @denied"
     " { rewrite ^ /denied.html break; }", "not from there\n"),
    ("error_page 403 /inner/denied.html; location /inner/ { weir_geo_deny all;"
     " alias @dir@/html/; }", "not from there\n"),
])
def test_a_denied_client_sees_the_error_page(serve, page, body):
    nginx = serve("weir_geo_deny KP;", page)
    nginx.write("denied.html", body)
    answer = get(nginx.port, "/", a.KP)
    assert answer.status == (200 if "=200" in page else 403)
    assert answer.text == body
    assert len(nginx.errors("geo denied")) == 1


def test_a_redirect_target_may_deny_what_the_first_location_let_pass(serve):
    nginx = serve("", "location /open { error_page 404 = /closed/index.html; }"
                  "location /closed { weir_geo_deny KP;"
                  " alias @dir@/html; }")
    assert get(nginx.port, "/open", a.KP).status == 403
    assert get(nginx.port, "/open", a.KR).status == 200


def test_subrequests_are_not_denied_on_their_own(serve):
    nginx = serve("ssi on; ssi_types *;",
                  "location /part { weir_geo_deny KP; }")
    nginx.write("page", '<!--#include virtual="/part" -->')
    nginx.write("part", "part\n")
    assert get(nginx.port, "/page", a.KP).text == "part\n"
    assert get(nginx.port, "/part", a.KP).status == 403


def test_a_denied_subrequest_opens_nothing_to_its_main_request(serve):
    """A mirror's copy is denied by a country table; what the request itself is
    redirected to afterwards still denies."""
    nginx = serve(ZONE + "weir_country_limits zone=one { KP deny; }",
                  "location / { mirror /copy; error_page 502 = /closed;"
                  " proxy_pass http://127.0.0.1:@port9@; }"
                  "location /copy { weir_limit zone=one; }"
                  "location /closed { weir_geo_deny KP;"
                  " alias @dir@/html/index.html; }")
    assert get(nginx.port, "/", a.KP).status == 403
    assert get(nginx.port, "/", a.KR).status == 200


def test_a_country_limits_denial_holds_after_a_redirect_too(serve):
    """Though the limits themselves are evaluated once."""
    nginx = serve("weir_limit_zone $uri zone=other:1m rate=1r/s;" + ZONE
                  + "weir_country_limits zone=one { KP deny; }",
                  "location / { weir_limit zone=other; try_files /none /in/x; }"
                  "location /in/ { weir_limit zone=one;"
                  " alias @dir@/html/; try_files index.html =404; }")
    assert get(nginx.port, "/a", a.KP).status == 403
    assert get(nginx.port, "/b", a.KR).status != 403


@pytest.mark.parametrize("deny", ["weir_geo_deny KP;", "weir_limit zone=one;"])
def test_denials_are_for_main_requests(serve, deny):
    nginx = serve(ZONE + "weir_country_limits zone=one { KP deny; }",
                  "location / { auth_request /auth; }"
                  f"location /auth {{ {deny} alias @dir@/html/index.html; }}")
    assert get(nginx.port, "/", a.KP).status == 200


@pytest.mark.parametrize("level", ["http", "server", "location"])
def test_realip_is_honoured_at_every_level(start_nginx, country_db, level):
    realip = "set_real_ip_from 127.0.0.1; real_ip_header X-Forwarded-For;"
    at = {name: realip if name == level else ""
          for name in ("http", "server", "location")}
    nginx = start_nginx(
        DB + ZONE + "weir_country_limits zone=one { KR rate=1r/h burst=2;"
        " KP deny; }" + at["http"],
        at["server"] + f"location / {{ {at['location']}"
        " weir_limit zone=one burst=4 nodelay; }",
        realip="", words={"db": country_db})
    assert passed(nginx, a.KR) == 3
    assert passed(nginx, "168.126.64.1") == 3
    assert passed(nginx, a.DE) == 5
    assert get(nginx.port, "/", a.KP).status == 403
    get(nginx.port, "/?id=x", a.JP)
    assert nginx.access("x")["weir_country"] == "JP"


def test_a_location_that_changes_the_address_changes_the_country(start_nginx,
                                                                 country_db):
    """Also where the country has been asked for before."""
    nginx = start_nginx(
        DB + "weir_geo_allow private; add_header X-Early $early always;",
        "set $early $weir_country; location / {"
        " set_real_ip_from 127.0.0.1; real_ip_header X-Forwarded-For; }",
        realip="", words={"db": country_db})
    answer = get(nginx.port, "/?id=x", a.KR)
    assert answer.status == 403
    assert answer.header("X-Early") == "ZZ"
    assert nginx.access("x")["weir_country"] == "KR"


def test_an_address_by_the_proxy_protocol_counts(start_nginx, country_db):
    nginx = start_nginx(
        DB + "weir_geo_deny KP;", "location / { }", listen="proxy_protocol",
        realip="set_real_ip_from 127.0.0.1; real_ip_header proxy_protocol;",
        words={"db": country_db})
    for address, status in ((a.KR, "200"), (a.KP, "403")):
        answer = raw(nginx.port, f"PROXY TCP4 {address} 127.0.0.1 1 80\r\n"
                     "GET / HTTP/1.0\r\n\r\n".encode()).decode()
        assert answer.split(" ")[1] == status


def test_without_realip_the_header_means_nothing(start_nginx, country_db):
    nginx = start_nginx(DB + "weir_geo_deny KP;", "location / { }", realip="",
                        words={"db": country_db})
    get(nginx.port, "/?id=x", a.KP)
    assert nginx.access("x")["status"] == "200"
    assert nginx.access("x")["weir_country"] == "ZZ"
