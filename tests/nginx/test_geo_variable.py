"""weir_geo_variable: any field of any database as a variable.

The fixture fields.mmdb has one of every type for 81.169.145.0/24, and a city
for two more networks; it knows no countries, so that weir_geo_db is another
file. Texts are read in bodies, where not a byte of them is lost.
"""

import mmap
import re
import shutil

import pytest

import addresses as a
import upstreams
from client import Connection, encode, get, read_response
from databases import built, replace
from server import wait_for

HERE = "81.169.145.9"  # where the fixture has a record with every type
BERLIN6 = "2a01:238::9"
DB = "weir_geo_db @fixtures@/maxmind.mmdb @parameters@;"
CITY = "weir_geo_variable $city city.names.en db=@fields@ default=nowhere;"
SAY = "add_header X-City $city always;"
SOURCE = "weir_geo_source $http_x_client;"


def variable(name, path, more=""):
    return f"weir_geo_variable ${name} {path} db=@fields@ {more};"


@pytest.fixture
def serve(make_nginx, fixture_dir):
    """The database of fields is a file of its own."""
    def start(http, inside="location / { }", db=DB, parameters="", **words):
        nginx = make_nginx()
        nginx.words = {"fixtures": fixture_dir, "fields": nginx.dir / "fields.mmdb",
                       "parameters": parameters, **words}
        shutil.copy(fixture_dir / "fields.mmdb", nginx.dir)
        nginx.configure(db + http, inside)
        return nginx.start()
    return start


def city(nginx, address=None, path="/", headers=()):
    return get(nginx.port, path, address, headers).header("X-City")


# ---- Types ----

FIELDS = {
    "text": "a  b ", "empty": "", "long": "long " * 200,
    "uint16": "65535", "uint32": "4294967295", "uint64": "18446744073709551615",
    "most": "340282366920938463463374607431768211455", "zero": "0", "int32": "-42",
    "double": "37.751", "float": "0.5", "true": "1", "false": "0", "bytes": "000fff",
    "array.0": "zero", "array.2": "two", "array.3": "", "array.-1": "", "array.00x": "",
    "array": "", "city": "", "city.names": "", "city.names.de": "Berlin",
    "city.names.fr": "", "city.names.en.x": "", "location.latitude": "52.5",
    "subdivisions.0.iso_code": "BE", "subdivisions.1.iso_code": "XY",
    "subdivisions.2.iso_code": "", "nothing": "", "CITY.names.en": "",
    "metadata": "", "metadata.build_epoch": "1700000000",
    "metadata.database_type": "weir-test-fields", "metadata.languages.0": "en",
    "metadata.description.en": "weir's test fixture fields",
    "metadata.ip_version": "6", "metadata.record_size": "28",
    "metadata.binary_format_major_version": "2", "metadata.nothing": "",
}


def test_fields_of_every_type_are_text(serve):
    names = {path: f"f{n}" for n, path in enumerate(FIELDS)}
    nginx = serve(
        "".join(variable(name, path) for path, name in names.items()),
        "location / { return 200 '%s'; }" % "\n".join(
            f"{path}=[${name}]" for path, name in names.items()))
    lines = get(nginx.port, "/", HERE).text.splitlines()
    assert lines == [f"{path}=[{text}]" for path, text in FIELDS.items()]


def test_letters_of_all_alphabets_stay_as_they_are(serve):
    nginx = serve(variable("name", "city.names.ko"),
                  "location / { return 200 $name; }")
    assert get(nginx.port, "/", a.KR).text == "서울"


@pytest.mark.parametrize("parameter, text", [
    ("", ""), ("default=-", "-"), ("default=", ""), ("'default=not known'", "not known"),
    ("default=0", "0"), ("default=default=x", "default=x")])
def test_what_is_not_there_is_the_default(serve, parameter, text):
    """Wherever the way to it ends."""
    paths = ["nothing", "city", "city.names.en.x", "array.9", "empty",
             "metadata.nothing"]
    nginx = serve("".join(variable(f"f{n}", path, parameter)
                          for n, path in enumerate(paths)),
                  "location / { return 200 '$f0,$f1,$f2,$f3,$f4,$f5'; }")
    for address in (HERE, a.KR, a.US, None):
        assert get(nginx.port, "/", address).text == ",".join([text] * 6)


