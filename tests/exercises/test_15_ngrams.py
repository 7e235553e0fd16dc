import math

import torch

from tests.exercises.checks import verdict

CHAPTER = "15_ngrams"


def test_discount():
    assert verdict(CHAPTER, "check_discount", 1 / 2).startswith("Right")
    assert verdict(CHAPTER, "check_discount", None).startswith("Not yet")
    for wrong, hint in (
        (4 / 6, "count double"),
        (4 / 16, "numbers of pairs"),
        (4 / 12, "not their sum"),
        (0.9, "Count the pairs"),
        ("half", "must be a number"),
    ):
        assert hint in verdict(CHAPTER, "check_discount", wrong), wrong


def test_continuation():
    check = "check_continuation"

    def right(tokens):
        left = {}
        for i in range(1, len(tokens)):
            left.setdefault(tokens[i], set()).add(tokens[i - 1])
        return {word: len(neighbours) for word, neighbours in left.items()}

    assert verdict(CHAPTER, check, right).startswith("Right")
    assert verdict(CHAPTER, check, lambda tokens: None).startswith("Not yet")

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


def test_per_word():
    check = "check_per_word"
    assert verdict(CHAPTER, check, lambda p, words: math.exp(-sum(p.tolist()) / words)).startswith(
        "Right"
    )
    assert verdict(CHAPTER, check, lambda p, words: None).startswith("Not yet")
    for wrong, hint in (
        (lambda p, words: torch.exp(-p.mean()), "a token's"),
        (lambda p, words: torch.exp(p.sum() / words), "sign"),
        (lambda p, words: 2 ** (-p.sum() / words), "natural"),
        (lambda p, words: -p.sum() / words, "exponential"),
        (lambda p, words: torch.exp(-p.mean()) * len(p) / words, "Scale the loss"),
        (lambda p, words: 77.0, "exp of minus"),
        (lambda p, words: 1 / 0, "ZeroDivisionError"),
    ):
        assert hint in verdict(CHAPTER, check, wrong), hint


def test_interpolate():
    check = "check_interpolate"

    def right(row, lower, d):
        kept = torch.stack([max(c - d, c * 0) for c in row]) / row.sum()
        return kept + (1 - kept.sum()) * lower

    def faulty(row, lower, d):
        return (row - d).clamp(min=0) / row.sum() + d * lower

    assert verdict(CHAPTER, check, right).startswith("Right")
    assert verdict(CHAPTER, check, lambda *a: None).startswith("Not yet")
    assert "faulty" in verdict(CHAPTER, check, faulty)
    assert "Rescaling" in verdict(CHAPTER, check, lambda *a: faulty(*a) / faulty(*a).sum())
    assert "count of 0" in verdict(
        CHAPTER,
        check,
        lambda row, lower, d: (row - d).clamp(min=0) / row.sum() + d * len(row) / row.sum() * lower,
    )
    assert "what was taken" in verdict(CHAPTER, check, lambda row, lower, d: lower)
    assert "stopped with" in verdict(CHAPTER, check, lambda row, lower, d: 1)
