"""The checks of the classifier's exercises: right answers pass, wrong ones are named."""

import math

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from tests.exercises.checks import verdict

CHAPTER = "10_classifier"


def not_written(*_):
    raise NotImplementedError


@pytest.mark.parametrize(
    "answer", [math.log(10), 2.3, torch.tensor(10.0).log(), 2.3026, np.log(10), "2.30"]
)
def test_first_loss_right(answer):
    assert verdict(CHAPTER, "check_first_loss", answer).startswith("Right:")


@pytest.mark.parametrize(
    ("answer", "hint"),
    [
        (None, "Not yet"),
        (3.322, "bits"),
        (1.0, "base 10"),
        (-2.3, "sign"),
        (1 / 10, "probability"),
        (9 / 10, "share of wrong"),
        (10, "take the logarithm"),
        (0, "certainty"),
        (1.39, "Not this"),
        ("ln 10", "give one number"),
        ((2.3,), "give one number"),
    ],
)
def test_first_loss_wrong(answer, hint):
    assert hint in verdict(CHAPTER, "check_first_loss", answer)


def by_math(z):
    """In plain numbers: a list of lists."""
    logs = [(max(row), math.log(sum(math.exp(a - max(row)) for a in row))) for row in z.tolist()]
    return [[a - m - s for a in row] for row, (m, s) in zip(z.tolist(), logs, strict=True)]


def inside_only(z):
    """The largest is subtracted inside the sum and nowhere else."""
    return z - (z - z.amax(1, keepdim=True)).exp().sum(1, keepdim=True).log()


def in_double(z):
    z = z.double() - z.amax(1, True)
    return z - z.exp().sum(1, True).log()


@pytest.mark.parametrize(
    "answer",
    [
        by_math,
        lambda z: torch.tensor(by_math(z)),
        in_double,
        lambda z: torch.stack([row - row.max() - (row - row.max()).exp().sum().log() for row in z]),
    ],
)
def test_log_softmax_right(answer):
    assert verdict(CHAPTER, "check_log_softmax", answer).startswith("Right:")


@pytest.mark.parametrize(
    ("answer", "hint"),
    [
        (lambda z: None, "Not yet"),
        (not_written, "Not yet"),
        (lambda z: F.log_softmax(z, 1), "ready-made"),
        (nn.LogSoftmax(-1), "ready-made"),
        (lambda z: z.double().log_softmax(-1), "ready-made"),
        (lambda z: [row.log_softmax(0) for row in z], "ready-made"),
        (lambda z: z - torch.logsumexp(z, dim=1)[:, None], "ready-made"),
        (lambda z: torch.special.log_softmax(z, 1), "ready-made"),
        (lambda z: z.softmax(1), "That is the softmax"),
        (lambda z: z.log_softmax(0), "over the batch"),
        (lambda z: z - z.exp().sum().log(), "over everything"),
        (lambda z: -z.log_softmax(1), "sign"),
        (lambda z: z - z.exp().sum(1, keepdim=True).log(), "overflows"),
        (lambda z: (z.exp() / z.exp().sum(1, keepdim=True)).log(), "overflows"),
        (lambda z: z.softmax(1).log(), "An exponential became 0"),
        (lambda z: (z.softmax(1) + 1e-9).log(), "add nothing inside"),
        (lambda z: (z - z.amax()).exp().sum(1, keepdim=True).log() * -1 + z - z.amax(), "own"),
        (inside_only, "inside the sum only"),
        (lambda z: z - z.exp().sum(1).log(), "stopped with"),
        (
            lambda z: z - z.amax(1, keepdim=True) - z.softmax(1).amax(1, keepdim=True) ** -1,
            "logarithm is missing",
        ),
        (lambda z: F.log_softmax(z - z.amax(0), 1), "that of a column"),
        (lambda z: z[:, :1], "Not this"),
        (lambda z: z - z.amax(1, keepdim=True), "Not this"),
    ],
)
def test_log_softmax_wrong(answer, hint):
    assert hint in verdict(CHAPTER, "check_log_softmax", answer)


@pytest.mark.parametrize(
    "answer",
    [
        lambda x, mask: torch.where(mask[..., None], x, torch.tensor(-math.inf)).max(1).values,
        lambda x, mask: torch.stack([row[real].amax(0) for row, real in zip(x, mask, strict=True)]),
        lambda x, mask: [row[real].amax(0) for row, real in zip(x, mask, strict=True)],
        lambda x, mask: torch.where(mask[..., None], x.double(), -math.inf).amax(1),
        lambda x, mask: [
            [max(x[b, t, c].item() for t in range(5) if mask[b, t]) for c in range(4)]
            for b in range(3)
        ],
        lambda x, mask: (
            (x - 1e6 * (~mask)[..., None]).amax(1)
            if False
            else x.masked_fill(~mask[..., None], -1e9).amax(1)
        ),
    ],
)
def test_max_right(answer):
    assert verdict(CHAPTER, "check_max", answer).startswith("Right:")


