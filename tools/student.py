"""Write the students' edition: the chapters without solutions and without outputs.

    python tools/student.py FOLDER
"""
import re
import sys
from pathlib import Path

import nbformat

ROOT = Path(__file__).parents[1]
SOLUTION = re.compile(r"(?ms)^(`{3,}|:{3,})\{solution\}.*?^\1[ \t]*$")


def without_solutions(notebook):
    """The notebook with its solutions taken out, and nothing run."""
    kept, inside = [], False
    for cell in notebook.cells:
        inside = inside or "{solution-start}" in cell.source
        if not inside:
            if cell.cell_type == "code":
                cell.outputs, cell.execution_count = [], None
            else:
                cell.source = SOLUTION.sub("", cell.source)
            kept.append(cell)
        elif "{solution-end}" in cell.source:
            inside = False
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
