"""Country databases through nginx: every vendor's schema, and files that
change or break while they are served.

The small databases agree on two networks: 81.169.145.0/24 is DE and
168.126.63.0/24 is KR.
"""

import os
import re
import shutil
import time

import maxminddb
import pytest

import addresses as a
from client import get
from databases import built
from server import OLD_DATABASE, wait_for

VENDORS = ["maxmind", "db-ip", "ip-location-db", "ipinfo-lite",
           "ipinfo-country-asn", "record-24", "record-28", "record-32"]


@pytest.fixture
def with_database(make_nginx):
    """An nginx whose database is a copy of a file, in its own folder."""
    def make(source, parameters="", http="", server="location / { }"):
        nginx = make_nginx()
        shutil.copy(source, nginx.dir / "country.mmdb")
        nginx.configure(f"weir_geo_db @dir@/country.mmdb {parameters};{http}",
                        server)
        return nginx.start()
    return make


class Asker:
    """Asks a running nginx where addresses come from."""

    def __init__(self, nginx):
        self.nginx = nginx
        self.asked = 0

    def __call__(self, address):
        self.asked += 1
        identity = f"q{self.asked}"
        assert get(self.nginx.port, f"/?id={identity}", address).status == 200
        words = self.nginx.access(identity)
        return words["weir_country"], words["weir_continent"]


@pytest.mark.parametrize("name", VENDORS)
def test_every_vendors_schema_is_detected(with_database, fixture_dir, name):
    ask = Asker(with_database(fixture_dir / f"{name}.mmdb"))
    assert ask("81.169.145.9") == ("DE", "EU")
    assert ask(a.mapped("81.169.145.9")) == ("DE", "EU")
    assert ask("2a01:238::9") == ("DE", "EU")
    assert ask("168.126.63.1") == ("KR", "AS")
    assert ask("9.9.9.9") == ("XX", "XX")
    assert ask("10.0.0.1") == ("ZZ", "ZZ")


def test_a_database_of_ipv4_alone_knows_no_ipv6(with_database, fixture_dir):
    ask = Asker(with_database(fixture_dir / "ipv4-only.mmdb"))
    assert ask("81.169.145.9") == ("DE", "EU")
    assert ask(a.mapped("168.126.63.1")) == ("KR", "AS")
    assert ask("2a01:238::9") == ("XX", "XX")


def test_what_is_no_country_is_unknown(with_database, fixture_dir):
    ask = Asker(with_database(fixture_dir / "maxmind.mmdb"))
    assert ask("5.0.2.1")[0] == "GB"  # the file says UK
    assert ask("5.0.3.1")[0] == "XX"  # EU
    assert ask("5.0.4.1")[0] == "XX"  # A1
    assert ask("5.0.0.1")[0] == "FR"  # only a registered country


def test_an_explicit_path_finds_the_country(with_database, fixture_dir):
    ask = Asker(with_database(fixture_dir / "custom.mmdb",
                              "country=where.land.code"))
    assert ask("81.169.145.9") == ("DE", "EU")
    assert ask("168.126.63.1") == ("KR", "AS")


def test_an_explicit_path_wins_over_the_detected_one(with_database, fixture_dir):
    ask = Asker(with_database(fixture_dir / "maxmind.mmdb",
                              "country=registered_country.iso_code"))
    assert ask("81.169.145.9")[0] == "US"


def test_a_reload_picks_up_a_replaced_file(with_database, fixture_dir):
    nginx = with_database(fixture_dir / "ip-location-db.mmdb")
    ask = Asker(nginx)
    assert ask("5.0.6.1")[0] == "XX"
    shutil.copy(fixture_dir / "ipinfo-lite.mmdb", nginx.dir / "new")
    os.replace(nginx.dir / "new", nginx.dir / "country.mmdb")
    nginx.reload()
    assert ask("5.0.6.1")[0] == "TR"
    assert ask("168.126.63.1")[0] == "KR"


def test_replacing_the_file_alone_changes_nothing(with_database, fixture_dir):
    nginx = with_database(fixture_dir / "ip-location-db.mmdb", "reload=off")
    ask = Asker(nginx)
    os.replace(shutil.copy(fixture_dir / "ipinfo-lite.mmdb", nginx.dir / "new"),
               nginx.dir / "country.mmdb")
    assert [ask("5.0.6.1")[0] for _ in range(4)] == ["XX"] * 4


