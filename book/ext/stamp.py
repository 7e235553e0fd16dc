"""The foot of each page: the commit it was built from, its date, and the versions it was built with.

The date is the commit's, or SOURCE_DATE_EPOCH where that is set, so the same commit gives the same pages.
"""

import functools
import os
import platform
import re
import subprocess
from datetime import datetime, timezone
from importlib import metadata
from pathlib import Path


@functools.cache
def commit(root):
    """Return a folder's commit, its time in seconds, and whether tracked files were changed since; or Nones."""

    def git(*arguments):
        command = ["git", "-C", str(root), *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()

    try:
        name, seconds = git("log", "-1", "--format=%H %ct").split()
        changed = bool(git("status", "--porcelain", "--untracked-files=no"))
    except (OSError, subprocess.CalledProcessError, ValueError):
        name = seconds = changed = None
    epoch = os.environ.get("SOURCE_DATE_EPOCH") or seconds
    return name, int(epoch) if epoch else None, changed


def versions(root):
    """Return the versions of the book, of Python, and of PyTorch, in words."""
    project = Path(root, "pyproject.toml")
    text = project.read_text(encoding="utf-8") if project.exists() else ""
    book = re.search(r'(?m)^version = "(.*)"', text)
    found = [f"transformer_lib {book[1]}"] if book else []
    found.append(f"Python {platform.python_version()}")
    try:
        found.append(f"PyTorch {metadata.version('torch').partition('+')[0]}")
    except metadata.PackageNotFoundError:
        pass
    return found


def sentence(root):
    """Return what stands at the foot of each page."""
    name, seconds, changed = commit(str(root))
    date = f"{datetime.fromtimestamp(seconds, timezone.utc):%Y-%m-%d}" if seconds else ""
    made = versions(root)
    with_ = "with " + (", ".join(made[:-1]) + " and " if made[:-1] else "") + made[-1]
    if not name:
        return f"Built{f' on {date}' if date else ''} {with_}."
    if changed:
        return f"Built {with_} from commit {name[:9]} ({date}) and changes that are not committed."
    return f"Last verified {date}: commit {name[:9]}, {with_}."


def write(app, config):
    """Put the sentence into the theme's foot; a page is written anew when it changes."""
    config.html_theme_options["extra_footer"] = f"<p>{sentence(app.srcdir)}</p>"


def setup(app):
    app.connect("config-inited", write, priority=200)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
