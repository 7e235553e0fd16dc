"""Drawings: what would be seen in the wrong place, or not at all."""

import pytest
import torch
from matplotlib import pyplot as plt

from transformer_lib.figures import (
    AHEAD,
    BOXES,
    BUILT,
    COLORS,
    NEW,
    PARTS,
    TOY_TOKENS,
    TOY_VECTORS,
    draw_model,
    heatmap,
)


@pytest.fixture(autouse=True)
def closed():
    yield
    plt.close("all")


def test_each_number_stands_in_its_own_square_and_can_be_read():
    matrix = torch.tensor([[0.0, 1.0, 0.25], [0.004, 0.5, -2.0]])
    ax = heatmap(matrix, list("ab"), list("xyz"), values=True, vmin=0, vmax=1, title="t")
    image = ax.images[0]
    assert torch.equal(torch.as_tensor(image.get_array()), matrix)
    assert image.get_clim() == (0, 1) and ax.get_title() == "t"
    assert [t.get_text() for t in ax.get_xticklabels()] == ["x", "y", "z"]
    said = {t.get_position(): (t.get_text(), t.get_color()) for t in ax.texts}
    assert said[0, 0] == ("0", "white") and said[1, 0] == ("1", "black")  # x, y
    assert said[2, 0][0] == "0.25" and said[0, 1][0] == "<.01" and said[2, 1][0] == "-2"


def test_only_a_zero_is_written_as_one_and_each_number_fits_its_square():
    matrix = torch.tensor([[0.0, -0.0, 1e-9, 0.0049], [0.006, -1e-9, -0.004, -0.25]])
    rows = matrix.repeat(2, 2)[:, :6]  # as many squares as the sentence of the book has words
    ax = heatmap(rows, ["a word"] * 4, TOY_TOKENS, values=True)
    said = [
        "0",
        "0",
        "<.01",
        "<.01",
        "0",
        "0",
        "0.006",
        ">-.01",
        ">-.01",
        "-0.25",
        "0.006",
        ">-.01",
    ]
    assert [text.get_text() for text in ax.texts] == said * 2
    ax.figure.canvas.draw()
    (left, right), (low, high) = ax.transData.transform([(0, 0), (1, 1)]).T
    for text in ax.texts:
        box = text.get_window_extent()
        assert box.width < right - left and box.height < abs(high - low)


def test_names_are_text_and_never_maths():
    names = ["$$", "$x$", "\n", "שלום"]
    ax = heatmap(torch.eye(4), names, names, title="$_")
    ax.figure.canvas.draw()
    for labels in (ax.get_xticklabels(), ax.get_yticklabels()):
        assert [label.get_text() for label in labels] == names
        assert not any(label.get_parse_math() for label in labels)
    assert ax.get_title() == "$_" and not ax.title.get_parse_math()


@pytest.mark.parametrize(
    "given, message",
    [
        (([1.0, 2.0],), r"matrix must have shape \(R, C\) .* got \(2,\)"),
        ((torch.eye(2), ["a"]), "rows must be a list of 2 names"),
        ((torch.eye(2), (), "abc"), "columns must be a list of 2 names"),
        ((torch.eye(2), "ab"), "rows must be a list of 2 names, .* got 'ab'"),
        (("ab",), "matrix must hold numbers, got a str"),
    ],
)
def test_what_is_no_matrix_or_no_name_for_each_row_is_named(given, message):
    with pytest.raises(ValueError, match=message):
        heatmap(*given)


def test_what_is_built_new_and_ahead_is_told_apart():
    for part in (*PARTS, None):
        reached = len(PARTS) if part is None else PARTS.index(part)
        patches = draw_model(part).axes[0].patches[: len(BOXES)]
        for patch, (*_, name) in zip(patches, BOXES, strict=True):
            at = PARTS.index(name)
            style = NEW if at == reached else BUILT if at < reached else AHEAD
            assert patch.get_linestyle() == style["linestyle"]
            assert patch.get_facecolor() == plt.matplotlib.colors.to_rgba(style["facecolor"])
        plt.close("all")


def test_queries_keys_and_values_have_three_colours():
    assert len({COLORS[name] for name in ("query", "key", "value")}) == 3


def test_equal_words_of_the_toy_are_equal_and_others_are_not():
    for i, word in enumerate(TOY_TOKENS):
        for j, other in enumerate(TOY_TOKENS):
            assert torch.equal(TOY_VECTORS[i], TOY_VECTORS[j]) == (word == other)
    assert TOY_VECTORS[1].tolist() == [1, 0, 0, 1]  # the cat, a thing that is alive


def test_a_square_that_is_not_finite_says_so_in_dark_letters():
    heatmap([[1.0, 2.0], [-float("inf"), float("nan")]], values=True)
    said = [(text.get_text(), text.get_color()) for text in plt.gca().texts]
    assert said[2:] == [("-inf", "black"), ("nan", "black")] and said[0][0] == "1"
