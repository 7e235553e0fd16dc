"""Import every module of the package with what `pip install transformer_lib` brings, and nothing else.

    python tools/bare_import.py

Whatever else is installed here is hidden. A module that needs more may say so, in a sentence that names what to install.
"""

import importlib
import inspect
import pkgutil
import re
import sys
from importlib import metadata

from packaging.requirements import Requirement

PACKAGE = "transformer_lib"
HELP = re.compile("install", re.IGNORECASE)


def normal(name):
    """A distribution's name as it is compared."""
    return re.sub(r"[-_.]+", "-", name).lower()


def brought(name):
    """The distributions that a plain install of one brings, itself included."""
    found, waiting = set(), [name]
    while waiting:
        one = normal(waiting.pop())
        if one in found:
            continue
        found.add(one)
        try:
            needs = metadata.requires(one) or []
        except metadata.PackageNotFoundError:
            continue
        for need in map(Requirement, needs):
            extras = [{"extra": extra} for extra in need.extras] or [{"extra": ""}]
            if need.marker is None or any(need.marker.evaluate(e) for e in extras):
                waiting.append(need.name)
    return found


def owners():
    """{module: the distributions that it is a part of}, by their files: Python 3.10 itself knows only some."""
    found = {}
    for one in metadata.distributions():
        name = normal(one.metadata["Name"])  # read anew at each asking
        for path in one.files or ():
            top = path.parts[0]
            module = top if len(path.parts) > 1 else inspect.getmodulename(top)
            if module and module.isidentifier():
                found.setdefault(module, set()).add(name)
    return found


class Hidden:
    """An importer that knows nothing of the modules of other distributions."""

    def __init__(self, kept):
        others = {module for module, dists in owners().items() if not dists & kept}
        self.names = others - set(sys.stdlib_module_names)

    def find_spec(self, name, path=None, target=None):  # noqa: ARG002
        if name.partition(".")[0] in self.names:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
        return None


def failures(package=PACKAGE):
    """{module: what importing it said} of those that do not import and do not say what is missing."""
    hidden = Hidden(brought(package))
    for name in [n for n in sys.modules if n.partition(".")[0] in hidden.names]:
        del sys.modules[name]
    sys.meta_path.insert(0, hidden)
    found = {}
    for module in pkgutil.iter_modules(importlib.import_module(package).__path__):
        if module.name == "__main__":
            continue
        try:
            importlib.import_module(f"{package}.{module.name}")
        except ImportError as error:
            if not HELP.search(str(error)):
                found[module.name] = str(error)
    return found


if __name__ == "__main__":
    failed = failures()
    for name, said in failed.items():
        print(f"{PACKAGE}.{name} does not import after a plain install: {said}")
    sys.exit(bool(failed))
