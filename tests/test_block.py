"""The block: equal to PyTorch's pre-norm layer, both paths, any mask; and the first weights of a stack."""

import math
from functools import partial

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.testing import assert_close

from tests.builders import as_trained, pytorch_block, unchecked
from transformer_lib import feed_forward, multi_head_attention
from transformer_lib.block import Block, init_weights

exact = settings(max_examples=25, deadline=None)
DTYPES = [torch.float64, torch.float32]
# B, T, C, H
SHAPES = [(1, 1, 2, 1), (2, 6, 4, 1), (3, 5, 6, 3), (2, 7, 8, 8), (2, 9, 32, 4)]
sizes = st.tuples(st.integers(1, 3), st.integers(1, 6), st.integers(1, 3), st.integers(1, 4))


make = partial(as_trained, Block)


def padding(B, T, seed=0):
    """A mask with at least one real token a row, padding anywhere."""
    mask = torch.rand(B, T, generator=torch.Generator().manual_seed(seed)) < 0.6
    mask[torch.arange(B), torch.arange(B) % T] = True
    return mask


def tolerance(dtype):
    return {"rtol": 1e-9, "atol": 1e-9} if dtype == torch.float64 else {"rtol": 1e-4, "atol": 1e-4}


@pytest.mark.parametrize("with_maps", [True, False], ids=["maps", "fused"])
@pytest.mark.parametrize("mask", ["none", "padding", "causal"])
@pytest.mark.parametrize("dtype", DTYPES, ids=["float64", "float32"])
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_equals_pytorch_pre_norm_layer_in_values_and_gradients(shape, dtype, mask, with_maps):
    B, T, C, H = shape
    block = make(C, H, causal=mask == "causal", dtype=dtype)
    other = pytorch_block(block)
    real = padding(B, T) if mask == "padding" else None
    x = torch.randn(B, T, C, dtype=dtype, requires_grad=True)
    z = x.detach().clone().requires_grad_()
    out, maps = block(x, real, return_attention=with_maps)
    future = torch.ones(T, T, dtype=torch.bool).triu(1) if mask == "causal" else None
    theirs = other(z, src_mask=future, src_key_padding_mask=None if real is None else ~real)
    seen = torch.ones(B, T, dtype=torch.bool) if real is None else real
    assert_close(out[seen], theirs[seen], **tolerance(dtype))
    assert (maps is not None) == with_maps
    wish = torch.randn(B, T, C, dtype=dtype) * seen[..., None]
    (out * wish).sum().backward()
    (theirs * wish).sum().backward()
    assert_close(x.grad, z.grad, **tolerance(dtype))
    attention = other.self_attn
    maps_of = [getattr(h, n) for n in ("query", "key", "value") for h in block.attention.heads]
    for ours, reference in (
        (torch.cat([m.weight.grad for m in maps_of]), attention.in_proj_weight.grad),
        (torch.cat([m.bias.grad for m in maps_of]), attention.in_proj_bias.grad),
        (block.attention.projection.weight.grad, attention.out_proj.weight.grad),
        (block.feed_forward.expand.weight.grad, other.linear1.weight.grad),
        (block.feed_forward.expand.bias.grad, other.linear1.bias.grad),
        (block.feed_forward.contract.weight.grad, other.linear2.weight.grad),
        (block.feed_forward.contract.bias.grad, other.linear2.bias.grad),
        (block.attention_norm.weight.grad, other.norm1.weight.grad),
        (block.attention_norm.bias.grad, other.norm1.bias.grad),
        (block.feed_forward_norm.weight.grad, other.norm2.weight.grad),
        (block.feed_forward_norm.bias.grad, other.norm2.bias.grad),
    ):
        assert_close(ours, reference, **tolerance(dtype))


