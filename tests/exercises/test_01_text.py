import unicodedata
from collections import Counter
from dataclasses import replace
from fractions import Fraction

import numpy as np
import torch

from tests.exercises.checks import verdict

CHAPTER = "01_text"


def test_majority():
    def say(answer):
        return verdict(CHAPTER, "check_majority", answer)

    def right(train, test):
        best = max(sorted(set(train)), key=train.count)
        return sum(label == best for label in test) / len(test)

    assert say(right).startswith("Right:")
    assert say(lambda train, test: None).startswith("Not yet")
    assert "peeks" in say(lambda train, test: max(Counter(test).values()) / len(test))
    assert "share in training" in say(lambda train, test: max(Counter(train).values()) / len(train))
    assert "percentage" in say(lambda train, test: 100 * right(train, test))
    assert "one number" in say(lambda train, test: max(train, key=train.count))
    assert "KeyError" in say(lambda train, test: {}["a"])
    assert "0.25, not 0.9" in say(lambda train, test: 0.9)
    assert "xyy" in say(lambda train, test: test.count(train[0]) / len(test)).replace(", ", "")
    assert "how many are right" in say(lambda train, test: len(test) * right(train, test))
    assert "training labels" in say(lambda train, test: len(test) * right(train, test) / len(train))
    assert "share that is wrong" in say(lambda train, test: 1 - right(train, test))
    assert "one number" in say(lambda train, test: ("a", right(train, test)))
    for other in (Fraction, np.float32, torch.tensor):
        assert say(lambda train, test: other(right(train, test))).startswith("Right:")  # noqa: B023


def test_different():
    def say(answer):
        return verdict(CHAPTER, "check_different", answer)

    assert say(3).startswith("Right:") and say(np.int64(3)).startswith("Right:")
    assert say(None).startswith("Not yet")
    assert "two spellings of é" in say(4) and "make no difference" in say(6)
    assert "make no difference" in say(5)
    assert "comma" in say(2) and "comma" in say(1)
    assert "1 to 6" in say(7) and "one number" in say((3,))


def normal(text):
    return " ".join(unicodedata.normalize("NFC", text.lower()).split())


def test_shared():
    def say(answer):
        return verdict(CHAPTER, "check_shared", answer)

    def right(passages):
        return {
            p.source
            for p in passages
            if any(normal(p.text) == normal(q.text) and p.source != q.source for q in passages)
        }

    def loose(passages):
        times = Counter(normal(p.text) for p in passages)
        return {p.source for p in passages if times[normal(p.text)] > 1}

    def raw(passages):
        return {
            p.source
            for p in passages
            if any(p.text == q.text and p.source != q.source for q in passages)
        }

    def no_accents(passages):
        return {
            p.source
            for p in passages
            if any(
                p.text.lower().split() == q.text.lower().split() and p.source != q.source
                for q in passages
            )
        }

    def later(passages):
        seen, found = {}, set()
        for p in passages:
            if seen.setdefault(normal(p.text), p.source) != p.source:
                found.add(p.source)
        return found

    assert say(right).startswith("Right:")
    assert say(lambda passages: sorted(right(passages))).startswith("Right:")
    assert say(lambda passages: None).startswith("Not yet")
    assert "twice in one source" in say(loose)
    assert "white space" in say(raw)
    assert "two spellings" in say(no_accents)
    assert "['a', 'b'], not ['b']" in say(later)

    def of_two(passages):
        owners = {}
        for p in passages:
            owners.setdefault(normal(p.text), set()).add(p.source)
        return {s for many in owners.values() if len(many) == 2 for s in many}

    def neighbours(passages):
        pairs = zip(passages, passages[1:], strict=False)
        shared = [(p, q) for p, q in pairs if normal(p.text) == normal(q.text)]
        return {r.source for p, q in shared if p.source != q.source for r in (p, q)}

    def one_by_one(passages):
        owners = {}
        for p in passages:
            owners.setdefault(normal(p.text), set()).add(p.source)
        yield from (s for many in owners.values() if len(many) > 1 for s in many)

    assert say(one_by_one).startswith("Right:")
    assert "not ['a']: both sources" in say(lambda passages: iter("a"))
    assert "three sources" in say(of_two)
    assert "both sources" in say(neighbours)
    assert "nothing else" in say(lambda passages: "a")
    assert "KeyError" in say(lambda passages: {}["a"])


def test_once():
    def say(answer):
        return verdict(CHAPTER, "check_once", answer)

    def right(passages):
        said = [normal(p.text) for p in passages]
        return [p for p, text in zip(passages, said, strict=True) if said.count(text) == 1]

    def first(passages):
        return list({normal(p.text): p for p in reversed(passages)}.values())[::-1]

    def raw(passages):
        said = [p.text for p in passages]
        return [p for p in passages if said.count(p.text) == 1]

    def rewritten(passages):
        return [replace(p, text=" ".join(p.text.split())) for p in right(passages)]

    assert say(right).startswith("Right:")
    assert say(lambda passages: None).startswith("Not yet")
    assert "One copy" in say(lambda passages: sorted(first(passages), key=passages.index))
    assert "normalize_text" in say(raw)
    assert "as it was written" in say(rewritten)
    assert "in their order" in say(lambda passages: right(passages)[::-1])
    assert "in their order" in say(lambda passages: set(right(passages)))
    assert "not their texts" in say(lambda passages: [p.text for p in right(passages)])
    assert "only the second" in say(lambda passages: passages)
    assert "KeyError" in say(lambda passages: {}["a"])
