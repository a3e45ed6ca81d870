"""Every mistake in a configuration is found by `nginx -t`.

The message names the file and the line, quotes the offending word, and says
what was expected. Each case is the inside of an http block; the line in which
the mistake is ends in `#<` (without such a mark: the last line). The word is
a pattern that has to match all that stands between two quotes.
"""

import re

import pytest

DB = "weir_geo_db @maxmind@;\n"
ZONE = "weir_limit_zone $binary_remote_addr zone=one:1m rate=1r/s;\n"
USE = "server { weir_limit zone=one burst=5 nodelay; }"
EXPECTED = "expected|must be|must have"

RATES = ["0r/s", "10x", "10r", "r/s", "10r/", "10r/x", "10r/sec", "-1r/s",
         "1.5r/s", "10r/0s", "10r/31d", "2000000r/s", "99999999999r/s", "",
         "10r/s,", "0x10r/s", "10R/s"]

DATABASES = [
    (DB.replace("@maxmind@", path), re.escape(path), phrase)
    for path, phrase in [
        ("/nonexistent/none.mmdb", "No such file"),
        ("@files@/empty.mmdb", "empty|truncated|no .mmdb"),
        ("@files@/short.mmdb", "truncated"),
        ("@files@/half.mmdb", "truncated"),
        ("@files@/almost.mmdb", "truncated"),
        ("@files@/text.mmdb", "no .mmdb"),
        ("@files@", "directory|regular file"),
        ("@fixtures@/no-country.mmdb", "country"),
    ]
] + [
    ("weir_geo_db @maxmind@ country=no.such.field;", "no.such.field", "field|path|found"),
    ("weir_geo_db @maxmind@ country=;", "(country=)?", ""),
    ("weir_geo_db @maxmind@ colour=red;", "colour=red", EXPECTED),
    *((f"weir_geo_db @maxmind@ {word};", word, EXPECTED) for word in (
        "reload=", "reload=never", "reload=0", "reload=99ms", "reload=2d", "reload=-1s",
        "accept=", "accept=newer", "accept=older,", "accept=older,older")),
    ("weir_geo_db @maxmind@ accept=older accept=type;", "accept=type", "twice|more than once"),
    (DB + DB, "weir_geo_db", "duplicate"),
    ("weir_geo_db;", "weir_geo_db", "arguments"),
    ("server { weir_geo_db @maxmind@; }", "weir_geo_db", "not allowed here"),
]


def zone_with(parameters, name="one:1m"):
    return f"weir_limit_zone $binary_remote_addr zone={name} {parameters};"


