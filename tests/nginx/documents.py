"""The nginx examples of the project's documents, found and made to run.

An example is a fenced block of nginx in any *.md file, or an indented one that
begins with load_module. It is a whole configuration, with `http {` in it, or
the inside of http. A test that runs one says so by @proves, which hands it
over; unproven() names those that no test runs.

What is replaced for a run: paths of databases and logs, addresses of upstreams
and those to listen at, and, when it serves, rates, which become as many
requests in 30 days: what passes at once is what bursts allow.
"""

import os
import pathlib
import re
import subprocess
from typing import NamedTuple

import pytest

import server

ROOT = pathlib.Path(__file__).parents[2]

PERIOD = 30 * 86400  # of all rates of a served example, in seconds

PATHS = {"/var/lib/GeoIP/country.mmdb": "@db@",
         "/var/lib/GeoIP/own.mmdb": "@own@",
         "/var/lib/GeoIP/city.mmdb": "@city@",
         "/var/lib/GeoIP/asn.mmdb": "@asn@",
         "/var/lib/GeoIP/partners.mmdb": "@partners@",
         "/var/log/nginx": "@dir@",
         "127.0.0.1:3000": "127.0.0.1:@upstream@",
         "127.0.0.1:3001": "127.0.0.1:@upstream2@"}

HEADING = re.compile(r"#+ (.+)")
FENCE = re.compile(r"```(\w*)$")

# What a configuration looks like, and the lists of words in a syntax do not.
STATEMENT = re.compile(r"\s*(server|http|location \S+) \{|"
                       r"\s*(weir|limit_req|load_module)\w* [^\]|]*;")


class Block(NamedTuple):
    document: str   # its path in the project
    heading: str    # what it stands under
    line: int       # of the document, in which it begins
    language: str   # of a fence; "" for none, "indented" for such a block
    text: str

    def is_example(self):
        return self.language == "nginx" or (
            self.language == "indented" and self.text.startswith("load_module "))


class Example(NamedTuple):
    document: str
    heading: str
    number: int     # among those of its heading, from 1
    line: int
    text: str

    @property
    def name(self):
        return f"{self.document}: {self.heading} ({self.number})"

    @property
    def is_whole(self):
        return re.search(r"^http \{", self.text, re.M) is not None

    def inside(self):
        """What is between the braces of http."""
        if not self.is_whole:
            return self.text
        start = re.search(r"^http \{", self.text, re.M).end()
        return self.text[start:_end_of_block(self.text, start)]

    def slowly(self):
        """The inside of http, with rates that no test's duration matters to."""
        return re.sub(r"\b(\d+)r/\d*[smhd]\b", r"\1r/30d", self.inside())


def databases(fixture_dir):
    """Words for small databases that stand for those of examples."""
    names = {"own": "custom", "city": "fields", "asn": "asn", "partners": "partners"}
    return {word: fixture_dir / f"{name}.mmdb" for word, name in names.items()}


# ---- Reading ----

def documents():
    """Paths of all documents, but for those in folders that are made."""
    found = []
    for folder, folders, files in os.walk(ROOT):
        folders[:] = [name for name in folders
                      if not name.startswith(".") and name != "build"]
        found += [str(pathlib.Path(folder, name).relative_to(ROOT))
                  for name in files if name.endswith(".md")]
    return sorted(found)


def lines_of(document):
    return (ROOT / document).read_text().splitlines()


def blocks(document):
    """All blocks of code."""
    heading, block = "", None
    for number, line in enumerate(lines_of(document), 1):
        fence = FENCE.match(line)
        if block and block.language != "indented":
            if fence:
                yield block
                block = None
            else:
                block = block._replace(text=f"{block.text}{line}\n")
        elif fence:
            block = Block(document, heading, number, fence[1], "")
        elif line.startswith("    "):
            block = block or Block(document, heading, number, "indented", "")
            block = block._replace(text=f"{block.text}{line[4:]}\n")
        elif block and not line:
            block = block._replace(text=f"{block.text}\n")
        else:
            if block:
                yield block
                block = None
            if title := HEADING.match(line):
                heading = title[1]
    if block:
        yield block


def examples(document):
    found = []
    for block in blocks(document):
        if block.is_example():
            number = 1 + sum(one.heading == block.heading for one in found)
            found.append(Example(document, block.heading, number, block.line,
                                 block.text))
    return found


def all_examples():
    return [example for document in documents()
            for example in examples(document)]


