"""rate=$variable and cost=$variable: terms that come with a request.

Which rate was used shows in the debt, which a zone keeps as time: five
requests at 1r/h owe five hours, which is nothing at 1r/d and all at 1r/h.
"""

import re

import pytest

import addresses as a
from client import encode, get, pipeline, statuses

ZONE = "weir_limit_zone $binary_remote_addr zone=one:1m rate=1r/d;"
RATE = "location / { weir_limit zone=one burst=4 nodelay rate=$arg_r; }"
COST = "location / { weir_limit zone=one burst=4 nodelay cost=$arg_c; }"
ME = "198.51.100.1"

FIVE_OF_7 = [200] * 5 + [429] * 2
LOGGED_RATE = r'\[warn\] .*zone "one" uses its own rate .*"rate=\$arg_r"'
LOGGED_COST = r'\[warn\] .*zone "one" takes one token .*"cost=\$arg_c"'


@pytest.mark.parametrize("workers, listen", [(1, ""), (2, ""), (4, "reuseport")])
def test_the_rate_comes_with_the_request(start_nginx, workers, listen):
    nginx = start_nginx(ZONE, RATE, workers=workers, listen=listen)
    assert statuses(nginx.port, 7, "/?r=1r/h", ME) == FIVE_OF_7
    # Of five days 5 hours are used: there is room for four more days.
    assert statuses(nginx.port, 6, "/", ME) == [200] * 4 + [429] * 2
    assert statuses(nginx.port, 2, "/?r=1r/h", ME) == [429] * 2
    assert not nginx.errors(r"\[warn\]")


@pytest.mark.parametrize("rate", ["5r/h", "100r/m", "10r/5s", "1r/20h", "3r/s"])
def test_every_way_to_write_a_rate_is_understood(start_nginx, rate):
    nginx = start_nginx(ZONE, RATE)
    codes = pipeline(nginx.port, [encode(f"/?r={rate}", ME)] * 5)
    assert codes == [200] * 5
    assert not nginx.errors(r"\[warn\]")


def test_an_empty_rate_is_the_zones(start_nginx):
    nginx = start_nginx(ZONE, RATE)
    assert statuses(nginx.port, 4, "/?r=", ME) == [200] * 4
    assert statuses(nginx.port, 3, "/", ME) == [200, 429, 429]
    assert get(nginx.port, "/?r=1r/h", ME).status == 429
    assert not nginx.errors(r"\[warn\]")


def test_off_means_not_limited_and_not_charged(start_nginx):
    nginx = start_nginx(ZONE, 'add_header X-Word "$weir_status" always;' + RATE)
    answers = [get(nginx.port, "/?r=off", ME) for _ in range(20)]
    assert {(a.status, a.header("X-Word")) for a in answers} == {(200, None)}
    assert statuses(nginx.port, 7, "/", ME) == FIVE_OF_7
    assert get(nginx.port, "/?r=off", ME).status == 200


def test_off_of_one_limit_leaves_the_others(start_nginx):
    nginx = start_nginx(
        ZONE + ZONE.replace("zone=one", "zone=two"),
        "location / { weir_limit zone=one burst=4 nodelay rate=$arg_r;"
        " weir_limit zone=two burst=9 nodelay; }")
    assert statuses(nginx.port, 7, "/", ME) == FIVE_OF_7
    # Those that the first refused were not charged to the second.
    assert statuses(nginx.port, 7, "/?r=off", ME) == FIVE_OF_7


BAD_RATES = ["fast", "0r/s", "10x", "-1r/s", "1.5r/s", "1r/31d", "99999999999r/s",
             "2000000r/s", "OFF", "off,", "1r/h,"]


@pytest.mark.parametrize("rate", BAD_RATES)
def test_a_bad_rate_is_the_zones_and_is_logged(start_nginx, rate):
    nginx = start_nginx(ZONE, RATE)
    assert statuses(nginx.port, 7, f"/?r={rate}", ME) == FIVE_OF_7
    assert get(nginx.port, "/?r=1r/h", ME).status == 429  # it owes days
    (line,) = nginx.errors(r"\[warn\]")
    assert re.search(LOGGED_RATE, line)
    assert f'invalid rate "{rate}", expected ' in line


def test_a_rate_that_the_zone_cannot_count_is_the_zones(start_nginx):
    """Ticks of 2^-20 s are too coarse for it."""
    nginx = start_nginx(ZONE, RATE)
    assert statuses(nginx.port, 7, "/?r=100000r/s", ME) == FIVE_OF_7
    (line,) = nginx.errors(r"\[warn\]")
    assert re.search(LOGGED_RATE + '.*"100000r/s burst=4" does not fit', line)


COUNTRIES = (ZONE + "weir_geo_db @db@; weir_country_limits zone=one {"
             " KR rate=1r/h burst=1; DE off; KP deny; }")


