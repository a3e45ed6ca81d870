"""The README's configuration is one: nginx takes it as it stands, but for the
paths of the module and the database, and it does what the text says."""

import re

import pytest

import addresses as a
import documents
from client import get, statuses
from documents import directives, proves, variables, waits_for
from upstreams import http_upstream

README = "README.md"
EXAMPLE = "Limit by country, in 15 lines"


@pytest.fixture
def serve(start_nginx, country_db):
    with http_upstream() as port:
        yield documents.Runner(start_nginx, {"db": country_db, "upstream": port})


def test_the_readmes_example_is_run():
    assert documents.unproven(README) == []


@proves(README, EXAMPLE)
def test_the_readmes_example_has_fifteen_lines(example):
    lines = [line for line in example.text.splitlines() if line]
    assert len(lines) == 15
    assert re.match(r"load_module modules/ngx_http_weir_module\.so;", lines[0])


@proves(README, EXAMPLE)
def test_the_readmes_fifteen_lines_limit_by_country(serve, example):
    nginx = serve(example)
    for address, number, rate in ((a.KR, 101, 50), (a.JP, 101, 50),
                                  (a.DE, 21, 20), (a.US, 21, 10)):
        assert statuses(nginx.port, number, "/", address) == [200] * number
        assert waits_for(get(nginx.port, "/other", address), 1, rate)
    assert get(nginx.port, "/", a.KP).status == 403


@proves(README, EXAMPLE)
def test_the_readmes_fifteen_lines_tell_the_backend_the_country(serve, example):
    nginx = serve(example)
    answer = get(nginx.port, "/", a.KR, [("X-Geo-Country", "CN")])
    assert "X-Geo-Country: KR" in answer.text.splitlines()
    assert "CN" not in answer.text


def test_the_readme_leads_to_every_directive_and_variable():
    text = (documents.ROOT / README).read_text()
    for word in directives() + variables():
        assert f"[`{word}`](docs/directives.md#" in text, word
