"""The checks of the attention head's exercises: right answers written in other ways, stubs, and the mistakes they name."""

import math

import numpy as np
import torch
from torch.nn import functional as F

from tests.exercises.checks import forms, verdict
from transformer_lib.attention_head import attention_weights

CHAPTER = "05_attention_head"


def say(check, answer):
    return verdict(CHAPTER, check, answer)


def test_shapes():
    right = [[3, 20, 12], [3, 20, 20], [12, 48]]
    for answer in forms(right):
        assert say("check_shapes", answer).startswith("Right:")
    assert say("check_shapes", None).startswith("Not yet")
    assert "query.weight is missing" in say("check_shapes", right[:2])
    assert "D = 12" in say("check_shapes", ((3, 20, 48), (3, 20, 20), (12, 48)))
    assert "output is wrong" in say("check_shapes", ((20, 12), (20, 20), (12, 48)))
    assert "weighs every token" in say("check_shapes", ((3, 20, 12), (3, 20, 12), (12, 48)))
    assert "transposed" in say("check_shapes", ((3, 20, 12), (3, 20, 20), (48, 12)))
    assert "query.weight" in say("check_shapes", ((3, 20, 12), (3, 20, 20), (48, 48)))


def test_attend():
    def loops(q, k, v):
        out = torch.zeros_like(v)
        for b in range(len(q)):
            for i in range(q.shape[1]):
                e = torch.stack(
                    [(q[b, i] @ k[b, j] / math.sqrt(q.shape[2])).exp() for j in range(k.shape[1])]
                )
                out[b, i] = (e / e.sum()) @ v[b]
        return out

    def with_numpy(q, k, v):
        q, k, v = (part.numpy() for part in (q, k, v))
        e = np.exp(q @ k.transpose(0, 2, 1) / np.sqrt(q.shape[-1]))
        return e / e.sum(-1, keepdims=True) @ v

    def einsum(q, k, v):
        A = torch.einsum("bid,bjd->bij", q * q.shape[-1] ** -0.5, k).softmax(-1)
        return torch.einsum("bij,bjd->bid", A, v).double()

    assert say("check_attend", loops).startswith("Right:")
    assert say("check_attend", lambda *qkv: loops(*qkv).tolist()).startswith("Right:")
    assert say("check_attend", lambda *qkv: list(loops(*qkv))).startswith("Right:")
    assert say("check_attend", with_numpy).startswith("Right:")
    assert say("check_attend", einsum).startswith("Right:")
    assert say("check_attend", lambda q, k, v: F.softmax((q / 3) @ k.mT, dim=2) @ v).startswith(
        "Right:"
    )
    assert say("check_attend", lambda q, k, v: None).startswith("Not yet")
    assert say("check_attend", lambda q, k, v: q @ k @ v).startswith("Not yet")
    wrong = {
        "scale is missing": lambda q, k, v: (q @ k.mT).softmax(-1) @ v,
        "not by its square root": lambda q, k, v: (q @ k.mT / q.shape[-1]).softmax(-1) @ v,
        "sqrt(T)": lambda q, k, v: (q @ k.mT / math.sqrt(q.shape[1])).softmax(-1) @ v,
        "Multiplied": lambda q, k, v: (q @ k.mT * math.sqrt(9)).softmax(-1) @ v,
        "over the queries": lambda q, k, v: (q @ k.mT / 3).softmax(-2) @ v,
        "changed places": lambda q, k, v: (k @ q.mT / 3).softmax(-1) @ v,
        "after the softmax": lambda q, k, v: (q @ k.mT).softmax(-1) / 3 @ v,
        "softmax is missing": lambda q, k, v: q @ k.mT / 3 @ v,
        "over the batch": lambda q, k, v: (q @ k.mT / 3).softmax(0) @ v,
        "one of keys": lambda q, k, v: (q @ k.mT / 3).softmax(-1) @ k,
        "calls ready-made": lambda q, k, v: F.scaled_dot_product_attention(q, k, v),
        "ready-made attention": lambda q, k, v: attention_weights(q, k) @ v,
        "the output alone": lambda q, k, v: ((q @ k.mT / 3).softmax(-1) @ v, None),
        "shape must be": lambda q, k, v: (q @ k.mT / 3).softmax(-1),
        "loop over the keys": lambda q, k, v: v,
    }
    for mistake, answer in wrong.items():
        assert mistake in say("check_attend", answer)


