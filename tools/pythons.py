"""Find the Pythons of this machine that the book promises to run on: `python tools/pythons.py` lists them."""

import glob
import os
import shutil
import subprocess
import sys
from pathlib import Path

OLDEST = (3, 10)
ASK = "import sys; print(*sys.version_info[:3], sys.base_prefix)"
PLACES = ("/usr/bin", "/usr/local/bin", "/opt/*/bin", "~/.local/share/uv/python/*/bin")
NAMES = ("python3", "python3.[0-9]", "python3.[0-9][0-9]", "python")


def candidates():
    """The programs that may be a Python: on the path, beside this one (pyenv), where systems keep them."""
    yield sys.executable
    siblings = Path(sys.base_prefix).parent / "*" / "bin"
    versions = Path(os.environ.get("PYENV_ROOT", "~/.pyenv")) / "versions" / "*" / "bin"
    for place in (*os.environ.get("PATH", "").split(os.pathsep), *PLACES, siblings, versions):
        for name in NAMES:
            yield from sorted(glob.glob(os.path.expanduser(os.path.join(place, name))))


def find():
    """{program: version} of every CPython of 3.10 or newer, each installation once, oldest first."""
    found = {}
    for path in dict.fromkeys(map(os.path.realpath, filter(shutil.which, candidates()))):
        try:
            said = subprocess.run(
                [path, "-I", "-S", "-c", ASK], capture_output=True, text=True, timeout=60
            ).stdout
            *version, prefix = said.rstrip("\n").split(" ", 3)
            version = tuple(map(int, version))
        except (OSError, ValueError, subprocess.TimeoutExpired):
            continue
        if version >= OLDEST:
            found.setdefault((version, os.path.realpath(prefix)), path)
    return {path: ".".join(map(str, version)) for (version, _), path in sorted(found.items())}


if __name__ == "__main__":
    for path, version in find().items():
        print(f"{version:8} {path}")
