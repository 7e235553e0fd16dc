"""Muon and the groups of the optimizers: what would break if a step were another one."""

import math

import pytest
import torch
from torch import nn
from torch.testing import assert_close

from transformer_lib.batches import Windows
from transformer_lib.classifier import Classifier, EncoderClassifier
from transformer_lib.decoder import Decoder
from transformer_lib.devices import choose_precision
from transformer_lib.encoder import Encoder
from transformer_lib.optimizers import (
    Muon,
    WeightAverage,
    make_optimizers,
    orthogonalize,
    products_dtype,
)
from transformer_lib.training import language_loss

V, T = 12, 8
SHAPES = [
    (1, 1), (1, 9), (9, 1), (2, 2), (3, 7), (7, 3), (8, 8), (16, 16), (31, 77), (32, 128), (128, 32),
    (63, 65), (64, 64), (100, 150), (128, 128), (128, 256), (256, 128), (128, 512), (512, 128), (40, 1500), (384, 384),
]  # fmt: skip


def decoder(seed=0):
    torch.manual_seed(seed)
    return Decoder(V, T, embedding_dim=16, num_heads=2, num_layers=2)


def classifier(seed=0):
    torch.manual_seed(seed)
    encoder = Encoder(V, T, embedding_dim=16, num_heads=2, num_layers=1)
    return EncoderClassifier(encoder, Classifier(16, 16, 3))


def windows():
    return Windows(torch.randint(V, (400,), generator=torch.Generator().manual_seed(1)), T, 8)


def plain(matrix, dtype=torch.float64, rounds=5):
    """The rounds as they are written in the literature, one matrix."""
    if matrix.shape[0] > matrix.shape[1]:
        return plain(matrix.T, dtype, rounds).T
    x = matrix.to(dtype) / matrix.to(dtype).norm()
    for _ in range(rounds):
        a = x @ x.T
        x = 3.4445 * x + (-4.7750 * a + 2.0315 * a @ a) @ x
    return x


# ---------------------------------------------------------------- the rounds


@pytest.mark.parametrize("rounds", [4, 5])
@pytest.mark.parametrize("falling", [False, True], ids=["random", "falling"])
@pytest.mark.parametrize("shape", SHAPES)
def test_the_rounds_are_those_written_out_in_float64(shape, falling, rounds):
    """To 1e-6 (1e-5 where singular values fall), or three times what the rounds miss in float32."""
    torch.manual_seed(sum(shape))
    matrices = torch.randn(3, *shape) * torch.tensor([1e-4, 1.0, 1e4])[:, None, None]
    if falling:  # the singular values, over three powers of ten
        matrices = matrices * torch.logspace(0, -3, shape[0])[:, None]
    found = orthogonalize(matrices, torch.float32, ns_steps=rounds)
    assert found.dtype == torch.float32
    exact = torch.stack([plain(matrix, rounds=rounds) for matrix in matrices])
    rounded = torch.stack([plain(matrix, torch.float32, rounds) for matrix in matrices])
    missed = (rounded - exact).abs().max()
    assert (found - exact).abs().max() < max(1e-5 if falling else 1e-6, 3 * missed)


@pytest.mark.parametrize("rounds", [1, 2, 3, 6, 7])
@pytest.mark.parametrize("shape", [(20, 80), (80, 20), (40, 50)])
def test_any_number_of_rounds_is_done(shape, rounds):
    torch.manual_seed(0)
    matrix = torch.randn(1, *shape, dtype=torch.float64)
    found = orthogonalize(matrix, ns_steps=rounds)[0]
    assert_close(found, plain(matrix[0], rounds=rounds), rtol=0, atol=1e-11)


