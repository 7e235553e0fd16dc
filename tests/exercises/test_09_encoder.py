"""The checks of the encoder's exercises: right answers pass, wrong ones are named."""

import math

import numpy as np
import pytest
import torch

from tests.exercises.checks import verdict
from transformer_lib.encoder import Encoder

CHAPTER = "09_encoder"


@pytest.mark.parametrize(
    "answer",
    [
        ((8, 20, 48), 5, (8, 3, 20, 20)),
        [[8, 20, 48], 5, [8, 3, 20, 20]],
        (torch.Size([8, 20, 48]), 5, torch.Size([8, 3, 20, 20])),
        (torch.tensor([8, 20, 48]), torch.tensor(5), torch.tensor([8, 3, 20, 20])),
        ((np.int64(8), 20.0, 48), np.int64(5), (8, 3, 20, 20)),
        "((8, 20, 48), 5, (8, 3, 20, 20))",
    ],
)
def test_shapes_right(answer):
    assert verdict(CHAPTER, "check_shapes", answer).startswith("Right:")


@pytest.mark.parametrize(
    ("answer", "hint"),
    [
        (None, "Not yet"),
        (((8, 40, 48), 5, (8, 3, 40, 40)), "block_size"),
        (((8, 20, 500), 5, (8, 3, 20, 20)), "encodings are wrong"),
        (((8, 20, 48), 3, (8, 5, 20, 20)), "number of maps"),
        (((8, 20, 16), 5, (8, 3, 20, 20)), "encodings are wrong"),
        (((8, 20, 48), 15, (8, 20, 20)), "number of maps"),
        (((8, 20, 48), 5, (8, 20, 20)), "heads"),
        (((8, 20, 48), 5, (8, 3, 20, 16)), "shape of a map"),
        ("no idea", "encodings"),
    ],
)
def test_shapes_wrong(answer, hint):
    assert hint in verdict(CHAPTER, "check_shapes", answer)


def not_written(*_):
    raise NotImplementedError


def size(V, T, N, C, words=True, positions=True, block=lambda C: 12 * C * C + 13 * C):
    return words * V * C + positions * T * C + N * block(C)


def widest(budget, V, T, N, H, step=None, below=0, most=200, **options):
    widths = range(step or H, most, step or H)
    return max(C for C in widths if size(V, T, N, C, **options) <= budget - below)


def by_root(budget, V, T, N, H):
    """The positive root of a quadratic equation, down to a multiple of the heads."""
    b = V + T + 13 * N
    root = (-b + math.sqrt(b * b + 48 * N * budget)) / (24 * N)
    return int(root + 1e-9) // H * H


def by_halves(budget, V, T, N, H):
    low, high = 1, 100  # of the multiples of H
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if size(V, T, N, middle * H) <= budget else (low, middle)
    return torch.tensor(low * H)


def by_building(budget, V, T, N, H):
    C = H
    while True:
        model = Encoder(V, T, embedding_dim=C + H, num_heads=H, num_layers=N)
        if sum(p.numel() for p in model.parameters()) > budget:
            return np.int64(C)
        C += H


@pytest.mark.parametrize("answer", [widest, by_root, by_halves, by_building])
def test_budget_right(answer):
    assert verdict(CHAPTER, "check_budget", answer).startswith("Right:")


@pytest.mark.parametrize(
    ("answer", "hint"),
    [
        (lambda *_: None, "Not yet"),
        (not_written, "Not yet"),
        (lambda budget, V, T: 0, "Not yet: it stopped with TypeError"),
        (lambda *_: "many", "Not yet"),
        (lambda *a: widest(*a, step=1), "multiple of num_heads"),
        (lambda *a: widest(*a, below=1), "Exactly the budget"),
        (lambda *a: widest(*a, words=False, positions=False), "Both tables"),
        (lambda *a: widest(*a, words=False), "word table"),
        (lambda *a: widest(*a, positions=False), "positions are missing"),
        (lambda b, V, T, N, H: widest(b, V, T, 1, H), "one block only"),
        (lambda *a: widest(*a, block=lambda C: 12 * C * C), "13 C per block"),
        (lambda *a: widest(*a, block=lambda C: 12 * C * C + 9 * C), "13 C per block"),
        (lambda *a: widest(*a, block=lambda C: 12 * C * C + 12 * C), "13 C per block"),
        (lambda b, V, T, N, H: widest(b, V, T + 2, N, H), "no norm stands at the end"),
        (lambda *a: widest(*a) + a[-1], "C = 20 has 11,260 parameters, not C = 24"),
        (lambda *a: 4, "not C = 4"),
    ],
)
def test_budget_wrong(answer, hint):
    said = verdict(CHAPTER, "check_budget", answer)
    assert hint in said and not said.startswith("Right")


