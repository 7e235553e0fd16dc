import inspect
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from transformer_lib import batches
from transformer_lib.batches import Sentences, Windows, encode_all, encode_labels, pad, shuffled
from transformer_lib.text import Passage
from transformer_lib.tokens import END, PAD, train_tokenizer

SENTENCE = "the cat sat on the mat"
WORDS = train_tokenizer([SENTENCE], "word")
PASSAGES = [
    Passage(" ".join(SENTENCE.split()[: 1 + i % 6]), f"s{i}", "ab"[i % 2]) for i in range(23)
]


def sentences(batch_size=5, block_size=4, seed=0, passages=PASSAGES):
    return Sentences(passages, WORDS, ["a", "b"], block_size, batch_size, seed)


def test_each_text_ends_with_the_end():
    assert encode_all([SENTENCE, "", "cat"], WORDS).tolist() == [8, 4, 7, 6, 8, 5, END, END, 4, END]
    empty = encode_all([], WORDS)
    assert empty.shape == (0,) and empty.dtype == torch.long


@settings(deadline=None)
@given(st.lists(st.lists(st.integers(1, 99), min_size=1, max_size=9), min_size=1, max_size=9))
def test_padding_keeps_every_token_and_marks_it(rows):
    tokens, mask = pad(rows)
    assert tokens.shape == mask.shape == (len(rows), max(map(len, rows)))
    assert [t[m].tolist() for t, m in zip(tokens, mask, strict=True)] == rows
    assert (tokens[~mask] == PAD).all() and tokens.dtype == torch.long and mask.dtype == torch.bool
    assert torch.equal(mask, mask.cummin(1).values.bool())  # the padding stands on the right


@pytest.mark.parametrize("rows", [[], [[]], [[1], []]])
def test_rows_without_tokens_are_refused(rows):
    with pytest.raises(
        ValueError, match="rows must hold at least one row, and each row at least one token"
    ):
        pad(rows)


@settings(deadline=None)
@given(st.integers(1, 200), st.integers(0, 1000), st.integers(0, 1000))
def test_an_order_is_a_function_of_seed_and_epoch(count, seed, epoch):
    state = torch.get_rng_state()
    order = shuffled(count, seed, epoch)
    assert torch.equal(order, shuffled(count, seed, epoch))
    assert torch.equal(order.sort().values, torch.arange(count))
    assert torch.equal(state, torch.get_rng_state())


def test_seeds_and_epochs_do_not_stand_for_each_other():
    orders = {
        tuple(shuffled(50, seed, epoch).tolist()) for seed in range(10) for epoch in range(10)
    }
    assert len(orders) == 100


@settings(max_examples=150, deadline=None)
@given(
    st.integers(1, 12),
    st.integers(1, 9),
    st.integers(0, 150),
    st.integers(0, 5),
    st.integers(0, 40),
)
def test_targets_are_the_next_tokens_and_no_place_comes_twice(T, B, more, seed, step):
    row = torch.arange(2 * T + 1 + more)
    windows = Windows(row, T, B, seed)
    inputs, targets = windows(step)
    assert inputs.shape == targets.shape == (windows.batch_size, T)
    assert torch.equal(inputs + 1, targets)
    epoch = step // windows.per_epoch
    places = torch.cat(
        [windows(epoch * windows.per_epoch + i)[0].flatten() for i in range(windows.per_epoch)]
    )
    assert places.unique().numel() == places.numel()


def test_a_batch_depends_on_seed_and_step_alone():
    row = torch.arange(1000) * 7 % 97
    one, two = Windows(row, 10, 8, seed=3), Windows(row, 10, 8, seed=3)
    torch.manual_seed(0)
    for step in (40, 3, 0, 25):
        one(step)
    torch.manual_seed(1)
    for step in (25, 3):
        assert all(map(torch.equal, one(step), two(step)))
    assert not torch.equal(Windows(row, 10, 8, seed=4)(3)[0], one(3)[0])


def test_every_token_gets_a_past_in_some_epoch():
    windows = Windows(torch.arange(101), 10, 3)
    first = {int(windows(epoch * windows.per_epoch)[0][0, 0]) % 10 for epoch in range(60)}
    assert first == set(range(10))


@pytest.mark.parametrize("length", range(21, 42))
def test_every_token_but_the_first_is_a_target_in_some_epoch(length):
    windows = Windows(torch.arange(length), 10, 1)
    targets = torch.cat([windows(step)[1].flatten() for step in range(200 * windows.per_epoch)])
    assert torch.equal(targets.unique(), torch.arange(1, length))


@pytest.mark.parametrize("length", range(21, 42))
def test_an_epoch_leaves_out_less_than_two_windows_and_the_first_cut_may_be_at_0(length):
    windows = Windows(torch.arange(length), 10, 1)
    assert length - 1 - 10 * windows.per_epoch < 20
    assert min(int(windows(step)[0].min()) for step in range(200 * windows.per_epoch)) == 0


