"""The checks of the exercises on refusing bad input: right answers pass, wrong ones are named."""

from numbers import Real

import pytest

from tests.exercises.checks import verdict

CHAPTER = "23_checks"


def refuses(good, text):
    def check_temperature(temperature):
        if not good(temperature):
            raise ValueError(text.format(temperature))

    return check_temperature


def is_good(value):
    return isinstance(value, Real) and value >= 0


@pytest.mark.parametrize("may_be", ["be at least 0", "not be negative", "be zero or more"])
def test_message_right(may_be):
    answer = refuses(is_good, f"temperature must {may_be}, got {{}}")
    assert verdict(CHAPTER, "check_message", answer).startswith("Right:")


@pytest.mark.parametrize(
    ("good", "text", "hint"),
    [
        (lambda t: True, "", "not refused"),
        (lambda t: is_good(t) and t > 0, "temperature must be above 0, got {}", "It refuses 0"),
        (lambda t: not isinstance(t, Real) or not t < 0, "temperature {} 0", "NaN"),
        (lambda t: not isinstance(t, Real) or t >= 0, "temperature {} 0", "lets '0.7'"),
        (is_good, "it must be at least 0, got {}", "name the argument"),
        (is_good, "temperature must be at least 0", "show what it was"),
        (is_good, "temperature is wrong: {}", "what it may be"),
        (lambda t: t >= 0, "temperature must be at least 0, got {}", "stopped with TypeError"),
    ],
)
def test_message_wrong(good, text, hint):
    assert hint in verdict(CHAPTER, "check_message", refuses(good, text))


def of_rows(maps, within=1e-4):
    """True for rows that are weights, and where there is none."""
    return bool((maps >= 0).all() and ((maps.sum(-1) - 1).abs() < within).all())


def test_hollow_right():
    def answer(maps):
        return maps.numel() > 0 and of_rows(maps)

    assert verdict(CHAPTER, "check_hollow", answer).startswith("Right:")


@pytest.mark.parametrize(
    ("answer", "hint"),
    [
        (lambda m: None, "Not yet"),
        (lambda m: bool((m >= 0).any()), "one NaN"),
        (lambda m: bool(not (m < 0).any()), "one NaN"),
        (lambda m: bool((m >= 0).all()), "sums to 1.0005"),
        (lambda m: m.numel() > 0 and bool((m > 0).all()) and of_rows(m), "refuses a causal map"),
        (lambda m: m.numel() > 0 and of_rows(m, within=1e-3), "sums to 1.0005"),
        (lambda m: bool((m >= 0).all() and ((m.sum(-1) - 1) < 1e-4).all()), "sums to 0.9995"),
        (lambda m: bool(((m.sum(-1) - 1).abs() < 1e-4).all()), "below 0"),
        (of_rows, "lets through a batch of no sentences"),
        (lambda m: len(m) > 0 and of_rows(m), "lets through a batch without heads"),
        (lambda m: bool((m >= 0).all() and ((m.sum(-1) - 1).abs() < 0.1).all()), "1.0005"),
        (lambda m: False, "refuses an attention map"),
        (lambda m: m.nothing, "stopped it"),
    ],
)
def test_hollow_wrong(answer, hint):
    assert hint in verdict(CHAPTER, "check_hollow", answer)


RIGHT = {"a": "num_layers", "b": "tokens", "c": "targets", "d": "padding_mask"}


def test_blame_right():
    assert verdict(CHAPTER, "check_blame", RIGHT).startswith("Right:")


@pytest.mark.parametrize(
    ("answer", "hint"),
    [
        (None, "Not yet"),
        ("tokens", "keys"),
        ({"a": "num_layers"}, "keys"),
        (RIGHT | {"a": "num_heads"}, "a: "),
        (RIGHT | {"b": "block_size"}, "b: "),
        (RIGHT | {"c": "tokens"}, "c: "),
        (RIGHT | {"d": "mask"}, "d: "),
    ],
)
def test_blame_wrong(answer, hint):
    assert hint in verdict(CHAPTER, "check_blame", answer)
