"""The checks of the pretraining exercises accept right answers and name wrong ones."""

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from tests.exercises.checks import verdict

NAME = "15_pretraining"


def missing(*arguments):
    return None


def unwritten(*arguments):
    raise NotImplementedError


def broken(*arguments):
    raise TypeError("oops")


@pytest.mark.parametrize("check", ["check_hide", "check_guessing_loss", "check_leaked"])
def test_stub_and_crash(check):
    assert verdict(NAME, check, missing).startswith("Not yet")
    assert verdict(NAME, check, unwritten).startswith("Not yet")
    assert "TypeError" in verdict(NAME, check, broken)


def test_count():
    assert verdict(NAME, "check_count", [512, 410, 51]).startswith("Right:")
    assert verdict(NAME, "check_count", None).startswith("Not yet")
    for wrong, word in (
        ((512, 512, 0), "8 in 10"),
        ((512, 410, 102), "last tenth"),
        ((307, 246, 31), "0.25"),
        ((16, 12.8, 1.6), "one window"),
        ((1, 2, 3), "2048"),
        ((512, 460.8, 51.2), "512 it is"),
        ((512, 0.8, 0.1), "512 it is"),
        (7, "Three numbers"),
        (torch.zeros(3, 2), "Three numbers"),
    ):
        assert word in verdict(NAME, "check_count", wrong)


def test_hide():
    def right(tokens, positions, mask):
        return torch.where(positions, mask, tokens), torch.where(positions, tokens, -100)

    def in_place(tokens, positions, mask):
        targets = tokens.masked_fill(~positions, -100)
        return tokens.masked_fill_(positions, mask), targets

    def by_lists(tokens, positions, mask):
        pairs = [list(zip(*rows)) for rows in zip(tokens.tolist(), positions.tolist())]
        inputs = [[mask if hide else t for t, hide in row] for row in pairs]
        return inputs, [[t if hide else -100 for t, hide in row] for row in pairs]

    for style in (right, by_lists, lambda *a: [np.array(part) for part in by_lists(*a)]):
        assert verdict(NAME, "check_hide", style).startswith("Right:")
    for wrong, word in (
        (in_place, "clone"),
        (lambda t, p, m: (t.masked_fill(p, m), t), "All positions"),
        (
            lambda t, p, m: (t.masked_fill(p, m), t.masked_fill(p, m).masked_fill(~p, -100)),
            "<mask>",
        ),
        (lambda t, p, m: (t.masked_fill(~p, m), t), "all positions but"),
        (lambda t, p, m: (t, t), "Inputs"),
        (lambda t, p, m: t.masked_fill(p, m), "one tensor"),
        (lambda t, p, m: (t.masked_fill(p, 3), t.masked_fill(~p, -100)), "here 9"),
        (lambda t, p, m: (t.masked_fill(p, m), t.masked_fill(~p, 0)), "Targets"),
    ):
        assert word in verdict(NAME, "check_hide", wrong)


def test_guessing_loss():
    def rows(logits, tokens):
        return -logits.log_softmax(-1).gather(-1, tokens[..., None])[..., 0]

    def asked_for_zero(logits, tokens, hidden):
        return F.cross_entropy(logits.flatten(0, 1), tokens.masked_fill(~hidden, 0).flatten())

    assert verdict(NAME, "check_guessing_loss", lambda l, t, h: rows(l, t)[h].mean()).startswith(
        "Right:"
    )
    for wrong, word in (
        (asked_for_zero, "token 0"),
        (lambda l, t, h: rows(l, t).mean(), "All positions"),
        (lambda l, t, h: rows(l, t)[~h].mean(), "visible"),
        (lambda l, t, h: rows(l, t)[h].sum(), "sum"),
        (lambda l, t, h: (rows(l, t) * h).mean(), "not by all"),
        (lambda l, t, h: rows(l, t) * h, "one number"),
        (lambda l, t, h: l.sum(), "hidden positions is"),
    ):
        assert word in verdict(NAME, "check_guessing_loss", wrong)


def test_leaked():
    def right(train, test):
        joined = "\n".join(train).casefold()
        return {text for text in test if text.casefold() in joined}

    assert verdict(NAME, "check_leaked", right).startswith("Right:")
    for wrong, word in (
        (lambda train, test: [t for t in test if t in train], "ignore the case"),
        (
            lambda train, test: [t for t in test for u in train if t.lower() in u.lower()],
            "returned once",
        ),
        (lambda train, test: [t for t in test if t.lower() in " ".join(train).lower()], "join"),
        (lambda train, test: [t for t in test if t.lower() in "".join(train).lower()], "join"),
        (
            lambda train, test: [
                t
                for t in test
                if any(set(t.lower().split()) <= set(u.lower().split()) for u in train)
            ],
            "stand together",
        ),
        (lambda train, test: [t.lower() for t in right(train, test)], "as given"),
        (lambda train, test: [], "0, 1, 2"),
        (
            lambda train, test: [t for t in test if any(u.lower() in t.lower() for u in train)],
            "Look inside",
        ),
    ):
        assert word in verdict(NAME, "check_leaked", wrong)
