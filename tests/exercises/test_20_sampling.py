"""The checks of the sampling exercises: right answers pass, wrong ones are named."""

import codecs
import itertools
import math

import numpy as np
import pytest
import torch

from tests.exercises.checks import verdict

CHAPTER = "20_sampling"


@pytest.mark.parametrize("answer", [0.64 / 0.68, 16 / 17, "0.941", torch.tensor(0.94)])
def test_half_right(answer):
    assert verdict(CHAPTER, "check_half", answer).startswith("Right:")


@pytest.mark.parametrize(
    ("answer", "hint"),
    [
        (None, "Not yet"),
        ("high", "Not yet"),
        (0.64, "sum to 1"),
        (2 / 3, "temperature 2"),
        (0.8, "same temperature"),
        (0.4, "not the probabilities"),
        (1, "greedy"),
        (0.87, "Sharper"),
        (94.1, "from 0 to 1"),
        (16, "odds"),
        (1 / (1 + math.exp(-1.2)), "softmax of probabilities"),
        (0.1, "likelier"),
    ],
)
def test_half_wrong(answer, hint):
    assert hint in verdict(CHAPTER, "check_half", answer)


def by_rows(probs, share):
    out = torch.zeros_like(probs)
    for i, row in enumerate(probs):
        for j, p in enumerate(row):
            if p / row.max() >= share:
                out[i, j] = p
        out[i] /= out[i].sum()
    return out


def again(kept):
    return kept / kept.sum(-1, keepdim=True)


def in_place(probs, share):
    probs[probs < share * probs.amax(-1, keepdim=True)] = 0
    return again(probs)


def not_written(*_):
    raise NotImplementedError


def bar(probs, share):
    return share * probs.amax(-1, keepdim=True)


def by_lists(probs, share):
    kept = [[p if p >= share * max(row) else 0 for p in row] for row in probs.tolist()]
    return [[p / sum(row) for p in row] for row in kept]


def by_numpy(probs, share):
    a = probs.numpy()
    kept = np.where(a >= share * a.max(1, keepdims=True), a, 0)
    return kept / kept.sum(1, keepdims=True)


@pytest.mark.parametrize(
    "answer",
    [
        by_rows,
        by_lists,
        by_numpy,
        lambda p, s: (
            p.log().masked_fill(p < s * p.max(1, keepdim=True).values, float("-inf")).softmax(-1)
        ),
    ],
)
def test_min_p_right(answer):
    assert verdict(CHAPTER, "check_min_p", answer).startswith("Right:")


@pytest.mark.parametrize(
    ("answer", "hint"),
    [
        (lambda p, s: None, "Not yet"),
        (not_written, "Not yet"),
        (lambda p, s: p * (p >= s * p.amax(-1, keepdim=True)), "sum to 1"),
        (lambda p, s: again(p * (p >= s * p.max())), "by row"),
        (lambda p, s: again(p * (p >= s * p.amax(0))), "each column"),
        (lambda p, s: again(p * (p >= bar(p, 1 - s))), "not 1 - share"),
        (lambda p, s: (p * (p >= bar(p, s))) / (p * (p >= bar(p, s))).sum(), "sum of all rows"),
        (lambda p, s: p.masked_fill(p < bar(p, s), -torch.inf).softmax(-1), "softmax of"),
        (lambda p, s: p.masked_fill(p < bar(p, s), 0).softmax(-1), "softmax of"),
        (lambda p, s: again(p * (p >= s)), "not share itself"),
        (lambda p, s: again(p * (p < s * p.amax(-1, keepdim=True))), "kept the tail"),
        (lambda p, s: again((p >= s * p.amax(-1, keepdim=True)).float()), "proportions"),
        (in_place, "copy first"),
        (lambda p, s: p[0], "shape"),
        (lambda p, s: p, "by hand"),
    ],
)
def test_min_p_wrong(answer, hint):
    assert hint in verdict(CHAPTER, "check_min_p", answer)


def waits(tokens):
    """Decodes what waits; hands it out when it ends with a whole character."""
    waiting = b""
    for token in tokens:
        waiting += token
        try:
            text = waiting.decode()
        except UnicodeDecodeError:
            continue
        if text:
            yield text
        waiting = b""
    if waiting:
        yield waiting.decode(errors="replace")


