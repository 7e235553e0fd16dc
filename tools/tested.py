"""Write README's table "Tested with" from what `make matrix` stored: `python -m tools.tested`.

A row takes the place of the one of the same Python, PyTorch, settings and tests; all others stay, also those written by hand.
A row that was not run stands in no table: what is there was run, on the day that is named.
"""

import json
import re
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "_build" / "matrix" / "results.json"
BLOCK = re.compile(r"(?s)(<!-- tested:.*?-->\n).*?(<!-- /tested -->)")
HEAD = "| Python | PyTorch | settings | what was run | result | tests | on |\n|---|---|---|---|---|---:|---|\n"
# How the settings of a row are said; others stand as they are.
WORDS = {
    "OMP_NUM_THREADS": "{} threads",
    "ATEN_CPU_CAPABILITY": "kernels of {}",
    "MKL_ENABLE_INSTRUCTIONS": "",
    "ONEDNN_MAX_CPU_ISA": "",
}


def said(settings):
    """The settings of a row in words, "" for none."""
    words = [
        WORDS.get(name, name + "={}").format(value.upper()) for name, value in settings.items()
    ]
    return ", ".join(filter(None, words))


def lines(results):
    """The rows of a stored matrix as lines of a table."""

    def result(row):
        return f"{len(row['failed'])} failed" if row.get("failed") else row["result"]

    return [
        f"| {row['version']} | {row['torch']} | {said(row['settings'])} | {row.get('what', 'all')} "
        f"| {result(row)} | {row.get('passed', 0)} | {' '.join(row['when'].split()[:2])} |"
        for row in results.values()
        if row["result"] in ("passed", "failed")
    ]


def table(old, new):
    """Lines of a table and newer ones as one table, the oldest Python first."""

    def cells(line):
        return [cell.strip() for cell in line.split("|")[1:-1]]

    def order(line):
        version, _, settings, *_ = cells(line)
        return [int(part) for part in re.findall(r"\d+", version)], settings

    rows = {tuple(cells(line)[:4]): line for line in [*old, *new]}
    return HEAD + "".join(line + "\n" for line in sorted(rows.values(), key=order))


def write(results, readme):
    """Put the table into README, between its two marks."""
    text = readme.read_text("utf-8")
    block = BLOCK.search(text)
    if not block:
        sys.exit(f"{readme.name} has no place for the table: <!-- tested: --> and <!-- /tested -->")
    old = block[0].splitlines()[3:-1]  # behind the mark and the two lines of the head
    made = block[1] + table(old, lines(results)) + block[2]
    readme.write_text(text.replace(block[0], made), "utf-8")


if __name__ == "__main__":
    if not RESULTS.exists():
        sys.exit("Nothing was stored: type make matrix")
    write(json.loads(RESULTS.read_text("utf-8")), ROOT / "README.md")
