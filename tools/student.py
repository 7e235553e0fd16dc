"""Write the students' edition: the chapters without solutions and without outputs.

python tools/student.py FOLDER
"""

import re
import sys
from pathlib import Path

import nbformat

ROOT = Path(__file__).parents[1]
START = re.compile(r"(?m)^(`{3,}|:{3,})\{solution-start\}")
END = re.compile(r"(?ms)^(`{3,}|:{3,})\{solution-end\}.*?^\1[ \t]*$")
WHOLE = re.compile(r"(?ms)^(`{3,}|:{3,})\{solution\}.*?^\1[ \t]*$")


def without_solutions(notebook):
    """The notebook with its solutions taken out, and nothing run.

    A solution stands between the fences {solution-start} and {solution-end}, with code cells
    between, or in one {solution} fence. What stands beside it in a cell is kept.
    """
    kept, inside = [], False
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
            if not inside:
                kept.append(cell)
            continue
        text, rest = "", WHOLE.sub("", cell.source)
        while rest:
            fence = (END if inside else START).search(rest)
            if not inside:
                text += rest[: fence.start()] if fence else rest
            rest = rest[fence.end() if inside else fence.start() :] if fence else ""
            inside = inside != bool(fence)
        if text.strip():
            cell.source = text.strip("\n")
            kept.append(cell)
    if inside:
        raise ValueError("a {solution-start} has no {solution-end}")
    notebook.cells = kept
    notebook.metadata.pop("widgets", None)
    return notebook


def main(folder):
    folder.mkdir(parents=True, exist_ok=True)
    for chapter in sorted((ROOT / "chapters").glob("*.ipynb")):
        nbformat.write(without_solutions(nbformat.read(chapter, 4)), folder / chapter.name)
    print(f"{len(list(folder.glob('*.ipynb')))} chapters without solutions in {folder}")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: python tools/student.py FOLDER")
    main(Path(sys.argv[1]))
