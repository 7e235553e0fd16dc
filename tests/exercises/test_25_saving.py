"""The checks of chapter 25 accept what is right and name what is wrong."""

import pytest

from tests.exercises.checks import verdict

CHAPTER = "25_saving"


@pytest.mark.parametrize(
    "order, said",
    [
        (lambda s: [s[2], s[3], s[1], s[0]], "Right"),
        (lambda s: ("open beside it", "write", "fsync", "rename to the final name"), "Right"),
        (lambda s: None, "Not yet"),
        (lambda s: [s[2], s[3], s[0], s[1]], "before fsync"),
        (lambda s: [s[3], s[2], s[1], s[0]], "opened before"),
        (lambda s: s[:2], "all four"),
        (lambda s: 4, "stopped with TypeError"),
    ],
)
def test_order(order, said):
    assert said in verdict(CHAPTER, "check_order", order)
