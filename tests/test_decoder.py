"""The decoder: equal to PyTorch, blind to the future and to padding, honest losses."""

import copy
import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional as F
from torch.testing import assert_close

from tests.builders import pytorch_stack
from transformer_lib.checks import IGNORE
from transformer_lib.decoder import Decoder, next_token_loss

SIZES = dict(embedding_dim=16, num_heads=2, num_layers=2)


def decoder(V=11, T=8, seed=0, std=None, **more):
    torch.manual_seed(seed)
    model = Decoder(V, T, **(SIZES | more))
    if std:  # weights large enough that every path counts
        for parameter in model.parameters():
            nn.init.normal_(parameter, std=std)
    return model


class Reference(nn.Module):
    """The same model from PyTorch's parts, with the weights of a Decoder."""

    def __init__(self, ours):
        super().__init__()
        self.words = nn.Embedding.from_pretrained(
            ours.token_embedding.weight.detach().clone(), freeze=False
        )
        self.places = nn.Embedding.from_pretrained(
            ours.position_embedding.weight.detach().clone(), freeze=False
        )
        self.stack = pytorch_stack(ours.blocks, ours.final_norm)
        self.head = copy.deepcopy(ours.projection)

    def forward(self, tokens):
        T = tokens.shape[1]
        future = torch.ones(T, T, dtype=torch.bool).triu(1)
        x = self.words(tokens) + self.places.weight[:T]
        return self.head(self.stack(x, mask=future))


@pytest.mark.parametrize("dtype, tolerance", [(torch.float64, 1e-9), (torch.float32, 2e-4)])
@pytest.mark.parametrize("maps", [True, False])
@pytest.mark.parametrize(
    "B, T, V, C, H, L", [(1, 1, 5, 4, 1, 1), (3, 7, 11, 16, 4, 2), (2, 8, 30, 12, 2, 3)]
)
def test_equals_pytorch_in_value_and_gradient(dtype, tolerance, maps, B, T, V, C, H, L):
    ours = decoder(V, 8, std=0.3, embedding_dim=C, num_heads=H, num_layers=L).to(dtype)
    theirs = Reference(ours)
    tokens, targets = torch.randint(V, (2, B, T)).unbind()
    logits, loss, _ = ours(tokens, targets, return_attention=maps)
    expected = theirs(tokens)
    assert logits.dtype == dtype
    close = dict(atol=tolerance, rtol=tolerance)
    assert_close(logits, expected, **close)
    reference_loss = F.cross_entropy(expected.flatten(0, 1), targets.flatten())
    assert_close(loss, reference_loss, **close)
    loss.backward()
    reference_loss.backward()
    for mine, other in (
        (ours.token_embedding.weight, theirs.words.weight),
        (ours.position_embedding.weight, theirs.places.weight),
        (ours.final_norm.weight, theirs.stack.norm.weight),
        (ours.final_norm.bias, theirs.stack.norm.bias),
        (ours.projection.weight, theirs.head.weight),
        (ours.projection.bias, theirs.head.bias),
        (ours.blocks[0].feed_forward.expand.weight, theirs.stack.layers[0].linear1.weight),
        (
            ours.blocks[0].attention.projection.weight,
            theirs.stack.layers[0].self_attn.out_proj.weight,
        ),
    ):
        assert_close(mine.grad, other.grad, **close)
    stacked = [
        getattr(h, n).weight.grad
        for n in ("query", "key", "value")
        for h in ours.blocks[0].attention.heads
    ]
    assert_close(torch.cat(stacked), theirs.stack.layers[0].self_attn.in_proj_weight.grad, **close)


def test_returns_logits_loss_and_one_map_a_layer():
    model = decoder()
    tokens, targets = torch.randint(11, (2, 3, 5)).unbind()
    logits, loss, maps = model(tokens, targets)
    assert logits.shape == (3, 5, 11) and loss.ndim == 0
    assert [m.shape for m in maps] == [(3, 2, 5, 5)] * 2
    for m in maps:
        assert_close(m.sum(-1), torch.ones(3, 2, 5))
        assert (m.triu(1) == 0).all()
    assert model(tokens)[1] is None
    assert model(tokens, return_attention=False)[2] is None


@settings(max_examples=25, deadline=None)
@given(
    seed=st.integers(0, 999), place=st.integers(0, 6), training=st.booleans(), maps=st.booleans()
)
def test_the_future_moves_nothing(seed, place, training, maps):
    model = decoder(seed=seed, std=0.5).train(training)
    tokens = torch.randint(11, (2, 8))
    other = tokens.clone()
    other[:, place + 1 :] = torch.randint(11, (2, 7 - place))
    with torch.no_grad():
        a = model(tokens, return_attention=maps)[0][:, : place + 1]
        b = model(other, return_attention=maps)[0][:, : place + 1]
    assert_close(a, b, atol=0, rtol=0)


