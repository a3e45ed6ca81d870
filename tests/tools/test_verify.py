"""weir-geo verify. Disagreements, which no file brings about, are those of
verify_report_test.cc and the unit tests CountryVerifier."""

import pytest

VENDORS = ["maxmind", "db-ip", "ip-location-db", "ipinfo-lite", "ipinfo-country-asn",
           "record-24", "record-28", "record-32", "ipv4-only"]


@pytest.mark.parametrize("name", VENDORS)
def test_every_fixture_agrees(weir_geo, fixture_dir, name):
    done = weir_geo("verify", "--json", "--db", fixture_dir / f"{name}.mmdb")
    assert (done.code, done.err) == (0, "")
    (result,) = done.objects
    assert result["disagreements"] == 0
    assert result["first_disagreements"] == []
    assert result["repetitions_left_out"] == 0
    assert result["networks"] > 4
    assert result["addresses"] >= 4 * result["networks"]
    assert 4 < result["known"] < result["addresses"]


@pytest.mark.parametrize("database", ["country_db", "flat_country_db"])
def test_world_wide_databases_agree(weir_geo, request, database):
    done = weir_geo("verify", "--db", request.getfixturevalue(database))
    assert (done.code, done.err) == (0, "")
    said = {label.rstrip(): int(number) for label, _, number in
            (line.rpartition(" ") for line in done.lines)}
    assert list(said) == ["networks compared", "addresses compared",
                          "with a known country", "disagreements"]
    assert said["networks compared"] > 1000000
    assert said["with a known country"] > 1000000
    assert said["disagreements"] == 0


def test_the_field_of_the_country_may_be_named(weir_geo, fixture_dir):
    done = weir_geo("verify", "--json", "--db", fixture_dir / "custom.mmdb",
                    "--country", "where.land.code")
    assert done.code == 0
    assert done.objects[0]["known"] > 4
