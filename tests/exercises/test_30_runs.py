"""The checks of chapter 30 accept what is right and name what is wrong."""

import math

import pytest

from tests.exercises.checks import verdict

CHAPTER = "30_runs"


def parts(n, share):
    test = round(n * 0.1)
    aside = round((n - test) * share)
    return n - test - aside, aside, test


def rounded_up(n, share):
    test = math.ceil(n / 10)
    aside = math.ceil((n - test) * share)
    return n - test - aside, aside, test


def rounded_down(n, share):
    test = n // 10
    aside = int((n - test) * share)
    return n - test - aside, aside, test


@pytest.mark.parametrize(
    "answer, said",
    [
        (parts, "Right:"),
        (rounded_down, "Both are rounded to the nearest"),
        (lambda n, share: list(parts(n, share)), "Right:"),
        (lambda n, share: None, "Not yet"),
        (lambda n, share: (n - 2 * n // 10, n // 10, n // 10), "a share of the rest"),
        (lambda n, share: parts(n, share)[::-1], "Training comes first"),
        (lambda n, share: (n, 0, 0), "First a tenth"),
        (rounded_up, "Both are rounded to the nearest"),
        (lambda n, share: parts(n, 0.1), "nothing is set aside"),
        (lambda n: n, "stopped with TypeError"),
    ],
)
def test_parts(answer, said):
    assert said in verdict(CHAPTER, "check_parts", answer)


def differ(one, other):
    missing = object()
    return sorted(n for n in one | other if one.get(n, missing) != other.get(n, missing))


@pytest.mark.parametrize(
    "answer, said",
    [
        (differ, "Right:"),
        (lambda one, other: None, "Not yet"),
        (lambda one, other: sorted(one | other), "its copy"),
        (lambda one, other: sorted(n for n in one if one[n] != other.get(n)), "both"),
        (lambda one, other: sorted(n for n in one | other if one.get(n) != other.get(n)), "None"),
        (lambda one, other: differ(one, other)[::-1], "sorted"),
        (lambda one, other: sorted(one.keys() ^ other.keys()), "where the values do"),
        (
            lambda one, other: sorted(n for n in one | other if one.get(n, "") != other.get(n, "")),
            'None, or of ""',
        ),
        (lambda one: one, "stopped with TypeError"),
    ],
)
def test_differ(answer, said):
    assert said in verdict(CHAPTER, "check_differ", answer)


@pytest.mark.parametrize(
    "answer, said",
    [
        (lambda n, choices: sum(map(math.log, choices)) / n, "Right:"),
        (lambda n, choices: None, "Not yet"),
        (lambda n, choices: sum(map(math.log, choices)), "per sentence"),
        (lambda n, choices: sum(map(math.log, choices)) / len(choices), "certain tokens count"),
        (lambda n, choices: math.log(sum(choices)) / n, "independent"),
        (lambda n, choices: 0.1, "costs ln k"),
        (lambda n, choices: sum(map(math.log, set(choices))) / n, "costs ln k"),
        (lambda n: n, "stopped with TypeError"),
    ],
)
def test_best(answer, said):
    assert said in verdict(CHAPTER, "check_best", answer)
