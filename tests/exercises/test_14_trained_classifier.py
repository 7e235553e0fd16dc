"""The checks of the trained classifier's exercises accept right answers and name wrong ones."""

import statistics

import numpy as np
import pytest
import torch

from tests.exercises.checks import verdict

NAME = "14_trained_classifier"


def missing(*arguments):
    return None


def unwritten(*arguments):
    raise NotImplementedError


def broken(*arguments):
    raise TypeError("oops")


CHECKS = ["check_coin_error", "check_class_accuracy", "check_report"]


@pytest.mark.parametrize("check", CHECKS)
def test_stub_and_crash(check):
    assert verdict(NAME, check, missing).startswith("Not yet")
    assert verdict(NAME, check, unwritten).startswith("Not yet")
    assert "TypeError" in verdict(NAME, check, broken)


def test_standard_error():
    right = verdict(NAME, "check_coin_error", lambda a, n: np.sqrt(a - a**2) / np.sqrt(n))
    assert right.startswith("Right:")

    def by_answers(a, n):
        return statistics.pstdev([1] * round(a * n) + [0] * round(n - a * n)) / n**0.5

    assert verdict(NAME, "check_coin_error", by_answers).startswith("Right:")
    for wrong, word in (
        (lambda a, n: a * (1 - a) / n, "square root"),
        (lambda a, n: a * (1 - a) / n**0.5, "whole fraction"),
        (lambda a, n: (a * (1 - a) / (n - 1)) ** 0.5, "n - 1"),
        (lambda a, n: 2 * (a * (1 - a) / n) ** 0.5, "twice"),
        (lambda a, n: (a * (1 - a)) ** 0.5, "root of n"),
        (lambda a, n: (a * (1 - a) * n) ** 0.5, "divide by n"),
        (lambda a, n: 0.3, "must be 0.02, got 0.3"),
    ):
        assert word in verdict(NAME, "check_coin_error", wrong)


def test_class_accuracy():
    right = verdict(
        NAME,
        "check_class_accuracy",
        lambda m: [row[i] / sum(row) for i, row in enumerate(m.tolist())],
    )
    assert right.startswith("Right:")
    for answer in (
        lambda m: torch.tensor(m).diag() / torch.tensor(m).sum(1),
        lambda m: {i: m[i, i] / m[i].sum() for i in range(3)},
        lambda m: (m[i, i] / m[i].sum() for i in range(3)),
    ):
        assert verdict(NAME, "check_class_accuracy", answer).startswith("Right:")
    for wrong, word in (
        (lambda m: m.diagonal() / m.sum(0), "columns"),
        (lambda m: 1 - m.diagonal() / m.sum(1), "wrong answers"),
        (lambda m: 100 * m.diagonal() / m.sum(1), "from 0 to 1"),
        (lambda m: m / m.sum(1, keepdims=True), "shape (3,)"),
        (lambda m: m.diagonal() / m.sum(), "all sentences"),
        (lambda m: m.trace() / m.sum(), "shape (3,)"),
        (lambda m: m.diagonal(), "must be 0.8"),
    ):
        assert word in verdict(NAME, "check_class_accuracy", wrong)


def test_report():
    def right(curves):
        return np.mean([t[int(np.argmax(v))] for v, t in curves])

    def chosen_run(curves):
        return min(t[v.index(max(v))] for v, t in curves)

    def one_late(curves):
        return statistics.mean(t[v.index(max(v)) + 1] for v, t in curves)

    def one_epoch(curves):
        epoch = np.mean([v for v, _ in curves], 0).argmax()
        return np.mean([t[epoch] for _, t in curves])

    def by_pairs(curves):
        return statistics.mean(max(zip(v, t))[1] for v, t in curves)

    assert verdict(NAME, "check_report", right).startswith("Right:")
    assert verdict(NAME, "check_report", by_pairs).startswith("Right:")
    for wrong, word in (
        (lambda curves: max(max(t) for _, t in curves), "best run"),
        (lambda curves: np.mean([max(t) for _, t in curves]), "on the test"),
        (chosen_run, "mean over runs"),
        (lambda curves: np.mean([t[-1] for _, t in curves]), "last epoch"),
        (lambda curves: np.mean([max(v) for v, _ in curves]), "on validation: report"),
        (lambda curves: max(max(v) for v, _ in curves), "on validation: report"),
        (one_epoch, "choose one in each"),
        (one_late, "One epoch late"),
        (lambda curves: np.mean([np.argmax(v) for v, _ in curves]), "got 0.5"),  # the epochs
        (lambda curves: [t[v.index(max(v))] for v, t in curves], "one number"),
        (lambda curves: 0.1, "got 0.1"),
    ):
        assert word in verdict(NAME, "check_report", wrong)
