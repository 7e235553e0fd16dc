"""The checks of the classifier's exercises: right answers pass, wrong ones are named."""

import math

import pytest
import torch
from torch.nn import functional as F

from tests.exercises.checks import verdict

CHAPTER = "09_classifier"


def not_written(*_):
    raise NotImplementedError


@pytest.mark.parametrize("answer", [math.log(6), 1.79, torch.tensor(6.0).log(), 1.7918])
def test_first_loss_right(answer):
    assert verdict(CHAPTER, "check_first_loss", answer).startswith("Right")


@pytest.mark.parametrize(
    ("answer", "hint"),
    [
        (None, "Not yet"),
        (2.585, "bits"),
        (0.778, "base 10"),
        (-1.79, "sign"),
        (1 / 6, "probability"),
        (5 / 6, "share of wrong"),
        (6, "Not this"),
    ],
)
def test_first_loss_wrong(answer, hint):
    assert hint in verdict(CHAPTER, "check_first_loss", answer)


@pytest.mark.parametrize(
    "answer",
    [
        lambda z: F.log_softmax(z, 1),
        lambda z: z - torch.logsumexp(z, dim=1)[:, None],
        lambda z: torch.stack([row - row.max() - (row - row.max()).exp().sum().log() for row in z]),
    ],
)
def test_log_softmax_right(answer):
    assert verdict(CHAPTER, "check_log_softmax", answer).startswith("Right")


@pytest.mark.parametrize(
    ("answer", "hint"),
    [
        (lambda z: None, "Not yet"),
        (not_written, "Not yet"),
        (lambda z: z.softmax(1), "That is the softmax"),
        (lambda z: z.log_softmax(0), "over the batch"),
        (lambda z: z - z.exp().sum().log(), "over everything"),
        (lambda z: -z.log_softmax(1), "sign"),
        (lambda z: z - z.exp().sum(1, keepdim=True).log(), "overflows"),
        (lambda z: z.softmax(1).log(), "overflows"),
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
        lambda x, mask: (
            (x - 1e6 * (~mask)[..., None]).amax(1)
            if False
            else x.masked_fill(~mask[..., None], -1e9).amax(1)
        ),
    ],
)
def test_max_right(answer):
    assert verdict(CHAPTER, "check_max", answer).startswith("Right")


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
        losses.append(loss.item())
    return losses


@pytest.mark.parametrize(
    "answer", [fit, lambda *a: fit(*a, lr=0.005), lambda *a: fit(*a, optimizer=torch.optim.Adam)]
)
def test_stuck_right(answer):
    assert verdict(CHAPTER, "check_stuck", answer).startswith("Right")


@pytest.mark.parametrize(
    ("answer", "hint"),
    [
        (lambda *a: None, "Not yet"),
        (not_written, "Not yet"),
        (lambda *a: fit(*a, clear="between"), "Not yet: no weight moved"),
        (lambda *a: fit(*a, backward=False), "nothing ever called backward"),
        (lambda *a: fit(*a, sign=-1), "higher than it began"),
        (lambda *a: fit(*a, lr=1e-4), "too slowly"),
        (lambda *a: fit(*a, lr=1e30), "no longer a number"),
    ],
)
def test_stuck_wrong(answer, hint):
    assert hint in verdict(CHAPTER, "check_stuck", answer)
