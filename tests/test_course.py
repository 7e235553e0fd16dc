"""The pages that are made from the chapters for a course: the index of exercises, and the minutes."""

import ast
import copy
import importlib.util
import re
import shutil
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest

from tools import notebooks, student

ROOT = Path(__file__).parents[1]
CHAPTERS = notebooks.chapters()
SPEC = importlib.util.spec_from_file_location("course", ROOT / "book" / "ext" / "course.py")
course = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(course)

every_chapter = pytest.mark.parametrize("path", CHAPTERS, ids=lambda path: path.stem)


def labels_in(path):
    """The labels of a chapter's exercises, found in another way than the extension finds them."""
    lines = notebooks.markdown(path).split("\n")
    return [
        lines[i + 1].removeprefix(":label:").strip()
        for i, line in enumerate(lines)
        if re.match(r"[`:]{3,}\{exercise(-start)?\}", line)
    ]


@every_chapter
def test_index_lists_every_exercise_of_a_chapter(path):
    cells = notebooks.read(path).cells
    found = [exercise["label"] for exercise in course.exercises(cells)]
    assert found == labels_in(path)


def test_index_is_that_of_the_chapters_and_nothing_else():
    labels = [label for path in CHAPTERS for label in labels_in(path)]
    assert re.findall(r"<(ex-[\w-]+)>", course.index(ROOT / "chapters")) == labels
    assert len(set(labels)) == len(labels)


@every_chapter
def test_every_exercise_has_a_title_a_statement_and_a_solution(path):
    for exercise in course.exercises(notebooks.read(path).cells):
        assert exercise["title"] and len(exercise["statement"]) > 40, exercise
        assert re.search(
            rf"\{{solution(-start)?\}} {exercise['label']}\n", notebooks.markdown(path)
        ), exercise["label"]


@every_chapter
def test_no_solution_is_answered_with_not_yet(path):
    within, shown = False, []
    for cell in notebooks.read(path).cells:
        if cell.cell_type == "markdown":
            starts, ends = (
                cell.source.rfind("{solution-start}"),
                cell.source.rfind("{solution-end}"),
            )
            within = starts > ends or within and ends < 0
        elif within:
            shown.append(notebooks.printed(cell))
    assert not [said for said in shown if "Not yet" in said]


@every_chapter
def test_only_a_solved_exercise_is_answered_with_right_and_a_colon(path):
    """The marking guide counts these lines."""
    solved, within, checks = [], False, []
    for cell in notebooks.read(path).cells:
        if cell.cell_type == "markdown":
            starts, ends = (
                cell.source.rfind("{solution-start}"),
                cell.source.rfind("{solution-end}"),
            )
            if starts > ends:
                solved.append("")
            within = starts > ends or within and ends < 0
        elif "exercise-check" in notebooks.tags(cell):
            checks.append(cell.source)
        elif within:
            solved[-1] += notebooks.printed(cell)
        else:
            assert not re.search(r"(?m)^Right:", notebooks.printed(cell))
    assert len(solved) == len(checks)
    assert all(re.search(r"(?m)^Right:", said) for said in solved)
    for check in checks:
        said = [node.value for node in ast.walk(ast.parse(check)) if isinstance(node, ast.Constant)]
        said = [text for text in said if isinstance(text, str) and text.startswith("Right:")]
        # One message; the exercise of which number to compare has two right answers.
        assert len(said) == 1 + check.startswith("def check_compare(answer)"), said


def notebook(folder, name, *cells):
    made = [copy.copy(cell) for cell in (nbformat.v4.new_markdown_cell("# " + name), *cells)]
    for number, cell in enumerate(made):
        cell.id = f"c{number}"
    nbformat.write(nbformat.v4.new_notebook(cells=made), folder / f"{name}.ipynb")


