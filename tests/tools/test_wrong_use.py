"""What weir-geo says of wrong use, and of files that are no databases or have no countries."""

import os
import pathlib
import re
import subprocess

import pytest

from conftest import DEADLINE

COMMANDS = ["lookup", "verify", "info"]
WAYS = [["lookup"], ["lookup", "--field", "asn"], ["verify"], ["info"]]  # to open a file
WHOLE_VERSION = re.search(
    r"^project\(weir VERSION (\S+)",
    (pathlib.Path(__file__).parents[2] / "CMakeLists.txt").read_text(), re.M)[1]


# ---- Wrong use: 2 ----

@pytest.mark.parametrize("arguments, said", [
    ([], "expected lookup, verify or info"),
    (["--json"], 'unexpected "--json": expected lookup, verify or info'),
    (["look"], 'unexpected "look": expected lookup, verify or info'),
    (["--db", "@db@", "lookup"], 'unexpected "--db": expected lookup, verify or info'),
    (["lookup", "1.2.3.4"], "--db is required"),
    (["lookup", "--db"], "--db: 1 required FILE missing"),
    (["lookup", "--db", "@db@", "--db", "@db@"], "--db: At Most 1 required"),
    (["lookup", "--db", "@db@", "--jsno"], 'unexpected "--jsno": expected an option of lookup'),
    (["verify", "--db", "@db@", "::1"], 'unexpected "::1": expected an option of verify'),
    (["info", "--db", "@db@", "verify"], 'unexpected "verify": expected an option of info'),
    (["info", "--db", "@db@", "--country", "a..b"], '"a..b" is no path to a field: expected'),
    (["info", "--db", "@db@", "--country", ""], '"" is no path to a field: expected'),
    (["lookup", "--db", "@db@", "--field", "a..b"], '"a..b" is no path to a field: expected'),
    (["lookup", "--db", "@db@", "--field", "a", "--field", ".b"],
     '".b" is no path to a field: expected'),
    (["lookup", "--db", "@db@", "--field", ""], '"" is no path to a field: expected'),
    (["lookup", "--db", "@db@", "--field", "a.b", "--field", "a.b"],
     '"a.b" is given twice: expected each field once'),
    (["lookup", "--db", "@db@", "--field"], "--field: 1 required PATH.TO.FIELD missing"),
    (["lookup", "--db", "@db@", "--field", "a", "--country", "b"],
     "--country excludes --field"),
    (["info", "--db", "@db@", "--field", "a"],
     'unexpected "--field": expected an option of info'),
])
def test_wrong_use_is_named_with_what_was_expected(weir_geo, fixture_dir, arguments, said):
    database = fixture_dir / "maxmind.mmdb"
    done = weir_geo(*(database if one == "@db@" else one for one in arguments))
    assert (done.code, done.out) == (2, "")
    assert done.err.startswith("weir-geo: ")
    assert said in done.err
    assert done.err.endswith("; see weir-geo --help\n") and done.err.count("\n") == 1


def test_help_has_the_commands_and_the_exit_codes(weir_geo):
    done = weir_geo("--help")
    assert (done.code, done.err) == (0, "")
    for command in COMMANDS:
        assert re.search(rf"^ +{command} ", done.out, re.M)
        of_command = weir_geo(command, "--help")
        assert of_command.code == 0
        for word in ("--db FILE", "--country PATH.TO.FIELD", "--json", "Exit codes:"):
            assert word in of_command.out
    for code in range(4):
        assert re.search(rf"^  {code}  \w", done.out, re.M)


def test_the_version_is_the_projects(weir_geo):
    done = weir_geo("--version")
    assert (done.code, done.out) == (0, f"weir-geo {WHOLE_VERSION}\n")


# ---- No database, or none of countries: 3 ----

def refused(weir_geo, path, *said):
    for command in WAYS:
        done = weir_geo(*command, "--db", path)
        assert (done.code, done.out) == (3, ""), (command, done.err)
        assert done.err.startswith(f'weir-geo: "{path}" ')
        assert done.err.count("\n") == 1
        assert any(text in done.err for text in said), done.err


