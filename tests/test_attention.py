"""One head and many: equal to PyTorch's in value and gradient, on both paths; what no mask may let through."""

import inspect
import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional as F
from torch.nn.utils import prune
from torch.testing import assert_close

from tests.builders import as_trained, pytorch_attention
from transformer_lib.attention_head import AttentionHead, attention_mask, attention_weights
from transformer_lib.checks import check_dropout, check_input, check_padding_mask, size_per_head
from transformer_lib.multi_head_attention import (
    MultiHeadAttention,
    loop_over_heads,
    split_heads,
    stack_heads,
)

exact = settings(max_examples=30, deadline=None)
DTYPES = [torch.float64, torch.float32]
HEADS = [(1, 1, 1, 1), (2, 6, 4, 2), (3, 5, 3, 7), (2, 17, 16, 5)]  # B, T, C, D
MANY = [(1, 1, 2, 1), (2, 6, 4, 1), (3, 5, 6, 3), (2, 7, 8, 8), (2, 17, 24, 4)]  # B, T, C, H
PADDINGS = ["none", "right", "left", "anywhere"]
sizes = st.tuples(
    st.integers(1, 3), st.integers(2, 7), st.integers(1, 4), st.integers(1, 3)
)  # B, T, D, H


def padding(kind, B, T, seed=0):
    """A mask with at least one real token a row, or None."""
    if kind == "none":
        return None
    real = torch.randint(1, T + 1, (B, 1), generator=torch.Generator().manual_seed(seed))
    real[0] = max(1, T - 2)  # some padding in the first row whenever there is room
    if kind == "right":
        return torch.arange(T) < real
    if kind == "left":
        return torch.arange(T) >= T - real
    order = torch.rand(B, T, generator=torch.Generator().manual_seed(seed)).argsort(1)
    return order < real


def allowed(T, causal, mask, B=1):
    """(B, T, T), True where a query may look, written cell by cell."""
    table = torch.zeros(B, T, T, dtype=torch.bool)
    for b in range(B):
        for i in range(T):
            for j in range(T):
                real = mask is None or bool(mask[b, j])
                table[b, i, j] = (real and j <= i or i == j) if causal else real
    return table


def run(part, *given, wanted):
    """The forward pass; a single head always gives its weights."""
    how = {} if isinstance(part, AttentionHead) else {"return_attention": wanted}
    return part(*given, **how)


def make(kind, C, size, **options):
    """A part whose random weights keep the variance."""
    return as_trained(kind, C, size, std=C**-0.5, **options)


def with_gradients(part, x, compute, mask=None):
    """The output, and the gradients at x and all parameters of a loss on the real tokens."""
    x = x.clone().requires_grad_()
    output = compute(x)
    real = output if mask is None else output[mask]
    weight = torch.linspace(0.5, 2, real.numel(), dtype=x.dtype).view_as(real)
    return real, *torch.autograd.grad((weight * real.pow(2)).sum(), [x, *part.parameters()])


def same(ours, theirs):
    """Equal to the precision of the numbers, measured against the largest of them.

    (The gradient at the bias of the keys is 0 in exact numbers: alone it has no scale.)
    """
    scale = max(b.detach().abs().max().item() for b in theirs)
    for a, b in zip(ours, theirs, strict=True):
        tight = 1e-13 if b.dtype == torch.float64 else 1e-5
        assert_close(a / scale, b / scale, atol=tight, rtol=0)


# ---- equal to PyTorch ----


@pytest.mark.parametrize("kind", PADDINGS)
@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", HEADS)
def test_head_equals_scaled_dot_product_attention(shape, dtype, causal, kind):
    B, T, C, D = shape
    head, x = (
        make(AttentionHead, C, D, dtype=dtype, causal=causal),
        torch.randn(B, T, C, dtype=dtype),
    )
    mask = padding(kind, B, T)
    seen = allowed(T, causal, mask, B)

    def theirs(x):
        q, k, v = (F.linear(x, m.weight, m.bias) for m in (head.query, head.key, head.value))
        return F.scaled_dot_product_attention(q, k, v, attn_mask=seen)

    expected = with_gradients(head, x, theirs)
    same(with_gradients(head, x, lambda x: head(x, mask)[0]), expected)