@pytest.mark.parametrize("sizes", [(0, 4), (4, 0), (-1, 4)])
def test_sizes_below_one_are_refused(sizes):
    name = "block_size" if sizes[0] < 1 else "batch_size"
    message = f"{name} must be at least 1, got {min(sizes)}"
    with pytest.raises(ValueError, match=message):
        Windows(torch.arange(100), *sizes)
    with pytest.raises(ValueError, match=message):
        sentences(block_size=sizes[0], batch_size=sizes[1])


def test_a_text_too_short_is_refused():
    with pytest.raises(
        ValueError, match=r"tokens must hold at least 2 \* block_size \+ 1 = 9 ids, got 8"
    ):
        Windows(torch.arange(8), 4, 1)
    assert Windows(torch.arange(9), 4, 1).count == 1


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 40), st.integers(1, 8), st.integers(0, 5), st.integers(0, 30))
def test_sentences_keep_their_labels_and_their_masks(B, T, seed, step):
    tokens, mask, labels = sentences(B, T, seed)(step)
    assert mask.any(0).all() and (tokens[~mask] == PAD).all()
    known = {(tuple(WORDS.encode(p.text).ids[:T]), "ab".index(p.label)) for p in PASSAGES}
    assert {
        (tuple(t[m].tolist()), int(y)) for t, m, y in zip(tokens, mask, labels, strict=True)
    } <= known
    assert len(labels) == min(B, 23)


def test_an_epoch_of_sentences_has_none_twice():
    many = [Passage("the", str(i), str(i)) for i in range(23)]
    batches = Sentences(many, WORDS, [str(i) for i in range(23)], 4, 5)
    for epoch in range(3):
        labels = torch.cat([batches(epoch * 4 + i)[2] for i in range(4)])
        assert len(labels) == labels.unique().numel() == 20


def test_sentences_of_like_length_share_a_batch_and_lengths_do_not_rise_in_an_epoch():
    made = [Passage(" ".join(["the"] * (1 + n % 40)), str(n), "a") for n in range(1200)]
    batches = Sentences(made, WORDS, ["a"], 64, 20)
    epochs = [[batches(60 * epoch + step) for step in range(60)] for epoch in range(2)]
    for epoch in epochs:
        padding = [1 - mask.float().mean() for _, mask, _ in epoch]
        assert sum(padding) / 60 < 0.10  # 0.47 if they are drawn without regard to their lengths
        lengths = [mask.shape[1] for _, mask, _ in epoch]
        falls = sum(a > b for a, b in zip(lengths, lengths[1:]))
        assert 15 < falls < 45
    assert [b[0].shape for b in epochs[0]] != [b[0].shape for b in epochs[1]]


@pytest.mark.parametrize("batch_size", [1, 5, 23, 100])
def test_evaluation_sees_every_sentence_once_at_any_batch_size(batch_size):
    rows = [row for batch in sentences(batch_size).once() for row in zip(*batch, strict=True)]
    assert [tokens[mask].tolist() for tokens, mask, _ in rows] == [
        WORDS.encode(p.text).ids[:4] for p in PASSAGES
    ]
    assert [int(label) for *_, label in rows] == ["ab".index(p.label) for p in PASSAGES]


def test_a_sentence_batch_depends_on_seed_and_step_alone():
    one, two = sentences(seed=1), sentences(seed=1)
    for step in (9, 2, 0):
        one(step)
    assert all(map(torch.equal, one(6), two(6)))
    assert all(map(torch.equal, one.to("cpu")(6), two(6)))
    other = [sentences(seed=seed)(0)[0].tolist() for seed in range(5)]
    assert len({str(tokens) for tokens in other}) > 1


def test_labels_outside_the_list_and_empty_data_are_refused():
    with pytest.raises(
        ValueError, match=r"passages: labels must be among \['a', 'b'\], got also \['None', 'c'\]"
    ):
        sentences(passages=[*PASSAGES, Passage("cat", "x", "c"), Passage("cat", "x")])
    with pytest.raises(ValueError, match="passages must hold at least one labelled text"):
        sentences(passages=[])
    with pytest.raises(ValueError, match="each row at least one token"):
        sentences(passages=[Passage(" ", "x", "a")])
    for wrong, said in ((["the cat"], "one of them is of type str"), ("the cat", "got a str")):
        with pytest.raises(ValueError, match=said):
            inspect.unwrap(encode_labels)(wrong, ["a"])


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_batches_are_drawn_on_the_device():
    windows = Windows(torch.arange(1000), 10, 8)
    here = windows(30)[0]
    there = windows.to("cuda")(30)[0]
    assert there.is_cuda and torch.equal(here, there.cpu())
    assert all(t.is_cuda for t in sentences().to("cuda")(3))


