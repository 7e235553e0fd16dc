"""What all tests use: shapes checked in the package's signatures, the built book, and a browser.

The book is built first when a source is newer than it, or set BOOK_HTML to a folder that holds a built book.
"""

import functools
import http.server
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from filelock import FileLock
from hypothesis import settings
from jaxtyping import install_import_hook

import tests.shapes  # noqa: F401  the hook looks it up
from tools.browser import MISSING, QUIET, find

ROOT = Path(__file__).parents[1]
install_import_hook("transformer_lib", "tests.shapes.check")

# The same examples every time, and no deadline: a busy machine is not an error.
settings.register_profile("book", deadline=None, derandomize=True)
settings.load_profile("book")


def pytest_collection_modifyitems(items):
    """What needs a browser or the built pages is marked by what it asks for."""
    for item in items:
        for fixture, marker in (("browser", "browser"), ("html", "book")):
            if fixture in getattr(item, "fixturenames", ()):
                item.add_marker(marker)


@pytest.fixture(scope="module")
def browser():
    """A headless Chromium or Chrome, for one file of tests: a second one beside it could not start."""
    from playwright import sync_api

    path = find()
    if path is None:
        pytest.fail(MISSING, pytrace=False)
    with sync_api.sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=path, args=QUIET)
        yield chromium
        chromium.close()


def newest(*patterns):
    """Return when the newest of the files was changed."""
    files = [path for pattern in patterns for path in ROOT.glob(pattern) if path.is_file()]
    return max(path.stat().st_mtime for path in files)


@pytest.fixture(scope="session")
def html():
    """The folder of the built book; of several processes one builds it."""
    if os.environ.get("BOOK_HTML"):
        return Path(os.environ["BOOK_HTML"]).resolve()
    built = ROOT / "_build" / "html"
    built.parent.mkdir(exist_ok=True)
    sources = newest("_*.yml", "index.md", "book/**/*", "chapters/*.ipynb", "transformer_lib/*.py")
    with FileLock(built.parent / "html.lock"):
        if not (built / "index.html").exists() or newest("_build/html/index.html") < sources:
            build()
    return built


def build():
    """Build the book; where it fails, so does the test, with what Sphinx complained of."""
    subprocess.run([sys.executable, "book/vendor/fetch.py"], cwd=ROOT, check=True)
    command = [sys.executable, "-m", "tools.pages"]
    done = subprocess.run(
        command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    if done.returncode:
        lines = done.stdout.splitlines()
        said = [line for line in lines if "WARNING" in line or "ERROR" in line]
        pytest.fail("the book does not build:\n" + "\n".join(said or lines[-30:]))


@pytest.fixture(scope="session")
def server(html):
    """The address at which the book is served on this machine."""

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *args):
            pass

    handler = functools.partial(Quiet, directory=str(html))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as site:
        threading.Thread(target=site.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{site.server_port}/"
        site.shutdown()
