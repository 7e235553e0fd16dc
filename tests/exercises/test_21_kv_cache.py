"""The checks of the key-value cache's exercises: right answers pass, wrong ones are named."""

import pytest
import torch

from tests.exercises.checks import verdict
from transformer_lib.kv_cache import KVCache
from transformer_lib.sampling import stream

CHAPTER = "21_kv_cache"


def not_written(*_):
    raise NotImplementedError


RIGHT = 2 * 12 * 768 * 1024 * 8 * 2


@pytest.mark.parametrize("answer", [RIGHT, float(RIGHT), 3.02e8])
def test_memory_right(answer):
    assert verdict(CHAPTER, "check_memory", answer).startswith("Right:")


@pytest.mark.parametrize(
    ("answer", "hint"),
    [
        (None, "Not yet"),
        ("much", "Not yet"),
        (RIGHT / 2, "Half"),
        (RIGHT / 4, "quarter"),
        (RIGHT * 12, "heads"),
        (RIGHT / 12, "layer"),  # or one head of twelve
        (RIGHT * 8, "bits"),
        (RIGHT / 1024, "one position"),
        (302, "millions"),
        (288, "MiB"),
        (RIGHT / 8, "one row"),
        (RIGHT * 1.5, "Queries"),
        (7, "Not this"),
    ],
)
def test_memory_wrong(answer, hint):
    assert hint in verdict(CHAPTER, "check_memory", answer)


def repaired(decoder, ids, count):
    cache = KVCache(decoder)
    if len(ids) > 1:
        decoder(
            torch.tensor([ids[:-1]]), return_attention=False, cache=cache
        )  # all but the last, which the loop feeds
    row = list(ids)
    for _ in range(count):
        row.append(
            int(decoder(torch.tensor([row[-1:]]), return_attention=False, cache=cache)[0].argmax())
        )
    return row[len(ids) :]


def by_the_library(decoder, ids, count):
    return [int(t) for t in stream(decoder, [ids], max_new_tokens=count, temperature=0)]


def by_name(decoder, ids, count):
    """Tokens by keyword, new ids as a tensor (1, count)."""
    cache, new, written = KVCache(decoder), torch.tensor([ids]), []
    for _ in range(count):
        new = decoder(tokens=new, return_attention=False, cache=cache)[0][:, -1].argmax(
            -1, keepdim=True
        )
        written.append(new)
    return torch.cat(written, 1)


def no_prefill(decoder, ids, count):
    cache, row = KVCache(decoder), list(ids)
    for _ in range(count):
        row.append(
            int(decoder(torch.tensor([row[-1:]]), return_attention=False, cache=cache)[0].argmax())
        )
    return row[len(ids) :]


def twice(decoder, ids, count):
    cache, row = KVCache(decoder), list(ids)
    decoder(torch.tensor([row]), return_attention=False, cache=cache)
    for _ in range(count):
        row.append(
            int(decoder(torch.tensor([row[-1:]]), return_attention=False, cache=cache)[0].argmax())
        )
    return row[len(ids) :]


def uncached(decoder, ids, count):
    row = list(ids)
    for _ in range(count):
        row.append(int(decoder(torch.tensor([row]))[0][0, -1].argmax()))
    return row[len(ids) :]


@pytest.mark.parametrize("answer", [repaired, by_the_library, by_name])
def test_bug_right(answer):
    assert verdict(CHAPTER, "check_bug", answer).startswith("Right:")


@pytest.mark.parametrize(
    ("answer", "hint"),
    [
        (twice, "New id 2 is not"),
        (uncached, "more than once"),
        (lambda d, ids, n: ids + repaired(d, ids, n), "without the prompt"),
        (lambda d, ids, n: [0] * n, "New id 1 is not"),
        (lambda d, ids, n: repaired(d, ids, n + 1), "returns 13"),
        (lambda d, ids, n: repaired(d, ids, n + 1)[1:], "first new id is missing"),
        (no_prefill, "is not what greedy"),
        (lambda d, ids, n: 3, "stopped with"),
        (lambda d, ids, n: "text", "stopped with"),
        (lambda *_: None, "Not yet"),
        (not_written, "Not yet"),
    ],
)
def test_bug_wrong(answer, hint):
    assert hint in verdict(CHAPTER, "check_bug", answer)
