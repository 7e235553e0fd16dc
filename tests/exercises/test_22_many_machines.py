"""The checks of chapter 22 accept what is right and name what is wrong."""

import math

import torch

from tests.exercises.checks import verdict

CHAPTER = "22_many_machines"


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

    assert judge("combine", right).startswith("Right")
    assert judge("combine", lambda g, c: None).startswith("Not yet")
    assert "plain mean" in judge("combine", lambda g, c: sum(g) / len(g))
    assert "sum" in judge("combine", lambda g, c: right(g, c) * sum(c))
    assert "by the machines" in judge("combine", lambda g, c: right(g, c) * sum(c) / len(g))
    assert "weights are still missing" in judge("combine", lambda g, c: (g[0] + g[1]) / 2)
    assert "changed the gradients" in judge("combine", in_place)
    assert "(6 a + 2 b) / 8" in judge("combine", lambda g, c: g[0])
    assert "stopped" in judge("combine", lambda g: g)


def test_ring():
    def right(parameters, machines, bytes_each=4):
        return 2 * parameters * bytes_each * (1 - 1 / machines)

    assert judge("ring", right).startswith("Right")
    assert judge("ring", lambda p, n, b=4: None).startswith("Not yet")
    assert "one way" in judge("ring", lambda p, n, b=4: right(p, n, b) / 2)
    assert "Close" in judge("ring", lambda p, n, b=4: 2 * p * b)
    assert "collector" in judge("ring", lambda p, n, b=4: 2 * p * b * (n - 1))
    assert "4 bytes" in judge("ring", lambda p, n, b=4: right(p, n, 1))
    assert "bytes_each" in judge("ring", lambda p, n, b=4: right(p, n))
    assert "7,200" in judge("ring", lambda p, n, b=4: 5)
    assert "stopped" in judge("ring", lambda p: p)


def test_fits():
    def right(parameters, memory):
        return math.ceil(parameters * 32 / memory)

    assert judge("fits", right).startswith("Right")
    assert judge("fits", lambda p, m: None).startswith("Not yet")
    assert "free" in judge("fits", lambda p, m: math.ceil(p * 16 / m))
    assert "two means" in judge("fits", lambda p, m: math.ceil(p * 24 / m))
    assert "weights alone" in judge("fits", lambda p, m: math.ceil(p * 8 / m))
    assert "Rounded down" in judge("fits", lambda p, m: p * 32 // m)
    assert "One too many" in judge("fits", lambda p, m: p * 32 // m + 1)
    assert "13 billion" in judge("fits", lambda p, m: 99)
    assert "stopped" in judge("fits", lambda p: p)


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

    assert judge("bug", right).startswith("Right")
    assert judge("bug", lambda gradients: None).startswith("Not yet")
    assert "sum" in judge("bug", planted)
    assert "+=" in judge("bug", half_repaired)
    assert "share one tensor" in judge("bug", lambda g: [sum(g) / len(g)] * len(g))
    assert "one gradient for each" in judge("bug", lambda g: [sum(g) / len(g)])
    assert "not the mean" in judge("bug", lambda g: [x.clone() for x in g])
    assert "stopped" in judge("bug", lambda: 1)
