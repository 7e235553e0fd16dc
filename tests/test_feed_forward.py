"""The feed-forward network: equal to PyTorch's linear layers, each position alone, clear about bad input."""

from functools import partial

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.func import functional_call, jacrev
from torch.testing import assert_close

from tests.builders import as_trained, unchecked
from transformer_lib.feed_forward import Dropout, FeedForward, drop

exact = settings(max_examples=25, deadline=None)
shapes = st.tuples(st.integers(1, 4), st.integers(1, 6), st.integers(1, 9))


make = partial(as_trained, FeedForward, std=0.5)


def twin(network):
    """PyTorch's modules in a row, with copied weights."""
    C, inner = network.expand.in_features, network.expand.out_features
    other = nn.Sequential(nn.Linear(C, inner), nn.ReLU(), nn.Linear(inner, C))
    other = other.to(network.expand.weight.dtype)
    copied = zip(other.parameters(), network.parameters(), strict=True)
    with torch.no_grad():
        for theirs, ours in copied:
            theirs.copy_(ours)
    return other


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
@pytest.mark.parametrize("shape", [(1, 1, 1), (2, 6, 4), (3, 5, 7), (2, 10, 64)])
def test_equals_pytorch_in_values_and_gradients(shape, dtype):
    network = make(shape[-1], dtype=dtype)
    other = twin(network)
    x = torch.randn(shape, dtype=dtype, requires_grad=True)
    z = x.detach().clone().requires_grad_()
    wish = torch.randn(shape, dtype=dtype)
    ours, theirs = network(x), other(z)
    assert_close(ours, theirs)
    (ours * wish).sum().backward()
    (theirs * wish).sum().backward()
    assert_close(x.grad, z.grad)
    for p, q in zip(network.parameters(), other.parameters(), strict=True):
        assert_close(p.grad, q.grad)


@exact
@given(shapes, st.integers(0, 99))
def test_equals_the_equation(shape, seed):
    network = make(shape[-1], seed=seed)
    x = torch.randn(shape, dtype=torch.float64)
    inner = x @ network.expand.weight.T + network.expand.bias
    expected = inner.clamp(min=0) @ network.contract.weight.T + network.contract.bias
    assert_close(network(x), expected)


@exact
@given(shapes, st.integers(0, 99))
def test_each_position_is_worked_on_alone(shape, seed):
    B, T, C = shape
    network = make(C, seed=seed)
    x = torch.randn(shape, dtype=torch.float64)
    whole = network(x)
    for t in range(T):
        assert_close(network(x[:, t : t + 1]), whole[:, t : t + 1])
    order = torch.randperm(T)
    assert_close(network(x[:, order]), whole[:, order])
    for b in range(B):
        assert_close(network(x[b : b + 1]), whole[b : b + 1])


def test_no_derivative_between_positions():
    network = make(4)
    x = torch.randn(1, 5, 4, dtype=torch.float64)
    table = jacrev(network)(x)[0, :, :, 0].norm(dim=(1, 3))
    assert torch.equal(table, table.diag().diag())
    assert (table.diag() > 0).all()


def test_is_not_linear():
    network = make(8)
    x, y = torch.randn(2, 3, 5, 8, dtype=torch.float64)
    middle = (network(x) + network(y)) / 2
    assert (network((x + y) / 2) - middle).abs().max() > 0.1


def test_outputs_have_both_signs():
    network = make(8)
    out = network(torch.randn(4, 20, 8, dtype=torch.float64))
    assert (out > 0).any() and (out < 0).any()


@pytest.mark.parametrize("C", [1, 4, 64, 384])
def test_inner_width_is_four_times_the_outer(C):
    network = FeedForward(C)
    assert network.expand.weight.shape == (4 * C, C)
    assert network.contract.weight.shape == (C, 4 * C)
    assert sum(p.numel() for p in network.parameters()) == 8 * C * C + 5 * C
    assert sorted(network.state_dict()) == [
        "contract.bias",
        "contract.weight",
        "expand.bias",
        "expand.weight",
    ]


def test_sum_over_units_of_strength_times_value():
    network = make(5)
    x = torch.randn(2, 3, 5, dtype=torch.float64)
    total = network.contract.bias.expand(2, 3, 5).clone()
    for key, bias, value in zip(
        network.expand.weight, network.expand.bias, network.contract.weight.T, strict=True
    ):
        total = total + (x @ key + bias).clamp(min=0)[..., None] * value
    assert_close(network(x), total)


def test_a_dead_unit_gets_no_gradient():
    network = make(6)
    with torch.no_grad():
        network.expand.bias[:5] = -100
    network(torch.randn(3, 100, 6, dtype=torch.float64)).square().sum().backward()
    gradient = network.expand.weight.grad.norm(dim=1)
    assert (gradient[:5] == 0).all() and (gradient[5:] > 0).all()


