import random
from collections import Counter

from tests.exercises.checks import verdict

CHAPTER = "01_text"


def test_majority():
    def say(answer):
        return verdict(CHAPTER, "check_majority", answer)

    def right(train, test):
        best = max(sorted(set(train)), key=train.count)
        return sum(label == best for label in test) / len(test)

    assert say(right).startswith("Right")
    assert say(lambda train, test: None).startswith("Not yet")
    assert "peeks" in say(lambda train, test: max(Counter(test).values()) / len(test))
    assert "share in training" in say(lambda train, test: max(Counter(train).values()) / len(train))
    assert "percentage" in say(lambda train, test: 100 * right(train, test))
    assert "one number" in say(lambda train, test: max(train, key=train.count))
    assert "KeyError" in say(lambda train, test: {}["a"])
    assert "0.25" in say(lambda train, test: 0.9)


def test_twins():
    def say(answer):
        return verdict(CHAPTER, "check_twins", answer)

    assert say(0.8).startswith("Right") and say(0.804).startswith("Right")
    assert say(None).startswith("Not yet")
    assert "share of lines" in say(0.2)
    assert "160 to 39" in say(0.5)
    assert "already known" in say(0.64)
    assert "both in the test" in say(1)
    assert "199" in say(0.7)


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

    assert say(right).startswith("Right")
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
    assert "Expected" in say(lambda *a: (0.1, 0.2))


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

    assert say(right).startswith("Right")
    assert say(lambda *a: None).startswith("Not yet")
    assert "both sides" in say(by_passage)
    assert "same seed" in say(lambda p, share, seed: right(p, share, None))
    assert "another order" in say(
        lambda *a: right(*a, names=lambda p: dict.fromkeys(q.source for q in p))
    )
    assert "seed makes no difference" in say(lambda p, share, seed: right(p, share, 0))
    assert "lost" in say(lambda *a: (right(*a)[0][1:], right(*a)[1]))
    assert "about 10" in say(lambda p, share, seed: right(p, 0.8, seed))
    assert "IndexError" in say(lambda *a: [][0])