@pytest.mark.parametrize(
    ("answer", "hint"),
    [
        (lambda x, mask: None, "Not yet"),
        (not_written, "Not yet"),
        (lambda x, mask: x.amax(1), "all columns"),
        (lambda x, mask: (x * mask[..., None]).amax(1), "0 beats"),
        (lambda x, mask: x.masked_fill(mask[..., None], -math.inf).amax(1), "turned round"),
        (lambda x, mask: x.masked_fill(~mask[..., None], -math.inf).amax(2), "over channels"),
        (lambda x, mask: (x * mask[..., None]).sum(1) / mask.sum(1, keepdim=True), "the mean"),
        (lambda x, mask: x[:, 0, :2], "Not this"),
        (lambda x, mask: (x * mask[..., None]).sum(1), "That is the sum"),
        (lambda x, mask: x.masked_fill(~mask[..., None], -math.inf).max(1), "values alone"),
        (lambda x, mask: x.masked_fill(~mask[..., None], -100.0).amax(1), "lie below"),
        (lambda x, mask: x.masked_fill(~mask[..., None], -1e9).amax(1, True), "(3, 1, 4)"),
        (lambda x, mask: x[mask].amax(0), "Not this"),
        (lambda x, mask: x.abs().masked_fill(~mask[..., None], 0).amax(1), "Not this"),
        (
            lambda x, mask: [row[:n].amax(0) for row, n in zip(x, mask.sum(1), strict=True)],
            "in front as well",
        ),
    ],
)
def test_max_wrong(answer, hint):
    assert hint in verdict(CHAPTER, "check_max", answer)


def fit(
    model,
    tokens,
    labels,
    steps,
    *,
    clear="before",
    sign=1,
    lr=0.01,
    backward=True,
    optimizer=torch.optim.AdamW,
):
    """A loop with bugs to choose from."""
    optimizer = optimizer(model.parameters(), lr=lr)
    losses = []
    for _ in range(steps):
        loss = sign * F.nll_loss(model(tokens, return_attention=False)[0], labels)
        if clear == "before":
            optimizer.zero_grad()
        if backward:
            loss.backward()
        if clear == "between":
            optimizer.zero_grad()
        optimizer.step()
        if clear == "after":
            optimizer.zero_grad(set_to_none=False)
        losses.append(loss.item())
    return losses


def fit_clipped(model, tokens, labels, steps):
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.01)
    losses = torch.zeros(steps)
    for step in range(steps):
        model.zero_grad()
        loss = F.cross_entropy(model(tokens)[0], labels)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 0.1)
        optimizer.step()
        losses[step] = loss.detach()
    return losses


@pytest.mark.parametrize(
    "answer",
    [
        fit,
        lambda *a: fit(*a, lr=0.005),
        lambda *a: fit(*a, optimizer=torch.optim.Adam),
        lambda *a: fit(*a, clear="after"),
        lambda *a: tuple(fit(*a)),
        lambda *a: np.array(fit(*a)),
        fit_clipped,
    ],
)
def test_stuck_right(answer):
    assert verdict(CHAPTER, "check_stuck", answer).startswith("Right:")


@pytest.mark.parametrize(
    ("answer", "hint"),
    [
        (lambda *a: None, "Not yet"),
        (not_written, "Not yet"),
        (lambda *a: fit(*a, clear="between"), "Not yet: no weight moved"),
        (lambda *a: fit(*a, clear="never"), "Old gradients are still there"),
        (lambda *a: fit(*a)[-1], "list of losses"),
        (lambda *a: [], "list of losses"),
        (lambda *a: fit(*a)[-1:], "60 losses, not 1"),
        (lambda *a: fit(*a, backward=False), "nothing ever called backward"),
        (lambda *a: fit(*a, sign=-1), "higher than it began"),
        (lambda *a: fit(*a, lr=1e-4), "too slowly"),
        (lambda *a: fit(*a, lr=1e30), "no longer a number"),
    ],
)
def test_stuck_wrong(answer, hint):
    assert hint in verdict(CHAPTER, "check_stuck", answer)
