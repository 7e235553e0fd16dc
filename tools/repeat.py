"""Run the chapters again and again, and count what does not come out the same: `make repeat`.

    python tools/repeat.py [--times 10] [--loaded 3] [chapters/NN_name.ipynb ...]

Each run is `pytest --nbval` over the chapters. During the last `loaded` runs every core is also kept busy by something
else. Writes _build/repeat.json and prints one line a run; exit status 1 if any run failed.
"""

import argparse
import contextlib
import json
import os
import re
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).parents[1]
BUSY = "import hashlib\nwhile True: hashlib.sha256(bytes(1 << 16)).digest()"
TESTS = (
    "-m",
    "pytest",
    "-q",
    "--tb=short",
    "--numprocesses",
    "logical",
    "--maxprocesses",
    "4",
    "--dist",
    "loadfile",
)


@contextlib.contextmanager
def loaded(cores):
    """Keep so many cores busy."""
    busy = [subprocess.Popen([sys.executable, "-I", "-S", "-c", BUSY]) for _ in range(cores)]
    try:
        yield
    finally:
        for process in busy:
            process.kill()
            process.wait()


def once(paths, cores, log):
    """One run: how many cells passed, the ones that did not, and the seconds it took."""
    started = time.perf_counter()
    with loaded(cores):
        done = subprocess.run(
            [sys.executable, *TESTS, *paths], cwd=ROOT, capture_output=True, text=True
        )
    passed = re.search(r"(\d+) passed", done.stdout)
    failed = re.findall(r"^(?:FAILED|ERROR) (.*?)(?: - .*)?$", done.stdout, re.M)
    if done.returncode:
        log.parent.mkdir(exist_ok=True)
        log.write_text(done.stdout + done.stderr, "utf-8")
    return {
        "cores kept busy": cores,
        "passed": int(passed[1]) if passed else 0,
        "failed": failed or (["nothing ran"] if done.returncode else []),
        "seconds": round(time.perf_counter() - started),
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--times", type=int, default=10, help="how many runs")
    parser.add_argument("--loaded", type=int, default=3, help="how many of them on a busy machine")
    parser.add_argument("chapters", nargs="*", default=["chapters"])
    arguments = parser.parse_args()
    runs = []
    for number in range(1, arguments.times + 1):
        cores = (os.cpu_count() or 1) if number > arguments.times - arguments.loaded else 0
        runs.append(once(arguments.chapters, cores, ROOT / "_build" / f"repeat-{number}.log"))
        run = runs[-1]
        print(
            f"run {number} of {arguments.times}: {run['passed']} passed, {len(run['failed'])} failed, "
            f"{run['seconds']} s" + (f", {cores} cores kept busy" if cores else ""),
            *run["failed"],
            sep="\n  ",
            flush=True,
        )
    (ROOT / "_build").mkdir(exist_ok=True)
    (ROOT / "_build" / "repeat.json").write_text(json.dumps(runs, indent=1) + "\n", "utf-8")
    good = sum(not run["failed"] for run in runs)
    print(f"{good} of {len(runs)} runs passed")
    for name, times in Counter(name for run in runs for name in run["failed"]).most_common():
        print(f"  {times} times: {name}")
    sys.exit(good < len(runs))


if __name__ == "__main__":
    main()
