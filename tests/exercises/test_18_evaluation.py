"""The check of the chapter on evaluation tells right answers from wrong ones."""

import math

import pytest
import torch

from tests.exercises.checks import verdict


def judge(check, answer):
    return verdict("18_evaluation", check, answer)


def test_perplexity():
    def right(means, counts):
        share = torch.tensor(counts) / sum(counts)
        return (torch.tensor(means) * share).sum().exp()

    assert judge("check_perplexity", right).startswith("Right:")
    assert judge("check_perplexity", lambda *_: None).startswith("Not yet")

    def nats(means, counts):
        return sum(m * c for m, c in zip(means, counts)) / sum(counts)

    for wrong, word in (
        (lambda m, c: math.exp(sum(m) / len(m)), "unequally"),
        (nats, "These are nats"),
        (lambda m, c: sum(math.exp(a) * b for a, b in zip(m, c)) / sum(c), "too large"),
        (lambda m, c: sum(map(math.exp, m)) / len(m), "by tokens"),
        (lambda m, c: 2 ** nats(m, c), "base is e"),
        (lambda m, c: 7.0, "is 7.000"),
    ):
        said = judge("check_perplexity", wrong)
        assert word in said and not said.startswith("Right:"), said


def test_compare():
    assert verdict("18_evaluation", "check_compare", "perplexity_per_word").startswith("Right:")
    assert verdict("18_evaluation", "check_compare", "bits_per_byte").startswith("Right:")
    assert verdict("18_evaluation", "check_compare", None).startswith("Not yet")
    assert "easier" in verdict("18_evaluation", "check_compare", "perplexity_per_token")
    assert "already seen" in verdict("18_evaluation", "check_compare", "train_loss")
    assert "three names" in verdict("18_evaluation", "check_compare", "accuracy")
    assert "three names" in verdict("18_evaluation", "check_compare", ["train_loss"])


@pytest.mark.parametrize(
    "per_word, said",
    [
        (lambda bits, size, words: math.exp(bits * math.log(2) * size / words), "Right:"),
        (lambda bits, size, words: None, "Not yet"),
        (lambda bits, size, words: 2**bits * size / words, "do not scale"),
        (lambda bits, size, words: 2 ** (bits * words / size), "Upside down"),
        (lambda bits, size, words: bits * size / words, "2 to them"),
        (lambda bits, size, words: 2**bits, "per byte"),
        (lambda bits, size, words: math.exp(bits * size / words), "not e"),
        (lambda bits, size, words: 2 ** (bits / math.log(2) * size / words), "not e"),
        (lambda bits, size, words: 7, "whole text"),
        (lambda bits: bits, "stopped with TypeError"),
    ],
)
def test_per_word(per_word, said):
    assert said in verdict("18_evaluation", "check_per_word", per_word)
