"""The checks of the chapter on devices tell right answers from wrong ones."""

import torch

from tests.exercises.checks import verdict


def judge(answer, check="check_steps_until_moved"):
    return verdict("33_devices", check, answer)


def moved(weight, step, dtype, limit=1000, least=0):
    total = start = torch.tensor(weight, dtype=dtype)
    for number in range(1, limit + 1):
        total = total + step
        if total != start:
            return number + least
    return None


def at_once(weight, step, dtype, limit=1000):
    start = torch.tensor(weight, dtype=dtype)
    for number in range(1, limit + 1):
        if torch.tensor(weight + number * step, dtype=dtype) != start:
            return number
    return None


def stepping(until):
    """Steps as asked for, up to another sign that the weight has moved."""

    def steps(weight, step, dtype, limit=1000):
        total = start = torch.tensor(weight, dtype=dtype)
        for number in range(1, limit + 1):
            total = total + step
            if until(total, start):
                return number
        return None

    return steps


grown = stepping(torch.gt)
nearly = stepping(lambda total, start: not torch.allclose(total, start))


def test_steps_until_moved():
    assert judge(moved).startswith("Right:")
    for wrong, word in (
        (lambda *a: None, "Not yet"),
        (lambda *a: 1 / 0, "Not yet"),
        (at_once, "one step after the other"),
        (grown, "Expected"),
        (nearly, "Expected"),
        (lambda w, s, d, limit=1000: moved(w, s, d, limit - 1), "limit of 1"),
        (lambda *a: moved(*a, least=1) if a[2] == torch.float32 else moved(*a), "Expected"),
    ):
        said = judge(wrong)
        assert word in said and not said.startswith("Right:")


def test_bytes():
    for right in ((16, 18), [16, 18], torch.tensor([16, 18]), iter((16, 18))):
        assert judge(right, "check_bytes").startswith("Right:")
    for wrong, word in (
        (None, "Not yet"),
        (16, "two numbers"),
        ((16, 8), "stay in float32"),
        ((12, 14), "Count"),
    ):
        said = judge(wrong, "check_bytes")
        assert word in said and not said.startswith("Right:")


def parts(model, loss_fn, batch, number, clear="once", divide=True, only=None):
    if clear == "once":
        model.zero_grad()
    for i in range(number if only is None else only):
        if clear == "each":
            model.zero_grad()
        loss = loss_fn(model, tuple(t[i::number] for t in batch))
        (loss / number if divide else loss).backward()


def test_in_parts():
    assert judge(parts, "check_in_parts").startswith("Right:")
    for wrong, word in (
        (lambda *a: 1 / 0, "Not yet"),
        (lambda m, *a: m.zero_grad(), "Not yet"),
        (lambda *a: parts(*a, divide=False), "Four times"),
        (lambda m, f, b, n: parts(m, lambda *a: f(*a) / 2, b, n), "0.5 times"),
        (lambda *a: parts(*a, clear="never"), "last step"),
        (lambda *a: parts(*a, clear="never", divide=False), "last step"),
        (lambda *a: parts(*a, clear="each"), "Only some"),
        (lambda *a: parts(*a, clear="each", divide=False), "Only some"),
        (lambda *a: parts(*a, only=3), "Only some"),
        (lambda m, f, b, n: parts(m, f, b, 4), "Not this for 2 parts"),
    ):
        said = judge(wrong, "check_in_parts")
        assert word in said and not said.startswith("Right:"), said
