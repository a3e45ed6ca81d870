"""Counts instructions per decision and bytes per key, and compares with the baseline.

Usage: compare.py BUILD_FOLDER [--update]

BUILD_FOLDER holds the program weir_counts and the file "compiler", as bench/counts/CMakeLists.txt
leaves them. Fails if a count of weir's is more than 5 % above baseline.tsv; --update rewrites that
file instead. limit_req's counts stand beside them, and are never judged.

Exit codes: 0 as in the baseline or below, 1 above it, 2 could not count, 77 the baseline is of
another compiler (which CTest counts as skipped).
"""

import os
import re
import subprocess
import sys
import tempfile

BASELINE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "baseline.tsv")
MOST_GROWTH = 0.05


def run(*command):
    try:
        done = subprocess.run(command, capture_output=True, text=True)
    except FileNotFoundError:
        print(f"counts: no {command[0]}; what to do: scripts/setup test", file=sys.stderr)
        sys.exit(2)
    if done.returncode != 0:
        print(done.stdout + done.stderr, file=sys.stderr)
        print(f"counts: {' '.join(command)} failed", file=sys.stderr)
        sys.exit(2)
    return done.stdout


def read_table(text):
    return {name: float(number) for name, number in
            (line.split("\t") for line in text.splitlines() if not line.startswith("#"))}


def count_instructions(program):
    """Instructions per decision of each kind, rounded to tenths."""
    with tempfile.TemporaryDirectory() as folder:
        out = os.path.join(folder, "callgrind")
        decisions = read_table(run("valgrind", "--quiet", "--tool=callgrind",
                                   f"--callgrind-out-file={out}", program, "instructions"))
        counts = {}
        for name in os.listdir(folder):
            with open(os.path.join(folder, name)) as file:
                dump = file.read()
            kind = re.search(r"^desc: Trigger: Client Request: (\S+)$", dump, re.M)
            total = re.search(r"^(?:summary|totals): (\d+)$", dump, re.M)
            if kind and total:
                counts[kind[1]] = round(int(total[1]) / decisions[kind[1]], 1)
    missing = decisions.keys() - counts.keys()
    if missing:
        print(f"counts: callgrind made no dump of {', '.join(sorted(missing))}", file=sys.stderr)
        sys.exit(2)
    return {kind: counts[kind] for kind in decisions}


def read_baseline(compiler):
    """None if there is none for this compiler."""
    with open(BASELINE) as file:
        text = file.read()
    return read_table(text) if f"# compiler: {compiler}\n" in text else None


def write_baseline(compiler, counts):
    with open(BASELINE, "w") as file:
        file.write("# Instructions per decision of each kind, and bytes per key: see counts.cc.\n"
                   "# Written by bench/run counts --update.\n"
                   f"# compiler: {compiler}\n")
        file.writelines(f"{kind}\t{count:g}\n" for kind, count in counts.items())


def show(counts, baseline):
    """Prints weir beside limit_req and the baseline; returns the kinds of weir's that grew."""
    grown = []
    print(f"{'':14} {'weir':>8} {'baseline':>8} {'':>8} {'limit_req':>9}")
    for name in counts:
        contestant, kind = name.split(".")
        if contestant != "weir":
            continue
        before, peer = baseline.get(name), counts.get(f"limit_req.{kind}")
        growth = counts[name] / before - 1 if before else None
        print(f"{kind:14} {counts[name]:8.1f} {before or '-':>8} "
              f"{'' if growth is None else f'{growth:+.1%}':>8} {peer or '-':>9}")
        if growth is None or growth > MOST_GROWTH:
            grown.append(kind)
    return grown


def main():
    folder, *options = sys.argv[1:]
    with open(os.path.join(folder, "compiler")) as file:
        compiler = file.read().strip()
    baseline = read_baseline(compiler)
    if baseline is None and "--update" not in options:
        print(f"counts: not run: the baseline is not of this compiler ({compiler})")
        sys.exit(77)

    program = os.path.join(folder, "weir_counts")
    counts = count_instructions(program)
    counts.update(read_table(run(program, "bytes")))
    grown = show(counts, baseline or {})
    if "--update" in options:
        write_baseline(compiler, counts)
        print(f"counts: wrote {BASELINE}")
    elif grown:
        print(f"counts: more than {MOST_GROWTH:.0%} above the baseline, or not in it: "
              f"{', '.join(grown)}. What to do: make it cheaper again, or, if it is worth its price, "
              "run bench/run counts --update and say why in the commit.")
        sys.exit(1)


main()