ZONES = [
    *((zone_with(f"rate={rate}"), f"(rate=)?{re.escape(rate)}", EXPECTED)
      for rate in RATES),
    (zone_with("rate=1r/s", "one:8k"), "one|zone=one:8k", "too small.*32k"),
    (zone_with("rate=1r/s", "one:31k"), "one|zone=one:31k", "too small.*32k"),
    (zone_with("rate=1r/s", "one:big"), "zone=one:big", EXPECTED),
    (zone_with("rate=1r/s", "one:-1m"), "zone=one:-1m", EXPECTED),
    (zone_with("rate=1r/s", "one:"), "zone=one:", EXPECTED),
    (zone_with("rate=1r/s", "one"), "zone=one", EXPECTED),
    (zone_with("rate=1r/s", ":1m"), "zone=:1m", EXPECTED),
    (zone_with("rate=1r/s", ""), "zone=", EXPECTED),
    ("weir_limit_zone $uri rate=1r/s full=evict;", "zone=?", EXPECTED),
    ("weir_limit_zone $uri zone=one:1m full=evict;", "rate=?", EXPECTED),
    ("weir_limit_zone $uri zone=one:1m;", "weir_limit_zone|rate",
     f"arguments|{EXPECTED}"),
    ("weir_limit_zone zone=one:1m rate=1r/s full=evict;", ".*", ""),
    (ZONE + ZONE, "one", "already|duplicate|twice"),
    (zone_with("rate=1r/s rate=2r/s"), "rate=2r/s", "twice"),
    (zone_with("rate=1r/s", "one:1m zone=two:1m"), "zone=two:1m", "twice"),
    (zone_with("rate=1r/s full=evict full=evict"), "full=evict", "twice"),
    (ZONE.replace("weir_limit", "limit_req") + ZONE, "one",
     "already|different|other"),
    (zone_with("rate=1r/s algorithm=leaky"), "algorithm=leaky|leaky", EXPECTED),
    (zone_with("rate=1r/s full=maybe"), "full=maybe|maybe", EXPECTED),
    (zone_with("rate=1r/s colour=red"), "colour=red", EXPECTED),
    *((zone_with(f"rate=1r/s {prefix}"), f"{prefix}|{prefix.split('=')[1]}",
       EXPECTED)
      for prefix in ("ipv4_prefix=0", "ipv4_prefix=33", "ipv4_prefix=-1",
                     "ipv4_prefix=x", "ipv4_prefix=", "ipv6_prefix=0",
                     "ipv6_prefix=129", "ipv6_prefix=64x")),
    ("server {" + zone_with("rate=1r/s") + "}", "weir_limit_zone",
     "not allowed here"),
    # Each of these quotas is well served by a zone of its own.
    (zone_with("rate=100000r/s") + "#<\n" + DB +
     "weir_country_limits zone=one { KR rate=1r/d burst=100; }\n" + USE,
     "1r/d burst=100", '"100000r/s.*too far apart|too far apart.*"100000r/s'),
    # Their burst is too large in any zone.
    (zone_with("rate=1000000r/s") + "\n" + USE.replace("burst=5", "burst=2147483647")
     + " #<", "1000000r/s burst=2147483647", "too large a burst.*expected at most 1018066321"),
    # This one is not, and the burst that makes it so is the limit's.
    (zone_with("rate=1r/d") + "\n" + USE.replace("burst=5", "burst=100000")
     + " #<", "1r/d burst=100000", "too slow"),
]


def limit(words):
    return ZONE + f"server {{\nweir_limit {words}; #<\n}}"


LIMITS = [
    (limit("zone=one burst=5 burst=6 nodelay"), "burst=6", "twice"),
    (limit("zone=one zone=one"), "zone=one", "twice"),
    (limit("zone=nope"), "nope", "unknown|not defined|no zone"),
    (limit("zone="), "zone=", EXPECTED),
    (limit("burst=5 nodelay"), "zone|weir_limit", EXPECTED),
    *((limit(f"zone=one burst={burst} nodelay"), f"(burst=)?{burst}", EXPECTED)
      for burst in ("0", "-1", "x", "", "5x", "4294967296", "1e3")),
    *((limit(f"zone=one burst=5 delay={delay}"), f"(delay=)?{delay}", EXPECTED)
      for delay in ("0", "-1", "x", "", "5x", "4294967296", "1e3")),
    *((limit(f"zone=one burst=5 {words}"), word, "delay=3.*nodelay|nodelay.*delay=3")
      for words in ("delay=3 nodelay", "nodelay delay=3")
      for word in ("delay=3", "nodelay")),
    (limit("zone=one burst=5 delay=3 delay=4"), "delay=4", "twice"),
    (limit("zone=one burst=5 nodelay nodelay"), "nodelay", "twice"),
    (limit("zone=one burst=5 nodely"), "nodely", EXPECTED),
    *((limit(f"zone=one rate={rate}"), f"rate={rate}", r"variable.*weir_limit_zone")
      for rate in ("", "1r/s", "off")),
    *((limit(f"zone=one cost={cost}"), f"cost={cost}", EXPECTED)
      for cost in ("", "-1", "x", "1.5", "4294967296", "99999999999999999999")),
    *((limit(f"zone=one count={codes}"), code, EXPECTED)
      for codes, code in (("", ""), (",", ""), ("401,", ""), (",401", ""),
                          ("401,,403", ""), ("199", "199"),
                          ("0401", "0401"), ("401,600", "600"),
                          ("4xx", "4xx"), ("401-403", "401-403"), ("-401", "-401"))),
    (limit("zone=one burst=4 nodelay cost=6"), "cost=6", "at most 5"),
    (limit("zone=one rate=$arg_r cost=2"), "cost=2", "at most 1"),
    (limit("zone=one count=401,403,401"), "401", "twice"),
    (limit("zone=one count=401 count=403"), "count=403", "twice"),
    (limit("zone=one rate=$arg_a rate=$arg_b"), r"rate=\$arg_b", "twice"),
    (limit("zone=one cost=2 cost=$arg_b"), r"cost=\$arg_b", "twice"),
    (limit("zone=one colour=red"), "colour=red", EXPECTED),
    (limit("off zone=one"), "zone=one|off", EXPECTED),
    (limit("zone=one nodelay; weir_limit zone=one"), "one|zone=one",
     "duplicate|twice|already"),
    (ZONE + "server { location / { if ($arg_x) {\nweir_limit zone=one;#<\n} } }",
     "weir_limit", "not allowed here"),
    *((f"{name} {code};", f"({name} )?{code}", EXPECTED)
      for name in ("weir_limit_status", "weir_geo_status")
      for code in ("200", "399", "600", "abc", "-1")),
    *((f"{name} {word};", word, '"info", "notice", "warn" or "error"')
      for name in ("weir_limit_log_level", "weir_geo_log_level")
      for word in ("loud", "crit", "debug", "0")),
    *((f"weir_limit_headers {word};", word, '"off", "ietf", "legacy" or "both"')
      for word in ("on", "draft", "ietf,legacy")),
    ("weir_limit_headers ietf legacy;", "weir_limit_headers", "number of arguments"),
    *((f"weir_limit_log_rate {word};", word, "from 1 to 10000 lines a second")
      for word in ("0", "10001", "-1", "on", "10r/s", "1k")),
    ("weir_geo_dry_run maybe;", "maybe", EXPECTED),
    *((f"{name} {word}; {name} {word};", name, "duplicate")
      for name, word in (("weir_limit_log_level", "info"), ("weir_limit_headers", "off"),
                         ("weir_limit_log_rate", "5"), ("weir_limit_log_rate", "off"),
                         ("weir_geo_log_level", "warn"), ("weir_geo_dry_run", "on"))),
    ("weir_limit_dry_run maybe;", "maybe", EXPECTED),
    ("weir_limit_status 429; weir_limit_status 503;", "weir_limit_status",
     "duplicate"),
]