@pytest.mark.parametrize("kind", PADDINGS)
@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", MANY)
def test_many_heads_equal_pytorchs_module(shape, dtype, causal, kind):
    B, T, C, H = shape
    ours, x = (
        make(MultiHeadAttention, C, H, dtype=dtype, causal=causal),
        torch.randn(B, T, C, dtype=dtype),
    )
    twin, mask = pytorch_attention(ours), padding(kind, B, T)
    # one mask for both kinds, so that PyTorch's module has no row without a token either
    forbidden = ~allowed(T, causal, mask, B).repeat_interleave(H, 0)
    real = torch.ones(B, T, dtype=torch.bool) if mask is None else mask

    x_theirs = x.clone().requires_grad_()
    output, maps = twin(
        x_theirs, x_theirs, x_theirs, attn_mask=forbidden, average_attn_weights=False
    )
    at_real = output[real]
    weight = torch.linspace(0.5, 2, at_real.numel(), dtype=dtype).view_as(at_real)
    (weight * at_real.pow(2)).sum().backward()
    D = C // H
    expected = {
        "projection.weight": twin.out_proj.weight.grad,
        "projection.bias": twin.out_proj.bias.grad,
    }
    for n, name in enumerate(("query", "key", "value")):
        for h in range(H):
            rows = slice(n * C + h * D, n * C + (h + 1) * D)
            expected[f"heads.{h}.{name}.weight"] = twin.in_proj_weight.grad[rows]
            expected[f"heads.{h}.{name}.bias"] = twin.in_proj_bias.grad[rows]
    theirs = [at_real, x_theirs.grad, *(expected[name] for name, _ in ours.named_parameters())]
    for wanted in (True, False):
        same(
            with_gradients(ours, x, lambda x, w=wanted: ours(x, mask, return_attention=w)[0], real),
            theirs,
        )
    assert_close(ours(x, mask)[1], maps)


@pytest.mark.parametrize("kind", PADDINGS)
@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("shape", MANY)
def test_loop_and_fused_are_one_model_at_padding_too(shape, causal, kind):
    B, T, C, H = shape
    ours, x = (
        make(MultiHeadAttention, C, H, causal=causal),
        torch.randn(B, T, C, dtype=torch.float64),
    )
    mask = padding(kind, B, T)
    slow = with_gradients(ours, x, lambda x: ours(x, mask)[0])
    same(with_gradients(ours, x, lambda x: ours(x, mask, return_attention=False)[0]), slow)


def test_the_scale_belongs_to_the_head_and_not_to_the_input():
    q, k = torch.randn(2, 3, 9), torch.randn(2, 5, 9)
    assert_close(attention_weights(q, k), (q @ k.mT / 3).softmax(-1))


def test_weights_take_any_batch_and_a_mask_that_spreads_over_it():
    q, k = torch.randn(2, 4, 3, 9), torch.randn(2, 4, 3, 9)
    mask = torch.ones(3, 3, dtype=torch.bool).tril()
    weights = attention_weights(q, k, mask)
    assert (weights[..., ~mask] == 0).all()
    assert_close(attention_weights(q, k, mask[None, None]), weights)


def test_head_of_the_design_has_the_promised_shapes():
    x = torch.randn(2, 10, 64)
    output, weights = AttentionHead(embedding_dim=64, head_size=32, causal=True)(x)
    assert output.shape == (2, 10, 32) and weights.shape == (2, 10, 10)
    output, maps = MultiHeadAttention(embedding_dim=64, num_heads=2, causal=True)(x)
    assert output.shape == (2, 10, 64) and maps.shape == (2, 2, 10, 10)
    output, none = MultiHeadAttention(embedding_dim=64, num_heads=2)(x, return_attention=False)
    assert output.shape == (2, 10, 64) and none is None


# ---- what must hold whatever the weights are ----


def parts(size, causal, seed=0):
    """A head and a module of many, both made for 12 channels or so, with x."""
    B, T, D, H = size
    C = D * H
    x = 3 * torch.randn(B, T, C, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))
    return [
        make(AttentionHead, C, D, causal=causal, seed=seed),
        make(MultiHeadAttention, C, H, causal=causal, seed=seed),
    ], x


