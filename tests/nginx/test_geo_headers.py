"""Geo headers reach upstreams, and nobody can spoof them.

Every upstream here answers with the head of the request that nginx sent it
(see upstreams.py), so that a test reads in the response what arrived. A
backend is taken to fold names as CGI does: X-Geo-Country, x_geo_country and
X.GEO.COUNTRY are one header to it, and exactly one such may arrive.
"""

import re
import subprocess

import pytest

import addresses as a
import upstreams
from client import Connection, get, raw
from server import wait_for

SPELLINGS = ["X-Geo-Country", "x-geo-country", "X-GEO-COUNTRY", "x-GEO-coUNTry",
             "x_geo_country", "X_Geo-Country", "X-Geo_COUNTRY", "X.Geo.Country",
             "X!Geo!Country", "x~geo|country", "X+Geo`Country", "X'Geo*Country"]

LAX = "underscores_in_headers on; ignore_invalid_headers off;"

PROXY = "proxy_pass http://127.0.0.1:@upstream@;"


@pytest.fixture(scope="module")
def upstream():
    def reply(request):
        if request.path == "/accel":
            return 200, [("X-Accel-Redirect", "/protected")]
        return 200, []

    with upstreams.http_upstream(reply) as port:
        yield port


@pytest.fixture
def serve(start_nginx, country_db, upstream):
    def start(server, http="weir_geo_headers on;", **options):
        return start_nginx("weir_geo_db @db@;" + http, server,
                           words={"db": country_db, "upstream": upstream},
                           **options)
    return start


def fold(name):
    """The name as a CGI-like backend sees it."""
    return re.sub("[^a-z0-9]", "_", name.lower())


def received(text, name):
    """All values of a header, in any spelling, in an upstream's record."""
    pairs = (line.partition(":") for line in text.splitlines())
    return [value.strip() for key, _, value in pairs
            if fold(key).removeprefix("http_") == fold(name)]


def countries(text):
    return received(text, "X-Geo-Country")


def continents(text):
    return received(text, "X-Geo-Continent")


@pytest.mark.parametrize("address, country, continent", [
    (a.KR, "KR", "AS"), (a.DE6, "DE", "EU"), (a.mapped(a.JP), "JP", "AS"),
    (a.UNKNOWN, "XX", "XX"), ("10.0.0.1", "ZZ", "ZZ"), (None, "ZZ", "ZZ")])
@pytest.mark.parametrize("spoof", [(), (("X-Geo-Country", "CN"),
                                        ("x-geo-continent", "NA"))])
def test_upstreams_get_country_and_continent(serve, address, country, continent,
                                             spoof):
    nginx = serve(f"location / {{ {PROXY} }}")
    text = get(nginx.port, "/", address, spoof).text
    assert countries(text) == [country]
    assert continents(text) == [continent]
    assert f"X-Geo-Country: {country}" in text.splitlines()


def test_without_the_optional_database_the_country_is_xx(start_nginx, upstream):
    nginx = start_nginx("weir_geo_db @dir@/none.mmdb optional;"
                        " weir_geo_headers on;", f"location / {{ {PROXY} }}",
                        words={"upstream": upstream})
    text = get(nginx.port, "/", a.KR, [("X-Geo-Country", "CN")]).text
    assert countries(text) == ["XX"]


@pytest.mark.parametrize("spelling", SPELLINGS)
@pytest.mark.parametrize("address", [a.KR, a.UNKNOWN])
def test_no_spelling_of_the_header_can_be_spoofed(serve, spelling, address):
    nginx = serve(f"location / {{ {PROXY} }}", LAX + "weir_geo_headers on;")
    spoof = [(spelling, "CN"), (spelling, "JP"), ("X-Other", "stays")]
    text = get(nginx.port, "/", address, spoof).text
    assert countries(text) == ["KR" if address == a.KR else "XX"]
    assert "X-Other: stays" in text.splitlines()
    assert "CN" not in text and "JP" not in text


