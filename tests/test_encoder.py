"""The encoder: equal to PyTorch's, blind to padding, not to order, and clear about bad input."""

import itertools

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.testing import assert_close

from tests.builders import as_trained, pytorch_stack, unchecked
from transformer_lib.checks import check_sizes, check_tokens
from transformer_lib.encoder import Encoder, embed

PADDINGS = ("left", "right", "middle", "scattered")
exact = settings(max_examples=25, deadline=None)
SIZES = {"embedding_dim": 8, "num_heads": 2, "num_layers": 3}


def make(vocab_size=11, block_size=12, **sizes):
    return as_trained(Encoder, vocab_size, block_size, **{**SIZES, **sizes})


def put(tokens, where, extra, seed=0):
    """tokens (1, T) with `extra` padding tokens among them, and the mask."""
    T = tokens.shape[1]
    generator = torch.Generator().manual_seed(seed)
    real = torch.zeros(1, T + extra, dtype=torch.bool)
    if where == "left":
        real[:, extra:] = True
    elif where == "right":
        real[:, :T] = True
    elif where == "middle":
        half = T // 2
        real[:, :half] = True
        real[:, half + extra :] = True
    else:
        real[:, torch.randperm(T + extra, generator=generator)[:T]] = True
    wide = torch.randint(11, real.shape, generator=generator)  # any id may stand at padding
    wide[real] = tokens.flatten()
    return wide, real


def pairs(ours, theirs):
    """The modules of a block and of PyTorch's layer that are the same thing."""
    yield ours.attention.projection, theirs.self_attn.out_proj
    yield ours.attention_norm, theirs.norm1
    yield ours.feed_forward_norm, theirs.norm2
    yield ours.feed_forward.expand, theirs.linear1
    yield ours.feed_forward.contract, theirs.linear2


def same(one, other):
    """Assert that two tensors are equal, up to rounding against the largest number in them."""
    share = 1e-11 if other.dtype == torch.float64 else 2e-3
    assert_close(one, other, rtol=0, atol=share * max(1.0, other.abs().max().item()))


# Equality


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("maps", [True, False])
@pytest.mark.parametrize(
    ("B", "T", "C", "H", "N"), [(1, 1, 4, 1, 1), (3, 7, 8, 2, 2), (2, 12, 24, 4, 4)]
)
def test_values_and_gradients_equal_pytorch(B, T, C, H, N, maps, dtype):
    encoder = make(embedding_dim=C, num_heads=H, num_layers=N, dtype=dtype)
    twin = pytorch_stack(encoder.blocks)
    tokens = torch.randint(11, (B, T))
    real = torch.arange(T) < torch.randint(1, T + 1, (B, 1))
    ours = encoder(tokens, real, return_attention=maps)[0]
    words, places = (
        e.weight.detach().clone().requires_grad_()
        for e in (encoder.token_embedding, encoder.position_embedding)
    )
    theirs = twin(words[tokens] + places[:T], src_key_padding_mask=~real)
    same(ours[real], theirs[real])
    direction = torch.randn_like(ours[real])
    (ours[real] * direction).sum().backward()
    (theirs[real] * direction).sum().backward()
    same(encoder.token_embedding.weight.grad, words.grad)
    same(encoder.position_embedding.weight.grad, places.grad)
    for block, layer in zip(encoder.blocks, twin.layers, strict=True):
        heads = block.attention.heads
        gradient = torch.cat(
            [getattr(h, n).weight.grad for n in ("query", "key", "value") for h in heads]
        )
        same(gradient, layer.self_attn.in_proj_weight.grad)
        for one, other in pairs(block, layer):
            same(one.weight.grad, other.weight.grad)
            same(one.bias.grad, other.bias.grad)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_maps_equal_pytorch_layer_by_layer(dtype):
    encoder = make(dtype=dtype)
    twin = pytorch_stack(encoder.blocks)
    tokens = torch.randint(11, (2, 9))
    x = encoder.token_embedding(tokens) + encoder.position_embedding.weight[:9]
    for layer, ours in zip(twin.layers, encoder(tokens)[1], strict=True):
        normed = layer.norm1(x)
        theirs = layer.self_attn(normed, normed, normed, average_attn_weights=False)[1]
        same(ours, theirs)
        x = layer(x)


def test_words_are_a_one_hot_product_plus_a_row_of_the_positions():
    encoder = make()
    tokens = torch.randint(11, (3, 5))
    words, places = encoder.token_embedding, encoder.position_embedding
    one_hot = nn.functional.one_hot(tokens, 11).double()
    assert_close(embed(tokens, words, places), one_hot @ words.weight + places.weight[:5])


