import numpy as np
import pytest
import torch
from torch.nn import functional as F

from tests.exercises.checks import verdict

CHAPTER = "16_decoder"
RIGHT_SHAPES = ((8, 32, 1000), 240, 4, (8, 2, 32, 32))


def test_shapes():
    assert verdict(CHAPTER, "check_shapes", RIGHT_SHAPES).startswith("Right:")
    as_lists = [[8, 32, 1000], 240, 4, torch.Size([8, 2, 32, 32])]
    assert verdict(CHAPTER, "check_shapes", as_lists).startswith("Right:")
    as_tensors = [torch.tensor(part) for part in RIGHT_SHAPES]
    assert verdict(CHAPTER, "check_shapes", as_tensors).startswith("Right:")
    as_arrays = [np.array(part) for part in RIGHT_SHAPES]
    assert verdict(CHAPTER, "check_shapes", as_arrays).startswith("Right:")
    assert verdict(CHAPTER, "check_shapes", None).startswith("Not yet")
    for place, wrong, hint in (
        (0, (8, 64, 1000), "block_size"),
        (0, (8, 1000), "B, T, V"),
        (1, 256, "-100"),
        (1, 8, "last only"),
        (1, 3, "times B"),
        (1, 30, "times B"),
        (1, 248, "times B"),
        (2, 8, "one map a layer"),
        (3, (8, 32, 32), "batch, head"),
        (3, (8, 2, 64, 64), "block_size"),
    ):
        answer = list(RIGHT_SHAPES)
        answer[place] = wrong
        assert hint in verdict(CHAPTER, "check_shapes", answer), (place, wrong)
    assert "four" in verdict(CHAPTER, "check_shapes", 7)
    assert "four" in verdict(CHAPTER, "check_shapes", (1, 2))


def test_shift():
    def right(tokens, mask):
        targets = torch.where(mask, tokens, torch.tensor(-100))[:, 1:]
        return tokens[:, : tokens.shape[1] - 1], targets

    def by_loop(tokens, mask):
        inputs, targets = [], []
        for row, real in zip(tokens.tolist(), mask.tolist(), strict=True):
            inputs.append(row[:-1])
            later = zip(row[1:], real[1:], strict=True)
            targets.append([i if known else -100 for i, known in later])
        return inputs, targets

    def in_place(tokens, mask):
        tokens[~mask] = -100
        return tokens[:, :-1], tokens[:, 1:]

    for style in (
        right,
        by_loop,
        lambda t, m: [torch.tensor(part) for part in by_loop(t, m)],
        lambda t, m: torch.stack(right(t, m)),
        lambda t, m: [list(part) for part in right(t, m)],
    ):
        assert verdict(CHAPTER, "check_shift", style).startswith("Right:")
    assert verdict(CHAPTER, "check_shift", lambda t, m: None).startswith("Not yet")

    def not_written(tokens, mask):
        raise NotImplementedError

    assert verdict(CHAPTER, "check_shift", not_written).startswith("Not yet")
    for wrong, hint in (
        (lambda t, m: (t[:, :-1], t[:, 1:]), "Padding is scored"),
        (lambda t, m: (t[:, :-1], t[:, 1:].masked_fill(t[:, 1:] == 0, -100)), "not the id"),
        (lambda t, m: (t[:, :-1], t[:, 1:].masked_fill(m[:, 1:], -100)), "turned round"),
        (lambda t, m: (t[:, :-1], t[:, 1:] + 1), "one later"),
        (in_place, "Only targets"),
        (lambda t, m: (t[:, 1:], t[:, :-1]), "wrong way"),
        (lambda t, m: (t, t), "all tokens of a row but the last"),
        (lambda t, m: (t[:, :-1], t[:, :-1]), "not shifted"),
        (lambda t, m: (t[:, :-1], t[:, 1:].masked_fill(~m[:, :-1], -100)), "mask"),
        (lambda t, m: 1 / 0, "ZeroDivisionError"),
    ):
        assert hint in verdict(CHAPTER, "check_shift", wrong), hint


def nats(logits, targets):
    return F.cross_entropy(
        logits.flatten(0, 1), targets.flatten(), reduction="none", ignore_index=-100
    )


