"""The checks of the feed-forward exercises accept right answers and name the commonest wrong ones."""

import numpy as np
import torch
from torch import nn

from tests.exercises.checks import verdict

CHAPTER = "07_feed_forward"


def says(check, answer):
    return verdict(CHAPTER, check, answer)


def stub(*arguments):
    return None


def fails(*arguments):
    raise RuntimeError("oh")


def test_every_stub_is_told_so_and_no_error_escapes():
    for check in ("check_count", "check_merge", "check_unit", "check_diagnose"):
        assert says(check, stub).startswith("Not yet")
        assert "oh" in says(check, fails)


def test_count():
    assert says("check_count", lambda C: C * (8 * C + 5)).startswith("Right:")
    assert says(
        "check_count", lambda C: sum(np.prod(n) for n in ((C, 4 * C), 4 * C, (4 * C, C), C))
    ).startswith("Right:")
    assert says("check_count", lambda C: 8.0 * C**2 + 5 * C).startswith("Right:")
    assert says("check_count", lambda C: torch.tensor(8 * C * C + 5 * C)).startswith("Right:")
    assert "second layer has C biases too" in says("check_count", lambda C: 8 * C * C + 4 * C)
    assert "first layer has 4C biases too" in says("check_count", lambda C: 8 * C * C + C)
    assert "second layer alone" in says("check_count", lambda C: 4 * C * C + C)
    assert "biases are missing" in says("check_count", lambda C: 8 * C * C)
    assert "4C, not C" in says("check_count", lambda C: 2 * C * C + 2 * C)
    assert "first layer has 4C" in says("check_count", lambda C: 8 * C * C + 2 * C)
    assert "second layer has C" in says("check_count", lambda C: 8 * C * C + 8 * C)
    assert "first layer alone" in says("check_count", lambda C: 4 * C * C + 4 * C)
    assert "148" in says("check_count", lambda C: C)


def merged(first, second, weight=True, bias=True):
    one = nn.Linear(first.in_features, second.out_features)
    W = second.weight.detach() @ first.weight.detach()
    b = second.bias.detach() + (first.bias.detach() @ second.weight.detach().T if bias else 0)
    if not weight:
        W = W * 1.5
    one.load_state_dict({"weight": W, "bias": b})
    return one


@torch.no_grad()
def by_probing(first, second):
    one = nn.Linear(first.in_features, second.out_features)
    one.bias.copy_(second(first(torch.zeros(first.in_features))))
    for i, unit in enumerate(torch.eye(first.in_features)):
        one.weight[:, i] = second(first(unit)) - one.bias
    return one


def by_parameters(first, second):
    one = nn.Linear(2, 2)
    one.weight = nn.Parameter(torch.einsum("oh,hi->oi", second.weight, first.weight))
    one.bias = nn.Parameter(second.weight @ first.bias + second.bias)
    return one


def in_the_other_order(first, second):
    one = nn.Linear(first.in_features, second.out_features)
    one.weight.data.copy_(first.weight @ second.weight)
    one.bias.data.copy_(second(first.bias))
    return one


def biases_added(first, second):
    one = merged(first, second)
    one.bias.data.copy_(first.bias + second.bias)
    return one


def test_merge():
    assert says("check_merge", merged).startswith("Right:")
    assert says("check_merge", by_probing).startswith("Right:")
    assert says("check_merge", by_parameters).startswith("Right:")
    assert "transpose" in says("check_merge", in_the_other_order)
    assert "bias is not" in says("check_merge", biases_added)
    assert "transpose" in says("check_merge", lambda a, b: merged(a, b, weight=False))
    assert "bias is not" in says("check_merge", lambda a, b: merged(a, b, bias=False))
    assert "chain" in says("check_merge", lambda a, b: nn.Sequential(a, b))
    assert "stopped" in says("check_merge", lambda a, b: nn.Linear(2, 2))

    def in_place(first, second):
        first.bias.data.copy_(second(first.bias))
        first.weight.data.copy_(second.weight @ first.weight)
        return first

    assert "For sizes (3, 8, 5) it stopped" in says("check_merge", in_place)


def test_unit():
    assert says("check_unit", lambda: ([1, 0, 0, -2.5], 0)).startswith("Right:")
    assert says("check_unit", lambda: (torch.tensor([1.0, 0, 0, -1]), 0.0)).startswith("Right:")
    assert says("check_unit", lambda: [np.array([1, 0, 0, -1]), [0]]).startswith("Right:")
    column = torch.tensor([[1], [0], [0], [-1]])
    assert says("check_unit", lambda: (column, torch.zeros(1))).startswith("Right:")
    assert "living things" in says("check_unit", lambda: ([1, 0, 0, 0], 0))
    assert "all of the rest" in says("check_unit", lambda: ([1, 0, 0, -1], 0.5))
    assert "no thing" in says("check_unit", lambda: ([1, 0, 0, -3], 1))
    assert "action or small word" in says("check_unit", lambda: ([1, -1, 0, -1], 0))
    assert "must give 1" in says("check_unit", lambda: ([2, 0, 0, -2], 0))
    assert "thing not alive must give 1" in says("check_unit", lambda: ([1, 0, 0, -1], -1))
    assert "four numbers" in says("check_unit", lambda: 3)


@torch.no_grad()
def judge(network, C):
    torch.manual_seed(1)
    x = torch.randn(4, 6, C)
    y = x.clone()
    y[:, 0] = 0
    if (network(x)[:, 1:] - network(y)[:, 1:]).abs().max() > 1e-5:
        return "mixes positions"
    if network(x).min() == 0:
        return "relu last"
    zero = network(torch.zeros(1, 1, C))
    apart = network(x) + network(-x) - 2 * zero
    return "no relu" if apart.abs().max() < 1e-4 else "right"


def test_diagnose():
    assert says("check_diagnose", judge).startswith("Right:")
    assert says("check_diagnose", lambda n, C: judge(n, C).title() + " ").startswith("Right:")
    assert 'A copy that is "no relu" was called "right"' in says(
        "check_diagnose", lambda n, C: "right" if judge(n, C) == "no relu" else judge(n, C)
    )
    assert '"right" was called "mixes positions"' in says(
        "check_diagnose", lambda n, C: "mixes positions"
    )
