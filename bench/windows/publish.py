"""Puts the table of weir_windows into a document, or checks that it is there.

Usage: publish.py PROGRAM DOCUMENT [--update]

The figures are simulated from fixed seeds, so the table in the document must be what the program
prints, to the letter; --update makes it so.

Exit codes: 0 it is, 1 it is not, 2 the document has no place for it.
"""

import pathlib
import subprocess
import sys

BEGIN, END = "<!-- windows: by bench/run windows --update-readme -->", "<!-- end of windows -->"


def main():
    program, document = sys.argv[1], pathlib.Path(sys.argv[2])
    table = subprocess.run([program], capture_output=True, text=True, check=True).stdout
    text = document.read_text()
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        print(f"windows: {document} has no \"{BEGIN}\" and \"{END}\"", file=sys.stderr)
        return 2
    print(table, end="")
    wanted = f"{before}{BEGIN}\n\n{table}\n{END}{after}"
    if "--update" in sys.argv[3:]:
        document.write_text(wanted)
    elif text != wanted:
        print(f"windows: {document} says otherwise. What to do: find out what has changed, and if"
              " that is right, bench/run windows --update-readme", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