@pytest.mark.parametrize("size", [0, 1000, 200_000])
def test_truncation_in_place_harms_no_worker(with_database, country_db, size):
    """A mapped file would raise SIGBUS here. Addresses from all over the
    database are asked for, so that untouched pages are read as well."""
    nginx = with_database(country_db)
    ask = Asker(nginx)
    workers = nginx.workers()
    clients = [f"{first}.{second}.63.1" for first in range(1, 224, 9)
               for second in (1, 126, 200)]
    before = [ask(client) for client in clients]
    assert len(set(before)) > 10
    os.truncate(nginx.dir / "country.mmdb", size)
    assert [ask(client) for client in clients] == before
    assert ask(a.KR)[0] == "KR"
    assert nginx.workers() == workers


def test_a_file_overwritten_in_place_changes_no_answer(with_database, country_db):
    nginx = with_database(country_db)
    ask = Asker(nginx)
    path = nginx.dir / "country.mmdb"
    with open(path, "r+b") as file:
        file.write(b"\xff" * path.stat().st_size)
    assert [ask(x)[0] for x in (a.KR, a.DE, a.US, a.KR6)] == \
        ["KR", "DE", "US", "KR"]


def test_a_reload_onto_a_broken_file_is_refused(with_database, country_db):
    """The old configuration goes on, and a good file is taken again."""
    nginx = with_database(country_db)
    ask = Asker(nginx)
    workers = nginx.workers()
    os.truncate(nginx.dir / "country.mmdb", 1000)
    nginx.allowed.append(r"\[emerg\] .*country\.mmdb")
    with pytest.raises(AssertionError, match="reload refused"):
        nginx.reload()
    assert nginx.workers() == workers
    assert ask(a.KR) == ("KR", "AS")
    shutil.copy(country_db, nginx.dir / "country.mmdb")
    nginx.reload()
    assert ask(a.KR) == ("KR", "AS")


def test_the_file_may_vanish_while_it_is_served(with_database, country_db):
    nginx = with_database(country_db)
    (nginx.dir / "country.mmdb").unlink()
    nginx.kill_worker()
    nginx.allowed.append("exited on signal 9")
    ask = Asker(nginx)
    assert [ask(a.KR)[0] for _ in range(6)] == ["KR"] * 6


def test_an_optional_file_that_is_missing_leaves_all_unknown(make_nginx):
    nginx = make_nginx("weir_geo_db @dir@/none.mmdb optional;",
                       "location / { } location /denied { weir_geo_allow KR;"
                       " alias @dir@/html/index.html; }").start()
    ask = Asker(nginx)
    assert ask(a.KR) == ("XX", "XX")
    assert ask("10.0.0.1") == ("ZZ", "ZZ")
    assert get(nginx.port, "/denied", a.KR).status == 403


def test_an_allow_list_without_its_optional_file_is_warned_of(make_nginx):
    nginx = make_nginx("weir_geo_db @dir@/none.mmdb optional; weir_geo_allow KR;",
                       "location / { }")
    code, text = nginx.check()
    assert code == 0
    assert "[warn]" in text and "none.mmdb" in text
    assert 'every client that is neither private nor in a "weir_geo_override"' in text


@pytest.mark.parametrize("lists", ["weir_geo_allow all;", "weir_geo_allow EU XX;",
                                   "weir_geo_deny KP;"])
def test_lists_that_let_the_unknown_pass_are_not_warned_of(make_nginx, lists):
    nginx = make_nginx(f"weir_geo_db @dir@/none.mmdb optional; {lists}",
                       "location / { }")
    code, said = nginx.check()
    assert code == 0 and "denies" not in said


def test_an_optional_file_that_is_there_is_used(with_database, fixture_dir):
    ask = Asker(with_database(fixture_dir / "maxmind.mmdb", "optional"))
    assert ask(a.KR) == ("KR", "AS")


def test_an_optional_file_that_is_broken_is_still_an_error(make_nginx):
    nginx = make_nginx()
    (nginx.dir / "broken.mmdb").write_bytes(b"no database")
    nginx.configure("weir_geo_db @dir@/broken.mmdb optional;", "location / { }")
    code, text = nginx.check()
    assert code != 0
    assert "broken.mmdb" in text


