"""The README's configuration is one: nginx takes it as it stands, but for the
paths of the module and the database, and it does what the text says."""

import pathlib
import re

import addresses as a
from client import get, statuses

README = pathlib.Path(__file__).parents[2] / "README.md"


def example():
    """The http block of the README, without its indentation."""
    text = README.read_text()
    block = re.search(r"^    load_module .*?^    }$", text, re.M | re.S).group()
    lines = [line[4:] for line in block.splitlines() if line.strip()]
    assert len(lines) == 15
    assert re.match(r"load_module modules/ngx_http_weir_module\.so;", lines[0])
    return lines


def test_the_readmes_fifteen_lines_limit_by_country(start_nginx, country_db):
    inside = "\n".join(example()[2:-1])
    http, server = re.fullmatch(r"(.*?)    server \{(.*)\}", inside.strip(),
                                re.S).groups()
    http = http.replace("/var/lib/GeoIP/country.mmdb", str(country_db))
    server = re.sub(r"location / \{.*?\}", "location / { }", server)
    # As slow as a test needs it; the numbers are the README's otherwise.
    nginx = start_nginx(http.replace("r/s", "r/h"), server)
    assert statuses(nginx.port, 103, "/", a.KR).count(200) == 101
    assert statuses(nginx.port, 23, "/", a.DE).count(200) == 21
    assert get(nginx.port, "/", a.KP).status == 403
