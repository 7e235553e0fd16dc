"""Export the chapters to the package with nbdev, and refuse what would go wrong silently.

    python tools/export.py            write transformer_lib/
    python tools/export.py --check    write nothing; fail if transformer_lib/ is out of date

nbdev exports each `#| export` cell to the module its chapter names with `#| default_exp`, and each
`#| exporti` cell, whose names stay out of `__all__`.
This adds: each such cell must parse, each chapter must export to the module of its own
name (chapters/05_attention_head.ipynb to attention_head), modules without a chapter go,
`__init__.py` lists the public names and the version, `__main__.py` runs the commands.
"""

import argparse
import ast
import re
import shutil
import sys
import tempfile
from pathlib import Path

from nbdev.export import nb_export

sys.path.insert(0, str(Path(__file__).parents[1]))  # also when started as a script
from tools import notebooks  # noqa: E402

ROOT = Path(__file__).parents[1]
EXPORTS = {"export", "exporti"}  # the second keeps its names out of `__all__`
# What `from transformer_lib import ...` gives, and the modules it comes from; the rest is imported
# from its module.
FRONT = {
    "AttentionHead": "attention_head",
    "MultiHeadAttention": "multi_head_attention",
    "FeedForward": "feed_forward",
    "Block": "block",
    "Encoder": "encoder",
    "Classifier": "classifier",
    "EncoderClassifier": "classifier",
    "Decoder": "decoder",
    "train_tokenizer": "tokens",
    "load_tokenizer": "tokens",
    "train": "training",
    "generate": "sampling",
    "save_model": "saving",
    "load_model": "saving",
    "view_attention": "seeing_attention",
}
INIT = '''"""The transformer, built step by step: the package is the code of the book."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
{imports}

__version__ = "{version}"
__all__ = [
{names}
]
_MODULES = {{
{modules}
}}


def __getattr__(name: str) -> Any:
    """Import a name when it is first asked for: a module then costs only what it needs itself."""
    if name not in _MODULES:
        raise AttributeError(f"module {{__name__!r}} has no attribute {{name!r}}")
    return getattr(import_module(f".{{_MODULES[name]}}", __name__), name)


def __dir__() -> list[str]:
    return [*globals(), *_MODULES]
'''
COMMANDS = "command_line", "app"  # the module, and what runs in it
MAIN = '''"""The commands of the book: `python -m transformer_lib`, or `transformer-lib` where it is installed."""

import sys


def main() -> None:
    """Run a command; Ctrl-C while PyTorch is still being loaded is one sentence, too."""
    try:
        from .{module} import {name}

        {name}(prog_name="transformer-lib")
    except KeyboardInterrupt:
        print("stopped: nothing is lost", file=sys.stderr)
        sys.exit(130)


if __name__ == "__main__":
    main()
'''


def module_of(notebook):
    """The module a notebook exports to, or None; SystemExit says what is wrong with it."""
    code = [notebooks.directives(cell.source) for cell in notebooks.code_cells(notebook)]
    named = [found["default_exp"] for found, _ in code if "default_exp" in found]
    exported = [(found, source) for found, source in code if EXPORTS & found.keys()]
    for found, source in exported:
        for directive in sorted(EXPORTS & found.keys()):
            if found[directive]:
                sys.exit(
                    f"{notebook.name}: `#| {directive} {found[directive]}` must have no target: "
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


def setting(pattern, root=ROOT):
    """What `pyproject.toml` says: the groups of the first match of a pattern (Python 3.10 has no tomllib)."""
    return re.search(pattern, (root / "pyproject.toml").read_text("utf-8"), re.MULTILINE).groups()


def defined(module):
    """The names that a module defines at its top level; none where there is no such module."""
    if not module.exists():
        return set()
    return {getattr(node, "name", "") for node in ast.parse(module.read_text("utf-8")).body}


def front(package):
    """The text of `__init__.py`: the names of `FRONT` that the modules define, and the version."""
    there = {n: m for n, m in FRONT.items() if n in defined(package / f"{m}.py")}
    return INIT.format(
        version=setting(r'^version = "([\d.]+\w*)"$')[0],
        imports="\n".join(f"    from .{m} import {n}" for n, m in there.items()) or "    pass",
        names="\n".join(f'    "{name}",' for name in there),
        modules="\n".join(f'    "{n}": "{m}",' for n, m in there.items()),
    )


def export(chapters, package):
    """Write the package from the chapters; SystemExit if one of them is wrong."""
    for path in sorted(set(chapters.glob("*.ipynb")) - set(notebooks.chapters(chapters))):
        if not path.name.startswith(".") and '"#| export' in path.read_text("utf-8", "replace"):
            print(f"{path.name} is not exported: a chapter is named NN_name.ipynb", file=sys.stderr)
    modules = {path: module_of(path) for path in notebooks.chapters(chapters)}
    package.mkdir(exist_ok=True)
    for old in package.glob("[!.]*.py"):
        if old.stem not in modules.values():
            old.unlink()
    for notebook, module in modules.items():
        if module:
            nb_export(notebook, lib_path=package)
    (package / "__init__.py").write_text(front(package), "utf-8")
    module, name = COMMANDS
    if (package / f"{module}.py").exists():
        (package / "__main__.py").write_text(MAIN.format(module=module, name=name), "utf-8")


def differences(one, other):
    """The names of the .py files that are not the same in two folders."""
    texts = [{p.name: p.read_bytes() for p in folder.glob("[!.]*.py")} for folder in (one, other)]
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