def test_dropout_drops_and_rescales_the_output_in_training_only():
    network = make(64, dropout=0.25)
    x = torch.randn(8, 50, 64, dtype=torch.float64)
    clean = network.eval()(x)
    assert torch.equal(clean, network(x))
    noisy = network.train()(x)
    dropped = noisy == 0
    assert 0.23 < dropped.double().mean() < 0.27
    assert_close(noisy[~dropped], clean[~dropped] / 0.75)


def test_without_dropout_training_and_evaluation_agree():
    network = make(8)
    x = torch.randn(2, 3, 8, dtype=torch.float64)
    assert torch.equal(network.train()(x), network.eval()(x))


def test_gradients_by_finite_differences():
    network = make(3)
    x = torch.randn(2, 2, 3, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(network, x)


def test_output_depends_on_the_parameters_given_by_functional_call():
    network = make(4)
    x = torch.randn(1, 2, 4, dtype=torch.float64)
    doubled = {n: 2 * p for n, p in network.state_dict().items()}
    assert not torch.allclose(functional_call(network, doubled, x), network(x))


@pytest.mark.parametrize("C", [0, -1])
def test_width_below_one(C):
    with pytest.raises(ValueError, match=f"^embedding_dim must be at least 1, got {C}$"):
        FeedForward(C)


@pytest.mark.parametrize("dropout", [-0.1, 1.0, 1.5])
def test_dropout_that_is_no_probability(dropout):
    with pytest.raises(ValueError, match=f"^dropout must be from 0 to below 1, got {dropout}$"):
        FeedForward(4, dropout=dropout)


@pytest.mark.parametrize("shape", [(2, 3, 5), (3, 4), (4,), (0, 3, 4), (2, 0, 4), (1, 2, 3, 4)])
def test_input_of_another_shape(shape):
    with pytest.raises(ValueError) as error:
        unchecked(FeedForward(4), torch.zeros(shape))
    assert str(error.value) == (f"x must have shape (B, T, 4) with B and T at least 1, got {shape}")


# ---- dropout alone ----


@pytest.mark.parametrize("p", [0.05, 0.1, 0.3, 0.5, 0.9, 0.999])
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16])
def test_numbers_are_dropped_with_their_probability_and_made_up_for(p, dtype):
    torch.manual_seed(0)
    x = torch.randn(200, 999, dtype=dtype).abs() + 1
    found = drop(x, p)
    kept = found != 0
    exact = 1 - round(p * 65536) / 65536
    for part in (kept, *(kept.flatten()[i::4] for i in range(4))):  # each of four coins
        share = part.double().mean().item()
        assert abs(share - exact) < 4 * (p * (1 - p) / part.numel()) ** 0.5 + 1e-12
    assert found.dtype == dtype
    scale = torch.tensor(1 / exact, dtype=dtype)
    assert_close(found[kept], (x * scale)[kept])


def test_coins_know_nothing_of_one_another():
    torch.manual_seed(0)
    kept = (drop(torch.ones(400_000), 0.3) != 0).double() - 0.7
    spread = 0.3 * 0.7 / 400_000**0.5
    for lag in range(1, 9):
        assert abs((kept[:-lag] * kept[lag:]).mean()) < 4 * spread, lag


@pytest.mark.parametrize("shape", [(), (0,), (1,), (3, 5), (2, 3, 7)])
def test_any_shape_and_any_order_in_memory_is_dropped(shape):
    x = torch.ones(shape)
    found = drop(x, 0.5)
    assert found.shape == x.shape and set(found.flatten().tolist()) <= {0.0, 2.0}
    turned = torch.arange(1.0, 1001).view(20, 50).T
    found = drop(turned, 0.5)
    assert_close(found[found != 0], 2 * turned[found != 0])


def test_the_gradient_goes_where_the_number_went():
    x = torch.randn(1000, dtype=torch.float64, requires_grad=True)
    found = drop(x, 0.25)
    found.sum().backward()
    assert_close(x.grad, (found / x).detach())


@pytest.mark.parametrize("p", [0.0, 1e-7, 1.0, 0.9999999])
def test_probabilities_that_no_coin_has_are_pytorchs(p):
    x = torch.randn(1000)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        found = drop(x, p)
        torch.manual_seed(0)
        assert torch.equal(found, torch.nn.functional.dropout(x, p))


def test_dropout_draws_from_the_global_generator_and_rests_in_evaluation():
    part, x = Dropout(0.5), torch.randn(1000)
    with torch.random.fork_rng():
        torch.manual_seed(3)
        first, second = part(x), part(x)
        torch.manual_seed(3)
        assert torch.equal(part(x), first) and not torch.equal(first, second)
        state = torch.get_rng_state()
        assert part.eval()(x) is x and torch.equal(torch.get_rng_state(), state)
    assert isinstance(part, torch.nn.Dropout)


def test_elsewhere_than_on_a_cpu_dropout_is_pytorchs():
    assert drop(torch.ones(2, 3, device="meta"), 0.5).is_meta
