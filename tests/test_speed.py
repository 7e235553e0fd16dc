"""One drop-in for scaled_dot_product_attention: its three ways agree, and each is taken where it is meant to be."""

import subprocess
import sys

import pytest
import torch
from torch import nn
from torch.nn import functional as F
from torch.testing import assert_close

from tools.notebooks import ROOT
from transformer_lib import speed
from transformer_lib.attention_head import attention_mask, attention_weights
from transformer_lib.multi_head_attention import MultiHeadAttention
from transformer_lib.speed import attention, saved_bytes

UNITS = [(True, False), (False, True), (False, False)]  # AMX, AMD's AVX-512
WAYS = ["_written_out", "_in_float32"]


def some(*shape, seed=0, kind=torch.bfloat16):
    """Queries, keys and values, numbers that bfloat16 can hold."""
    drawn = torch.randn(3, *shape, generator=torch.Generator().manual_seed(seed))
    return drawn.bfloat16().to(kind)


@pytest.mark.parametrize("kind", [torch.float32, torch.float64])
@pytest.mark.parametrize("causal", [True, False])
@pytest.mark.parametrize("padded", [True, False])
def test_full_precision_is_pytorchs_own_call(kind, causal, padded):
    qkv = some(2, 3, 7, 4, kind=kind)
    real = torch.arange(7) < torch.tensor([[7], [4]])
    seen = real[:, None, None] if padded else torch.ones(1, 1, 1, 7, dtype=torch.bool)
    if causal:
        seen = torch.eye(7, dtype=torch.bool) | seen & torch.ones(7, 7, dtype=torch.bool).tril()
    expected = F.scaled_dot_product_attention(*qkv, seen)
    assert_close(attention(*qkv, causal, real if padded else None), expected)


@pytest.mark.parametrize("queries", [1, 2, 7])
def test_pytorchs_switch_is_used_where_it_says_the_same(monkeypatch, queries):
    """It takes the queries for the first of the keys: with fewer queries a mask is needed."""
    asked, own = [], F.scaled_dot_product_attention

    def watched(*given, is_causal, **named):
        asked.append((given[3], is_causal))
        return own(*given, is_causal=is_causal, **named)

    q, k, v = some(2, 3, 7, 4, kind=torch.float64)
    whole = attention(q, k, v, True)
    monkeypatch.setattr(speed.F, "scaled_dot_product_attention", watched)
    assert_close(attention(q[:, :, -queries:], k, v, True), whole[:, :, -queries:])
    ((mask, switch),) = asked
    assert switch == (queries == 7) and (mask is None) == (queries in (1, 7))


@pytest.mark.parametrize("autocast", [True, False])
def test_bfloat16_attention_is_that_of_float32_rounded_once(monkeypatch, autocast):
    """Where no unit multiplies bfloat16."""
    monkeypatch.setattr(speed, "_AMX", False)
    monkeypatch.setattr(speed, "_AMD", False)
    q, k, v = some(2, 4, 33, 8)
    wide = attention(q.float(), k.float(), v.float(), causal=True)
    with torch.autocast("cpu", torch.bfloat16, enabled=autocast):
        short = attention(q, k, v, causal=True)
    assert torch.equal(short, wide.bfloat16())


@pytest.mark.parametrize(("amx", "amd"), UNITS)
@pytest.mark.parametrize("causal", [True, False])
@pytest.mark.parametrize("padded", [True, False])
def test_bfloat16_attention_of_large_heads_is_near_float32(monkeypatch, amx, amd, causal, padded):
    """Both ways: the equation written out, and the kernel in 32 bits; values and gradients."""
    monkeypatch.setattr(speed, "_AMX", amx)
    monkeypatch.setattr(speed, "_AMD", amd)
    low = some(2, 3, 70, 64).requires_grad_()
    wide = low.detach().float().requires_grad_()
    mask = torch.arange(70) < torch.tensor([[70], [33]]) if padded else None
    for qkv in (wide, low):
        attention(*qkv, causal, mask).float().square().mean().backward()
    out = attention(*low, causal, mask)
    assert out.dtype == torch.bfloat16
    assert_close(out.float(), attention(*wide, causal, mask), atol=0.02, rtol=0.02)
    assert (low.grad.float() - wide.grad).norm() < 0.02 * wide.grad.norm()


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("queries", [1, 3, 7])
def test_each_way_takes_fewer_queries_than_keys(way, queries):
    q, k, v = some(2, 3, 7, 64)
    q, mask = q[:, :, :queries], torch.ones(queries, 7, dtype=torch.bool).tril(7 - queries)
    found = getattr(speed, way)(q, k, v, mask, False, 0.0)
    expected = F.scaled_dot_product_attention(q.double(), k.double(), v.double(), mask)
    assert_close(found.double(), expected, atol=0.02, rtol=0.02)


