"""The classifier: equal to PyTorch's layers, a mean over real tokens only, and able to learn."""

import inspect
import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional as F
from torch.testing import assert_close

from tests.builders import as_trained, pytorch_stack, unchecked
from tests.test_encoder import PADDINGS, put, same
from transformer_lib.classifier import Classifier, EncoderClassifier, mean_pool
from transformer_lib.decoder import Decoder
from transformer_lib.encoder import Encoder

exact = settings(max_examples=25, deadline=None)


def make(num_classes=3, *, seed=0, dtype=torch.float64, **sizes):
    """A reader with weights large enough that every part matters."""
    sizes = {"embedding_dim": 8, "num_heads": 2, "num_layers": 2, **sizes}
    encoder = as_trained(Encoder, 11, 12, seed=seed, dtype=dtype, **sizes)
    return EncoderClassifier(encoder, Classifier(sizes["embedding_dim"], 10, num_classes)).to(dtype)


def fresh(num_classes, seed=0, C=32):
    """A reader as it is drawn, and a batch with padding and labels."""
    torch.manual_seed(seed)
    encoder = Encoder(50, 12, embedding_dim=C, num_heads=2, num_layers=2)
    model = EncoderClassifier(encoder, Classifier(C, C, num_classes))
    mask = torch.arange(12) < torch.randint(3, 13, (16, 1))
    return model, torch.randint(50, (16, 12)), mask, torch.arange(16) % num_classes


# Equality


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize(("B", "C", "M", "K"), [(1, 1, 1, 1), (4, 8, 5, 3), (7, 32, 100, 20)])
def test_classifier_equals_pytorch_in_value_and_gradient(B, C, M, K, dtype):
    torch.manual_seed(0)
    ours = Classifier(C, M, K).to(dtype)
    theirs = nn.Sequential(nn.Linear(C, M), nn.ReLU(), nn.Linear(M, K)).to(dtype)
    theirs[0].load_state_dict(ours.hidden.state_dict())
    theirs[2].load_state_dict(ours.output.state_dict())
    x, other = (
        torch.randn(B, C, dtype=dtype, generator=torch.Generator().manual_seed(1)).requires_grad_()
        for _ in range(2)
    )
    labels = torch.randint(K, (B,))
    log_probs, logits = ours(x), theirs(other)
    assert log_probs.shape == (B, K)
    same(log_probs, logits.log_softmax(-1))
    F.nll_loss(log_probs, labels).backward()
    F.cross_entropy(logits, labels).backward()
    same(x.grad, other.grad)
    for one, two in zip(ours.parameters(), theirs.parameters(), strict=True):
        same(one.grad, two.grad)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("maps", [True, False])
def test_whole_model_equals_pytorch_in_value_and_gradient(maps, dtype):
    model = make(dtype=dtype)
    encoder, twin = model.encoder, pytorch_stack(model.encoder.blocks)
    head = nn.Sequential(nn.Linear(8, 10), nn.ReLU(), nn.Linear(10, 3)).to(dtype)
    head[0].load_state_dict(model.classifier.hidden.state_dict())
    head[2].load_state_dict(model.classifier.output.state_dict())
    tokens, labels = torch.randint(11, (4, 9)), torch.tensor([0, 1, 2, 0])
    real = torch.arange(9) < torch.tensor([[9], [1], [4], [8]])
    words = encoder.token_embedding.weight.detach().clone().requires_grad_()
    x = twin(
        words[tokens] + encoder.position_embedding.weight.detach()[:9], src_key_padding_mask=~real
    )
    means = torch.stack([x[i, real[i]].mean(0) for i in range(4)])
    theirs = head(means)
    ours = model(tokens, real, return_attention=maps)[0]
    same(ours, theirs.log_softmax(-1))
    F.nll_loss(ours, labels).backward()
    F.cross_entropy(theirs, labels).backward()
    same(encoder.token_embedding.weight.grad, words.grad)
    same(model.classifier.hidden.weight.grad, head[0].weight.grad)


@exact
@given(
    K=st.integers(1, 9),
    B=st.integers(1, 6),
    size=st.sampled_from([1e-3, 1.0, 1e3, 1e6]),
    seed=st.integers(0, 99),
)
def test_rows_are_log_probabilities_at_any_size_of_input(K, B, size, seed):
    torch.manual_seed(seed)
    classifier = Classifier(4, 6, K)
    x = (size * torch.randn(B, 4)).requires_grad_()
    log_probs = classifier(x)
    assert log_probs.isfinite().all()
    assert_close(log_probs.exp().sum(-1), torch.ones(B))
    log_probs.sum().backward()
    assert x.grad.isfinite().all()


