"""The checks of chapter 36 accept what is right and name what is wrong."""

import pytest
import torch

from tests.exercises.checks import verdict

CHAPTER = "36_figures"


def codes_to_light(rgb):
    return ((rgb + 0.055) / 1.055) ** 2.4 * (rgb > 0.04045) + rgb / 12.92 * (rgb <= 0.04045)


def luminance(rgb):
    red, green, blue = (codes_to_light(rgb[..., i]) for i in range(3))
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


EYE = torch.tensor([0.2126, 0.7152, 0.0722], dtype=torch.float64)


def one_way(curve):
    steps = curve.diff()
    return (steps > 0).all() | (steps < 0).all()


@pytest.mark.parametrize(
    "steady, said",
    [
        (lambda rgb: abs(luminance(rgb).diff().sign().sum()) == len(rgb) - 1, "Right:"),
        (
            lambda rgb: (
                luminance(rgb).tolist() in (sorted(v := luminance(rgb).tolist()), sorted(v)[::-1])
            ),
            "Right:",
        ),
        (lambda rgb: None, "Not yet"),
        (lambda rgb: False, "in order"),
        (lambda rgb: True, "go up and down"),
        (lambda rgb: bool(luminance(rgb)[-1] > luminance(rgb)[0]), "go up and down"),
        (lambda rgb: bool((luminance(rgb).diff() > 0).all()), "fall all along"),
        (lambda rgb: bool((luminance(rgb).diff() > 0).sum() in (0, 127, 128, 255)), "RdBu"),
        (lambda: True, "stopped with TypeError"),
        (lambda rgb: len(set(luminance(rgb).diff().sign().tolist())) == 1, "Right:"),
        (lambda rgb: one_way(luminance(rgb)), "Right:"),
        (lambda rgb: one_way(rgb.sum(1)), "turn codes into light"),
        (lambda rgb: one_way(luminance(rgb) * 0 + rgb @ EYE), "turn codes into light"),
        (lambda rgb: one_way(codes_to_light(rgb).sum(1)), "weigh red"),
        (lambda rgb: one_way(rgb[:, 1]), "the lightness does not"),
        (lambda rgb: one_way(luminance(rgb)[::16]), "every step"),
        (lambda rgb: luminance(rgb), "stopped with"),
    ],
)
def test_steady(steady, said):
    assert said in verdict(CHAPTER, "check_steady", steady)


def weighed(rgb):
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in rgb]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(rgb, ink):
    return (weighed(rgb) + 0.05) / 0.05 if ink == "black" else 1.05 / (weighed(rgb) + 0.05)


def lightness(rgb):
    return 116 * weighed(rgb) ** (1 / 3) - 16


@pytest.mark.parametrize(
    "ink, said",
    [
        (lambda rgb: "black" if weighed(rgb) > 0.1791 else "white", "Right:"),
        (lambda rgb: None, "Not yet"),
        (lambda rgb: 1, "the string"),
        (lambda rgb: "white" if weighed(rgb) > 0.1791 else "black", "Upside down"),
        (lambda rgb: "black" if sum(rgb) > 1.5 else "white", "weigh them"),
        (lambda rgb: "black" if weighed(rgb) > 0.5 else "white", "not at the half"),
        (
            lambda rgb: (
                "black" if 0.2126 * rgb[0] + 0.7152 * rgb[1] + 0.0722 * rgb[2] > 0.18 else "white"
            ),
            "amounts of light",
        ),
        (lambda: "black", "stopped with TypeError"),
        (lambda rgb: ["black"], "the string"),
        (lambda rgb: "Black", "not 'Black'"),
        (lambda rgb: max(("black", "white"), key=lambda c: contrast(rgb, c)), "Right:"),
        (lambda rgb: "black" if lightness(rgb) > 50 else "white", "Right:"),
    ],
)
def test_ink(ink, said):
    assert said in verdict(CHAPTER, "check_ink", ink)


def undescribed(cells, kind="image/", strip=True):
    found = []
    for number, cell in enumerate(cells):
        data = [k for output in cell.get("outputs", ()) for k in output.get("data", ())]
        alt = cell["metadata"].get("mystnb", {}).get("image", {}).get("alt", "")
        if any(k.startswith(kind) for k in data) and not (alt.strip() if strip else alt):
            found.append(number)
    return found


def last_output(cells):
    return undescribed([cell | {"outputs": cell.get("outputs", [])[-1:]} for cell in cells])


def in_words(cells):
    """Looks for the name of a kind anywhere in what was printed."""
    shown = ["image/" in str(cell.get("outputs")) for cell in cells]
    return [
        number
        for number, cell in enumerate(cells)
        if shown[number]
        and not cell["metadata"].get("mystnb", {}).get("image", {}).get("alt", "").strip()
    ]


@pytest.mark.parametrize(
    "answer, said",
    [
        (undescribed, "Right:"),
        (lambda cells: tuple(undescribed(cells)), "Right:"),
        (lambda cells: None, "Not yet"),
        (lambda cells: undescribed(cells, kind="image/png"), "cells 1 and 4"),
        (lambda cells: undescribed(cells, strip=False), "cell 5"),
        (lambda cells: undescribed(cells, kind=""), "no image"),
        (lambda cells: undescribed(cells, kind=("image/png", "image/svg")), "cells 1 and 4"),
        (last_output, "any of the outputs"),
        (lambda cells: undescribed(cells) + [6], "each cell once"),
        (in_words, "no image"),
        (lambda cells: [0, 1, 4, 5, 6], "Cell 0 is described"),
        (lambda cells: [], "have an image and no text"),
        (lambda cells: [c["metadata"]["mystnb"] for c in cells], "stopped with KeyError"),
        (lambda cells: torch.tensor(undescribed(cells)), "Right:"),
        (lambda cells: (number for number in undescribed(cells)), "Right:"),
        (lambda cells: [number + 1 for number in undescribed(cells)], "the number 0"),
        (lambda cells: [n for n in undescribed(cells) if n != 6], "any of the outputs"),
        (lambda cells: [n for n in undescribed(cells) if n == 5], "key is missing"),
        (lambda cells: [cells[n] for n in undescribed(cells)], "stopped with TypeError"),
    ],
)
def test_undescribed(answer, said):
    assert said in verdict(CHAPTER, "check_undescribed", answer)