def test_what_is_there_needs_no_default(serve):
    nginx = serve(variable("zero", "zero", "default=9")
                  + variable("false", "false", "default=9"),
                  "location / { return 200 $zero$false; }")
    assert get(nginx.port, "/", HERE).text == "00"


# ---- Addresses ----

@pytest.mark.parametrize("address, name", [
    (HERE, "Berlin"), (a.mapped(HERE), "Berlin"), (BERLIN6, "Berlin"), (a.KR, "Seoul"),
    (a.US, "nowhere"), (a.JP6, "nowhere"), (None, "nowhere"), ("fd00::1", "nowhere")])
def test_fields_are_those_of_the_clients_address(serve, address, name):
    assert city(serve(CITY + SAY), address) == name


def test_private_addresses_have_what_the_file_says(serve):
    """To the country they are private whatever it says."""
    nginx = serve("weir_geo_variable $code country.iso_code default=none;"
                  "add_header X-Both $weir_country/$code;")
    for address, both in (("10.1.2.3", "ZZ/US"), ("192.168.1.1", "ZZ/none"),
                          ("fd00::1", "ZZ/US"), (HERE, "DE/DE"), (a.US, "XX/none")):
        assert get(nginx.port, "/", address).header("X-Both") == both


@pytest.mark.parametrize("level", ["http", "server", "location"])
def test_fields_follow_realip_at_every_level(make_nginx, fixture_dir, level):
    realip = "set_real_ip_from 127.0.0.1; real_ip_header X-Client;"
    at = {name: realip if name == level else ""
          for name in ("http", "server", "location")}
    nginx = make_nginx(
        CITY + SAY + at["http"], f"{at['server']} location / {{ {at['location']} }}",
        realip="", words={"fields": fixture_dir / "fields.mmdb"}).start()
    assert city(nginx, headers=[("X-Client", a.KR)]) == "Seoul"
    assert city(nginx, headers=[("X-Client", BERLIN6)]) == "Berlin"
    assert city(nginx) == "nowhere"


def test_fields_follow_the_source(serve):
    nginx = serve(CITY + SAY + SOURCE)
    for source, name in ((a.KR, "Seoul"), (BERLIN6, "Berlin"), ("x", "nowhere"),
                         (f"{a.KR}, {a.KR}", "nowhere"), ("10.0.0.1", "nowhere")):
        assert city(nginx, HERE, headers=[("X-Client", source)]) == name


def test_metadata_need_no_address(serve):
    nginx = serve(variable("built", "metadata.build_epoch", "default=-"),
                  SOURCE + "location / { return 200 $built; }")
    for source in (HERE, "10.0.0.1", "x", ""):
        assert get(nginx.port, "/", a.US, [("X-Client", source)]).text == "1700000000"


# ---- Databases ----

def test_without_db_it_is_the_country_database(serve):
    nginx = serve("weir_geo_variable $name country.names.en;",
                  "location / { return 200 $name; }")
    assert get(nginx.port, "/", HERE).text == "country DE"


def test_two_databases_answer_one_request(serve, fixture_dir):
    nginx = serve(
        CITY + "weir_geo_variable $asn asn db=@fixtures@/no-country.mmdb default=-;",
        "location / { return 200 '$weir_country $city $asn'; }")
    assert get(nginx.port, "/", HERE).text == "DE Berlin 64500"
    assert get(nginx.port, "/", a.KR).text == "KR Seoul 64501"
    assert get(nginx.port, "/", BERLIN6).text == "DE Berlin -"


@pytest.mark.parametrize("db, path", [("db=fields.mmdb", "a relative path"),
                                      ("db=@fields@", "a whole one")])
def test_a_database_needs_no_weir_geo_db(serve, db, path):
    nginx = serve(f"weir_geo_variable $city city.names.en {db};" + SAY, db="")
    assert city(nginx, HERE) == "Berlin", path


def test_a_missing_optional_database_has_no_fields(serve):
    nginx = serve("weir_geo_variable $name country.names.en default=none;"
                  "weir_geo_variable $built metadata.build_epoch default=never;",
                  "location / { return 200 '$name $built'; }",
                  db="weir_geo_db @dir@/none.mmdb optional;")
    assert get(nginx.port, "/", HERE).text == "none never"


LEAST = 2 * 16 * 1024 * 1024  # two slots of the least size


