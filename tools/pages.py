"""Build the pages into _build/html: `python -m tools.pages`. Quiet, but for warnings, which fail the build.

What was built by another run is used again only if that run ended, and if it was of the same book: after an
interruption, or when pages, settings or extensions have changed, everything is built anew.
"""

import argparse
import hashlib
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

from tools.notebooks import ROOT

MARK = "_build/built.txt"
COMMAND = (
    Path(sys.executable).parent / "jupyter-book",
    "build",
    ".",
    "-W",
    "-n",
    "--keep-going",
    "-q",
)


def book(root):
    """A hash of what makes every page: the settings, the list of pages, the extensions, the exact packages."""
    files = [root / name for name in ("_config.yml", "_toc.yml", "constraints.txt")]
    files += sorted((root / "book" / "ext").glob("*.py"))
    parts = [path.name.encode() + path.read_bytes() for path in files if path.exists()]
    return hashlib.sha256(b"".join([str(root).encode(), sys.version.encode(), *parts])).hexdigest()


def build(root=ROOT, command=COMMAND):
    """Build, and say how many pages there are and how long it took."""
    mark, wanted, started = root / MARK, book(root), time.perf_counter()
    if not mark.exists() or mark.read_text() != wanted:
        for name in ("html", ".doctrees", "jupyter_execute"):
            shutil.rmtree(root / "_build" / name, ignore_errors=True)
    mark.unlink(missing_ok=True)
    environment = {
        **os.environ,
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]),
    }
    done = subprocess.run(command, cwd=root, env=environment, stdout=subprocess.PIPE, text=True)
    if done.returncode:
        print(done.stdout)
        sys.exit("the pages could not be built: what is wrong with them stands above")
    count = len(list((root / "_build" / "html").rglob("*.html")))
    mark.write_text(wanted)
    print(
        f"  {count} pages in {time.perf_counter() - started:.0f} s: open _build/html/index.html, or type: make serve"
    )


if __name__ == "__main__":
    argparse.ArgumentParser(description=__doc__.splitlines()[0]).parse_args()
    try:
        build()
    except KeyboardInterrupt:
        sys.exit("interrupted: the next build begins anew")
