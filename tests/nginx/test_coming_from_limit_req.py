"""docs/coming-from-limit-req.md: the sed that it shows turns the limit_req
configuration that it shows into the weir one that it shows, and the two treat
requests alike but for what it lists; and what else it promises."""

import re
import subprocess

import pytest

import addresses as a
import documents
from client import encode, get, pipeline, statuses
from documents import proves
from server import wait_for
from upstreams import http_upstream
from waiting import send

GUIDE = "docs/coming-from-limit-req.md"
TOP, DIFFERENCES, BOTH = ("Coming from limit_req", "What differs then",
                          "Both side by side")
ME = "198.51.100.1"
IPV6 = "2001:db8:1:2::1", "2001:db8:1:2::2"  # of one /64

BEFORE, AFTER = documents.examples(GUIDE)[:2]


@pytest.fixture
def serve(start_nginx):
    with http_upstream() as port:
        yield documents.Runner(start_nginx, {"upstream": port})


def commands(heading):
    return [block.text for block in documents.blocks(GUIDE)
            if block.heading == heading and block.language == "indented"]


def renamed(text, folder):
    """The text after the document's own sed commands."""
    (folder / "sites-available").mkdir()
    (folder / "nginx.conf").write_text(text)
    (folder / "sites-available" / "site").write_text(text)
    (command,) = commands(TOP)
    for line in command.splitlines():
        if line.startswith("sed "):
            subprocess.run(["sh", "-c", line.replace("/etc/nginx", str(folder))],
                           check=True)
    load, _, text = (folder / "nginx.conf").read_text().partition("\n")
    assert load == "load_module modules/ngx_http_weir_module.so;"
    assert (folder / "sites-available" / "site").read_text() == text
    return text


def test_every_example_of_the_guide_is_run():
    assert documents.unproven(GUIDE) == []


@proves(GUIDE, TOP, 1)
def test_the_sed_makes_the_one_configuration_of_the_other(tmp_path, example):
    assert renamed(example.text, tmp_path) == AFTER.text


# One request a minute is as slow as limit_req can be.
SLOW = [("rate=10r/30d", "rate=1r/m"), ("rate=100r/30d", "rate=1r/m")]
AS_WEIR = ("\nserver {", "\nlimit_req_status 429;\nserver {")


def outcomes(nginx):
    """What becomes of requests to every location: their statuses, what the log
    says of them, and the lines of the error log."""
    found = [pipeline(nginx.port, [encode("/", ME)] * 15)]

    found.append(statuses(nginx.port, 9, "/downloads/", a.KR))
    held = [send(nginx, f"held{n}", "/downloads/", a.KR) for n in range(4)]
    found.append(get(nginx.port, "/downloads/", a.KR).status)
    for connection in held:
        connection.close()

    found.append(pipeline(nginx.port, [encode("/new/", a.DE)] * 15))
    found += [pipeline(nginx.port, [encode("/", f"198.51.101.{n}")] * 8)
              for n in range(9)]

    count = 15 + 9 + 4 + 1 + 15 + 9 * 8
    wait_for(lambda: len(nginx.lines("limits.log")) == count, "the log")
    text = re.compile(r"\[(\w+)\] \S+ \S+ (limiting|delaying)(.*?), excess:"
                      r" ([\d.]+)(,?) by zone \"(\w+)\"")
    log = [(match[1], match[2] + match[3] + match[5], round(float(match[4])),
            match[6]) for match in
           map(text.search, nginx.errors("excess:"))]
    return found, sorted(nginx.lines("limits.log")), sorted(log)


@proves(GUIDE, TOP, 2)
def test_the_two_treat_requests_alike(serve, example):
    """But for the status, which is made the same."""
    weir = outcomes(serve(example, SLOW))
    limit_req = outcomes(serve(BEFORE, [*SLOW, AS_WEIR]))
    assert weir == limit_req
    codes, log, errors = weir
    assert codes[:4] == [[200] * 13 + [429] * 2, [200] * 9, 429, [200] * 15]
    assert {line.split()[2] for line in log} == \
        {"PASSED", "REJECTED", "DELAYED", "REJECTED_DRY_RUN"}
    assert {words[-1] for words in errors} == {"clients", "servers"}


def test_a_reload_is_enough(make_nginx, tmp_path):
    with http_upstream() as port:
        nginx = make_nginx(documents.placed(BEFORE.text), module=False,
                           words={"upstream": port}).start()
        assert get(nginx.port, "/", ME).status == 200
        nginx.frame["module"] = True
        nginx.reload(documents.placed(renamed(BEFORE.slowly(), tmp_path)))
        assert statuses(nginx.port, 15, "/", ME) == [200] * 13 + [429] * 2


# ---- What differs ----

ONE = "zone=one:1m rate=1r/m;"


