"""Run a chapter's cells on another corpus than the one that this Python carries."""

import contextlib
import io
import sys
import sysconfig
from pathlib import Path

import matplotlib

from tools import notebooks
from tools.notebooks import masked


def version(folder):
    """3.12 of .../python3.12, as numbers."""
    return tuple(map(int, folder.name.removeprefix("python").split(".")))


# The sources of the oldest and the newest other Python that stand on this machine, where there are any.
FOUND = sorted(
    {
        folder
        for place in (Path(sys.base_prefix).parent, Path("/usr/lib"), Path("/usr/local/lib"))
        for folder in (*place.glob("3.1[0-9]*/lib/python3.1[0-9]"), *place.glob("python3.1[0-9]"))
        if (folder / "asyncio" / "events.py").exists()
        and folder != Path(sysconfig.get_paths()["stdlib"])
    },
    key=version,
)
OTHERS = sorted({*FOUND[:1], *FOUND[-1:]})


def run_on(chapter, documentation):
    """Execute a chapter with `documentation` in the place of the library's own.

    Every assert of the chapter runs, and each cell must print what is stored, but for numbers behind
    "≈": what the page says is then true of the other corpus too. Returns the names that the cells defined.
    """
    matplotlib.use("Agg")
    cells = notebooks.read(notebooks.ROOT / "chapters" / f"{chapter}.ipynb").cells
    names, wrong = {"__name__": "chapter"}, []
    for number, cell in enumerate(cells):
        tags = notebooks.tags(cell)
        if cell.cell_type != "code" or tags == {"remove-cell"}:  # the set-up for Colab
            continue
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed):
            exec(compile(cell.source, f"{chapter}, cell {number}", "exec"), names)
        stored = notebooks.printed(cell)
        if masked(printed.getvalue()) != masked(stored) and "nbval-ignore-output" not in tags:
            wrong.append((number, stored, printed.getvalue()))
        if "documentation" in names:  # the chapter that defines it
            names["documentation"] = documentation
    matplotlib.pyplot.close("all")
    assert not wrong, wrong
    return names