@exact
@given(B=st.integers(1, 4), T=st.integers(1, 12), masked=st.booleans(), seed=st.integers(0, 99))
def test_maps_and_fused_paths_agree(B, T, masked, seed):
    encoder = make(seed=seed)
    tokens = torch.randint(11, (B, T))
    real = torch.arange(T) < torch.randint(1, T + 1, (B, 1)) if masked else None
    with_maps, maps = encoder(tokens, real)
    fused, nothing = encoder(tokens, real, return_attention=False)
    assert nothing is None
    assert len(maps) == 3
    assert_close(fused, with_maps)


# Padding


@exact
@given(
    where=st.sampled_from(PADDINGS),
    T=st.integers(1, 6),
    extra=st.integers(0, 6),
    training=st.booleans(),
    maps=st.booleans(),
    seed=st.integers(0, 99),
)
def test_padding_moves_no_value_wherever_it_stands(where, T, extra, training, maps, seed):
    encoder = make(seed=seed).train(training)
    tokens = torch.randint(11, (1, T))
    wide, real = put(tokens, where, extra, seed)
    alone, alone_maps = encoder(tokens, return_attention=maps)
    padded, padded_maps = encoder(wide, real, return_attention=maps)
    assert_close(padded[real], alone[0])
    for one, other in zip(alone_maps or [], padded_maps or [], strict=True):
        assert_close(other[:, :, real[0]][..., real[0]], one)
        assert not other[..., ~real[0]].any()


@exact
@given(
    where=st.sampled_from(PADDINGS),
    T=st.integers(1, 6),
    extra=st.integers(0, 6),
    training=st.booleans(),
    maps=st.booleans(),
    seed=st.integers(0, 99),
)
def test_padding_moves_no_gradient_wherever_it_stands(where, T, extra, training, maps, seed):
    encoder = make(seed=seed).train(training)
    tokens = torch.randint(11, (1, T))
    wide, real = put(tokens, where, extra, seed)
    direction = torch.randn(T, 8, dtype=torch.float64)
    found = []
    for encodings in (
        encoder(tokens, return_attention=maps)[0][0],
        encoder(wide, real, return_attention=maps)[0][real],
    ):
        encoder.zero_grad()
        (encodings * direction).sum().backward()
        found.append([p.grad.clone() for p in encoder.parameters()])
    for one, other in zip(*found, strict=True):
        assert_close(other, one)


@exact
@given(seed=st.integers(0, 99), training=st.booleans())
def test_a_sentence_does_not_depend_on_its_batch(seed, training):
    encoder = make(seed=seed).train(training)
    lengths = torch.randint(1, 10, (4,))
    real = torch.arange(9) < lengths[:, None]
    real[torch.arange(4), 0] = True
    tokens = torch.randint(11, (4, 9))
    together = encoder(tokens, real)[0]
    for row in range(4):
        alone = encoder(tokens[row : row + 1, : lengths[row]])[0]
        assert_close(together[row][real[row]], alone[0])


def test_a_mask_of_real_tokens_only_changes_nothing():
    encoder, tokens = make(), torch.randint(11, (2, 7))
    assert_close(encoder(tokens, torch.ones(2, 7).bool())[0], encoder(tokens)[0])


def test_positions_count_on_from_the_past():
    encoder, tokens = make(), torch.randint(11, (2, 7))
    tables = encoder.token_embedding, encoder.position_embedding
    whole = embed(tokens, *tables)
    assert_close(embed(tokens[:, 4:], *tables, past=4), whole[:, 4:])
    real = torch.tensor([[False, True, True, True, True, True, True], [True] * 7])
    masked = embed(tokens, *tables, real)
    assert_close(embed(tokens[:, 4:], *tables, real, past=4), masked[:, 4:])


# Order


@exact
@given(order=st.permutations(range(7)), seed=st.integers(0, 99))
def test_without_positions_the_order_is_lost(order, seed):
    encoder = make(seed=seed)
    nn.init.zeros_(encoder.position_embedding.weight)
    tokens = torch.randint(11, (2, 7))
    encodings, maps = encoder(tokens)
    shuffled, shuffled_maps = encoder(tokens[:, order])
    assert_close(shuffled, encodings[:, order])
    for one, other in zip(maps, shuffled_maps, strict=True):
        assert_close(other, one[:, :, order][..., order])


@pytest.mark.parametrize(
    "order", [o for o in itertools.permutations(range(4)) if o != (0, 1, 2, 3)]
)
def test_with_positions_the_order_matters(order):
    encoder, tokens = make(), torch.tensor([[1, 2, 3, 4]])
    moved = encoder(tokens[:, order])[0] - encoder(tokens)[0][:, order]
    assert moved.abs().max() > 1e-2


