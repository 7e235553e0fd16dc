"""The checks of the training chapter tell right answers from wrong ones."""

import math

import numpy as np
import torch

from tests.exercises.checks import verdict


def judge(check, answer):
    return verdict("11_training", check, answer)


def test_cosine():
    def half(d):
        return math.cos(math.pi * d / 2) ** 2

    def right(step, steps, warmup):
        done = max(0, step - warmup) / (steps - warmup)
        return min((step + 1) / warmup, half(done))

    assert judge("check_cosine", right).startswith("Right:")
    assert judge("check_cosine", lambda *_: None).startswith("Not yet")
    assert judge("check_cosine", lambda *_: 1 / 0).startswith("Not yet")
    for wrong, word in (
        (lambda s, n, w: s / w if s < w else half((s - w) / (n - w)), "count"),
        (lambda s, n, w: (s + 1) / w if s < w else half(s / n), "jumps"),
        (lambda s, n, w: half(s / n), "missing"),
        (lambda s, n, w: (s + 1) / w if s < w else (n - s) / (n - w), "straight line"),
        (lambda s, n, w: min(1, (s + 1) / w), "does not fall"),
        (lambda s, n, w: 0.3, "Not this curve"),
    ):
        said = judge("check_cosine", wrong)
        assert word in said and not said.startswith("Right:")


def test_clip():
    def right(gradients, limit):
        norm = torch.linalg.vector_norm(torch.cat([g.reshape(-1) for g in gradients]))
        return tuple(g / torch.clamp(norm / limit, min=1) for g in gradients)

    def whole(gradients, limit):
        norm = torch.cat([g.flatten() for g in gradients]).norm()
        return [g * limit / norm for g in gradients]

    assert judge("check_clip", right).startswith("Right:")
    assert judge("check_clip", lambda g, m: (x for x in right(g, m))).startswith("Right:")
    assert judge("check_clip", lambda g, m: [x.double() for x in right(g, m)]).startswith("Right:")
    assert "is 0.998" in judge("check_clip", lambda g, m: [x * 0.998 for x in right(g, m)])
    assert "shapes" in judge(
        "check_clip", lambda g, m: [torch.cat([x.flatten() for x in right(g, m)])]
    )
    assert judge("check_clip", lambda g, limit: None).startswith("Not yet")
    for wrong, word in (
        (whole, "scale down only"),
        (lambda gs, m: [g * min(1, m / g.norm()) for g in gs], "alone"),
        (lambda gs, m: [g.clamp(-m, m) for g in gs], "one by one"),
        (lambda gs, m: gs, "7.00"),
        (lambda gs, m: [g.flatten() for g in right(gs, m)], "shapes"),
        (lambda gs, m: [-g for g in right(gs, m)], "direction"),
        (lambda gs, m: right(gs, 1.0), "limit used"),
        (lambda gs, m: [g * (right(gs, m)[0] is g) for g in right(gs, m)], "scale down only"),
    ):
        said = judge("check_clip", wrong)
        assert word in said and not said.startswith("Right:"), said


def loop(order, rate_sign=1):
    def answer(weight, gradient_of, steps, rate=0.1):
        optimizer = torch.optim.SGD([weight], lr=rate_sign * rate)
        for step in range(steps):
            loss = (weight * gradient_of(step)).sum()
            for action in order:
                {"zero": optimizer.zero_grad, "back": loss.backward, "step": optimizer.step}[
                    action
                ]()

    return answer


def test_repaired():
    def by_hand(weight, gradient_of, steps, rate=0.1):
        with torch.no_grad():
            for step in range(steps):
                weight -= rate * gradient_of(step)

    for right in (loop(["back", "step", "zero"]), by_hand):
        assert judge("check_repaired", right).startswith("Right:")
    assert judge("check_repaired", lambda *_, **__: None).startswith("Not yet")

    def once(weight, gradient_of, steps, rate=0.1):
        total = sum(gradient_of(step) for step in range(steps))
        with torch.no_grad():
            weight -= rate * total

    def widened(weight, *_, **__):
        weight.data = torch.zeros(3)

    assert "at the end" in judge("check_repaired", once)
    assert "stopped" in judge("check_repaired", widened)
    for wrong, word in (
        (loop(["back", "zero", "step"]), "found no gradient"),
        (loop(["back", "step"]), "add up"),
        (loop(["zero", "back"]), "no step"),
        (lambda *a, **k: by_hand(*a, **{n: -v for n, v in k.items()}), "up the hill"),
        (lambda *a, **k: by_hand(*a, **{n: v / 2 for n, v in k.items()}), "not by rate"),
        (lambda *a, **k: by_hand(*a), "not by rate"),  # its own rate, not the one it was given
    ):
        said = judge("check_repaired", wrong)
        assert word in said and not said.startswith("Right:"), said


def test_row():
    left = math.prod(1 - 0.01 * (1000 - step) / 1000 * 0.1 for step in range(1000))
    for right in (left, 0.61, "0.606", math.exp(-0.5), torch.tensor(left), np.float32(left)):
        assert judge("check_row", right).startswith("Right:")
    for wrong, word in (
        (None, "Not yet"),
        ("much", "one number"),
        ((0.6, 0.4), "one number"),
        ([[0.61, 0.61]], "one number"),
        (10**400, "one number"),
        (0.999**1000, "stays at 0.01"),
        (1 - left, "share that is gone"),
        (1 - 0.5005, "multiply, do not subtract"),
        (0.5, "multiply, do not subtract"),
        (1, "needs none"),
        (0.905, "100 steps"),
        (0.9, "by the decay"),
        (0.999, "the first step"),
        (math.exp(-5), "rate alone"),
        (0, "of what is there"),
        (1e-22, "rate times decay"),
        (math.exp(-0.25), "half of its largest"),
        (61, "not a percentage"),
        (60.6, "not a percentage"),
        (0.6, "at each step"),
        (-0.61, "at each step"),
        (float("nan"), "at each step"),
        (1e9, "at each step"),
    ):
        said = judge("check_row", wrong)
        assert word in said and not said.startswith("Right:")
