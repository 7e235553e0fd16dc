"""Run chapters' cells in a Python that has nothing but its standard library: `python -I -S bare.py < chapters`.

Started by test_every_python.py, under every Python of the machine; so it imports nothing else. It reads a list of
{"chapter", "cells"} as JSON and writes what each cell did. A cell is left out when it imports a module that is not
there, or uses what such a cell would have made.
"""

import ast
import contextlib
import importlib
import io
import json
import sys
import traceback
from pathlib import Path

sys.dont_write_bytecode = True
sys.path.insert(0, str(Path(__file__).parents[1]))


def missing(tree):
    """The modules that a cell imports, anywhere in it, and that are not there."""
    for node in ast.walk(tree):
        named = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        named += [node.module] if isinstance(node, ast.ImportFrom) else []
        for name in named:
            try:
                importlib.import_module(name)
            except ImportError:
                yield name


def made(tree):
    """The names that a cell defines for the cells after it."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.id
        elif isinstance(node, (ast.FunctionDef, ast.ClassDef)):
            yield node.name
        elif isinstance(node, (ast.Import, ast.ImportFrom)):
            yield from ((alias.asname or alias.name).split(".")[0] for alias in node.names)


def run(cells):
    """Run the cells of a chapter in order: one {"number", "ran", "printed", "wrong"} for each."""
    names, absent = {"__name__": "chapter"}, set()
    for number, source in cells:
        did = {"number": number, "ran": False, "printed": "", "wrong": ""}
        tree = ast.parse(source)
        printed = io.StringIO()
        if not list(missing(tree)):
            try:
                with contextlib.redirect_stdout(printed):
                    exec(compile(tree, f"cell {number}", "exec"), names)
                did.update(ran=True, printed=printed.getvalue())
            except Exception as error:
                if not (isinstance(error, NameError) and getattr(error, "name", "") in absent):
                    did.update(ran=True, wrong=traceback.format_exc())
        for name in made(tree):
            (absent.discard if did["ran"] else absent.add)(name)
            if not did["ran"]:
                names.pop(name, None)
        yield did


if __name__ == "__main__":
    chapters = json.load(sys.stdin)
    json.dump(
        [{"chapter": c["chapter"], "cells": list(run(c["cells"]))} for c in chapters], sys.stdout
    )