@pytest.mark.parametrize("shape", [(32, 128), (128, 512), (512, 128), (128, 128)])
def test_small_singular_values_are_not_lost(shape):
    torch.manual_seed(0)
    u, _, vt = torch.linalg.svd(torch.randn(*shape), full_matrices=False)
    for last in (-3, -5):
        matrix = u * torch.logspace(0, last, min(shape)) @ vt
        found = orthogonalize(matrix[None], torch.float32)[0]
        assert (found - plain(matrix)).abs().max() < 1e-5


def test_singular_values_come_near_one():
    torch.manual_seed(0)
    values = torch.linalg.svdvals(orthogonalize(torch.randn(2, 32, 128), torch.float32))
    assert values.min() > 0.6 and values.max() < 1.3


def test_bfloat16_products_are_close():
    torch.manual_seed(0)
    matrices = torch.randn(3, 64, 128)
    low, high = (orthogonalize(matrices, t) for t in (torch.bfloat16, torch.float32))
    assert low.dtype == torch.float32 and not torch.equal(low, high)
    assert (low - high).norm() < 0.03 * high.norm()


@pytest.mark.parametrize("shape", [(64, 384), (384, 64), (128, 512)])
def test_in_bfloat16_it_loses_no_more_than_the_plain_rounds(shape):
    torch.manual_seed(0)
    u, _, vt = torch.linalg.svd(torch.randn(*shape), full_matrices=False)
    matrix = u * torch.logspace(0, -3, min(shape)) @ vt  # as steep as gradients are
    x = (matrix.T if shape[0] > shape[1] else matrix) / matrix.norm()
    x = x.bfloat16()
    for _ in range(5):
        a = x @ x.T
        x = torch.addmm(x, torch.addmm(a, a, a, beta=-4.7750, alpha=2.0315), x, beta=3.4445)
    rounds = x.T if shape[0] > shape[1] else x
    exact = plain(matrix)
    found = orthogonalize(matrix[None], torch.bfloat16)[0]
    error, usual = ((y - exact).norm() / exact.norm() for y in (found, rounds))
    assert error < 1.5 * usual < 0.15


@pytest.mark.parametrize("tall", [False, True])
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float32])
def test_no_product_is_blown_up(dtype, tall):
    """Four rows hold nearly all: many rounds in one product would not notice what rounding did to the least."""
    torch.manual_seed(0)
    few = torch.linalg.qr(torch.randn(200, 256, 4))[0].mT
    turned = torch.linalg.qr(torch.randn(200, 4, 4))[0]
    rows = torch.nn.functional.pad(turned * 0.4 ** torch.arange(4.0) @ few, (0, 0, 0, 60))
    rows += 2e-5 * torch.randn(200, 64, 256)
    found = orthogonalize(rows.mT if tall else rows, dtype)
    assert torch.linalg.svdvals(found).max() < 1.3


@pytest.mark.parametrize("shape", [(300, 700), (700, 300), (300, 310), (520, 400)])
def test_large_symmetric_products_are_whole(shape):
    torch.manual_seed(0)
    matrices = torch.randn(2, *shape)
    found = orthogonalize(matrices, torch.float32)
    for one, matrix in zip(found, matrices, strict=True):
        assert (one - plain(matrix)).abs().max() < 3e-6


def test_a_gradient_of_zero_gives_no_step_and_no_nan():
    assert not orthogonalize(torch.zeros(2, 8, 16)).any()


def test_float64_stays_float64():
    matrix = torch.randn(1, 70, 80, dtype=torch.float64)
    assert_close(orthogonalize(matrix)[0], plain(matrix[0]), rtol=0, atol=1e-12)


