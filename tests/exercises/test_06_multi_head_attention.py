"""The checks of the exercises on many heads: right answers written in other ways, stubs, and the mistakes they name."""

import math
from copy import deepcopy

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from tests.exercises.checks import forms, verdict
from transformer_lib.multi_head_attention import MultiHeadAttention

CHAPTER = "06_multi_head_attention"


def say(check, answer):
    return verdict(CHAPTER, check, answer)


def test_shapes():
    right = [[4, 9, 60], [4, 5, 9, 9], [12, 60]]
    for answer in forms(right):
        assert say("check_shapes", answer).startswith("Right:")
    assert say("check_shapes", None).startswith("Not yet")
    assert "key.weight is missing" in say("check_shapes", right[:2])
    assert "C wide" in say("check_shapes", ((4, 9, 12), (4, 5, 9, 9), (12, 60)))
    assert "output is wrong" in say("check_shapes", ((9, 60), (4, 5, 9, 9), (12, 60)))
    assert "batch first" in say("check_shapes", ((4, 9, 60), (5, 4, 9, 9), (12, 60)))
    assert "T by T" in say("check_shapes", ((4, 9, 60), (4, 9, 9), (12, 60)))
    assert "stacked" in say("check_shapes", ((4, 9, 60), (4, 5, 9, 9), (60, 60)))
    assert "transposed" in say("check_shapes", ((4, 9, 60), (4, 5, 9, 9), (60, 12)))
    assert "key.weight" in say("check_shapes", ((4, 9, 60), (4, 5, 9, 9), (5, 60)))


def outputs(attention, x):
    weight, bias = attention.stacked()
    qkv = F.linear(x, weight, bias).unflatten(-1, (3, len(attention.heads), -1))
    return F.scaled_dot_product_attention(*qkv.permute(2, 0, 3, 1, 4))  # (B, H, T, D)


def test_repair():
    def loop(attention, x):
        return attention.projection(torch.cat([head(x)[0] for head in attention.heads], -1))

    def einsum(attention, x):
        joined = torch.einsum("bhtd->bthd", outputs(attention, x)).reshape(x.shape)
        return attention.projection(joined)

    def sum_over_heads(attention, x):
        W, b = attention.projection.weight, attention.projection.bias
        return (
            sum(head(x)[0] @ W[:, 6 * h :][:, :6].T for h, head in enumerate(attention.heads)) + b
        )

    def by_hand(attention, x):
        outs = []
        for head in attention.heads:
            scores = head.query(x) @ head.key(x).mT / math.sqrt(6)
            outs.append(scores.softmax(-1) @ head.value(x))
        return attention.projection(torch.cat(outs, -1)).double().numpy()

    def no_scale(attention, x):
        outs = [(h.query(x) @ h.key(x).mT).softmax(-1) @ h.value(x) for h in attention.heads]
        return attention.projection(torch.cat(outs, -1))

    assert "scale is missing" in say("check_repair", no_scale)

    def kinds_last(attention, x):
        qkv = F.linear(x, *attention.stacked()).unflatten(-1, (4, 3, 6)).permute(3, 0, 2, 1, 4)
        joined = F.scaled_dot_product_attention(*qkv).transpose(1, 2).flatten(2)
        return attention.projection(joined)

    assert say("check_repair", loop).startswith("Right:")
    assert say("check_repair", lambda *a: list(loop(*a))).startswith("Right:")
    assert say("check_repair", sum_over_heads).startswith("Right:")
    assert say("check_repair", by_hand).startswith("Right:")
    assert say("check_repair", einsum).startswith("Right:")
    assert say("check_repair", lambda a, x: None).startswith("Not yet")
    assert say("check_repair", lambda a, x: a.nothing).startswith("Not yet")
    wrong = {
        "back beside the tokens": lambda a, x: a.projection(outputs(a, x).reshape(x.shape)),
        "head by head": lambda a, x: a.projection(
            outputs(a, x).permute(0, 2, 3, 1).reshape(x.shape)
        ),
        "projection is missing": lambda a, x: outputs(a, x).transpose(1, 2).reshape(x.shape),
        "bias of the projection": lambda a, x: F.linear(
            outputs(a, x).transpose(1, 2).flatten(2), a.projection.weight
        ),
        "Still broken": kinds_last,
        "calls the module": lambda a, x: a.forward(x)[0],
        "the output alone": lambda a, x: (loop(a, x), None),
        "shape must be": outputs,
        "Not these values": lambda a, x: x,
    }
    for mistake, answer in wrong.items():
        assert mistake in say("check_repair", answer)
    assert "calls the module" in say("check_repair", lambda a, x: a(x)[0])


@pytest.mark.parametrize(
    ("named", "order"), [((-1, 3), (2, 0, 3, 1, 4)), ((3, -1), (3, 0, 2, 1, 4))]
)
def test_half_a_repair_is_not_right(named, order):
    """One of two lines mended: right only where there are as many heads as kinds, 3."""

    def half(attention, x):
        qkv = F.linear(x, *attention.stacked())
        H = len(attention.heads)
        q, k, v = qkv.unflatten(-1, [H if n < 0 else n for n in named] + [-1]).permute(order)
        joined = F.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2)
        return attention.projection(joined)

    assert "too many values to unpack" in say("check_repair", half)