def test_a_new_exercise_is_listed_with_its_kind_and_first_sentence(tmp_path):
    text = "```{exercise} %s\n:label: ex-01-%s\n\n%s\n```"
    check = nbformat.v4.new_code_cell("def check(): ...", metadata={"tags": ["exercise-check"]})
    guess, write = (
        nbformat.v4.new_code_cell(code)
        for code in ("answer = None", "def f():\n    # your code here")
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
            "Before.\n\n" + text % ("Do it", "do", "Write `broken`.") + "\n\nAfter."
        ),
        check,
        write,
        nbformat.v4.new_markdown_cell(text % ("Mend", "mend", "This has a bug.")),
        check,
        write,
        nbformat.v4.new_markdown_cell(
            text % ("Ask it", "ask", "Three of these are broken. Write `ask(network)`.")
        ),
        check,
        write,
        nbformat.v4.new_markdown_cell(
            text
            % ("Shown", "shown", "Find the bug. Write `f()` so that it works.\n\n    def f(): 0")
        ),
        check,
        write,
    )
    assert course.index(tmp_path).split("\n\n")[2].split("\n") == [
        "- {ref}`Guess <ex-01-guess>` (predict): See the head, say 3.5.",
        "- {ref}`Do it <ex-01-do>` (write): Write `broken`.",
        "- {ref}`Mend <ex-01-mend>` (repair): This has a bug.",
        "- {ref}`Ask it <ex-01-ask>` (write): Three of these are broken.",
        "- {ref}`Shown <ex-01-shown>` (repair): Find the bug.",
    ]
    assert "| 1. [](../chapters/01_one.ipynb) | 5 | 5 | 75 |" in course.minutes(tmp_path)


def test_minutes_have_a_row_for_each_chapter_and_add_up():
    rows = [
        re.findall(r"\d+(?= \|)", line)
        for line in course.minutes(ROOT / "chapters").split("\n")[2:]
    ]
    numbers = [[int(number) for number in row] for row in rows]
    assert len(numbers) == len(CHAPTERS) + 1
    assert numbers[-1] == [sum(column) for column in zip(*numbers[:-1], strict=True)]
    assert all(5 <= reading <= 150 for reading, *_ in numbers[:-1])


def test_front_page_leads_to_every_page():
    pages = re.findall(r"- file: (\S+)", (ROOT / "_toc.yml").read_text("utf-8"))
    led_to = re.findall(r"\]\(((?:book|chapters)/[\w/]+)\.", (ROOT / "index.md").read_text("utf-8"))
    assert set(pages) <= set(led_to)


def test_pages_are_read_again_at_every_build():
    class Environment:
        found_docs = {"book/exercises", "book/teaching", "book/notation", "chapters/01_text"}

        def doc2path(self, name):
            return str(ROOT / name) + (".ipynb" if name.startswith("chapters") else ".md")

    assert sorted(course.always_new(None, Environment(), *[set()] * 3)) == [
        "book/exercises",
        "book/teaching",
    ]


def test_the_plan_of_twelve_weeks_has_every_chapter():
    text = (ROOT / "book" / "teaching.md").read_text("utf-8")
    plan = text.split("## Twelve weeks")[1].split("## Three days")[0]
    named = set(re.findall(r"chapters/(\w+)\.ipynb", plan))
    assert named >= {path.stem for path in CHAPTERS} - {"36_figures"}


def test_the_marking_guide_names_what_is_there():
    text = (ROOT / "book" / "teaching.md").read_text("utf-8")
    labels = {label for path in CHAPTERS for label in labels_in(path)}
    assert set(re.findall(r"<(ex-[\w-]+)>", text)) <= labels
    assert "make student" in text and student.__doc__


def test_pairs_have_every_repair_of_the_course_and_each_chapter_of_three_days_an_exercise():
    text = (ROOT / "book" / "teaching.md").read_text("utf-8")
    pairs = text.split("For the second meeting")[1].split("The rest of the course")[0]
    repairs = re.findall(r"<(ex-[\w-]+)>` \(repair\)", course.index(ROOT / "chapters"))
    assert set(repairs) <= set(re.findall(r"<(ex-[\w-]+)>", pairs))
    days = text.split("## Three days")[1].split("## What the exercises train")[0]
    named = set(re.findall(r"<ex-(\d\d)-", pairs + days))
    table = days.split("| **Day 1")[1].split("One exercise a chapter")[0]
    assert named >= set(re.findall(r"chapters/(\d\d)_", table))


