"""The checks of chapter 28 accept what is right and name what is wrong."""

import pytest

from tests.exercises.checks import verdict

CHAPTER = "28_defaults"


@pytest.mark.parametrize(
    "answer, said",
    [
        (lambda steps, B, T, N: steps * B * T / N, "Right:"),
        (lambda steps, B, T, N: None, "Not yet"),
        (lambda steps, B, T, N: steps * B / N, "block_size tokens"),
        (lambda steps, B, T, N: N / (steps * B * T), "Upside down"),
        (lambda steps, B, T, N: steps * T / N, "Count the tokens"),
        (lambda steps, B, T, N: steps * B * T // N, "Do not round"),
        (lambda steps, B, T, N: round(steps * B * T / N), "Do not round"),
        (lambda steps: steps, "stopped with TypeError"),
    ],
)
def test_readings(answer, said):
    assert said in verdict(CHAPTER, "check_readings", answer)


@pytest.mark.parametrize(
    "answer, said",
    [
        (lambda rate: 0 < rate < float("inf"), "Right:"),
        (lambda rate: None, "Not yet"),
        (lambda rate: not (rate <= 0 or rate == float("inf")), "not even itself"),
        (lambda rate: rate > 0, "inf is no rate"),
        (lambda rate: rate == rate and rate < float("inf"), "0.0 is no rate"),
        (lambda rate: 0 < rate < 1, "1000000000.0 is a rate"),
        (lambda rate: isinstance(rate, float) and 0 < rate < float("inf"), "1 is a rate"),
        (lambda: True, "stopped with TypeError"),
    ],
)
def test_accepts(answer, said):
    assert said in verdict(CHAPTER, "check_accepts", answer)


@pytest.mark.parametrize(
    "answer, said",
    [
        ((0.06, 0.2), "Right:"),
        ([0.06, 0.2], "Right:"),
        (None, "Not yet"),
        (0.06, "two numbers"),
        ((0.12, 0.4), "Only half"),
        ((0.2, 0.06), "comes first"),
        ((6, 20), "no percentages"),
        ((0.5, 0.5), "one token and one word"),
    ],
)
def test_hidden(answer, said):
    assert said in verdict(CHAPTER, "check_hidden", answer)