def shared(pid):
    """Sizes and what is touched of a process's large shared memory, in bytes."""
    with open(f"/proc/{pid}/smaps", encoding="utf-8") as maps:
        text = maps.read()
    found = re.findall(r"^\w+-\w+ rw-s .*?^Size: +(\d+) kB.*?^Rss: +(\d+) kB",
                       text, re.M | re.S)
    return [(1024 * int(size), 1024 * int(used)) for size, used in found
            if 1024 * int(size) >= LEAST]


def test_a_database_stands_in_memory_once_for_all_of_its_variables(serve):
    nginx = serve(CITY + variable("zero", "zero") + variable("double", "double"))
    for pid in nginx.workers():
        found = shared(pid)
        assert len(found) == 2  # weir_geo_db's, and this one
        for size, used in found:
            assert LEAST <= size <= LEAST + 8 * mmap.PAGESIZE
            assert used < size / 100


def test_without_updates_there_is_no_shared_memory(serve):
    nginx = serve(CITY + SAY, parameters="reload=off")
    assert [shared(pid) for pid in nginx.workers()] == [[], []]
    assert city(nginx, HERE) == "Berlin"


# ---- Uses ----

def test_control_characters_start_no_line(serve):
    with upstreams.http_upstream() as port:
        nginx = serve(
            variable("text", "text") +
            "log_format raw escape=none '$arg_id [$text]';",
            "access_log @dir@/raw.log raw; weir_geo_header X-Ours $text; location / {"
            " proxy_set_header X-Theirs $text; add_header X-Text \"[$text]\";"
            f" proxy_pass http://127.0.0.1:{port}; }}")
        answer = get(nginx.port, "/?id=x", HERE)
    assert answer.header("X-Text") == "[a  b ]"
    lines = answer.text.splitlines()
    assert "X-Ours: a  b " in lines and "X-Theirs: a  b " in lines
    wait_for(lambda: nginx.lines("raw.log"), "the log")
    assert nginx.lines("raw.log") == ["x [a  b ]"]


def test_long_texts_reach_headers_and_logs_whole(serve):
    with upstreams.http_upstream() as port:
        nginx = serve(variable("long", "long") + "log_format long '[$long]';",
                      "access_log @dir@/long.log long; weir_geo_header X-Long [$long];"
                      f" location / {{ proxy_pass http://127.0.0.1:{port}; }}")
        lines = get(nginx.port, "/", HERE).text.splitlines()
    text = f"[{'long ' * 200}]"
    assert f"X-Long: {text}" in lines
    wait_for(lambda: nginx.lines("long.log"), "the log")
    assert nginx.lines("long.log") == [text]


def test_a_map_can_go_by_it(serve):
    nginx = serve(CITY + "map $city $near { default far; Berlin near; }"
                  "add_header X-Near $near;")
    assert get(nginx.port, "/", HERE).header("X-Near") == "near"
    assert get(nginx.port, "/", a.KR).header("X-Near") == "far"


def test_upstreams_get_it_and_nobody_can_spoof_it(serve):
    with upstreams.http_upstream() as port:
        nginx = serve(
            CITY + variable("lat", "location.latitude"),
            "weir_geo_header X-City $city; weir_geo_header X-Lat $lat;"
            f" location / {{ proxy_pass http://127.0.0.1:{port}; }}")
        spoof = [("X-City", "Paris"), ("x_lat", "1"), ("X-LAT", "2")]

        def said(address):
            return {line for line in get(nginx.port, "/", address, spoof)
                    .text.splitlines() if re.match("x.(city|lat)", line, re.I)}

        assert said(HERE) == {"X-City: Berlin", "X-Lat: 52.5"}
        assert said(a.KR) == {"X-City: Seoul"}
        assert said(a.US) == {"X-City: nowhere"}


def test_booleans_are_conditions(serve):
    nginx = serve(variable("yes", "true") + variable("no", "false"),
                  "location /yes { if ($yes) { return 204; } return 404; }"
                  "location /no { if ($no) { return 204; } return 404; }")
    assert [get(nginx.port, path, HERE).status for path in ("/yes", "/no")] == [204, 404]
    assert [get(nginx.port, path, a.US).status for path in ("/yes", "/no")] == [404, 404]


@pytest.mark.parametrize("field, bypassed", [
    ("true", True), ("false", False), ("nothing", False), ("zero", False),
    ("text", True)])
