"""Test the book with every Python, an old PyTorch, older processors, and one or two threads: `make matrix`.

    python -m tools.matrix [--quick | --chapters 01,02] [--keep] [name ...]

A row is a Python and what is different about it (`--list` shows them). Each Python gets an environment of its own in
_build/matrix, with the exact versions of constraints.txt, is tested, and is deleted again, since PyTorch with what
it needs can be several gigabytes (--keep keeps them). An environment needs 8 GB free. --quick runs the tests that
are not slow, --chapters those chapters (or "all"), in place of all tests and all chapters; both, with "all", run all
chapters and the tests that are not slow. Prints a table and writes
_build/matrix/results.json; a row that was run before keeps its last result there.
"""

import argparse
import datetime
import json
import os
import platform
import re
import shutil
import subprocess
import sys
import time

from tools import notebooks, pythons
from tools.notebooks import ROOT

FOLDER = ROOT / "_build" / "matrix"
FREE = 8e9  # bytes
# Kernels as on a processor without AVX-512, bfloat16 and AMX: PyTorch's own, MKL's and oneDNN's.
AVX2 = {
    "ATEN_CPU_CAPABILITY": "avx2",
    "MKL_ENABLE_INSTRUCTIONS": "AVX2",
    "ONEDNN_MAX_CPU_ISA": "AVX2",
}
ALL = ("chapters", "tests")
# Beside what every Python gets: name, settings. They are tried on the newest Python of 3.11.
MORE = (
    ("avx2", AVX2),
    ("threads2", {"OMP_NUM_THREADS": "2"}),
    ("avx2-threads2", {**AVX2, "OMP_NUM_THREADS": "2"}),
)


def pinned(name, root=ROOT):
    """The version that constraints.txt holds a package to."""
    return re.search(rf"(?m)^{name}==(\S+)", (root / "constraints.txt").read_text("utf-8"))[1]


def oldest_torch(root=ROOT):
    """The lowest PyTorch that pyproject.toml promises."""
    return re.search(r'"torch>=([\d.]+)"', (root / "pyproject.toml").read_text("utf-8"))[1]


def rows():
    """Each row: its name, its Python, its version, its PyTorch and its settings."""
    found = pythons.find()
    torch = pinned("torch")
    made = [
        {"name": version, "python": path, "version": version, "torch": torch, "settings": {}}
        for path, version in found.items()
    ]
    middle = [row for row in made if row["version"].startswith("3.11.")] or made
    for name, settings in MORE:
        made.append({**middle[-1], "name": name, "settings": settings})
    made.append({**middle[-1], "name": "oldest-torch", "torch": oldest_torch()})
    return made


def constraints(row, folder):
    """constraints.txt for a row: PyTorch's own pin is another one, and what it needs is then free."""
    lines = (ROOT / "constraints.txt").read_text("utf-8").splitlines()
    if row["torch"] != pinned("torch"):
        free = ("torch", "sympy", "triton", "nvidia-", "networkx", "fsspec", "setuptools")
        lines = [line for line in lines if not line.startswith(tuple(f"{f}==" for f in free))]
        lines.append(f"torch=={row['torch']}.*")
    path = folder / "constraints.txt"
    path.write_text("\n".join(lines) + "\n", "utf-8")
    return path


def environment(row, folder):
    """Make the environment of a row, or find it; what went wrong as a line, or "" and its Python."""
    python = folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    if (folder / "ready").exists():
        return "", python
    if shutil.disk_usage(ROOT).free < FREE:
        return "too little room on the disk", python
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    made = subprocess.run([row["python"], "-m", "venv", folder], capture_output=True, text=True)
    if made.returncode:
        return "no venv: " + (made.stdout + made.stderr).strip().splitlines()[-1], python
    pip = [python, "-m", "pip", "--disable-pip-version-check", "install", "-q"]
    for what in (["torch"], ["--editable", ".[book,test]"]):
        done = subprocess.run(
            [*pip, "-c", constraints(row, folder), *what], cwd=ROOT, capture_output=True, text=True
        )
        if done.returncode:
            errors = [line for line in done.stderr.splitlines() if "ERROR" in line]
            return "not installed: " + (errors or done.stderr.splitlines() or ["?"])[0], python
    (folder / "ready").touch()
    return "", python


def chosen_tests(quick, chapters):
    """What a row runs: in words for the table, and for pytest."""
    not_slow = ["tests", "-m", "not slow and not browser and not book"]
    if quick and chapters == "all":
        return "all chapters, quick tests", ["chapters", *not_slow]
    if quick:
        return "quick tests", not_slow
    if chapters == "all":
        return "all chapters", ["chapters"]
    if chapters:
        numbers = chapters.split(",")
        paths = [path for path in notebooks.chapters() if path.name[:2] in numbers]
        if len(paths) < len(numbers):
            sys.exit(f"no such chapters: {chapters}")
        return f"chapters {', '.join(numbers)}", list(map(str, paths))
    return "all", [*ALL, "-m", "not browser and not book"]


