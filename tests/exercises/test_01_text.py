from collections import Counter
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

    assert say(right).startswith("Right")
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
        assert say(lambda train, test: other(right(train, test))).startswith("Right")  # noqa: B023
