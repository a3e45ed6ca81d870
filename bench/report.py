"""Makes tables of what the benchmarks measured. Usage: report.py FOLDER [--readme FILE]

FOLDER holds micro.json (Google Benchmark), processes.tsv and capacity.tsv (their columns are
described at the top of bench/micro/processes.cc and capacity.cc). Prints the tables, and writes them
there as targets.md and cases.md, and the plots' data as cost.tsv and lost.tsv.

Times are CPU time in nanoseconds, which leaves out what other processes took while this one had to
wait. A figure is the median over rounds; a ratio is one of medians, except where the two are
neighbours in every round. Why: see bench/README.md.
"""

import json
import os
import re
import statistics
import sys

BEGIN, END = "<!-- targets: by bench/run micro --update-readme -->", "<!-- end of targets -->"

# Of runs with at most as many processes as processors, those in which a process waited longer than
# this for a processor, as a share of the time, were disturbed by something else.
MOST_WAITED = 0.02
FEWEST_RUNS = 3


class Times:
    """Nanoseconds of each case, by name: CASE/CONTESTANT[/KEYS]."""

    def __init__(self, path):
        self.rounds = {}
        self.bytes = {}  # what a case made, if it says so
        with open(path) as file:
            report = json.load(file)
        self.context = report["context"]
        for run in report["benchmarks"]:
            if run["run_type"] != "iteration":
                continue
            if run.get("error_occurred"):
                sys.exit(f"report: {run['name']} failed: {run['error_message']}")
            assert run["time_unit"] == "ns", run
            name = re.sub(r"/iterations:\d+", "", run["run_name"])
            self.rounds.setdefault(name, []).append(run["cpu_time"])
            if "bytes" in run:
                self.bytes[name] = run["bytes"]

    def median(self, name):
        rounds = self.rounds.get(name)
        return statistics.median(rounds) if rounds else None

    def spread(self, names):
        """How far apart the quartiles are, as a share of the median, where that is most."""
        quartiles = [statistics.quantiles(self.rounds[name], n=4) for name in names
                     if len(self.rounds.get(name, [])) > 1]
        return max(((high - low) / middle for low, middle, high in quartiles), default=None)

    def keys(self, case):
        """All numbers of keys for which a case was run, ascending."""
        found = (re.fullmatch(case + r"/(?:weir|limit_req)/(\d+)", name) for name in self.rounds)
        return sorted({int(match[1]) for match in found if match})


class Processes:
    """Decisions a second of several processes together, in rounds that were not disturbed."""

    def __init__(self, path):
        self.rounds = {}  # (case, contestant, processes): {round: per second}
        with open(path) as file:
            for line in file:
                case, who, processes, number, per_second, waited = line.split("\t")
                runs = self.rounds.setdefault((case, who, int(processes)), {})
                if int(processes) > os.cpu_count() or float(waited) <= MOST_WAITED:
                    runs[int(number)] = float(per_second)

    def median(self, case, who, processes):
        runs = self.rounds.get((case, who, processes), {})
        return statistics.median(runs.values()) if len(runs) >= FEWEST_RUNS else None

    def speedup(self, case, who, processes):
        """Over one process: the median of the rounds' ratios, since a round's runs are neighbours."""
        many, one = (self.rounds.get((case, who, n), {}) for n in (processes, 1))
        ratios = [many[number] / one[number] for number in many.keys() & one.keys()]
        return statistics.median(ratios) if len(ratios) >= FEWEST_RUNS else None


class Capacity:
    """Keys per MB until one is lost, and the share lost beyond."""

    def __init__(self, path):
        self.trials = {}  # (contestant, megabytes): [keys per megabyte]
        self.lost = {}  # contestant: {keys per megabyte: share}
        with open(path) as file:
            for line in file:
                kind, who, *numbers = line.split("\t")
                if kind == "keys":
                    megabytes, _, keys = numbers
                    self.trials.setdefault((who, int(megabytes)), []).append(float(keys))
                else:
                    keys, share = numbers
                    self.lost.setdefault(who, {})[int(keys)] = float(share)

    def sizes(self):
        return sorted({megabytes for _, megabytes in self.trials})

    def median(self, who, megabytes):
        trials = self.trials.get((who, megabytes))
        return statistics.median(trials) if trials else None

    def lowest(self, who, megabytes):
        return min(self.trials.get((who, megabytes), []), default=None)


