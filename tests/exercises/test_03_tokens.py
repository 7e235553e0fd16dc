import math
import re

import numpy as np
import torch

from tests.exercises.checks import verdict
from transformer_lib.tokens import END

CHAPTER = "03_tokens"


def test_count():
    def say(answer):
        return verdict(CHAPTER, "check_count", answer)

    assert say((22, 12)).startswith("Right:") and say([22, 12]).startswith("Right:")
    assert say(None).startswith("Not yet")
    assert "two bytes" in say((22, 10))
    assert "two letters take two" in say((22, 11))
    assert "spaces too" in say((6, 2))
    assert "exchanged" in say((12, 22))
    assert "bytes" in say((21, 13))
    assert "pair" in say(22) and "pair" in say("two") and "pair" in say((22, 12, 0))
    assert say(np.array([22, 12])).startswith("Right:")
    assert say(torch.tensor([22, 12])).startswith("Right:")


def test_per_word():
    def say(answer):
        return verdict(CHAPTER, "check_per_word", answer)

    assert say(lambda p, t, w: p ** (t / w)).startswith("Right:")
    assert say(lambda *a: None).startswith("Not yet")
    assert "loss that adds up" in say(lambda p, t, w: p * t / w)
    assert "upside down" in say(lambda p, t, w: p ** (w / t))
    assert "exponential" in say(lambda p, t, w: math.log(p) * t / w)
    assert "logarithm" in say(lambda p, t, w: math.exp(p * t / w))
    assert "31.6" in say(lambda p, t, w: 7.0)
    assert say(lambda p, t, w: round(p ** (t / w), 1)).startswith("Right:")
    assert say(lambda p, t, w: torch.tensor(p).log().mul(t / w).exp()).startswith("Right:")
    assert "divided the perplexity" in say(lambda p, t, w: p * w / t)
    assert "do not round" in say(lambda p, t, w: p ** (t // w))
    assert "sign" in say(lambda p, t, w: math.exp(-math.log(p) * t / w))
    assert "whole text" in say(lambda p, t, w: math.log(p) * t)
    assert "one number" in say(lambda p, t, w: (p ** (t / w),))
    assert "NameError" in say(lambda p, t, w: nothing)  # noqa: F821


def test_join():
    def say(answer):
        return verdict(CHAPTER, "check_join", answer)

    def right(word, pair):
        made = []
        for symbol in word:
            if made and made[-1] == (pair[0], 0) and symbol == pair[1]:
                made[-1] = (pair[0] + pair[1], 1)
            else:
                made.append((symbol, 0))
        return [symbol for symbol, _ in made]

    def stub(word, pair):
        return " ".join(word).replace(" ".join(pair), "".join(pair)).split()

    def unescaped(word, pair):
        pattern = rf"(?<!\S){pair[0]} {pair[1]}(?!\S)"
        return re.sub(pattern, "".join(pair), " ".join(word)).split()

    assert "full stop" in say(unescaped)

    def once(word, pair):
        for i in range(len(word) - 1):
            if (word[i], word[i + 1]) == tuple(pair):
                return [*word[:i], word[i] + word[i + 1], *word[i + 2 :]]
        return word

    def overlapping(word, pair):
        return (
            ["".join(p) if p == tuple(pair) else p[0] for p in zip(word, word[1:])]
            if word[:2] == ["a", "a"]
            else right(word, pair)
        )

    assert say(right).startswith("Right:")
    assert say(lambda *a: None).startswith("Not yet")
    assert "no symbol 'a'" in say(stub)
    assert "first of two" in say(once)
    assert "third is left" in say(overlapping)
    assert "must give" in say(lambda word, pair: word)
    assert "IndexError" in say(lambda word, pair: word[9])


def test_row():
    def say(answer):
        return verdict(CHAPTER, "check_row", answer)

    def right(texts, tokenizer):
        ids = []
        for text in texts:
            ids.extend(tokenizer.encode(text).ids)
            ids.append(END)
        return ids

    def forged(texts, tokenizer):
        tokenizer.encode_special_tokens = False
        return right(texts, tokenizer)

    assert say(right).startswith("Right:")
    assert say(lambda *a: None).startswith("Not yet")
    assert "not the spelling" in say(lambda texts, t: t.encode("<end>".join(texts) + "<end>").ids)
    assert "last text" in say(lambda *a: right(*a)[:-1])
    assert "forged" in say(forged)
    assert "followed by END" in say(lambda *a: [*right(*a)][::-1])
    assert "TypeError" in say(lambda texts: 0)
    assert say(lambda *a: torch.tensor(right(*a))).startswith("Right:")
    assert say(lambda *a: np.array(right(*a))).startswith("Right:")
    assert "for each text" in say(lambda texts, t: [[*t.encode(x).ids, END] for x in texts])
    for kind in (torch.tensor, np.array):
        assert "for each text" in say(
            lambda texts, t: [kind([*t.encode(x).ids, END]) for x in texts]  # noqa: B023
        )
    assert "three END" in say(lambda texts, t: [*t.encode(" ".join(texts)).ids, END])