def test_weir_bypass_takes_booleans(serve, field, bypassed):
    nginx = serve(variable("field", field)
                  + "weir_limit_zone $binary_remote_addr zone=one:1m rate=1r/d;",
                  "weir_bypass $field; location / { weir_limit zone=one; }")
    found = [get(nginx.port, "/", HERE).status for _ in range(3)]
    assert found == ([200] * 3 if bypassed else [200, 429, 429])
    assert [get(nginx.port, "/", a.KR).status for _ in range(2)] == [200, 429]


def test_a_zones_key_can_be_a_field(serve):
    nginx = serve(CITY + "weir_limit_zone $city zone=one:1m rate=1r/d;",
                  "location / { weir_limit zone=one nodelay; }")
    found = [get(nginx.port, "/", address).status
             for address in (HERE, "81.169.145.10", BERLIN6, a.KR, "168.126.63.2")]
    assert found == [200, 429, 429, 200, 429]


# ---- Redirects and subrequests ----

@pytest.mark.parametrize("way", ["try_files /none /b;", "error_page 404 = /b;",
                                 "error_page 404 = @b;", "rewrite ^ /b;"])
def test_fields_follow_a_redirect_to_another_source(serve, way):
    with upstreams.http_upstream() as port:
        inside = (f"{SAY} weir_geo_source $http_x_other;"
                  f" proxy_pass http://127.0.0.1:{port};")
        nginx = serve(CITY, f"location /a {{ {SOURCE} set $early $city; {way} }}"
                            f" location /b {{ {inside} }} location @b {{ {inside} }}")
        answer = get(nginx.port, "/a", a.US, [("X-Client", a.KR), ("X-Other", HERE)])
    assert answer.header("X-City") == "Berlin"


def test_subrequests_have_the_fields_of_their_locations_source(serve):
    seen = {}

    def reply(request):
        seen[request.path] = [line for line in request.lines if "X-City" in line]
        return 200, []

    with upstreams.http_upstream(reply) as port:
        nginx = serve(
            CITY, f"weir_geo_header X-City $city; {SAY} location / {{ {SOURCE}"
            f" auth_request /auth; proxy_pass http://127.0.0.1:{port}/page; }}"
            " location = /auth { internal; weir_geo_source $http_x_other;"
            f" proxy_pass http://127.0.0.1:{port}/auth; }}")
        answer = get(nginx.port, "/", a.US, [("X-Client", a.KR), ("X-Other", HERE)])
    assert answer.header("X-City") == "Seoul"
    assert seen == {"/auth": ["X-City: Berlin"], "/page": ["X-City: Seoul"]}


# ---- Once, and only if it is used ----

def test_a_field_is_looked_up_when_it_is_first_used_and_once(serve, fixture_dir):
    """Two requests wait for their upstream while the database is updated.
    Who had asked for the city sees the old one to the end; who asks later
    sees the new one."""
    asked, free = [], []

    def hold_back(request):
        asked.append(request)
        wait_for(lambda: free, "the update")
        return 200, []

    with upstreams.http_upstream(hold_back) as port:
        nginx = serve(
            CITY, f"{SAY} location /used {{ set $early $city;"
            " add_header X-Early $early; add_header X-City $city always;"
            f" proxy_pass http://127.0.0.1:{port}; }}"
            f" location /later {{ proxy_pass http://127.0.0.1:{port}; }}"
            " location /now { return 200 $city; }",
            parameters="reload=100ms")
        clients = {path: Connection(nginx.port) for path in ("/used", "/later")}
        for path, client in clients.items():
            client.send(encode(path, HERE))
        wait_for(lambda: len(asked) == 2, "requests at the upstream")

        data = (fixture_dir / "fields.mmdb").read_bytes()
        replace(nginx.dir / "fields.mmdb",
                built(data.replace(b"\x46Berlin", b"\x46Bremen"), 1_700_000_001))
        nginx.wait_errors(r"fields\.mmdb\" updated")
        assert get(nginx.port, "/now", HERE).text == "Bremen"
        free.append(True)
        answers = {path: read_response(client.stream)
                   for path, client in clients.items()}
        for client in clients.values():
            client.close()
    assert answers["/used"].header("X-Early") == "Berlin"
    assert answers["/used"].header("X-City") == "Berlin"
    assert answers["/later"].header("X-City") == "Bremen"
