"""A build that lacks something fails: pages, code cells, outputs, figures, entries of the search.

    python book/ext/whole.py [_build/html]

says the same of a folder that was built before. A page that was written empty looks like success to every other check.
"""

import json
import re
import sys
from pathlib import Path
from urllib.parse import unquote, urlsplit

import yaml
from bs4 import BeautifulSoup

LEAST_TEXT = 200  # characters of an article
REMOVED = {"remove-cell", "remove_cell"}
ROOT = Path(__file__).resolve().parents[2]


def pages(source):
    """Return the pages that the table of contents names, its first one first."""
    toc = yaml.safe_load(Path(source, "_toc.yml").read_text(encoding="utf-8"))

    def files(entry):
        if isinstance(entry, dict):
            yield from filter(None, [entry.get("root") or entry.get("file")])
            for inner in ("parts", "chapters", "sections", "subtrees", "entries"):
                for one in entry.get(inner, []):
                    yield from files(one)

    return [re.sub(r"\.(md|ipynb|rst)$", "", name) for name in files(toc)]


def outputs(cell):
    """Return the number of a cell's outputs as a page shows them: a stream is one, in however many pieces."""
    kinds = [o.get("name") or str(number) for number, o in enumerate(cell["outputs"])]
    return sum(kind != before for kind, before in zip(kinds, [None, *kinds]))


def figures(cell):
    """Return the number of pictures among a cell's outputs."""
    return sum(any(k.startswith("image/") for k in o.get("data", {})) for o in cell["outputs"])


def shown(notebook):
    """Return the code cells that a page shows: neither removed, nor of directives alone."""
    cells = json.loads(notebook.read_text(encoding="utf-8"))["cells"]
    return [
        cell
        for cell in cells
        if cell["cell_type"] == "code"
        and not REMOVED & set(cell["metadata"].get("tags", []))
        and re.sub(r"(?m)^#\|.*$", "", "".join(cell["source"])).strip()
    ]


def compare(name, article, notebook):
    """Yield what the page of a chapter lacks of its notebook."""
    cells = shown(notebook)
    drawn = article.select("div.cell:has(.cell_input, .cell_output)")
    if len(drawn) != len(cells):
        yield f"{name}: {len(drawn)} code cells on the page, {len(cells)} in the notebook"
        return
    for number, (cell, box) in enumerate(zip(cells, drawn, strict=True), 1):
        output = box.select_one(".cell_output")
        parts = output.select(":scope > :not(.figure-dark)") if output else []
        here = [
            part for part in parts if part.get_text(strip=True) or part.find() or part.name == "img"
        ]
        if outputs(cell) and len(here) < outputs(cell):
            yield f"{name}: cell {number} has {outputs(cell)} outputs, its page {len(here)}"
        images = output.select("img:not(.figure-dark)") if output else []
        if len(images) < figures(cell):
            yield f"{name}: cell {number} has {figures(cell)} figures, its page {len(images)}"


def lost_files(name, page, soup):
    """Yield the pictures, scripts and style sheets of a page that are missing or empty."""
    for element in soup.select("img[src], script[src], link[rel~=stylesheet][href]"):
        address = urlsplit(element.get("src") or element.get("href"))
        if address.scheme or address.netloc:
            continue
        path = (page.parent / unquote(address.path)).resolve()
        if not path.is_file() or not path.stat().st_size:
            yield f"{name}: {unquote(address.path)} is missing or empty"


def indexed(html):
    """Return the pages that the search knows, with the number of its words."""
    text = (
        (html / "searchindex.js").read_text(encoding="utf-8")
        if (html / "searchindex.js").exists()
        else ""
    )
    match = re.search(r"(?s)Search\.setIndex\((.*)\)", text)
    index = json.loads(match[1]) if match else {}
    return set(index.get("docnames", [])), len(index.get("terms", {}))


def missing(html, source):
    """Return a sentence for each thing that the built book in `html` lacks of the book in `source`."""
    html, found = Path(html), []
    names = pages(source)
    for name in names:
        page = html / f"{name}.html"
        if not page.is_file():
            found.append(f"{name}: the page was not built")
            continue
        text = re.sub(
            r"</?span[^>]*>", "", page.read_text(encoding="utf-8")
        )  # colours: half of all
        soup = BeautifulSoup(text, "html.parser")
        article = soup.select_one("article.bd-article")
        if article is None or not article.h1 or len(article.get_text()) < LEAST_TEXT:
            found.append(f"{name}: the page has no title or hardly any text")
            continue
        notebook = Path(source, f"{name}.ipynb")
        found += compare(name, article, notebook) if notebook.exists() else []
        found += lost_files(name, page, soup)
    known, words = indexed(html)
    found += [f"{name}: the search does not know the page" for name in names if name not in known]
    return found + ([] if words else ["the search knows no word"])


def check(app, error):
    """Fail the build of the whole book when its pages lack something."""
    from sphinx.errors import ExtensionError

    if error is None and app.builder.name == "html" and Path(app.srcdir, "_toc.yml").exists():
        if found := missing(app.outdir, app.srcdir):
            raise ExtensionError("the book was built, and is not whole:\n" + "\n".join(found))


def setup(app):
    app.connect("build-finished", check, priority=900)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}


if __name__ == "__main__":
    lacking = missing(sys.argv[1] if sys.argv[1:] else ROOT / "_build" / "html", ROOT)
    sys.exit("\n".join(lacking) or 0)