def test_no_spelling_of_the_continent_can_be_spoofed(serve):
    nginx = serve(f"location / {{ {PROXY} }}", LAX + "weir_geo_headers on;")
    spoof = [(spelling.lower().replace("country", "continent"), "NA")
             for spelling in SPELLINGS]
    assert continents(get(nginx.port, "/", a.KR, spoof).text) == ["AS"]


def test_headers_that_only_look_alike_stay(serve):
    nginx = serve(f"location / {{ {PROXY} }}", LAX + "weir_geo_headers on;")
    others = [("X-Geo-Country2", "a"), ("XX-Geo-Country", "b"),
              ("XGeoCountry", "c"), ("X-Geo--Country", "d"), ("Geo-Country", "e"),
              ("X-Geo", "f"), ("X-Geo-Countr", "g"), ("X-Geo-Country-", "h")]
    lines = get(nginx.port, "/", a.KR, others).text.splitlines()
    assert [line for line in lines if line.endswith(tuple("abcdefgh"))
            and ": " in line and len(line.partition(": ")[2]) == 1] == \
        [f"{name}: {value}" for name, value in others]


@pytest.mark.parametrize("before", [0, 1, 15, 16, 17, 18, 19, 20, 21, 36, 38, 40, 60])
@pytest.mark.parametrize("spoofs", [1, 2, 25])
def test_the_rest_of_the_request_stays_as_it_was(serve, before, spoofs):
    """nginx keeps request headers in parts of 20: whatever the position."""
    nginx = serve(f"location / {{ {PROXY} }}")
    head = [(f"X-Head-{i}", str(i)) for i in range(before)]
    tail = [(f"X-Tail-{i}", str(i)) for i in range(25)]
    spoof = [("X-Geo-Country", "CN")] * spoofs
    text = get(nginx.port, "/", a.KR, head + spoof + tail).text
    assert countries(text) == ["KR"]
    kept = [line for line in text.splitlines()
            if line.startswith(("X-Head", "X-Tail"))]
    assert kept == [f"{name}: {value}" for name, value in head + tail]
    assert received(text, "X-Forwarded-For") == [a.KR]


def test_known_headers_of_nginx_survive(serve):
    """nginx keeps pointers to headers that it knows."""
    nginx = serve(f"location / {{ {PROXY} proxy_set_header Authorization"
                  " \"$http_authorization;$http_user_agent;$http_cookie\"; }")
    for before in range(0, 42, 3):
        headers = [("X-Geo-Country", "CN")] * before + [
            ("Authorization", "Basic eDp5"), ("User-Agent", "agent/1"),
            ("Cookie", "a=b"), ("X-Geo-Country", "JP")]
        text = get(nginx.port, "/", a.KR, headers).text
        assert received(text, "Authorization") == ["Basic eDp5;agent/1;a=b"]
        assert received(text, "Cookie") == ["a=b"]
        assert countries(text) == ["KR"]


@pytest.mark.parametrize("connection, left", [
    ("X-Geo-Country", []),
    ("x-geo-country, close", ["close"]),
    ("close, X-GEO-COUNTRY", ["close"]),
    ("close,x_geo_country ,foo", ["close", "foo"]),
    ("X-Geo-Country,X-Geo-Country", []),
    ("foo, X-Geo-Continent,\tX-Geo-Country , bar", ["foo", "bar"]),
    ("foo, X-Geo-Country2, bar", ["foo", "X-Geo-Country2", "bar"]),
    ("close", ["close"]),
])
def test_a_connection_header_cannot_name_the_header(serve, connection, left):
    """A backend drops hop-by-hop headers that Connection names. Where nginx
    hands the client's Connection on, our names are not in it."""
    nginx = serve(f"location / {{ {PROXY} proxy_http_version 1.1;"
                  " proxy_set_header Connection $http_connection; }")
    with Connection(nginx.port) as client:
        text = client.request("/", a.KR, [("Connection", connection)]).text
    words = [word.strip() for value in received(text, "Connection")
             for word in value.split(",") if word.strip()]
    assert words == left
    assert countries(text) == ["KR"]


