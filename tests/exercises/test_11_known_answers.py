"""The checks of the chapter on known answers tell right answers from wrong ones."""

import torch

from tests.exercises.checks import verdict


def judge(check, answer):
    return verdict("11_known_answers", check, answer)


def test_shift():
    def right(T):
        return [[float(j == (i - 1) % T) for j in range(T)] for i in range(T)]

    assert judge("check_shift", right).startswith("Right")
    assert judge("check_shift", lambda T: None).startswith("Not yet")
    for wrong, word in (
        (lambda T: torch.tensor(right(T)).T, "transposed"),
        (torch.eye, "copy"),
        (lambda T: torch.diag(torch.ones(T - 1), -1), "nowhere"),
        (lambda T: torch.eye(T).flip(0), "anti-diagonal"),
        (lambda T: torch.ones(T, T) / T, "Not this map"),
    ):
        said = judge("check_shift", wrong)
        assert word in said and not said.startswith("Right"), said


def test_mean():
    right = {"e": 0, "d": 0, "c": 1, "b": 0, "a": 1}
    assert judge("check_mean", right).startswith("Right")
    assert judge("check_mean", None).startswith("Not yet")
    assert judge("check_mean", dict.fromkeys("abcde")).startswith("Not yet")
    assert "keys" in judge("check_mean", {"a": True})
    for key in right:
        assert f"about {key}" in judge("check_mean", right | {key: not right[key]})


def test_mask():
    def right(lengths, T):
        return torch.stack([torch.arange(T) < n for n in lengths])

    assert judge("check_mask", right).startswith("Right")
    assert judge("check_mask", lambda lengths, T: None).startswith("Not yet")
    for wrong, word in (
        (lambda n, T: ~right(n, T), "turn it around"),
        (lambda n, T: right([k - 1 for k in n], T), "still off by one"),
        (lambda n, T: right([k + 1 for k in n], T), "other way"),
        (lambda n, T: right(n, T).T, "shape"),
        (lambda n, T: torch.ones(3, T), "Row by row"),
        (lambda n, T: right(n, 6), "shape"),
        (lambda n, T: right(n, T).flip(1), "not the first"),
        (lambda n, T: right(n, T).int(), "torch.bool"),
    ):
        said = judge("check_mask", wrong)
        assert word in said and not said.startswith("Right"), said


def test_by_hand():
    def right(T, s):
        W = torch.zeros(T, T)
        W[torch.arange(T) - 1, torch.arange(T)] = s
        return W

    assert judge("check_by_hand", right).startswith("Right")
    assert judge("check_by_hand", lambda T, s: None).startswith("Not yet")
    for wrong, word in (
        (lambda T, s: right(T, s).T, "its right"),
        (lambda T, s: s * torch.eye(T), "itself"),
        (lambda T, s: right(T, 1.0), "is s in it"),
        (lambda T, s: s * torch.eye(T).flip(0), "should look at"),
    ):
        said = judge("check_by_hand", wrong)
        assert word in said and not said.startswith("Right"), said