@pytest.mark.parametrize("training", [True, False])
def test_every_earlier_token_moves_the_logits(training):
    model = decoder(std=0.5).train(training)
    tokens = torch.randint(11, (1, 8))
    last = model(tokens)[0][:, -1]
    for place in range(8):
        other = tokens.clone()
        other[:, place] = (other[:, place] + 1) % 11
        assert not torch.allclose(model(other)[0][:, -1], last)


def test_no_gradient_reaches_a_later_embedding():
    model = decoder(T=8, std=0.5)
    tokens = torch.arange(8)[None]  # every token once: its row tells its place
    model(tokens)[0][:, 3].sum().backward()
    moved = model.token_embedding.weight.grad.abs().sum(1) > 0
    assert moved.tolist() == [True] * 4 + [False] * 7


@settings(max_examples=25, deadline=None)
@given(
    seed=st.integers(0, 999),
    before=st.integers(0, 4),
    after=st.integers(0, 3),
    training=st.booleans(),
    maps=st.booleans(),
)
def test_padding_moves_nothing_left_or_right(seed, before, after, training, maps):
    model = decoder(T=12, seed=seed, std=0.5).train(training)
    tokens = torch.randint(11, (1, 5))
    padded = torch.randint(11, (1, before + 5 + after))  # anything may stand there
    padded[:, before : before + 5] = tokens
    mask = torch.zeros(padded.shape, dtype=torch.bool)
    mask[:, before : before + 5] = True
    with torch.no_grad():
        got = model(padded, padding_mask=mask, return_attention=maps)[0]
        expected = model(tokens)[0]
    assert torch.isfinite(got).all()
    assert_close(got[:, before : before + 5], expected, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("side", ["left", "right"])
def test_padding_with_unscored_targets_moves_no_gradient(side):
    tokens, targets = torch.randint(1, 11, (2, 2, 5)).unbind()
    fill, none = torch.zeros(2, 3, dtype=torch.long), torch.full((2, 3), IGNORE)
    left = side == "left"
    padded = torch.cat([fill, tokens] if left else [tokens, fill], 1)
    aims = torch.cat([none, targets] if left else [targets, none], 1)
    mask = padded != 0
    gradients = []
    for ids, answers, real in ((tokens, targets, None), (padded, aims, mask)):
        model = decoder(std=0.3).double()
        model(ids, answers, padding_mask=real).loss.backward()
        gradients.append([p.grad for p in model.parameters()])
    for one, two in zip(*gradients, strict=True):
        assert_close(one, two, atol=1e-10, rtol=1e-8)


@pytest.mark.parametrize("V", [2, 50, 1000])
def test_first_loss_is_near_ln_V(V):
    model = decoder(V, 16, embedding_dim=64, num_heads=4, num_layers=4)
    tokens, targets = torch.randint(V, (2, 32, 16)).unbind()
    assert abs(model(tokens, targets)[1].item() - math.log(V)) < 0.1


def test_a_target_of_minus_100_is_not_scored():
    model = decoder()
    tokens, targets = torch.randint(11, (2, 2, 6)).unbind()
    logits = model(tokens)[0]
    targets[0, :4] = IGNORE
    targets[1, 5] = IGNORE
    scored = targets != IGNORE
    expected = -logits.log_softmax(-1)[scored].gather(1, targets[scored][:, None]).mean()
    assert_close(model(tokens, targets)[1], expected)
    assert_close(next_token_loss(logits, targets), expected)


def test_the_loss_is_worked_out_in_float32_for_bfloat16_logits():
    logits = torch.randn(2, 3, 11).bfloat16()
    targets = torch.randint(11, (2, 3))
    loss = next_token_loss(logits, targets)
    assert loss.dtype == torch.float32
    assert_close(loss, next_token_loss(logits.float(), targets))


def test_targets_are_the_next_tokens():
    """A regular text is learned to certainty: only with targets one later, and the
    model that learned it continues it."""
    model = decoder(V=5, T=8)
    row = (torch.arange(13)[None] + torch.arange(5)[:, None]) % 5  # 0 1 2 3 4 0 1 ...
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
    for _ in range(60):
        loss = model(row[:, :8], row[:, 1:9])[1]
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert loss < 0.05
    assert torch.equal(model(row[:, :8])[0][:, -1].argmax(-1), row[:, 8])


def test_one_batch_is_memorised():
    model = decoder(V=20, T=12, embedding_dim=32)
    batch = torch.randint(20, (4, 13))
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
    for _ in range(150):
        loss = model(batch[:, :-1], batch[:, 1:], return_attention=False)[1]
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert loss < 0.1


def test_random_text_cannot_be_learned_below_ln_V():
    """A leak anywhere would push the loss on fresh random tokens below its floor."""
    model = decoder(V=8, T=8)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
    losses = []
    for _ in range(150):
        batch = torch.randint(8, (32, 9))
        loss = model(batch[:, :-1], batch[:, 1:], return_attention=False)[1]
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert sum(losses[-20:]) / 20 > math.log(8) - 0.02


def test_the_last_norm_makes_logits_blind_to_the_size_of_the_stream():
    """Scaling everything that enters the stream scales no logit."""
    model = decoder(std=0.5)
    for block in model.blocks:
        nn.init.zeros_(block.attention.projection.weight)
        nn.init.zeros_(block.attention.projection.bias)
        nn.init.zeros_(block.feed_forward.contract.weight)
        nn.init.zeros_(block.feed_forward.contract.bias)
    tokens = torch.randint(11, (2, 8))
    before = model(tokens)[0]
    with torch.no_grad():
        model.token_embedding.weight.mul_(1000)
        model.position_embedding.weight.mul_(1000)
    assert_close(model(tokens)[0], before, atol=1e-3, rtol=1e-3)


def test_maps_and_fused_path_are_one_model():
    model = decoder(std=0.4)
    tokens = torch.randint(11, (2, 8))
    mask = torch.ones(2, 8, dtype=torch.bool)
    mask[0, :3] = False
    for padding in (None, mask):
        with_maps = model(tokens, padding_mask=padding)[0]
        fused = model(tokens, padding_mask=padding, return_attention=False)[0]
        assert_close(with_maps, fused, atol=1e-4, rtol=1e-4)


def ids(*shape):
    return torch.zeros(shape, dtype=torch.long)


GOOD = dict(vocab_size=11, block_size=8) | SIZES


@pytest.mark.parametrize(
    "arguments, message",
    [
        *(
            ({name: 0}, f"{name} must be at least 1, got 0")
            for name in ("vocab_size", "block_size", "embedding_dim", "num_heads", "num_layers")
        ),
        ({"num_heads": 3}, "embedding_dim must be a multiple of num_heads, got 16 and 3"),
        ({"dropout": 1.0}, "dropout must be from 0 to below 1, got 1.0"),
        ({"dropout": -0.1}, "dropout must be from 0 to below 1, got -0.1"),
    ],
)
def test_bad_sizes_are_named(arguments, message):
    with pytest.raises(ValueError, match=message):
        Decoder(**(GOOD | arguments))


@pytest.mark.parametrize(
    "call, message",
    [
        (lambda m: m(ids(2, 9)), "tokens must be at most block_size = 8 long, got 9"),
        (lambda m: m(ids(0, 4)), "B and T at least 1"),
        (lambda m: m(ids(2, 0)), "B and T at least 1"),
        (lambda m: m(ids(2, 4) + 11), "tokens must be ids from 0 to vocab_size - 1 = 10, got 11"),
        (lambda m: m(ids(2, 4) - 1), "tokens must be ids from 0 to vocab_size - 1 = 10, got -1"),
        (
            lambda m: m(ids(2, 4), ids(2, 4) + 11),
            "targets must be ids from 0 to vocab_size - 1 = 10, or -100, got 11",
        ),
        (lambda m: m(ids(2, 4), ids(2, 4) - 1), "targets must be ids from 0 .* got -1"),
        (
            lambda m: m(ids(2, 4), ids(2, 4) + IGNORE),
            "targets must hold at least one id that is not -100",
        ),
        (
            lambda m: m(ids(2, 4), padding_mask=torch.tensor([[True] * 4, [False] * 4])),
            r"padding_mask must leave at least one real token in each row, rows \[1\] have none",
        ),
        (
            lambda m: m(ids(2, 4), padding_mask=torch.ones(2, 5, dtype=torch.bool)),
            r"padding_mask must be a bool tensor of shape \(2, 4\)",
        ),
    ],
)
def test_bad_inputs_are_named(call, message):
    with pytest.raises(ValueError, match=message):
        call(decoder())


def test_targets_of_another_shape_are_named():
    from transformer_lib.checks import check_targets

    with pytest.raises(
        ValueError, match=r"targets must have the shape of tokens, \(2, 4\), got \(2, 3\)"
    ):
        check_targets(ids(2, 3), torch.zeros(2, 4, 11))


class FullCache:
    length, layers = 6, (None, None)


def test_tokens_beyond_the_cache_are_named():
    with pytest.raises(
        ValueError, match="tokens must fit block_size = 8 with the 6 in the cache, got 3 more"
    ):
        decoder()(ids(1, 3), return_attention=False, cache=FullCache())
