"""Export the chapters to the package with nbdev, and refuse what would go wrong silently.

    python tools/export.py            write transformer_lib/
    python tools/export.py --check    write nothing; fail if transformer_lib/ is out of date

nbdev exports each `#| export` cell to the module its chapter names with `#| default_exp`.
This adds: each such cell must parse, each chapter must export to the module of its own
name (chapters/04_attention_head.ipynb to attention_head), modules without a chapter go,
and `__init__.py` lists the public names.
"""

import argparse
import ast
import json
import re
import shutil
import sys
import tempfile
from pathlib import Path

from nbdev.export import nb_export

ROOT = Path(__file__).parents[1]
DIRECTIVE = re.compile(r"#\|\s*(\w+)\s*(.*)")
# What `from transformer_lib import ...` gives; the rest is imported from its module.
FRONT = (
    "attention_head",
    "multi_head_attention",
    "feed_forward",
    "block",
    "encoder",
    "classifier",
    "decoder",
)


def directives(source):
    """The leading `#| name argument` lines of a cell as a dict, and the code below them."""
    found, lines = {}, source.split("\n")
    while lines and (match := DIRECTIVE.fullmatch(lines[0].strip())):
        found[match[1]] = match[2].strip()
        lines.pop(0)
    return found, "\n".join(lines)


def module_of(notebook):
    """The module a notebook exports to, or None; SystemExit says what is wrong with it."""
    cells = json.loads(notebook.read_text("utf-8"))["cells"]
    code = [directives("".join(cell["source"])) for cell in cells if cell["cell_type"] == "code"]
    named = [found["default_exp"] for found, _ in code if "default_exp" in found]
    exported = [(found, source) for found, source in code if "export" in found]
    for found, source in exported:
        if found["export"]:
            sys.exit(
                f"{notebook.name}: `#| export {found['export']}` must have no target: "
                "a chapter exports to its own module only"
            )
        try:
            ast.parse(source)
        except SyntaxError as error:
            sys.exit(f"{notebook.name}: an exported cell does not parse ({error}):\n{source}")
    if exported and not named:
        sys.exit(f"{notebook.name}: `#| export` needs a cell with `#| default_exp NAME`")
    expected = notebook.stem.split("_", 1)[1]
    if named and named != [expected]:
        sys.exit(
            f"{notebook.name}: `#| default_exp` must be {expected}, it is {' and '.join(named)}"
        )
    return expected if exported else None


def front(package):
    """The text of `__init__.py`: every public class of the parts of the model."""
    lines, names = [], []
    for module in FRONT:
        if (package / f"{module}.py").exists():
            tree = ast.parse((package / f"{module}.py").read_text("utf-8"))
            classes = [node.name for node in tree.body if isinstance(node, ast.ClassDef)]
            lines.append(f"from .{module} import {', '.join(classes)}")
            names += classes
    head = '"""The transformer, built step by step: the package is the code of the book."""\n'
    return head + "\n".join(["", *lines, "", f"__all__ = {names!r}", ""]).replace("'", '"')


def export(chapters, package):
    """Write the package from the chapters; SystemExit if one of them is wrong."""
    notebooks = sorted(chapters.glob("*.ipynb"))
    modules = {notebook: module_of(notebook) for notebook in notebooks}
    package.mkdir(exist_ok=True)
    for old in package.glob("*.py"):
        if old.stem not in modules.values():
            old.unlink()
    for notebook, module in modules.items():
        if module:
            nb_export(notebook, lib_path=package)
    (package / "__init__.py").write_text(front(package), "utf-8")


def differences(one, other):
    """The names of the .py files that are not the same in two folders."""
    texts = [{p.name: p.read_bytes() for p in folder.glob("*.py")} for folder in (one, other)]
    return sorted(
        n for n in texts[0].keys() | texts[1].keys() if texts[0].get(n) != texts[1].get(n)
    )


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="write nothing, fail on a difference")
    if not parser.parse_args().check:
        return export(ROOT / "chapters", ROOT / "transformer_lib")
    with tempfile.TemporaryDirectory() as folder:
        shutil.copytree(ROOT / "chapters", Path(folder, "chapters"))
        export(Path(folder, "chapters"), Path(folder, "transformer_lib"))
        if stale := differences(Path(folder, "transformer_lib"), ROOT / "transformer_lib"):
            sys.exit(
                f"transformer_lib is not what the chapters say ({', '.join(stale)}): "
                "run `make export`"
            )


if __name__ == "__main__":
    main()
