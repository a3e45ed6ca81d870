"""weir_geo_source: the country goes by an address that a variable holds.

Here that is mostly the header X-Client, and clients come from elsewhere by way
of realip, so that a test tells which of the two addresses counted.
"""

import threading

import pytest

import addresses as a
import server
import upstreams
from client import Connection, get, statuses

DB = "weir_geo_db @db@;"
SOURCE = "weir_geo_source $http_x_client;"
SAY = "add_header X-Country $weir_country always;"
PROXY = "proxy_pass http://127.0.0.1:@upstream@;"
LEVELS = ["http", "server", "location"]


@pytest.fixture(scope="module")
def upstream():
    with upstreams.http_upstream() as port:
        yield port


@pytest.fixture
def serve(start_nginx, country_db, upstream):
    def start(inside, http="", **options):
        return start_nginx(DB + http, inside,
                           words={"db": country_db, "upstream": upstream},
                           **options)
    return start


def ask(nginx, source, path="/", address=None, where=None, name="X-Client"):
    return get(where or nginx.port, path, address, [(name, source)])


def country(nginx, source, path="/", **options):
    answer = ask(nginx, source, path, **options)
    assert answer.status == 200
    return answer.header("X-Country")


# ---- Levels ----

@pytest.mark.parametrize("level", LEVELS)
def test_every_level_can_have_a_source(serve, level):
    at = {name: SOURCE if name == level else "" for name in LEVELS}
    nginx = serve(f"{at['server']} location / {{ {at['location']} {SAY} }}",
                  at["http"])
    assert country(nginx, a.KR, address=a.DE) == "KR"


@pytest.mark.parametrize("outer", ["http", "server"])
def test_a_levels_own_source_replaces_the_inherited_one(serve, outer):
    other = "weir_geo_source $http_x_other;"
    at = {name: other if name == outer else "" for name in LEVELS}
    nginx = serve(f"{at['server']} {SAY} location / {{ {SOURCE} }}"
                  " location /plain { alias @dir@/html/index.html; }", at["http"])
    headers = [("X-Client", a.KR), ("X-Other", a.FR)]
    assert get(nginx.port, "/", a.DE, headers).header("X-Country") == "KR"
    assert get(nginx.port, "/plain", a.DE, headers).header("X-Country") == "FR"


def test_a_location_can_go_by_the_connections_address_again(serve):
    nginx = serve(f"{SOURCE} {SAY} location / {{ weir_geo_source $remote_addr; }}")
    assert country(nginx, a.KR, address=a.DE) == "DE"
    assert country(nginx, a.KR, address=a.DE6) == "DE"
    assert country(nginx, a.KR) == "ZZ"


def test_other_servers_go_by_the_connections_address(start_nginx, country_db):
    nginx = start_nginx(
        f"{DB} {SAY} server {{ listen 127.0.0.1:@port@; root @dir@/html; {SOURCE} }}"
        " server { listen 127.0.0.1:@port2@; root @dir@/html; }",
        words={"db": country_db})
    assert country(nginx, a.KR, address=a.DE) == "KR"
    assert country(nginx, a.KR, address=a.DE, where=nginx.port_of("port2")) == "DE"


# ---- Texts ----

@pytest.fixture(scope="module")
def texts(country_db, upstream):
    """Asks one nginx for the country of any text."""
    nginx = server.Nginx(DB, f"{SOURCE} {SAY} location / {{ }}",
                         words={"db": country_db}).start()
    try:
        yield lambda text: country(nginx, text, address=a.DE)
        assert not nginx.complaints()
    finally:
        nginx.stop()
        nginx.remove()


@pytest.mark.parametrize("text, code", [
    (a.KR, "KR"), (a.KR6, "KR"), ("2001:0220:0:0:0:0:0:0001", "KR"),
    ("2001:220::168.126.63.1", "KR"), (a.JP6.upper(), "JP"),
    (a.mapped(a.KR), "KR"), (a.mapped(a.KR).upper(), "KR"),
    ("::ffff:a87e:3f01", "KR"), (a.UNKNOWN, "XX")])
def test_one_address_in_any_notation_is_taken(texts, text, code):
    assert texts(text) == code


