"""The checks of chapter 25 accept what is right and name what is wrong."""

import csv
import re
from collections import Counter

import pytest

from tests.exercises.checks import verdict

CHAPTER = "25_tables"


def by_hand(line, mark, keep=""):
    found, quoted = [""], False
    for sign in line:
        if sign == mark and not quoted:
            found.append("")
        else:
            found[-1] += sign if sign != '"' else keep
        quoted ^= sign == '"'
    return found


def by_reader(line, mark):
    return next(csv.reader([line], delimiter=mark))


def greedy(line, mark):
    inner = re.search('"(.*)"', line)
    if not inner:
        return line.split(mark)
    parts = (line[: inner.start()] + "\0" + line[inner.end() :]).split(mark)
    return [part.replace("\0", inner[1]) for part in parts]


@pytest.mark.parametrize(
    "answer, said",
    [
        (by_hand, "Right:"),
        (by_reader, "Right:"),
        (lambda line, mark: tuple(by_hand(line, mark)), "Right:"),
        (lambda line, mark: None, "Not yet"),
        (lambda line, mark: line.split(","), "Here the semicolon cuts"),
        (lambda line, mark: [c for c in by_hand(line, mark) if c], "may be empty"),
        (lambda line, mark: by_hand(line, mark, keep='"'), "no part of a cell"),
        (lambda line, mark: line.replace('"', "").split(mark), "This comma is in quotes"),
        (greedy, "Between quotes it may cut"),
        (lambda line, mark: by_hand(line.rstrip(mark), mark), "Behind the last mark"),
        (lambda line: None, "stopped with TypeError"),
    ],
)
def test_cells(answer, said):
    assert said in verdict(CHAPTER, "check_cells", answer)


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


def rare(labels, least, fold=str.casefold, best=sorted, most=0):
    times = Counter(map(fold, labels))
    return best(label for label in times if times[label] < least + most)


@pytest.mark.parametrize(
    "answer, said",
    [
        (rare, "Right:"),
        (lambda labels, least: None, "Not yet"),
        (lambda labels, least: sorted(set(labels)), "only b occurs once"),
        (lambda labels, least: rare(labels, least, most=1), "not fewer than 2"),
        (lambda labels, least: rare(labels, 2), "b occurs twice"),
        (lambda labels, least: rare(labels, least, best=list), "order of the alphabet"),
        (lambda labels, least: rare(labels, least, fold=str), "are one label"),
        (
            lambda labels, least: [
                x for x in sorted(map(str.lower, labels)) if x in rare(labels, least)
            ],
            "named once",
        ),
        (lambda labels, least: rare(labels, least, fold=str.upper), "only b occurs once"),
        (
            lambda labels, least: [
                x.title() if labels == ["Neg"] else x for x in rare(labels, least)
            ],
            "small",
        ),
        (lambda: None, "stopped with TypeError"),
    ],
)
def test_rare(answer, said):
    assert said in verdict(CHAPTER, "check_rare", answer)
