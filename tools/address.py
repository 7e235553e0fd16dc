"""Set the book's public address everywhere it is repeated: `make address URL=...`; an empty URL unsets it.

`_config.yml` (repository.url) is the setting; a notebook opened in Colab cannot read it, so the
set-up cell of each chapter repeats it.
"""

import re
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
SETTING = re.compile(r'(?m)^(repository:\n  url: )"([^"]*)"')
REPEATED = re.compile(r'REPOSITORY = \\"[^"]*\\"')


def read(root=ROOT):
    """The address in `_config.yml`, "" while it is unset."""
    return SETTING.search((root / "_config.yml").read_text("utf-8"))[2]


def write(url, root=ROOT):
    """Write the address into `_config.yml` and every chapter."""
    if url and not re.fullmatch(r"(https|file)://[\w./~%-]+", url):
        sys.exit(f"URL must begin with https:// (or file://), or be empty, got {url!r}")
    config = root / "_config.yml"
    config.write_text(SETTING.sub(rf'\g<1>"{url}"', config.read_text("utf-8"), count=1), "utf-8")
    for chapter in sorted((root / "chapters").glob("*.ipynb")):
        text = chapter.read_text("utf-8")
        chapter.write_text(REPEATED.sub(rf'REPOSITORY = \\"{url}\\"', text, count=1), "utf-8")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: python tools/address.py URL")
    write(sys.argv[1])