@pytest.mark.parametrize("text", [*a.PRIVATE, "0.0.0.0", "255.255.255.255"])
def test_private_and_reserved_addresses_are_zz(texts, text):
    assert texts(text) == "ZZ"


@pytest.mark.parametrize("text", [
    "", "-", "unknown", "KR", "kt.example", "unix:", "%", "\t", "..", "...", "::::",
    f"{a.KR}, {a.KR}", f"{a.KR},", f", {a.KR}", f"{a.KR} {a.KR}", f"for={a.KR}",
    f"{a.KR}:80", f"[{a.KR6}]", f"[{a.KR6}]:80", f"{a.KR6}%eth0", f'"{a.KR}"',
    f"{a.KR}/32", f"{a.KR6}/128", "168.126.63", "168.126.63.", ".168.126.63.1",
    "168.126..1", "168.126.63.256", "168.126.63.1.1", "168.126.63.+1",
    "168.126.063.1", "0168.0126.063.01", "0xa8.0x7e.0x3f.1", "2826845953",
    "0xa87e3f01", "2001:220", "2001:220:::1", "2001:220::1::", "2001:220::g",
    "2001:220::00001", "2001:220:0:0:0:0:0:0:1", ":220::1", f"::ffff:{a.KR}.1",
    a.KR * 300, "1" * 5000, ":" * 5000, "\xff\xfe"])
def test_what_is_no_single_address_is_xx(texts, text):
    """Never the country of a part of it, nor the client's own."""
    assert texts(text) == "XX"


def test_without_the_variable_the_country_is_xx(serve):
    nginx = serve(f"{SOURCE} {SAY} location / {{ }}"
                  " location = /cookie { weir_geo_source $cookie_from;"
                  " alias @dir@/html/index.html; }")
    for path in ("/", "/cookie"):
        answer = get(nginx.port, path, a.DE)
        assert (answer.status, answer.header("X-Country")) == (200, "XX")


def test_binary_text_is_no_address(serve):
    """The four bytes are 168.126.63.1's, and none of them is its text."""
    nginx = serve(f"weir_geo_source $binary_remote_addr; {SAY} location / {{ }}")
    assert country(nginx, "", address=a.KR) == "XX"


def test_no_text_hides_behind_a_nul(serve):
    """In bytes, that address is "8.8.8.8" and nine more."""
    nginx = serve(f"weir_geo_source $binary_remote_addr; {SAY} location / {{ }}")
    assert country(nginx, "", address="382e:382e:382e:3800::1") == "XX"


def test_a_source_that_asks_for_the_country_itself_is_xx(serve):
    nginx = serve(f"weir_geo_source $weir_country; {SAY} location / {{ }}")
    assert country(nginx, "", address=a.DE) == "XX"
    assert nginx.errors('cycle while evaluating variable "weir_country"')


# ---- What goes by it ----

def test_lists_go_by_it(serve):
    nginx = serve(f"{SOURCE} weir_geo_deny KP; location / {{ }}")
    assert ask(nginx, a.KP, address=a.KR).status == 403
    assert ask(nginx, a.KR, address=a.KP).status == 200
    assert nginx.errors(f"geo denied, country: KP, client: {a.KR}")


def test_what_is_no_address_is_filtered_as_unknown(serve):
    nginx = serve(f"{SOURCE} location / {{ weir_geo_deny XX; }}"
                  " location /allowed { weir_geo_allow KR;"
                  " alias @dir@/html/index.html; }")
    for path in ("/", "/allowed"):
        assert ask(nginx, a.KR, path, address=a.DE).status == 200
        assert ask(nginx, "no address", path, address=a.KR).status == 403
        assert ask(nginx, "10.0.0.1", path, address=a.DE).status == 200
        assert get(nginx.port, path, "10.0.0.1").status == 403


def test_headers_to_the_upstream_go_by_it(serve):
    nginx = serve(f"{SOURCE} weir_geo_headers on;"
                  f" weir_geo_header X-Where $weir_continent; location / {{ {PROXY} }}")
    for source, code, continent in ((a.KR, "KR", "AS"), (a.DE6, "DE", "EU"),
                                    ("10.0.0.1", "ZZ", "ZZ"), ("x", "XX", "XX")):
        lines = ask(nginx, source, address=a.US).text.splitlines()
        assert f"X-Geo-Country: {code}" in lines
        assert f"X-Geo-Continent: {continent}" in lines
        assert f"X-Where: {continent}" in lines


