"""What a course needs to know of the chapters: the index of the exercises, and the minutes of each chapter.

The comment `<!-- exercises -->` of a page becomes the index, `<!-- minutes -->` the table of minutes. Both are made
from the notebooks each time the book is built, so neither can fall behind them.
"""

import math
import re
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))
from tools import notebooks

MARKERS = ("<!-- exercises -->", "<!-- minutes -->")
EXERCISE = re.compile(
    r"(?ms)^(?P<fence>`{3,}|:{3,})\{exercise(?:-start)?\}[ \t]*(?P<title>[^\n]*)\n:label: (?P<label>\S+)\n"
    r"(?P<statement>.*?)^(?P=fence)[ \t]*$"
)
LINK = re.compile(r"\[([^\]]*)\]\([^)]*\)")
REPAIR = re.compile(r"(?i)\b(?:bugs?|broken|repair|find the)\b")
ASKED = re.compile(r"^Write|\bWrite `\w+\(")
BY_HAND = {"ex-05-design": "write"}  # two matrices, and no function

# How the minutes are estimated.
WORDS_A_MINUTE, LINES_A_MINUTE, MINUTES_AN_EXERCISE = 150, 10, 15


def first_sentence(statement):
    """Return the first sentence of a statement, its links as plain text."""
    text = LINK.sub(r"\1", " ".join(statement.split("\n\n")[0].split()))
    text = re.sub(r"^(?::\w+:\s*\S+\s*)+", "", text)
    return re.split(r"(?<=[.?:])\s+(?=[A-Z`])", text)[0].rstrip(":")


def kind(exercise, stub):
    """Return what an exercise asks for: to predict, to repair, or to write."""
    if exercise["label"] in BY_HAND:
        return BY_HAND[exercise["label"]]
    statement = exercise["statement"]
    shown = "\n    def " in statement or "your code here" not in stub
    asked = ASKED.search(statement) and not shown
    if not asked and any(REPAIR.search(text) for text in exercise.values()):
        return "repair"
    return "write" if "def " in stub else "predict"


def exercises(cells):
    """Yield the title, label, kind and statement of each exercise of a notebook, in order."""
    for number, cell in enumerate(cells):
        if cell.cell_type != "markdown":
            continue
        # What stands above the exercise's check belongs to it; the stub is the first code without a tag.
        stub = next(
            (
                c.source
                for c in cells[number + 1 :]
                if c.cell_type == "code" and "exercise-check" not in notebooks.tags(c)
            ),
            "",
        )
        for match in EXERCISE.finditer(cell.source):
            found = {name: match[name].strip() for name in ("title", "label", "statement")}
            yield {**found, "kind": kind(found, stub)}


def chapters(folder):
    """Yield (path, title, cells) of each chapter."""
    for path in notebooks.chapters(folder):
        yield path, notebooks.title(path), notebooks.read(path).cells


def index(folder):
    """Return the index of all exercises, one section a chapter."""
    sections = []
    for path, title, cells in chapters(folder):
        lines = [
            f"- {{ref}}`{e['title']} <{e['label']}>` ({e['kind']}): {first_sentence(e['statement'])}"
            for e in exercises(cells)
        ]
        if lines:
            sections.append(
                f"## {int(path.name[:2])}. {title}\n\nIn [](../chapters/{path.name}).\n\n"
                + "\n".join(lines)
            )
    return "\n\n".join(sections)


def to_five(minutes):
    """Round up to five minutes."""
    return 5 * math.ceil(minutes / 5)


def effort(cells):
    """Return the minutes to read a chapter without its exercises and folded code, and how many exercises it has."""
    before = [c for c in cells if "remove-cell" not in notebooks.tags(c)]
    end = next(
        (
            i
            for i, c in enumerate(before)
            if c.cell_type == "markdown" and EXERCISE.search(c.source)
        ),
        None,
    )
    before = before[:end]
    words = sum(len(re.findall(r"\w+", c.source)) for c in before if c.cell_type == "markdown")
    shown = [c for c in before if c.cell_type == "code" and "hide-input" not in notebooks.tags(c)]
    lines = sum(len([x for x in c.source.split("\n") if x.strip()]) for c in shown)
    return to_five(words / WORDS_A_MINUTE + lines / LINES_A_MINUTE), len(list(exercises(cells)))


def minutes(folder):
    """Return the table of minutes, one row a chapter, with its sums."""
    rows, total = [], [0, 0, 0]
    for path, _, cells in chapters(folder):
        reading, count = effort(cells)
        row = [reading, count, count * MINUTES_AN_EXERCISE]
        total = [a + b for a, b in zip(total, row, strict=True)]
        rows.append(
            f"| {int(path.name[:2])}. [](../chapters/{path.name}) | {row[0]} | {row[1]} | {row[2]} |"
        )
    head = ["| chapter | reading, minutes | exercises | their minutes |", "|---|---:|---:|---:|"]
    return "\n".join([*head, *rows, f"| together | {total[0]} | {total[1]} | {total[2]} |"])


def fill(app, docname, text):
    """Replace the markers of a page."""
    for marker, made in zip(MARKERS, (index, minutes), strict=True):
        if marker in text[0]:
            text[0] = text[0].replace(marker, made(Path(app.srcdir) / "chapters"))


def always_new(app, env, added, changed, removed):
    """Read the pages with a marker again at every build, since the chapters may have changed."""
    return [
        name
        for name in env.found_docs
        if str(env.doc2path(name)).endswith(".md")
        and any(
            marker in Path(env.doc2path(name)).read_text(encoding="utf-8") for marker in MARKERS
        )
    ]


def setup(app):
    app.connect("source-read", fill)
    app.connect("env-get-outdated", always_new)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