def test_low_precision_only_where_it_is_much_faster(monkeypatch):
    if not hasattr(torch.cpu, "get_capabilities"):
        pytest.skip("this torch does not say what a processor can do")
    cpu = torch.device("cpu")
    for can, capability, products, precision in (
        ({"avx512_bf16": True, "amx_bf16": True}, "AVX512", torch.bfloat16, "bf16"),
        ({"amx_bf16": True}, "AVX512", torch.bfloat16, "bf16"),
        ({"avx512_bf16": True, "amx_bf16": True}, "AVX2", torch.float32, "no"),
        ({"avx512_bf16": True, "amx_bf16": True}, "DEFAULT", torch.float32, "no"),
        ({"avx512_bf16": True, "amx_bf16": False}, "AVX512", torch.float32, "bf16"),
        ({"avx512_bf16": True, "cpu_name": "Intel(R) Xeon(R)"}, "AVX512", torch.float32, "bf16"),
        ({"avx512_bf16": True, "cpu_name": "AMD EPYC"}, "AVX512", torch.bfloat16, "bf16"),
        ({"avx512_bf16": True, "cpu_name": "AMD EPYC"}, "AVX2", torch.float32, "no"),
        ({"avx512_bf16": False, "cpu_name": "AMD EPYC"}, "AVX512", torch.float32, "no"),
        ({"avx2": True, "avx512_f": True}, "AVX512", torch.float32, "no"),
        ({}, "DEFAULT", torch.float32, "no"),
    ):
        monkeypatch.setattr(torch.cpu, "get_capabilities", lambda can=can: can)
        monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda c=capability: c)
        assert (products_dtype(cpu), choose_precision("cpu")) == (products, precision), can
    assert products_dtype(torch.device("meta")) == torch.float32
    assert choose_precision("mps") == "no"
    for supported, precision in ((True, "bf16"), (False, "no")):
        monkeypatch.setattr(
            torch.cuda, "is_bf16_supported", lambda including_emulation, s=supported: s
        )
        assert choose_precision("cuda") == precision


# ---------------------------------------------------------------- the optimizer


def steps(optimizer, shapes, count=5, seed=0, **settings):
    """The matrices after some steps on random gradients, the same for every optimizer."""
    generator = torch.Generator().manual_seed(seed)
    matrices = [nn.Parameter(torch.randn(s, generator=generator)) for s in shapes]
    made = optimizer(matrices, **settings)
    for _ in range(count):
        for p in matrices:
            p.grad = torch.randn(p.shape, generator=generator)
        made.step()
    return [p.detach() for p in matrices]


@pytest.mark.skipif(not hasattr(torch.optim, "Muon"), reason="this torch has no Muon")
@pytest.mark.parametrize("settings", [{"momentum": 0.9, "ns_steps": 4}, {"momentum": 0.95}])
def test_steps_are_those_of_torch_within_its_rounding(settings):
    shapes = [(16, 64), (16, 64), (64, 16), (32, 32), (16, 64), (70, 100)]
    settings |= {"lr": 0.02, "weight_decay": 0.3}
    theirs = steps(torch.optim.Muon, shapes, adjust_lr_fn="match_rms_adamw", **settings)
    ours = steps(Muon, shapes, dtype=torch.float32, **settings)
    start = steps(Muon, shapes, count=0)
    for a, b, before in zip(ours, theirs, start, strict=True):
        assert (a - b).norm() < 0.02 * (a - before).norm()


def test_momentum_decay_and_length_are_the_formula():
    (found,) = steps(
        Muon, [(20, 50)], count=2, lr=0.1, weight_decay=0.5, momentum=0.8, dtype=torch.float32
    )
    generator = torch.Generator().manual_seed(0)
    w, average = torch.randn((20, 50), generator=generator).double(), torch.zeros(20, 50)
    for _ in range(2):
        g = torch.randn((20, 50), generator=generator)
        average = 0.8 * average + 0.2 * g
        w = w * (1 - 0.1 * 0.5) - 0.1 * 0.2 * math.sqrt(50) * plain(0.2 * g + 0.8 * average)
    assert_close(found.double(), w, rtol=0, atol=1e-6)