def test_budgets_by_country_go_by_it_and_keys_do_not(serve):
    """The client stays the connection's: two of them have a budget each."""
    nginx = serve(
        f"{SOURCE} location / {{ weir_limit zone=one nodelay; }}",
        "weir_limit_zone $binary_remote_addr zone=one:1m rate=1r/h;"
        "weir_country_limits zone=one { KR rate=1r/h burst=3;"
        " XX rate=1r/h burst=1; KP deny; }")

    def passed(source, address):
        codes = statuses(nginx.port, 6, "/", address, [("X-Client", source)])
        return codes.count(200)

    assert passed(a.KR, "198.51.100.1") == 4
    assert passed(a.KR, "198.51.100.2") == 4
    assert passed("x", "198.51.100.3") == 2
    assert passed(a.DE, a.KR) == 1
    assert ask(nginx, a.KP, address=a.JP).status == 403


def test_variables_and_keys_made_of_them_go_by_it(serve):
    nginx = serve(
        f"{SOURCE} {SAY} add_header X-Tongue $tongue always;"
        " location / { weir_limit zone=one burst=1 nodelay; }",
        "map $weir_country $tongue { default en; KR ko; }"
        "weir_limit_zone $weir_country zone=one:1m rate=1r/d;")
    answer = ask(nginx, a.KR, "/?id=x", address=a.DE)
    assert answer.header("X-Tongue") == "ko"
    words = nginx.access("x")
    assert (words["weir_country"], words["weir_continent"]) == ("KR", "AS")
    assert ask(nginx, a.KR, address=a.US).status == 200
    assert ask(nginx, a.KR, address=a.FR).status == 429
    assert ask(nginx, a.DE, address=a.FR).status == 200


# ---- Redirects and subrequests ----

@pytest.mark.parametrize("way", ["try_files /none /b;", "error_page 404 = /b;",
                                 "rewrite ^ /b;", "error_page 404 = @b;"])
def test_a_location_reached_by_a_redirect_has_its_own_source(serve, way):
    inside = (f"weir_geo_source $http_x_other; weir_geo_deny KP;"
              f" weir_geo_headers on; {SAY} {PROXY}")
    nginx = serve(f"location /a {{ {SOURCE} weir_geo_deny KP; {way} }}"
                  f" location /b {{ {inside} }} location @b {{ {inside} }}")

    def both(first, second, path="/a"):
        return get(nginx.port, path, a.US, [("X-Client", first), ("X-Other", second)])

    answer = both(a.KR, a.DE)
    assert (answer.status, answer.header("X-Country")) == (200, "DE")
    assert answer.text.splitlines().count("X-Geo-Country: DE") == 1
    assert both(a.KR, a.KP).status == 403
    rewritten = way.startswith("rewrite")  # before the first location's lists
    assert both(a.KP, a.KR).status == (200 if rewritten else 403)


def test_the_country_follows_a_source_that_changes_on_the_way(serve):
    nginx = serve(
        "set $from $http_x_client; weir_geo_source $from; set $early $weir_country;"
        f"{SAY} add_header X-Early $early; location / {{ set $from $http_x_other; }}")
    answer = get(nginx.port, "/?id=x", a.US,
                 [("X-Client", a.KR), ("X-Other", a.DE)])
    assert (answer.header("X-Early"), answer.header("X-Country")) == ("KR", "DE")
    assert nginx.access("x")["weir_country"] == "DE"


def test_subrequests_have_the_source_of_their_location(start_nginx, country_db):
    seen, lock = {}, threading.Lock()

    def reply(request):
        with lock:
            seen[request.path] = [line.partition(": ")[2] for line in request.lines
                                  if line.startswith("X-Geo-Country: ")]
        return 200, []

    with upstreams.http_upstream(reply) as port:
        nginx = start_nginx(
            DB + "weir_geo_headers on;",
            f"location / {{ {SOURCE} auth_request /auth;"
            f" proxy_pass http://127.0.0.1:{port}/page; }}"
            " location = /auth { weir_geo_source $http_x_other; internal;"
            f" proxy_pass http://127.0.0.1:{port}/auth; }}",
            words={"db": country_db})
        headers = [("X-Client", a.KR), ("X-Other", a.DE)]
        assert get(nginx.port, "/", a.US, headers).status == 200
    assert seen == {"/auth": ["DE"], "/page": ["KR"]}


