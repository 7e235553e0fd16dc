"""The checks of the block's exercises accept right answers and name the commonest wrong ones."""

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from tests.exercises.checks import verdict

CHAPTER = "08_block"


def says(check, answer):
    return verdict(CHAPTER, check, answer)


def stub(*arguments):
    return None


def fails(*arguments):
    raise RuntimeError("oh")


def test_every_stub_is_told_so_and_no_error_escapes():
    for check in ("check_folded", "check_repaired", "check_residuals", "check_variance"):
        assert says(check, stub).startswith("Not yet")
        assert "oh" in says(check, fails)


@torch.no_grad()
def fold(norm, linear, *, columns=True, gamma=True, beta="through", old=True):
    W, b, g = linear.weight, linear.bias, norm.weight if gamma else torch.ones(6)
    new = torch.nn.Linear(6, 6)
    new.weight.copy_(W * g if columns else W * g[:, None])
    biases = {"through": W @ norm.bias, "bare": norm.bias, "scaled": W @ (g * norm.bias)}
    biases |= {"turned": W.T @ norm.bias, None: torch.zeros(6)}
    new.bias.copy_(biases[beta] + b * old)
    return new


def fold_by_asking(norm, linear):
    """From the answers to the zero vector and to one number at a time."""
    new, rows = torch.nn.Linear(6, 6), torch.eye(6)
    after = [linear(row * norm.weight + norm.bias) for row in rows]
    new.bias = torch.nn.Parameter(linear(norm.bias).detach())
    new.weight.data = torch.stack([row - new.bias for row in after], 1).detach()
    return new


def fold_by_product(norm, linear):
    new = torch.nn.Linear(6, 6)
    new.weight = torch.nn.Parameter(linear.weight @ torch.diag(norm.weight))
    new.bias = torch.nn.Parameter(torch.nn.functional.linear(norm.bias, linear.weight, linear.bias))
    return new


@torch.no_grad()
def fold_in_place(norm, linear):
    linear.bias += linear.weight @ norm.bias
    linear.weight *= norm.weight
    return linear


def test_folded():
    for answer in (fold, fold_by_asking, fold_by_product):
        assert says("check_folded", answer).startswith("Right:")
    assert "make a new layer" in says("check_folded", fold_in_place)
    assert "old layer" in says("check_folded", lambda norm, linear: linear)
    assert "Return a linear layer" in says("check_folded", lambda n, x: torch.nn.Sequential(n, x))
    assert "(2, 5, 3) comes out" in says("check_folded", lambda n, x: torch.nn.Linear(6, 3))
    assert "Not equal" in says("check_folded", lambda n, x: torch.nn.Linear(6, 6))


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"beta": None}, "β is missing"),
        ({"gamma": False}, "γ is missing"),
        ({"old": False}, "old bias is missing"),
        ({"beta": None, "old": False}, "Both biases"),
        ({"beta": "bare"}, "before it joins the bias"),
        ({"beta": "scaled"}, "γ has not touched it"),
        ({"columns": False}, "columns of the matrix, which read"),
        ({"columns": False, "beta": None}, "and β is missing"),
        ({"beta": "turned"}, "its transpose"),
    ],
)
def test_folded_names_the_mistake(options, expected):
    said = says("check_folded", lambda norm, linear: fold(norm, linear, **options))
    assert expected in said and not said.startswith("Right")


def block_output(block, x, *, start="x", second=None, keep=(1, 1), reads="new"):
    norm1, norm2 = block.attention_norm, block.feed_forward_norm
    told = block.attention(norm1(x), return_attention=False)[0]
    new = told + keep[0] * (x if start == "x" else norm1(x))
    seen = new if reads == "new" else x
    seen = {"none": lambda z: z, "first": norm1, None: norm2}[second](seen)
    return block.feed_forward(seen) + keep[1] * new


def post_norm(block, x):
    x = block.attention_norm(x + block.attention(x)[0])
    return block.feed_forward_norm(x + block.feed_forward(x))


def by_functions(block, x):
    def ln(x, module):
        return F.layer_norm(x, (x.shape[-1],), module.weight, module.bias)

    x = block.attention(ln(x, block.attention_norm))[0] + x
    return block.feed_forward(ln(x, block.feed_forward_norm)) + x


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"start": "norm", "second": "first"}, "Both bugs"),
        ({"second": "first"}, "second norm"),
        ({"start": "norm"}, "must start from x"),
        ({"keep": (0, 1)}, "first residual is lost"),
        ({"keep": (1, 0)}, "second residual is lost"),
        ({"reads": "old"}, "new stream"),
        ({"second": "none"}, "norm is missing"),
        ({"keep": (0, 0)}, "Not a block"),
    ],
)
def test_repaired_names_the_bug(options, expected):
    assert expected in says("check_repaired", lambda b, x: block_output(b, x, **options))


def block_with(norm1, norm2):
    """The output of a block whose parts read what these two functions give."""

    def output(block, x):
        x = x + block.attention(norm1(block)(x))[0]
        return x + block.feed_forward(norm2(block)(x))

    return output


def nothing(block):
    return lambda x: x


