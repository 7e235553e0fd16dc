"""The checks of the sampling exercises: right answers pass, wrong ones are named."""

import math

import numpy as np
import pytest
import torch

from tests.exercises.checks import verdict

CHAPTER = "20_sampling"


@pytest.mark.parametrize("answer", [0.64 / 0.68, 16 / 17, "0.941", torch.tensor(0.94)])
def test_half_right(answer):
    assert verdict(CHAPTER, "check_half", answer).startswith("Right")


@pytest.mark.parametrize(
    ("answer", "hint"),
    [
        (None, "Not yet"),
        ("high", "Not yet"),
        (0.64, "sum to 1"),
        (2 / 3, "temperature 2"),
        (0.8, "same temperature"),
        (0.4, "not the probabilities"),
        (1, "greedy"),
        (0.87, "Sharper"),
        (94.1, "from 0 to 1"),
        (16, "odds"),
        (1 / (1 + math.exp(-1.2)), "softmax of probabilities"),
        (0.1, "likelier"),
    ],
)
def test_half_wrong(answer, hint):
    assert hint in verdict(CHAPTER, "check_half", answer)


def by_rows(probs, share):
    out = torch.zeros_like(probs)
    for i, row in enumerate(probs):
        for j, p in enumerate(row):
            if p / row.max() >= share:
                out[i, j] = p
        out[i] /= out[i].sum()
    return out


def again(kept):
    return kept / kept.sum(-1, keepdim=True)


def in_place(probs, share):
    probs[probs < share * probs.amax(-1, keepdim=True)] = 0
    return again(probs)


def not_written(*_):
    raise NotImplementedError


def bar(probs, share):
    return share * probs.amax(-1, keepdim=True)


def by_lists(probs, share):
    kept = [[p if p >= share * max(row) else 0 for p in row] for row in probs.tolist()]
    return [[p / sum(row) for p in row] for row in kept]


def by_numpy(probs, share):
    a = probs.numpy()
    kept = np.where(a >= share * a.max(1, keepdims=True), a, 0)
    return kept / kept.sum(1, keepdims=True)


@pytest.mark.parametrize(
    "answer",
    [
        by_rows,
        by_lists,
        by_numpy,
        lambda p, s: (
            p.log().masked_fill(p < s * p.max(1, keepdim=True).values, float("-inf")).softmax(-1)
        ),
    ],
)
def test_min_p_right(answer):
    assert verdict(CHAPTER, "check_min_p", answer).startswith("Right")


@pytest.mark.parametrize(
    ("answer", "hint"),
    [
        (lambda p, s: None, "Not yet"),
        (not_written, "Not yet"),
        (lambda p, s: p * (p >= s * p.amax(-1, keepdim=True)), "sum to 1"),
        (lambda p, s: again(p * (p >= s * p.max())), "by row"),
        (lambda p, s: again(p * (p >= s * p.amax(0))), "each column"),
        (lambda p, s: again(p * (p >= bar(p, 1 - s))), "not 1 - share"),
        (lambda p, s: (p * (p >= bar(p, s))) / (p * (p >= bar(p, s))).sum(), "sum of all rows"),
        (lambda p, s: p.masked_fill(p < bar(p, s), -torch.inf).softmax(-1), "softmax of"),
        (lambda p, s: p.masked_fill(p < bar(p, s), 0).softmax(-1), "softmax of"),
        (lambda p, s: again(p * (p >= s)), "not share itself"),
        (lambda p, s: again(p * (p < s * p.amax(-1, keepdim=True))), "kept the tail"),
        (lambda p, s: again((p >= s * p.amax(-1, keepdim=True)).float()), "proportions"),
        (in_place, "copy first"),
        (lambda p, s: p[0], "shape"),
        (lambda p, s: p, "by hand"),
    ],
)
def test_min_p_wrong(answer, hint):
    assert hint in verdict(CHAPTER, "check_min_p", answer)