def built(order=lambda rows: rows, biases=True, projection=True, num_heads=3, **options):
    """A from_torch that does as told; order: of the rows of the stacked matrix."""

    def from_torch(theirs):
        twin = MultiHeadAttention(12, num_heads, **options)
        layers = [getattr(h, n) for n in ("query", "key", "value") for h in twin.heads]
        rows, numbers = order(theirs.in_proj_weight), order(theirs.in_proj_bias[:, None])
        with torch.no_grad():
            pairs = zip(rows.split(12 // num_heads), numbers.split(12 // num_heads), strict=True)
            for layer, (weight, bias) in zip(layers, pairs, strict=True):
                layer.weight.copy_(weight)
                layer.bias.copy_(bias[:, 0] if biases else 0 * bias[:, 0])
        if projection:
            twin.projection.load_state_dict(theirs.out_proj.state_dict())
        return twin

    return from_torch


def test_from_torch():
    def by_parameters(theirs):
        twin = MultiHeadAttention(12, 3)
        for n, name in enumerate(("query", "key", "value")):
            for h, head in enumerate(twin.heads):
                rows = slice(12 * n + 4 * h, 12 * n + 4 * h + 4)
                getattr(head, name).weight = nn.Parameter(theirs.in_proj_weight[rows])
                getattr(head, name).bias = nn.Parameter(theirs.in_proj_bias[rows])
        twin.projection = theirs.out_proj
        return twin.eval()

    for right in (built(), by_parameters):
        assert say("check_from_torch", right).startswith("Right:")
    assert say("check_from_torch", lambda a: None).startswith("Not yet")
    assert "must be a MultiHeadAttention" in say("check_from_torch", lambda a: a)
    assert say("check_from_torch", lambda a: a.nothing).startswith("Not yet")
    assert "has 1 heads" in say("check_from_torch", built(num_heads=1))
    assert "drops numbers" in say("check_from_torch", built(dropout=0.5))
    assert "is causal" in say("check_from_torch", built(causal=True))

    def head_by_head(rows):
        return rows.unflatten(0, (3, 3, 4)).transpose(0, 1).flatten(0, 2)

    def every_third(rows):
        return rows.unflatten(0, (3, 4, 3)).transpose(1, 2).flatten(0, 2)

    assert "head by head" in say("check_from_torch", built(head_by_head))
    assert "third row" in say("check_from_torch", built(every_third))
    assert "queries, keys, values" in say("check_from_torch", built(lambda rows: rows.flip(0)))
    assert "biases" in say("check_from_torch", built(biases=False))
    assert "projection" in say("check_from_torch", built(projection=False))


def changed(change, copied=True):
    def without_head(attention, h):
        copy = deepcopy(attention) if copied else attention
        with torch.no_grad():
            change(copy, h)
        return copy

    return without_head


def test_without():
    def value_and_bias(copy, h):
        copy.heads[h].value.weight.zero_()
        copy.heads[h].value.bias.zero_()

    def columns(copy, h):
        copy.projection.weight[:, 4 * h : 4 * h + 4] = 0

    def rows(copy, h):
        copy.projection.weight[4 * h : 4 * h + 4] = 0

    def in_turn(copy, h):
        copy.projection.weight[:, h::3] = 0

    def bias_too(copy, h):
        columns(copy, h)
        copy.projection.bias.zero_()

    def rows_and_bias(copy, h):
        rows(copy, h)
        copy.projection.bias[4 * h : 4 * h + 4] = 0

    def one_column(copy, h):
        copy.projection.weight[:, h] = 0

    def silent_query(copy, h):
        copy.heads[h].query.weight.zero_()
        copy.heads[h].query.bias.zero_()

    def hook(copy, h):
        copy.heads[h].register_forward_hook(lambda _, x, out: (0 * out[0], out[1]))

    class OnlyWithMaps(torch.nn.Module):
        def __init__(self, attention, h):
            super().__init__()
            self.loud, self.silent = attention, changed(columns)(attention, h)

        def forward(self, x, return_attention=True):
            part = self.silent if return_attention else self.loud
            return part(x, return_attention=return_attention)

    assert "Without maps the head is still heard" in say("check_without", OnlyWithMaps)
    assert say("check_without", changed(hook)).startswith("Right:")
    assert "Rows and bias" in say("check_without", changed(rows_and_bias))
    assert "One column" in say("check_without", changed(one_column))
    assert "its average" in say("check_without", changed(silent_query))
    assert say("check_without", changed(value_and_bias)).startswith("Right:")
    assert say("check_without", changed(columns)).startswith("Right:")
    assert say("check_without", lambda a, h: None).startswith("Not yet")
    assert say("check_without", lambda a, h: a.heads[7]).startswith("Not yet")
    assert "nothing off" in say("check_without", changed(lambda copy, h: None))
    assert "Rows are zeroed" in say("check_without", changed(rows))
    assert "bias of the value" in say(
        "check_without", changed(lambda copy, h: copy.heads[h].value.weight.zero_())
    )
    assert "not in turn" in say("check_without", changed(in_turn))
    assert "bias of the projection" in say("check_without", changed(bias_too))
    assert "work on a copy" in say("check_without", changed(columns, copied=False))
    assert "Not this output" in say(
        "check_without", changed(lambda copy, h: copy.projection.weight.zero_())
    )
