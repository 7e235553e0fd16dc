"""Run a chapter's exercise checks on answers, outside the notebook."""

import contextlib
import functools
import io

import numpy as np
import torch

from tools import notebooks

CHAPTERS = notebooks.ROOT / "chapters"


@functools.cache
def checks(chapter):
    """The names defined by a chapter's cells tagged exercise-check, each cell run by itself."""
    names = {}
    for cell in notebooks.code_cells(CHAPTERS / f"{chapter}.ipynb"):
        if "exercise-check" in notebooks.tags(cell):
            namespace = {}
            exec(cell.source, namespace)
            names |= {k: v for k, v in namespace.items() if k.startswith("check_")}
    return names


def forms(shapes):
    """Lists of sizes in the forms in which people write shapes."""
    kinds = list, torch.Size, np.array, lambda shape: tuple(map(np.int64, shape))
    whole = [[kind(shape) for shape in shapes] for kind in kinds]
    return [*whole, tuple(whole[1]), [tuple(map(float, shape)) for shape in shapes]]


def verdict(chapter, check, answer, *more):
    """What the chapter's check prints of an answer: one line."""
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        checks(chapter)[check](answer, *more)
    lines = printed.getvalue().strip().splitlines()
    assert len(lines) == 1, f"{check} must print one line, it printed {lines}"
    return lines[0]
