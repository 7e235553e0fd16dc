"""The check of the chapter on devices tells right answers from wrong ones."""

import torch

from tests.exercises.checks import verdict


def judge(answer):
    return verdict("29_devices", "check_steps_until_moved", answer)


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


def test_steps_until_moved():
    assert judge(moved).startswith("Right")
    for wrong, word in (
        (lambda *a: None, "Not yet"),
        (lambda *a: 1 / 0, "Not yet"),
        (at_once, "one step after the other"),
        (lambda *a: moved(*a, least=1) if a[2] == torch.float32 else moved(*a), "Expected"),
    ):
        said = judge(wrong)
        assert word in said and not said.startswith("Right")
