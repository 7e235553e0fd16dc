"""The checks of chapter 25 accept what is right and name what is wrong."""

import csv
import re

import pytest

from tests.exercises.checks import verdict

CHAPTER = "25_tables"


def mark(line, marks=",;\t|", quotes=True):
    return max(marks, key=(re.sub('"[^"]*"', "", line) if quotes else line).count)


def by_reader(line):
    return max(",;\t|", key=lambda m: len(next(csv.reader([line], delimiter=m))))


def greedy(line):
    return max(",;\t|", key=re.sub('".*"', "", line).count)


@pytest.mark.parametrize(
    "answer, said",
    [
        (mark, "Right:"),
        (by_reader, "Right:"),
        (greedy, "Between two quoted cells"),
        (lambda line: next(m for m in line if m in ",;\t|"), "Three cells by semicolons"),
        (lambda line: next(m for m in "\t;|," if m in line), "Three cells by commas"),
        (lambda line: mark(line, marks=",;\t"), "Three cells by bars"),
        (lambda line: None, "Not yet"),
        (lambda line: ";", "Here the comma"),
        (lambda line: ",", "Three cells by tabs"),
        (lambda line: mark(line, quotes=False), "inside quotes"),
        (lambda: None, "stopped with TypeError"),
    ],
)
def test_mark(answer, said):
    assert said in verdict(CHAPTER, "check_mark", answer)


def words(rows, size=lambda cell: len(cell.split()), best=max):
    sizes = [sum(size(row[k]) for row in rows) for k in (0, 1)]
    return sizes.index(best(sizes))


def row_by_row(rows):
    votes = [words([row]) for row in rows]
    return max((0, 1), key=votes.count)


@pytest.mark.parametrize(
    "answer, said",
    [
        (words, "Right:"),
        (lambda rows: None, "Not yet"),
        (lambda rows: words(rows, best=min), "That is the label"),
        (lambda rows: 0, "Count the words"),
        (lambda rows: words(rows) + 1, "0 or 1, not 2"),
        (row_by_row, "All rows count together"),
        (lambda rows: words(rows, size=len), "not letters"),
        (lambda: None, "stopped with TypeError"),
    ],
)
def test_text_column(answer, said):
    assert said in verdict(CHAPTER, "check_text_column", answer)


@pytest.mark.parametrize(
    "answer, said",
    [
        (lambda rows: len(rows) >= 10 and len(set(rows)) > len(rows) / 2, "Right:"),
        (lambda rows: None, "Not yet"),
        (lambda rows: False, "twenty labels"),
        (lambda rows: len(set(rows)) > 1, "are labels"),
        (lambda rows: len(set(rows)) > len(rows) / 2, "nothing can be said"),
        (lambda rows: len(rows) >= 10 and len(set(rows)) >= len(rows) / 2, "not more than half"),
        (lambda rows: len(set(rows)) > 9, "Six of ten"),
        (lambda rows: len(rows) > 10 and len(set(rows)) > len(rows) / 2, "at least ten"),
        (lambda: None, "stopped with TypeError"),
    ],
)
def test_suspicious(answer, said):
    assert said in verdict(CHAPTER, "check_suspicious", answer)
