"""Write README's table "Tested with" from what `make matrix` stored: `python -m tools.tested`.

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


def table(results):
    """The rows of a stored matrix as a table, the oldest Python first."""

    def order(row):
        return [int(part) for part in re.findall(r"\d+", row["version"])], said(row["settings"])

    def result(row):
        return f"{len(row['failed'])} failed" if row.get("failed") else row["result"]

    lines = [
        f"| {row['version']} | {row['torch']} | {said(row['settings'])} | {row.get('what', 'all')} "
        f"| {result(row)} | {row.get('passed', 0)} | {' '.join(row['when'].split()[:2])} |\n"
        for row in sorted(results.values(), key=order)
        if row["result"] in ("passed", "failed")
    ]
    return HEAD + "".join(lines)


def write(results, readme):
    """Put the table into README, between its two marks."""
    text = readme.read_text("utf-8")
    if not BLOCK.search(text):
        sys.exit(f"{readme.name} has no place for the table: <!-- tested: --> and <!-- /tested -->")
    readme.write_text(BLOCK.sub(lambda m: m[1] + table(results) + m[2], text), "utf-8")


if __name__ == "__main__":
    if not RESULTS.exists():
        sys.exit("Nothing was stored: type make matrix")
    write(json.loads(RESULTS.read_text("utf-8")), ROOT / "README.md")