@pytest.mark.parametrize(
    ("amx", "amd", "kind", "D", "T", "taken"),
    [
        (True, False, torch.bfloat16, 64, 512, ["_written_out"]),
        (False, False, torch.bfloat16, 64, 512, ["_in_float32"]),
        (True, False, torch.bfloat16, 8, 2, ["_written_out"]),
        (True, False, torch.bfloat16, 64, 513, ["_in_float32"]),
        (True, False, torch.float32, 64, 512, []),
        (False, False, torch.float64, 64, 512, []),
        (False, True, torch.bfloat16, 16, 64, ["_written_out"]),
        (False, True, torch.bfloat16, 64, 63, ["_in_float32"]),
        (False, True, torch.bfloat16, 64, 513, ["_in_float32"]),
        (False, True, torch.float32, 64, 512, []),
    ],
)
def test_the_equation_is_written_out_where_it_is_fast_and_for_few_keys_only(
    monkeypatch, amx, amd, kind, D, T, taken
):
    """Beyond, maps would need memory that grows with the square of T."""
    asked = []

    def watched(name, way):
        def call(*given):
            asked.append(name)
            return way(*given)

        return call

    monkeypatch.setattr(speed, "_AMX", amx)
    monkeypatch.setattr(speed, "_AMD", amd)
    for name in WAYS:
        monkeypatch.setattr(speed, name, watched(name, getattr(speed, name)))
    attention(*torch.randn(3, 1, 1, T, D).to(kind), causal=True)
    assert asked == taken


@pytest.mark.parametrize(
    ("keys", "taken"), [(512, "_in_float32"), (513, "_in_float32"), (257, "_written_out")]
)
def test_one_query_is_written_out_where_its_keys_are_many_numbers(monkeypatch, keys, taken):
    asked = []

    def watched(name, way):
        return lambda *given: asked.append(name) or way(*given)

    monkeypatch.setattr(speed, "_AMX", True)
    monkeypatch.setattr(speed, "_AMD", False)
    for name in WAYS:
        monkeypatch.setattr(speed, name, watched(name, getattr(speed, name)))
    B = 8 if keys == 257 else 1
    attention(some(B, 4, 1, 64)[0], *some(B, 4, keys, 64)[1:], causal=True)
    assert asked == [taken]


@pytest.mark.parametrize(("amx", "amd"), UNITS)
def test_dropout_drops_weights_on_each_way(monkeypatch, amx, amd):
    monkeypatch.setattr(speed, "_AMX", amx)
    monkeypatch.setattr(speed, "_AMD", amd)
    q = k = torch.zeros(1, 1, 100, 64, dtype=torch.bfloat16)
    v = torch.ones_like(q)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        out = attention(q, k, v, dropout=0.5)[0, 0]
    assert abs(out.mean() - 1) < 0.05 and 0.05 < out.std() < 0.2  # 100 coins a row


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16])
@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("padded", [False, True])
def test_what_is_not_dropped_is_the_weight_of_the_equation(monkeypatch, dtype, causal, padded):
    """The values are rows of the identity, so the output is the map itself."""
    monkeypatch.setattr(speed.F, "scaled_dot_product_attention", None)  # not asked with dropout
    torch.manual_seed(0)
    T = 8
    q, k = torch.randn(2, 500, 1, T, T).to(dtype)
    v = torch.eye(T, dtype=dtype).expand(500, 1, T, T)
    real = (torch.arange(T) < 6).expand(500, T) if padded else None
    found = attention(q, k, v, causal, real, dropout=0.25)[:, 0]
    mask = attention_mask(T, T, causal, real)
    wanted = attention_weights(q[:, 0].double(), k[:, 0].double(), mask)
    kept = found != 0
    near = {"rtol": 0.03, "atol": 0.01} if dtype == torch.bfloat16 else {"rtol": 1e-4, "atol": 1e-6}
    torch.testing.assert_close(found[kept].double(), wanted[kept] / 0.75, **near)
    share = kept[wanted > 0].double().mean()
    assert abs(share - 0.75) < 0.02