# ---- What there is to describe ----

def _source(name):
    return (ROOT / "module" / f"ngx_http_weir_{name}.c").read_text()


def directives():
    return re.findall(r"(?:\w+|\{ ngx_string)\(\"(weir_\w+)\"", _source("conf"))


def variables():
    return [f"${word}" for word in
            re.findall(r"ngx_string\(\"(weir_\w+)\"\), NULL", _source("variables"))]


# ---- Which are proven ----

PROVEN = set()


def proves(document, heading, number=1):
    """Of a test that runs this example and shows what the text claims."""
    for example in examples(document):
        if (example.heading, example.number) == (heading, number):
            PROVEN.add(example.name)
            return pytest.mark.parametrize("example", [example],
                                           ids=[f"{heading}-{number}"])
    raise LookupError(f"{document} has no example {number} of \"{heading}\"")


def unproven(document):
    return [example.name for example in examples(document)
            if example.name not in PROVEN]


# ---- Running ----

def waits_for(answer, tokens, rate, period=PERIOD):
    """Whether a refusal says that so many tokens have to come back, at so many
    in the period: a tenth is for the time that the test has taken, and a
    hundredth for the rounding of rates."""
    exactly = period * tokens / rate
    said = int(answer.header("Retry-After"))
    return answer.status == 429 and 0.9 * exactly < said < 1.01 * exactly + 1


def _end_of_block(text, start):
    """Where the brace closes that was opened before start."""
    depth = 1
    for match in re.finditer(r"#.*|\"[^\"]*\"|'[^']*'|[{}]", text[start:]):
        depth += {"{": 1, "}": -1}.get(match[0], 0)
        if depth == 0:
            return start + match.start()
    raise ValueError("a block has no end")


def listening(text):
    """The text with each address to listen at replaced by @port@, @port2@...
    A server that names none listens at 80, as nginx has it."""
    ports = {}

    def free(port):
        number = ports.setdefault(port, len(ports) + 1)
        return f"127.0.0.1:@port{number if number > 1 else ''}@"

    out, at = "", 0
    for match in re.finditer(r"^\s*server \{", text, re.M):
        end = _end_of_block(text, match.end())
        inside = text[match.end():end]
        if not re.search(r"^\s*listen\b", inside, re.M):
            inside = f" listen {free('80')};" + inside
        else:
            inside = re.sub(r"(\blisten\s+)[^\s;]*?(\d+)(?=[\s;])",
                            lambda m: m[1] + free(m[2]), inside)
        out += text[at:match.end()] + inside
        at = end
    return out + text[at:]


def placed(text):
    """The text with all that depends on the machine as words to fill in."""
    for path, word in PATHS.items():
        text = text.replace(path, word)
    return listening(text)


class Runner:
    """Starts an nginx with an example, before upstreams of a test's choice."""

    def __init__(self, start_nginx, words):
        self.start_nginx = start_nginx
        self.words = words

    def __call__(self, example, replace=(), **words):
        """`replace` are pairs of texts."""
        text = example.slowly()
        for old, new in replace:
            assert old in text
            text = text.replace(old, new)
        realip = "" if "real_ip_header" in text else server.REALIP
        return self.start_nginx(placed(text), realip=realip,
                                words={**self.words, **words})


def check(example, nginx):
    """What `nginx -t` says of an example as it stands, in the folder of an
    nginx that is not started: its return code and its messages."""
    text = example.text
    if not example.is_whole:
        text = f"http {{\n{text}}}\n"
    if "load_module" not in text:
        text = f"load_module modules/ngx_http_weir_module.so;\n{text}"
    if not re.search(r"^events\b", text, re.M):
        text += "events { }\n"
    text = text.replace("modules/ngx_http_weir_module.so", server.module_path())
    temporary = " ".join(f"{kind}_temp_path @dir@/tmp/{kind};"
                         for kind in server.TEMPORARY)
    if "access_log" not in text:
        temporary += " access_log off;"
    text = re.sub(r"^http \{", f"http {{ {temporary}", text, flags=re.M)
    nginx.conf.write_text(nginx.fill_in(placed(text)))
    done = subprocess.run(
        [server.binary(), "-t", "-p", str(nginx.dir), "-c", str(nginx.conf),
         "-e", "stderr", "-g", f"pid {nginx.dir}/nginx.pid;"],
        capture_output=True, text=True, check=False,
        timeout=server.DEADLINE)
    return done.returncode, server.without_age(done.stderr)