@exact
@given(size=sizes, causal=st.booleans(), kind=st.sampled_from(PADDINGS), seed=st.integers(0, 99))
def test_rows_sum_to_one_and_nothing_forbidden_is_seen(size, causal, kind, seed):
    both, x = parts(size, causal, seed)
    mask = padding(kind, *x.shape[:2], seed)
    seen = allowed(x.shape[1], causal, mask, len(x))
    for part in both:
        for scale in (1, 1000):  # saturated, too
            output, weights = part(scale * x, mask)
            assert output.isfinite().all()
            assert_close(weights.sum(-1), torch.ones_like(weights[..., 0]))
            assert (weights >= 0).all()
            forbidden = ~(seen if weights.ndim == 3 else seen[:, None].expand_as(weights))
            assert (weights[forbidden] == 0).all()


@exact
@given(size=sizes, training=st.booleans(), wanted=st.booleans(), seed=st.integers(0, 99))
def test_future_does_not_move_the_past(size, training, wanted, seed):
    both, x = parts(size, causal=True, seed=seed)
    T = x.shape[1]
    for part in both:
        part.train(training)
        before = run(part, x, wanted=wanted)[0]
        for t in range(1, T):
            other = x.clone()
            other[:, t:] = 5 * torch.randn_like(other[:, t:])
            after = run(part, other, wanted=wanted)[0]
            assert_close(after[:, :t], before[:, :t])
            assert (after[:, t:] - before[:, t:]).abs().max() > 0


@exact
@given(
    size=sizes,
    causal=st.booleans(),
    training=st.booleans(),
    wanted=st.booleans(),
    seed=st.integers(0, 99),
)
def test_each_token_depends_on_what_it_may_see_and_on_nothing_else(
    size, causal, training, wanted, seed
):
    both, x = parts(size, causal, seed)
    T = x.shape[1]
    for part in both:
        part.train(training)
        x0 = (x[:1] / 10).requires_grad_()  # not saturated: every dependence shows
        output = run(part, x0, wanted=wanted)[0]
        for i in range(T):
            gradient = torch.autograd.grad(output[0, i].sum(), x0, retain_graph=True)[0]
            depends = gradient[0].abs().amax(-1) > 0
            assert depends.tolist() == [not causal or j <= i for j in range(T)]


@exact
@given(
    size=sizes,
    causal=st.booleans(),
    training=st.booleans(),
    wanted=st.booleans(),
    left=st.booleans(),
    extra=st.integers(1, 4),
    seed=st.integers(0, 99),
)
def test_padding_does_not_move_real_tokens(size, causal, training, wanted, left, extra, seed):
    both, x = parts(size, causal, seed)
    B, T, C = x.shape
    noise = 10 * torch.randn(B, extra, C, dtype=x.dtype)
    longer = torch.cat([noise, x] if left else [x, noise], 1)
    mask = torch.cat(
        [torch.zeros(B, extra), torch.ones(B, T)]
        if left
        else [torch.ones(B, T), torch.zeros(B, extra)],
        1,
    ).bool()
    for part in both:
        part.train(training)
        alone = run(part, x, wanted=wanted)[0]
        padded = longer.clone().requires_grad_()
        output, weights = run(part, padded, mask, wanted=wanted)
        assert_close(output[mask].view_as(alone), alone)
        gradient = torch.autograd.grad(output[mask].pow(2).sum(), padded)[0]
        assert (gradient[~mask] == 0).all() and (gradient[mask] != 0).any()


@exact
@given(size=sizes, wanted=st.booleans(), seed=st.integers(0, 99))
def test_order_is_not_seen_without_a_causal_mask(size, wanted, seed):
    both, x = parts(size, causal=False, seed=seed)
    order = torch.randperm(x.shape[1], generator=torch.Generator().manual_seed(seed))
    for part in both:
        assert_close(
            run(part, x[:, order], wanted=wanted)[0],
            run(part, x, wanted=wanted)[0][:, order],
        )


@exact
@given(size=sizes, seed=st.integers(0, 99))
def test_sentences_of_a_batch_do_not_meet(size, seed):
    both, x = parts(size, causal=False, seed=seed)
    for part in both:
        for b in range(len(x)):
            assert_close(part(x)[0][b : b + 1], part(x[b : b + 1])[0])


# ---- masks and heads ----


