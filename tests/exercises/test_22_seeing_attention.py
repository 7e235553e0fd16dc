"""The checks of chapter 22 accept right answers and name the commonest wrong ones."""

import math

import numpy as np
import torch

from tests.exercises.checks import verdict

CHAPTER = "22_seeing_attention"
CHECKS = ("check_tokens", "check_previous", "check_knock_out", "check_rollout")


def says(check, answer):
    return verdict(CHAPTER, check, answer)


def stub(*arguments):
    return None


def fails(*arguments):
    raise RuntimeError("oh")


def test_every_stub_is_told_so_and_no_error_escapes():
    for check in CHECKS:
        assert says(check, stub).startswith("Not yet")
        assert "oh" in says(check, fails)


def nats(row):
    return -sum(p * math.log(p) for p in row.tolist() if p > 0)


def test_tokens():
    def looked_at(row):
        some = row[row > 0]
        return torch.prod(some**-some)

    assert says("check_tokens", looked_at).startswith("Right:")
    assert says("check_tokens", lambda r: math.exp(nats(r))).startswith("Right:")
    assert says("check_tokens", lambda r: 2 ** (nats(r) / math.log(2))).startswith("Right:")
    assert says("check_tokens", lambda r: (-torch.xlogy(r, r)).sum(0, True).exp()).startswith(
        "Right:"
    )
    assert "squares" in says("check_tokens", lambda r: 1 / (r**2).sum())
    assert "0 times ln 0" in says("check_tokens", lambda r: (-(r * r.log()).sum()).exp())
    assert "in nats: which" in says("check_tokens", nats)
    assert "in bits" in says("check_tokens", lambda r: nats(r) / math.log(2))
    assert "not 2" in says("check_tokens", lambda r: 2 ** nats(r))
    assert "sign" in says("check_tokens", lambda r: math.exp(-nats(r)))
    assert "counted" in says("check_tokens", lambda r: int((r > 0).sum()))
    assert "2.83" in says("check_tokens", lambda r: 7.0)


def test_previous():
    def by_loop(weights):
        return sum(weights[i, i - 1] for i in range(1, len(weights))) / (len(weights) - 1)

    assert says("check_previous", by_loop).startswith("Right:")
    assert says("check_previous", lambda w: float(np.diag(w.numpy(), -1).mean())).startswith(
        "Right:"
    )
    assert says("check_previous", lambda w: w.diagonal(-1).mean(0, True)).startswith("Right:")
    assert "two before" in says("check_previous", lambda w: w.diagonal(-2).mean())
    assert "it is" in says("check_previous", lambda w: w.diagonal(-1).mean(0, True) / 3)
    assert "itself" in says("check_previous", lambda w: w.diagonal().mean())
    assert "token after" in says("check_previous", lambda w: w.diagonal(1).mean())
    assert "T - 1" in says("check_previous", lambda w: w.diagonal(-1).sum() / len(w))
    assert "not the sum" in says("check_previous", lambda w: w.diagonal(-1).sum())
    assert "One number" in says("check_previous", lambda w: w.diagonal(-1))
    assert "it is" in says("check_previous", lambda w: torch.tensor(0.9))


def emptied(weights, j):
    return weights.masked_fill(torch.arange(len(weights)) == j, 0)


def test_knock_out():
    def by_odds(weights, j):
        scores = weights.log()
        scores[:, j] = -math.inf
        return scores.softmax(-1)

    def in_place(weights, j):
        weights[:, j] = 0
        return weights.div_(weights.sum(-1, keepdim=True))

    def row(weights, j):
        return emptied(weights.T, j).T

    def by_lists(weights, j):
        rows = [[p if k != j else 0 for k, p in enumerate(row)] for row in weights.tolist()]
        return [[p / sum(row) for p in row] for row in rows]

    def divided(weights, axis=-1, keep=True):
        return weights / weights.sum(axis, keepdim=keep)

    assert says("check_knock_out", by_odds).startswith("Right:")
    assert says("check_knock_out", by_lists).startswith("Right:")
    assert says("check_knock_out", lambda w, j: np.array(by_lists(w, j))).startswith("Right:")
    assert "still gets a weight" in says("check_knock_out", lambda w, j: divided(row(w, j)))
    assert "Row j still" in says("check_knock_out", lambda w, j: divided(row(emptied(w, j), j)))
    assert "keepdim" in says("check_knock_out", lambda w, j: divided(emptied(w, j), keep=False))
    assert "columns sum" in says("check_knock_out", lambda w, j: divided(emptied(w, j), 0))
    assert "softmax of weights" in says(
        "check_knock_out",
        lambda w, j: w.masked_fill(torch.arange(len(w)) == j, -math.inf).softmax(-1),
    )
    assert "passed in was changed" in says("check_knock_out", in_place)
    assert "still gets a weight" in says("check_knock_out", row)
    assert "no longer sum" in says("check_knock_out", emptied)
    assert "columns sum" in says("check_knock_out", lambda w, j: w / w.sum(0))
    assert "softmax of weights" in says("check_knock_out", lambda w, j: emptied(w, j).softmax(-1))
    assert "still gets a weight" in says("check_knock_out", lambda w, j: w)
    assert "other odds stay" in says("check_knock_out", lambda w, j: divided(emptied(w, j) ** 2))
    assert "stays (T, T)" in says("check_knock_out", lambda w, j: w[:, :4])


def product(maps, keep=0.5, scale=1.0):
    mixed = None
    for layer in maps:
        layer = scale * ((1 - keep) * layer + keep * torch.eye(len(layer)))
        mixed = layer if mixed is None else layer @ mixed
    return mixed


def test_rollout():
    def from_the_top(maps):
        mixed = torch.eye(len(maps[0]))
        for layer in reversed(maps):
            mixed = mixed @ layer * 0.5 + mixed * 0.5
        return mixed

    def first_as_it_is(maps):
        mixed = maps[0]
        for layer in maps[1:]:
            mixed = (layer + torch.eye(4)) / 2 @ mixed
        return mixed

    def keeps_the_words(maps):
        mixed = torch.eye(4)
        for layer in maps:
            mixed = layer @ mixed / 2 + torch.eye(4) / 2
        return mixed

    assert "mixture so far" in says("check_rollout", keeps_the_words)
    assert says("check_rollout", product).startswith("Right:")
    assert says("check_rollout", lambda maps: product(maps).tolist()).startswith("Right:")
    assert says("check_rollout", lambda maps: product(maps).double().numpy()).startswith("Right:")
    assert "first layer too" in says("check_rollout", first_as_it_is)
    assert "mean over" in says("check_rollout", lambda maps: torch.stack(maps).mean(0))
    assert "Half of each position" in says("check_rollout", lambda maps: product(maps, 0) / 8)
    assert says("check_rollout", from_the_top).startswith("Right:")
    assert "order is reversed: the first" in says("check_rollout", lambda maps: product(maps[::-1]))
    assert "half of each position" in says("check_rollout", lambda maps: product(maps, keep=0))
    assert "and the order" in says("check_rollout", lambda maps: product(maps[::-1], keep=0))
    assert "with @" in says(
        "check_rollout", lambda maps: math.prod((m + torch.eye(4)) / 2 for m in maps)
    )
    assert "mean over" in says("check_rollout", lambda maps: sum(maps) / 6 + torch.eye(4) / 2)
    assert "Halve" in says("check_rollout", lambda maps: product(maps, scale=2.0))
    assert "one layer alone" in says("check_rollout", lambda maps: maps[0])
    assert "(T, T)" in says("check_rollout", lambda maps: torch.stack(maps))
