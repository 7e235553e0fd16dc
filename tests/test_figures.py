"""Drawings and the view of maps: what would be seen in the wrong place, or not at all."""

import re

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
    AttentionView,
    draw_model,
    heatmap,
)


@pytest.fixture(autouse=True)
def closed():
    yield
    plt.close("all")


def test_each_number_stands_in_its_own_square_and_can_be_read():
    matrix = torch.tensor([[0.0, 1.0, 0.25], [0.004, 0.5, -2.0]])
    ax = heatmap(matrix, "ab", "xyz", values=True, vmin=0, vmax=1, title="t")
    image = ax.images[0]
    assert torch.equal(torch.as_tensor(image.get_array()), matrix)
    assert image.get_clim() == (0, 1) and ax.get_title() == "t"
    assert [t.get_text() for t in ax.get_xticklabels()] == ["x", "y", "z"]
    said = {t.get_position(): (t.get_text(), t.get_color()) for t in ax.texts}
    assert said[0, 0] == ("0", "white") and said[1, 0] == ("1", "black")  # x, y
    assert said[2, 0][0] == "0.25" and said[0, 1][0] == "0" and said[2, 1][0] == "-2"


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


def view(layers=3, heads=2, T=2):
    maps = torch.rand(layers, heads, T, T, generator=torch.Generator().manual_seed(0))
    return AttentionView("abcdef"[:T], list(maps)), maps


def test_a_view_offers_its_layers_and_its_heads_and_holds_their_maps():
    shown, maps = view()
    page = shown._repr_html_()
    assert re.findall(r"<option value=(\d)>(layer|head) (\d)<", page) == [
        ("0", "layer", "1"), ("1", "layer", "2"), ("2", "layer", "3"),
        ("0", "head", "1"), ("1", "head", "2"),
    ]  # fmt: skip
    numbers = re.search(r'"maps": (\[.*?\]\]\]\])', page)[1]
    assert torch.equal(torch.tensor(eval(numbers)), maps.double().round(decimals=3).float())


def test_two_views_on_one_page_have_two_names():
    one, two = (view(layers=n)[0]._repr_html_() for n in (1, 2))
    names = [re.search(r'id="(view\w+)"', page)[1] for page in (one, two)]
    assert names[0] != names[1] and f'getElementById("{names[0]}")' in one


@pytest.mark.parametrize(
    "maps", [[], [torch.rand(1, 3, 3)], [torch.rand(1, 2, 3)], [torch.rand(2, 2)]]
)
def test_maps_that_do_not_fit_the_tokens_are_refused(maps):
    with pytest.raises(ValueError, match=r"maps must be one \(H, 2, 2\) a layer"):
        AttentionView("ab", maps)


def test_a_pressed_token_says_where_it_looks(browser):
    """In a browser: row i of the chosen map, the largest share first."""
    maps = [torch.tensor([[[0.2, 0.8], [0.1, 0.9]]]), torch.tensor([[[0.3, 0.7], [0.6, 0.4]]])]
    page = browser.new_page()
    page.set_content(AttentionView("ab", maps)._repr_html_())
    reading = page.locator(".reading")
    assert reading.inner_text() == '"b" looks at "b" (0.90), "a" (0.10)'
    page.locator("button").first.click()
    assert reading.inner_text() == '"a" looks at "b" (0.80), "a" (0.20)'
    page.locator(".layer").select_option("1")
    assert reading.inner_text() == '"a" looks at "b" (0.70), "a" (0.30)'
    page.close()