# What people pass


@pytest.mark.parametrize("texts", ["hello world. " * 60, b"hello", 3, None])
def test_one_text_is_not_taken_apart_into_letters(texts):
    with pytest.raises(ValueError, match="texts must be a list of texts, got one"):
        inspect.unwrap(encode_all)(texts, WORDS)


def test_texts_may_come_one_by_one_and_half_a_character_is_named():
    assert encode_all((text for text in ["cat", ""]), WORDS).tolist() == [4, END, END]
    with pytest.raises(ValueError, match="texts must be valid Unicode, number 1"):
        encode_all(["cat", "\ud83d"], WORDS)


def windows_of(*given):
    """Windows, without the checks of types that only the tests have."""
    made = object.__new__(Windows)
    with pytest.MonkeyPatch.context() as patch:
        for name in ("check_sizes", "check_tensor"):
            patch.setattr(batches, name, inspect.unwrap(getattr(batches, name)))
        inspect.unwrap(Windows.__init__)(made, *given)
    return made


def test_sizes_and_seeds_of_numpy_are_numbers():
    plain, numpy = (
        Windows(torch.arange(100), 4, 2, 7),
        windows_of(torch.arange(100), np.int64(4), np.int32(2), np.int64(7)),
    )
    assert all(map(torch.equal, plain(5), numpy(5)))
    assert type(numpy.block_size) is type(numpy.batch_size) is type(numpy.seed) is int
    assert torch.equal(shuffled(9, 2**62, 3), shuffled(9, 2**62, 3))  # no overflow


@pytest.mark.parametrize(
    "given, message",
    [
        ((torch.arange(100), 4.0, 2), "block_size must be a whole number, got 4.0"),
        ((torch.arange(100), 4, "2"), "batch_size must be a whole number, got '2'"),
        ((torch.arange(100), 4, 2, 1.5), "seed must be a whole number, got 1.5"),
        (([1, 2, 3], 1, 1), "tokens must be a tensor, got a list"),
        ((np.arange(9), 1, 1), "tokens must be a tensor, got a ndarray"),
        ((torch.rand(100), 4, 2), r"one row of whole numbers, got .* \(100,\) and torch.float32"),
        ((torch.ones(100).bool(), 4, 2), "one row of whole numbers, got .* torch.bool"),
        ((torch.zeros(10, 10).long(), 4, 2), r"one row of whole numbers, got .* \(10, 10\)"),
    ],
)
def test_what_is_no_row_and_no_size_is_named(given, message):
    with pytest.raises(ValueError, match=message):
        windows_of(*given)


def test_a_row_of_int32_gives_the_same_batches():
    row = torch.arange(500) * 7 % 97
    one, two = Windows(row, 10, 4), Windows(row.int(), 10, 4)
    assert all(map(torch.equal, one(3), two(3))) and two(3)[0].dtype == torch.long


def test_rows_may_be_arrays_and_hold_whole_numbers():
    tokens, mask = pad([np.array([5, 6], np.int32), [7]])
    assert tokens.tolist() == [[5, 6], [7, PAD]] and mask.tolist() == [[True, True], [True, False]]
    with pytest.raises(ValueError, match="rows must hold whole numbers, got float64"):
        inspect.unwrap(pad)([[1.5]])
    for text in ("abc", ["abc"]):
        with pytest.raises(ValueError, match="prompts must be rows of ids, got .*abc"):
            batches.check_token_rows("prompts", text)


def test_a_sentence_without_tokens_is_named():
    with pytest.raises(ValueError, match="texts of passages must hold .* at least one token"):
        sentences(passages=[Passage(" ", "s", "a"), *PASSAGES])


SPENT = """
import random, sys
from tests.memory import peak
from transformer_lib.batches import encode_all
from transformer_lib.tokens import train_tokenizer
draw = random.Random(0)
words = [f"word{i}" for i in range(3_000)]
def texts(count, length):
    return [" ".join(draw.choices(words, k=length)) for _ in range(count)]
tokenizer = train_tokenizer(texts(100, 100), "word")
encode_all(texts(20, 10_000), tokenizer)  # what is needed once is there
made = texts(3_000_000 // int(sys.argv[1]), int(sys.argv[1]))
before = peak()
tokens = encode_all(made, tokenizer)
print((peak() - before) / len(tokens))
"""


@pytest.mark.slow
@pytest.mark.parametrize("length", [40, 1_500_000])
def test_encoding_takes_few_bytes_a_token(length):
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])}
    said = subprocess.check_output(
        [sys.executable, "-c", SPENT, str(length)], env=environment, text=True
    )
    assert float(said) < 60, said  # 12 of them for the rows; a portion takes the rest, once