PASSES = {"fastcgi": "fastcgi_pass 127.0.0.1:@backend@;"
                     " fastcgi_param REQUEST_URI $request_uri;",
          "uwsgi": "uwsgi_pass 127.0.0.1:@backend@;"
                   " uwsgi_param REQUEST_URI $request_uri;",
          "scgi": "scgi_pass 127.0.0.1:@backend@;"
                  " scgi_param REQUEST_URI $request_uri;",
          "grpc": "grpc_pass 127.0.0.1:@backend@;"}


@pytest.mark.parametrize("protocol", PASSES)
def test_backends_of_other_protocols_get_one_country(start_nginx, country_db,
                                                     protocol):
    serving = getattr(upstreams, f"{protocol}_upstream")
    with serving() as port:
        nginx = start_nginx(
            f"weir_geo_db @db@; weir_geo_headers on; {LAX}",
            f"location / {{ {PASSES[protocol]} }}",
            words={"db": country_db, "backend": port})
        for address, country in ((a.KR, "KR"), (a.UNKNOWN, "XX")):
            for spelling in SPELLINGS:
                text = get(nginx.port, "/", address, [(spelling, "CN")]).text
                assert countries(text) == [country]
                name = "x-geo-country" if protocol == "grpc" else \
                    "HTTP_X_GEO_COUNTRY"
                assert f"{name}: {country}" in text.splitlines()
                assert "CN" not in text


def curl(*arguments):
    done = subprocess.run(
        ["curl", "-sS", "--noproxy", "*", "--max-time", "60", *arguments],
        capture_output=True, text=True, check=True)
    return done.stdout


@pytest.mark.parametrize("spelling", ["X-Geo-Country", "x_geo_country",
                                      "x.geo_country"])
def test_http_2_clients_cannot_spoof_either(serve, spelling):
    nginx = serve(f"location / {{ {PROXY} }}", LAX + "weir_geo_headers on;",
                  listen="http2")
    text = curl("--http2-prior-knowledge", "-H", f"X-Forwarded-For: {a.KR}",
                "-H", f"{spelling}: CN", "-H", "x-other: stays",
                f"http://127.0.0.1:{nginx.port}/")
    assert countries(text) == ["KR"]
    assert received(text, "x-other") == ["stays"]


@pytest.mark.parametrize("level", ["http", "server", "location"])
def test_realip_is_honoured_at_every_level(serve, level):
    realip = "set_real_ip_from 127.0.0.1; real_ip_header X-Forwarded-For;"
    at = {name: realip if name == level else ""
          for name in ("http", "server", "location")}
    nginx = serve(f"{at['server']} location / {{ {at['location']} {PROXY} }}",
                  at["http"] + "weir_geo_headers on;", realip="")
    for address, country in ((a.KR, "KR"), (a.DE6, "DE"), (a.UNKNOWN, "XX")):
        text = get(nginx.port, "/", address, [("X-Geo-Country", "CN")]).text
        assert countries(text) == [country]


@pytest.mark.parametrize("level", ["http", "server", "location"])
def test_headers_can_be_switched_on_at_every_level(serve, level):
    at = {name: "weir_geo_headers on;" if name == level else ""
          for name in ("http", "server", "location")}
    nginx = serve(f"{at['server']} location / {{ {at['location']} {PROXY} }}",
                  at["http"])
    text = get(nginx.port, "/", a.KR, [("X-Geo-Country", "CN")]).text
    assert countries(text) == ["KR"]


def test_a_location_without_headers_gets_none_from_clients(serve):
    """If any location of a server sets them, clients can set them nowhere."""
    nginx = serve(f"location / {{ {PROXY} }}"
                  f"location /on {{ weir_geo_headers on; {PROXY} }}", "")
    spoof = [("X-Geo-Country", "CN"), ("x-geo-continent", "NA")]
    text = get(nginx.port, "/", a.KR, spoof).text
    assert countries(text) == [] and continents(text) == []
    assert countries(get(nginx.port, "/on", a.KR, spoof).text) == ["KR"]


