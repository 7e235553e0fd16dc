"""The checks of the chapter on optimizers tell right answers from wrong ones."""

import math

import numpy as np
import torch
from torch.nn import functional as F

from tests.exercises.checks import verdict


def judge(check, answer):
    return verdict("12_optimizers", check, answer)


def adamw(p, g, m, v, t, lr, decay, pull="weight", sign=1, correct=True, eps=1e-8, under=0.0):
    if pull == "gradient":
        g = g + decay * p
    m, v = 0.9 * m + 0.1 * g, 0.95 * v + 0.05 * g.square()
    b1, b2 = (1 - 0.9**t, 1 - 0.95**t) if correct else (0.1, 0.05)
    if pull == "weight":
        p = p - lr * decay * p
    p = p - sign * lr * (m / b1) / ((v / b2 + under).sqrt() + eps)
    return (p * (1 - lr * decay) if pull == "late" else p), m, v


def uncorrected(p, g, m, v, t, lr, decay):
    m, v = 0.9 * m + 0.1 * g, 0.95 * v + 0.05 * g.square()
    return p * (1 - lr * decay) - lr * m / (v.sqrt() + 1e-8), m, v


def test_adamw_step():
    def early(p, g, m, v, t, lr, decay):
        """Epsilon beside the root of v, and the correction afterwards."""
        m, v = 0.9 * m + 0.1 * g, 0.95 * v + 0.05 * g.square()
        rate = lr * math.sqrt(1 - 0.95**t) / (1 - 0.9**t)
        return p * (1 - lr * decay) - rate * m / (v.sqrt() + 1e-8), m, v

    def squares(p, g, *others):
        new = adamw(p, g, *others)
        g.square_()
        return new

    def unsquared(p, g, m, v, t, lr, decay):
        return adamw(p, g, m, v + 0.05 * (g - g.square()) / 0.95, t, lr, decay)

    def in_64_bits(p, g, m, v, *others):
        return adamw(*(x.double() for x in (p, g, m, v)), *others)

    assert "averages squares" in judge("check_adamw_step", unsquared)
    assert judge("check_adamw_step", in_64_bits).startswith("Right:")
    assert "after v has been corrected" in judge("check_adamw_step", early)
    assert "in place" in judge("check_adamw_step", squares)
    assert judge("check_adamw_step", adamw).startswith("Right:")
    for wrong, word in (
        (lambda *a: None, "Not yet"),
        (lambda *a: 1 / 0, "Not yet"),
        (lambda *a: adamw(*a, pull=None), "pull is missing"),
        (lambda *a: adamw(*a, pull="gradient"), "hidden in the gradient"),
        (lambda *a: adamw(*a, pull="late"), "before the step"),
        (lambda *a: adamw(*a, eps=0.0, under=1e-8), "outside the root"),
        (lambda *a: adamw(*a, eps=0.0), "ε is missing"),
        (uncorrected, "correct them"),
        (lambda *a: adamw(*a)[0], "return the new p, m and v"),
        (lambda *a: adamw(*a)[:2], "return the new p, m and v"),
        (lambda *a: adamw(*a, sign=-1), "up the hill"),
        (lambda *a: adamw(*a, correct=False), "Right at first, other at step 2"),
        (lambda p, *a: adamw(p.mul_(0.5), *a), "in place"),
        (lambda p, *a: (p, *adamw(p, *a)[1:]), "Not this step"),
    ):
        said = judge("check_adamw_step", wrong)
        assert word in said and not said.startswith("Right:")


def rounds(X, a, b, c, count=2):
    for _ in range(count):
        A = X @ X.T
        X = a * X + (b * A + c * A @ A) @ X
    return X


def small(X, a, b, c):
    A = X @ X.T
    eye = torch.eye(4, dtype=A.dtype)
    P = a * eye + b * A + c * A @ A
    A = P @ A @ P
    return (a * eye + b * A + c * A @ A) @ P @ X


def by_linear(X, a, b, c):
    for _ in range(2):
        A = F.linear(X, X)
        X = a * X + F.linear(b * A + c * A @ A, X.T)
    return X


def test_two_rounds():
    assert judge("check_two_rounds", small).startswith("Right: two rounds")
    for wrong, word in (
        (lambda *a: None, "Not yet"),
        (lambda *a: 1 / 0, "Not yet"),
        (lambda *a: rounds(*a, count=1), "one round"),
        (lambda *a: rounds(*a, count=3), "Not two rounds"),
        (lambda X, a, b, c: small(X, a, b, c) + a, "on the diagonal alone"),
        (lambda X, a, b, c: rounds(X, a, b, c).T, "shape"),
        (lambda *a: rounds(*a).tolist(), "as a tensor"),
        (by_linear, "products touch a wide matrix"),
        (rounds, "products touch a wide matrix"),
    ):
        said = judge("check_two_rounds", wrong)
        assert word in said and not said.startswith("Right:")


NUMBERS = 3.4445, -4.7750, 2.0315


def one_round(s, a=3.4445, b=-4.7750, c=2.0315):
    return a * s + b * s**3 + c * s**5


def both(by, times=1, way=one_round):
    s = [3 / by, 4 / by]
    for _ in range(times):
        s = [way(value) for value in s]
    return s


def test_round():
    x, y = both(5)
    for right in (
        (x, y),
        [1.19, 0.98],
        ("1.193", "0.976"),
        torch.tensor([x, y]),
        np.array([x, y], np.float32),
        torch.linalg.svdvals(rounds(torch.diag(torch.tensor([0.6, 0.8])), *NUMBERS, 1)),
    ):
        assert judge("check_round", right).startswith("Right:")
    for wrong, word in (
        (None, "Not yet"),
        (1.19, "two numbers"),
        ((x,), "two numbers"),
        ((x, y, 1), "two numbers"),
        ("1.19 0.98", "two numbers"),
        (torch.eye(2), "two numbers"),
        ({"3": x}, "two numbers"),
        ((y, x), "exchanged"),
        ((1, 1), "SVD"),
        ((0.6, 0.8), "before the round"),
        (both(1), "First divide"),
        (both(4), "by the largest"),
        (both(7), "by the sum,"),
        (both(25), "not by its root"),
        (both(5, times=2), "two rounds"),
        (both(5, times=5), "five rounds"),
        (both(5, way=lambda s: one_round(s) / s), "has to multiply"),
        (both(5, way=lambda s: 3.4445 * s - 4.775 * s**2 + 2.0315 * s**3), "1, 3 and 5"),
        (both(5, way=lambda s: one_round(s, b=4.775)), "is negative"),
        ((5 * x, 5 * y), "multiplied back"),
        ((x, 1.0), "of the 3 is right"),
        ((0.7, y), "of the 4 is right"),
        ((3, 4), "polynomial"),
        ((math.nan, math.inf), "polynomial"),
        ((-x, -y), "polynomial"),
    ):
        said = judge("check_round", wrong)
        assert word in said and not said.startswith("Right:")
