"""weir-geo lookup --field."""

import ipaddress
import random

import maxminddb
import pytest

from conftest import with_metadata

TEXTS = {"array.2": "two", "bytes": "000fff", "city.names.en": "Berlin", "double": "37.751",
         "false": "0", "float": "0.5", "int32": "-42", "location.latitude": "52.5",
         "long": "long " * 200, "most": "340282366920938463463374607431768211455",
         "subdivisions.1.iso_code": "XY", "text": "a  b ", "true": "1", "uint16": "65535",
         "uint32": "4294967295", "uint64": "18446744073709551615", "zero": "0"}
NO_TEXTS = ["array", "array.3", "city", "empty", "nowhere", "text.nowhere"]


def options(paths):
    return [word for path in paths for word in ("--field", path)]


def found(weir_geo, path, fields, *addresses):
    """The fields of each address, as JSON has them."""
    done = weir_geo("lookup", "--json", "--db", path, *options(fields), *addresses)
    assert (done.code, done.err) == (0, "")
    assert [list(one) for one in done.objects] == [["address", "fields"]] * len(addresses)
    assert [one["address"] for one in done.objects] == list(addresses)
    return [one["fields"] for one in done.objects]


def test_fields_stand_in_place_of_the_country_in_the_order_they_are_asked_for(
        weir_geo, fixture_dir):
    done = weir_geo("lookup", "--db", fixture_dir / "asn.mmdb", "--field",
                    "autonomous_system_organization", "81.169.145.150", "--field",
                    "autonomous_system_number", "168.126.63.1", "::1")
    assert (done.code, done.err) == (0, "")
    assert done.out == ('81.169.145.150\tExample "Hosting" GmbH\t64500\n'
                        "168.126.63.1\t-\t64510\n"
                        "::1\t-\t-\n")


def test_values_of_every_type_have_a_text(weir_geo, fixture_dir):
    path = fixture_dir / "fields.mmdb"
    assert found(weir_geo, path, TEXTS, "81.169.145.150") == [TEXTS]
    done = weir_geo("lookup", "--db", path, *options(TEXTS), "81.169.145.150")
    assert done.out == "\t".join(["81.169.145.150", *TEXTS.values()]) + "\n"


def test_what_is_missing_is_a_dash_and_null(weir_geo, fixture_dir):
    path = fixture_dir / "fields.mmdb"
    assert found(weir_geo, path, NO_TEXTS, "81.169.145.150", "192.0.2.1") == [
        dict.fromkeys(NO_TEXTS)] * 2
    done = weir_geo("lookup", "--db", path, *options(NO_TEXTS), "81.169.145.150")
    assert (done.code, done.out) == (0, "81.169.145.150" + "\t-" * len(NO_TEXTS) + "\n")


def test_a_file_of_ipv4_has_no_field_of_an_ipv6_address(weir_geo, fixture_dir):
    field = "country.iso_code"
    assert found(weir_geo, fixture_dir / "ipv4-only.mmdb", [field], "81.169.145.150",
                 "::ffff:81.169.145.150", "2a01:238::1") == [
        {field: "DE"}, {field: "DE"}, {field: None}]


def test_a_country_database_has_fields_as_well(weir_geo, fixture_dir):
    """What it has: no other code than its own, and of private addresses too."""
    fields = ["country.iso_code", "country.names.en"]
    assert found(weir_geo, fixture_dir / "maxmind.mmdb", fields, "5.0.2.1", "10.0.0.1") == [
        dict(zip(fields, ["UK", "country UK"])), dict(zip(fields, ["US", "country US"]))]


def test_metadata_are_the_same_for_every_address(weir_geo, fixture_dir):
    expected = {"metadata.build_epoch": "1700000000", "metadata.database_type": "weir-test-asn",
                "metadata.languages.0": "en", "metadata.nowhere": None, "metadata": None}
    assert found(weir_geo, fixture_dir / "asn.mmdb", expected, "81.169.145.150", "::1") == [
        expected, expected]


def text_value(text):
    """As an .mmdb file has it."""
    size = len(text)
    if size < 29:
        head = bytes([0x40 | size])
    elif size < 285:
        head = bytes([0x5d, size - 29])
    elif size < 65821:
        head = b"\x5e" + (size - 285).to_bytes(2, "big")
    else:
        head = b"\x5f" + (size - 65821).to_bytes(3, "big")
    return head + text


@pytest.mark.parametrize("size", [1, 255, 256, 257, 100000])
def test_a_text_of_any_length_is_whole(weir_geo, fixture_dir, tmp_path, size):
    text = ("0123456789" * size)[:size - 1] + "."
    path = with_metadata(fixture_dir / "asn.mmdb", tmp_path / "long.mmdb",
                         text_value(b"weir's test fixture asn"), text_value(text.encode()))
    field = "metadata.description.en"
    assert found(weir_geo, path, [field], "::1") == [{field: text}]
    assert weir_geo("lookup", "--db", path, "--field", field, "::1").out == f"::1\t{text}\n"


def test_texts_that_are_not_ascii(weir_geo, fixture_dir, tmp_path):
    field = "city.names.ko"
    assert found(weir_geo, fixture_dir / "fields.mmdb", [field], "168.126.63.1") == [
        {field: "서울"}]
    path = with_metadata(fixture_dir / "asn.mmdb", tmp_path / "text.mmdb",
                         b"weir's test fixture asn", b"\"\\\x1b[31m\n\xff\xc3\xa9 fixture asn")
    field = "metadata.description.en"
    assert found(weir_geo, path, [field], "::1") == [{field: "\"\\ [31m \ufffdé fixture asn"}]


@pytest.mark.parametrize("form, lines", [
    ([], ["81.169.145.150\t64500", "::1\t-"]),
    (["--json"], ['{"address": "81.169.145.150", "fields": {"autonomous_system_number": "64500"}}',
                  '{"address": "::1", "fields": {"autonomous_system_number": null}}'])])
def test_lines_are_answered_with_fields_and_no_address_is_named(weir_geo, fixture_dir, form,
                                                                lines):
    done = weir_geo("lookup", "--db", fixture_dir / "asn.mmdb", *form, "--field",
                    "autonomous_system_number", stdin=b"81.169.145.150\nlocalhost\n::1\n")
    assert (done.code, done.lines) == (1, lines)
    assert done.err.startswith('weir-geo: line 2: "localhost" is no address: expected')


def test_fields_are_those_of_the_python_reader(weir_geo, country_db):
    chance = random.Random(6)
    addresses = [str(one) for _ in range(2000) for one in (
        ipaddress.IPv4Address(chance.getrandbits(32)),
        ipaddress.IPv6Address(1 << 125 | chance.getrandbits(125)))]
    done = weir_geo("lookup", "--json", "--db", country_db, "--field", "country.iso_code",
                    "--field", "continent.code", stdin="\n".join(addresses).encode())
    assert done.code == 0
    with maxminddb.open_database(str(country_db)) as reader:
        records = [reader.get(address) or {} for address in addresses]
    expected = [{"country.iso_code": record.get("country", {}).get("iso_code"),
                 "continent.code": record.get("continent", {}).get("code")}
                for record in records]
    assert [one["fields"] for one in done.objects] == expected
    assert sum(record != {} for record in records) > 1000
