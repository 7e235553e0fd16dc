"""Say what must be mended before the book is published: `make publish-check`.

The address is unset or nobody's, a chapter or the citation repeats another one, a placeholder stands in what people
will read, or a file that a public repository needs is missing. Each place is one line; no line is no complaint.
"""

import json
import re
import subprocess
import sys
from pathlib import Path

from tools import address

ROOT = Path(__file__).parents[1]
NEEDED = ("README.md", "LICENSE", "SECURITY.md", "CITATION.cff", "CONTRIBUTING.md", "CHANGELOG.md")
# Tests and this file name placeholders to refuse them.
UNREAD = re.compile(r"^(tests/|tools/publish_check\.py|constraints\.txt|.*package-lock\.json)")
TEXT = re.compile(
    r"\.(py|md|ya?ml|toml|cff|bib|css|js|svg|txt|ipynb|json|cfg)$|(^|/)(Makefile|LICENSE|run)$"
)
PLACEHOLDER = re.compile(
    r"OWNER/REPO|\bexample\.(?:com|org|net|invalid)\b|\b(?:TODO|FIXME|XXX|TBD|CHANGEME)\b"
    r"|\b[Ll]orem ipsum\b|\byour[-_](?:name|org|repo|user(?:name)?)\b|\{\{ ?cookiecutter"
)
NOBODYS = re.compile(
    r"^file:|//(?:localhost|127\.|\[)|/OWNER/|/REPO\b|someone|example", re.IGNORECASE
)


def tracked(root):
    """The files of the repository, as git lists them."""
    command = ["git", "-C", str(root), "ls-files", "-z"]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.split("\0")[
        :-1
    ]


def lines(path):
    """Yield (place, line) of what a person reads in a file; of a notebook, its cells and their text."""
    if path.suffix != ".ipynb":
        for number, line in enumerate(path.read_text("utf-8").splitlines(), 1):
            yield f"line {number}", line
        return
    for cell in json.loads(path.read_text("utf-8"))["cells"]:
        texts = ["".join(cell["source"])]
        for output in cell.get("outputs", []):
            texts.append("".join(output.get("text", "")))
            texts += [
                "".join(v) for k, v in output.get("data", {}).items() if k.startswith("text/")
            ]
        for line in "\n".join(texts).splitlines():
            yield f"cell {cell.get('id')}", line


def placeholders(root):
    """Yield each place where a placeholder stands."""
    for name in tracked(root):
        if TEXT.search(name) and not UNREAD.match(name) and (root / name).is_file():
            for place, line in lines(root / name):
                if found := PLACEHOLDER.search(line):
                    yield f"{name}, {place}: the placeholder {found[0]}"


def addresses(root):
    """Yield what is wrong with the public address, and where it is not the same."""
    url = address.read(root)
    if not url:
        yield "_config.yml: repository.url is empty, the address is unset (make address URL=https://...)"
    elif NOBODYS.search(url) or not url.startswith("https://"):
        yield f"_config.yml: repository.url is {url}, which is nobody's public address"
    for place, repeated in address.repeated(root):
        if repeated != url:
            yield f"{place}: repeats the address {repeated!r}, it must be {url!r} (make address)"


def versions(root):
    """Yield a citation of another version than the package's."""
    package = re.search(r'(?m)^version = "(.*)"', (root / "pyproject.toml").read_text("utf-8"))[1]
    cited = re.search(r"(?m)^version: (.*)", (root / "CITATION.cff").read_text("utf-8"))[1]
    if cited != package:
        yield f"CITATION.cff: version {cited}, the package's is {package}"


def complaints(root=ROOT):
    """What must be mended, one sentence a place."""
    missing = [
        f"{name}: missing or empty"
        for name in NEEDED
        if not (root / name).is_file() or not (root / name).stat().st_size
    ]
    if missing:
        return missing
    return [*addresses(root), *versions(root), *placeholders(root)]


if __name__ == "__main__":
    found = complaints()
    print("\n".join(found) or "Ready to be published.")
    sys.exit(bool(found))