def test_design():
    W_Q, W_K = torch.zeros(4, 4), torch.zeros(4, 4)
    W_Q[1, 0], W_K[3, 0] = 10, 1  # an action asks for what is alive
    W_Q[3, 1], W_K[1, 1], W_K[2, 1] = (
        10,
        2,
        -2,
    )  # what is alive asks for an action that is no small word
    assert say("check_design", (W_Q, W_K)).startswith("Right:")
    assert say("check_design", (W_Q.tolist(), W_K.long())).startswith("Right:")
    assert say("check_design", None).startswith("Not yet")
    assert say("check_design", 3).startswith("Not yet")
    assert "transposed" in say("check_design", (W_Q[:, :3].T, W_K[:, :3].T))
    assert "shape (4, D)" in say("check_design", (W_Q, W_K[:, :2]))
    chapter = ([[0, 0], [4, 0], [0, 4], [0, 0]], [[0, 1], [0, 0], [0, 0], [1, 0]])
    assert "let alive ask" in say("check_design", chapter)
    no_repel = W_K.clone()
    no_repel[2, 1] = 0
    assert 'looks at "on"' in say("check_design", (W_Q, no_repel))
    no_cat = W_Q.clone()
    no_cat[1, 0] = 0
    assert "sat gives cat only" in say("check_design", (no_cat, W_K))
    weak = W_Q.clone()
    weak[3, 1] = 1.5
    assert "sqrt(D)" in say("check_design", (weak, W_K))


def test_window():
    def loops(T, width):
        mask = torch.zeros(T, T, dtype=torch.bool)
        for i in range(T):
            for j in range(max(0, i - width + 1), i + 1):
                mask[i, j] = True
        return mask

    def band(T, below, above):
        ones = torch.ones(T, T, dtype=torch.bool)
        return ones.triu(-below) & ones.tril(above)

    assert say("check_window", loops).startswith("Right:")
    assert say("check_window", lambda T, w: loops(T, w).tolist()).startswith("Right:")
    assert say("check_window", lambda T, w: list(loops(T, w))).startswith("Right:")
    assert say("check_window", lambda T, w: loops(T, w).numpy()).startswith("Right:")
    assert say("check_window", lambda T, w: band(T, w - 1, 0)).startswith("Right:")
    assert say("check_window", lambda T, w: None).startswith("Not yet")
    assert say("check_window", lambda T, w: loops(T)).startswith("Not yet")
    wrong = {
        "besides itself": lambda T, w: band(T, w, 0),
        "must see itself": lambda T, w: band(T, w - 1, -1),
        "missing at the far end": lambda T, w: band(T, w - 2, 0),
        "sees the next token": lambda T, w: band(T, w - 1, 1),
        "sees the future": lambda T, w: band(T, w - 1, w - 1),
        "all of the future": lambda T, w: band(T, w - 1, T),
        "Nothing limits the width": lambda T, w: band(T, T, 0),
        "Inverted": lambda T, w: ~loops(T, w),
        "looks ahead": lambda T, w: loops(T, w).T,
        "must be bool": lambda T, w: loops(T, w).float(),
        "Not this": lambda T, w: band(T, T, T),
    }
    for mistake, answer in wrong.items():
        assert mistake in say("check_window", answer), mistake


def test_leak():
    def by_gradient(head):
        p = head.dropout.p
        head.dropout.p = 0.0
        found = False
        for training in (True, False):
            head.train(training)
            x = torch.randn(1, 5, 8, requires_grad=True)
            output = head(x)[0]
            for t in range(4):
                (gradient,) = torch.autograd.grad(output[0, t].sum(), x, retain_graph=True)
                found |= bool(gradient[0, t + 1 :].abs().max() > 1e-7)
        head.dropout.p = p
        return found

    def one_mode(head, training=None):
        if training is not None:
            head.train(training)
        x = torch.randn(1, 6, 8)
        for t in range(5):
            other = x.clone()
            other[:, t + 1 :] = 0
            torch.manual_seed(1)
            a = head(x)[0][:, : t + 1]
            torch.manual_seed(1)
            if not torch.allclose(a, head(other)[0][:, : t + 1], atol=1e-5):
                return True
        return False

    def twice_one_mode(head):
        return any(one_mode(part) for part in (head.train(), head.eval()))

    def ignores_dropout(head):
        x = torch.randn(1, 6, 8)
        other = x.clone()
        other[:, 3:] = 0
        return any(
            not torch.equal(head.train(m)(x)[0][:, :3], head.train(m)(other)[0][:, :3])
            for m in (True, False)
        )

    assert say("check_leak", by_gradient).startswith("Right:")

    def by_map(head):
        x = torch.randn(2, 5, 8)
        return sum(int((head.train(m)(x)[1].triu(1) > 0).any()) for m in (True, False))

    def last_border(head):
        return any(one_border(head.train(mode), 5) for mode in (True, False))

    def one_border(head, border):
        x = torch.randn(1, 6, 8)
        other = x.clone()
        other[:, border:] = 0
        torch.manual_seed(1)
        before = head(x)[0][:, :border]
        torch.manual_seed(1)
        return not torch.allclose(before, head(other)[0][:, :border], atol=1e-5)

    assert "other weights than it uses" in say("check_leak", by_map)
    assert "a hole at one position" in say("check_leak", last_border)
    assert "a hole at the first position" in say(
        "check_leak", lambda head: any(one_border(head.train(m), 2) for m in (True, False))
    )
    assert "stopped" in say("check_leak", lambda head: torch.ones(2))
    assert say("check_leak", lambda head: None).startswith("Not yet")
    assert say("check_leak", lambda head: head.mask).startswith("Not yet")
    assert "accused a sound head" in say("check_leak", lambda head: True)
    assert "missed a mask that is off by one" in say("check_leak", lambda head: False)
    assert "with dropout" in say("check_leak", ignores_dropout)
    assert "eval() only" in say("check_leak", lambda head: one_mode(head, True))
    assert "train() only" in say("check_leak", lambda head: one_mode(head, False))
    assert "train() only" in say("check_leak", twice_one_mode)