def first(block):
    return block.attention_norm


def second(block):
    return block.feed_forward_norm


def second_sum_from_the_norm(block, x):
    x = block.feed_forward_norm(x + block.attention(block.attention_norm(x))[0])
    return x + block.feed_forward(x)


def test_repaired_names_the_norms():
    assert says("check_repaired", block_with(first, second)).startswith("Right:")
    assert "first norm is missing" in says("check_repaired", block_with(nothing, second))
    assert "Both norms" in says("check_repaired", block_with(nothing, nothing))
    assert "changed places" in says("check_repaired", block_with(second, first))
    assert "stream, not its norm" in says("check_repaired", second_sum_from_the_norm)
    assert "vectors alone" in says("check_repaired", lambda b, x: b(x))

    def second_sum_from_x(block, x):
        m = x + block.attention(block.attention_norm(x))[0]
        return x + block.feed_forward(block.feed_forward_norm(m))

    assert "from the new stream" in says("check_repaired", second_sum_from_x)


def test_repaired():
    assert says("check_repaired", block_output).startswith("Right:")
    assert says("check_repaired", by_functions).startswith("Right:")
    assert "Both bugs" in says(
        "check_repaired", lambda b, x: b(x)[0]
    )  # it runs what the text shows
    assert "(1, 2, 5, 8) comes out" in says("check_repaired", lambda b, x: block_output(b, x)[None])
    assert "post-norm" in says("check_repaired", post_norm)


def by_equation(block):
    x = torch.randn(1, 3, block.attention_norm.normalized_shape[0])
    out = block(x)[0]
    return bool(torch.allclose(out, block_output(block, x), atol=1e-5))


def by_large_input(block):
    x = 1e6 * torch.randn(1, 3, 8)
    return (block(x)[0] - x).abs().max() < 1e5


@torch.no_grad()
def all_weights_zero(block):
    for p in block.parameters():
        p *= 0
    return int((block(torch.ones(1, 3, 8))[0] == 1).all())


@torch.no_grad()
def biases_forgotten(block):
    block.attention.projection.weight.zero_()
    block.feed_forward.contract.weight.zero_()
    x = torch.randn(1, 3, 8)
    return torch.allclose(block(x)[0], x)


def test_residuals():
    assert says("check_residuals", by_large_input).startswith("Right:")
    assert says("check_residuals", all_weights_zero).startswith("Right:")
    assert "False of a block with both" in says("check_residuals", biases_forgotten)
    assert says("check_residuals", by_equation).startswith("Right:")
    assert "stopped" in says("check_residuals", lambda b: torch.ones(2))
    assert "True of a block with the second only" in says("check_residuals", lambda b: True)
    assert "False of a block with both" in says("check_residuals", lambda b: False)


def at_the_top(start, v, layers, r, scaled, *, n=2, pairs=None, variances=1, divide=None):
    """The variance of the sum, with mistakes to choose from."""
    count = n * layers
    pairs = count * (count - 1) if pairs is None else pairs(count)
    added = count * v * variances + pairs * r * v
    if not scaled:
        return start + added
    return divide(start, added, count) if divide else start + added / count


def by_drawing(start, v, layers, r, scaled):
    """The sum of all entries of the table of mean products."""
    table = torch.full((2 * layers, 2 * layers), r * v).fill_diagonal_(v)
    return start + table.sum() / (2 * layers if scaled else 1)


def in_a_loop(start, v, layers, r, scaled):
    v = v / (2 * layers) if scaled else v
    for done in range(2 * layers):
        start = start + v + 2 * done * r * v
    return start


def test_variance():
    for answer in (at_the_top, by_drawing, in_a_loop, lambda *a: np.float64(at_the_top(*a))):
        assert says("check_variance", answer).startswith("Right:")
    swapped = says("check_variance", lambda s, v, L, r, k: at_the_top(s, v, L, r, not k))
    assert "other way round" in swapped
    assert "where is r" in says("check_variance", lambda s, v, L, r, k: at_the_top(s, v, L, 0, k))
    assert "start is part" in says("check_variance", lambda s, *a: at_the_top(0, *a))
    fixed = says("check_variance", lambda s, v, L, r, k: at_the_top(s, v, L, 0.5, k))
    assert "for r = 0 it must be" in fixed
    assert "not 9.0, 9.0" in says("check_variance", lambda *a: 9.0)


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"n": 1}, "writes twice"),
        ({"pairs": lambda n: n * (n - 1) / 2}, "Each pair comes twice"),
        ({"pairs": lambda n: n * n}, "not with itself"),
        ({"variances": 0}, "variances of the writes are missing"),
        ({"divide": lambda s, added, n: s + added / n**0.5}, "by the root"),
        ({"divide": lambda s, added, n: (s + added) / n}, "start is not divided"),
        ({"divide": lambda s, added, n: s + 0.3 + added - n * 0.3}, "products of two writes"),
        ({"divide": lambda s, added, n: s + 2 * added / n}, "two writers per layer"),
    ],
)
def test_variance_names_the_mistake(options, expected):
    said = says("check_variance", lambda *a: at_the_top(*a, **options))
    assert expected in said
