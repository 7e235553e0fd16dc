"""Run a chapter's cells on another corpus than the one that this Python carries: `python -m tests.other_text NAME CORPUS`.

In a process of its own, where nothing looks at the shape of every argument: a chapter that trains takes half the time.
"""

import contextlib
import hashlib
import io
import sys
import sysconfig
from pathlib import Path

import matplotlib

from tools import notebooks
from tools.notebooks import masked
from transformer_lib import text


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
OTHERS = {folder.name: folder for folder in (*FOUND[:1], *FOUND[-1:])}


def corpora():
    """Each other corpus by its name: nine tenths of this Python's, and those of other Pythons."""
    whole = text.documentation

    def kept(what):
        return hashlib.sha256(f"0{what}".encode()).digest()[0] >= 26

    return {
        "passages": lambda root: tuple(p for p in whole(root) if kept(p.text)),
        "sources": lambda root: tuple(p for p in whole(root) if kept(p.source)),
        **{name: lambda _, folder=folder: whole(folder) for name, folder in OTHERS.items()},
    }


def run_on(chapter, documentation):
    """Execute a chapter with `documentation` in the place of the library's own.

    Every assert of the chapter runs, and each cell must print what is stored, but for numbers behind
    "≈": what the page says is then true of the other corpus too.
    """
    text.documentation = documentation
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
    assert not wrong, wrong


if __name__ == "__main__":
    chapter, corpus = sys.argv[1:]
    run_on(chapter, corpora()[corpus])