def test_equal_words_at_different_places_differ():
    encodings = make()(torch.full((1, 5), 3))[0][0]
    assert torch.pdist(encodings.detach()).min() > 1e-2


def test_the_same_word_and_place_in_other_company_differs():
    encoder = make()
    one, other = (encoder(torch.tensor([[3, word, 5]]))[0] for word in (1, 2))
    assert (one[0, 0] - other[0, 0]).abs().max() > 1e-3


def test_every_token_is_seen_by_every_other():
    encoder = make(num_layers=1)
    x = encoder.token_embedding(torch.randint(11, (1, 6))).detach().requires_grad_()
    out = encoder.blocks[0](x)[0]
    for i in range(6):
        (gradient,) = torch.autograd.grad(out[0, i].sum() + out[0, i, 0], x, retain_graph=True)
        assert (gradient[0].abs().amax(-1) > 0).all()


# Maps


@exact
@given(N=st.integers(1, 4), T=st.integers(1, 9), seed=st.integers(0, 99))
def test_maps_of_every_layer_come_from_the_forward_pass(N, T, seed):
    encoder = make(num_layers=N, seed=seed).eval()
    tokens, seen = torch.randint(11, (2, T)), []
    hooks = [
        block.register_forward_hook(lambda _, __, output: seen.append(output[1]))
        for block in encoder.blocks
    ]
    _, maps = encoder(tokens)
    for hook in hooks:
        hook.remove()
    assert len(maps) == N == len(seen)  # each block ran once
    for ours, real in zip(maps, seen, strict=True):
        assert ours is real
        assert ours.shape == (2, 2, T, T)
        assert_close(ours.sum(-1), torch.ones_like(ours[..., 0]))


def test_the_last_map_is_of_the_last_layer():
    encoder, tokens = make(), torch.randint(11, (1, 6))
    _, before = encoder(tokens)
    with torch.no_grad():
        for head in encoder.blocks[-1].attention.heads:
            head.query.weight.mul_(-3)
    _, after = encoder(tokens)
    assert_close(after[0], before[0])
    assert_close(after[1], before[1])
    assert (after[2] - before[2]).abs().max() > 1e-3


def test_maps_are_as_they_were_before_dropout():
    encoder = make(dropout=0.5).train()
    for weights in encoder(torch.randint(11, (2, 9)))[1]:
        assert_close(weights.sum(-1), torch.ones_like(weights[..., 0]))


# Shape, state, randomness


def test_parameters_are_two_tables_and_the_blocks():
    encoder = Encoder(50, 7, embedding_dim=8, num_heads=2, num_layers=3)
    assert sum(p.numel() for p in encoder.parameters()) == (50 + 7) * 8 + 3 * (12 * 64 + 13 * 8)
    assert {name.split(".")[0] for name in encoder.state_dict()} == {
        "token_embedding",
        "position_embedding",
        "blocks",
    }
    assert encoder.sizes == {
        "vocab_size": 50,
        "block_size": 7,
        "embedding_dim": 8,
        "num_heads": 2,
        "num_layers": 3,
    }
    Encoder(**encoder.sizes).load_state_dict(encoder.state_dict())


def test_layers_share_no_parameter():
    encoder = make()
    assert len({p.data_ptr() for p in encoder.parameters()}) == len(list(encoder.parameters()))


def test_fresh_weights_are_small_and_smaller_where_they_write_to_the_stream():
    torch.manual_seed(0)
    encoder = Encoder(500, 100, embedding_dim=64, num_heads=4, num_layers=8)
    for name, parameter in encoder.named_parameters():
        writes = name.endswith(("projection.weight", "contract.weight"))
        if name.endswith("bias"):
            assert not parameter.any(), name
        elif "norm" in name:
            assert (parameter == 1).all(), name
        else:
            assert parameter.std().item() == pytest.approx(0.02 / 4 if writes else 0.02, rel=0.1), (
                name
            )


def test_a_fresh_stream_does_not_grow_with_depth():
    sizes = []
    for layers in (1, 12):
        torch.manual_seed(0)
        encoder = Encoder(50, 16, embedding_dim=64, num_heads=4, num_layers=layers)
        sizes.append(encoder(torch.randint(50, (8, 16)))[0].std().item())
    assert sizes[1] < 2 * sizes[0]


def test_dropout_acts_in_training_only():
    encoder, tokens = make(dropout=0.5), torch.randint(11, (2, 8))
    assert (encoder.train()(tokens)[0] - encoder(tokens)[0]).abs().max() > 1e-3
    assert_close(encoder.eval()(tokens)[0], encoder(tokens)[0], rtol=0, atol=0)