# The mean over real tokens


@exact
@given(lengths=st.lists(st.integers(1, 8), min_size=1, max_size=5), seed=st.integers(0, 99))
def test_mean_is_over_real_tokens_only(lengths, seed):
    torch.manual_seed(seed)
    B, T = len(lengths), max(lengths) + 2
    x = torch.randn(B, T, 3, dtype=torch.float64).requires_grad_()
    real = torch.arange(T) < torch.tensor(lengths)[:, None]
    mean = mean_pool(x, real)
    assert_close(mean, torch.stack([x[i, :n].mean(0) for i, n in enumerate(lengths)]))
    mean.sum().backward()
    expected = real / real.sum(1, keepdim=True).double()
    assert_close(x.grad, expected[..., None].expand_as(x))


def test_mean_without_a_mask_takes_all():
    x = torch.randn(2, 5, 3)
    assert_close(mean_pool(x), x.mean(1))
    assert_close(mean_pool(x, torch.ones(2, 5).bool()), x.mean(1))


def test_the_model_classifies_the_mean_of_its_encodings():
    model, tokens = make(), torch.randint(11, (3, 7))
    real = torch.arange(7) < torch.tensor([[7], [2], [5]])
    encodings = model.encoder(tokens, real)[0]
    means = torch.stack([encodings[i, real[i]].mean(0) for i in range(3)])
    assert_close(model(tokens, real)[0], model.classifier(means))


@exact
@given(
    where=st.sampled_from(PADDINGS),
    T=st.integers(1, 6),
    extra=st.integers(0, 6),
    training=st.booleans(),
    maps=st.booleans(),
    seed=st.integers(0, 99),
)
def test_padding_moves_no_answer_and_no_gradient(where, T, extra, training, maps, seed):
    model = make(seed=seed).train(training)
    tokens = torch.randint(11, (1, T))
    wide, real = put(tokens, where, extra, seed)
    alone, padded = (
        model(tokens, return_attention=maps)[0],
        model(wide, real, return_attention=maps)[0],
    )
    assert_close(padded, alone)
    found = []
    for log_probs in (alone, padded):
        model.zero_grad()
        F.nll_loss(log_probs, torch.tensor([1])).backward()
        found.append([p.grad.clone() for p in model.parameters()])
    for one, other in zip(*found, strict=True):
        assert_close(other, one)


@exact
@given(seed=st.integers(0, 99), training=st.booleans())
def test_an_answer_does_not_depend_on_the_batch(seed, training):
    model = make(seed=seed).train(training)
    lengths = torch.randint(1, 10, (5,))
    real = torch.arange(9) < lengths[:, None]
    tokens = torch.randint(11, (5, 9))
    together = model(tokens, real)[0]
    for row in range(5):
        assert_close(model(tokens[row : row + 1, : lengths[row]])[0][0], together[row])


@exact
@given(order=st.permutations(range(7)), seed=st.integers(0, 99))
def test_without_positions_the_answer_is_blind_to_order(order, seed):
    model = make(seed=seed)
    nn.init.zeros_(model.encoder.position_embedding.weight)
    tokens = torch.randint(11, (2, 7))
    assert_close(model(tokens[:, order])[0], model(tokens)[0])


def test_with_positions_the_answer_sees_order():
    model, tokens = make(), torch.tensor([[1, 2, 3, 4, 5]])
    assert (model(tokens.flip(1))[0] - model(tokens)[0]).abs().max() > 1e-3


@pytest.mark.parametrize("masked", [True, False])
def test_maps_are_the_encoder_s_and_both_paths_agree(masked):
    model, tokens = make(), torch.randint(11, (3, 6))
    mask = torch.arange(6) < torch.tensor([[6], [1], [4]]) if masked else None
    log_probs, maps = model(tokens, mask)
    for ours, real in zip(maps, model.encoder(tokens, mask)[1], strict=True):
        assert_close(ours, real)
    fused, nothing = model(tokens, mask, return_attention=False)
    assert nothing is None
    assert_close(fused, log_probs)


# Learning


@pytest.mark.parametrize("K", [2, 3, 6, 20])
@pytest.mark.parametrize("seed", range(3))
def test_first_loss_is_near_ln_K(K, seed):
    model, tokens, mask, labels = fresh(K, seed)
    loss = F.nll_loss(model(tokens, mask)[0], labels).item()
    assert abs(loss - math.log(K)) < 0.15