def test_headers_can_be_switched_off_further_in(serve):
    nginx = serve(f"location / {{ weir_geo_headers off; {PROXY} }}")
    text = get(nginx.port, "/", a.KR, [("X-Geo-Country", "CN")]).text
    assert countries(text) == []


def test_a_server_that_sets_no_headers_leaves_them_alone(serve):
    nginx = serve(f"location / {{ {PROXY} }}",
                  "server { listen 127.0.0.1:@port2@; weir_geo_headers on;"
                  f" location / {{ {PROXY} }} }}")
    spoof = [("X-Geo-Country", "CN")]
    assert countries(get(nginx.port, "/", a.KR, spoof).text) == ["CN"]
    port2 = nginx.port_of("port2")
    assert countries(get(port2, "/", a.KR, spoof).text) == ["KR"]


WAYS = {
    "error_page": ("error_page 404 = /back; location /back { %s }", "/none"),
    "a named location": ("error_page 404 = @back; location @back { %s }", "/none"),
    "try_files": ("location /try { try_files /none @back; }"
                  " location @back { %s }", "/try"),
    "a rewrite": ("location /old { rewrite ^ /back last; }"
                  " location /back { %s }", "/old"),
    "X-Accel-Redirect": ("location /accel { %s }"
                         " location /protected { internal; %s }", "/accel"),
    "a subrequest": ("location /ssi { ssi on; ssi_types *;"
                     " alias @dir@/html/ssi; } location /part { %s }", "/ssi"),
    "the request behind auth_request":
        ("location /auth { auth_request /ask; %s } location /ask { %s }", "/auth"),
    "a second pass by error_page": (
        "proxy_intercept_errors on; recursive_error_pages on;"
        " location /first { proxy_pass http://127.0.0.1:@port9@; "
        " error_page 502 = @back; } location @back { %s }", "/first"),
}


@pytest.mark.parametrize("way", WAYS)
def test_upstreams_behind_redirects_get_one_country(serve, way):
    server, path = WAYS[way]
    nginx = serve(server.replace("%s", PROXY), LAX + "weir_geo_headers on;")
    nginx.write("ssi", '<!--#include virtual="/part" -->')
    for address, country in ((a.KR, "KR"), (a.UNKNOWN, "XX")):
        spoof = [("X-Geo-Country", "CN"), ("x_geo_country", "CN")]
        text = get(nginx.port, path, address, spoof).text
        assert countries(text) == [country]
        assert continents(text) == ["AS" if country == "KR" else "XX"]


def test_upstreams_of_auth_requests_and_mirrors_get_one_country(start_nginx,
                                                                country_db):
    seen = []

    def reply(request):
        seen.append(request)
        return 200, []

    with upstreams.http_upstream(reply) as port:
        nginx = start_nginx(
            "weir_geo_db @db@; weir_geo_headers on;",
            "location / { auth_request /ask; mirror /copy;"
            f" {PROXY} }} location /ask {{ {PROXY} }} location /copy {{ {PROXY} }}",
            words={"db": country_db, "upstream": port})
        get(nginx.port, "/", a.KR, [("X-Geo-Country", "CN")])
        wait_for(lambda: len(seen) == 3, "request, question and copy")
    assert {request.path for request in seen} == {"/", "/ask", "/copy"}
    for request in seen:
        assert countries("\n".join(request.lines)) == ["KR"]


def test_a_subrequest_does_not_add_to_its_parents_headers(serve):
    """Parts of a page are fetched by six subrequests before the page's own
    last one; a header added for one must not be sent twice by the next."""
    nginx = serve("location /ssi { ssi on; ssi_types *; alias @dir@/html/ssi; }"
                  f" location /part {{ {PROXY} }}")
    nginx.write("ssi", '<!--#include virtual="/part" -->\n' * 6)
    for others in (0, 16, 17, 18, 19, 40):
        headers = [(f"X-Head-{i}", str(i)) for i in range(others)]
        text = get(nginx.port, "/ssi", a.KR, headers).text
        assert countries(text) == ["KR"] * 6
        assert text.count("X-Head-") == 6 * others