@pytest.mark.parametrize("kind", PADDINGS)
@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("B,T", [(1, 1), (2, 2), (3, 6)])
def test_mask_is_the_one_written_cell_by_cell(B, T, causal, kind):
    mask = padding(kind, B, T)
    ours = attention_mask(T, T, causal, mask)
    if ours is None:
        assert mask is None and (not causal or T == 1)
    else:
        assert torch.equal(ours.expand(B, T, T), allowed(T, causal, mask, B))


@pytest.mark.parametrize("kind", PADDINGS)
@pytest.mark.parametrize("new", [2, 3, 5])
def test_mask_of_the_newest_queries_is_the_end_of_the_whole(new, kind):
    whole = allowed(6, True, padding(kind, 2, 6), 2)
    ours = attention_mask(new, 6, True, padding(kind, 2, 6))
    assert torch.equal(ours.expand(2, new, 6), whole[:, -new:])


def test_heads_are_split_by_kind_then_head_then_number():
    B, T, H, D = 2, 3, 4, 5
    qkv = torch.arange(B * T * 3 * H * D).float().view(B, T, 3 * H * D)
    found = split_heads(qkv, H)
    assert [part.shape for part in found] == 3 * [(B, H, T, D)]
    for n in range(3):
        for h in range(H):
            start = (n * H + h) * D
            assert torch.equal(found[n][:, h], qkv[..., start : start + D])


def test_heads_are_joined_in_their_order():
    attention, x = MultiHeadAttention(8, 2), torch.randn(1, 3, 8)
    for h, head in enumerate(attention.heads):  # head 0 says 1, head 1 says 2
        nn.init.zeros_(head.value.weight)
        nn.init.constant_(head.value.bias, h + 1)
    assert_close(attention.fused(x, None)[0, 0], torch.tensor([1.0] * 4 + [2.0] * 4))


class Remembered:
    """The least a cache has to do."""

    def __init__(self):
        self.k = self.v = None

    @property
    def length(self):
        return 0 if self.k is None else self.k.shape[2]

    def stacked(self, attention):
        return attention.stacked()

    def append(self, k, v):
        self.k = k if self.k is None else torch.cat([self.k, k], 2)
        self.v = v if self.v is None else torch.cat([self.v, v], 2)
        return self.k, self.v


@pytest.mark.parametrize("kind", PADDINGS)
@pytest.mark.parametrize("chunks", [[6], [1] * 6, [3, 3], [1, 4, 1], [2, 1, 3]])
def test_piece_by_piece_with_a_cache_equals_the_whole(chunks, kind):
    attention, x = (
        make(MultiHeadAttention, 6, 3, causal=True),
        torch.randn(2, 6, 6, dtype=torch.float64),
    )
    mask = padding(kind, 2, 6)
    if mask is not None and not mask[:, : chunks[0]].any(1).all():
        mask[:, 0] = True  # the first piece holds a real token
    whole, cache, done, pieces = attention(x, mask)[0], Remembered(), 0, []
    for n in chunks:
        seen = None if mask is None else mask[:, : done + n]
        output, maps = attention(x[:, done : done + n], seen, return_attention=False, cache=cache)
        assert maps is None
        pieces.append(output)
        done += n
    real = torch.ones(2, 6, dtype=torch.bool) if mask is None else mask
    assert_close(torch.cat(pieces, 1)[real], whole[real])


def test_heads_are_attention_heads_that_the_module_owns():
    attention = MultiHeadAttention(12, 3, causal=True, dropout=0.2)
    assert isinstance(attention.heads, nn.ModuleList) and len(attention.heads) == 3
    for head in attention.heads:
        assert type(head) is AttentionHead and head.causal and head.dropout.p == 0.2
        assert head.query.weight.shape == (4, 12)
    assert attention.dropout.p == 0.2
    names = {
        f"heads.{h}.{m}.{p}"
        for h in range(3)
        for m in ("key", "query", "value")
        for p in ("weight", "bias")
    }
    assert set(attention.state_dict()) == names | {"projection.weight", "projection.bias"}


@pytest.mark.parametrize("H", [1, 2, 3, 6, 12])
def test_parameters_do_not_depend_on_the_number_of_heads(H):
    count = sum(p.numel() for p in MultiHeadAttention(12, H).parameters())
    assert count == 4 * 12 * 12 + 4 * 12


# ---- dropout ----