def table(*entries, zone="zone=one", db=DB):
    """The last entry is the wrong one."""
    lines = "\n".join(f"{entry};" for entry in entries)
    return (ZONE + db + f"weir_country_limits {zone} {{\n{lines} #<\n}}\n" + USE)


COUNTRIES = [
    *((table(f"{code} rate=1r/s"), re.escape(code), EXPECTED)
      for code in ("UX", "kr", "KOR", "K", "continent:XX", "continent:", "eu",
                   "Default", "private", "all")),
    (table("KR rate=1r/s", "JP KR rate=2r/s"), "KR", "twice|duplicate|already"),
    (table("KR KR rate=1r/s"), "KR", "twice|duplicate|already"),
    (table("default off", "default deny"), "default", "twice|duplicate|already"),
    (table("GB off", "UK off"), "UK|GB", "twice|duplicate|already"),
    *((table(f"KR rate={rate}"), f"(rate=)?{re.escape(rate)}", EXPECTED)
      for rate in RATES),
    *((table(f"KR rate=1r/s burst={burst}"), f"(burst=)?{burst}", EXPECTED)
      for burst in ("-1", "x", "", "4294967296")),
    (table("KR"), "KR", EXPECTED),
    (table("KR burst=5"), "KR|rate|burst=5", EXPECTED),
    (table("rate=1r/s"), ".*", EXPECTED),
    (table("KR rate=1r/s nodelay"), "nodelay", EXPECTED),
    (table("KR rate=1r/s off"), "off|KR|rate=1r/s", EXPECTED),
    (table("KR deny burst=5"), "deny|KR|burst=5", EXPECTED),
    (ZONE + DB + "weir_country_limits zone=nope { #<\nKR off;\n}", "nope",
     "unknown|not defined|no zone"),
    (ZONE + DB + "weir_country_limits nope { #<\nKR off;\n}", "nope", EXPECTED),
    (ZONE + DB + "weir_country_limits zone=one { KR off; }\n"
     "weir_country_limits zone=one { #<\nJP off;\n}", "one|zone=one",
     "twice|duplicate|already"),
    (ZONE + DB + "server { weir_country_limits zone=one { KR off; } }",
     "weir_country_limits", "not allowed here"),
    (ZONE + "weir_country_limits zone=one { #<\nKR off;\n}\n" + USE,
     "weir_country_limits", "weir_geo_db"),
    (ZONE + DB + "weir_country_limits zone=one { #<\n}\n" + USE, "one", "empty"),
    (ZONE + DB + "weir_country_limits zone=one {\nKR rate=1r/d burst=100000; #<\n}",
     "1r/d burst=100000", "too slow"),
]

