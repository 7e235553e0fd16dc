"""Figures for the dark theme: the paper turns dark, and the colours that mean something stay as they are.

Figures are drawn on white. For each, a second picture is written beside it: text, lines and paper have their lightness
mirrored and keep their hue, while filled areas (the squares of a map, bars, boxes) and what is written in them are not
touched, since "bright" and "dark" in a caption speak of them. The style sheet shows one of the two.
"""

import functools
import io
import os
import re
import struct
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import unquote

PAPER = (0x12, 0x12, 0x12)  # the background of the dark pages
INK = (0xE9, 0xEB, 0xED)
SIDE = 9  # pixels: what is at least as wide and as high is an area
REACH = 31  # pixels: what is written in an area is less high
LETTER = 150  # pixels: a hole of at most so many in an area is a letter
WHITE = 248  # what is paler is paper; the palest grey of a colour map is 243
BLACK = 16  # an area darker than this would not be seen on the dark paper
GREY = 150
BAND = 3000  # pixels: a pale grey of at least so many, all the same, is paper that was shaded
IMAGE = re.compile(r'<img ((?:[^>]*? )?)src="([^"]*_images/[^"]*)\.png"([^>]*)>')
# Light inverted, then all hues turned by half a circle: blue stays blue.
TURN = ((-0.574, 1.430, 0.144), (0.426, 0.430, 0.144), (0.426, 1.430, -0.856))


def areas(solid):
    """Return which pixels belong to areas: squares of SIDE pixels fit there, and what is written in them counts."""
    import numpy as np
    from scipy import ndimage

    opened = ndimage.maximum_filter(ndimage.minimum_filter(solid, SIDE), SIDE)
    near = np.pad(opened, REACH)
    near = ndimage.minimum_filter(ndimage.maximum_filter(near, REACH), REACH)[
        REACH:-REACH, REACH:-REACH
    ]
    holes, count = ndimage.label(~solid)
    sizes = ndimage.sum_labels(np.ones_like(holes), holes, range(count + 1))
    written = near & (solid | (sizes <= LETTER)[holes])
    return ndimage.binary_dilation(opened, iterations=2, mask=solid) | written  # round corners


def shaded(colours):
    """Return which pixels are paper in a pale grey, as behind a part of a curve."""
    import numpy as np

    pale = (colours.min(2) > 190) & (np.ptp(colours, 2) < 8) & (colours.min(2) < 255)
    values, counts = np.unique(colours[pale][:, 0], return_counts=True)
    return pale & np.isin(colours[..., 0], values[counts >= BAND])


def darken(data):
    """Return the dark picture of a PNG that was drawn on white, as the bytes of a PNG."""
    import numpy as np
    from PIL import Image

    with Image.open(io.BytesIO(data)) as image:
        white = Image.new("RGBA", image.size, "white")
        colours = np.asarray(Image.alpha_composite(white, image.convert("RGBA")).convert("RGB"))
    # Shaded paper is left out first: with it, its edge and a curve on it would count as areas.
    kept = areas((colours.min(2) < WHITE) & ~shaded(colours))
    turned = np.clip((255.0 - colours) @ np.array(TURN).T, 0, 255) / 255
    paper, ink = np.array(PAPER), np.array(INK)
    dark = np.where(kept[..., None], colours, paper + turned * (ink - paper))
    dark[areas(colours.max(2) < BLACK)] = GREY
    file = io.BytesIO()
    Image.fromarray(dark.round().astype(np.uint8)).save(file, "PNG", optimize=True)
    return file.getvalue()


def size(path):
    """Return the attributes that keep a PNG's place free before it has come: else what is below it would move."""
    with open(path, "rb") as file:
        width, height = struct.unpack(">II", file.read(24)[16:])
    return f'width="{width}" height="{height}"'


def pair(sources, match):
    """Return two pictures for one: the style sheet shows that of the theme."""
    before, name, after = match.groups()
    space = size(sources[unquote(name.split("/")[-1]) + ".png"])
    rest = re.sub(r'\sclass="[^"]*"|\sid="[^"]*"', "", f" {before}{after}")
    classes = "".join(re.findall(r'class="([^"]*)"', match[0]))
    light = match[0].replace(f'class="{classes}"', "") if classes else match[0]
    light = light.replace("<img ", f'<img class="{f"{classes} figure-light".strip()}" {space} ', 1)
    dark = f'<img class="{f"{classes} figure-dark".strip()}" {space} src="{name}.dark.png"{rest.rstrip("/ ")} loading="lazy" />'
    return light + dark


def show_both(app, pagename, templatename, context, doctree):
    """Write each figure of a page twice."""
    if context.get("body") and app.builder.format == "html":
        sources = {name: Path(app.srcdir, path) for path, (_, name) in app.env.images.items()}
        context["body"] = IMAGE.sub(functools.partial(pair, sources), context["body"])


def write_pictures(app, error):
    """Write the dark pictures that are missing or older than their figure."""
    if error is not None or app.builder.format != "html":
        return

    def write(path):
        dark = path.with_suffix(".dark.png")
        if path.suffixes[-2:] != [".dark", ".png"] and (
            not dark.exists() or dark.stat().st_mtime < path.stat().st_mtime
        ):
            dark.write_bytes(darken(path.read_bytes()))

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        list(pool.map(write, Path(app.outdir, "_images").glob("*.png")))


def setup(app):
    app.connect("html-page-context", show_both, priority=960)
    app.connect("build-finished", write_pictures, priority=800)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
