"""Fixtures for the black-box tests of weir-geo.

The environment says what is tested:
  WEIR_GEO              the binary
  WEIR_COUNTRY_DB       a world-wide country database (MaxMind's nested schema)
  WEIR_FLAT_COUNTRY_DB  another (ip-location-db's flat schema)
  WEIR_FIXTURE_DIR      small databases of all vendors' schemas
  WEIR_BINARY_DIR       the build, for what `cmake --install` gives

Nothing is skipped: what is missing is a failure that says so.
"""

import json
import os
import pathlib
import subprocess

import pytest

DEADLINE = 280  # seconds that no run takes, however busy the machine is


def _path_from(variable, kind):
    path = os.environ.get(variable)
    if not path:
        pytest.fail(f"{variable} is not set: it names {kind}")
    path = pathlib.Path(path).resolve()
    if not path.exists():
        pytest.fail(f"{variable}: there is no {path}")
    return path


def with_metadata(source, path, old, new):
    """A copy whose metadata says something else."""
    data = source.read_bytes()
    start = data.rindex(b"\xab\xcd\xefMaxMind.com")
    assert data[start:].count(old) == 1
    path.write_bytes(data[:start] + data[start:].replace(old, new))
    return path


@pytest.fixture(scope="session")
def binary():
    return _path_from("WEIR_GEO", "the binary weir-geo")


@pytest.fixture(scope="session")
def country_db():
    return _path_from("WEIR_COUNTRY_DB", "a world-wide country database")


@pytest.fixture(scope="session")
def flat_country_db():
    return _path_from("WEIR_FLAT_COUNTRY_DB", "a flat country database")


@pytest.fixture(scope="session")
def fixture_dir():
    return _path_from("WEIR_FIXTURE_DIR", "the folder of small databases")


class Done:
    """What a run said: exit code, and lines of both outputs."""

    def __init__(self, done):
        self.code = done.returncode
        self.out = done.stdout.decode()
        self.err = done.stderr.decode()

    @property
    def lines(self):
        return self.out.splitlines()

    @property
    def objects(self):
        return [json.loads(line) for line in self.lines]


@pytest.fixture(scope="session")
def weir_geo(binary):
    """Runs it with these arguments, and bytes as standard input."""
    def run(*arguments, stdin=b""):
        return Done(subprocess.run(
            [binary, *map(str, arguments)], input=stdin, capture_output=True,
            check=False, timeout=DEADLINE))
    return run