GEO = [
    *((f"server {{\n{directive}; #<\n}}", directive.split()[0], "weir_geo_db")
      for directive in ("weir_geo_deny KP", "weir_geo_allow KR",
                        "weir_geo_headers on", "weir_geo_header X-A $weir_country",
                        "weir_geo_status 451", "weir_geo_dry_run on",
                        "weir_geo_log_level info")),
    ("weir_limit_zone $weir_country zone=one:1m rate=1r/s;",
     r"\$weir_country", "weir_geo_db"),
    *((DB + f"weir_geo_{kind} {words};", word, EXPECTED)
      for kind in ("allow", "deny")
      for words, word in (("XY", "XY"), ("kr", "kr"), ("KR DE NOPE", "NOPE"),
                          ("continent:XX", "continent:XX"), ("default", "default"),
                          ("KR DE KR", "KR"), ("all all", "all"))),
    (DB + "weir_geo_deny KP;\nweir_geo_deny KR KP;", "KP", EXPECTED),
    (DB + "weir_geo_deny;", "weir_geo_deny", "arguments"),
    (DB + "weir_geo_headers maybe;", "maybe", EXPECTED),
    (DB + "weir_geo_header X-From;", "weir_geo_header", "arguments"),
    *((DB + f"weir_geo_header '{name}' 1;", re.escape(name), EXPECTED)
      for name in ("X From", "X:From", "", "X\tFrom", "X-Fröm")),
]

WINDOW = ZONE.replace(";", " algorithm=sliding_window;")

WINDOWS = [
    (WINDOW.replace("1r/s", "9r/m") + "server {\nweir_limit zone=one cost=10; #<\n}",
     "cost=10", "at most 9"),
    (zone_with("rate=1r/s algorithm=sliding"), "algorithm=sliding", EXPECTED),
    (zone_with("rate=1r/s algorithm="), "algorithm=", EXPECTED),
    (zone_with("rate=1r/s algorithm=token_bucket algorithm=sliding_window"),
     "algorithm=sliding_window", "twice"),
    *((text, words.split()[-1], 'zone "one".*sliding_window.*expected')
      for words in ("burst=5", "nodelay", "delay=3", "nodelay burst=5")
      for text in (limit(f"zone=one {words}").replace(ZONE, WINDOW),
                   limit(f"zone=one {words}").replace(ZONE, "") + "\n" + WINDOW)),
    *((WINDOW + DB + f"weir_country_limits zone=one {{\nKR rate=2r/s burst={n}; #<\n}}",
       f"burst={n}", 'zone "one".*sliding_window.*expected') for n in (0, 5)),
    (WINDOW.replace("\n", " #<\n") + DB
     + "weir_country_limits zone=one { KR rate=5r/m; }", "1r/s|5r/m",
     "different periods.*expected"),
    (WINDOW.replace("1r/s", "1000000r/s").replace("\n", " #<\n") + DB
     + "weir_country_limits zone=one { KR rate=1r/s; }", "1r/s|1000000r/s",
     "too far apart.*expected"),
]

BYPASSES = [
    ("weir_bypass;", "weir_bypass", "arguments"),
    *((f"server {{\nweir_bypass {words}; #<\n}}", word, EXPECTED)
      for words, word in (("off", "off"), ("1", "1"), ("''", ""),
                          ("$arg_a on", "on"))),
]