def test_a_rate_goes_before_the_countrys(start_nginx, country_db):
    """The burst with it is the limit's, not the country's."""
    nginx = start_nginx(COUNTRIES, RATE, words={"db": country_db})
    assert statuses(nginx.port, 7, "/?r=1r/m", a.KR) == FIVE_OF_7
    assert statuses(nginx.port, 7, "/?r=1r/d", a.DE) == FIVE_OF_7
    assert statuses(nginx.port, 2, "/?r=1r/d", a.KP) == [403] * 2
    assert statuses(nginx.port, 7, "/?r=off", a.KR) == [200] * 7


def test_an_empty_rate_is_the_countrys(start_nginx, country_db):
    nginx = start_nginx(COUNTRIES, RATE, words={"db": country_db})
    assert statuses(nginx.port, 4, "/?r=", a.KR) == [200, 200, 429, 429]
    assert statuses(nginx.port, 9, "/", a.DE) == [200] * 9


def test_a_bad_rate_is_not_the_countrys(start_nginx, country_db):
    nginx = start_nginx(COUNTRIES, RATE, words={"db": country_db})
    for client in (a.KR, a.DE):
        assert statuses(nginx.port, 7, "/?r=bad", client) == FIVE_OF_7
        assert get(nginx.port, "/?r=1r/h", client).status == 429
    assert len(nginx.errors(LOGGED_RATE)) == 1


def test_a_rate_may_come_from_a_map_or_be_put_together(start_nginx):
    nginx = start_nginx(
        ZONE + "map $http_x_plan $plan { default ''; gold 1r/m; staff off; }",
        "location / { weir_limit zone=one burst=4 nodelay rate=$plan; }"
        "location /n { weir_limit zone=one burst=4 nodelay rate=${arg_n}r/h;"
        " alias @dir@/html/index.html; }")
    assert statuses(nginx.port, 7, "/", ME, [("X-Plan", "gold")]) == FIVE_OF_7
    assert statuses(nginx.port, 6, "/", ME) == [200] * 4 + [429] * 2
    assert statuses(nginx.port, 9, "/", ME, [("X-Plan", "staff")]) == [200] * 9
    assert statuses(nginx.port, 7, "/n?n=1", a.KR) == FIVE_OF_7
    assert statuses(nginx.port, 6, "/", a.KR) == [200] * 4 + [429] * 2


# ---- Cost ----


@pytest.mark.parametrize("workers, listen", [(1, ""), (2, ""), (4, "reuseport")])
def test_the_cost_comes_with_the_request(start_nginx, workers, listen):
    nginx = start_nginx(ZONE, COST, workers=workers, listen=listen)
    costs = [2, 2, 2, 0, 1, 1, 0]
    codes = [get(nginx.port, f"/?c={cost}", ME).status for cost in costs]
    assert codes == [200, 200, 429, 200, 200, 429, 200]
    assert statuses(nginx.port, 2, "/?c=5", a.KR) == [200, 429]
    assert not nginx.errors(r"\[warn\]")


def test_a_cost_may_be_fixed(start_nginx):
    nginx = start_nginx(
        ZONE, "location / { weir_limit zone=one burst=4 nodelay cost=2; }"
        "location /look { weir_limit zone=one burst=4 nodelay cost=0;"
        " alias @dir@/html/index.html; }")
    assert statuses(nginx.port, 9, "/look", ME) == [200] * 9
    assert statuses(nginx.port, 4, "/", ME) == [200, 200, 429, 429]
    assert statuses(nginx.port, 2, "/look", ME) == [200] * 2


def test_no_token_is_free_even_without_budget(start_nginx):
    nginx = start_nginx(ZONE, 'add_header X-Word "$weir_status" always;' + COST)
    assert statuses(nginx.port, 7, "/", ME) == FIVE_OF_7
    answer = get(nginx.port, "/?c=0", ME)
    assert (answer.status, answer.header("X-Word")) == (200, "PASSED")


@pytest.mark.parametrize("cost", [6, 1000, 4294967295])
def test_a_cost_above_the_capacity_is_refused_and_not_charged(start_nginx, cost):
    nginx = start_nginx(ZONE, COST)
    assert statuses(nginx.port, 3, f"/?c={cost}", ME) == [429] * 3
    assert statuses(nginx.port, 7, "/", ME) == FIVE_OF_7
    assert not nginx.errors(r"\[warn\]")


BAD_COSTS = ["-1", "abc", "1.5", "1e3", "+1", "0x10", "%201", "4294967296",
             "99999999999999999999999", "1,"]


@pytest.mark.parametrize("cost", BAD_COSTS)
def test_a_bad_cost_is_one_and_is_logged(start_nginx, cost):
    nginx = start_nginx(ZONE, COST)
    assert statuses(nginx.port, 7, f"/?c={cost}", ME) == FIVE_OF_7
    (line,) = nginx.errors(r"\[warn\]")
    assert re.search(LOGGED_COST, line)
    assert f'invalid cost "{cost}", expected a number from 0 to 4294967295' in line