# ---- What is said of a file ----

def epoch_of(path):
    with maxminddb.open_database(path) as reader:
        return reader.metadata().build_epoch


def test_the_epoch_is_that_of_the_files_metadata(with_database, fixture_dir,
                                                 country_db):
    say = 'location / { return 200 "[$weir_geo_epoch]"; }'
    log = "log_format epoch '$weir_geo_epoch'; access_log @dir@/epoch.log epoch;"
    nginx = with_database(country_db, http=log, server=say)
    for path in (country_db, fixture_dir / "maxmind.mmdb"):
        shutil.copy(path, nginx.dir / "new")
        os.replace(nginx.dir / "new", nginx.dir / "country.mmdb")
        nginx.reload()
        assert get(nginx.port).text == f"[{epoch_of(path)}]"
    wait_for(lambda: len(nginx.lines("epoch.log")) == 2, "the log")
    assert sorted(nginx.lines("epoch.log")) == ["1700000000", str(epoch_of(country_db))]


@pytest.mark.parametrize("database", ["", "weir_geo_db @dir@/none.mmdb optional;",
                                      "weir_geo_db @dir@/none.mmdb optional reload=off;"])
def test_without_a_database_there_is_no_epoch(start_nginx, database):
    nginx = start_nginx(database, 'location / { return 200 "[$weir_geo_epoch]"; }')
    assert get(nginx.port).text == "[]"


DAY = 86400


@pytest.mark.parametrize("age, said", [(31 * DAY, True), (29 * DAY, False),
                                       (0, False), (-31 * DAY, False)])
@pytest.mark.parametrize("use", ["weir_geo_db @dir@/country.mmdb;",
                                 "weir_geo_db @dir@/country.mmdb reload=off;",
                                 "weir_geo_variable $x asn db=@dir@/country.mmdb;"])
def test_a_database_that_is_older_than_30_days_is_warned_of(make_nginx, fixture_dir,
                                                            age, said, use):
    nginx = make_nginx()
    file = nginx.dir / "country.mmdb"
    data = (fixture_dir / "maxmind.mmdb").read_bytes()
    file.write_bytes(built(data, int(time.time()) - age))
    nginx.configure(use, "location / { }")
    nginx.start()
    found = [line for line in nginx.lines("error.log") if OLD_DATABASE.search(line)]
    assert bool(found) == said
    if said:
        assert len(found) == 1
        assert f'database "{file}" was built 31 days ago, expected one' in found[0]


UNREADABLE = r"\[warn\] .*country\.mmdb\" can't be read by the workers' user"


@pytest.mark.parametrize("mode, parameters, said", [
    (0o600, "", True), (0o600, "reload=off", False), (0o644, "", False),
    (0o640, "", False)])
def test_a_file_that_workers_cant_read_is_warned_of(make_nginx, fixture_dir, mode,
                                                    parameters, said):
    """And served: the master has read it. Only root's workers are others."""
    nginx = make_nginx()
    file = nginx.dir / "country.mmdb"
    shutil.copy(fixture_dir / "maxmind.mmdb", file)
    file.chmod(mode)
    is_root = os.geteuid() == 0
    if is_root and mode == 0o640:
        shutil.chown(file, group="www-data")
    nginx.configure(f"weir_geo_db @dir@/country.mmdb {parameters};", "location / { }")
    nginx.start()
    found = nginx.errors(UNREADABLE)
    assert len(found) == (said and is_root)
    assert not found or '"www-data"' in found[0] and "Permission denied" in found[0]
    assert Asker(nginx)(a.KR) == ("KR", "AS")
    code, text = nginx.check()
    assert code == 0
    assert bool(re.search(UNREADABLE, text)) == (said and is_root), text


def test_a_file_in_a_folder_that_workers_cant_enter_is_warned_of(make_nginx,
                                                                 fixture_dir):
    nginx = make_nginx()
    folder = nginx.dir / "closed"
    folder.mkdir(mode=0o700)
    shutil.copy(fixture_dir / "maxmind.mmdb", folder / "country.mmdb")
    nginx.configure("weir_geo_db @dir@/closed/country.mmdb;", "location / { }")
    nginx.start()
    assert len(nginx.errors(UNREADABLE)) == (os.geteuid() == 0)
    assert Asker(nginx)(a.KR) == ("KR", "AS")
