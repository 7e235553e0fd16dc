"""Pictures for the chapters: small, the same bytes for the same pixels, and kept where nothing changed."""

import io

import numpy as np
from PIL import Image

COLOURS = 256  # as many as a palette has
COMMONEST = 64  # of them the ones that fill the most pixels; the others are as far apart as can be
FARTHEST = 16  # steps of 255 that a colour may move when it goes to its neighbour in the palette
BLUR = 3  # pixels a side whose mean is compared: letters are smoothed differently by each version
VISIBLE = 24  # steps of 255 by which a mean must differ to count as another picture


def _pixels(png):
    """The pixels of a PNG file, red, green and blue, on white."""
    image = Image.open(io.BytesIO(png)).convert("RGBA")
    return Image.alpha_composite(Image.new("RGBA", image.size, "white"), image).convert("RGB")


def _palette(colours, counts):
    """At most 256 of the colours: the commonest, then always the one farthest from those chosen."""
    if len(colours) <= COLOURS:
        return colours
    chosen = list(np.argsort(-counts, kind="stable")[:COMMONEST])
    distance = ((colours[:, None] - colours[chosen]) ** 2).sum(-1).min(1)
    while len(chosen) < COLOURS:
        chosen.append(int(distance.argmax()))
        distance = np.minimum(distance, ((colours - colours[chosen[-1]]) ** 2).sum(-1))
    return colours[np.sort(chosen)]


def smaller(png):
    """The same picture without what is no pixel (dates, versions), with a palette if no colour shows it."""
    image = Image.open(io.BytesIO(png))
    opaque = image.convert("RGBA").getchannel("A").getextrema()[0] == 255
    if opaque:
        image = image.convert("RGB")
        rgb = np.asarray(image).astype(np.uint32)
        packed = rgb[..., 0] << 16 | rgb[..., 1] << 8 | rgb[..., 2]
        values, where, counts = np.unique(packed, return_inverse=True, return_counts=True)
        colours = np.stack([values >> 16, values >> 8 & 255, values & 255], 1).astype(np.int64)
        if len(colours) < 1 << 15:  # more is a photograph
            palette = _palette(colours, counts)
            nearest = ((colours[:, None] - palette) ** 2).sum(-1).argmin(1)
            if abs(palette[nearest] - colours).max() <= FARTHEST:
                indices = nearest.astype(np.uint8)[where.reshape(-1)]
                image = Image.frombytes("P", image.size, indices.tobytes())
                image.putpalette(palette.astype(np.uint8).tobytes())
    image.info = {}
    made = io.BytesIO()
    image.save(made, "PNG", optimize=True)
    return made.getvalue()


def alike(one, other):
    """Whether two PNG files show the same, whatever smoothed their edges."""
    a, b = _pixels(one), _pixels(other)
    if a.size != b.size:
        return False
    means = [np.asarray(image.reduce(BLUR)).astype(int) for image in (a, b)]
    return abs(means[0] - means[1]).max() < VISIBLE