def test_both_tables_learn():
    encoder = make()
    encoder(torch.tensor([[1, 2, 2]]))[0].square().sum().backward()
    assert encoder.token_embedding.weight.grad.abs().amax(1).gt(0).tolist() == [
        n in (1, 2) for n in range(11)
    ]
    assert encoder.position_embedding.weight.grad.abs().amax(1).gt(0).tolist() == [
        n < 3 for n in range(12)
    ]


def test_int32_ids_are_taken():
    encoder, tokens = make(), torch.randint(11, (2, 5))
    assert_close(encoder(tokens.int())[0], encoder(tokens)[0])


# Bad input: every refusal names the argument, what it was and what it may be


BAD_TOKENS = {
    "too long": (torch.zeros(1, 13).long(), r"tokens must be at most block_size = 12 long, got 13"),
    "id too large": (
        torch.tensor([[0, 11]]),
        r"tokens must be ids from 0 to vocab_size - 1 = 10, got 11",
    ),
    "id below 0": (
        torch.tensor([[-1, 3]]),
        r"tokens must be ids from 0 to vocab_size - 1 = 10, got -1",
    ),
    "float": (
        torch.tensor([[0.0, 1.0]]),
        r"tokens must be whole numbers, .*torch.int64.*got torch.float32",
    ),
    "bool": (torch.tensor([[True]]), r"tokens must be whole numbers, .*got torch.bool"),
    "empty batch": (
        torch.zeros(0, 4).long(),
        r"tokens must have shape \(B, T\) with B and T at least 1, got \(0, 4\)",
    ),
    "no tokens": (torch.zeros(2, 0).long(), r"tokens must have shape \(B, T\) .* got \(2, 0\)"),
    "one row only": (torch.zeros(4).long(), r"tokens must have shape \(B, T\) .* got \(4,\)"),
    "vectors": (torch.zeros(2, 3, 4).long(), r"tokens must have shape \(B, T\) .* got \(2, 3, 4\)"),
}
BAD_MASKS = {
    "row with no real token": (
        torch.tensor([[True, True], [False, False]]),
        r"padding_mask must leave at least one real token in each row, rows \[1\] have none",
    ),
    "wrong shape": (
        torch.ones(2, 3).bool(),
        r"padding_mask must be a bool tensor of shape \(2, 2\).*\(2, 3\)",
    ),
    "numbers": (torch.ones(2, 2), r"padding_mask must be a bool tensor .* got torch.float32"),
}
BAD_SIZES = {
    **{
        name: ({name: 0}, f"{name} must be at least 1, got 0")
        for name in ("vocab_size", "block_size", "embedding_dim", "num_heads", "num_layers")
    },
    "negative": ({"vocab_size": -3}, "vocab_size must be at least 1, got -3"),
    "not dividing": (
        {"num_heads": 3},
        "embedding_dim must be a multiple of num_heads, got 8 and 3",
    ),
    "dropout": ({"dropout": 1.0}, "dropout must be from 0 to below 1, got 1.0"),
}


@pytest.mark.parametrize("case", BAD_TOKENS)
@pytest.mark.parametrize("maps", [True, False])
def test_bad_tokens_are_refused(case, maps):
    tokens, message = BAD_TOKENS[case]
    with pytest.raises(ValueError, match=message):
        unchecked(make(), tokens, return_attention=maps)


@pytest.mark.parametrize("case", BAD_MASKS)
@pytest.mark.parametrize("maps", [True, False])
def test_bad_masks_are_refused(case, maps):
    mask, message = BAD_MASKS[case]
    with pytest.raises(ValueError, match=message):
        unchecked(make(), torch.zeros(2, 2).long(), mask, return_attention=maps)


@pytest.mark.parametrize("case", BAD_SIZES)
def test_bad_sizes_are_refused(case):
    change, message = BAD_SIZES[case]
    with pytest.raises(ValueError, match=message):
        Encoder(**{"vocab_size": 11, "block_size": 12, **SIZES, **change})


def test_the_checks_name_what_they_are_given():
    assert check_sizes(width=3, depth=1) == {"width": 3, "depth": 1}
    with pytest.raises(ValueError, match="depth must be at least 1, got 0"):
        check_sizes(width=3, depth=0)
    model = Encoder(5, 2, embedding_dim=2, num_heads=1, num_layers=1)
    with pytest.raises(ValueError, match="tokens must be ids from 0"):
        check_tokens(torch.tensor([[7]]), model)
    check_tokens(torch.tensor([[0, 4]]), model)  # the largest that fit
