"""Write the students' edition: the chapters without solutions and without outputs, for Jupyter and Colab.

python tools/student.py FOLDER
"""

import re
import sys
from pathlib import Path

from pybtex.database import parse_file
from pybtex.richtext import Text

sys.path.insert(0, str(Path(__file__).parents[1]))  # also when started as a script
from tools import notebooks

ROOT = Path(__file__).parents[1]
START = re.compile(r"(?m)^(`{3,}|:{3,})\{solution-start\}")
END = re.compile(r"(?ms)^(`{3,}|:{3,})\{solution-end\}.*?^\1[ \t]*$")
WHOLE = re.compile(r"(?ms)^(`{3,}|:{3,})\{solution\}.*?^\1[ \t]*$")
EXERCISE = re.compile(
    r"(?ms)^(`{3,}|:{3,})\{exercise\}[ \t]*([^\n]*)\n(?::\w+:[^\n]*\n)*\n*(.*?)\n^\1[ \t]*$"
)
CITE = re.compile(r"\{cite:([pt])\}`([^`]+)`")


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


def papers():
    """What to call each entry of the bibliography: {key: (authors, year)}."""
    found = {}
    for key, entry in parse_file(ROOT / "book" / "references.bib").entries.items():
        last = (" ".join(who.prelast_names + who.last_names) for who in entry.persons["author"])
        names = [str(Text.from_latex(name)) for name in last]
        more = len(names) > 2 or "others" in names
        found[key] = f"{names[0]} et al." if more else " and ".join(names), entry.fields["year"]
    return found


# A folded box; the text, and in it a title that Jupyter and Colab fold themselves.
BOX = re.compile(r"(?ms)^```\{admonition\} ([^\n]*)\n(?::\w+:[^\n]*\n)*(.*?)\n```$")


def for_jupyter(notebook):
    """The notebook as a page of Jupyter or Colab shows it best.

    There a fence would show an exercise or a box as code and a citation as its key, so these
    become text.
    The checks are folded, since they give answers away.
    """
    known = papers()

    def cited(match):
        named = [known[key.strip()] for key in match[2].split(",")]
        if match[1] == "p":
            return "(" + "; ".join(f"{who}, {year}" for who, year in named) + ")"
        return ", ".join(f"{who} ({year})" for who, year in named)

    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            text = EXERCISE.sub(r"### Exercise: \2\n\n\3", cell.source)
            text = BOX.sub(r"<details>\n<summary>\1</summary>\n\n\2\n\n</details>", text)
            cell.source = CITE.sub(cited, text)
        elif "exercise-check" in cell.metadata.get("tags", []):
            cell.metadata["jupyter"] = {"source_hidden": True}
            cell.metadata["cellView"] = "form"  # Colab's word for it
    return notebook


def main(folder):
    folder.mkdir(parents=True, exist_ok=True)
    for chapter in notebooks.chapters():
        notebook = for_jupyter(without_solutions(notebooks.read(chapter)))
        notebooks.write(notebook, folder / chapter.name)
    print(f"{len(list(folder.glob('*.ipynb')))} chapters without solutions in {folder}")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: python tools/student.py FOLDER")
    main(Path(sys.argv[1]))