@pytest.mark.parametrize(
    ("can", "units"),
    [
        ({}, (False, False)),
        ({"amx_bf16": True, "avx512_bf16": True, "cpu_name": "Intel(R) Xeon(R)"}, (True, False)),
        ({"amx_bf16": False, "avx512_bf16": True, "cpu_name": "Intel(R) Xeon(R)"}, (False, False)),
        ({"amx_bf16": False, "avx512_bf16": True, "cpu_name": "AMD EPYC"}, (False, True)),
        ({"amx_bf16": False, "avx512_bf16": False, "cpu_name": "AMD EPYC"}, (False, False)),
    ],
)
def test_what_multiplies_bfloat16_is_known_by_what_a_processor_says(can, units):
    assert speed.bf16_units(can) == units


ANY_LENGTH = """
import torch
from transformer_lib import Decoder
model = Decoder(11, 8, embedding_dim=8, num_heads=2, num_layers=1).eval()
tokens = torch.randint(11, (2, 7))
how = {"return_attention": False}
compiled = torch.compile(model, backend="eager", fullgraph=True, dynamic=True)
for T in (4, 7):
    torch.testing.assert_close(compiled(tokens[:, :T], **how)[0], model(tokens[:, :T])[0])
shapes = {"tokens": {1: torch.export.Dim("T", min=2, max=8)}, "return_attention": None}
graph = torch.export.export(model, (tokens[:, :5].clone(),), how, dynamic_shapes=shapes).module()
torch.testing.assert_close(graph(tokens, **how)[0], model(tokens)[0])
"""


@pytest.mark.slow
def test_a_decoder_is_compiled_and_exported_for_any_length():
    """In a Python of its own: a compiler cannot read the types that are checked in this one."""
    command = [sys.executable, "-c", ANY_LENGTH]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


# ---- AdamW with fewer counters ----


def two_optimizers(shapes, **how):
    """Equal parameters, ours and PyTorch's AdamW over them."""
    torch.manual_seed(0)
    ours = [torch.randn(shape).requires_grad_() for shape in shapes]
    theirs = [p.detach().clone().requires_grad_() for p in ours]
    how = {"lr": 1e-2, "fused": True} | how
    return ours, theirs, speed.AdamW(ours, **how), torch.optim.AdamW(theirs, **how)


def go(ours, theirs, a, b, steps, without=()):
    for _ in range(steps):
        for i, (p, q) in enumerate(zip(ours, theirs, strict=True)):
            gradient = None if i in without else torch.randn_like(p)
            p.grad, q.grad = gradient, gradient if gradient is None else gradient.clone()
        a.step()
        b.step()


def same_all(ours, theirs, a, b):
    for p, q in zip(ours, theirs, strict=True):
        assert torch.equal(p, q)
    left, right = a.state_dict(), b.state_dict()
    assert left["state"].keys() == right["state"].keys()
    for i, state in right["state"].items():
        assert state.keys() == left["state"][i].keys()
        for key, value in state.items():
            assert (
                torch.equal(left["state"][i][key], value)
                and value.dtype == left["state"][i][key].dtype
            )


SHAPES = [(5, 3), (4,), (2, 3, 2), (1,)]


@pytest.mark.parametrize("how", [{}, {"weight_decay": 0.3}, {"betas": (0.5, 0.6)}, {"eps": 0.1}])
def test_adamw_makes_pytorchs_steps_and_keeps_its_state(how):
    four = two_optimizers(SHAPES, **how)
    go(*four, 5)
    same_all(*four)


def test_adamw_counts_apart_what_steps_apart():
    """A parameter without a gradient keeps its count while the others, that shared it, go on."""
    four = two_optimizers(SHAPES)
    go(*four, 2)
    go(*four, 3, without=(1,))
    same_all(*four)
    go(*four, 2)
    same_all(*four)
    counts = [int(s["step"]) for s in four[2].state_dict()["state"].values()]
    assert counts == [7, 4, 7, 7]


@pytest.mark.parametrize("turned", [False, True])
def test_adamw_goes_on_from_what_either_saved(turned):
    ours, theirs, a, b = two_optimizers(SHAPES)
    go(ours, theirs, a, b, 3)
    again, torchs = speed.AdamW(ours, 1e-2, fused=True), torch.optim.AdamW(theirs, 1e-2, fused=True)
    first, second = (b, a) if turned else (a, b)
    again.load_state_dict(first.state_dict())
    torchs.load_state_dict(second.state_dict())
    go(ours, theirs, again, torchs, 3)
    same_all(ours, theirs, again, torchs)


