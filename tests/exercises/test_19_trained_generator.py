"""The checks of the trained generator's exercises: right answers pass, wrong ones are named."""

import difflib
import math

import numpy as np
import pytest
import torch

from tests.exercises.checks import verdict

CHAPTER = "19_trained_generator"


def not_written(*_):
    raise NotImplementedError


HALF = (1 / 2 + 1 / 32) / 2  # what the mixture gives each token


@pytest.mark.parametrize(
    "answer", [(8, 64 / 17), [8.0, 3.76], np.array([8, 3.765]), torch.tensor([8, 1 / HALF])]
)
def test_mixture_right(answer):
    assert verdict(CHAPTER, "check_mixture", answer).startswith("Right:")


@pytest.mark.parametrize(
    ("answer", "hint"),
    [
        (None, "Not yet"),
        (8, "Not yet"),
        ((8,), "Not yet"),
        ("ab", "Not yet"),
        ((64, 3.76), "Alone: of a product"),
        ((1 / 8, 3.76), "Alone: that is a probability"),
        ((1 / HALF, 3.76), "Alone: average the nats, not the probabilities"),
        ((17, 3.76), "not the perplexities"),
        ((math.log(8), 3.76), "Alone: those are nats"),
        ((3, 3.76), "Alone: those are bits"),
        ((math.nan, 3.76), "Alone: what is the product"),
        ((5, 3.76), "Alone: what is the product"),
        ((8, 8), "not their logarithms"),
        ((8, HALF), "Mixed: that is a probability"),
        ((8, 2 * HALF), "half of each"),
        ((8, 1 / (2 * HALF)), "half of each"),
        ((8, HALF**-2), "second root"),
        ((8, -math.log(HALF)), "Mixed: those are nats"),
        ((8, -math.log2(HALF)), "Mixed: those are bits"),
        ((8, math.nan), "Mixed: what does"),
        ((8, 5), "Mixed: what does"),
    ],
)
def test_mixture_wrong(answer, hint):
    assert hint in verdict(CHAPTER, "check_mixture", answer)


def table(text, source):
    """Dynamic programming, unlike the folded solution."""
    a, b = text.split(), source.split()
    before, best = [0] * (len(b) + 1), 0
    for x in a:
        now = [0] * (len(b) + 1)
        for j, y in enumerate(b, 1):
            now[j] = before[j - 1] + 1 if x == y else 0
        before, best = now, max(best, *now)
    return best


def substring(text, source):
    words = text.split()
    runs = [words[i:j] for i in range(len(words)) for j in range(i + 1, len(words) + 1)]
    return max((len(r) for r in runs if " ".join(r) in source), default=0)


def by_sets(text, source):
    def runs(words, n):
        return {tuple(words[i : i + n]) for i in range(len(words) - n + 1)}

    n = 0
    while runs(text.split(), n + 1) & runs(source.split(), n + 1):
        n += 1
    return n


def by_difflib(text, source):
    match = difflib.SequenceMatcher(None, text.split(), source.split(), autojunk=False)
    return match.find_longest_match().size


def with_gaps(text, source):
    """The longest common subsequence, which may leave words out."""
    a, b = text.split(), source.split()
    best = [[0] * (len(b) + 1) for _ in range(len(a) + 1)]
    for i, x in enumerate(a):
        for j, y in enumerate(b):
            best[i + 1][j + 1] = best[i][j] + 1 if x == y else max(best[i][j + 1], best[i + 1][j])
    return best[-1][-1]


def first_places(text, source):
    """Looks for each word in one place only."""
    a, b, best = text.split(), source.split(), 0
    for i, word in enumerate(a):
        n, j = 0, b.index(word) if word in b else len(b)
        while i + n < len(a) and j + n < len(b) and a[i + n] == b[j + n]:
            n += 1
        best = max(best, n)
    return best


def not_to_the_end(text, source):
    """One place too few in the source."""
    a, b, best = text.split(), source.split(), 0
    for i in range(len(a)):
        for n in range(1, len(a) - i + 1):
            if a[i : i + n] in [b[j : j + n] for j in range(len(b) - n)]:
                best = max(best, n)
    return best


def begins_anew(text, source):
    """Drops the whole run where it cannot go on, with the words that it shares."""
    run, best = [], 0
    for word in text.split():
        run = [*run, word]
        if f" {' '.join(run)} " not in f" {' '.join(source.split())} ":
            run = [word] if word in source.split() else []
        best = max(best, len(run))
    return best


def characters(text, source):
    return difflib.SequenceMatcher(None, text, source, autojunk=False).find_longest_match().size


@pytest.mark.parametrize("answer", [table, by_sets, by_difflib])
def test_longest_right(answer):
    assert verdict(CHAPTER, "check_longest", answer).startswith("Right:")


@pytest.mark.parametrize(
    ("answer", "hint"),
    [
        (lambda *_: None, "Not yet"),
        (not_written, "Not yet"),
        (substring, "not characters"),
        (characters, "the unit"),
        (with_gaps, "a gap"),
        (first_places, "false start"),
        (begins_anew, "false start"),
        (not_to_the_end, "end of the source"),
        (lambda t, s: table(t.lower(), s.lower()), "capitals"),
        (lambda t, s: t.split()[: table(t, s)], "not the run"),
        (lambda t, s: len(set(t.split()) & set(s.split())), "It fails"),
        (lambda t, s: len(t.split()), "It fails"),
        (lambda t, s: 3 if table(t, s) == 2 else table(t, s), "2 expected"),
    ],
)
def test_longest_wrong(answer, hint):
    assert hint in verdict(CHAPTER, "check_longest", answer)