def test(row, python, what, log):
    """Run the tests of a row: its line of the table."""
    command = [
        python,
        "-m",
        "pytest",
        "-q",
        "--numprocesses",
        "logical",
        "--maxprocesses",
        "4",
        "--dist",
        "loadfile",
    ]
    settings = {"OMP_NUM_THREADS": "1", "TQDM_DISABLE": "1", **row["settings"]}
    started = time.perf_counter()
    done = subprocess.run(
        [*command, *what], cwd=ROOT, env={**os.environ, **settings}, capture_output=True, text=True
    )
    log.write_text(done.stdout + done.stderr, "utf-8")
    counts = {
        k: int(n)
        for n, k in re.findall(
            r"(\d+) (passed|failed|errors?)", done.stdout.rpartition("\n=")[2] or done.stdout
        )
    }
    return {
        "result": "passed" if done.returncode == 0 else "failed",
        "passed": counts.get("passed", 0),
        "failed": re.findall(r"^(?:FAILED|ERROR) (.*?)(?: - .*)?$", done.stdout, re.M),
        "minutes": round((time.perf_counter() - started) / 60, 1),
    }


def commit():
    done = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], cwd=ROOT, capture_output=True, text=True
    )
    return done.stdout.strip()


def table(results):
    """The results as fixed-width text."""
    lines = [
        f"{'':14} {'Python':8} {'torch':8} {'threads':7} {'result':8} {'passed':>6} {'failed':>6} {'minutes':>7}  on"
    ]
    for name, row in results.items():
        lines.append(
            f"{name:14} {row['version']:8} {row['torch']:8} {row['settings'].get('OMP_NUM_THREADS', '1'):7} "
            f"{row['result'][:8]:8} {row.get('passed', 0):6} {len(row.get('failed', [])):6} {row.get('minutes', 0):7}  "
            f"{row['when']} {row['what']}"
        )
        if row["result"] not in ("passed", "failed"):
            lines.append(f"{'':14} {row['result']}")
    return "\n".join(lines)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="the tests that are not slow")
    parser.add_argument("--chapters", help='chapters by their numbers, as "01,02", or "all"')
    parser.add_argument("--keep", action="store_true", help="keep the environments")
    parser.add_argument("--list", action="store_true", help="show the rows, run nothing")
    parser.add_argument("names", nargs="*", help="rows to run, all without names")
    arguments = parser.parse_args()
    every = rows()
    if unknown := set(arguments.names) - {row["name"] for row in every}:
        sys.exit(
            f"no such row: {', '.join(sorted(unknown))}; there are {', '.join(row['name'] for row in every)}"
        )
    chosen = [row for row in every if not arguments.names or row["name"] in arguments.names]
    if arguments.list:
        return print(
            *(
                f"{row['name']:14} {row['version']:8} torch {row['torch']:8} {row['python']}"
                for row in every
            ),
            sep="\n",
        )
    words, tests = chosen_tests(arguments.quick, arguments.chapters)
    FOLDER.mkdir(parents=True, exist_ok=True)
    stored = FOLDER / "results.json"
    results = json.loads(stored.read_text("utf-8")) if stored.exists() else {}
    environments = {}
    for number, row in enumerate(chosen, 1):
        folder = FOLDER / f"{row['version']}-torch-{row['torch']}"
        print(
            f"row {number} of {len(chosen)}: {row['name']}, Python {row['version']}, torch {row['torch']}",
            flush=True,
        )
        wrong, python = environment(row, folder)
        environments[folder] = row
        found = (
            {"result": wrong} if wrong else test(row, python, tests, FOLDER / f"{row['name']}.log")
        )
        today = f"{datetime.date.today()} {commit()} {platform.machine()}"
        results[row["name"]] = {**row, **found, "what": words, "when": today}
        stored.write_text(json.dumps(results, indent=1) + "\n", "utf-8")
        later = {f"{r['version']}-torch-{r['torch']}" for r in chosen[number:]}
        if not arguments.keep and folder.name not in later:
            shutil.rmtree(folder, ignore_errors=True)
        print(
            f"row {number} of {len(chosen)}: {found['result']}",
            *found.get("failed", []),
            sep="\n  ",
            flush=True,
        )
    print(table(results))
    sys.exit(any(results[row["name"]]["result"] != "passed" for row in chosen))


if __name__ == "__main__":
    main()