def test_a_file_that_is_not_there(weir_geo, tmp_path):
    refused(weir_geo, tmp_path / "none.mmdb", "can't be read: No such file or directory")


def test_a_directory(weir_geo, tmp_path):
    refused(weir_geo, tmp_path, "is a directory: expected an .mmdb file")


def test_a_pipe_is_not_waited_for(weir_geo, tmp_path):
    os.mkfifo(tmp_path / "pipe")
    refused(weir_geo, tmp_path / "pipe", "is not a regular file")


GARBAGE = {"nothing": (b"", "is empty"),
           "text": (b"<html>not found</html>\n", "is no .mmdb file"),
           "zeros": (bytes(300000), "is no .mmdb file"),
           "only a marker": (b"\xab\xcd\xefMaxMind.com", "is no .mmdb file"),
           "empty metadata": (b"\xab\xcd\xefMaxMind.com\xe0", "metadata can't be read")}


@pytest.mark.parametrize("kind", GARBAGE)
def test_garbage(weir_geo, tmp_path, kind):
    content, said = GARBAGE[kind]
    path = tmp_path / "garbage.mmdb"
    path.write_bytes(content)
    refused(weir_geo, path, said)


def test_a_file_that_is_cut_short(weir_geo, fixture_dir, tmp_path):
    whole = (fixture_dir / "maxmind.mmdb").read_bytes()
    path = tmp_path / "cut.mmdb"
    for size in range(1, len(whole), len(whole) // 20):
        path.write_bytes(whole[:size])
        refused(weir_geo, path, "truncated")


def test_a_file_that_lacks_its_middle_is_refused_or_answers(weir_geo, fixture_dir,
                                                            tmp_path):
    whole = (fixture_dir / "maxmind.mmdb").read_bytes()
    path = tmp_path / "hole.mmdb"
    for size in range(0, len(whole), len(whole) // 20):
        path.write_bytes(whole[:size] + whole[size + 200:])
        for command in WAYS:
            done = weir_geo(*command, "--db", path)
            assert done.code in (0, 3), (size, command, done.err)


@pytest.mark.parametrize("command", ["lookup", "verify"])
def test_a_database_without_countries_where_they_are_asked_for(weir_geo, fixture_dir, command):
    path = fixture_dir / "no-country.mmdb"
    done = weir_geo(command, "--db", path)
    assert (done.code, done.out) == (3, "")
    assert done.err.startswith(f'weir-geo: "{path}" has no country field')


def test_a_broken_database_without_countries(weir_geo, fixture_dir, tmp_path):
    data = bytearray((fixture_dir / "no-country.mmdb").read_bytes())
    data[4:7] = b"\xff\xff\xff"  # the right half of all addresses
    path = tmp_path / "broken.mmdb"
    path.write_bytes(data)
    for command in (["lookup", "--field", "asn"], ["info"]):
        done = weir_geo(*command, "--db", path)
        assert (done.code, done.out) == (3, "")
        assert done.err == (f'weir-geo: "{path}" is a broken .mmdb file: a record of its tree '
                            "points beyond its data\n")


@pytest.mark.parametrize("command", COMMANDS)
def test_a_field_that_no_record_has(weir_geo, fixture_dir, command):
    done = weir_geo(command, "--db", fixture_dir / "maxmind.mmdb", "--country", "no.where")
    assert (done.code, done.out) == (3, "")
    assert 'has no country field "no.where"' in done.err


@pytest.mark.parametrize("command", [["lookup", "::1"], ["verify"], ["info"]])
def test_an_output_that_cannot_be_written_is_an_error(binary, fixture_dir, command):
    with open("/dev/full", "w", encoding="ascii") as full:
        done = subprocess.run(
            [binary, *command, "--db", fixture_dir / "maxmind.mmdb"], stdout=full,
            stderr=subprocess.PIPE, check=False, timeout=DEADLINE)
    assert done.returncode == 3
    assert done.stderr == b"weir-geo: standard output can't be written\n"
