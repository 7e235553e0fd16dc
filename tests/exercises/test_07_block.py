"""The checks of chapter 07 accept right answers and name the commonest wrong ones."""

import pytest
import torch
from torch.nn import functional as F

from tests.exercises.checks import verdict

CHAPTER = "07_block"


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


def test_norm():
    assert says("check_norm", norm).startswith("Right")
    assert says(
        "check_norm",
        lambda x: (
            (x - x.mean(-1)[..., None])
            * torch.rsqrt((x**2).mean(-1)[..., None] - x.mean(-1)[..., None] ** 2 + 1e-5)
        ),
    ).startswith("Right")
    assert "C - 1" in says("check_norm", lambda x: norm(x, correction=1))
    assert "over the positions" in says("check_norm", lambda x: norm(x, 1))
    assert "over the batch" in says("check_norm", lambda x: norm(x, 0))
    assert "inside the root" in says("check_norm", lambda x: norm(x, eps=0, outside=1e-5))
    assert "Epsilon is missing" in says("check_norm", lambda x: norm(x, eps=0))
    assert "not subtracted" in says("check_norm", lambda x: norm(x, centre=False))
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
        ({"start": "norm"}, "starts from x"),
        ({"keep": (0, 1)}, "first residual is lost"),
        ({"keep": (1, 0)}, "second residual is lost"),
        ({"reads": "old"}, "new stream"),
        ({"second": "none"}, "norm is missing"),
        ({"keep": (0, 0)}, "Not a block"),
    ],
)
def test_repaired_names_the_bug(options, expected):
    assert expected in says("check_repaired", lambda b, x: block_output(b, x, **options))


def test_repaired():
    assert says("check_repaired", block_output).startswith("Right")
    assert says("check_repaired", by_functions).startswith("Right")
    assert says("check_repaired", lambda b, x: b(x)[0]).startswith("Right")
    assert "post-norm" in says("check_repaired", post_norm)


def by_equation(block):
    x = torch.randn(1, 3, block.attention_norm.normalized_shape[0])
    out = block(x)[0]
    return bool(torch.allclose(out, block_output(block, x), atol=1e-5))


def test_residuals():
    assert says("check_residuals", by_equation).startswith("Right")
    assert "True of a block with the second only" in says("check_residuals", lambda b: True)
    assert "False of a block with both" in says("check_residuals", lambda b: False)


def test_variance():
    def right(start, v, layers, scaled):
        return start + (v if scaled else v * layers * 2)

    def scaled_as(factor):
        return lambda s, v, L, scaled: (s + 2 * L * v * factor(L)) if scaled else s + 2 * L * v

    assert says("check_variance", right).startswith("Right")
    assert "by 2L" in says("check_variance", scaled_as(lambda L: (2 * L) ** -0.5))
    assert "two writers" in says("check_variance", scaled_as(lambda L: 1 / L))
    assert "start is not divided" in says(
        "check_variance", lambda s, v, L, scaled: (s + 2 * L * v) / (2 * L if scaled else 1)
    )
    assert "writes twice" in says("check_variance", lambda s, v, L, k: s + (v / L if k else L * v))
    assert "part of the sum" in says("check_variance", lambda s, v, L, k: v if k else 2 * L * v)
    assert "not 9" in says("check_variance", lambda *a: 9.0)