def test_mean_loss():
    def right(logits, targets):
        log_probs, scored = logits.log_softmax(-1), targets >= 0
        picked = log_probs.gather(-1, targets.clamp(min=0)[..., None])[..., 0]
        return -picked[scored].mean()

    def by_loop(logits, targets):
        found = [
            -logits[b, t].log_softmax(0)[targets[b, t]].item()
            for b in range(len(logits))
            for t in range(logits.shape[1])
            if targets[b, t] != -100
        ]
        return sum(found) / len(found)

    check = "check_mean_loss"
    for style in (
        right,
        by_loop,
        lambda x, y: nats(x, y)[y.flatten() != -100].mean(),
        lambda x, y: nats(x.double(), y).sum() / (y >= 0).sum(),
        lambda x, y: torch.einsum("n->", nats(x, y)) / (y != -100).sum(),
    ):
        assert verdict(CHAPTER, check, style).startswith("Right:")
    assert verdict(CHAPTER, check, lambda *a: None).startswith("Not yet")
    for wrong, hint in (
        (lambda x, y: nats(x, y).mean(), "all positions"),
        (lambda x, y: nats(x, y).sum(), "the sum"),
        (
            lambda x, y: (nats(x, y).view_as(y).sum(1) / (y != -100).sum(1)).mean(),
            "mean of rows",
        ),
        (lambda x, y: nats(x, y).sum() / len(y), "by the rows"),
        (lambda x, y: nats(x, y).sum() / (y > 0).sum(), "Id 0"),
        (lambda x, y: nats(x, y).sum() / y.shape[1], "Add up"),
        (lambda x, y: -right(x, y), "sign"),
        (lambda x, y: nats(x, y) / (y != -100).sum(), "one number"),
        (lambda x, y: x.mean(), "Add up"),
        (lambda x, y: x @ y, "stopped with"),
    ):
        assert hint in verdict(CHAPTER, check, wrong), hint


def by_matrix(weights, tokens):
    T = len(tokens)
    same = (tokens[:, None] == tokens) & torch.ones(T, T).tril(-1).bool()
    after = (same * torch.arange(1, T + 1)).amax(1)
    return weights[torch.arange(T)[after > 0], after[after > 0]].mean().item()


def by_memory(weights, tokens):
    last, found = {}, []
    for t, token in enumerate(tokens.tolist()):
        if token in last:
            found.append(float(weights[t, last[token] + 1]))
        last[token] = t
    return np.mean(found)


def every_match(weights, tokens):
    T = len(tokens)
    return sum(
        found := [weights[t, j + 1] for t in range(T) for j in range(t) if tokens[j] == tokens[t]]
    ) / len(found)


def score(weights, tokens, offset=1, first=False, over=None):
    found = []
    for t in range(len(tokens)):
        before = [j for j in range(t) if tokens[j] == tokens[t]]
        if before:
            found.append(weights[t, (before[0] if first else before[-1]) + offset])
    return sum(found) / (over or len(found))


def test_induction():
    check = "check_induction"
    for style in (score, by_matrix, by_memory):
        assert verdict(CHAPTER, check, style).startswith("Right:")
    assert verdict(CHAPTER, check, lambda w, t: None).startswith("Not yet")
    for options, hint in (
        ({"offset": 0}, "match itself"),
        ({"first": True}, "first match"),
        ({"over": 8}, "not all T"),
        ({"over": 1}, "the sum"),
        ({"offset": -1}, "position before"),
    ):
        said = verdict(CHAPTER, check, lambda w, t, o=options: score(w, t, **o))
        assert hint in said, hint
    assert "weights[j + 1, t]" in verdict(CHAPTER, check, lambda w, t: score(w.T, t))
    assert "latest alone" in verdict(CHAPTER, check, every_match)
    assert "latest j" in verdict(CHAPTER, check, lambda w, t: w.mean())


def tied(model, share=None):
    before = sum(p.numel() for p in model.parameters())
    model.projection.weight = model.token_embedding.weight
    left = sum(p.numel() for p in model.parameters())
    return 1 - left / before if share is None else share(before, left)


def copied(model):
    with torch.no_grad():
        model.projection.weight.copy_(model.token_embedding.weight)
    return 0.1


def one_storage(model):
    model.projection.weight.data = model.token_embedding.weight.data
    return 0.1


def wrapped_again(model):
    model.projection.weight = torch.nn.Parameter(model.token_embedding.weight)
    return 0.1


def kept_the_wrong_one(model):
    model.token_embedding.weight = model.projection.weight
    return 0.1


def without_bias(model):
    words = model.token_embedding.weight
    before = sum(p.numel() for p in model.parameters())
    model.projection = torch.nn.Linear(*reversed(words.shape), bias=False)
    model.projection.weight = words
    return 1 - sum(p.numel() for p in model.parameters()) / before


def test_tying_right():
    assert verdict(CHAPTER, "check_tie", tied).startswith("Right:")


@pytest.mark.parametrize(
    ("answer", "hint"),
    [
        (lambda model: None, "Not yet: return the share"),
        (lambda model: 0.2, "a table of its own"),
        (copied, "still two tables"),
        (one_storage, "two parameters still"),
        (wrapped_again, "two parameters still"),
        (kept_the_wrong_one, "Keep the word table"),
        (without_bias, "lost its bias"),
        (lambda model: tied(model, lambda a, b: (a - b) / b), "not of what is left"),
        (lambda model: tied(model, lambda a, b: a - b), "the share is"),
        (lambda model: model.nothing, "stopped with"),
    ],
)
def test_tying_wrong(answer, hint):
    assert hint in verdict(CHAPTER, "check_tie", answer)