def test_no_week_takes_more_than_its_hours():
    """Two meetings of 90 minutes, about three hours at home."""
    text = (ROOT / "book" / "teaching.md").read_text("utf-8")
    plan = text.split("## Twelve weeks")[1].split("For the second meeting")[0]
    rows = re.findall(
        r"chapters/(\w+)\.ipynb\) \| (\d+) \| \d+ \| (\d+)", course.minutes(ROOT / "chapters")
    )
    minutes = {name: int(reading) + int(solving) for name, reading, solving in rows}
    weeks = [re.findall(r"chapters/(\w+)\.ipynb", line) for line in plan.split("\n")]
    weeks = [sum(minutes[name] for name in week) for week in weeks if week]
    assert len(weeks) == 12 and max(weeks) <= 6.25 * 60, weeks


def test_no_week_needs_a_later_chapter():
    """What a chapter says that one needs first was read in the course before it."""
    text = (ROOT / "book" / "teaching.md").read_text("utf-8")
    plan = text.split("## Twelve weeks")[1].split("For the second meeting")[0]
    read = []
    for name in re.findall(r"chapters/(\w+)\.ipynb", plan):
        first = re.search(
            r"\*\*You need first\*\*(.*)", notebooks.markdown(ROOT / "chapters" / f"{name}.ipynb")
        )
        needed = set(re.findall(r"\((\d\d_\w+)\.ipynb", first[1]))
        assert needed <= set(read), (name, needed - set(read))
        read.append(name)


@pytest.mark.slow
def test_marking_counts_what_was_solved_and_nothing_else(tmp_path):
    """A notebook that cannot be read or run costs the others nothing, and no stored line counts."""

    def hand_in(name, *sources, kernel="python3"):
        cells = [nbformat.v4.new_code_cell(source) for source in sources]
        stored = nbformat.v4.new_output("stream", name="stdout", text="Right: stored\n")
        cells[0].outputs = [stored]
        made = nbformat.v4.new_notebook(cells=cells)
        made.metadata.kernelspec = {"name": kernel, "display_name": kernel}
        nbformat.write(made, tmp_path / "handed_in" / f"{name}.ipynb")

    (tmp_path / "handed_in").mkdir()
    (tmp_path / "handed_in" / "b_broken.ipynb").write_text("{")
    hand_in("a_stops", "import os; os._exit(1)")
    hand_in("c_nothing", "print('Not yet')")
    hand_in("d_other_kernel", "1 / 0", "print('Right: a')", "print('Right: a')", kernel="mine")
    hand_in("e_two", "print('Right: a')\nprint('no')\nprint('Right: b')")
    hand_in("f_wrong", "print('Right for small numbers')\nprint('Right, but slow')")
    text = (ROOT / "book" / "teaching.md").read_text("utf-8")
    block = text.split("To see what was solved")[1].split("```bash\n")[1].split("```")[0]
    block = block.replace(".venv/bin/jupyter", str(Path(sys.executable).with_name("jupyter")))

    def marked():
        said = subprocess.run(["sh", "-c", block], cwd=tmp_path, capture_output=True, text=True)
        return [line.split() for line in said.stdout.split("\n") if line]

    assert marked() == [
        ["DID", "NOT", "RUN:", "handed_in/a_stops.ipynb"],
        ["DID", "NOT", "RUN:", "handed_in/b_broken.ipynb"],
        ["1", "marked/d_other_kernel.ipynb"],
        ["2", "marked/e_two.ipynb"],
    ]
    shutil.rmtree(tmp_path / "marked")
    for path in sorted((tmp_path / "handed_in").iterdir())[:-2]:
        path.unlink()
    (tmp_path / "handed_in" / "f_wrong.ipynb").unlink()
    assert marked() == [["2", "marked/e_two.ipynb"]]


