import pytest

from tests.exercises.checks import verdict

CHAPTER = "19_saving"


def test_forgotten():
    assert verdict(CHAPTER, "check_forgotten", "random state").startswith("Right")
    assert verdict(CHAPTER, "check_forgotten", None).startswith("Not yet")
    assert "schedule" in verdict(CHAPTER, "check_forgotten", "learning rate")
    assert "seed and step" in verdict(CHAPTER, "check_forgotten", "batch")
    assert "zero" in verdict(CHAPTER, "check_forgotten", "gradients")
    assert "four strings" in verdict(CHAPTER, "check_forgotten", "the weather")


@pytest.mark.parametrize(
    "order, said",
    [
        (lambda s: [s[2], s[3], s[1], s[0]], "Right"),
        (lambda s: ["open beside it", "write", "fsync", "rename to the final name"], "Right"),
        (lambda s: None, "Not yet"),
        (lambda s: [s[2], s[3], s[0], s[1]], "before fsync"),
        (lambda s: [s[3], s[2], s[1], s[0]], "opened before"),
        (lambda s: s[:2], "all four"),
    ],
)
def test_order(order, said):
    assert said in verdict(CHAPTER, "check_order", order)


@pytest.mark.parametrize(
    "drop, said",
    [
        (lambda names: sorted(names, key=lambda n: int(n[5:]), reverse=True)[2:], "Right"),
        (lambda names: sorted(names)[:-2], "as text"),
        (lambda names: None, "Not yet"),
        (lambda names: names, "all but the two"),
    ],
)
def test_drop(drop, said):
    assert said in verdict(CHAPTER, "check_drop", drop)