def test_rewrite_directives_never_see_the_clients_copy(serve):
    nginx = serve(
        "set $seen \"[$http_x_geo_country]\";"
        " if ($http_x_geo_country = CN) { return 402; }"
        " location / { set $later \"[$http_x_geo_country]\";"
        " if ($http_x_geo_country = CN) { return 402; }"
        f" proxy_set_header X-Seen $seen; proxy_set_header X-Later $later; {PROXY} }}",
        LAX + "weir_geo_headers on;")
    for spelling in SPELLINGS[:5]:
        answer = get(nginx.port, "/", a.KR, [(spelling, "CN")])
        assert answer.status == 200
        assert received(answer.text, "X-Seen") == ["[]"]
        assert received(answer.text, "X-Later") == ["[]"]
        assert countries(answer.text) == ["KR"]


def test_other_headers_with_any_value(serve):
    nginx = serve("location / { weir_geo_header X-From \"$weir_country of"
                  f" $weir_continent\"; weir_geo_header X-Fixed yes; {PROXY} }}", LAX)
    spoof = [("x_from", "CN"), ("X-FIXED", "no"), ("X.From", "JP"),
             ("X-Geo-Country", "mine")]
    text = get(nginx.port, "/", a.KR, spoof).text
    assert received(text, "X-From") == ["KR of AS"]
    assert received(text, "X-Fixed") == ["yes"]
    assert countries(text) == ["mine"]  # not set here, so not weir's
    text = get(nginx.port, "/", a.UNKNOWN, spoof).text
    assert received(text, "X-From") == ["XX of XX"]


def test_other_headers_are_inherited_and_beside_the_geo_headers(serve):
    nginx = serve(f"location / {{ {PROXY} }}",
                  "weir_geo_headers on; weir_geo_header X-From $weir_country;")
    text = get(nginx.port, "/", a.KR, [("X-From", "CN")]).text
    assert received(text, "X-From") == ["KR"]
    assert countries(text) == ["KR"]


def test_one_header_of_a_name_whoever_sets_it(serve):
    nginx = serve(
        f"location / {{ {PROXY} weir_geo_header x_geo_country \"is $weir_country\"; }}"
        f"location /proxy {{ {PROXY} proxy_set_header X-Geo-Country own; }}")
    spoof = [("X-Geo-Country", "CN")]
    assert countries(get(nginx.port, "/", a.KR, spoof).text) == ["is KR"]
    assert countries(get(nginx.port, "/proxy", a.KR, spoof).text) == ["own"]


def test_a_locations_own_headers_replace_those_of_its_server(serve):
    nginx = serve(f"weir_geo_header X-Outer 1; location / {{ {PROXY} }}"
                  f"location /in {{ weir_geo_header X-Inner 2; {PROXY} }}")
    spoof = [("X-Outer", "spoof"), ("x-inner", "spoof")]
    for path, outer, inner in (("/", ["1"], []), ("/in", [], ["2"])):
        text = get(nginx.port, path, a.KR, spoof).text
        assert received(text, "X-Outer") == outer
        assert received(text, "X-Inner") == inner
        assert countries(text) == ["KR"]


def test_a_redirect_leaves_the_headers_of_its_first_location_behind(serve):
    nginx = serve(
        "location /first { weir_geo_header X-First 1; error_page 404 = @back; }"
        f"location @back {{ weir_geo_headers off; {PROXY} }}")
    text = get(nginx.port, "/first", a.KR, [("X-Geo-Country", "CN")]).text
    assert received(text, "X-First") == []
    assert countries(text) == []


def test_a_value_cannot_start_another_header(serve):
    """$uri is decoded: a client can put a line break in it."""
    nginx = serve(f"location / {{ weir_geo_header X-Path $uri; {PROXY} }}")
    text = get(nginx.port, "/a%0d%0aX-Geo-Country:%20CN%0ax", a.KR).text
    assert countries(text) == ["KR"]
    assert len(received(text, "X-Path")) == 1


