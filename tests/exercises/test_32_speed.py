"""The checks of chapter 32 accept what is right and name what is wrong."""

import torch

from tests.exercises.checks import verdict

CHAPTER = "32_speed"


def judge(check, answer):
    return verdict(CHAPTER, f"check_{check}", answer)


def test_run():
    def run_flops(C, L, T, V, tokens):
        a_layer = 24 * C * C + 4 * T * C
        return 3 * tokens * (L * a_layer + 2 * C * V)

    assert judge("run", run_flops).startswith("Right:")
    assert judge("run", lambda *sizes: None).startswith("Not yet")
    assert "stopped" in judge("run", lambda *sizes: f"{run_flops(*sizes):,}")
    assert "backward" in judge("run", lambda *sizes: run_flops(*sizes) / 3)
    assert "Attention is missing" in judge(
        "run", lambda C, L, T, V, n: 6 * (12 * L * C * C + C * V) * n
    )
    assert "vocabulary" in judge("run", lambda C, L, T, V, n: (72 * L * C * C + 12 * L * C * T) * n)
    assert "times 3" in judge(
        "run", lambda C, L, T, V, n: (6 * (12 * L * C * C + C * V) + 4 * L * C * T) * n
    )
    assert "twice" in judge("run", lambda *sizes: run_flops(*sizes) / 2)
    assert "it is" in judge("run", lambda *sizes: 17)
    assert "stopped" in judge("run", lambda C: C)


def test_stuck():
    assert judge("stuck", lambda step: 2**8 * step).startswith("Right:")
    assert judge("stuck", lambda step: torch.tensor(256 * step)).startswith("Right:")
    assert judge("stuck", lambda step: None).startswith("Not yet")
    assert "128" in judge("stuck", lambda step: 128 * step)
    assert "float16" in judge("stuck", lambda step: 2048 * step)
    assert "float32" in judge("stuck", lambda step: 2**24 * step)
    assert "relative" in judge("stuck", lambda step: 256)
    assert "not at 7" in judge("stuck", lambda step: 7)
    assert "stopped" in judge("stuck", lambda: 7)
    assert "stopped" in judge("stuck", lambda step: [256 * step])


def test_waits_names_what_came_back_for_nan():
    def none(previous, loss):
        return None if loss.isnan() else 0.9 * previous + 0.1 * loss

    def raises(previous, loss):
        if loss.isnan():
            raise ValueError("NaN")
        return 0.9 * previous + 0.1 * loss

    def in_place(previous, loss):
        return previous.lerp_(torch.where(loss.isnan(), previous, loss), 0.1)

    assert "For a NaN it returned None" in judge("waits", none)
    assert "stopped with" in judge("waits", raises)
    assert "single number" in judge("waits", lambda previous, loss: torch.ones(2))
    assert judge("waits", in_place).startswith("Right:")


def test_waits():
    def right(previous, loss):
        return previous.lerp(loss.nan_to_num(), 0.1).where(loss == loss, previous)

    assert judge("waits", right).startswith("Right:")
    assert judge("waits", lambda previous, loss: None).startswith("Not yet")
    assert "Python number" in judge("waits", lambda previous, loss: 1.9)
    assert "1.9" in judge("waits", lambda previous, loss: 0.1 * previous + 0.9 * loss)
    assert "torch.where" in judge("waits", lambda previous, loss: 0.9 * previous + 0.1 * loss)
    assert "as it is" in judge(
        "waits", lambda previous, loss: 0.9 * previous + 0.1 * loss.nan_to_num()
    )
    assert "makes it wait" in judge(
        "waits", lambda previous, loss: previous if loss.isnan() else 0.9 * previous + 0.1 * loss
    )
    assert "stopped" in judge("waits", lambda previous: previous)