def test_weights_are_dropped_with_their_probability_and_made_up_for():
    torch.manual_seed(0)
    head, n, p = AttentionHead(3, 2, dropout=0.25).double(), 20_000, 0.25
    x = torch.ones(n, 1, 3, dtype=torch.float64)  # one token: its one weight is 1
    output = head(x)[0]
    value = head.value(x)
    kept = output[:, 0, 0] != 0
    assert abs(kept.double().mean().item() - (1 - p)) < 4 * math.sqrt(p * (1 - p) / n)
    assert_close(output[kept], value[kept] / (1 - p))
    assert torch.equal(kept, output[:, 0, 1] != 0)  # a weight goes, not a single number
    assert_close(head.eval()(x)[0], value)


@pytest.mark.parametrize("wanted", [True, False])
def test_many_heads_drop_weights_and_then_outputs(wanted):
    torch.manual_seed(0)
    attention, n, p = MultiHeadAttention(4, 2, dropout=0.375).double(), 20_000, 0.375
    attention.projection.weight.data.copy_(torch.eye(4))
    attention.projection.bias.data.zero_()
    x = torch.ones(n, 1, 4, dtype=torch.float64)
    output = attention(x, return_attention=wanted)[0][:, 0]
    value = torch.cat([head.value(x) for head in attention.heads], -1)[:, 0]
    kept = output != 0
    share = (1 - p) ** 2
    assert (kept.double().mean(0) - share).abs().max() < 4 * math.sqrt(share * (1 - share) / n)
    assert_close(output[kept], (value / share)[kept])
    together = (kept[:, 0] & kept[:, 1]).double().mean().item()  # one head, one weight
    apart = (kept[:, 0] & kept[:, 2]).double().mean().item()
    assert abs(together - (1 - p) ** 3) < 0.02 and abs(apart - (1 - p) ** 4) < 0.02
    assert_close(attention.eval()(x, return_attention=wanted)[0][:, 0], value)


@pytest.mark.parametrize("kind,size", [(AttentionHead, 4), (MultiHeadAttention, 3)])
def test_returned_weights_are_those_before_dropout(kind, size):
    part, x = make(kind, 12, size, dropout=0.5), torch.randn(2, 6, 12, dtype=torch.float64)
    (first, seen), (second, again) = part(x), part(x)
    assert (first - second).abs().max() > 0.01
    assert_close(seen, again)
    assert_close(seen, part.eval()(x)[1])
    assert_close(seen.sum(-1), torch.ones_like(seen[..., 0]))


@pytest.mark.parametrize("kind,size", [(AttentionHead, 4), (MultiHeadAttention, 3)])
@pytest.mark.parametrize("wanted", [True, False])
def test_no_dropout_is_deterministic_in_training_too(kind, size, wanted):
    part, x = make(kind, 12, size), torch.randn(2, 6, 12, dtype=torch.float64)
    assert torch.equal(
        run(part.train(), x, wanted=wanted)[0], run(part.eval(), x, wanted=wanted)[0]
    )


# ---- what may not go in ----


def refused(message, call):
    with pytest.raises(ValueError) as error:
        call()
    assert str(error.value) == message


def forward(part, *arguments, **named):
    """The forward pass without the checks of shapes that the tests put around it."""
    if isinstance(part, AttentionHead):
        named.pop("return_attention", None)
    return inspect.unwrap(type(part).forward)(part, *arguments, **named)


SHAPE = "x must have shape (B, T, 6) with B and T at least 1, got {}"


@pytest.mark.parametrize("wanted", [True, False])
@pytest.mark.parametrize("part", [AttentionHead(6, 2), MultiHeadAttention(6, 3, causal=True)])
@pytest.mark.parametrize(
    "shape", [(5, 6), (6,), (1, 2, 5, 6), (2, 5, 7), (2, 5, 1), (0, 5, 6), (2, 0, 6)]
)
def test_input_of_another_shape_is_refused(part, shape, wanted):
    refused(SHAPE.format(shape), lambda: forward(part, torch.zeros(shape), return_attention=wanted))
    refused(SHAPE.format(shape), lambda: check_input(torch.zeros(shape), torch.nn.Linear(6, 6)))