@pytest.mark.parametrize("how", [{"amsgrad": True}, {"maximize": True}, {"fused": False}])
def test_adamw_leaves_to_pytorch_what_it_does_not_do(how):
    four = two_optimizers(SHAPES, **how)
    go(*four, 3)
    same_all(*four)


@pytest.mark.parametrize("how", [{}, {"amsgrad": True}])
def test_hooks_of_adamw_are_called_once_a_step(how):
    """Also after PyTorch's own class, whose step then calls hooks too."""
    ours, _, optimizer, _ = two_optimizers(SHAPES, **how)
    calls = []
    optimizer.register_step_pre_hook(lambda *_: calls.append("before"))
    optimizer.register_step_post_hook(lambda *_: calls.append("after"))
    ours[0].grad = torch.ones_like(ours[0])
    optimizer.step()
    assert calls == ["before", "after"]


def test_adamw_says_what_pytorch_says_of_gradients_it_cannot_take():
    table = torch.nn.Embedding(5, 3, sparse=True)
    optimizer = speed.AdamW(table.parameters(), fused=True)

    def closure():
        loss = table(torch.tensor([1, 2])).sum()
        loss.backward()
        return loss

    with pytest.raises(RuntimeError, match="does not support sparse gradients"):
        optimizer.step(closure)
    number = torch.ones(2, dtype=torch.complex64).requires_grad_()
    number.grad = torch.ones_like(number)
    with pytest.raises(RuntimeError, match="params to be floating point"):
        speed.AdamW([number], fused=True).step()


def test_adamw_takes_groups_schedules_and_closures():
    p, q = torch.ones(3).requires_grad_(), torch.ones(2).requires_grad_()
    optimizer = speed.AdamW([{"params": [p], "lr": 0.1}, {"params": [q], "lr": 0.0}], fused=True)
    scheduler = torch.optim.lr_scheduler.StepLR(optimizer, 1, 0.5)

    def closure():
        optimizer.zero_grad()
        loss = p.sum() + q.sum()
        loss.backward()
        return loss

    assert float(optimizer.step(closure).detach()) == 5
    scheduler.step()
    assert optimizer.param_groups[0]["lr"] == 0.05
    assert torch.equal(q.detach(), torch.ones(2)) and (p < 1).all()


@pytest.mark.parametrize("infinite", [False, True])
def test_adamw_heeds_what_scales_the_loss(infinite):
    """A scaler tells the optimizer its scale, and whether a gradient was infinite: then no step is made."""
    ours, theirs, a, b = two_optimizers(SHAPES)
    go(ours, theirs, a, b, 2)
    for optimizer, parameters in ((a, ours), (b, theirs)):
        scaler = torch.amp.GradScaler("cpu", init_scale=1024.0)
        torch.manual_seed(1)
        loss = sum((p * torch.randn_like(p)).sum() for p in parameters)
        scaler.scale(loss * (torch.inf if infinite else 1)).backward()
        scaler.step(optimizer)
    same_all(ours, theirs, a, b)
    assert all(p.isfinite().all() for p in ours)


def test_adamw_hands_a_step_over_with_a_counter_for_each_tensor():
    ours, theirs, a, b = two_optimizers(SHAPES)
    go(ours, theirs, a, b, 3)
    for optimizer in (a, b):
        optimizer.param_groups[0]["maximize"] = True
    go(ours, theirs, a, b, 2)
    same_all(ours, theirs, a, b)
    assert {int(s["step"]) for s in a.state_dict()["state"].values()} == {5}


def test_adamw_saves_after_somebody_asked_for_a_state_that_is_empty():
    ours, _, a, _ = two_optimizers(SHAPES)
    assert not a.state[ours[0]]
    assert a.state_dict()["state"] == {0: {}}


def test_saved_bytes_counts_each_piece_of_memory_once_without_parameters_and_inputs():
    model = nn.Sequential(nn.Linear(3, 5), nn.ReLU(), nn.Linear(5, 2))
    x = torch.randn(7, 3, requires_grad=True)
    between = 7 * 5 * 4  # the ReLU's output: for itself and for the layer behind it
    assert saved_bytes(model, x) == between
    with torch.no_grad():
        assert saved_bytes(model, x) == 0
    layer, x = MultiHeadAttention(4, 2), torch.randn(1, 8, 4, requires_grad=True)
    maps, none = (saved_bytes(layer, x, None, return_attention=way) for way in (True, False))
    assert maps - none == 4 * (2 * 8 * 8 - 2 * 8 - 3 * 4 * 4)  # chapter 6 has the formulas