@exact
@given(sizes, st.booleans(), st.booleans(), st.integers(0, 99))
def test_both_paths_are_one_model(size, causal, padded, seed):
    B, T, H, D = size
    block = make(H * D, H, causal=causal, seed=seed)
    x = torch.randn(B, T, H * D, dtype=torch.float64)
    real = padding(B, T, seed) if padded else None
    out, maps = block(x, real)
    fused, none = block(x, real, return_attention=False)
    assert none is None and maps.shape == (B, H, T, T)
    assert_close(out, fused)
    assert_close(maps.sum(-1), torch.ones(B, H, T, dtype=torch.float64))


@exact
@given(sizes, st.booleans(), st.integers(0, 99))
def test_stream_plus_what_the_two_parts_write(size, causal, seed):
    B, T, H, D = size
    block = make(H * D, H, causal=causal, seed=seed)
    x = torch.randn(B, T, H * D, dtype=torch.float64)
    attended, _ = block.attention(block.attention_norm(x))
    middle = x + attended
    out, _ = block(x)
    assert_close(out, middle + block.feed_forward(block.feed_forward_norm(middle)))


@pytest.mark.parametrize("with_maps", [True, False])
@pytest.mark.parametrize("silent", ["attention.projection", "feed_forward.contract"])
def test_a_part_that_writes_nothing_leaves_the_other_alone(silent, with_maps):
    block = make(8, 2)
    for parameter in block.get_submodule(silent).parameters():
        nn.init.zeros_(parameter)
    x = torch.randn(2, 5, 8, dtype=torch.float64)
    if silent.startswith("attention"):
        expected = x + block.feed_forward(block.feed_forward_norm(x))
    else:
        expected = x + block.attention(block.attention_norm(x))[0]
    assert_close(block(x, return_attention=with_maps)[0], expected)


def test_a_block_that_writes_nothing_is_the_identity():
    block = make(8, 2)
    for part in (block.attention.projection, block.feed_forward.contract):
        for parameter in part.parameters():
            nn.init.zeros_(parameter)
    x = torch.randn(2, 5, 8, dtype=torch.float64)
    assert torch.equal(block(x)[0], x)


def test_is_not_post_norm():
    """Post-norm ends with a layer norm, so a longer input would not come out longer."""
    block, x = Block(16, 2), torch.randn(2, 5, 16)
    out, _ = block(100 * x)
    assert out.std() > 50
    assert_close(out - 100 * x, block(10000 * x)[0] - 10000 * x, atol=5e-2, rtol=1e-2)


