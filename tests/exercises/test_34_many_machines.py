"""The checks of chapter 34 accept what is right and name what is wrong."""

import math

import numpy as np
import torch

from tests.exercises.checks import verdict

CHAPTER = "34_many_machines"


def judge(check, answer):
    return verdict(CHAPTER, f"check_{check}", answer)


def test_combine():
    def right(gradients, counts):
        share = torch.tensor(counts) / sum(counts)
        return share @ torch.stack(gradients)

    def in_place(gradients, counts):
        for gradient, count in zip(gradients, counts, strict=True):
            gradient *= count
        return sum(gradients) / sum(counts)

    assert judge("combine", right).startswith("Right:")
    assert judge("combine", lambda g, c: None).startswith("Not yet")
    assert "plain mean" in judge("combine", lambda g, c: sum(g) / len(g))
    assert "sum" in judge("combine", lambda g, c: right(g, c) * sum(c))
    assert "by the machines" in judge("combine", lambda g, c: right(g, c) * sum(c) / len(g))
    assert "weights are still missing" in judge("combine", lambda g, c: (g[0] + g[1]) / 2)
    fixed = judge("combine", lambda g, c: (6 * g[0] + 2 * g[1]) / 8)
    assert "where is `counts` used" in fixed
    assert "changed the gradients" in judge("combine", in_place)
    assert "(6 a + 2 b) / 8" in judge("combine", lambda g, c: g[0])
    assert "stopped" in judge("combine", lambda g: g)
    assert "stopped" in judge("combine", lambda g, c: "sum")
    assert "(3, 5)" in judge("combine", lambda g, c: [n * x / 8 for x, n in zip(g, c, strict=True)])
    assert "(3,)" in judge("combine", lambda g, c: torch.stack(g).sum(1))
    assert judge("combine", lambda g, c: right(g, c).double()).startswith("Right:")
    assert judge("combine", lambda g, c: np.average(torch.stack(g), 0, c)).startswith("Right:")
    assert judge("combine", lambda g, c: right(g, c).tolist()).startswith("Right:")


def test_ring():
    def right(parameters, machines, bytes_each=4):
        return 2 * parameters * bytes_each * (1 - 1 / machines)

    assert judge("ring", right).startswith("Right:")
    assert judge("ring", lambda p, n, b=4: None).startswith("Not yet")
    assert "one way" in judge("ring", lambda p, n, b=4: right(p, n, b) / 2)
    assert "Close" in judge("ring", lambda p, n, b=4: 2 * p * b)
    assert "collector" in judge("ring", lambda p, n, b=4: 2 * p * b * (n - 1))
    assert "4 bytes" in judge("ring", lambda p, n, b=4: right(p, n, 1))
    assert "bytes_each" in judge("ring", lambda p, n, b=4: right(p, n))
    assert "7,200" in judge("ring", lambda p, n, b=4: 5)
    assert "stopped" in judge("ring", lambda p: p)
    assert "stopped" in judge("ring", lambda p, n, b=4: "x")
    assert "collector sends;" in judge("ring", lambda p, n, b=4: p * b * (n - 1))
    assert "one round" in judge("ring", lambda p, n, b=4: p * b / n)
    almost = judge("ring", lambda p, n, b=4: right(p, n, b) if n < 8 else 0)
    assert "868,000,000 bytes each, not 0" in almost
    assert judge("ring", lambda p, n, b=4: 2 * (n - 1) * (p // n) * b).startswith("Right:")
    assert judge("ring", lambda *sizes: torch.tensor(right(*sizes))).startswith("Right:")


def test_fits():
    def right(parameters, memory):
        return math.ceil(parameters * 32 / memory)

    assert judge("fits", right).startswith("Right:")
    assert judge("fits", lambda p, m: None).startswith("Not yet")
    assert "free" in judge("fits", lambda p, m: math.ceil(p * 16 / m))
    assert "two means" in judge("fits", lambda p, m: math.ceil(p * 24 / m))
    assert "weights alone" in judge("fits", lambda p, m: math.ceil(p * 8 / m))
    assert "Rounded down" in judge("fits", lambda p, m: p * 32 // m)
    assert "One too many" in judge("fits", lambda p, m: p * 32 // m + 1)
    assert "13 billion" in judge("fits", lambda p, m: 99)
    assert "stopped" in judge("fits", lambda p: p)
    assert "nearest" in judge("fits", lambda p, m: round(p * 32 / m))
    assert "whole" in judge("fits", lambda p, m: p * 32 / m)
    assert "need 1, not 5" in judge("fits", lambda p, m: 5)
    assert judge("fits", lambda p, m: np.ceil(p * 16 / (m / 2))).startswith("Right:")

    def counted(parameters, memory):
        machines = 1
        while 16 * parameters / machines > memory / 2:
            machines += 1
        return machines

    assert judge("fits", counted).startswith("Right:")


def test_bug():
    def right(gradients):
        return [sum(gradients) / len(gradients) for _ in gradients]

    def planted(gradients):
        total = gradients[0]
        for gradient in gradients[1:]:
            total += gradient
        return [total for _ in gradients]

    def half_repaired(gradients):
        return [total / len(gradients) for total in planted(gradients)]

    assert judge("bug", right).startswith("Right:")
    assert judge("bug", lambda gradients: None).startswith("Not yet")
    assert "sum" in judge("bug", planted)
    assert "+=" in judge("bug", half_repaired)
    assert "share one tensor" in judge("bug", lambda g: [sum(g) / len(g)] * len(g))
    assert "one gradient for each" in judge("bug", lambda g: [sum(g) / len(g)])
    assert "not the mean" in judge("bug", lambda g: [x.clone() for x in g])
    assert "stopped" in judge("bug", lambda: 1)
    assert "stopped" in judge("bug", lambda g: "mean")
    assert "share one tensor" in judge(
        "bug", lambda g: [sum(g) / len(g)] + [sum(g) / len(g)] * (len(g) - 1)
    )
    assert "share one tensor" in judge("bug", lambda g: torch.stack(g).mean(0).expand(4, 6))

    def into_the_given(gradients):
        mean = torch.stack(gradients).mean(0)
        return [gradient.copy_(mean) for gradient in gradients]

    assert "handed in" in judge("bug", into_the_given)
    assert judge("bug", lambda g: torch.stack(g).mean(0).repeat(4, 1)).startswith("Right:")
    assert judge("bug", lambda g: [np.mean(g, 0) for _ in g]).startswith("Right:")
    assert judge("bug", lambda g: [sum(x.double() for x in g) / 4 for _ in g]).startswith("Right:")