@pytest.mark.parametrize("head", ["", "X-Geo-Country: CN\r\n",
                                  "X-Geo-Country: CN\r\nx-geo-continent: NA\r\n",
                                  "X-Geo-Country: CN\r\nX-Other: 1\r\n"])
def test_requests_with_no_headers_of_their_own(serve, head):
    nginx = serve(f"location / {{ {PROXY} }}")
    request = f"GET / HTTP/1.0\r\n{head}\r\n".encode()
    answer = raw(nginx.port, request, wait=True).decode()
    body = answer.partition("\r\n\r\n")[2]
    assert countries(body) == ["ZZ"] and continents(body) == ["ZZ"]
    assert received(body, "X-Other") == (["1"] if "Other" in head else [])


def test_static_answers_carry_no_geo_header(serve):
    nginx = serve("location / { }")
    answer = get(nginx.port, "/", a.KR, [("X-Geo-Country", "CN")])
    assert answer.status == 200
    assert answer.header("X-Geo-Country") is None


def test_a_denied_request_reaches_no_upstream(serve):
    nginx = serve(f"location / {{ weir_geo_deny KP; {PROXY} }}")
    answer = get(nginx.port, "/", a.KP)
    assert answer.status == 403
    assert countries(answer.text) == []


def test_requests_of_one_connection_do_not_mix(serve):
    nginx = serve(f"location / {{ {PROXY} }}")
    with Connection(nginx.port) as connection:
        for address, country in ((a.KR, "KR"), (a.DE, "DE"), (None, "ZZ"),
                                 (a.UNKNOWN, "XX"), (a.US, "US")):
            text = connection.request("/", address, [("X-Geo-Country", "CN")]).text
            assert countries(text) == [country]


# A request without Host is refused before any phase; error_page may still
# send it on, from the server's rewrite phase or, with a name, from a location's.
MALFORMED = (b"GET / HTTP/1.1\r\nX-Geo-Country: CN\r\nX-Forwarded-For: %s\r\n"
             b"Connection: X-Geo-Country, close\r\n\r\n" % a.KR.encode())


@pytest.mark.parametrize("page", ["/to", "@to"])
@pytest.mark.parametrize("geo_headers", ["on", "off"])
def test_a_malformed_request_that_is_redirected_spoofs_nothing(serve, page,
                                                               geo_headers):
    nginx = serve(
        "set $first $http_x_geo_country;"
        f"error_page 400 = {page}; location {page} {{"
        f" weir_geo_headers {geo_headers}; set $early $http_x_geo_country;"
        " proxy_set_header X-Early $first-$early;"
        f" proxy_set_header Connection $http_connection; {PROXY} }}"
        "location / { return 204; }")
    text = raw(nginx.port, MALFORMED, wait=True).decode()
    assert "CN" not in text
    assert countries(text) == (["KR"] if geo_headers == "on" else [])
    assert received(text, "Connection")[-1:] == ["close"]


@pytest.mark.parametrize("name", ["Host", "content_length", "X-Forwarded-For",
                                  "User-Agent", "Cookie", "Authorization"])
def test_headers_that_nginx_reads_itself_are_no_geo_headers(make_nginx, country_db,
                                                            name):
    nginx = make_nginx(f"weir_geo_db @db@; weir_geo_header {name} x;",
                       "location / { }", words={"db": country_db})
    code, said = nginx.check()
    assert code == 1 and f'"{name}"' in said and "expected" in said


def test_a_geo_header_may_refer_to_the_country_header(serve):
    nginx = serve("weir_geo_header X-Copy $http_x_geo_country;"
                  "weir_geo_header X-Real-IP $remote_addr;"
                  f"location / {{ {PROXY} }}")
    text = get(nginx.port, "/", a.KR, [("X-Geo-Country", "CN"),
                                       ("X-Real-IP", "192.0.2.1")]).text
    assert received(text, "X-Copy") == ["KR"]
    assert received(text, "X-Real-IP") == [a.KR]
