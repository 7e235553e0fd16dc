import random
from fractions import Fraction

import numpy as np
import torch

from tests.exercises.checks import verdict

CHAPTER = "02_splits"


def test_twins():
    def say(answer):
        return verdict(CHAPTER, "check_twins", answer)

    assert say(0.89).startswith("Right:") and say(0.889).startswith("Right:")
    assert "round the number" in say(0.88)
    assert "where the test line itself is" in say(0.8)
    assert say(None).startswith("Not yet")
    assert "share of lines" in say(0.2)
    assert "8 to 1" in say(0.5)
    assert "already known" in say(0.64)
    assert "both in the test" in say(1)
    assert "9 possible places" in say(0.7)
    assert "in the test as well" in say(1 / 9)
    assert "percentage" in say(88.9)
    assert "one number" in say((0.8,)) and "one number" in say("four in five")
    for other in (Fraction(8, 9), np.float64(0.889), torch.tensor(0.889)):
        assert say(other).startswith("Right:")


def test_seen_unseen():
    def say(answer):
        return verdict(CHAPTER, "check_seen", answer)

    def norm(text):
        return " ".join(text.split()).casefold()

    def right(train, test, correct, same=norm, swap=False, whole=False):
        known = [same(t) for t in train]
        seen = [c for t, c in zip(test, correct, strict=True) if same(t) in known]
        new = [c for t, c in zip(test, correct, strict=True) if same(t) not in known]
        parts = [sum(p) / len(test if whole else p) if p else None for p in (seen, new)]
        return parts[::-1] if swap else parts

    assert say(right).startswith("Right:")
    assert say(lambda *_: None).startswith("Not yet")
    assert "exchanged" in say(lambda *a: right(*a, swap=True))
    assert "case and white space" in say(lambda *a: right(*a, same=str))
    assert "case and white space" in say(lambda *a: right(*a, same=str.lower))
    assert "size of each part" in say(lambda *a: right(*a, whole=True))
    assert "divides by 0" in say(lambda *a: 1 / 0)

    def unguarded(train, test, correct):
        seen, new = right(train, test, correct)
        return seen, new if new is not None else 1 / 0

    assert "divides by 0" in say(unguarded)
    assert "TypeError" in say(lambda a: 1)
    assert "1.0 and 1/3, not (0.1, 0.2)" in say(lambda *a: (0.1, 0.2))
    assert "all was seen" in say(lambda *a: [right(*a)[0], right(*a)[1] or 0])
    assert "nothing was seen" in say(lambda *a: [right(*a)[0] or 0, right(*a)[1]])
    assert "both are 0" in say(lambda *a: [share or None for share in right(*a)])
    assert "as a pair" in say(lambda *a: dict(zip(("seen", "new"), right(*a), strict=True)))
    assert "as a pair" in say(lambda *a: 0.5)
    assert "percentages" in say(lambda *a: [s if s is None else 100 * s for s in right(*a)])
    assert "counts" in say(lambda *a: (2, 1))

    def by_parts(inside):
        """The two accuracies, where inside says which of the test texts are seen."""

        def answer(train, test, correct):
            parts = {True: [], False: []}
            for text, hit in zip(test, correct, strict=True):
                parts[inside(norm(text), list(map(norm, train)))].append(hit)
            return [sum(p) / len(p) if p else None for p in parts.values()]

        return answer

    assert "the whole of it" in say(by_parts(lambda text, train: text in " / ".join(train)))
    assert "the whole of it" in say(
        by_parts(lambda text, train: set(text.split()) <= set(" ".join(train).split()))
    )

    def by_set(train, test, correct):
        known = dict(zip(map(norm, test), correct, strict=True))
        return right(train, list(known), list(known.values()))

    assert "stands twice" in say(by_set)

    def by_mask(train, test, correct):
        inside = torch.tensor([norm(t) in set(map(norm, train)) for t in test])
        hits = torch.tensor(correct).float()
        return tuple(hits[side].mean() if side.any() else None for side in (inside, ~inside))

    assert say(by_mask).startswith("Right:")