def decodes_all(tokens):
    """Takes quadratic time, and is right."""
    seen, said = b"", ""
    for token in tokens:
        seen += token
        text = seen.decode(errors="replace")
        if text != said and not text.endswith("\ufffd"):
            yield text[len(said) :]
            said = text
    if rest := seen.decode(errors="replace")[len(said) :]:
        yield rest


def whole_beginnings(tokens):
    """Does not let a whole character wait for the half one behind it."""
    decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")
    for token in tokens:
        if text := decoder.decode(token):
            yield text
    if text := decoder.decode(b"", final=True):
        yield text


def held(ready=lambda w: not w.endswith("\ufffd"), errors="replace", rest="replace", clear=True):
    """The first answer of many: what waits is decoded, and handed out when it is ready."""

    def answer(tokens):
        waiting = b""
        for token in tokens:
            waiting += token
            text = waiting.decode(errors=errors)
            if text and ready(text):
                yield text
                waiting = b"" if clear else waiting
        if waiting and rest:
            yield waiting.decode(errors=rest)

    return answer


def each_alone(errors):
    return lambda tokens: (token.decode(errors=errors) for token in tokens if token)


def one_late(tokens):
    before = ""
    for piece in waits(tokens):
        if before:
            yield before
        before = piece
    if before:
        yield before


def never_ends(tokens):
    yield from waits(tokens)
    while True:
        yield "x"


def forgets_the_half(tokens):
    """Hands out the whole characters, and forgets the bytes behind them."""
    for token in tokens:
        if text := token.decode(errors="ignore"):
            yield text


@pytest.mark.parametrize(
    "answer",
    [
        held(),
        waits,
        decodes_all,
        whole_beginnings,
        lambda tokens: codecs.iterdecode(tokens, "utf-8", errors="replace"),
        lambda tokens: (character for piece in waits(tokens) for character in piece),
    ],
)
def test_pieces_right(answer):
    assert verdict(CHAPTER, "check_pieces", answer).startswith("Right:")


@pytest.mark.parametrize(
    ("answer", "hint"),
    [
        (lambda tokens: None, "Not yet"),
        (not_written, "Not yet"),
        (lambda tokens: len(tokens), "Not yet"),
        (lambda tokens: 3, "Not yet"),
        (each_alone("strict"), "within a character"),
        (held(rest="strict"), "within a character"),
        (each_alone("replace"), "Half a character"),
        (held(ready=bool), "Half a character"),
        (lambda tokens: [*waits(tokens), "\ufffd"], "Half a character"),
        (each_alone("ignore"), "Text was lost"),
        (held(errors="ignore", rest=""), "Text was lost"),
        (forgets_the_half, "Text was lost"),
        (lambda tokens: [], "Text was lost"),
        (lambda tokens: "".join(waits(tokens)), "one text"),
        (lambda tokens: b"".join(tokens), "one text"),
        (lambda tokens: list(waits(tokens)), "before the last token"),
        (lambda tokens: ["".join(waits(tokens))], "before the last token"),
        (lambda tokens: (piece.encode() for piece in waits(tokens)), "not bytes"),
        (held(clear=False), "Text comes twice"),
        (lambda tokens: (piece * 2 for piece in waits(tokens)), "Text comes twice"),
        (lambda tokens: itertools.accumulate(waits(tokens)), "Text comes twice"),
        (lambda tokens: (token.decode("latin-1") for token in tokens if token), "not the char"),
        (lambda tokens: (piece + " " for piece in waits(tokens)), "Spaces"),
        (lambda tokens: (p.strip() for p in waits(tokens) if p.strip()), "Spaces"),
        (lambda tokens: itertools.chain(waits(tokens), [""]), "empty"),
        (one_late, "too long"),
        (held(ready=lambda text: text[-1:].isascii()), "too long"),
        (held(ready=lambda text: text.endswith(" ")), "too long"),
        (held(rest=""), "still waits at the end"),
        (held(rest="ignore"), "still waits at the end"),
        (never_ends, "come to an end"),
    ],
)
def test_pieces_wrong(answer, hint):
    assert hint in verdict(CHAPTER, "check_pieces", answer)
