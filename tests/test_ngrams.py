"""Kneser-Ney n-grams: equal to the definition, proper distributions, bad inputs."""

import re
from collections import Counter, defaultdict

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.utils._python_dispatch import TorchDispatchMode

from transformer_lib.ngrams import KneserNey, perplexity_of

V = 7


def definition(order, train):
    """P(word | context) by dictionaries, straight from the equations."""
    train = tuple(train)
    counts = {k: defaultdict(Counter) for k in range(1, order + 1)}
    for k in range(1, order + 1):
        if k == order:
            grams = [train[i : i + k] for i in range(len(train) - k + 1)]
        else:
            longer = {train[i : i + k + 1] for i in range(len(train) - k)}
            grams = [gram[1:] for gram in longer]
        for gram in grams:
            counts[k][gram[:-1]][gram[-1]] += 1
    discounts = {}
    for k, contexts in counts.items():
        found = [c for followers in contexts.values() for c in followers.values()]
        n1, n2 = found.count(1), found.count(2)
        discounts[k] = min(max(n1 / (n1 + 2 * n2) if n1 + n2 else 0, 0.1), 0.9)

    def probability(word, context):
        p = 1 / V
        for k in range(1, min(order, len(context) + 1) + 1):
            followers = counts[k].get(tuple(context[len(context) - k + 1 :]))
            if followers:
                total = sum(followers.values())
                left = discounts[k] * len(followers) * p
                p = (max(followers[word] - discounts[k], 0) + left) / total
        return p

    return probability


rows = st.lists(st.integers(0, V - 1), min_size=5, max_size=60)


@settings(max_examples=60, deadline=None)
@given(
    train=rows,
    test=st.lists(st.integers(0, V - 1), min_size=2, max_size=12),
    order=st.integers(1, 5),
)
def test_arrays_equal_the_definition_on_random_tokens(train, test, order):
    model = KneserNey(order, V).fit(torch.tensor(train))
    slow = definition(order, train)
    log_probs = model.log_probs(torch.tensor(test))
    assert log_probs.dtype == torch.float64 and log_probs.shape == (len(test) - 1,)
    for i in range(1, len(test)):
        assert log_probs[i - 1].exp().item() == pytest.approx(slow(test[i], test[:i]), rel=1e-10)
    every = model.distribution(torch.tensor(test))
    assert every.tolist() == pytest.approx([slow(w, test) for w in range(V)], rel=1e-10)


@settings(max_examples=60, deadline=None)
@given(train=rows, context=st.lists(st.integers(0, V - 1), max_size=8), order=st.integers(1, 5))
def test_distributions_sum_to_one_and_nothing_is_impossible(train, context, order):
    p = KneserNey(order, V).fit(train).distribution(context)
    assert p.shape == (V,) and (p > 0).all()
    assert abs(p.sum().item() - 1) < 1e-12


@settings(max_examples=60, deadline=None)
@given(train=rows, row=st.lists(st.integers(0, V - 1), max_size=12), order=st.integers(1, 5))
def test_distributions_have_a_row_for_each_place_of_a_text(train, row, order):
    every = KneserNey(order, V).fit(train).distributions(row)
    slow = definition(order, train)
    assert every.dtype == torch.float64 and every.shape == (len(row) + 1, V)
    for i, p in enumerate(every.tolist()):
        assert p == pytest.approx([slow(w, row[:i]) for w in range(V)], rel=1e-10)


@settings(max_examples=60, deadline=None)
@given(train=rows, texts=st.lists(rows, min_size=1, max_size=3), order=st.integers(1, 5))
def test_windows_side_by_side_are_told_what_each_is_told_alone(train, texts, order):
    model, n = KneserNey(order, V).fit(train), min(map(len, texts))
    tokens = torch.tensor([text[:n] for text in texts])
    found = model.distributions(tokens)
    alone = torch.stack([model.distributions(row) for row in tokens])
    torch.testing.assert_close(found, alone, rtol=1e-12, atol=0)
    assert torch.equal(model.distributions(tokens[None]), found[None])
    assert torch.equal(model.distributions(tokens.tolist()), found)


