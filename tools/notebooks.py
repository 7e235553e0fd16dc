"""Read and write notebooks: the chapters, their cells, what is stored below them and what of it is compared."""

import atexit
import json
import os
import re
import shutil
import tempfile
from functools import cache, wraps
from pathlib import Path

import nbformat

ROOT = Path(__file__).parents[1]
DIRECTIVE = re.compile(r"#\|\s*([\w-]+):?[ \t]*(.*)")
NAME = re.compile(r"\d\d_\w+")


def is_chapter(path):
    """Whether a file is named as a chapter is; what an editor or a system leaves beside them is not."""
    return path.suffix == ".ipynb" and bool(NAME.fullmatch(path.stem))


def chapters(folder=ROOT / "chapters"):
    """The chapters in their order: NN_name.ipynb."""
    return sorted(filter(is_chapter, Path(folder).glob("*.ipynb")))


def ipython_folder():
    """A new folder for the IPython of all kernels (IPYTHONDIR), which keeps no history.

    In the home of whoever runs the book they would share one file, and one that had to wait for it too long
    would put it aside as damaged.
    """
    folder = Path(tempfile.mkdtemp(prefix="ipython-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    profile = folder / "profile_default"
    profile.mkdir()
    (profile / "ipython_config.py").write_text("c.HistoryManager.enabled = False\n", "utf-8")
    return str(folder)


def twice(start):
    """Start a kernel once more if it does not answer: rarely one never does, and uses no processor."""

    @wraps(start)
    def start_again(*given, **named):
        try:
            return start(*given, **named)
        except RuntimeError:
            return start(*given, **named)

    return start_again


def read(path):
    return nbformat.read(path, 4)


def write(notebook, path):
    """Write a notebook in one step: whoever reads it finds the old one or the new one, never half of one."""
    path = Path(path)
    beside = path.with_name(f".{path.name}.tmp")
    with open(
        beside, "w", encoding="utf-8", newline="\n"
    ) as file:  # no carriage returns on Windows
        file.write(nbformat.writes(notebook).rstrip("\n") + "\n")
    os.replace(beside, path)


def title(path):
    return read(path).cells[0].source.split("\n")[0].lstrip("# ")


def code_cells(path):
    return [cell for cell in read(path).cells if cell.cell_type == "code"]


def markdown(path):
    """The text of a chapter, without its code."""
    return "\n\n".join(cell.source for cell in read(path).cells if cell.cell_type == "markdown")


def tags(cell):
    return set(cell.metadata.get("tags", []))


def directives(source):
    """The leading `#| name argument` lines of a cell as a dict, and the code below them."""
    found, lines = {}, source.split("\n")
    while lines and (match := DIRECTIVE.fullmatch(lines[0].strip())):
        found[match[1]] = match[2].strip()
        lines.pop(0)
    return found, "\n".join(lines).lstrip("\n")


def default_module(path):
    """The module that a notebook's `#| default_exp` line names, or None."""
    named = (directives(cell.source)[0].get("default_exp") for cell in code_cells(path))
    return next(filter(None, named), None)


def printed(cell):
    """What a cell printed, as stored."""
    return "".join(out.text for out in cell.outputs if out.get("name") == "stdout")


def stored_text(cell):
    """All that is stored below a cell, but for pictures."""
    for output in cell.outputs:
        yield output.get("text", "")
        for kind, value in output.get("data", {}).items():
            if not kind.startswith("image/"):
                yield value if isinstance(value, str) else json.dumps(value)
        yield from output.get("traceback", [])


@cache
def _masks():
    """The patterns of `tests/sanitize.cfg` and their replacements, read as nbval reads them."""
    text = (ROOT / "tests" / "sanitize.cfg").read_text("ascii")
    return re.findall("^regex: (.*)$\n^replace: (.*)$", text, re.MULTILINE)


def masked(text):
    """The text without the numbers behind "≈", which may differ between machines."""
    for pattern, replacement in _masks():
        text = re.sub(pattern, replacement, text)
    return text
