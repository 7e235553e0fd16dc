"""Run notebooks in place, top to bottom, and store outputs that a second run does not change.

    python tools/run_chapters.py [--check] [chapters/NN_name.ipynb ...]

Without names: every chapter, in order, two at a time where there are two cores; chapters that
measure time run after them, one by one. --check runs them and writes nothing.
"""

import argparse
import json
import os
import re
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")  # a second one gains little for small models
os.environ.setdefault("TQDM_DISABLE", "1")  # progress bars leave no trace

import nbclient  # noqa: E402
import nbformat  # noqa: E402

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
    """Join the pieces in which a stream arrived, and forget what belongs to this machine."""
    for cell in notebook.cells:
        cell.metadata.pop("execution", None)
        outputs = []
        for output in cell.get("outputs", []):
            if (
                output.output_type == "stream"
                and outputs
                and outputs[-1].get("name") == output.name
            ):
                outputs[-1].text += output.text
            else:
                outputs.append(output)
        if cell.cell_type == "code":
            cell.outputs = outputs
    notebook.metadata.kernelspec = {
        "display_name": "Python 3",
        "language": "python",
        "name": "python3",
    }
    notebook.metadata.language_info = {"name": "python"}
    return rename_models(notebook)


def run(path, write=True):
    """Execute one notebook; what went wrong if a cell fails, else None."""
    notebook = nbformat.read(path, 4)
    started = time.perf_counter()
    client = nbclient.NotebookClient(
        notebook,
        timeout=900,
        kernel_name="python3",
        record_timing=False,
        extra_arguments=["--IPKernelApp.log_level=40"],  # errors only
        resources={"metadata": {"path": str(path.parent)}},
    )
    try:
        client.execute()
    except (nbclient.exceptions.CellExecutionError, nbclient.exceptions.DeadKernelError) as error:
        return f"{path.name}: {error}"
    if write:
        nbformat.write(tidy(notebook), path)
    print(f"{path.name}: {time.perf_counter() - started:.0f} s", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="run, write nothing")
    parser.add_argument("notebooks", nargs="*", type=Path)
    arguments = parser.parse_args()
    paths = arguments.notebooks or sorted(Path("chapters").glob("*.ipynb"))
    timed = [path for path in paths if "perf_counter" in path.read_text("utf-8")]
    others = [path for path in paths if path not in timed]
    one = partial(run, write=not arguments.check)
    with ProcessPoolExecutor(2 if (os.cpu_count() or 1) > 1 else 1) as pool:
        failed = list(filter(None, pool.map(one, others)))
    failed += filter(None, map(one, timed))
    sys.exit("\n".join(failed) or 0)


if __name__ == "__main__":
    main()
