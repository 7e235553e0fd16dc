"""Answers that come near: each was once called right, by a check that did not ask for enough."""

import hashlib
import math

import pytest
import torch
from torch.nn import functional as F

from tests.exercises.checks import verdict


def one_writer(start, v, layers, r, scaled):
    """Forgets v, and that a block writes twice."""
    return start + layers * (1 + r) * (1 / (2 * layers) if scaled else 1)


def shortened_to_one(gradients, limit):
    norm = torch.cat([g.flatten() for g in gradients]).norm()
    factor = limit / norm if norm > 1 else 1.0
    return [g * factor for g in gradients]


def divides_by_zero(gradients, limit):
    norm = sum(g.square().sum() for g in gradients).sqrt().item()
    return [g * min(1.0, limit / norm) for g in gradients]


def wide_by_addmm(X, a, b, c):
    for _ in range(2):
        A = X @ X.T
        X = torch.addmm(X, b * A + c * A @ A, X, beta=a)
    return X


def by_rows(logits, tokens, hidden):
    targets = tokens.masked_fill(~hidden, -100).flatten()
    total = F.cross_entropy(logits.flatten(0, 1), targets, ignore_index=-100, reduction="sum")
    return total / len(tokens)


def within_spaces(text, source):
    words = text.split()
    runs = [
        words[i:j]
        for i in range(len(words))
        for j in range(i + 1, len(words) + 1)
        if f" {' '.join(words[i:j])} " in f" {source} "
    ]
    return max(map(len, runs), default=0)


def at_least(content, size, sha256):
    return len(content) >= size and hashlib.sha256(content).hexdigest() == sha256.lower()


def above(probs, share):
    kept = probs * (probs > share * probs.amax(-1, keepdim=True))
    return kept / kept.sum(-1, keepdim=True)


def no_s(T, s):
    return torch.eye(T).roll(-1, 0) * s**2


def any_table(shapes, bits):
    sizes = [math.prod(shape) for shape in shapes]
    if bits == 32:
        return 4 * sum(sizes)
    return sum(n + 4 * s[0] if len(s) > 1 else 4 * n for n, s in zip(sizes, shapes, strict=True))


@pytest.mark.parametrize(
    "chapter, check, answer, said",
    [
        ("01_text", "check_once", lambda some: toggled(some), "three times"),
        ("08_block", "check_variance", one_writer, "make 28.4 and 6.95"),
        ("11_training", "check_clip", shortened_to_one, "short enough"),
        ("11_training", "check_clip", divides_by_zero, "what do you divide by"),
        ("12_optimizers", "check_two_rounds", wide_by_addmm, "touch a wide matrix"),
        ("13_known_answers", "check_by_hand", no_s, "s times a matrix"),
        ("13_known_answers", "check_shift", lambda T: torch.eye(5).roll(-1, 1), "not of 3"),
        ("15_pretraining", "check_guessing_loss", by_rows, "not by rows"),
        ("19_trained_generator", "check_longest", within_spaces, "line breaks"),
        ("20_sampling", "check_min_p", above, "at least, not above"),
        ("24_files", "check_meant", at_least, "The size must be right"),
        ("26_saving", "check_bytes", any_table, "no matrix keeps four bytes"),
        ("27_checkpoints", "check_every", lambda *a: float(every(*a)), "make it an int"),
        ("35_what_was_measured", "check_honest", lambda scores, rival: (0.804, 1), "0.833"),
    ],
)
def test_a_near_miss_is_named(chapter, check, answer, said):
    assert said in verdict(chapter, check, answer)


def toggled(passages):
    """Drops a text at its second copy and takes it in again at the third."""
    from transformer_lib.text import normalize_text

    kept = {}
    for passage in passages:
        key = normalize_text(passage.text)
        if key in kept:
            del kept[key]
        else:
            kept[key] = passage
    return list(kept.values())


def every(step, save, hours):
    return max(1, math.sqrt(2 * save * hours * 3600) // step)