def test_equal_shapes_together_are_as_one_by_one(monkeypatch):
    shapes = [(16, 64), (64, 16), (16, 64), (16, 64), (64, 16)]
    together = steps(Muon, shapes, dtype=torch.float32)
    monkeypatch.setattr("transformer_lib.optimizers._stacks", lambda params: ([p] for p in params))
    for a, b in zip(together, steps(Muon, shapes, dtype=torch.float32), strict=True):
        assert_close(a, b, rtol=0, atol=1e-5)


def test_large_groups_are_worked_on_in_parts():
    shapes = [(256, 1024)] * 3  # two fit into a stack
    for a in steps(Muon, shapes, count=1, lr=1.0, weight_decay=0.0):
        assert a.isfinite().all()
    moved = steps(Muon, shapes, count=1, lr=0.1, weight_decay=0.0)
    for a, b in zip(moved, steps(Muon, shapes, count=0), strict=True):
        assert 0.015 < (a - b).square().mean().sqrt() < 0.023


def test_a_matrix_without_a_gradient_stays_and_is_not_remembered():
    p, q = nn.Parameter(torch.ones(4, 4)), nn.Parameter(torch.ones(4, 4))
    muon = Muon([p, q], lr=0.1)
    p.grad = torch.randn(4, 4)
    muon.step()
    assert torch.equal(q, torch.ones(4, 4)) and q not in muon.state
    assert not torch.equal(p, torch.ones(4, 4))


def test_a_closure_gives_its_loss():
    p = nn.Parameter(torch.ones(4, 4))
    muon = Muon([p], lr=0.1)

    def closure():
        muon.zero_grad()
        loss = p.square().sum()
        loss.backward()
        return loss

    assert muon.step(closure) == 16 and p.square().sum() < 16


def test_a_kernel_inside_a_block_is_no_matrix():
    """A convolution of one's own in a block: AdamW moves it, and it decays."""
    model = decoder()
    model.blocks[0].feed_forward.expand = nn.Conv1d(16, 64, 3)
    adamw, muon = make_optimizers(model, 1e-3, weight_decay=0.3)
    kernel = model.blocks[0].feed_forward.expand.weight
    decaying, _ = adamw.param_groups
    assert any(p is kernel for p in decaying["params"]) and decaying["weight_decay"] == 0.3
    (group,) = muon.param_groups
    assert all(p.ndim == 2 for p in group["params"]) and group["weight_decay"] == 0.3


def test_only_matrices_are_taken():
    with pytest.raises(ValueError, match=r"params must be matrices, got one of shape \(3,\)"):
        Muon([nn.Parameter(torch.zeros(3))])


def test_a_run_goes_on_from_its_state_to_the_last_bit():
    def moved(model, optimizers, first, last):
        for step in range(first, last):
            for optimizer in optimizers:
                optimizer.zero_grad()
            language_loss(model, windows()(step)).backward()
            for optimizer in optimizers:
                optimizer.step()

    whole, first = decoder(), decoder()
    moved(whole, make_optimizers(whole, 1e-2), 0, 6)
    optimizers = make_optimizers(first, 1e-2)
    moved(first, optimizers, 0, 3)
    second = decoder(seed=5)
    second.load_state_dict(first.state_dict())
    again = make_optimizers(second, 1e-2)
    for new, old in zip(again, optimizers, strict=True):
        state = {
            index: {key: value.clone() for key, value in kept.items()}
            for index, kept in old.state_dict()["state"].items()
        }  # what a checkpoint keeps: tensors by the index of their parameter
        new.load_state_dict(new.state_dict() | {"state": state})
    moved(second, again, 3, 6)
    for p, q in zip(whole.parameters(), second.parameters(), strict=True):
        assert torch.equal(p, q)


# ---------------------------------------------------------------- which parameter goes where


def names_in(model, optimizers):
    names = {id(p): name for name, p in model.named_parameters()}
    return [
        (type(o).__name__, group["weight_decay"], {names[id(p)] for p in group["params"]})
        for o in optimizers
        for group in o.param_groups
    ]