def ratio(a, b):
    return None if a is None or b is None else a / b


def show(number, digits=0, unit=""):
    return "-" if number is None else f"{number:,.{digits}f}{unit}"


def markdown(header, rows):
    """A table of which the first column is text and the others are numbers."""
    rows = [header, *rows]
    widths = [max(len(row[i]) for row in rows) for i in range(len(header))]

    def line(row):
        cells = [row[0].ljust(widths[0]), *(c.rjust(w) for c, w in zip(row[1:], widths[1:]))]
        return "| " + " | ".join(cells) + " |\n"

    rule = "|" + "|".join("-" * (w + 1) + (":" if i else "-") for i, w in enumerate(widths)) + "|\n"
    return line(header) + rule + "".join(line(row) for row in rows[1:])


def targets(times, processes, capacity):
    def row(what, measured, digits, unit, bound, at_most=False):
        if measured is None:
            verdict = "not measured"
        else:
            reached = measured <= bound if at_most else measured >= bound
            verdict = "reached" if reached else "not reached"
        sign = "<=" if at_most else ">="
        return [what, show(measured, digits, unit), f"{sign} {show(bound, digits, unit)}", verdict]

    def speedup(case):
        return processes.speedup(case, "weir", 2)

    random_10m = ratio(times.median("random/weir/10000000"), times.median("clock_access/10000000"))
    peer_1m = ratio(times.median("random/limit_req/1000000"), times.median("random/weir/1000000"))

    def country(family):
        return ratio(times.median(f"{family}/libmaxminddb"), times.median(f"{family}/weir"))

    return markdown(
        ["what", "measured", "target", ""],
        [
            row("decision on a hot key", times.median("hot/weir"), 0, " ns", 50, at_most=True),
            row("random one of 10 million live keys, to a random access and a clock reading",
                random_10m, 2, " x", 1.4, at_most=True),
            row("limit_req's time to weir's, random one of a million live keys",
                peer_1m, 1, " x", 8),
            *(row(f"keys per MB before a live one is lost, zone of {megabytes} MB (median)",
                  capacity.median("weir", megabytes), 0, "", 90_000)
              for megabytes in capacity.sizes()),
            row("two processes to one, random keys of their own, ten million in all",
                speedup("wide"), 2, " x", 1.8),
            row("two processes to one, random keys of their own, a million in all",
                speedup("disjoint"), 2, " x", 1.8),
            row("two processes to one, one hot key of their own", speedup("own"), 2, " x", 1.8),
            row("two processes to one, the same hot key", speedup("hot"), 2, " x", 0.5),
            row("libmaxminddb's time to weir's, country of an IPv4 address", country("ipv4"), 1,
                " x", 15),
            row("libmaxminddb's time to weir's, country of an IPv6 address", country("ipv6"), 1,
                " x", 5),
            row("compiled country table", ratio(times.bytes.get("compile"), 1e6), 1, " MB", 10,
                at_most=True),
            row("time to read and compile the database", ratio(times.median("compile"), 1e6), 0,
                " ms", 400, at_most=True),
        ])


