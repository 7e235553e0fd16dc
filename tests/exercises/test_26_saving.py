"""The checks of chapter 26 accept what is right and name what is wrong."""

import math

import pytest

from tests.exercises.checks import verdict

CHAPTER = "26_saving"


@pytest.mark.parametrize(
    "order, said",
    [
        (lambda s: [s[2], s[3], s[1], s[0]], "Right:"),
        (lambda s: ("open beside it", "write", "fsync", "rename to the final name"), "Right:"),
        (lambda s: None, "Not yet"),
        (lambda s: [s[2], s[3], s[0], s[1]], "before fsync"),
        (lambda s: [s[3], s[2], s[1], s[0]], "opened before"),
        (lambda s: s[:2], "all four"),
        (lambda s: 4, "stopped with TypeError"),
    ],
)
def test_order(order, said):
    assert said in verdict(CHAPTER, "check_order", order)


def bytes_of(shapes, bits, vector=4, scale=4, number=4):
    total = 0
    for shape in shapes:
        size = math.prod(shape)
        matrix = bits == 8 and len(shape) == 2
        total += size + scale * shape[0] if matrix else size * (vector if bits == 8 else number)
    return total


@pytest.mark.parametrize(
    "answer, said",
    [
        (bytes_of, "Right:"),
        (lambda *_: None, "Not yet"),
        (lambda shapes, bits: bytes_of(shapes, bits, number=32), "eight bits"),
        (lambda shapes, bits: bytes_of(shapes, bits, number=2), "four bytes"),
        (lambda shapes, bits: bytes_of(shapes, bits, vector=1, scale=0), "every row has a scale"),
        (lambda shapes, bits: bytes_of(shapes, bits, scale=0), "Each row of a matrix"),
        (lambda shapes, bits: bytes_of(shapes, bits, vector=1), "What is no matrix"),
        (lambda shapes, bits: bytes_of(shapes, bits, scale=8), "One byte a number"),
        (lambda shapes, bits: bytes_of(shapes[:1], bits), "the first tensor alone"),
        (lambda shapes, bits: [bytes_of([s], bits) for s in shapes], "not 'list'"),
        (lambda: None, "stopped with TypeError"),
    ],
)
def test_bytes(answer, said):
    assert said in verdict(CHAPTER, "check_bytes", answer)


def beside(disk, name, content):
    disk.write("x", content)
    disk.rename("x", name)


def emptied(disk, name, content):
    disk.write("x", content)
    disk.remove(name)
    disk.rename("x", name)


def left(disk, name, content):
    beside(disk, name, content)
    disk.write("y", content)


@pytest.mark.parametrize(
    "answer, said",
    [
        (beside, "Right:"),
        (lambda disk, name, content: disk.write(name, content), "half of a file"),
        (emptied, "operation 3: there is no file"),
        (left, "nothing should be left"),
        (lambda disk, name, content: None, "the old content is still there"),
        (lambda disk: None, "stopped with TypeError"),
    ],
)
def test_replace(answer, said):
    assert said in verdict(CHAPTER, "check_replace", answer)
