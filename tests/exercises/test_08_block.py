"""The checks of the block's exercises accept right answers and name the commonest wrong ones."""

import math

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
    for check in ("check_norm", "check_repaired", "check_residuals", "check_variance"):
        assert says(check, stub).startswith("Not yet")
        assert "oh" in says(check, fails)


def norm(x, axes=-1, correction=0, eps=1e-5, outside=0.0, centre=True):
    variance = torch.var(x, axes, correction=correction, keepdim=True)
    x = x - x.mean(axes, keepdim=True) if centre else x
    return x / (torch.sqrt(variance + eps) + outside)


def norm_in_loops(x):
    out = torch.zeros(x.shape)  # 32 bits
    for b in range(len(x)):
        for t, row in enumerate(x[b]):
            m = sum(row) / len(row)
            out[b, t] = (row - m) / math.sqrt(sum((c - m) ** 2 for c in row) / len(row) + 1e-5)
    return out


def norm_with_numpy(x):
    x = x.numpy() - x.numpy().mean(-1, keepdims=True)
    return x / np.sqrt((x**2).mean(-1, keepdims=True) + 1e-5)


def test_norm():
    assert says("check_norm", norm).startswith("Right:")
    assert says("check_norm", lambda x: list(norm(x))).startswith("Right:")
    assert says("check_norm", norm_in_loops).startswith("Right:")
    assert says("check_norm", norm_with_numpy).startswith("Right:")
    assert says("check_norm", lambda x: norm_in_loops(x).tolist()).startswith("Right:")
    both = says("check_norm", lambda x: norm(x, correction=1, eps=0, outside=1e-5))
    assert "C - 1" in both and "inside the root" in both
    both = says("check_norm", lambda x: norm(x, correction=1, eps=0))
    assert "C - 1" in both and "epsilon is missing" in both
    assert "a whole sentence" in says("check_norm", lambda x: norm(x, (1, 2)))
    assert "over everything" in says("check_norm", lambda x: norm(x, (0, 1, 2)))
    assert "root of the variance" in says(
        "check_norm",
        lambda x: (x - x.mean(-1, keepdim=True)) / (x.var(-1, correction=0, keepdim=True) + 1e-5),
    )
    assert says(
        "check_norm",
        lambda x: (
            (x - x.mean(-1)[..., None])
            * torch.rsqrt((x**2).mean(-1)[..., None] - x.mean(-1)[..., None] ** 2 + 1e-5)
        ),
    ).startswith("Right:")
    assert "C - 1" in says("check_norm", lambda x: norm(x, correction=1))
    assert "over the positions" in says("check_norm", lambda x: norm(x, 1))
    assert "over the batch" in says("check_norm", lambda x: norm(x, 0))
    assert "inside the root" in says("check_norm", lambda x: norm(x, eps=0, outside=1e-5))
    assert "Epsilon is missing" in says("check_norm", lambda x: norm(x, eps=0))
    assert "not subtracted" in says("check_norm", lambda x: norm(x, centre=False))
    assert "subtracted nowhere" in says(
        "check_norm", lambda x: x * torch.rsqrt(torch.mean(x**2, -1, keepdim=True) + 1e-5)
    )
    assert "(1, 3, 5, 8) comes out" in says("check_norm", lambda x: norm(x)[None])
    assert "Not equal" in says("check_norm", lambda x: x)


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


def test_variance():
    def right(start, v, layers, scaled):
        return start + (v if scaled else v * layers * 2)

    def scaled_as(factor):
        return lambda s, v, L, scaled: (s + 2 * L * v * factor(L)) if scaled else s + 2 * L * v

    def in_a_loop(start, v, layers, scaled):
        for _ in range(2 * layers):
            start = start + torch.tensor(v / (2 * layers if scaled else 1))
        return start

    assert says("check_variance", right).startswith("Right:")
    assert says("check_variance", in_a_loop).startswith("Right:")
    assert says("check_variance", lambda *a: np.float32(right(*a))).startswith("Right:")
    assert "not multiplied" in says(
        "check_variance", lambda s, v, L, k: s * (1 + (v if k else 2 * L * v))
    )
    assert "other way round" in says("check_variance", lambda s, v, L, k: right(s, v, L, not k))
    assert "by 2L" in says("check_variance", scaled_as(lambda L: (2 * L) ** -0.5))
    assert "two writers" in says("check_variance", scaled_as(lambda L: 1 / L))
    assert "start is not divided" in says(
        "check_variance", lambda s, v, L, scaled: (s + 2 * L * v) / (2 * L if scaled else 1)
    )
    assert "writes twice" in says("check_variance", lambda s, v, L, k: s + (v / L if k else L * v))
    assert "part of the sum" in says("check_variance", lambda s, v, L, k: v if k else 2 * L * v)
    assert "not 9" in says("check_variance", lambda *a: 9.0)
    assert "not 14" in says(
        "check_variance", lambda s, v, L, k: s * (1 + (v / 2 if k else L * v))
    )  # right where the start is 2
