"""weir-geo info."""

import datetime
import os
import time

import maxminddb
import pytest

from conftest import with_metadata

DAY = 86400


def info(weir_geo, path, *arguments):
    done = weir_geo("info", "--json", "--db", path, *arguments)
    assert (done.code, done.err) == (0, "")
    (result,) = done.objects
    return result


@pytest.mark.parametrize("name", ["country", "country-flat", "maxmind", "record-24",
                                  "record-32", "ipv4-only"])
def test_metadata_is_what_the_python_reader_has(weir_geo, country_db, flat_country_db,
                                                fixture_dir, name):
    path = {"country": country_db, "country-flat": flat_country_db}.get(
        name, fixture_dir / f"{name}.mmdb")
    before = time.time()
    said = info(weir_geo, path)
    after = time.time()
    with maxminddb.open_database(str(path)) as reader:
        metadata = reader.metadata()
    assert said["file"] == str(path)
    assert said["database_type"] == metadata.database_type
    assert said["description"] == metadata.description["en"]
    for name_of in ("build_epoch", "ip_version", "record_size", "node_count"):
        assert said[name_of] == getattr(metadata, name_of)
    built = datetime.datetime.fromtimestamp(metadata.build_epoch, datetime.timezone.utc)
    assert said["built"] == built.strftime("%Y-%m-%dT%H:%M:%SZ")
    assert (before - metadata.build_epoch) // DAY <= said["age_days"] \
        <= (after - metadata.build_epoch) // DAY
    assert said["file_bytes"] == os.path.getsize(path)


NESTED = (["country.iso_code", "registered_country.iso_code"], ["continent.code"],
          ["country.is_in_european_union", "registered_country.is_in_european_union"])
FLAT = (["country_code"], ["continent_code"], [])


@pytest.mark.parametrize("name, fields", [
    ("maxmind", NESTED), ("db-ip", NESTED), ("ip-location-db", FLAT),
    ("ipinfo-lite", FLAT), ("ipinfo-country-asn", (["country"], [], []))])
def test_the_schema_that_was_found_is_named(weir_geo, fixture_dir, name, fields):
    said = info(weir_geo, fixture_dir / f"{name}.mmdb")
    assert tuple(said[f"{one}_fields"] for one in ("country", "continent", "eu")) == fields


def test_the_field_that_was_named_is_the_schema(weir_geo, fixture_dir):
    said = info(weir_geo, fixture_dir / "custom.mmdb", "--country", "where.land.code")
    assert said["country_fields"] == ["where.land.code"]
    assert said["continent_fields"] == said["eu_fields"] == []


@pytest.mark.parametrize("name, networks, countries", [
    ("record-24", 4, 2),   # DE and KR, in both families
    ("maxmind", 18, 9),    # aliases are not counted again, nor codes of no country
    ("ipv4-only", 2, 2), ("ip-location-db", 5, 3)])
def test_networks_and_countries_are_counted(weir_geo, fixture_dir, name, networks,
                                            countries):
    said = info(weir_geo, fixture_dir / f"{name}.mmdb")
    assert (said["networks"], said["countries"]) == (networks, countries)


def test_the_table_of_a_world_wide_database_has_a_size_and_a_time(weir_geo, country_db):
    said = info(weir_geo, country_db)
    assert 1000000 < said["table_bytes"] < 10000000
    assert said["compile_ms"] > 0
    assert said["networks"] > 500000
    assert 240 <= said["countries"] <= 250


def test_words_have_the_same_names_and_values(weir_geo, fixture_dir):
    path = fixture_dir / "ip-location-db.mmdb"
    said = info(weir_geo, path)
    done = weir_geo("info", "--db", path)
    assert done.code == 0
    words = {line[:18].rstrip(): line[18:] for line in done.lines}
    assert list(words) == [name.replace("_", " ") for name in said]
    assert words["database type"] == f'"{said["database_type"]}"'
    assert words["node count"] == str(said["node_count"])
    assert words["country fields"] == '"country_code"'
    assert words["eu fields"] == "built in"


# ---- Without countries ----

@pytest.mark.parametrize("name, networks", [("asn", 2), ("partners", 2), ("fields", 3)])
def test_a_file_without_countries_has_the_other_facts(weir_geo, fixture_dir, name, networks):
    path = fixture_dir / f"{name}.mmdb"
    said = info(weir_geo, path)
    assert list(said) == list(info(weir_geo, fixture_dir / "maxmind.mmdb"))
    with maxminddb.open_database(str(path)) as reader:
        metadata = reader.metadata()
    for name_of in ("database_type", "build_epoch", "ip_version", "record_size", "node_count"):
        assert said[name_of] == getattr(metadata, name_of)
    assert said["country_fields"] == said["continent_fields"] == said["eu_fields"] == []
    assert (said["networks"], said["countries"]) == (networks, 0)
    assert said["file_bytes"] == os.path.getsize(path)
    assert said["table_bytes"] is said["compile_ms"] is None


def test_words_say_that_there_are_no_countries(weir_geo, fixture_dir):
    done = weir_geo("info", "--db", fixture_dir / "asn.mmdb")
    assert (done.code, done.err) == (0, "")
    words = {line[:18].rstrip(): line[18:] for line in done.lines}
    assert [words[f"{one} fields"] for one in ("country", "continent", "eu")] == ["none"] * 3
    assert words["table bytes"] == words["compile ms"] == "null"


# ---- What a file may claim ----

def epoch_value(seconds):
    size = (seconds.bit_length() + 7) // 8
    return b"build_epoch" + bytes([size, 2]) + seconds.to_bytes(size, "big")


@pytest.mark.parametrize("epoch, built", [
    (1, "1970-01-01T00:00:01Z"), (951782400, "2000-02-29T00:00:00Z"),
    (253402300799, "9999-12-31T23:59:59Z"), (253402300800, None), (2**64 - 1, None)])
def test_a_build_epoch_may_be_any_number(weir_geo, fixture_dir, tmp_path, epoch, built):
    path = with_metadata(fixture_dir / "record-24.mmdb", tmp_path / "epoch.mmdb",
                         epoch_value(1700000000), epoch_value(epoch))
    said = info(weir_geo, path)
    assert said["build_epoch"] == epoch
    assert said["built"] == built
    if built is None:
        assert said["age_days"] is None
    else:
        age = (time.time() - epoch) // DAY
        assert said["age_days"] in (age - 1, age)
    done = weir_geo("info", "--db", path)
    assert done.code == 0 and f"build epoch       {epoch}\n" in done.out


def test_bytes_of_a_description_that_are_no_text_do_no_harm(weir_geo, fixture_dir,
                                                            tmp_path):
    path = with_metadata(fixture_dir / "record-24.mmdb", tmp_path / "text.mmdb",
                         b"weir's test fixture", b"\"\\\x1b[31m\n\xff\xc3\xa9 fixture")
    said = info(weir_geo, path)
    assert said["description"].startswith("\"\\\x1b[31m\n\ufffdé fixture")
    done = weir_geo("info", "--db", path)
    assert "\x1b" not in done.out
    assert len(done.lines) == len(said)