def test_divide():
    def say(answer):
        return verdict(CHAPTER, "check_divide", answer)

    def right(passages, share, seed, names=lambda p: sorted({q.source for q in p})):
        chance = random.Random(seed)
        chosen = {name for name in names(passages) if chance.random() < share}
        return [p for p in passages if p.source not in chosen], [
            p for p in passages if p.source in chosen
        ]

    def by_passage(passages, share, seed):
        mixed = random.Random(seed).sample(passages, len(passages))
        n = round(share * len(mixed))
        return mixed[n:], mixed[:n]

    assert say(right).startswith("Right:")
    assert say(lambda *a: None).startswith("Not yet")
    assert "both sides" in say(by_passage)
    assert "same seed" in say(lambda p, share, seed: right(p, share, None))
    assert "another order" in say(
        lambda *a: right(*a, names=lambda p: dict.fromkeys(q.source for q in p))
    )
    assert "seed makes no difference" in say(lambda p, share, seed: right(p, share, 0))
    assert "lost" in say(lambda *a: (right(*a)[0][1:], right(*a)[1]))
    assert "about 10" in say(lambda p, share, seed: right(p, 0.8, seed))
    assert "25 of 50" in say(lambda p, share, seed: right(p, 0.2, seed))
    assert "IndexError" in say(lambda *a: [][0])

    def by_hash(passages, share, seed):
        def in_test(passage):
            return hash((seed, passage.source)) % 100 < 100 * share

        return [p for p in passages if not in_test(p)], [p for p in passages if in_test(p)]

    assert "changes with each start" in say(by_hash)

    def by_size(passages, share, seed):
        names, chosen, number = sorted({p.source for p in passages}), set(), 0
        random.Random(seed).shuffle(names)
        while number < share * len(passages):
            chosen.add(names.pop())
            number = sum(p.source in chosen for p in passages)
        return [p for p in passages if p.source not in chosen], [
            p for p in passages if p.source in chosen
        ]

    assert "50 sources about 10" in say(by_size)

    def by_name(passages, share, seed):
        coin = {p.source: random.Random(f"{seed}/{p.source}").random() for p in passages}
        return tuple(p for p in passages if coin[p.source] >= share), tuple(
            p for p in passages if coin[p.source] < share
        )

    assert say(by_name).startswith("Right:")


def test_size():
    def say(answer):
        return verdict(CHAPTER, "check_size", answer)

    two = (1600, 3600)
    for right in (two, list(two), ("1600", "3600"), np.array(two), torch.tensor(two)):
        assert say(right).startswith("Right:")
    assert say((1601, 3602.25)).startswith("Right:")  # a root that was rounded up
    assert say((Fraction(1600), 1600 * 1.5**2)).startswith("Right:")
    assert say(None).startswith("Not yet")
    assert "exchanged" in say((3600, 1600))
    for wrong in (1600, "1600 3600", (1600,), (1, 2, 3), {"a": 1, "b": 2}, np.eye(2)):
        assert "two numbers" in say(wrong)
    for first, word in (
        (400, "one standard error"),
        (800, "and not twice"),
        (100, "not 0.04"),
        (6400, "one point"),
        (2500, "one half"),
        (8000, "not p."),
        (2000, "not 1 - p"),
        (16, "is the root of"),
        (8, "is the root of"),
        (4, "is the root of"),
        (40, "the root of n"),
        (0.16, "0.02, not 2"),
        (0.04, "0.02, not 2"),
        (1000, "Solve the formula"),
        (float("nan"), "Solve the formula"),
        (float("inf"), "Solve the formula"),
        (1e400, "Solve the formula"),
        (-1600, "Solve the formula"),
    ):
        assert word in say((first, 2.25 * first))
    for second, word in (
        (1600, "3 points"),
        (2400, "not n"),
        (1067, "more are needed"),
        (711, "more are needed"),
        (5400, "as n grows"),
        (float("nan"), "as n grows"),
    ):
        said = say((1600, second))
        assert word in said and said.startswith("The first is right")