def test_requests_of_one_connection_have_each_their_source(serve):
    nginx = serve(f"{SOURCE} {SAY} location / {{ }}")
    with Connection(nginx.port) as client:
        found = [client.request("/", a.US, [("X-Client", source)]).header("X-Country")
                 for source in (a.KR, a.DE, "x", "10.0.0.1", a.KR)]
    assert found == ["KR", "DE", "XX", "ZZ", "KR"]


# ---- Beside realip ----

def test_x_forwarded_for_means_nothing_without_realip(serve):
    nginx = serve(f"{SAY} location / {{ }}", realip="")
    assert get(nginx.port, "/", a.KR).header("X-Country") == "ZZ"


def test_a_source_goes_before_what_realip_finds(serve):
    nginx = serve(f"{SAY} location / {{ {SOURCE} }}"
                  " location /realip { alias @dir@/html/index.html; }"
                  " location /peer { weir_geo_source $realip_remote_addr;"
                  " alias @dir@/html/index.html; }")
    assert country(nginx, a.KR, address=a.DE) == "KR"
    assert country(nginx, a.KR, "/realip", address=a.DE) == "DE"
    assert country(nginx, a.KR, "/peer", address=a.DE) == "ZZ"


def test_of_a_list_realip_takes_one_and_a_source_takes_none(serve):
    nginx = serve(
        f"{SAY} location / {{ }} location /raw {{"
        " weir_geo_source $http_x_forwarded_for; alias @dir@/html/index.html; }"
        " location /added { weir_geo_source $proxy_add_x_forwarded_for;"
        " alias @dir@/html/index.html; }",
        realip="set_real_ip_from 127.0.0.1; real_ip_header X-Forwarded-For;"
        " real_ip_recursive on;")
    chain = f"{a.FR}, {a.KR}, 127.0.0.1"
    assert [get(nginx.port, path, chain).header("X-Country")
            for path in ("/", "/raw", "/added")] == ["KR", "XX", "XX"]
    assert get(nginx.port, "/raw", a.FR).header("X-Country") == "FR"


def test_realip_at_a_locations_level_comes_before_the_source(serve):
    nginx = serve("location / { set_real_ip_from 127.0.0.1;"
                  f" real_ip_header X-Real-IP; weir_geo_source $remote_addr; {SAY} }}",
                  realip="")
    assert country(nginx, a.KR, name="X-Real-IP") == "KR"
    assert country(nginx, a.DE6, name="X-Real-IP") == "DE"


# ---- Unix sockets ----

UNIX = "server {{ listen unix:@dir@/socket; root @dir@/html; {} {} location / {{ }} }}"


@pytest.fixture
def serve_unix(start_nginx, country_db):
    def start(inside):
        nginx = start_nginx(DB + UNIX.format(SAY, inside), realip="",
                            words={"db": country_db})
        return nginx, nginx.dir / "socket"
    return start


def test_a_client_of_a_unix_socket_is_xx(serve_unix):
    nginx, socket = serve_unix("")
    assert country(nginx, a.KR, where=socket, address=a.KR) == "XX"
    assert ask(nginx, a.KR, "/?id=x", where=socket).status == 200
    assert nginx.access("x")["weir_continent"] == "XX"


def test_a_client_of_a_unix_socket_is_filtered_as_unknown(serve_unix):
    nginx, socket = serve_unix("weir_geo_deny XX;")
    assert ask(nginx, a.KR, where=socket).status == 403


@pytest.mark.parametrize("inside", [
    SOURCE, "set_real_ip_from unix:; real_ip_header X-Client;"],
    ids=["weir_geo_source", "realip"])
def test_a_unix_sockets_clients_can_have_addresses(serve_unix, inside):
    nginx, socket = serve_unix(inside)
    assert country(nginx, a.KR, where=socket) == "KR"
    assert country(nginx, a.DE6, where=socket) == "DE"
    assert country(nginx, "10.0.0.1", where=socket) == "ZZ"
    assert country(nginx, "x", where=socket) == "XX"
