"""Who imports whom in the package, drawn as lines of text.

    python tools/imports.py

Each module stands below all that it imports, so an arrow back up would be a circle, and there is none.
The number behind a module is its height: one more than that of the highest module it imports.
"""

import ast
from pathlib import Path

PACKAGE = Path(__file__).parents[1] / "transformer_lib"


def imported(node):
    """The full names that an import, of a module at the top of its package, may stand for."""
    if isinstance(node, ast.Import):
        return [name.name for name in node.names]
    if isinstance(node, ast.ImportFrom):
        home = ".".join(filter(None, [PACKAGE.name if node.level else "", node.module]))
        return [home, *(f"{home}.{name.name}" for name in node.names)]
    return []


def drawing(package):
    """For each module the names of the modules that it imports, at its top or in a function."""
    paths = sorted(package.glob("[!_]*.py"))
    full = {f"{PACKAGE.name}.{path.stem}": path.stem for path in paths}
    found = {}
    for path in paths:
        nodes = ast.walk(ast.parse(path.read_text("utf-8")))
        names = {name for node in nodes for name in imported(node)}
        found[path.stem] = sorted(full[name] for name in names & full.keys())
    return found


def layers(drawn):
    """The modules in rows: each row needs only what stands in rows before it."""
    left, placed, rows = dict(drawn), set(), []
    while row := [name for name in left if set(left[name]) <= placed]:
        rows.append(row)
        placed |= set(row)
        left = {name: needed for name, needed in left.items() if name not in placed}
    return rows


def circles(drawn):
    """The modules that stand on a circle, or need one that does."""
    return sorted(set(drawn) - {name for row in layers(drawn) for name in row})


def as_text(drawn):
    """A line for each module, with what it imports."""
    return "\n".join(
        f"{name:>22}  {height}  {', '.join(drawn[name])}".rstrip()
        for height, row in enumerate(layers(drawn))
        for name in row
    )


if __name__ == "__main__":
    print(as_text(drawing(PACKAGE)))
    print("circles:", ", ".join(circles(drawing(PACKAGE))) or "none")
