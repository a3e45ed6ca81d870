"""Databases that change while four workers serve requests, whatever becomes of
the file; and what all of that leaves behind: nothing.
"""

import contextlib
import os
import pathlib
import random
import re
import shutil
import subprocess
import time

import pytest

import addresses as a
from client import get
from databases import built, moved, padded, replace, rerouted
from served import EPOCH, INTERVAL, REFUSED, THREADS, UPDATED, Served
from server import wait_for


@pytest.fixture
def world(country_db):
    return country_db.read_bytes()


@pytest.fixture
def small(fixture_dir):
    return built((fixture_dir / "maxmind.mmdb").read_bytes(), EPOCH)


@pytest.fixture
def serve(make_nginx):
    def make(data, parameters="", http="", **options):
        nginx = make_nginx(workers=4, listen="reuseport")
        return Served(nginx, data, parameters, http, **options)
    return make


def test_a_file_that_is_renamed_into_place_is_taken(serve, world):
    with serve(world) as served:
        with served.updating("JP"):
            served.put(built(moved(world, b"JP"), EPOCH))
        assert served.country() == "JP"
        assert get(served.nginx.port, "/epoch").text == str(EPOCH)
        with served.updating("KR"):
            served.put(built(world, EPOCH + 1))
        assert served.refusals() == 0


def test_no_reload_and_no_new_worker_is_needed(serve, small):
    with serve(small) as served:
        workers = served.nginx.workers()
        with served.updating("JP"):
            served.put(built(moved(small, b"JP"), EPOCH + 1))
        assert served.nginx.workers() == workers


def test_every_worker_has_it_when_it_is_logged(serve, small):
    """Whichever a connection leads to; and those that come later as well."""
    with serve(small) as served:
        with served.updating("JP"):
            served.put(built(moved(small, b"JP"), EPOCH + 1))
        assert {served.country() for _ in range(60)} == {"JP"}
        served.nginx.allowed.append(r"exited on signal 9$")
        served.nginx.count = 4
    served.nginx.kill_worker()
    assert {served.country() for _ in range(60)} == {"JP"}


@pytest.mark.parametrize("accept", ["", "accept=older,smaller,type"])
@pytest.mark.parametrize("step", [1, 1 << 16])
def test_a_file_overwritten_in_place_is_taken_when_it_is_whole(
        serve, small, country_db, step, accept):
    """Stopped several times on the way, for long enough to be looked at: what
    is new then stands beside what is old."""
    old = small if step == 1 else country_db.read_bytes()
    new = moved(old, b"JP") if step == 1 else rerouted(country_db)
    new = built(new, EPOCH + 1)
    assert len(new) == len(old)
    first = next(where for where in range(len(old)) if old[where] != new[where])
    last = new.rindex(b"build_epoch")
    places = range(first - first % step + step, last, step)
    stops = random.Random(step).sample(places, 4)
    with serve(old, accept) as served:
        with open(served.path, "r+b", buffering=0) as file:
            for where in range(0, places[-1] + step, step):
                with contextlib.ExitStack() as stack:
                    if where in stops:
                        stack.enter_context(served.refusing(
                            "as was the database in use, and differs from it:"))
                    file.write(new[where:where + step])
            with served.updating("JP"):
                for where in range(file.tell(), len(new), step):
                    file.write(new[where:where + step])


def test_a_file_written_from_its_start_is_taken_when_it_is_whole(serve, world):
    """As cp and curl -o do: truncated first, and then longer and longer."""
    new = built(moved(world, b"JP"), EPOCH)
    with serve(world) as served:
        with contextlib.ExitStack() as stack:
            with served.refusing("is empty"):
                file = stack.enter_context(open(served.path, "wb", buffering=0))
            with served.refusing("truncated"):
                file.write(new[:5000])
            with served.refusing("truncated"):
                file.write(new[5000:len(new) - 100])
            with served.updating("JP"):
                file.write(new[len(new) - 100:])


def test_a_truncated_file_changes_nothing(serve, world):
    with serve(world) as served:
        with served.refusing("is empty: expected an .mmdb file$"):
            os.truncate(served.path, 0)
        assert served.country() == "KR"
        with served.updating("JP"):
            served.put(built(moved(world, b"JP"), EPOCH))


