"""Set the book's public address everywhere it is repeated: `make address URL=...`; an empty URL unsets it.

`_config.yml` (repository.url) is the setting; a notebook opened in Colab cannot read it, so the
set-up cell of each chapter repeats it, and so does the citation. With a commit, which a server that publishes the
book gives, the set-up cells install the package of that commit.

    python tools/address.py URL [COMMIT]
"""

import re
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
SETTING = re.compile(r'(?m)^(repository:\n  url: )"([^"]*)"')
REPEATED = re.compile(r'REPOSITORY = \\"([^"]*)\\"')
CITED = re.compile(r'(?m)^repository-code: "(.*)"\n')


def read(root=ROOT):
    """The address in `_config.yml`, "" while it is unset."""
    return SETTING.search((root / "_config.yml").read_text("utf-8"))[2]


def repeated(root=ROOT):
    """Yield (file, address) of each place that repeats the setting."""
    for chapter in sorted((root / "chapters").glob("*.ipynb")):
        for found in REPEATED.finditer(chapter.read_text("utf-8")):
            yield f"chapters/{chapter.name}", found[1]
    found = CITED.search((root / "CITATION.cff").read_text("utf-8"))
    yield "CITATION.cff", found[1] if found else ""


def write(url, root=ROOT, commit=""):
    """Write the address into `_config.yml`, every chapter and the citation."""
    url = url.rstrip("/")
    if url and not re.fullmatch(r"(https|file)://[\w./~%-]+", url):
        sys.exit(f"URL must begin with https:// (or file://), or be empty, got {url!r}")
    if commit and not re.fullmatch(r"[0-9a-f]{40}", commit):
        sys.exit(f"COMMIT must be 40 hexadecimal digits, got {commit!r}")
    config, citation = root / "_config.yml", root / "CITATION.cff"
    config.write_text(SETTING.sub(rf'\g<1>"{url}"', config.read_text("utf-8"), count=1), "utf-8")
    text = CITED.sub("", citation.read_text("utf-8"))
    citation.write_text(text + (f'repository-code: "{url}"\n' if url else ""), "utf-8")
    here = f"{url}@{commit}" if commit else url
    for chapter in sorted((root / "chapters").glob("*.ipynb")):
        text = chapter.read_text("utf-8")
        chapter.write_text(REPEATED.sub(rf'REPOSITORY = \\"{here}\\"', text, count=1), "utf-8")


if __name__ == "__main__":
    if len(sys.argv) not in (2, 3):
        sys.exit("usage: python tools/address.py URL [COMMIT]")
    write(sys.argv[1], commit="".join(sys.argv[2:]))