SOURCES = [
    *((DB + f"server {{ location / {{\nweir_geo_source {words}; #<\n}} }}", word, phrase)
      for words, word, phrase in (
          ("arg_address", "arg_address", EXPECTED), ("off", "off", EXPECTED),
          ("$arg_a$arg_b", r"\$arg_a\$arg_b", EXPECTED),
          ("a$arg_a", r"a\$arg_a", EXPECTED), ("192.0.2.1", "192.0.2.1", EXPECTED),
          ("$arg_a $arg_b", "weir_geo_source", "arguments"),
          ("$arg_a; weir_geo_source $arg_b", "weir_geo_source", "duplicate"))),
    ("server { location / {\nweir_geo_source $arg_address; #<\n} }",
     "weir_geo_source", "no country database.*expected"),
]

OVERRIDES = [
    *((DB + f"weir_geo_override {words};", word, phrase) for words, word, phrase in (
        ("10.0.0.0/33 KR", "10.0.0.0/33", EXPECTED),
        ("10.0.0.1/8 KR", "10.0.0.1/8", EXPECTED),
        ("10.0.0.0/ KR", "10.0.0.0/", EXPECTED), ("10.0.0.0/8x KR", "10.0.0.0/8x", EXPECTED),
        ("10.0.0 KR", "10.0.0", EXPECTED), ("::1/129 KR", "::1/129", EXPECTED),
        ("2001:db8::1/32 KR", "2001:db8::1/32", EXPECTED), ("here KR", "here", EXPECTED),
        ("::ffff:10.0.0.0/90 KR", "::ffff:10.0.0.0/90", EXPECTED),
        ("10.0.0.0/8 kr", "kr", EXPECTED), ("10.0.0.0/8 AA", "AA", EXPECTED),
        ("10.0.0.0/8 EU", "EU", EXPECTED), ("10.0.0.0/8 private", "private", EXPECTED),
        ("10.0.0.0/8", "weir_geo_override", "arguments"),
        ("10.0.0.0/8 KR DE", "weir_geo_override", "arguments"),
        ("10.0.0.0/8 KR; weir_geo_override ::ffff:10.0.0.0/104 DE",
         "::ffff:10.0.0.0/104", "given twice.*expected"))),
    ("weir_geo_override 10.0.0.0/8 KR;", "weir_geo_override",
     "no country database.*expected"),
    (DB + "server { weir_geo_override 10.0.0.0/8 KR; }", "weir_geo_override",
     "not allowed here"),
]

VARIABLES = [
    *((DB + f"weir_geo_variable {words};", word, phrase) for words, word, phrase in (
        ("city city.names.en", "city", EXPECTED), ("$ city.names.en", r"\$", EXPECTED),
        ("$city city..en", "city..en", EXPECTED), ("$city ''", "", EXPECTED),
        ("$city city.names.en colour=red", "colour=red", EXPECTED),
        ("$city city.names.en db=", "db=", EXPECTED),
        ("$city city.names.en default=- default=x", "default=x", "twice|more than once"),
        ("$city", "weir_geo_variable", "arguments"),
        ("$city city.names.en db=/nonexistent/x.mmdb", "/nonexistent/x.mmdb",
         "No such file"),
        ("$city city.names.en db=@files@/half.mmdb", "@files@/half.mmdb", "truncated"),
        ("$weir_country city.names.en", "weir_country", "duplicate"),
        ("$remote_addr city.names.en", "remote_addr", "duplicate"),
        ("$city a.b; weir_geo_variable $city c.d", "city", "duplicate"))),
    (DB + "map $uri $city { default 1; }\nweir_geo_variable $city city.names.en;",
     r"\$city", "defined already.*expected"),
    ("weir_geo_variable $city city.names.en;", "weir_geo_variable",
     "no country database.*expected"),
    (DB + "server { weir_geo_variable $city city.names.en; }", "weir_geo_variable",
     "not allowed here"),
]

CASES = [("database", *case) for case in DATABASES] + \
    [("zone", *case) for case in ZONES] + \
    [("limit", *case) for case in LIMITS] + \
    [("country", *case) for case in COUNTRIES] + \
    [("geo", *case) for case in GEO] + \
    [("window", *case) for case in WINDOWS] + \
    [("bypass", *case) for case in BYPASSES] + \
    [("source", *case) for case in SOURCES] + \
    [("override", *case) for case in OVERRIDES] + \
    [("variable", *case) for case in VARIABLES]


