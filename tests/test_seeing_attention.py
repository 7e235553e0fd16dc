"""Measures of maps, and what is asked of a model beside them."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.testing import assert_close

from transformer_lib.classifier import Classifier, EncoderClassifier
from transformer_lib.decoder import Decoder
from transformer_lib.encoder import Encoder
from transformer_lib.seeing_attention import (
    ablation,
    entropy,
    gradient_times_input,
    rank_correlation,
    weight_on,
)

sizes = dict(embedding_dim=8, num_heads=2, num_layers=2)


def random_maps(seed, *shape, causal=False):
    scores = 3 * torch.randn(*shape, generator=torch.Generator().manual_seed(seed))
    if causal:
        scores = scores.masked_fill(~torch.ones(shape[-2:], dtype=torch.bool).tril(), -math.inf)
    return scores.softmax(-1)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10**6), st.integers(1, 12), st.booleans())
def test_entropy_lies_between_one_token_and_all(seed, T, causal):
    found = entropy(random_maps(seed, 2, 3, T, T, causal=causal))
    seen = torch.arange(1.0, T + 1) if causal else torch.full((T,), float(T))
    assert found.shape == (2, 3, T)
    assert (found >= -1e-6).all() and (found <= seen.log() + 1e-5).all()


def test_entropy_of_known_rows():
    rows = torch.tensor([[1.0, 0, 0, 0], [0.5, 0.5, 0, 0], [0.25] * 4])
    assert_close(entropy(rows), torch.tensor([0.0, math.log(2), math.log(4)]))


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10**6), st.integers(1, 9))
def test_weights_on_a_place_and_off_it_sum_to_one(seed, T):
    maps = random_maps(seed, 2, 3, T, T)
    where = torch.rand(2, 1, 1, T, generator=torch.Generator().manual_seed(seed)) < 0.5
    assert_close(weight_on(maps, where) + weight_on(maps, ~where), torch.ones(2, 3, T))


def test_weight_on_reads_rows_and_not_columns():
    maps = torch.tensor([[1.0, 0.0], [0.75, 0.25]])
    assert_close(weight_on(maps, torch.tensor([[True, False]])), torch.tensor([1.0, 0.75]))
    before = torch.tensor([[False, False], [True, False]])
    assert_close(weight_on(maps, before), torch.tensor([0.0, 0.75]))


def the_models():
    torch.manual_seed(0)
    reader = EncoderClassifier(Encoder(20, 12, **sizes), Classifier(8, 8, 3)).eval()
    writer = Decoder(20, 12, **sizes).eval()
    for model in (reader, writer):
        for parameter in model.parameters():
            parameter.data.add_(0.3 * torch.randn_like(parameter))
    return [
        (
            reader,
            reader.encoder.token_embedding,
            lambda t: reader(t, return_attention=False)[0][:, 1],
        ),
        (
            writer,
            writer.token_embedding,
            lambda t: writer(t, return_attention=False)[0][:, -1].log_softmax(-1)[:, 5],
        ),
    ]


@pytest.mark.parametrize("which", [0, 1])
def test_ablation_replaces_one_token_at_a_time(which):
    model, _, score = the_models()[which]
    tokens = torch.tensor([[4, 9, 9, 17, 6]])
    kept = tokens.clone()
    fall = ablation(score, tokens, 1)
    assert fall.shape == (5,) and not fall.requires_grad
    assert torch.equal(tokens, kept)
    for j in range(5):
        other = tokens.clone()
        other[0, j] = 1
        assert_close(fall[j], (score(tokens) - score(other)).detach()[0], atol=1e-5, rtol=1e-4)


def test_ablation_of_what_is_there_already_is_nothing():
    _, _, score = the_models()[0]
    assert_close(ablation(score, torch.full((1, 4), 7), 7), torch.zeros(4), atol=1e-6, rtol=0)


@pytest.mark.parametrize("which", [0, 1])
def test_gradient_times_input_is_the_slope_of_shrinking_a_word(which):
    model, table, score = the_models()[which]
    tokens = torch.tensor([[4, 9, 3, 17, 6]])  # each word once: a row of the table is one position
    found = gradient_times_input(score, table, tokens)
    step = 1e-3
    for j, word in enumerate(tokens[0].tolist()):
        with torch.no_grad():
            row = table.weight[word].clone()
            table.weight[word] = row * (1 + step)
            more = score(tokens)[0]
            table.weight[word] = row * (1 - step)
            less = score(tokens)[0]
            table.weight[word] = row
        assert_close(found[j], (more - less) / (2 * step), atol=3e-3, rtol=0.03)


def test_gradient_times_input_leaves_the_model_as_it_was():
    model, table, score = the_models()[0]
    tokens = torch.tensor([[4, 9, 3]])
    before = score(tokens)
    with torch.no_grad():  # works where gradients are off, too
        gradient_times_input(score, table, tokens)
    assert not table._forward_hooks
    assert all(parameter.grad is None for parameter in model.parameters())
    assert_close(score(tokens), before)


def test_gradient_times_input_takes_its_hook_away_after_an_error():
    table = nn.Embedding(5, 2)

    def broken(tokens):
        raise RuntimeError("oh")

    with pytest.raises(RuntimeError, match="oh"):
        gradient_times_input(broken, table, torch.tensor([[1, 2]]))
    assert not table._forward_hooks


@settings(max_examples=40, deadline=None)
@given(st.lists(st.integers(0, 6), min_size=3, max_size=12), st.integers(0, 10**6))
def test_rank_correlation_equals_scipys(values, seed):
    stats = pytest.importorskip("scipy.stats")
    a = torch.tensor(values, dtype=torch.float32)
    b = torch.randint(0, 6, (len(values),), generator=torch.Generator().manual_seed(seed)).float()
    if len(a.unique()) == 1 or len(b.unique()) == 1:
        assert rank_correlation(a, b).isnan()
    else:
        assert_close(
            float(rank_correlation(a, b)), float(stats.spearmanr(a, b).statistic), atol=1e-5, rtol=0
        )