def test_statuses_and_times_to_come_again_differ(start_limited, limiter):
    nginx = start_limited(f"weir_limit_zone $binary_remote_addr {ONE}",
                          "location / { weir_limit zone=one; }")
    assert get(nginx.port, "/", ME).status == 200
    refused = get(nginx.port, "/", ME)
    assert (refused.header("Retry-After") is None) == limiter.plain


@pytest.mark.parametrize("word, status, of_one_64, mapped", [
    ("weir_limit", 429, 429, 429), ("limit_req", 503, 200, 200)])
def test_clients_and_statuses_differ(start_nginx, word, status, of_one_64, mapped):
    nginx = start_nginx(f"{word}_zone $binary_remote_addr {ONE}",
                        f"location / {{ {word} zone=one; }}")
    assert statuses(nginx.port, 2, "/", ME) == [200, status]
    assert statuses(nginx.port, 1, "/", IPV6[0]) == [200]
    assert get(nginx.port, "/", IPV6[1]).status == of_one_64
    assert get(nginx.port, "/", a.mapped(ME)).status == mapped


@proves(GUIDE, DIFFERENCES)
def test_what_is_limit_reqs_can_be_had_back(serve, example):
    nginx = serve(example)
    for client in (ME, *IPV6):
        assert statuses(nginx.port, 7, "/", client) == [200] * 6 + [503]


@pytest.mark.parametrize("zone, limit", [
    ("rate=1r/s", "burst=5 burst=6"), ("rate=1r/s", "delay=3 nodelay"),
    ("rate=2000000r/s", "burst=5"),
    ("rate=1r/m", "burst=100000000 nodelay")])
def test_nginx_t_is_stricter(make_nginx, zone, limit):
    for word, accepted in (("limit_req", True), ("weir_limit", False)):
        nginx = make_nginx(f"{word}_zone $uri zone=one:1m {zone};",
                           f"{word} zone=one {limit};")
        code, said = nginx.check()
        assert (code == 0) == accepted, said


def test_a_retry_after_of_ones_own_is_a_second_one(start_nginx):
    nginx = start_nginx(f"weir_limit_zone $binary_remote_addr {ONE}",
                        "add_header Retry-After 60 always;"
                        "location / { weir_limit zone=one; }")
    statuses(nginx.port, 1, "/", ME)
    refused = get(nginx.port, "/", ME)
    assert sum(name == "Retry-After" for name, _ in refused.headers) == 2


# ---- Both ----

def disagreements(nginx, count):
    wait_for(lambda: len(nginx.lines("compare.log")) == count, "the log")
    (command,) = commands(BOTH)
    command = command.replace("/var/log/nginx", str(nginx.dir))
    return sorted(subprocess.run(["sh", "-c", command], capture_output=True,
                                 text=True, check=True).stdout.splitlines())


@proves(GUIDE, BOTH)
def test_both_can_judge_and_be_compared(serve, example):
    nginx = serve(example, SLOW[:1])
    assert statuses(nginx.port, 23, "/", ME) == [200] * 21 + [429] * 2
    assert disagreements(nginx, 23) == ["2 REJECTED -"]


@proves(GUIDE, BOTH)
def test_a_disagreement_is_seen(serve, example):
    """Where weir takes a /64 for one client, and limit_req does not."""
    nginx = serve(example, SLOW[:1] + [("ipv6_prefix=128", "ipv6_prefix=64")])
    for client in IPV6:
        assert statuses(nginx.port, 15, "/", client) == [200] * 15
    assert disagreements(nginx, 30) == ["9 PASSED REJECTED"]


@proves(GUIDE, BOTH)
def test_limit_req_may_watch_while_weir_is_in_force(serve, example):
    nginx = serve(example, SLOW[:1] + [("weir_limit_dry_run on;",
                                        "limit_req_dry_run on;")])
    assert statuses(nginx.port, 23, "/", ME) == [200] * 21 + [429] * 2
    assert disagreements(nginx, 23) == []


# ---- fail2ban ----

def test_the_log_line_for_fail2ban_is_as_shown(start_limited):
    """From both modules, but for numbers and names; in a dry run it is
    another."""
    (shown,) = [block.text.strip() for block in documents.blocks(GUIDE)
                if block.heading == "fail2ban"]
    pattern = re.escape(shown)
    for said, other in (("20\\.520", r"\d+\.\d{3}"), ("192\\.0\\.2\\.1", ME),
                        ('"clients"', '"one"'), ("example\\.com", r"\S*?")):
        assert said in pattern
        pattern = pattern.replace(said, other)
    nginx = start_limited(
        f"weir_limit_zone $binary_remote_addr {ONE}",
        "location / { weir_limit zone=one; }"
        "location /dry/ { weir_limit zone=one; weir_limit_dry_run on;"
        " alias @dir@/html/; }")
    statuses(nginx.port, 3, "/", ME)
    assert len(nginx.errors(pattern + "$")) == 2
    statuses(nginx.port, 3, "/dry/", ME)
    assert len(nginx.errors("limiting requests, dry run")) == 3
    assert len(nginx.errors("limiting requests, excess")) == 2