@every_chapter
def test_student_edition_reads_well_where_no_book_is_built(path):
    """No fence is left that Jupyter would show as code, no key of a paper, and no open check."""
    before = notebooks.read(path)
    exercises = list(course.exercises(before.cells))
    made = student.for_jupyter(student.without_solutions(before))
    text = "\n\n".join(cell.source for cell in made.cells if cell.cell_type == "markdown")
    assert not re.search(r"(?m)^[`:]{3,}\{|(?<!\\p)\{[\w:]+\}`", text)
    for exercise in exercises:
        statement = exercise["statement"].split("{cite")[0]
        assert f"### Exercise: {exercise['title']}\n\n{statement}" in text
    checks = [c for c in made.cells if "exercise-check" in c.metadata.get("tags", [])]
    assert len(checks) == len(exercises)
    assert all(c.metadata.jupyter["source_hidden"] for c in checks)
    nbformat.validate(made)


def test_student_edition_names_papers_as_a_reader_would():
    cell = nbformat.v4.new_markdown_cell(
        "By {cite:t}`hoffmann2022training`; once {cite:p}`press2017using`, {cite:p}`wong2011points`."
    )
    made = student.for_jupyter(nbformat.v4.new_notebook(cells=[cell]))
    assert made.cells[0].source == (
        "By Hoffmann et al. (2022); once (Press and Wolf, 2017), (Wong, 2011)."
    )


# Bold words that stress and do not name.
STRESSED = {
    "after how many different words", "before", "close", "copy", "differ", "exactly one", "frozen",
    "function", "in one pass", "keep the last half", "shifted by one", "the same", "training", "test", "to touch", "model",
}  # fmt: skip


def test_every_term_in_bold_is_in_the_glossary():
    terms = "\n".join(
        re.findall(r"(?m)^(?! |:|#)(.+)$", (ROOT / "book" / "glossary.md").read_text("utf-8"))
    ).lower()
    for path in CHAPTERS:
        text = "\n".join(
            line for line in notebooks.markdown(path).split("\n") if not line.startswith("- **")
        )
        for bold in re.findall(r"\*\*([^*\n]+)\*\*", text):
            term = bold.replace("$", "").lower()
            if bold[-1] in ".?!:" or term in STRESSED:
                continue
            assert term.removesuffix("s") in terms or term.removesuffix(" model") in terms, (
                f"{path.stem}: {bold!r} is not in book/glossary.md, nor among STRESSED here"
            )


def test_every_letter_of_a_formula_is_in_the_notation():
    greek = "alpha beta gamma delta epsilon eta theta lambda mu sigma tau phi rho ell".split()

    def letters(text):
        found = set()
        for display, inline in re.findall(r"(?s)\$\$(.+?)\$\$|\$([^$\n]+?)\$", text):
            formula = re.sub(
                r"\\(text|operatorname|mathrm|begin|end)\{[^}]*\}", " ", display or inline
            )
            named = re.findall(r"\\(?:var)?([a-zA-Z]+)", formula)
            found |= {name for name in named if name in greek}
            plain = re.sub(r"\\[a-zA-Z]+", " ", formula)
            found |= set(re.findall(r"(?<![A-Za-z])([A-Za-z])(?![A-Za-z])", plain))
        return found

    page = (ROOT / "book" / "notation.md").read_text("utf-8")
    used = {path.stem: letters(notebooks.markdown(path)) for path in CHAPTERS}
    missing = {name: found - letters(page) for name, found in used.items()}
    assert not any(missing.values()), {name: left for name, left in missing.items() if left}
    for row in re.findall(r"(?m)^\| \$.*", page.split("## Letters of single chapters")[1]):
        head = letters(row.split("|")[1])
        for name in re.findall(r"chapters/(\w+)\.", row):
            assert used[name] & head, f"{name} has none of {sorted(head)}"


def test_lines_of_a_command_quote_their_paths():
    """A folder with a space or a backslash in its name, as on Windows, stays one word."""
    chapter = ROOT / "chapters" / "31_command_line.ipynb"
    assert not re.search(r"--(train|test|out) \{folder", chapter.read_text("utf-8"))
