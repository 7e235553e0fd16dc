"""What all tests use: shapes checked in the package's signatures, and a browser."""

import pytest
from hypothesis import settings
from jaxtyping import install_import_hook

import tests.shapes  # noqa: F401  the hook looks it up
from tools.browser import MISSING, find

install_import_hook("transformer_lib", "tests.shapes.check")

# The same examples every time, and no deadline: a busy machine is not an error.
settings.register_profile("book", deadline=None, derandomize=True)
settings.load_profile("book")

QUIET = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


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
