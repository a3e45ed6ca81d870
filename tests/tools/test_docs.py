"""The examples of the documents print what the documents say.

An example is a fenced `console` block: lines that begin with "$ " are commands
of one shell, and what stands behind each is all that it prints. Where a number
depends on the data of the day, or on the machine, only its place is compared.
"""

import os
import pathlib
import re
import subprocess

import pytest

from conftest import DEADLINE

ROOT = pathlib.Path(__file__).parents[2]
DOCUMENTS = ["README.md", "docs/weir-geo.md"]

ACCESS_LOG = """\
81.169.145.150 - - [31/Jan/2026:12:00:00 +0000] "GET / HTTP/1.1" 200 5
8.8.8.8 - - [31/Jan/2026:12:00:01 +0000] "GET / HTTP/1.1" 200 5
81.169.145.151 - - [31/Jan/2026:12:00:02 +0000] "GET / HTTP/1.1" 200 5
"""

VARIES = re.compile(r"\$ weir-geo (verify|info) .*--db country\.mmdb$")


def sessions():
    """(name, [(command, what it prints)]) for each example."""
    for document in DOCUMENTS:
        text = (ROOT / document).read_text()
        for number, block in enumerate(
                re.findall(r"^```console\n(.*?)^```$", text, re.M | re.S), 1):
            parts = re.split(r"^(\$ .*)\n", block, flags=re.M)
            assert parts[0] == "", block
            yield f"{document}-{number}", list(zip(parts[1::2], parts[2::2]))


SESSIONS = dict(sessions())


@pytest.fixture
def folder(tmp_path, country_db, fixture_dir):
    (tmp_path / "country.mmdb").symlink_to(country_db)
    (tmp_path / "own.mmdb").symlink_to(fixture_dir / "custom.mmdb")
    (tmp_path / "asn.mmdb").symlink_to(fixture_dir / "asn.mmdb")
    (tmp_path / "access.log").write_text(ACCESS_LOG)
    return tmp_path


def without_numbers(text):
    return re.sub(r"-?\d+", "0", text)


def test_every_document_has_examples():
    for document in DOCUMENTS:
        assert any(name.startswith(document) for name in SESSIONS)
    assert len(SESSIONS) >= 9


@pytest.mark.parametrize("name", SESSIONS)
def test_an_example_prints_what_the_document_says(binary, folder, name):
    session = SESSIONS[name]
    script = "".join(f"{command[2:]}\ncode=$?; printf '\\0'; (exit $code)\n"
                     for command, _ in session)
    done = subprocess.run(
        ["bash", "-c", script], cwd=folder, stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, check=False,
        timeout=DEADLINE,
        env={**os.environ, "PATH": f"{binary.parent}:{os.environ['PATH']}"})
    printed = done.stdout.decode().split("\0")
    assert len(printed) == len(session) + 1
    for (command, expected), found in zip(session, printed):
        if VARIES.match(command):
            expected, found = without_numbers(expected), without_numbers(found)
        assert found == expected, command
