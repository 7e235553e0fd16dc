"""The pages that are made from the chapters for a course: the index of exercises, and the minutes."""

import copy
import importlib.util
import re
from pathlib import Path

import nbformat
import pytest

from tools import student

ROOT = Path(__file__).parents[1]
CHAPTERS = sorted((ROOT / "chapters").glob("*.ipynb"))
SPEC = importlib.util.spec_from_file_location("course", ROOT / "book" / "ext" / "course.py")
course = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(course)

every_chapter = pytest.mark.parametrize("path", CHAPTERS, ids=lambda path: path.stem)


def markdown(path):
    return "\n\n".join(
        cell.source for cell in nbformat.read(path, 4).cells if cell.cell_type == "markdown"
    )


def labels_in(path):
    """The labels of a chapter's exercises, found in another way than the extension finds them."""
    lines = markdown(path).split("\n")
    return [
        lines[i + 1].removeprefix(":label:").strip()
        for i, line in enumerate(lines)
        if re.match(r"[`:]{3,}\{exercise(-start)?\}", line)
    ]


@every_chapter
def test_index_lists_every_exercise_of_a_chapter(path):
    cells = nbformat.read(path, 4).cells
    found = [exercise["label"] for exercise in course.exercises(cells)]
    assert found == labels_in(path)


def test_index_is_that_of_the_chapters_and_nothing_else():
    labels = [label for path in CHAPTERS for label in labels_in(path)]
    assert re.findall(r"<(ex-[\w-]+)>", course.index(ROOT / "chapters")) == labels
    assert len(set(labels)) == len(labels)


@every_chapter
def test_every_exercise_has_a_title_a_statement_and_a_solution(path):
    for exercise in course.exercises(nbformat.read(path, 4).cells):
        assert exercise["title"] and len(exercise["statement"]) > 40, exercise
        assert re.search(rf"\{{solution(-start)?\}} {exercise['label']}\n", markdown(path)), (
            exercise["label"]
        )


def notebook(folder, name, *cells):
    made = [copy.copy(cell) for cell in (nbformat.v4.new_markdown_cell("# " + name), *cells)]
    for number, cell in enumerate(made):
        cell.id = f"c{number}"
    nbformat.write(nbformat.v4.new_notebook(cells=made), folder / f"{name}.ipynb")


def test_a_new_exercise_is_listed_with_its_kind_and_first_sentence(tmp_path):
    text = "```{exercise} %s\n:label: ex-01-%s\n\n%s\n```"
    check = nbformat.v4.new_code_cell("def check(): ...", metadata={"tags": ["exercise-check"]})
    guess, write = (
        nbformat.v4.new_code_cell(code) for code in ("answer = None", "def f():\n    pass")
    )
    notebook(
        tmp_path,
        "01_one",
        nbformat.v4.new_markdown_cell(
            text % ("Guess", "guess", "See [the head](04_head.ipynb), say 3.5. Then more.")
        ),
        check,
        guess,
        nbformat.v4.new_markdown_cell(
            "Before.\n\n" + text % ("Do it", "do", "Write `f`.") + "\n\nAfter."
        ),
        check,
        write,
        nbformat.v4.new_markdown_cell(text % ("Mend", "mend", "This has a bug.")),
        check,
        write,
    )
    assert course.index(tmp_path).split("\n\n")[2].split("\n") == [
        "- {ref}`Guess <ex-01-guess>` (predict): See the head, say 3.5.",
        "- {ref}`Do it <ex-01-do>` (write): Write `f`.",
        "- {ref}`Mend <ex-01-mend>` (repair): This has a bug.",
    ]
    assert "| 1. [](../chapters/01_one.ipynb) | 5 | 3 | 45 |" in course.minutes(tmp_path)


def test_minutes_have_a_row_for_each_chapter_and_add_up():
    rows = [
        re.findall(r"\d+(?= \|)", line)
        for line in course.minutes(ROOT / "chapters").split("\n")[2:]
    ]
    numbers = [[int(number) for number in row] for row in rows]
    assert len(numbers) == len(CHAPTERS) + 1
    assert numbers[-1] == [sum(column) for column in zip(*numbers[:-1], strict=True)]
    assert all(5 <= reading <= 150 for reading, *_ in numbers[:-1])


def test_pages_are_read_again_at_every_build():
    class Environment:
        found_docs = {"book/exercises", "book/teaching", "book/notation", "chapters/01_text"}

        def doc2path(self, name):
            return str(ROOT / name) + (".ipynb" if name.startswith("chapters") else ".md")

    assert sorted(course.always_new(None, Environment(), *[set()] * 3)) == [
        "book/exercises",
        "book/teaching",
    ]


def test_the_plan_of_ten_weeks_has_every_chapter():
    text = (ROOT / "book" / "teaching.md").read_text("utf-8")
    plan = text.split("## Ten weeks")[1].split("## Three days")[0]
    named = set(re.findall(r"chapters/(\w+)\.ipynb", plan))
    assert named >= {path.stem for path in CHAPTERS} - {"24_figures"}


def test_the_marking_guide_names_what_is_there():
    text = (ROOT / "book" / "teaching.md").read_text("utf-8")
    labels = {label for path in CHAPTERS for label in labels_in(path)}
    assert set(re.findall(r"<(ex-[\w-]+)>", text)) <= labels
    assert "make student" in text and student.__doc__
