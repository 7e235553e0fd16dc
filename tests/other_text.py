"""Run a chapter's cells on another corpus than the one that this Python carries."""

import contextlib
import io
import json
from pathlib import Path

import matplotlib

CHAPTERS = Path(__file__).parents[1] / "chapters"


def run_on(chapter, documentation):
    """Execute a chapter with `documentation` in the place of the library's own.

    Every assert of the chapter runs, and each cell must print what is stored: what the page says is
    then true of the other corpus too. Returns the names that the cells defined.
    """
    matplotlib.use("Agg")
    cells = json.loads((CHAPTERS / f"{chapter}.ipynb").read_text("utf-8"))["cells"]
    names, wrong = {"__name__": "chapter"}, []
    for number, cell in enumerate(cells):
        tags = set(cell["metadata"].get("tags", []))
        if cell["cell_type"] != "code" or tags == {"remove-cell"}:  # the set-up for Colab
            continue
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed):
            exec(compile("".join(cell["source"]), f"{chapter}, cell {number}", "exec"), names)
        stored = "".join(
            "".join(out["text"]) for out in cell["outputs"] if out.get("name") == "stdout"
        )
        if printed.getvalue() != stored and "nbval-ignore-output" not in tags:
            wrong.append((number, stored, printed.getvalue()))
        if "documentation" in names:  # the chapter that defines it
            names["documentation"] = documentation
    matplotlib.pyplot.close("all")
    assert not wrong, wrong
    return names