@pytest.mark.parametrize("muon", [1, 0])
@pytest.mark.parametrize("make", [decoder, classifier])
def test_each_parameter_has_one_group_and_only_matrices_decay(make, muon):
    model = make()
    groups = names_in(model, make_optimizers(model, 1e-3, muon=muon, weight_decay=0.3))
    found = [name for _, _, names in groups for name in names]
    assert sorted(found) == sorted(name for name, _ in model.named_parameters())
    parameters = dict(model.named_parameters())
    for kind, decay, names in groups:
        for name in names:
            matrix = parameters[name].ndim == 2 and "embedding" not in name
            assert decay == (0.3 if matrix else 0.0), name
            assert (kind == "Muon") == (muon and matrix and "blocks." in name), name


def test_a_muon_step_is_as_large_as_one_of_adamw():
    model = decoder()
    before = {name: p.detach().clone() for name, p in model.named_parameters()}
    language_loss(model, windows()(0)).backward()
    for optimizer in make_optimizers(model, 1e-3, weight_decay=0.0):
        optimizer.step()
    name = "blocks.0.attention.heads.0.value.weight"
    moved = (dict(model.named_parameters())[name] - before[name]).square().mean().sqrt()
    assert 1e-4 < moved < 4e-4


# ---------------------------------------------------------------- the average of the weights


def averaged(values, horizon, mean=None):
    """A parameter that took the values one after the other, and its average."""
    p = nn.Parameter(torch.zeros(3))
    mean = mean or WeightAverage([p], horizon)
    for value in values:
        p.data.copy_(value)
        mean.step()
    return p, mean


@pytest.mark.parametrize("horizon", [1, 2.5, 4, 100, math.inf])
def test_the_average_is_the_plain_mean_until_the_horizon_and_a_moving_one_after_it(horizon):
    values = torch.randn(9, 3, generator=torch.Generator().manual_seed(0))
    expected = values[0]
    for done, value in enumerate(values[1:], 2):
        share = max(1 / done, 1 / horizon)
        expected = (1 - share) * expected + share * value
    p, mean = averaged(values, horizon)
    assert torch.equal(p.data, values[-1])  # it moves nothing
    mean.swap()
    assert_close(p.data, expected)
    if horizon >= 100:
        assert_close(p.data, values.mean(0))
    mean.swap()
    assert torch.equal(p.data, values[-1])


def test_the_average_is_stored_and_taken_up():
    values = torch.randn(8, 3, generator=torch.Generator().manual_seed(0))
    whole, mean = averaged(values, 3)
    _, half = averaged(values[:4], 3)
    p = nn.Parameter(torch.zeros(3))
    again = WeightAverage([p], 3)
    again.load_state_dict(half.state_dict())
    for value in values[4:]:
        p.data.copy_(value)
        again.step()
    mean.swap(), again.swap()
    assert torch.equal(p.data, whole.data)


def test_before_the_first_step_there_is_nothing_to_exchange():
    p = nn.Parameter(torch.ones(3))
    mean = WeightAverage([p], 3)
    mean.swap()
    assert mean.state[p] == {}  # looked at, it is there from now on
    mean.swap()
    assert torch.equal(p.data, torch.ones(3))
    assert mean.step(lambda: 7) == 7  # the interface of PyTorch's optimizers


def test_a_model_of_blocks_alone_has_one_optimizer():
    blocks = nn.ModuleDict({"blocks": nn.ModuleList([nn.Linear(8, 8, bias=False)])})
    (muon,) = make_optimizers(blocks, 1e-3)
    assert isinstance(muon, Muon)


def test_an_average_passes_over_a_group_without_parameters():
    weight = nn.Parameter(torch.ones(2))
    mean = WeightAverage([{"params": []}, {"params": [weight]}], 5)
    mean.step()
    weight.data.fill_(3.0)
    mean.step()
    mean.swap()
    assert weight.tolist() == [2.0, 2.0]