def test_an_empty_cost_is_one(start_nginx):
    nginx = start_nginx(ZONE, COST)
    assert statuses(nginx.port, 3, "/?c=", ME) == [200] * 3
    assert statuses(nginx.port, 4, "/", ME) == [200] * 2 + [429] * 2
    assert not nginx.errors(r"\[warn\]")


def test_several_limits_charge_their_own_costs_all_or_nothing(start_nginx):
    nginx = start_nginx(
        ZONE + "weir_limit_zone $host zone=total:1m rate=1r/d;",
        "location / { weir_limit zone=one burst=4 nodelay cost=$arg_c;"
        " weir_limit zone=total burst=11 nodelay cost=$arg_t; }")
    assert statuses(nginx.port, 3, "/?c=2&t=5", ME) == [200, 200, 429]
    # The one that was refused was charged to neither: 1 is left here, 2 there.
    assert get(nginx.port, "/?c=1&t=3", ME).status == 429
    assert get(nginx.port, "/?c=1&t=2", ME).status == 200
    assert get(nginx.port, "/?c=0&t=1", a.KR).status == 429
    assert get(nginx.port, "/?c=5&t=0", a.KR).status == 200


@pytest.mark.parametrize("used, cost, excess", [(5, 1, 5), (2, 4, 5), (2, 9, 9)])
def test_the_excess_is_in_tokens(start_nginx, used, cost, excess):
    nginx = start_nginx(ZONE, COST)
    assert statuses(nginx.port, used, "/", ME) == [200] * used
    assert get(nginx.port, f"/?c={cost}", ME).status == 429
    (line,) = nginx.errors("limiting requests")
    said = float(re.search(r"excess: (\d+\.\d\d\d) by zone", line)[1])
    assert excess - 0.01 < said <= excess


# ---- Logged once ----


def bad(number):
    return f"/?r=bad{number}&c=bad{number}"


BOTH = "weir_limit zone=%s burst=4 nodelay rate=$arg_r cost=$arg_c;"


def test_bad_values_are_logged_once_by_all_workers(start_nginx):
    """One line for each limit and kind, whoever comes first."""
    nginx = start_nginx(
        ZONE + ZONE.replace("zone=one", "zone=two"),
        f"location / {{ {BOTH % 'one'} {BOTH % 'two'} }}"
        f"location /x {{ {BOTH % 'one'} alias @dir@/html/index.html; }}"
        'add_header X-Worker $pid always;', workers=4, listen="reuseport")
    workers = {get(nginx.port, bad(i), ME).header("X-Worker") for i in range(60)}
    assert len(workers) > 1
    for name in ("one", "two"):
        assert len(nginx.errors(f'zone "{name}" uses its own rate')) == 1
        assert len(nginx.errors(f'zone "{name}" takes one token')) == 1
    get(nginx.port, "/x?r=bad&c=bad", ME)
    assert len(nginx.errors('zone "one" uses its own rate')) == 2
    assert len(nginx.errors(r"\[warn\]")) == 6


def test_a_bad_rate_and_a_bad_cost_are_two_things(start_nginx):
    nginx = start_nginx(ZONE, f"location / {{ {BOTH % 'one'} }}")
    get(nginx.port, "/?c=bad", ME)
    assert [len(nginx.errors(line)) for line in (LOGGED_RATE, LOGGED_COST)] == [0, 1]
    get(nginx.port, "/?r=bad&c=bad", ME)
    assert [len(nginx.errors(line)) for line in (LOGGED_RATE, LOGGED_COST)] == [1, 1]


def test_a_new_worker_does_not_log_again_and_a_reload_does(start_nginx):
    nginx = start_nginx(ZONE, f"location / {{ {BOTH % 'one'} }}", workers=1)
    nginx.allowed.append(r"worker process \d+ exited on signal 9$")
    for number in range(3):
        get(nginx.port, bad(number), ME)
        nginx.kill_worker()
    assert len(nginx.errors(r"\[warn\]")) == 2
    nginx.reload()
    for number in range(3):
        get(nginx.port, bad(number), ME)
    assert len(nginx.errors(r"\[warn\]")) == 4


@pytest.mark.parametrize("parameter", ["rate", "cost"])
def test_a_logged_value_is_cut_and_escaped(start_nginx, parameter):
    """Taken from a decoded URI it may hold line breaks, and be long."""
    nginx = start_nginx(
        ZONE + "map $uri $decoded { ~^/v/(?<v>(.|\\n)*)$ $v; }",
        "location / { set $value $decoded; rewrite ^ /index.html break;"
        f" weir_limit zone=one {parameter}=$value; }}")
    path = "/v/a%0a2026/01/01%20[info]%7f" + "x" * 300
    assert get(nginx.port, path, ME).status == 200
    (line,) = nginx.errors(r"\[warn\]")
    said = line.partition(", client: ")[0]
    assert re.search(r'"a\\x0a2026/01/01 \[info\]\\x7fx+\.\.\."', said)
    assert "x" * 70 not in said
    assert not nginx.errors("^2026/01/01 .info")