@settings(max_examples=30, deadline=None)
@given(train=rows, test=rows, order=st.integers(1, 5))
def test_log_probs_are_finite_and_agree_with_the_distribution(train, test, order):
    model = KneserNey(order, V).fit(train)
    log_probs = model.log_probs(test)
    assert torch.isfinite(log_probs).all() and (log_probs < 0).all()
    for i in (1, len(test) // 2, len(test) - 1):
        p = model.distribution(test[:i])[test[i]]
        assert log_probs[i - 1].exp().item() == pytest.approx(p.item(), rel=1e-12)


def test_order_1_is_the_unigram_with_a_discount():
    ids = torch.tensor([0, 0, 0, 0, 1, 1, 2, 3])
    d = 2 / (2 + 2 * 1)  # two ids seen once, one seen twice
    counts = torch.tensor([4, 2, 1, 1, 0, 0, 0]).double()
    expected = ((counts - d).clamp(min=0) + d * 4 / V) / 8
    model = KneserNey(1, V).fit(ids)
    torch.testing.assert_close(model.distribution([5, 2]), expected)
    torch.testing.assert_close(model.log_probs(ids), expected[ids[1:]].log())


def test_order_1_approaches_the_relative_frequencies():
    ids = torch.randint(0, V, (20_000,), generator=torch.Generator().manual_seed(0))
    shares = torch.bincount(ids, minlength=V) / len(ids)
    model = KneserNey(1, V).fit(ids)
    torch.testing.assert_close(model.distribution([]), shares.double(), atol=1e-4, rtol=0)


def test_lower_orders_count_different_left_neighbours_not_occurrences():
    # 5 occurs four times, always after 4; 6 twice, after 1 and after 2
    train = [4, 5, 1, 6, 4, 5, 2, 6, 4, 5, 3, 4, 5]
    model = KneserNey(2, V).fit(train)
    assert model.levels[0].counts[5] == 1 and model.levels[0].counts[6] == 2
    p = model.distribution([])
    assert p[6] > p[5]
    after_4 = model.distribution([4])
    assert after_4[5] > 0.5  # where 5 belongs, its own count speaks


def test_a_context_never_seen_hands_down_to_the_shorter_one():
    train = [0, 1, 2, 0, 1, 3, 0, 2]
    model = KneserNey(3, V).fit(train)
    torch.testing.assert_close(model.distribution([6, 0]), model.distribution([0]))
    torch.testing.assert_close(model.distribution([5, 6]), model.distribution([]))


def test_only_the_last_tokens_of_a_context_matter():
    model = KneserNey(3, V).fit([0, 1, 2, 0, 1, 3, 0, 2, 4, 0, 1, 2])
    torch.testing.assert_close(model.distribution([5, 4, 0, 1]), model.distribution([0, 1]))


def test_it_predicts_a_regular_text():
    train = [0, 1, 2, 3] * 100
    test = torch.tensor([0, 1, 2, 3] * 5)
    perplexity = [perplexity_of(KneserNey(n, V).fit(train).log_probs(test)) for n in (1, 2)]
    assert perplexity[1] < 1.05 and 3 < perplexity[0] < 5


@pytest.mark.parametrize("kind", [list, np.array, torch.tensor])
def test_tokens_may_be_a_list_an_array_or_a_tensor(kind):
    ids = [0, 1, 2, 0, 1, 3]
    expected = KneserNey(2, V).fit(ids).log_probs(ids)
    got = KneserNey(2, V).fit(kind(ids)).log_probs(kind(ids))
    torch.testing.assert_close(got, expected)


def test_large_vocabularies_do_not_overflow():
    big = 200_000
    ids = np.random.default_rng(0).integers(big - 50, big, 5_000)
    model = KneserNey(5, big).fit(ids)
    assert torch.isfinite(model.log_probs(ids)).all()
    assert abs(model.distribution(ids[:4]).sum().item() - 1) < 1e-9


def test_fitting_again_forgets_the_first_text():
    model = KneserNey(2, V).fit([0, 1] * 20).fit([2, 3] * 20)
    again = KneserNey(2, V).fit([2, 3] * 20)
    torch.testing.assert_close(model.distribution([2]), again.distribution([2]))


def test_perplexity_of_a_uniform_model_is_the_size_of_the_vocabulary():
    uniform = torch.full((11,), 1 / V, dtype=torch.float64).log()
    assert perplexity_of(uniform) == pytest.approx(V)
    assert perplexity_of(torch.tensor([0.5, 0.0]).double().log()) == float("inf")


@pytest.mark.parametrize(
    "call, message",
    [
        (
            lambda: KneserNey(0, V),
            "order and vocab_size must be whole numbers from 1, vocab_size below 2**31, got 0",
        ),
        (
            lambda: KneserNey(2, 0),
            "order and vocab_size must be whole numbers from 1, vocab_size below 2**31, got 2 and 0",
        ),
        (lambda: KneserNey(3, V).fit([1, 2]), "tokens must be a row of at least 3 ids"),
        (lambda: KneserNey(1, V).fit([[1, 2]]), "tokens must be a row"),
        (lambda: KneserNey(1, V).fit([1, 7]), "from 0 to vocab_size - 1 = 6, got 7"),
        (lambda: KneserNey(1, V).fit([1, -2]), "from 0 to vocab_size - 1 = 6, got -2"),
        (lambda: KneserNey(1, V).fit([1.5, 2]), "tokens must be whole numbers"),
        (lambda: KneserNey(1, V).log_probs([1, 2]), "call fit first"),
        (lambda: KneserNey(1, V).distribution([1]), "call fit first"),
        (lambda: KneserNey(1, V).fit([1]).log_probs([1]), "at least 2 ids"),
        (lambda: KneserNey(1, V).fit([1]).distribution([9]), "got 9"),
        (lambda: KneserNey(1, V).distributions([1]), "call fit first"),
        (lambda: KneserNey(2, V).fit([1, 2]).distributions([1, -1]), "got -1"),
        (lambda: KneserNey(2, V).fit([1, 2]).distributions([[1, 9]]), "got 9"),
        (lambda: KneserNey(2, V).fit([1, 2]).distributions(torch.tensor(3)), "be a row"),
        (lambda: KneserNey(2, V).fit([1, 2]).distributions([[0.5]]), "whole numbers"),
        (lambda: perplexity_of(torch.zeros(0).double()), "at least one number"),
        (lambda: perplexity_of(torch.zeros(2, 2).double()), "at least one number"),
    ],
)
def test_bad_inputs_are_named(call, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        call()


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_distributions_are_as_exact_as_was_asked_where_products_are_rounded(dtype):
    model = KneserNey(3, V).fit(torch.arange(100) % V)
    tokens = torch.tensor([[3, 1]])
    with torch.autocast("cpu", torch.bfloat16):
        found = model.distributions(tokens, dtype=dtype)
    assert found.dtype == dtype
    exact = model.distributions(tokens)
    torch.testing.assert_close(found.double(), exact, rtol=4 * torch.finfo(dtype).eps, atol=0)


class WithoutDouble(TorchDispatchMode):
    """The meta device as one that cannot hold float64, such as Apple's."""

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        found = function(*args, **(kwargs or {}))
        if isinstance(found, torch.Tensor) and found.is_meta:
            assert found.dtype != torch.float64, function
        return found


def test_distributions_need_no_double_precision_on_the_device_they_go_to():
    model = KneserNey(3, V).fit(torch.arange(100) % V)
    with WithoutDouble():
        found = model.distributions([[3, 1]], dtype=torch.float32, device="meta")
    assert found.is_meta and found.shape == (1, 3, V)


def test_a_vocabulary_that_is_too_large_is_told_how_large_it_may_be():
    with pytest.raises(ValueError, match=r"vocab_size below 2\*\*31, got 2 and 2147483648"):
        KneserNey(2, 2**31)
