from fractions import Fraction

import numpy as np
import torch

from tests.exercises.checks import verdict

CHAPTER = "17_ngrams"


def test_discount():
    for right in (4 / 10, Fraction(2, 5), torch.tensor(0.4), np.float32(0.4)):
        assert verdict(CHAPTER, "check_discount", right).startswith("Right:")
    assert verdict(CHAPTER, "check_discount", None).startswith("Not yet")
    for wrong, hint in (
        (4 / 7, "count double"),
        (4 / 9, "3 or 5 times"),  # the share of the pairs that were seen once
        (4 / 18, "numbers of pairs"),
        (4 / 16, "not their sum"),
        (3 / 11, "n1 for n2"),
        (6 / 10, "what is left"),
        (0.9, "Count the pairs"),
        ("half", "must be a number"),
        ("0.4", "must be a number"),
        ([0.4, 0.4], "must be a number"),
    ):
        assert hint in verdict(CHAPTER, "check_discount", wrong), wrong


def test_continuation():
    check = "check_continuation"

    def right(tokens):
        left = {}
        for i in range(1, len(tokens)):
            left.setdefault(tokens[i], set()).add(tokens[i - 1])
        return {word: len(neighbours) for word, neighbours in left.items()}

    def by_places(tokens):
        places = range(1, len(tokens))
        return [(w, len({tokens[i - 1] for i in places if tokens[i] == w})) for w in set(tokens)]

    def around(tokens):
        places = range(len(tokens))
        return {w: len({tokens[i - 1] for i in places if tokens[i] == w}) for w in tokens}

    def sets(tokens):
        left = {}
        for a, b in zip(tokens, tokens[1:], strict=False):
            left.setdefault(b, set()).add(a)
        return left

    assert verdict(CHAPTER, check, right).startswith("Right:")
    assert verdict(CHAPTER, check, by_places).startswith("Right:")
    assert verdict(CHAPTER, check, lambda tokens: None).startswith("Not yet")
    assert "no left neighbour" in verdict(CHAPTER, check, around)
    assert "how many" in verdict(CHAPTER, check, sets)

    def occurrences(tokens):
        return {word: tokens[1:].count(word) for word in tokens}

    def to_the_right(tokens):
        pairs = set(zip(tokens, tokens[1:], strict=False))
        return {w: sum(a == w for a, _ in pairs) for w in tokens}

    assert "occurrences" in verdict(CHAPTER, check, occurrences)
    assert "occurrences" in verdict(
        CHAPTER, check, lambda tokens: {w: tokens.count(w) for w in tokens}
    )
    assert "right neighbours" in verdict(CHAPTER, check, to_the_right)
    assert "in a set" in verdict(CHAPTER, check, lambda tokens: {"san": 9})
    assert "stopped with" in verdict(CHAPTER, check, lambda tokens: 3)


def test_interpolate():
    check = "check_interpolate"

    def right(row, lower, d):
        kept = torch.stack([max(c - d, c * 0) for c in row]) / row.sum().clamp(min=1)
        return kept + (1 - kept.sum()) * lower

    def by_loop(row, lower, d):
        total, followers = float(row.sum()), sum(c > 0 for c in row.tolist())
        if not total:
            return lower
        return [
            max(c - d, 0) / total + d * followers / total * p
            for c, p in zip(row.tolist(), lower.tolist(), strict=True)
        ]

    def by_numpy(row, lower, d):
        kept = np.maximum(row.numpy() - d, 0) / max(row.numpy().sum(), 1)
        return kept + (1 - kept.sum()) * lower.numpy()

    def no_clamp(row, lower, d, followers=3):
        return (row - d) / row.sum() + d * followers / row.sum() * lower

    assert verdict(CHAPTER, check, by_loop).startswith("Right:")
    assert verdict(CHAPTER, check, by_numpy).startswith("Right:")
    unseen = verdict(CHAPTER, check, lambda row, *more: by_numpy(row / row.sum() * 8, *more))
    assert "without followers hands everything down" in unseen
    assert "clamp at 0." in verdict(CHAPTER, check, no_clamp)
    assert "clamp at 0," in verdict(CHAPTER, check, lambda *a: no_clamp(*a, followers=4))

    def faulty(row, lower, d):
        return (row - d).clamp(min=0) / row.sum() + d * lower

    assert verdict(CHAPTER, check, right).startswith("Right:")
    assert verdict(CHAPTER, check, lambda *a: None).startswith("Not yet")
    assert "faulty" in verdict(CHAPTER, check, faulty)
    assert "Rescaling" in verdict(CHAPTER, check, lambda *a: faulty(*a) / faulty(*a).sum())
    assert "count of 0" in verdict(
        CHAPTER,
        check,
        lambda row, lower, d: (row - d).clamp(min=0) / row.sum() + d * len(row) / row.sum() * lower,
    )
    assert "what was taken" in verdict(CHAPTER, check, lambda row, lower, d: 2 * lower)

    def by_shares(row, lower, d):
        return (1 - d) * row / row.sum() + d * lower

    assert "sum is right" in verdict(CHAPTER, check, by_shares)
    assert "shape (4,)" in verdict(CHAPTER, check, lambda row, lower, d: 1)
    assert "stopped with" in verdict(CHAPTER, check, lambda row, lower, d: 1 / 0)