@pytest.mark.parametrize("maps", [True, False])
@pytest.mark.parametrize("K", [2, 6])
def test_one_batch_is_memorised(K, maps):
    model, tokens, mask, labels = fresh(K)
    labels = labels[torch.randperm(16)]
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
    for _ in range(80):
        loss = F.nll_loss(model(tokens, mask, return_attention=maps)[0], labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    log_probs = model(tokens, mask)[0]
    assert F.nll_loss(log_probs, labels) < 0.02
    assert (log_probs.argmax(1) == labels).all()


def test_every_parameter_learns():
    model, tokens, mask, labels = fresh(6)
    F.nll_loss(model(tokens, mask)[0], labels).backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None and parameter.grad.isfinite().all(), name
        if not name.endswith("key.bias"):  # a shift of all keys moves no softmax
            assert parameter.grad.abs().max() > 0, name


def test_state_goes_to_a_second_model():
    one, other = make(seed=0), make(seed=1)
    tokens = torch.randint(11, (2, 5))
    assert (one(tokens)[0] - other(tokens)[0]).abs().max() > 1e-3
    other.load_state_dict(one.state_dict())
    assert_close(one(tokens)[0], other(tokens)[0], rtol=0, atol=0)
    assert one.classifier.sizes == {"embedding_dim": 8, "hidden_dim": 10, "num_classes": 3}


# Bad input


@pytest.mark.parametrize("name", ["embedding_dim", "hidden_dim", "num_classes"])
@pytest.mark.parametrize("size", [0, -2])
def test_sizes_below_1_are_refused(name, size):
    with pytest.raises(ValueError, match=f"{name} must be at least 1, got {size}"):
        Classifier(**{"embedding_dim": 4, "hidden_dim": 5, "num_classes": 3, name: size})


@pytest.mark.parametrize("shape", [(2, 5), (0, 4), (4,), (2, 3, 4)])
def test_vectors_of_another_shape_are_refused(shape):
    with pytest.raises(
        ValueError, match=r"x must have shape \(B, 4\) with B at least 1, got \(" + str(shape[0])
    ):
        unchecked(Classifier(4, 5, 3), torch.zeros(shape))


def test_parts_that_do_not_fit_are_refused():
    encoder = Encoder(9, 4, embedding_dim=8, num_heads=2, num_layers=1)
    with pytest.raises(
        ValueError,
        match="encoder and classifier must have the same embedding_dim, got 8 and 4",
    ):
        EncoderClassifier(encoder, Classifier(4, 5, 3))


def test_parts_of_another_kind_are_refused():
    sizes = {"embedding_dim": 8, "num_heads": 2, "num_layers": 1}
    encoder, classifier = Encoder(9, 4, **sizes), Classifier(8, 5, 3)
    make = inspect.unwrap(EncoderClassifier.__init__)  # without the tests' own type checks
    for parts, message in (
        ((Decoder(9, 4, **sizes), classifier), "encoder must be of the class Encoder, got a Deco"),
        ((encoder, encoder), "classifier must be of the class Classifier, got a Encoder"),
    ):
        with pytest.raises(ValueError, match=message):
            make(EncoderClassifier.__new__(EncoderClassifier), *parts)


@pytest.mark.parametrize(
    ("tokens", "mask", "message"),
    [
        (torch.zeros(2, 13).long(), None, "tokens must be at most block_size = 12 long, got 13"),
        (torch.tensor([[11]]), None, "tokens must be ids from 0 to vocab_size - 1 = 10, got 11"),
        (
            torch.zeros(0, 3).long(),
            None,
            r"tokens must have shape \(B, T\) with B and T at least 1, got \(0, 3\)",
        ),
        (
            torch.zeros(1, 3).long(),
            torch.zeros(1, 3).bool(),
            r"at least one real token in each row, rows \[0\] have none",
        ),
    ],
)
def test_bad_input_is_refused_by_the_whole_model(tokens, mask, message):
    with pytest.raises(ValueError, match=message):
        unchecked(make(), tokens, mask)


def test_float_tokens_are_refused_by_the_whole_model():
    with pytest.raises(ValueError, match="tokens must be whole numbers"):
        unchecked(make().encoder, torch.zeros(1, 3))


def test_a_mean_in_half_precision_does_not_overflow():
    x = torch.full((1, 700, 4), 100.0, dtype=torch.float16)
    assert_close(mean_pool(x, torch.ones(1, 700).bool()), mean_pool(x))
    assert mean_pool(x).isfinite().all()
