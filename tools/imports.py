"""Who imports whom in the package, drawn as lines of text.

    python tools/imports.py

Each module stands below all that it imports, so an arrow back up would be a circle, and there is none.
The number before a module is its height: one more than that of the highest module it imports.
"""

import ast
from pathlib import Path

PACKAGE = Path(__file__).parents[1] / "transformer_lib"


def drawing(package):
    """For each module the names of the modules that it imports when it is loaded."""
    found = {}
    for path in sorted(package.glob("[!_]*.py")):
        body = ast.parse(path.read_text("utf-8")).body
        found[path.stem] = sorted(
            {node.module for node in body if isinstance(node, ast.ImportFrom) and node.level == 1}
        )
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