@pytest.mark.parametrize("wanted", [True, False])
@pytest.mark.parametrize("part", [AttentionHead(6, 2), MultiHeadAttention(6, 3)])
@pytest.mark.parametrize(
    "mask",
    [
        torch.ones(2, 5),
        torch.ones(2, 5).int(),
        torch.ones(2, 4).bool(),
        torch.ones(1, 5).bool(),
        torch.ones(5).bool(),
        torch.ones(2, 5, 5).bool(),
    ],
)
def test_padding_mask_of_another_kind_is_refused(part, mask, wanted):
    message = (
        "padding_mask must be a bool tensor of shape (2, 5), True at real tokens, "
        f"got {mask.dtype} of shape {tuple(mask.shape)}"
    )
    refused(message, lambda: forward(part, torch.randn(2, 5, 6), mask, return_attention=wanted))
    refused(message, lambda: check_padding_mask(mask, 2, 5))


@pytest.mark.parametrize("wanted", [True, False])
@pytest.mark.parametrize("part", [AttentionHead(6, 2), MultiHeadAttention(6, 3)])
def test_row_without_a_real_token_is_refused(part, wanted):
    mask = torch.tensor([[True], [False], [True], [False]]).expand(4, 5)
    refused(
        "padding_mask must leave at least one real token in each row, rows [1, 3] have none",
        lambda: run(part, torch.randn(4, 5, 6), mask, wanted=wanted),
    )


@pytest.mark.parametrize("dropout", [-0.1, 1.0, 1.5, float("nan")])
def test_dropout_that_is_no_probability_is_refused(dropout):
    message = f"dropout must be from 0 to below 1, got {dropout}"
    refused(message, lambda: check_dropout(dropout))
    refused(message, lambda: AttentionHead(6, 2, dropout=dropout))
    refused(message, lambda: MultiHeadAttention(6, 2, dropout=dropout))


@pytest.mark.parametrize("C,D", [(0, 2), (6, 0), (-1, 2), (6, -2)])
def test_head_without_a_size_is_refused(C, D):
    refused(
        f"{'embedding_dim' if C < 1 else 'head_size'} must be at least 1, got {min(C, D)}",
        lambda: AttentionHead(C, D),
    )


@pytest.mark.parametrize("C,H", [(64, 3), (3, 6)])
def test_channels_that_cannot_be_shared_out_are_refused(C, H):
    refused(
        f"embedding_dim must be a multiple of num_heads, got {C} and {H}",
        lambda: MultiHeadAttention(C, H),
    )


def test_no_channels_at_all_are_refused():
    refused(
        "embedding_dim must be at least 1, got 0",
        lambda: MultiHeadAttention(0, 2),
    )
    refused("num_heads must be at least 1, got 0", lambda: MultiHeadAttention(6, 0))


def test_options_are_given_by_name():
    with pytest.raises(TypeError):
        AttentionHead(6, 2, True)
    with pytest.raises(TypeError):
        MultiHeadAttention(6, 2, True)


def test_heads_one_by_one_are_the_heads_side_by_side():
    attention, x = MultiHeadAttention(6, 3, causal=True), torch.randn(2, 5, 6)
    outputs, maps = loop_over_heads(attention.heads, x, None)
    for h, head in enumerate(attention.heads):
        output, weights = head(x)
        assert_close(outputs[..., 2 * h : 2 * h + 2], output)
        assert_close(maps[:, h], weights)


def test_stacked_weights_are_all_queries_then_all_keys_then_all_values():
    attention = MultiHeadAttention(6, 3)
    weight, bias = stack_heads(attention.heads)
    assert weight.shape == (18, 6) and bias.shape == (18,)
    for k, name in enumerate(("query", "key", "value")):
        for h, head in enumerate(attention.heads):
            rows = slice(6 * k + 2 * h, 6 * k + 2 * h + 2)
            assert torch.equal(weight[rows], getattr(head, name).weight)
            assert torch.equal(bias[rows], getattr(head, name).bias)


def test_a_width_that_the_heads_do_not_divide_is_refused():
    assert size_per_head(12, 3) == 4
    with pytest.raises(ValueError, match="embedding_dim must be a multiple of num_heads"):
        size_per_head(64, 3)


def test_a_mask_that_is_refused_leaves_the_cache_as_it_was():
    attention, cache = make(MultiHeadAttention, 6, 3, causal=True), Remembered()
    x = torch.randn(2, 3, 6, dtype=torch.float64)
    with pytest.raises(ValueError, match="padding_mask"):
        attention(x, torch.ones(2, 5, dtype=torch.bool), return_attention=False, cache=cache)
    assert cache.length == 0


