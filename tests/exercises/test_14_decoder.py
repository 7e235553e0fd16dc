import torch
from torch.nn import functional as F

from tests.exercises.checks import verdict

CHAPTER = "14_decoder"
RIGHT_SHAPES = ((8, 32, 1000), 240, 4, (8, 2, 32, 32))


def test_shapes():
    assert verdict(CHAPTER, "check_shapes", RIGHT_SHAPES).startswith("Right")
    as_lists = [[8, 32, 1000], 240, 4, torch.Size([8, 2, 32, 32])]
    assert verdict(CHAPTER, "check_shapes", as_lists).startswith("Right")
    assert verdict(CHAPTER, "check_shapes", None).startswith("Not yet")
    for place, wrong, hint in (
        (0, (8, 64, 1000), "block_size"),
        (0, (8, 1000), "B, T, V"),
        (1, 256, "-100"),
        (1, 8, "last only"),
        (1, 3, "times B"),
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

    assert verdict(CHAPTER, "check_shift", right).startswith("Right")
    assert verdict(CHAPTER, "check_shift", lambda t, m: None).startswith("Not yet")

    def not_written(tokens, mask):
        raise NotImplementedError

    assert verdict(CHAPTER, "check_shift", not_written).startswith("Not yet")
    for wrong, hint in (
        (lambda t, m: (t[:, :-1], t[:, 1:]), "Padding is scored"),
        (lambda t, m: (t[:, :-1], t[:, 1:].masked_fill(t[:, 1:] == 0, -100)), "one later"),
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

    check = "check_mean_loss"
    assert verdict(CHAPTER, check, right).startswith("Right")
    assert verdict(CHAPTER, check, lambda *a: None).startswith("Not yet")
    for wrong, hint in (
        (lambda x, y: nats(x, y).mean(), "all positions"),
        (lambda x, y: nats(x, y).sum(), "the sum"),
        (
            lambda x, y: (nats(x, y).view_as(y).sum(1) / (y != -100).sum(1)).mean(),
            "mean of rows",
        ),
        (lambda x, y: x.mean(), "Add up"),
        (lambda x, y: x @ y, "stopped with"),
    ):
        assert hint in verdict(CHAPTER, check, wrong), hint


def score(weights, tokens, offset=1, first=False, over=None):
    found = []
    for t in range(len(tokens)):
        before = [j for j in range(t) if tokens[j] == tokens[t]]
        if before:
            found.append(weights[t, (before[0] if first else before[-1]) + offset])
    return sum(found) / (over or len(found))


def test_induction():
    check = "check_induction"
    assert verdict(CHAPTER, check, score).startswith("Right")
    assert verdict(CHAPTER, check, lambda w, t: None).startswith("Not yet")
    for options, hint in (
        ({"offset": 0}, "match itself"),
        ({"first": True}, "first match"),
        ({"over": 8}, "not all T"),
    ):
        said = verdict(CHAPTER, check, lambda w, t, o=options: score(w, t, **o))
        assert hint in said, hint
    assert "latest j" in verdict(CHAPTER, check, lambda w, t: w.mean())
