import math

import pytest

from tests.exercises.checks import verdict

CHAPTER = "20_your_own_text"


def test_compare():
    assert verdict(CHAPTER, "check_compare", "perplexity_per_word").startswith("Right")
    assert verdict(CHAPTER, "check_compare", None).startswith("Not yet")
    assert "easier" in verdict(CHAPTER, "check_compare", "perplexity_per_token")
    assert "already seen" in verdict(CHAPTER, "check_compare", "train_loss")
    assert "three names" in verdict(CHAPTER, "check_compare", "accuracy")


@pytest.mark.parametrize(
    "per_word, said",
    [
        (lambda nats, tokens, words: math.exp(nats) ** (tokens / words), "Right"),
        (lambda nats, tokens, words: None, "Not yet"),
        (lambda nats, tokens, words: math.exp(nats) * tokens / words, "do not multiply"),
        (lambda nats, tokens, words: math.exp(nats * words / tokens), "upside down"),
        (lambda nats, tokens, words: math.exp(nats), "total of nats"),
    ],
)
def test_per_word(per_word, said):
    assert said in verdict(CHAPTER, "check_per_word", per_word)


@pytest.mark.parametrize(
    "unseen, said",
    [
        (lambda rows, seen, a, b: (a * rows - b * seen) / (rows - seen), "Right"),
        (lambda rows, seen, a, b: None, "Not yet"),
        (lambda rows, seen, a, b: 2 * a - b, "weigh as much"),
        (lambda rows, seen, a, b: a, "Count the right rows"),
    ],
)
def test_unseen(unseen, said):
    assert said in verdict(CHAPTER, "check_unseen", unseen)