# ---- heads that somebody changed ----


class Adapted(nn.Linear):
    """A linear layer that does more than its weights say."""

    def forward(self, x):
        return super().forward(x).tanh()


def put(name, make):
    return lambda heads: setattr(heads[0], name, make(getattr(heads[0], name)))


CHANGES = {
    "hook on a head": lambda heads: heads[0].register_forward_hook(
        lambda m, x, y: (0 * y[0], y[1])
    ),
    "hook on a layer": lambda heads: heads[1].value.register_forward_hook(lambda m, x, y: -y),
    "hook before a layer": lambda heads: heads[1].key.register_forward_pre_hook(
        lambda m, x: 2 * x[0]
    ),
    "subclass": put("query", lambda old: Adapted(6, 2).double()),
    "wrapped": put("query", lambda old: nn.Sequential(old, nn.Tanh())),
    "no bias": put("key", lambda old: nn.Linear(6, 2, bias=False).double()),
    "forward of its own": lambda heads: setattr(heads[2].value, "forward", lambda x: x[..., :2]),
    "causal alone": lambda heads: setattr(heads[2], "causal", True),
    "pruned, then moved": lambda heads: (
        prune.l1_unstructured(heads[0].value, "weight", 0.5),
        heads[0].value.weight_orig.data.mul_(3),
    ),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_heads_that_somebody_changed_are_heard_without_maps_too(change):
    attention = make(MultiHeadAttention, 6, 3)
    x = torch.randn(2, 5, 6, dtype=torch.float64)
    before = attention(x)[0]
    change(attention.heads)
    expected = loop_over_heads(attention.heads, x)[0]
    output, maps = attention(x, return_attention=False)
    assert maps is None
    assert_close(output, attention.projection(expected))
    assert not torch.allclose(output, before)
    with pytest.raises(ValueError, match="cache must be None where heads differ from each other"):
        attention(x, return_attention=False, cache=Remembered())


@pytest.mark.parametrize("register", ["full_backward_hook", "full_backward_pre_hook"])
@pytest.mark.parametrize("part", ["heads.0", "heads.1.query"])
def test_a_hook_on_the_way_back_through_a_head_is_called_without_maps_too(part, register):
    attention, calls = make(MultiHeadAttention, 6, 3), []
    hang = getattr(attention.get_submodule(part), "register_" + register)
    hang(lambda *_: calls.append(part))
    x = torch.randn(2, 5, 6, dtype=torch.float64, requires_grad=True)
    attention(x, return_attention=False)[0].sum().backward()
    assert calls == [part]


def test_a_pruned_head_learns_without_maps():
    attention = make(MultiHeadAttention, 6, 3)
    for head in attention.heads:
        prune.l1_unstructured(head.query, "weight", 0.5)
    x = torch.randn(2, 5, 6, dtype=torch.float64)
    for _ in range(2):  # the second pass needs a graph of its own
        attention(x, return_attention=False)[0].pow(2).sum().backward()
    weight = attention.heads[0].query.weight_orig
    assert (weight.grad != 0).any()


def test_one_dropout_of_its_own_makes_the_heads_differ():
    attention = make(MultiHeadAttention, 6, 3)
    assert attention.stacks()
    attention.heads[1].dropout.p = 0.5
    assert not attention.stacks()


@pytest.mark.parametrize("training", [True, False])
def test_without_maps_the_dropouts_of_the_heads_say_whether_they_drop(training):
    attention = make(MultiHeadAttention, 6, 3, dropout=0.5).train(not training)
    attention.dropout.eval()
    for head in attention.heads:
        head.dropout.train(training)
    x = torch.randn(2, 5, 6, dtype=torch.float64)
    first, again = (attention(x, return_attention=False)[0] for _ in range(2))
    assert torch.equal(first, again) != training
    attention.heads[1].dropout.train(not training)
    assert not attention.stacks()


def test_a_layer_that_does_not_say_its_width_is_not_asked():
    x = torch.randn(2, 5, 6)
    for layer in (nn.Sequential(nn.Linear(6, 6)), nn.Identity()):
        check_input(x, layer)
        message = "x must have shape (B, T, C) with B and T at least 1, got (5, 6)"
        refused(message, lambda layer=layer: check_input(x[0], layer))
