"""Run notebooks in place, top to bottom, and store outputs that a second run does not change.

    python tools/run_chapters.py [--check] [chapters/NN_name.ipynb ...]

Without names: every chapter, in order, two at a time where there are two cores; chapters that
measure time run after them, one by one. --check runs them and writes nothing. A notebook is
written when all of it has run, and in one step: one that was interrupted stays as it was.
"""

import argparse
import base64
import json
import os
import re
import signal
import sys
import threading
import time
from concurrent.futures import FIRST_COMPLETED, ProcessPoolExecutor, wait
from pathlib import Path

import nbclient
import nbformat

sys.path.insert(0, str(Path(__file__).parents[1]))  # also when started as a script
from tools import notebooks, pictures, warm_kernels

# What the kernels are told, where the caller did not say otherwise.
KERNEL = {
    "OMP_NUM_THREADS": "1",  # a second one gains little for small models
    "OMP_WAIT_POLICY": "PASSIVE",  # threads that wait sleep: a busy machine has better things to do
    "TQDM_DISABLE": "1",  # progress bars leave no trace
    "PYTHONHASHSEED": "0",  # sets in one order, should a cell print one
    "SOURCE_DATE_EPOCH": "0",  # no dates in figures
}
STATE = "application/vnd.jupyter.widget-state+json"
VIEW = "application/vnd.jupyter.widget-view+json"
MODEL_ID = re.compile(r"(?<![0-9a-f])[0-9a-f]{32}(?![0-9a-f])")


def rename_models(notebook):
    """Number the random ids of widget models in the order in which they are first reached."""
    state = notebook.metadata.get("widgets", {}).get(STATE, {}).get("state", {})
    roots = [
        output.data[VIEW]["model_id"]
        for cell in notebook.cells
        for output in cell.get("outputs", [])
        if VIEW in output.get("data", {})
    ]
    order = []

    def visit(model):
        if model in state and model not in order:
            order.append(model)
            for other in re.findall(
                r"IPY_MODEL_([0-9a-f]{32})", json.dumps(state[model], sort_keys=True)
            ):
                visit(other)

    for model in roots:
        visit(model)
    for model in sorted(state, key=lambda m: json.dumps(state[m]["state"], sort_keys=True)):
        ends = [state[model]["state"].get(end) or [""] for end in ("source", "target")]
        if all(end[0].removeprefix("IPY_MODEL_") in order for end in ends):
            visit(model)  # a link between two of them, which no view shows
    number = {model: f"{i:032x}" for i, model in enumerate(order)}
    if state:  # what no output shows need not be stored
        notebook.metadata["widgets"][STATE]["state"] = {model: state[model] for model in order}
    text = MODEL_ID.sub(lambda match: number.get(match[0], match[0]), nbformat.writes(notebook))
    return nbformat.reads(text, 4)


def tidy(notebook):
    """Forget what belongs to this machine and to this run."""
    for cell in notebook.cells:
        for key in ("execution", "collapsed", "scrolled"):
            cell.metadata.pop(key, None)
    notebook.metadata.kernelspec = {
        "display_name": "Python 3",
        "language": "python",
        "name": "python3",
    }
    notebook.metadata.language_info = {"name": "python"}
    return rename_models(notebook)


def stored_pictures(cell):
    """The PNG files below a cell, each with the data of its output: [(data, bytes)]."""
    data = [output.get("data", {}) for output in cell.get("outputs", [])]
    return [(d, base64.b64decode(d["image/png"])) for d in data if "image/png" in d]


def settle_pictures(notebook, before):
    """Store pictures small, and leave those as they were that show what they showed `before`."""
    old = {cell.get("id"): stored_pictures(cell) for cell in before.cells}
    for cell in notebook.cells:
        there = old.get(cell.get("id"), [])
        for number, (data, png) in enumerate(stored_pictures(cell)):
            best = pictures.smaller(png)
            was = there[number][1] if number < len(there) else None
            if was and len(was) <= 1.2 * len(best) and pictures.alike(was, best):
                best = was
            data["image/png"] = base64.b64encode(best).decode()
    return notebook


def run(path, write=True):
    """Execute one notebook: (seconds, what went wrong if a cell failed or None)."""
    started = time.perf_counter()
    notebook, before = notebooks.read(path), notebooks.read(path)
    client = nbclient.NotebookClient(
        notebook,
        timeout=900,
        startup_timeout=180,
        kernel_name="python3",
        coalesce_streams=True,  # join the pieces in which a stream arrived
        record_timing=False,
        extra_arguments=["--IPKernelApp.log_level=40"],  # errors only
        resources={"metadata": {"path": str(path.parent)}},
    )
    try:
        client.execute(env={**KERNEL, **os.environ})
    except (
        nbclient.exceptions.CellControlSignal,
        nbclient.exceptions.DeadKernelError,
        RuntimeError,
    ) as error:
        return time.perf_counter() - started, f"{path.name}: {error}"
    if write:
        notebooks.write(tidy(settle_pictures(notebook, before)), path)
    return time.perf_counter() - started, None


def live_no_longer_than(parent):
    """In a worker: end when the process that started it does, however that ended. Ctrl-C is the parent's."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)

    def watch():
        while os.getppid() == parent:
            time.sleep(0.5)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def run_all(paths, write, workers):
    """Run notebooks, `workers` at a time; say after each how many are done; what failed, as a list."""
    failed, done = [], 0
    pool = ProcessPoolExecutor(workers, initializer=live_no_longer_than, initargs=(os.getpid(),))
    jobs = {pool.submit(run, path, write): path for path in paths}
    waiting = list(jobs)
    while waiting:
        ready, _ = wait(waiting, return_when=FIRST_COMPLETED)
        for job in ready:
            waiting.remove(job)
            seconds, wrong = job.result()
            done += 1
            failed += [wrong] if wrong else []
            now = ", ".join(jobs[other].stem for other in waiting[:workers])
            print(
                f"  chapter {done} of {len(paths)}: {jobs[job].stem} "
                f"{'failed' if wrong else 'done'} in {seconds:.0f} s"
                + (f" (now: {now})" if now else ""),
                flush=True,
            )
    pool.shutdown()
    return failed


def measures_time(path):
    """Whether cells of a chapter time something here; a clock in what they export alone shows no seconds."""
    cells = (notebooks.directives(cell.source) for cell in notebooks.code_cells(path))
    return any("perf_counter" in code for found, code in cells if not found)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="run, write nothing")
    parser.add_argument("notebooks", nargs="*", type=Path)
    arguments = parser.parse_args()
    os.environ["IPYTHONDIR"] = notebooks.ipython_folder()
    warm_kernels.begin({**KERNEL, **os.environ})
    paths = arguments.notebooks or notebooks.chapters()
    timed = [path for path in paths if measures_time(path)]
    others = [path for path in paths if path not in timed]
    workers = 2 if (os.cpu_count() or 1) > 1 else 1
    failed = []
    for group, at_once in ((others, workers), (timed, 1)):
        if group:
            what = "chapters" if group is others else "chapters that measure time, one by one"
            print(f"  {len(group)} {what}: {group[0].stem} first", flush=True)
            failed += run_all(group, not arguments.check, at_once)
    sys.exit("\n".join(failed) or 0)


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        print("interrupted: the chapters that were running are as they were", file=sys.stderr)
        os._exit(130)  # the workers notice; waiting for them could take minutes
