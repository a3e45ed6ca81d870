"""weir-geo lookup."""

import ipaddress
import random
import select
import subprocess

import maxminddb
import pytest

from conftest import DEADLINE

ADDRESSES = {"81.169.145.150": "DE\tEU\tEU", "168.126.63.1": "KR\tAS\t-",
             "2a01:238::1": "DE\tEU\tEU", "::ffff:81.169.145.150": "DE\tEU\tEU",
             "10.0.0.1": "ZZ\tZZ\t-", "::1": "ZZ\tZZ\t-", "fc00::1": "ZZ\tZZ\t-",
             "5.0.1.1": "XX\tXX\t-", "5.0.2.1": "GB\tEU\t-"}


@pytest.fixture
def small_db(fixture_dir):
    return fixture_dir / "maxmind.mmdb"


def plain(addresses=ADDRESSES):
    return "".join(f"{one}\t{ADDRESSES[one]}\n" for one in addresses)


def test_arguments_are_answered_in_their_order(weir_geo, small_db):
    done = weir_geo("lookup", "--db", small_db, *ADDRESSES)
    assert (done.code, done.out, done.err) == (0, plain(), "")


@pytest.mark.parametrize("arguments", [[], ["-"]])
def test_lines_are_answered_in_their_order(weir_geo, small_db, arguments):
    done = weir_geo("lookup", "--db", small_db, *arguments,
                    stdin="\n".join(ADDRESSES).encode())
    assert (done.code, done.out, done.err) == (0, plain(), "")


def test_lines_come_where_the_dash_stands(weir_geo, small_db):
    done = weir_geo("lookup", "--db", small_db, "::1", "-", "10.0.0.1",
                    stdin=b"5.0.1.1\n")
    assert (done.code, done.out) == (0, plain(["::1", "5.0.1.1", "10.0.0.1"]))


def test_blank_lines_are_skipped_and_blanks_beside_an_address_do_not_matter(
        weir_geo, small_db):
    done = weir_geo("lookup", "--db", small_db,
                    stdin=b"\n  \t\n  10.0.0.1\t \r\n\r\n5.0.1.1\r\n")
    assert (done.code, done.out, done.err) == (0, plain(["10.0.0.1", "5.0.1.1"]), "")


def test_nothing_asked_is_nothing_answered(weir_geo, small_db):
    done = weir_geo("lookup", "--db", small_db)
    assert (done.code, done.out, done.err) == (0, "", "")


def test_json_is_an_object_a_line(weir_geo, small_db):
    done = weir_geo("lookup", "--json", "--db", small_db, *ADDRESSES)
    expected = []
    for address, answer in ADDRESSES.items():
        country, continent, in_eu = answer.split("\t")
        expected.append({"address": address, "country": country,
                         "continent": continent, "eu": in_eu == "EU"})
    assert (done.code, done.objects) == (0, expected)


NO_ADDRESSES = ["localhost", "1.2.3", "1.2.3.4.5", "256.1.1.1", "1.2.3.4/32",
                "[::1", "fe80::1%eth0", "1.2.3.4:80", "1.2.3.4 5.0.1.1", "::g",
                "x" * 10000, "\x1b[31m", "é"]


@pytest.mark.parametrize("options", [[], ["--json"]])
@pytest.mark.parametrize("word", NO_ADDRESSES)
def test_what_is_no_address_is_quoted_and_the_others_are_answered(
        weir_geo, small_db, word, options):
    shown = word.replace("\x1b", "\\x1b")
    if len(word) > 64:
        shown = f"{word[:64]}..."
    done = weir_geo("lookup", "--db", small_db, *options, "10.0.0.1", word, "::1")
    assert done.code == 1
    assert len(done.lines) == 2
    assert done.err.startswith(f'weir-geo: "{shown}" is no address: expected')
    assert done.err.count("\n") == 1

    done = weir_geo("lookup", "--db", small_db, *options,
                    stdin=f"10.0.0.1\n\n{word}\n::1\n".encode())
    assert done.code == 1
    assert len(done.lines) == 2
    assert done.err.startswith(f'weir-geo: line 3: "{shown}" is no address: expected')
    assert done.err.count("\n") == 1


def test_an_empty_argument_is_no_address(weir_geo, small_db):
    done = weir_geo("lookup", "--db", small_db, "")
    assert (done.code, done.out) == (1, "")
    assert done.err.startswith('weir-geo: "" is no address')


def test_an_address_before_a_null_byte_is_none(weir_geo, small_db):
    done = weir_geo("lookup", "--db", small_db, stdin=b"10.0.0.1\0\n::1\n")
    assert (done.code, done.out) == (1, plain(["::1"]))
    assert 'line 1: "10.0.0.1\\x00" is no address' in done.err


def test_a_line_is_answered_before_the_next_one_comes(binary, small_db):
    """So that another program can ask one question after another."""
    with subprocess.Popen([binary, "lookup", "--db", small_db], bufsize=0,
                          stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        try:
            for address in ("10.0.0.1", "81.169.145.150", "5.0.1.1"):
                process.stdin.write(f"{address}\n".encode())
                ready, _, _ = select.select([process.stdout], [], [], DEADLINE)
                assert ready, f"no answer to {address}"
                assert process.stdout.readline().decode() == plain([address])
            process.stdin.close()
            assert process.wait(DEADLINE) == 0
        finally:
            process.kill()


def test_the_field_of_the_country_may_be_named(weir_geo, fixture_dir):
    custom = fixture_dir / "custom.mmdb"
    done = weir_geo("lookup", "--db", custom, "--country", "where.land.code",
                    "81.169.145.150")
    assert (done.code, done.out) == (0, "81.169.145.150\tDE\tEU\tEU\n")


# ---- A second opinion ----

def random_addresses(count):
    chance = random.Random(6)
    for _ in range(count):
        yield ipaddress.IPv4Address(chance.getrandbits(32))
        yield ipaddress.IPv6Address(1 << 125 | chance.getrandbits(125))  # 2000::/3


def nested_code(record):
    return (record or {}).get("country", {}).get("iso_code")


def flat_code(record):
    return (record or {}).get("country_code")


@pytest.mark.parametrize("database, code_in", [("country_db", nested_code),
                                               ("flat_country_db", flat_code)])
def test_answers_are_those_of_the_python_reader(weir_geo, request, database, code_in):
    path = request.getfixturevalue(database)
    addresses = [str(one) for one in random_addresses(20000)]
    done = weir_geo("lookup", "--json", "--db", path,
                    stdin="\n".join(addresses).encode())
    assert done.code == 0
    answers = done.objects
    assert [one["address"] for one in answers] == addresses

    not_countries = {"EU": "XX", "AP": "XX", "A1": "XX", "A2": "XX", "O1": "XX",
                     "UK": "GB", None: "XX"}
    known = 0
    with maxminddb.open_database(str(path)) as reader:
        for answer in answers:
            if answer["country"] == "ZZ":
                continue
            record = reader.get(answer["address"])
            code = code_in(record)
            assert answer["country"] == not_countries.get(code, code), answer
            if answer["country"] != "XX":
                known += 1
                if "continent" in record:
                    assert answer["continent"] == record["continent"]["code"]
    assert known > 10000