@pytest.fixture(scope="session")
def files(tmp_path_factory, fixture_dir):
    """Files that are no database."""
    folder = tmp_path_factory.mktemp("files")
    whole = (fixture_dir / "maxmind.mmdb").read_bytes()
    for name, content in [("empty", b""), ("text", b"KR DE\n" * 1000),
                          ("short", whole[:100]), ("half", whole[:len(whole) // 2]),
                          ("almost", whole[:-20])]:
        (folder / f"{name}.mmdb").write_bytes(content)
    return folder


@pytest.fixture
def check(make_nginx, files, fixture_dir):
    """Tries the inside of an http block; returns the nginx, the number of its
    marked line, the exit status and what was said."""
    def run(text):
        nginx = make_nginx(words={"maxmind": fixture_dir / "maxmind.mmdb",
                                  "fixtures": fixture_dir, "files": files})
        if "#<" not in text:
            text = text.rstrip("\n") + "#<"
        nginx.configure(text)
        lines = nginx.conf.read_text().splitlines()
        number = next(i for i, line in enumerate(lines, 1) if "#<" in line)
        return nginx, number, *nginx.check()
    return run


def case_name(value):
    return re.sub(r"[^\w.=:/-]+", " ", value.rpartition("#<")[0] or value)[-50:] \
        if isinstance(value, str) else ""


@pytest.mark.parametrize("text, word, phrase", [case[1:] for case in CASES],
                         ids=[f"{case[0]} {case_name(case[1])}" for case in CASES])
def test_a_mistake_is_found(check, text, word, phrase):
    nginx, number, code, said = check(text)
    assert code == 1, f"accepted: {said}"
    errors = [line for line in said.splitlines() if "[emerg]" in line]
    assert len(errors) == 1, said
    (error,) = errors
    assert error.startswith("nginx: [emerg] ")
    assert re.search(re.escape(f" in {nginx.conf}:") + rf"{number}$", error), error
    quoted = re.findall(r'"([^"]*)"', error)
    assert any(re.fullmatch(nginx.fill_in(word), q) for q in quoted), error
    assert re.search(phrase, error), error
    assert "alert" not in said


@pytest.mark.parametrize("text, message", [
    ("\n\nserver { weir_limit zone=nope; }\n\n", "nope"),  # found at the end
    ("\n\nweir_limit_status 99;\n\n", "99"),           # found at once
    ("\n\nweir_country_limits zone=nope { KR off; }\n", "nope"),
])
def test_a_mistake_in_an_included_file_is_placed_there(make_nginx, fixture_dir,
                                                       text, message):
    nginx = make_nginx(words={"maxmind": fixture_dir / "maxmind.mmdb"})
    (nginx.dir / "part.conf").write_text(text)
    nginx.configure(DB + "include @dir@/part.conf;\n" + ZONE)
    code, said = nginx.check()
    assert code == 1
    assert re.search(rf'"{message}".* in {nginx.dir}/part.conf:3\n', said), said


GOOD = {
    "the smallest zone": zone_with("rate=1r/s", "one:32k") + USE,
    "a large zone": zone_with("rate=1r/s", "one:64m") + USE,
    "a zone that nobody uses": ZONE,
    "all parameters": zone_with("rate=10r/5s algorithm=token_bucket"
                                " ipv4_prefix=1 ipv6_prefix=128 full=admit") + USE,
    "parameters in another order":
        "weir_limit_zone $uri rate=1r/s full=reject zone=one:1m;" + USE,
    "limits before their zone": USE + ZONE,
    "tables before their zone": DB + "weir_country_limits zone=one { KR off; }"
                                + ZONE + USE,
    "the database at the end": ZONE + "weir_country_limits zone=one { KR off; }"
                               "weir_geo_deny KP;" + USE + DB,
    "the fastest rate": zone_with("rate=1000000r/s") + USE,
    "the slowest rate": zone_with("rate=1r/30d")
                        + "server { weir_limit zone=one nodelay; }",
    "all kinds of entries": table(
        "KR JP rate=1r/s burst=0", "EU rate=1r/s burst=9", "XK off", "KP deny",
        "continent:AF rate=5r/h", "XX rate=1r/s", "UK off", "default rate=3r/s"),
    "a table without default": table("KR off"),
    "a country's burst, and none here": table("KR rate=1r/s burst=5").replace(
        "burst=5 nodelay", ""),
    "some of the burst without delay": ZONE + USE.replace("nodelay", "delay=3"),
    "more than the burst without delay": ZONE + USE.replace("nodelay", "delay=9"),
    "terms of each request":
        ZONE + "weir_limit zone=one burst=5 rate=$arg_r cost=$arg_c$arg_d;"
        "server { weir_limit zone=one rate=${arg_n}r/s cost=0; location /a {"
        " weir_limit zone=one burst=9 cost=10 nodelay dry_run; } }",
    "a sliding window": WINDOW + DB + "weir_country_limits zone=one {"
                        " KR JP rate=99r/s; EU rate=4r/s; XX off; KP deny; }"
                        "server { weir_limit zone=one dry_run cost=99; location /a {"
                        " weir_limit zone=one rate=$arg_r cost=100; } }",
    "the largest window": WINDOW.replace("1r/s", "4294967295r/30d") + "server {"
                          " weir_limit zone=one; }",
    "statuses that count": ZONE + USE.replace(
        "nodelay", "count=200,206,304,401,444,499,599 cost=2 dry_run"),
    "no burst to delay": ZONE + USE.replace("burst=5 nodelay", "delay=3"),
    "a level in capitals": ZONE + "weir_limit_log_level WARN;",
    "all levels": ZONE + DB + "%s server { %s location / { %s } }" % ((
        "weir_limit zone=one burst=1 nodelay dry_run; weir_limit_status 444;"
        " weir_limit_log_level notice; weir_limit_log_rate 10000;"
        " weir_limit_dry_run off; weir_limit_headers both; weir_geo_deny KP;"
        " weir_geo_dry_run on; weir_geo_log_level info;"
        " weir_bypass $arg_a $http_b$arg_c; weir_bypass $arg_d;"
        " weir_geo_allow all; weir_geo_status 451; weir_geo_headers on;"
        " weir_geo_header X-From $weir_country;",) * 3),
    "off": ZONE + "weir_limit off; server { weir_limit off; }",
    "a path to the country": "weir_geo_db @maxmind@ country=country.iso_code"
                             " reload=off optional;",
    "everything about updates": "weir_geo_db @maxmind@ reload=100ms"
                                " accept=older,smaller,type;",
    "overrides of all kinds": DB + "".join(
        f"weir_geo_override {words};" for words in (
            "10.0.0.0/8 KR", "10.0.0.0/9 DE", "192.0.2.1 XX", "192.0.2.0/24 ZZ",
            "2001:db8::/32 UK", "::1 XK", "0.0.0.0/0 US", "::/0 US")),
    "variables of two databases": DB + "weir_geo_variable $city city.names.en default=-;"
                                  "weir_geo_variable $asn asn db=@fixtures@/no-country.mmdb;"
                                  "weir_geo_variable $built metadata.build_epoch;",
    "a source at every level": DB + "weir_geo_source $arg_a; server {"
                               " weir_geo_source $http_x; location / {"
                               " weir_geo_source $remote_addr; } }",
    "quotas for two zones": DB + zone_with("rate=100000r/s", "fast:1m")
                            + zone_with("rate=1r/d", "slow:1m") + "server {"
                            " weir_limit zone=fast; weir_limit zone=slow burst=100"
                            " nodelay; }",
    "variables without a database": "server { add_header A $weir_status; }",
}


@pytest.mark.parametrize("name", GOOD)
def test_what_is_right_is_accepted(check, name):
    _, _, code, said = check(GOOD[name].replace("#<", ""))
    assert code == 0, said
    assert not re.search(r"\[(warn|error|alert)\]", said), said


def test_a_limit_req_configuration_is_accepted_but_for_one_word(check):
    text = """
    limit_req_zone $binary_remote_addr zone=one:10m rate=1r/s;
    limit_req_zone $server_name zone=perserver:10m rate=10r/m;
    limit_req_status 503;
    limit_req_log_level warn;
    server {
        limit_req zone=one burst=5 nodelay;
        limit_req zone=perserver burst=10;
        location /search/ { limit_req zone=one burst=5 delay=2; limit_req_dry_run on; }
    }"""
    for words in (text, text.replace("limit_req", "weir_limit")):
        _, _, code, said = check(words + "\n")
        assert code == 0, said
