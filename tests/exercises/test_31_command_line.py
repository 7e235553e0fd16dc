"""The checks of chapter 31 accept what is right and name what is wrong."""

import shlex
import sys

import pytest
import typer

from tests.exercises.checks import CHAPTERS, verdict
from tools import notebooks

CHAPTER = "31_command_line"


def code(error, wrong=2, pressed=130, other=1, none=0):
    if error is None:
        return none
    if isinstance(error, KeyboardInterrupt):
        return pressed
    return wrong if isinstance(error, (ValueError, OSError)) else other


@pytest.mark.parametrize(
    "answer, said",
    [
        (code, "Right:"),
        (lambda error: None, "Not yet"),
        (lambda error: code(error, none=1), "No error is 0"),
        (lambda error: code(error, wrong=1), "A ValueError"),
        (lambda error: 2 if type(error) is ValueError else code(error, wrong=1), "an OSError"),
        (lambda error: 1 if isinstance(error, UnicodeError) else code(error), "A UnicodeError"),
        (lambda error: code(error, pressed=2), "Ctrl-C is 130"),
        (lambda error: code(error, other=2), "mistake in the program"),
        (lambda error: 1 if isinstance(error, TypeError) else code(error, other=2), "else"),
        (
            lambda error: 1 if isinstance(error, PermissionError) else code(error),
            "What inherits from OSError",
        ),
        (lambda error: sys.exit(code(error)), "stopped with SystemExit(2)"),
        (lambda: 0, "stopped with TypeError"),
    ],
)
def test_code(answer, said):
    assert said in verdict(CHAPTER, "check_code", answer)


@pytest.mark.parametrize(
    "answer, said",
    [
        (["generate", "runs/mine", "--prompt", "the cat", "--top-k", "3"], "Right:"),
        (None, "Not yet"),
        (["generate", "runs/mine", "--prompt", '"the cat"', "--top-k", "3"], "quotes away"),
        (["generate", "runs/mine", "--prompt", "the", "cat", "--top-k", "3"], "one word"),
        (["transformer-lib", "generate", "runs/mine"], "argv[0]"),
        (["generate", "runs/mine", "--prompt", "the cat", "--top-k", 3], "gets text"),
        (["generate runs/mine"], "outside the quotes"),
        ('generate runs/mine --prompt "the cat" --top-k 3'.split(), "one word"),
        (["runs/mine", "--prompt", "the cat", "--top-k", "3"], "not generate"),
        (3, "stopped with TypeError"),
    ],
)
def test_words(answer, said):
    assert said in verdict(CHAPTER, "check_words", answer)


def made(
    count=lambda words: len(words),
    unique=lambda words: len(set(words)),
    missing=2,
    split=str.split,
):
    app = typer.Typer()

    @app.command()
    def run(path: str, unique_: bool = typer.Option(False, "--unique")):
        try:
            words = split(open(path).read())
        except OSError:
            raise typer.Exit(missing) from None
        typer.echo((unique if unique_ else count)(words))

    return app


@pytest.mark.parametrize(
    "answer, said",
    [
        (made, "Right:"),
        (lambda: None, "Not yet"),
        (lambda: made(count=lambda words: 7), "six words"),
        (lambda: made(unique=len), "Five of them"),
        (lambda: made(split=lambda text: text.split(" ")), "six words"),
        (lambda: made(missing=1), "A missing file"),
        (lambda: 1 / 0, "stopped with ZeroDivisionError"),
    ],
)
def test_count(answer, said):
    assert said in verdict(CHAPTER, "check_count", answer)


def test_the_words_wanted_are_those_of_the_line_in_the_text():
    cells = notebooks.read(CHAPTERS / f"{CHAPTER}.ipynb").cells
    (text,) = (cell.source for cell in cells if "{exercise} What the shell makes" in cell.source)
    program, *words = shlex.split(text.split("line: `")[1].split("`")[0])
    assert program == "transformer-lib"
    assert verdict(CHAPTER, "check_words", words).startswith("Right:")
