"""The checks of the chapter on known answers tell right answers from wrong ones."""

import numpy as np
import torch
from torch.nn import functional as F

from tests.exercises.checks import verdict


def judge(check, answer):
    return verdict("13_known_answers", check, answer)


def test_shift():
    def right(T):
        return [[float(j == (i - 1) % T) for j in range(T)] for i in range(T)]

    for style in (
        right,
        lambda T: torch.eye(T).roll(1, 0).bool(),
        lambda T: np.roll(np.eye(T), 1, 0),
        lambda T: F.one_hot((torch.arange(T) - 1) % T, T),
        lambda T: list(torch.eye(T).roll(1, 0)),
    ):
        assert judge("check_shift", style).startswith("Right:")
    assert judge("check_shift", lambda T: None).startswith("Not yet")
    for wrong, word in (
        (lambda T: torch.tensor(right(T)).T, "transposed"),
        (torch.eye, "copy"),
        (lambda T: torch.diag(torch.ones(T - 1), -1), "nowhere"),
        (lambda T: torch.eye(T).flip(0), "anti-diagonal"),
        (lambda T: torch.diag(torch.ones(T - 1), 1), "transposed, and one row"),
        (lambda T: torch.eye(T)[(torch.arange(T) - 1).clamp(0)], "looks at itself"),
        (lambda T: 20 * torch.tensor(right(T)), "sum to 1"),
        (lambda T: (torch.arange(T) - 1) % T, "shape"),
        (lambda T: torch.ones(T, T) / T, "Not this map"),
    ):
        said = judge("check_shift", wrong)
        assert word in said and not said.startswith("Right:"), said


def test_mean():
    right = {"e": 0, "d": 0, "c": 1, "b": 0, "a": 1}
    assert judge("check_mean", right).startswith("Right:")
    assert judge("check_mean", None).startswith("Not yet")
    assert judge("check_mean", dict.fromkeys("abcde")).startswith("Not yet")
    assert "keys" in judge("check_mean", {"a": True})
    assert "dictionary" in judge("check_mean", [True, False, True, False, False])
    spelt = {key: str(bool(value)) for key, value in right.items()}
    assert "without quotes" in judge("check_mean", spelt)
    arrays = {key: np.bool_(value) for key, value in right.items()}
    assert judge("check_mean", arrays).startswith("Right:")
    for key in right:
        assert f"about {key}" in judge("check_mean", right | {key: not right[key]})


def test_mask():
    def right(lengths, T):
        return torch.stack([torch.arange(T) < n for n in lengths])

    def by_loop(lengths, T):
        mask = torch.zeros(len(lengths), T, dtype=torch.bool)
        for b, n in enumerate(lengths):
            mask[b, :n] = True
        return mask

    for style in (
        right,
        by_loop,
        lambda lengths, T: [[t < n for t in range(T)] for n in lengths],
        lambda lengths, T: [torch.arange(T) < n for n in lengths],
        lambda lengths, T: np.arange(T)[None] < np.array(lengths)[:, None],
        lambda lengths, T: torch.arange(T) < lengths[:, None],  # lengths as a tensor
    ):
        assert judge("check_mask", style).startswith("Right:")
    assert judge("check_mask", lambda lengths, T: None).startswith("Not yet")
    for wrong, word in (
        (lambda n, T: ~right(n, T), "turn it around"),
        (lambda n, T: right([k - 1 for k in n], T), "still off by one"),
        (lambda n, T: right([k + 1 for k in n], T), "other way"),
        (lambda n, T: right(n, T).T, "shape"),
        (lambda n, T: torch.ones(3, T), "Row by row"),
        (lambda n, T: right(n, 7), "shape"),
        (lambda n, T: right(n, max(n)), "(3, 6) and is (3, 5)"),
        (lambda n, T: right(n, T).flip(1), "not the first"),
        (lambda n, T: right(n, T).int(), "torch.bool"),
    ):
        said = judge("check_mask", wrong)
        assert word in said and not said.startswith("Right:"), said


def test_by_hand():
    def right(T, s):
        W = torch.zeros(T, T)
        W[torch.arange(T) - 1, torch.arange(T)] = s
        return W

    def no_corner(T, s):
        W = right(T, s)
        W[T - 1, 0] = 0
        return W

    for style in (
        right,
        lambda T, s: right(T, s).tolist(),
        lambda T, s: np.roll(s * np.eye(T), -1, 0),
        lambda T, s: s * F.one_hot((torch.arange(T) - 1) % T, T).T,
    ):
        assert judge("check_by_hand", style).startswith("Right:")
    assert judge("check_by_hand", lambda T, s: None).startswith("Not yet")
    for wrong, word in (
        (lambda T, s: right(T, s).T, "its right"),
        (lambda T, s: s * torch.eye(T), "itself"),
        (lambda T, s: right(T, 1.0), "is s in it"),
        (lambda T, s: s * torch.eye(T).flip(0), "should look at"),
        (no_corner, "Position 0 looks nowhere"),
        (lambda T, s: torch.ones(T), "shape"),
    ):
        said = judge("check_by_hand", wrong)
        assert word in said and not said.startswith("Right:"), said
