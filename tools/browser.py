"""Find the Chromium that the browser tests need; install it where that is allowed."""

import os
import shutil
import subprocess
import sys

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
MISSING = (
    "The browser tests need Chromium or Chrome: install the package chromium, "
    "or set CHROME to the program's path."
)
# What it is started with, so that it asks nothing of the network and runs without a graphics card.
QUIET = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


def find():
    """The path of a Chromium, or None. The variable CHROME names another."""
    return os.environ.get("CHROME") or next(filter(None, map(shutil.which, NAMES)), None)


if __name__ == "__main__":
    if not find() and hasattr(os, "geteuid") and os.geteuid() == 0 and shutil.which("apt-get"):
        subprocess.run(["apt-get", "update", "-qq"], check=False)
        subprocess.run(
            ["apt-get", "install", "-y", "-qq", "chromium"],
            check=False,
            stdout=subprocess.DEVNULL,
            env={**os.environ, "DEBIAN_FRONTEND": "noninteractive"},
        )
    if not find():
        sys.exit(MISSING)