@exact
@given(sizes, st.integers(0, 99))
def test_future_does_not_move_the_past(size, seed):
    B, T, H, D = size
    block = make(H * D, H, causal=True, seed=seed)
    x = torch.randn(B, T, H * D, dtype=torch.float64)
    changed = x.clone()
    changed[:, T // 2 :] += torch.randn_like(changed[:, T // 2 :])
    for mode in (True, False):
        block.train(mode)
        for with_maps in (True, False):
            before = block(x, return_attention=with_maps)[0][:, : T // 2]
            assert_close(block(changed, return_attention=with_maps)[0][:, : T // 2], before)


@exact
@given(sizes, st.booleans(), st.integers(0, 99))
def test_padding_does_not_move_real_tokens_in_value_or_gradient(size, causal, seed):
    B, T, H, D = size
    block = make(H * D, H, causal=causal, seed=seed)
    real = padding(B, T, seed)
    x = torch.randn(B, T, H * D, dtype=torch.float64)
    noise = x + 10 * torch.randn_like(x) * ~real[..., None]
    for with_maps in (True, False):
        grads = []
        for inputs in (x, noise):
            inputs = inputs.clone().requires_grad_()
            out, maps = block(inputs, real, return_attention=with_maps)
            out[real].square().sum().backward()
            grads.append((out.detach()[real], inputs.grad))
        assert_close(grads[0][0], grads[1][0])
        assert_close(grads[0][1], grads[1][1])
        assert (grads[0][1][~real] == 0).all()


def test_the_order_of_tokens_does_not_matter_without_a_mask():
    block = make(8, 2)
    x = torch.randn(2, 6, 8, dtype=torch.float64)
    order = torch.randperm(6)
    assert_close(block(x[:, order])[0], block(x)[0][:, order])


def test_a_sentence_does_not_touch_its_neighbour_in_the_batch():
    block = make(8, 2)
    x = torch.randn(3, 6, 8, dtype=torch.float64)
    whole = block(x)[0]
    for b in range(3):
        assert_close(block(x[b : b + 1])[0], whole[b : b + 1])


def test_dropout_reaches_both_parts_in_training_only():
    block = Block(8, 2, dropout=0.5)
    assert block.attention.dropout.p == block.feed_forward.dropout.p == 0.5
    assert all(head.dropout.p == 0.5 for head in block.attention.heads)
    x = torch.randn(2, 5, 8)
    assert not torch.equal(block(x)[0], block(x)[0])
    block.eval()
    assert torch.equal(block(x)[0], block(x)[0])
    assert_close(block(x)[0], block(x, return_attention=False)[0])


def test_gradients_by_finite_differences():
    block = make(4, 2, causal=True)
    x = torch.randn(1, 3, 4, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda x: block(x)[0], x)


@pytest.mark.parametrize(("C", "H"), [(4, 1), (8, 4), (64, 2)])
def test_parameters_and_parts(C, H):
    block = Block(C, H)
    assert sum(p.numel() for p in block.parameters()) == 12 * C * C + 13 * C
    assert [name for name, _ in block.named_children()] == [
        "attention_norm",
        "attention",
        "feed_forward_norm",
        "feed_forward",
    ]
    assert isinstance(block.attention, multi_head_attention.MultiHeadAttention)
    assert isinstance(block.feed_forward, feed_forward.FeedForward)


@pytest.mark.parametrize(
    ("C", "H", "message"),
    [
        (5, 2, "embedding_dim must be a multiple of num_heads, got 5 and 2"),
        (4, 0, "num_heads must be at least 1, got 0"),
        (4, -2, "num_heads must be at least 1, got -2"),
        (0, 1, "embedding_dim must be at least 1, got 0"),
        (-4, 2, "embedding_dim must be at least 1, got -4"),
    ],
)
def test_sizes_that_cannot_be(C, H, message):
    with pytest.raises(ValueError) as error:
        Block(C, H)
    assert str(error.value) == message


@pytest.mark.parametrize("dropout", [-0.1, 1.0])
def test_dropout_that_is_no_probability(dropout):
    with pytest.raises(ValueError, match="^dropout must be from 0 to below 1, got"):
        Block(4, 2, dropout=dropout)


@pytest.mark.parametrize("shape", [(2, 3, 5), (3, 4), (0, 3, 4), (2, 0, 4), (1, 2, 3, 4)])
def test_input_of_another_shape(shape):
    with pytest.raises(ValueError) as error:
        unchecked(Block(4, 2), torch.zeros(shape))
    assert str(error.value) == (f"x must have shape (B, T, 4) with B and T at least 1, got {shape}")


@pytest.mark.parametrize("with_maps", [True, False])
@pytest.mark.parametrize(
    "mask", [torch.ones(2, 4, dtype=torch.bool), torch.ones(2, 2, dtype=torch.bool)]
)
def test_padding_mask_of_another_shape(mask, with_maps):
    with pytest.raises(ValueError, match=r"^padding_mask must be a bool tensor of shape \(2, 3\)"):
        Block(4, 2)(torch.zeros(2, 3, 4), mask, return_attention=with_maps)


@pytest.mark.parametrize("with_maps", [True, False])
def test_padding_mask_with_a_row_of_padding_only(with_maps):
    mask = torch.tensor([[True, True, False], [False, False, False]])
    with pytest.raises(ValueError, match=r"at least one real token in each row, rows \[1\]"):
        Block(4, 2)(torch.zeros(2, 3, 4), mask, return_attention=with_maps)


def stack(layers, C=64, H=2):
    return nn.ModuleDict(
        {
            "words": nn.Embedding(500, C),
            "blocks": nn.ModuleList(Block(C, H) for _ in range(layers)),
            "projection": nn.Linear(C, 500),  # its size does not go with the depth
        }
    )


@pytest.mark.parametrize("std", [0.02, 0.1])
@pytest.mark.parametrize("layers", [1, 3, 8])
def test_init_weights_standard_deviations(layers, std):
    torch.manual_seed(0)
    model = stack(layers)
    for parameter in model.parameters():
        nn.init.constant_(parameter, 7.0)
    assert init_weights(model, layers, std=std) is None
    writing = 0
    for name, parameter in model.named_parameters():
        where, kind = name.rsplit(".", 1)
        if kind == "bias":
            assert (parameter == 0).all(), name
        elif where.endswith("_norm"):
            assert (parameter == 1).all(), name
        else:
            writes = where.endswith((".attention.projection", ".feed_forward.contract"))
            writing += writes
            expected = std / math.sqrt(2 * layers) if writes else std
            assert parameter.std().item() == pytest.approx(expected, rel=0.07), name
            assert abs(parameter.mean().item()) < 5 * expected / math.sqrt(parameter.numel()), name
    assert writing == 2 * layers


def test_init_weights_uses_std_002_unless_told_otherwise():
    torch.manual_seed(0)
    model = stack(2)
    init_weights(model, 2)
    assert model["projection"].weight.std().item() == pytest.approx(0.02, rel=0.03)
    assert model["words"].weight.std().item() == pytest.approx(0.02, rel=0.03)


def test_init_weights_repeats_with_its_seed():
    model = stack(2)
    torch.manual_seed(3)
    init_weights(model, 2)
    before = {name: p.clone() for name, p in model.named_parameters()}
    torch.manual_seed(3)
    init_weights(model, 2)
    for name, parameter in model.named_parameters():
        assert torch.equal(parameter, before[name]), name


def test_init_weights_takes_linear_maps_without_bias():
    model = nn.Sequential(nn.Linear(30, 30, bias=False))
    init_weights(model, 1)
    assert model[0].weight.std() < 0.03


@torch.no_grad()
def grown(layers, C=64):
    """How many times larger the variance of the stream is at the top."""
    torch.manual_seed(0)
    model = stack(layers, C)
    init_weights(model, layers)
    start = x = 0.02 * torch.randn(4, 16, C)
    for block in model["blocks"]:
        x, _ = block(x, return_attention=False)
    return float(x.var() / start.var())


def test_stream_does_not_grow_with_depth():
    shallow, deep = grown(4), grown(24)
    assert 1 < shallow < 5 and deep < 1.4 * shallow


def test_untrained_model_gives_all_tokens_about_the_same_probability():
    torch.manual_seed(0)
    model = stack(4)
    init_weights(model, 4)
    x = model["words"](torch.randint(500, (8, 20)))
    for block in model["blocks"]:
        x, _ = block(x)
    scores = model["projection"](nn.functional.layer_norm(x, (64,)))
    loss = nn.functional.cross_entropy(scores.flatten(0, 1), torch.randint(500, (160,)))
    assert loss.item() == pytest.approx(math.log(500), abs=0.1)


@pytest.mark.parametrize(("layers", "std"), [(0, 0.02), (-1, 0.02), (2, -0.1)])
def test_init_weights_refuses_what_cannot_be(layers, std):
    with pytest.raises(ValueError) as error:
        init_weights(stack(1), layers, std=std)
    name, value, low = ("std", std, 0) if std < 0 else ("num_layers", layers, 1)
    assert str(error.value) == f"{name} must be at least {low}, got {value}"
