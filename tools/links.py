"""Follow the links of the built book.

    python tools/links.py [--outside] [_build/html]

Within the book each link must lead to a file, and to a name in it. With --outside, other hosts are asked too: what they
say is gone is a complaint; a host that does not answer, or refuses to be asked by a program, is a remark.
"""

import argparse
import html
import re
import sys
import time
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path
from urllib.parse import unquote, urlsplit

ROOT = Path(__file__).parents[1]
LINK = re.compile(r'\s(?:href|src)="([^"]+)"')
NAME = re.compile(r'\s(?:id|name)="([^"]+)"')
GONE = (404, 410)
OPTIONS = {"timeout": 20, "tries": 3, "wait": 5}  # seconds


@cache
def names(page):
    """The places in a page that a link may lead to."""
    return {html.unescape(name) for name in NAME.findall(page.read_text("utf-8"))} | {""}


def links(folder):
    """Yield (page, link) of each link of each page."""
    for page in sorted(folder.rglob("*.html")):
        if "_static" not in page.relative_to(folder).parts:
            for link in dict.fromkeys(LINK.findall(page.read_text("utf-8"))):
                yield page, html.unescape(link)


def inside(folder):
    """What is wrong with the links within the book, one sentence each."""
    found = []
    for page, link in links(folder):
        parts = urlsplit(link)
        if parts.scheme or parts.netloc or link == "#":
            continue
        target = (page.parent / unquote(parts.path)).resolve() if parts.path else page
        target = target / "index.html" if target.is_dir() else target
        where = f"{page.relative_to(folder)}: {link}"
        if not target.is_file():
            found.append(f"{where} leads to no file")
        elif target.suffix == ".html" and unquote(parts.fragment) not in names(target):
            found.append(f"{where} leads to no place in {target.name}")
    return found


def ask(url):
    """What a host says of a page: a status, or the words of what went wrong."""
    request = urllib.request.Request(
        url, headers={"User-Agent": "Mozilla/5.0 (link check of a book)"}
    )
    said = ""
    for attempt in range(OPTIONS["tries"]):
        time.sleep(OPTIONS["wait"] * attempt)
        try:
            with urllib.request.urlopen(request, timeout=OPTIONS["timeout"]) as answer:
                return answer.status
        except urllib.error.HTTPError as error:
            if error.code < 500:
                return error.code
            said = error.code
        except (OSError, ValueError) as error:
            said = str(getattr(error, "reason", error))
    return said


def outside(folder):
    """(complaints, remarks) about the links to other hosts."""
    where = {}
    for page, link in links(folder):
        if urlsplit(link).scheme in ("http", "https"):
            where.setdefault(link.partition("#")[0], str(page.relative_to(folder)))
    with ThreadPoolExecutor(8) as pool:
        answers = dict(zip(where, pool.map(ask, where)))
    gone = [f"{where[u]}: {u} is gone ({a})" for u, a in answers.items() if a in GONE]
    unclear = [
        f"{where[u]}: {u} did not answer ({a})"
        for u, a in answers.items()
        if a not in GONE and not (isinstance(a, int) and a < 400)
    ]
    return gone, unclear


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--outside", action="store_true", help="ask other hosts too")
    parser.add_argument("folder", nargs="?", type=Path, default=ROOT / "_build" / "html")
    arguments = parser.parse_args()
    found, remarks = inside(arguments.folder), []
    if not any(arguments.folder.rglob("*.html")):
        found.append(f"{arguments.folder}: no page is here")
    if arguments.outside:
        gone, remarks = outside(arguments.folder)
        found += gone
    print("\n".join([*remarks, *found]) or "Every link leads somewhere.")
    sys.exit(bool(found))


if __name__ == "__main__":
    main()