def waves(T, C, power=lambda i, C: 10_000 ** (-2 * i / C), first=0, swap=False):
    """The table by two loops."""
    table = torch.zeros(T, C)
    for t in range(T):
        for i in range(C // 2):
            pair = [math.sin((t + first) * power(i, C)), math.cos((t + first) * power(i, C))]
            table[t, 2 * i : 2 * i + 2] = torch.tensor(pair[::-1] if swap else pair)
    return table


def by_einsum(T, C):
    speed = torch.exp(-math.log(10_000) * torch.arange(0, C, 2) / C).double()
    angle = torch.einsum("t,i->ti", torch.arange(T).double(), speed)
    return torch.stack((angle.sin(), angle.cos()), 2).reshape(T, C)


def by_columns(T, C, power=lambda c, C: (c - c % 2) / C):
    """Column by column, in plain numbers."""
    functions = math.sin, math.cos
    return [[functions[c % 2](t / 10_000 ** power(c, C)) for c in range(C)] for t in range(T)]


@pytest.mark.parametrize(
    "answer",
    [
        waves,
        lambda T, C: waves(T, C).double(),
        lambda T, C: waves(T, C).tolist(),
        by_einsum,
        by_columns,
        lambda T, C: np.array(by_columns(T, C)),
        lambda T, C: list(waves(T, C)),
    ],
)
def test_waves_right(answer):
    assert verdict(CHAPTER, "check_waves", answer).startswith("Right:")


def halves(T, C):
    table = waves(T, C)
    return torch.cat([table[:, 0::2], table[:, 1::2]], 1)


@pytest.mark.parametrize(
    ("answer", "hint"),
    [
        (lambda T, C: None, "Not yet"),
        (not_written, "Not yet"),
        (lambda T, C: torch.zeros(T, C - 1), "Not yet"),
        (lambda T, C: waves(T, C).view(T, C // 2, 2), "shape must be (9, 6)"),
        (halves, "take turns"),
        (lambda T, C: waves(T, C, swap=True), "exchanged"),
        (lambda T, C: waves(T, C, lambda i, C: 10_000 ** (-i / C)), "exponent"),
        (lambda T, C: waves(T, C, lambda i, C: 10_000 ** (-4 * i / C)), "exponent"),
        (lambda T, C: by_columns(T, C, lambda c, C: 2 * c / C), "exponent"),
        (lambda T, C: by_columns(T, C, lambda c, C: c / C), "same exponent in both"),
        (lambda T, C: waves(T, C).T, "shape must be (9, 6)"),
        (lambda T, C: waves(T, C, lambda i, C: 10_000 ** (2 * i / C)), "Divide"),
        (lambda T, C: waves(T, C, first=1), "counted from 0"),
        (lambda T, C: torch.zeros(T, C), "Not these waves"),
    ],
)
def test_waves_wrong(answer, hint):
    assert hint in verdict(CHAPTER, "check_waves", answer)


def encode(encoder, tokens, mask, places=None, seen=True, maps="real"):
    """The encoder, written out, with bugs to choose from."""
    places = (mask.long().cumsum(1) - 1).clamp(0) if places is None else places
    x = start = encoder.token_embedding.weight[tokens] + encoder.position_embedding.weight[places]
    kept = []
    for block in encoder.blocks:
        where = start if maps == "start" else x
        x, weights = block(x, mask if seen else None)
        kept += [block(where, mask)[1] if maps == "start" else weights]
    return x, kept[:-1] if maps == "dropped" else kept


def encode_by_loop(encoder, tokens, mask):
    words, places = encoder.token_embedding.weight, encoder.position_embedding.weight
    rows = []
    for row, real in zip(tokens.tolist(), mask.tolist(), strict=True):
        seen = [max(sum(real[: t + 1]) - 1, 0) for t in range(len(row))]
        rows.append(torch.stack([words[i] + places[n] for i, n in zip(row, seen, strict=True)]))
    x, maps = torch.stack(rows), ()
    for block in encoder.blocks:
        x, weights = block(x, mask)
        maps = (*maps, weights)
    return [x, maps]


@pytest.mark.parametrize(
    "answer",
    [
        encode,
        encode_by_loop,
        lambda *a: (encode(*a)[0].detach(), torch.stack(encode(*a)[1])),
    ],
)
def test_bugs_right(answer):
    assert verdict(CHAPTER, "check_bugs", answer).startswith("Right:")


@pytest.mark.parametrize(
    ("answer", "hint"),
    [
        (lambda *_: None, "Not yet"),
        (not_written, "Not yet"),
        (lambda *a: encode(*a)[0], "encodings and the maps"),
        (lambda e, t, m: e(t, m), "calls the encoder as a whole"),
        (lambda e, t, m: (encode(e, t, m)[0], e.forward(t, m)[1]), "as a whole"),
        (lambda *a: (encode(*a)[0], None), "maps are not those"),
        (lambda e, t, m: encode(e, t, m, places=m.cumsum(1)), "even without padding"),
        (lambda e, t, m: encode(e, t, ~m), "stopped with"),
        (lambda *a: encode(*a, places=torch.arange(6).expand(2, 6)), "padding on the left"),
        (lambda *a: encode(*a, seen=False), "look at padding"),
        (lambda *a: encode(*a, maps="start"), "maps are not those"),
        (lambda *a: encode(*a, maps="dropped"), "maps are not those"),
        (
            lambda e, t, m: (encode(e, t, m)[0], encode(e, t, m, seen=False)[1]),
            "maps are not those",
        ),
        (lambda e, t, m: (e.token_embedding(t), encode(e, t, m)[1]), "even without padding"),
    ],
)
def test_bugs_wrong(answer, hint):
    said = verdict(CHAPTER, "check_bugs", answer)
    assert said.startswith("Not yet") and hint in said