def in_64_bits(judge):
    """An answer that computes both ways in float64, and judges what comes out."""
    return lambda ours, theirs, x: bool(judge(ours(x.double()), theirs(x.double())))


def in_32_bits(judge):
    return lambda ours, theirs, x: bool(judge(ours(x), theirs(x)))


def near(share, size=lambda b: b.abs().max()):
    return lambda a, b: (a - b).abs().max() <= share * size(b)


def shrinks(ours, theirs, x):
    """Rounding shrinks with the type; a bug does not."""
    small, exact = ((ours(y) - theirs(y)).abs().max().item() for y in (x, x.double()))
    return exact <= 1e-5 * small


def by_assert(ours, theirs, x):
    a, b = ours(x.double()), theirs(x.double())
    try:
        torch.testing.assert_close(a / b.norm(), b / b.norm(), atol=1e-9, rtol=0)
    except AssertionError:
        return False
    return True


def test_same():
    for right in (
        in_64_bits(near(1e-9)),
        in_64_bits(near(1e-7)),
        in_64_bits(lambda a, b: (a - b).norm() < 1e-8 * b.norm()),
        in_64_bits(lambda a, b: np.allclose(a, b, rtol=1e-8, atol=1e-9 * b.abs().max().item())),
        lambda *given: torch.tensor(in_64_bits(near(1e-9))(*given)),
        lambda *given: int(in_64_bits(near(1e-9))(*given)),
        shrinks,
        by_assert,
    ):
        assert say("check_same", right).startswith("Right:")
    for wrong, word in (
        (lambda *given: None, "Not yet"),
        (lambda *given: 1 / 0, "Not yet"),
        (lambda f, g: True, "Not yet"),
        (lambda f, g, x: torch.testing.assert_close(f(x), g(x)), "Not yet"),
        (lambda *given: "rounding", "True or False"),
        (lambda *given: (True, 1e-7), "True or False"),
        (lambda *given: not in_64_bits(near(1e-9))(*given), "other way round"),
        (lambda *given: True, "always says"),
        (lambda *given: False, "all rounding for a bug"),
        (in_32_bits(torch.equal), "all rounding for a bug"),
        (in_64_bits(torch.equal), "all rounding for a bug"),
        (in_64_bits(near(2.2e-16)), "all rounding for a bug"),
        (in_32_bits(lambda a, b: near(1e-9)(a.double(), b.double())), "all rounding for a bug"),
        (in_32_bits(torch.allclose), "rounding for a bug: attention"),
        (in_32_bits(near(1e-6)), "rounding for a bug: a variance"),
        (in_32_bits(near(1e-3)), "rounding for a bug: a variance"),
        (in_32_bits(near(1e-1)), "missed a bug"),
        (in_64_bits(torch.allclose), "missed a bug: a scale of 0.354, with"),
        (in_64_bits(lambda a, b: (a - b).abs().max() < 1e-9), "outputs of about 1e-9"),
        (in_64_bits(lambda a, b: (a - b).abs().max() < 5e-11), "outputs of about 1e6"),
        (in_64_bits(lambda a, b: (a - b).max() <= 1e-9 * b.abs().max()), "missed a bug"),
        (in_64_bits(lambda a, b: (a - b).mean().abs() <= 1e-9 * b.abs().max()), "wrong rows"),
        (in_64_bits(lambda a, b: (a.abs() - b.abs()).abs().max() <= 1e-16), "rounding"),
        (in_64_bits(lambda a, b: near(1e-9)(a.abs(), b.abs())), "a wrong sign"),
        (in_64_bits(lambda a, b: near(1e-9)(a[0], b[0])), "one wrong number"),
        (in_64_bits(lambda a, b: (a - b).abs().mean() <= 1e-6 * b.abs().mean()), "one wrong"),
        (in_64_bits(near(1e-4)), "0.35355"),
        (in_64_bits(near(1e-9, lambda b: b.max())), "all below 0"),
    ):
        said = say("check_same", wrong)
        assert word in said and not said.startswith("Right:")
