"""The checks of chapter 27 accept what is right and name what is wrong."""

import math

import pytest

from tests.exercises.checks import verdict

CHAPTER = "27_checkpoints"


def test_forgotten():
    assert verdict(CHAPTER, "check_forgotten", "random state").startswith("Right:")
    assert verdict(CHAPTER, "check_forgotten", " Random State").startswith("Right:")
    assert verdict(CHAPTER, "check_forgotten", None).startswith("Not yet")
    assert "schedule" in verdict(CHAPTER, "check_forgotten", "learning rate")
    assert "seed and step" in verdict(CHAPTER, "check_forgotten", "batch")
    assert "zero" in verdict(CHAPTER, "check_forgotten", "gradients")
    assert "four strings" in verdict(CHAPTER, "check_forgotten", "the weather")
    assert "four strings" in verdict(CHAPTER, "check_forgotten", ["batch"])


@pytest.mark.parametrize(
    "drop, said",
    [
        (lambda names: sorted(names, key=lambda n: int(n[5:]), reverse=True)[2:], "Right:"),
        (
            lambda names: {n for n in names if sum(int(m[5:]) > int(n[5:]) for m in names) > 1},
            "Right:",
        ),
        (lambda names: sorted(names)[:-2], "as text"),
        (lambda names: None, "Not yet"),
        (lambda names: names, "all but the two"),
        (lambda names: [n for n in names if int(n[5:]) < 13], "nothing to drop"),
        (lambda names: sorted(names, key=len)[:-2], "all but the two"),
        (lambda names: sorted(names, key=lambda n: int(n[5:]))[-2:], "two to keep"),
        (lambda names: 1 / 0, "stopped with ZeroDivisionError"),
    ],
)
def test_drop(drop, said):
    assert said in verdict(CHAPTER, "check_drop", drop)


def root(step, save, hours, two=2, seconds=3600):
    return math.sqrt(two * save * hours * seconds) / step


@pytest.mark.parametrize(
    "every, said",
    [
        (lambda *given: max(1, round(root(*given))), "Right: the root"),
        (lambda *given: max(1, int(root(*given))), "Right: the root"),
        (lambda *given: max(1, math.ceil(root(*given))), "Right: the root"),
        (lambda *given: None, "Not yet"),
        (lambda *given: root(*given), "an int"),
        (lambda *given: int(root(*given)), "at least 1"),
        (lambda *given: max(1, round(root(*given) * given[0])), "divide by the seconds"),
        (lambda *given: max(1, round(root(*given, two=1))), "factor of 2"),
        (lambda *given: max(1, round(root(*given, seconds=1))), "times 3600"),
        (lambda *given: max(1, round(root(*given, two=given[1]))), "then count steps"),
        (lambda *given: root(*given) * 0 + 588, "then count steps"),
        (lambda *given: 1, "then count steps"),
        (lambda step: 1, "stopped with TypeError"),
    ],
)
def test_every(every, said):
    assert said in verdict(CHAPTER, "check_every", every)
