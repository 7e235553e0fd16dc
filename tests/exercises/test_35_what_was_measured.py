"""The checks of the measurements' exercises: right answers, stubs, and the mistakes they name."""

from statistics import mean, median

from tests.exercises.checks import verdict

CHAPTER = "35_what_was_measured"


def say(check, answer):
    return verdict(CHAPTER, f"check_{check}", answer)


def test_repeat():
    right = ["same", "close", "different", "same", "different", "close"]
    assert say("repeat", right).startswith("Right:")
    assert say("repeat", tuple(map(str.upper, right))).startswith("Right:")
    assert say("repeat", None).startswith("Not yet")
    assert "Six words" in say("repeat", right[:4])
    for place, name in enumerate(
        ("parameters", "perplexity", "seconds", "tolerance", "tokens per second", "accuracy")
    ):
        wrong = [*right[:place], "who knows", *right[place + 1 :]]
        assert name in say("repeat", wrong)


def timed(*, warm=True, turns=True, middle=median, upside_down=False):
    def compare(ours, theirs, clock, repeat):
        works, spent = (ours, theirs), ([], [])
        order = [0, 1] * repeat if turns else [0] * repeat + [1] * repeat
        for i in [0, 1] * warm:
            works[i]()
        for i in order:
            began = clock()
            works[i]()
            spent[i].append(clock() - began)
        ratio = middle(spent[1]) / middle(spent[0])
        return 1 / ratio if upside_down else ratio

    return compare


def test_compare():
    assert say("compare", timed()).startswith("Right:")
    assert say("compare", timed(middle=min)).startswith("Right:")
    assert say("compare", lambda *a: None).startswith("Not yet")
    assert "It stops with" in say("compare", lambda *a: 1 / 0)
    assert "Upside down" in say("compare", timed(upside_down=True))
    assert "must give 2" in say("compare", lambda *a: 1.0)
    assert "`repeat` times" in say("compare", lambda a, b, c, n: timed()(a, b, c, 1))
    assert "once before the clock" in say("compare", timed(warm=False, middle=mean))
    assert "take turns" in say("compare", timed(turns=False))
    assert "median" in say("compare", timed(middle=mean))
    stub = timed(warm=False, turns=False, middle=mean)
    assert say("compare", stub) == "Not yet: for two equal models it gave 26.00, 1.40, 0.04"


def test_honest():
    assert say("honest", lambda s, r: (mean(s), sum(x > r for x in s))).startswith("Right:")
    assert say("honest", lambda s, r: None).startswith("Not yet")
    assert "best seed" in say("honest", lambda s, r: (max(s), 1))
    assert "median" in say("honest", lambda s, r: (median(s), 1))
    assert "draw" in say("honest", lambda s, r: (mean(s), sum(x >= r for x in s)))
    assert "0.804" in say("honest", lambda s, r: (sum(s), 1))
    assert "above the rival" in say("honest", lambda s, r: (mean(s), 0))