def test_a_file_that_is_deleted_and_put_back_changes_nothing(serve, small):
    with serve(small) as served:
        with served.refusing("the file can't be found$"):
            served.path.unlink()
        served.put(small)
        with served.refusing("no .mmdb file"):  # which it is looked at before
            time.sleep(0.5)
            served.put(b"garbage")
        assert served.updates() == 0
        with served.updating("JP"):
            served.put(built(moved(small, b"JP"), EPOCH + 1))


@pytest.mark.parametrize("content, said", [
    (b"garbage " * 1000, "no .mmdb file"), (b"\0", "no .mmdb file"),
    (lambda data: data[:len(data) // 2], "truncated"),
    (lambda data: data[:-40], "broken|truncated"),
    (lambda data: bytes(255 - byte for byte in data[:1000]) + data[1000:],
     "broken|no country field")])
def test_garbage_changes_nothing(serve, small, content, said):
    with serve(small) as served:
        with served.refusing(said):
            served.put(content(small) if callable(content) else content)
        assert served.country() == "KR"
        with served.updating("JP"):
            served.put(built(moved(small, b"JP"), EPOCH + 1))


def test_a_bad_file_is_logged_once(serve, small):
    with serve(small) as served:
        with served.refusing("no .mmdb file"):
            served.put(b"garbage")
        # Others are looked at meanwhile.
        for name in (b"one", b"two", b"three"):
            with served.refusing("no .mmdb file"):
                served.put(name)
        assert served.refusals() == 4


def test_an_older_file_is_refused_unless_it_is_accepted(serve, small):
    old = built(moved(small, b"JP"), EPOCH - 1)
    with serve(small) as served:
        with served.refusing("built 20.*before the database in use: expected a newer"
                             ' one, or "accept=older"$'):
            served.put(old)
    with serve(small, "accept=older") as served:
        with served.updating("JP"):
            served.put(old)


def test_a_database_that_lost_most_of_its_networks_is_refused_unless_accepted(
        serve, world, small):
    little = moved(built(small, EPOCH), b"JP")
    with serve(world, "accept=type") as served:
        with served.refusing(r"knows \d+ networks, and the database in use \d{6,}:"
                             ' expected half of them, or "accept=smaller"$'):
            served.put(little)
    with serve(world, "accept=type,smaller") as served:
        with served.updating("JP"):
            served.put(little)


def test_a_file_of_another_type_changes_nothing(serve, small, fixture_dir):
    with serve(small) as served:
        with served.refusing("has no country field"):
            served.put(built((fixture_dir / "no-country.mmdb").read_bytes(), EPOCH + 1))
        with served.refusing('is a database of type "weir-test-db-ip": expected'
                             ' "weir-test-maxmind", or "accept=type"$'):
            served.put(built((fixture_dir / "db-ip.mmdb").read_bytes(), EPOCH + 2))
        assert served.country() == "KR"


def test_another_vendors_file_is_taken_if_it_is_accepted(serve, small, fixture_dir):
    with serve(small, "accept=type,smaller") as served:
        with served.updating("JP"):
            served.put(built(moved((fixture_dir / "ip-location-db.mmdb").read_bytes(),
                                   b"JP"), EPOCH + 1))


def test_a_file_from_the_future_is_refused(serve, small):
    """All that come after it would be older."""
    with serve(small, "accept=older") as served:
        with served.refusing("which is yet to come: expected one of the past; a reload"
                             " of nginx takes it$"):
            served.put(built(moved(small, b"JP"), int(time.time()) + 10 * 86400))


def test_a_file_that_is_far_larger_than_the_first_is_not_read(serve, small):
    with serve(small) as served:
        with served.refusing("the file is far larger than the first one; a reload of"
                             " nginx takes it$"):
            served.put(padded(built(moved(small, b"JP"), EPOCH + 1), 65 << 20))


def test_a_bad_file_keeps_no_signal_from_nginx(serve, small):
    """nginx -s reads the configuration, and so would stumble over the file."""
    with serve(small) as served:
        with served.refusing("no .mmdb file"):
            served.put(b"garbage")
        for signal_name in ("reopen", "quit"):
            if signal_name == "quit":
                served.stop.set()
                for thread in served.threads:
                    thread.join()
            subprocess.run([*served.nginx.command(), "-s", signal_name], check=True,
                           timeout=60)
        assert served.nginx.process.wait(60) == 0


def test_a_file_with_an_older_mtime_is_a_change_as_well(serve, small):
    with serve(small) as served:
        fresh = served.nginx.dir / "fresh.mmdb"
        fresh.write_bytes(built(moved(small, b"JP"), EPOCH + 1))
        os.utime(fresh, (1_000_000_000, 1_000_000_000))
        with served.updating("JP"):
            os.replace(fresh, served.path)


def test_a_file_of_the_same_size_and_mtime_is_a_change_as_well(serve, small):
    """Its inode and ctime are others."""
    with serve(small) as served:
        fresh = served.nginx.dir / "fresh.mmdb"
        fresh.write_bytes(built(moved(small, b"JP"), EPOCH + 1))
        status = served.path.stat()
        assert status.st_size == fresh.stat().st_size
        os.utime(fresh, ns=(status.st_atime_ns, status.st_mtime_ns))
        with served.updating("JP"):
            os.replace(fresh, served.path)


def test_a_file_that_may_not_be_read_changes_nothing_until_it_may(serve, small):
    with serve(small) as served:
        fresh = served.nginx.dir / "fresh.mmdb"
        fresh.write_bytes(built(moved(small, b"JP"), EPOCH + 1))
        with served.refusing("can't be read: Permission denied$"):
            fresh.chmod(0)
            os.replace(fresh, served.path)
        with served.updating("JP"):
            served.path.chmod(0o644)


def test_a_link_to_another_file_is_a_change(serve, small):
    """As those do it who keep a file for each day."""
    with serve(small) as served:
        for day, code in enumerate([b"JP", b"DE", b"KR"], 1):
            (served.nginx.dir / f"{day}.mmdb").write_bytes(
                built(moved(small, code), EPOCH + day))
            link = served.nginx.dir / "link"
            link.symlink_to(f"{day}.mmdb")
            with served.updating(code.decode()):
                os.replace(link, served.path)


def test_without_reload_the_file_does_not_matter(serve, small, make_nginx):
    nginx = make_nginx(workers=2)
    shutil.copy(serve(small).path, nginx.dir / "country.mmdb")
    other = nginx.dir / "other.mmdb"
    shutil.copy(nginx.dir / "country.mmdb", other)
    nginx.configure("weir_geo_db @dir@/country.mmdb reload=off;"
                    f"weir_geo_variable $code country.iso_code db=@dir@/other.mmdb;",
                    'location / { return 200 "$weir_country $code"; }')
    nginx.start()
    replace(nginx.dir / "country.mmdb", built(moved(small, b"JP"), EPOCH + 1))
    time.sleep(1)
    assert get(nginx.port, "/", a.KR).text == "KR KR"
    assert not nginx.errors("updated")


def test_an_optional_file_is_taken_when_it_comes(make_nginx, small):
    nginx = make_nginx(workers=4)
    nginx.configure(f"weir_geo_db @dir@/country.mmdb reload={INTERVAL} optional;"
                    "weir_geo_variable $code country.iso_code default=none;",
                    'location / { return 200 "$weir_country $code"; }')
    nginx.start()
    assert get(nginx.port, "/", a.KR).text == "XX none"
    replace(nginx.dir / "country.mmdb", small)
    nginx.wait_errors("updated", 2)
    assert get(nginx.port, "/", a.KR).text == "KR KR"


def test_fields_are_updated_as_countries_are(make_nginx, fixture_dir):
    data = (fixture_dir / "fields.mmdb").read_bytes()
    nginx = make_nginx(workers=4)

    def put(content):
        replace(nginx.dir / "city.mmdb", content)

    put(data)
    nginx.configure("weir_geo_variable $city city.names.en db=@dir@/city.mmdb;"
                    "weir_geo_variable $built metadata.build_epoch db=@dir@/city.mmdb;",
                    'location / { return 200 "$city $built"; }')
    # Without weir_geo_db, the interval is 30 s: here the next test has another.
    nginx.start()
    assert get(nginx.port, "/", a.KR).text == "Seoul 1700000000"
    shutil.copy(fixture_dir / "maxmind.mmdb", nginx.dir / "country.mmdb")
    nginx.reload(f"weir_geo_db @dir@/country.mmdb reload={INTERVAL};"
                 "weir_geo_variable $city city.names.en db=@dir@/city.mmdb;"
                 "weir_geo_variable $built metadata.build_epoch db=@dir@/city.mmdb;",
                 'location / { return 200 "$city $built"; }')
    put(built(data.replace(b"Seoul", b"Busan"), EPOCH))
    nginx.wait_errors(UPDATED)
    assert get(nginx.port, "/", a.KR).text == f"Busan {EPOCH}"
    put(built(data, EPOCH - 1))
    nginx.wait_errors(REFUSED + ".*before the database in use")
    put(built((fixture_dir / "maxmind.mmdb").read_bytes(), EPOCH + 1))
    nginx.wait_errors(REFUSED + '.*is a database of type "weir-test-maxmind"')
    assert get(nginx.port, "/", a.KR).text == f"Busan {EPOCH}"


def test_a_database_that_outgrows_its_memory_waits_for_a_reload(make_nginx, fixture_dir):
    data = (fixture_dir / "fields.mmdb").read_bytes()
    nginx = make_nginx(workers=2)
    shutil.copy(fixture_dir / "maxmind.mmdb", nginx.dir / "country.mmdb")
    (nginx.dir / "city.mmdb").write_bytes(data)
    nginx.configure(f"weir_geo_db @dir@/country.mmdb reload={INTERVAL};"
                    "weir_geo_variable $city city.names.en db=@dir@/city.mmdb;",
                    'location / { return 200 "$city"; }')
    nginx.start()
    large = padded(built(data.replace(b"Seoul", b"Busan"), EPOCH), 17 << 20)
    replace(nginx.dir / "city.mmdb", large)
    nginx.wait_errors(REFUSED + ".*for which there is room; a reload of nginx makes room$")
    assert get(nginx.port, "/", a.KR).text == "Seoul"
    nginx.reload(wait_for_exit=True)
    assert get(nginx.port, "/", a.KR).text == "Busan"
    replace(nginx.dir / "city.mmdb", built(large, EPOCH + 1))
    nginx.wait_errors(UPDATED)


# ---- Nothing is left behind ----


def resources(nginx):
    """Of each worker: open descriptors, threads, kilobytes of its own memory."""
    found = {}
    for pid in nginx.workers():
        folder = pathlib.Path(f"/proc/{pid}")
        size = re.search(r"^RssAnon:\s+(\d+) kB", (folder / "status").read_text(), re.M)
        found[pid] = (len(os.listdir(folder / "fd")), len(os.listdir(folder / "task")),
                      int(size[1]))
    return found


def test_a_hundred_swaps_leave_nothing_behind(serve, small):
    """Every other one is waited for; the rest come thick and fast."""
    with serve(small, expect="KR") as served:
        codes = [b"JP", b"DE", b"FR", b"KR"]
        touched = time.monotonic()
        for number in range(50):
            code = codes[number % 4]
            with served.updating(code.decode()):
                served.put(built(moved(small, code), EPOCH + 1 + number))
            if number == 10:
                before = resources(served.nginx)
        # Of those that nobody waits for, each may be in use until the last is.
        touched = time.monotonic()
        for number in range(50, 100):
            served.put(built(moved(small, codes[number % 4]), EPOCH + 1 + number))
            time.sleep(random.random() * 0.1)
        wait_for(lambda: get(served.nginx.port, "/epoch").text == str(EPOCH + 100),
                 "the last of them")
        known = time.monotonic()
        served.changes += [(touched, known, code.decode()) for code in codes]
        served.changes.append((touched, known, codes[99 % 4].decode()))
        served.changes.sort(key=lambda change: change[:2])
        assert served.refusals() == 0
        wait_for(lambda: all(threads == 1 for _, threads, _
                             in resources(served.nginx).values()), "threads to end")
        after = resources(served.nginx)
    assert set(before) == set(after)
    for pid, (files, _, size) in before.items():
        assert after[pid][0] <= files + THREADS  # its connections come and go
        assert after[pid][2] < size + 2048


def test_updates_of_a_large_database_keep_no_memory(serve, world):
    with serve(world) as served:
        def update(number):
            code = [b"JP", b"DE"][number % 2]
            with served.updating(code.decode()):
                served.put(built(moved(world, code), EPOCH + number))

        for number in range(6):  # so that each worker has built once, perhaps
            update(number)
        before = resources(served.nginx)
        for number in range(6, 16):
            update(number)
        wait_for(lambda: all(threads == 1 for _, threads, _
                             in resources(served.nginx).values()), "threads to end")
        after = resources(served.nginx)
    grown = sum(size for *_, size in after.values()) - \
        sum(size for *_, size in before.values())
    assert grown < len(world) / 1024  # ten updates, each of which reads as much
    assert sum(files for files, *_ in after.values()) <= \
        sum(files for files, *_ in before.values()) + THREADS