def cases(times):
    rows = []

    def add(label, case, suffix="", baseline=None):
        names = [f"{case}/weir{suffix}", f"{case}/limit_req{suffix}"]
        weir, peer = map(times.median, names)
        if baseline:
            names.append(baseline + suffix)
        rows.append([label, show(weir, 1), show(peer, 1), show(ratio(peer, weir), 1, " x"),
                     show(baseline and times.median(baseline + suffix), 1),
                     show(times.spread(names), 2)])

    for case in ("hot", "reject", "revive", "full"):
        add(case, case)
    for keys in times.keys("random"):
        add(f"random of {keys:,}", "random", f"/{keys}", "clock_access")
    for keys in times.keys("insert"):
        add(f"insert {keys:,}", "insert", f"/{keys}")
    for family in ("ipv4", "ipv6"):
        names = [f"{family}/weir", f"{family}/libmaxminddb"]
        weir, peer = map(times.median, names)
        rows.append([f"country, {family} (beside libmaxminddb)", show(weir, 1), show(peer, 1),
                     show(ratio(peer, weir), 1, " x"), "-", show(times.spread(names), 2)])
    for name in ("clock", "hash_key", "parse_quota"):
        rows.append([name, show(times.median(name), 1), "-", "-", "-", show(times.spread([name]), 2)])
    return markdown(["ns a decision", "weir", "limit_req", "ratio", "clock and access", "spread"],
                    rows)


def throughput(processes):
    rows = []
    for case in ("own", "disjoint", "wide", "hot"):
        for who in ("weir", "limit_req"):
            if (case, who) == ("wide", "limit_req"):
                continue
            medians = [processes.median(case, who, n) for n in (1, 2, 4)]
            rows.append([f"{case}, {who}", *(show(median and median / 1e6, 2) for median in medians),
                         *(show(processes.speedup(case, who, n), 2, " x") for n in (2, 4))])
    return markdown(["million decisions a second", "1 process", "2", "4", "2 to 1", "4 to 1"], rows)


def keys_per_megabyte(capacity):
    rows = [[f"{who}, zone of {megabytes} MB", show(capacity.median(who, megabytes)),
             show(capacity.lowest(who, megabytes))]
            for who in ("weir", "limit_req") for megabytes in capacity.sizes()]
    return markdown(["keys per MB before one is lost", "median", "lowest"], rows)


def machine(context):
    """What was measured on, and when."""
    with open("/proc/cpuinfo") as file:
        model = re.search(r"^model name\s*: (.*)$", file.read(), re.M)
    text = (f"Measured on {context['date'][:10]}, with {context['num_cpus']} processors"
            f" ({model[1] if model else 'of unknown model'})")
    if context["caches"]:
        last = max(context["caches"], key=lambda cache: cache["level"])
        text += f" and {last['size'] >> 20} MB of last-level cache"
    return text + ".\n"


def write(path, text):
    with open(path, "w") as file:
        file.write(text)


def write_columns(path, table):
    """For gnuplot: a line for each row of numbers, "?" where there is none."""
    write(path, "".join("\t".join("?" if cell is None else f"{cell:g}" for cell in row) + "\n"
                        for row in table))


def write_plot_data(folder, times, capacity):
    write_columns(f"{folder}/cost.tsv", [
        (keys, *(times.median(f"{case}/{keys}")
                 for case in ("random/weir", "random/limit_req", "clock_access")))
        for keys in times.keys("random")])
    loads = sorted(capacity.lost["weir"])
    peer = capacity.lost.get("limit_req", {})
    write_columns(f"{folder}/lost.tsv",
                  [(keys, capacity.lost["weir"][keys], peer.get(keys)) for keys in loads])


def update(readme, table):
    with open(readme) as file:
        text = file.read()
    if text.count(BEGIN) != 1 or text.count(END) != 1:
        sys.exit(f"report: expected one \"{BEGIN}\" and one \"{END}\" in {readme}")
    before, rest = text.split(BEGIN)
    _, after = rest.split(END)
    write(readme, f"{before}{BEGIN}\n\n{table}\n{END}{after}")


def main():
    folder, *options = sys.argv[1:]
    times = Times(f"{folder}/micro.json")
    processes = Processes(f"{folder}/processes.tsv")
    capacity = Capacity(f"{folder}/capacity.tsv")
    target_table = f"{targets(times, processes, capacity)}\n{machine(times.context)}"
    case_tables = "\n".join([cases(times), throughput(processes), keys_per_megabyte(capacity)])
    write(f"{folder}/targets.md", target_table)
    write(f"{folder}/cases.md", case_tables)
    write_plot_data(folder, times, capacity)
    print(f"\n{case_tables}\n{target_table}")
    if options:
        update(options[1], target_table)


main()
