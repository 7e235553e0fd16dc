"""What needs only the standard library holds under every Python of this machine, with the text that each carries.

The corpus differs from one Python to the next: the chapters on text run here under each, with their asserts, and must
print what is stored (but for numbers behind "≈"). Torch and the rest are not needed: `make matrix` is for them.
"""

import functools
import json
import subprocess
from concurrent.futures import ThreadPoolExecutor

import pytest

from tools import notebooks, pythons

PYTHONS = pythons.find()
TEXT = ("01_text", "02_splits")
SIZE = """
from transformer_lib.splits import python_prose, which_library
from transformer_lib.text import SIX_PACKAGES, python_documentation
documents, prose, sentences = python_documentation(), python_prose(), which_library()
words = [sum(len(p.text.split()) for p in part) for part in (documents, prose.train, prose.test)]
labels = {p.label for p in sentences.train}
print(len(documents), *words, len(sentences.train), len(sentences.test), labels == set(SIX_PACKAGES))
"""


def cells(chapter):
    """What is run of a chapter: [number, source] of each code cell but the set-up for Colab; and what is stored."""
    code = notebooks.read(notebooks.ROOT / "chapters" / f"{chapter}.ipynb").cells
    return {
        n: cell
        for n, cell in enumerate(code)
        if cell.cell_type == "code" and notebooks.tags(cell) != {"remove-cell"}
    }


def bare(python, *chapters):
    """Run [(name, [[number, source], ...])] under a Python without any package."""
    done = subprocess.run(
        [python, "-I", "-S", notebooks.ROOT / "tests" / "bare.py"],
        input=json.dumps([{"chapter": name, "cells": code} for name, code in chapters]),
        capture_output=True,
        text=True,
        encoding="utf-8",
    )
    assert done.returncode == 0, done.stderr
    return {chapter["chapter"]: chapter["cells"] for chapter in json.loads(done.stdout)}


@functools.cache
def everywhere():
    """The chapters on text and the sizes of the corpus under every Python, two at a time."""
    chapters = [(name, [[n, cell.source] for n, cell in cells(name).items()]) for name in TEXT]
    with ThreadPoolExecutor(2) as pool:
        jobs = {p: pool.submit(bare, p, *chapters, ("size", [[0, SIZE]])) for p in PYTHONS}
        return {python: job.result() for python, job in jobs.items()}


every_python = pytest.mark.parametrize("python", PYTHONS, ids=PYTHONS.get)


@pytest.mark.slow
@every_python
@pytest.mark.parametrize("chapter", TEXT)
def test_the_chapters_on_text_hold_with_the_text_of_every_python(python, chapter):
    stored = cells(chapter)
    ran = [did for did in everywhere()[python][chapter] if did["ran"]]
    assert len(ran) > 0.6 * len(stored)
    for did in ran:
        cell = stored[did["number"]]
        expects = "raises-exception" in notebooks.tags(cell)
        assert bool(did["wrong"]) == expects, f"cell {did['number']}\n{did['wrong']}"
        if "nbval-ignore-output" not in notebooks.tags(cell):
            shown = notebooks.printed(cell)
            assert notebooks.masked(did["printed"]) == notebooks.masked(shown), cell.source


@pytest.mark.slow
@every_python
def test_the_corpus_of_every_python_is_large_enough_for_the_book(python):
    """The bounds that later chapters lean on: words to read, to learn from and to be tested on."""
    (did,) = everywhere()[python]["size"]
    assert not did["wrong"], did["wrong"]
    documents, words, train, test, learned, tested, labels = did["printed"].split()
    assert int(documents) > 9_000 and int(words) > 190_000 and labels == "True"
    assert int(train) > 0.7 * int(words) and int(test) > 0.06 * int(words)
    assert int(learned) > 1_700 and int(tested) > 300


@every_python
def test_a_bound_that_this_python_breaks_and_another_output_are_seen(python):
    """The run itself: what is missing is left out with what leans on it, and what fails is reported."""
    code = [
        "import ast\nx = 1",
        "import torch_that_is_missing\nx, y = 2, 3",
        "print(y)",
        "print(x)",
        "x = 4",
        "print(x)\nassert x > 4, 'few'",
        "print(z)",
    ]
    one = bare(python, ("c", list(enumerate(code))))["c"]
    assert [did["ran"] for did in one] == [True, False, False, False, True, True, True]
    assert "AssertionError: few" in one[5]["wrong"] and "NameError" in one[6]["wrong"]
    assert [bool(did["wrong"]) for did in one[:5]] == [False] * 5


def test_a_python_older_than_the_promise_is_left_out(tmp_path, monkeypatch):
    for name, version in {
        "python3.9": "3 9 18",
        "python3.14": "3 14 1",
        "python3.11": "no number",
    }.items():
        (tmp_path / name).write_text(f"#!/bin/sh\necho {version} /nowhere/{name}\n")
        (tmp_path / name).chmod(0o755)
    monkeypatch.setattr(pythons, "candidates", lambda: sorted(map(str, tmp_path.iterdir())))
    assert pythons.find() == {str(tmp_path / "python3.14"): "3.14.1"}
