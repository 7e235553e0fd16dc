"""The API reference: one section for each module of the package, in the order of the chapters that it is written in.

The comment `<!-- front -->` of `book/api.md` becomes the names that the package itself gives, `<!-- modules -->` the
sections. A constant is explained by the comment on its line. Names of shapes stand in annotations as they stand in the
code: `Float[Tensor, "B T C"]`.
"""

import ast
import functools
import importlib
import inspect
import re
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))
from tools import notebooks

PACKAGE = importlib.import_module("transformer_lib")
FRONT, MODULES = "<!-- front -->", "<!-- modules -->"
LONG = 40  # characters of a text without spaces, which would not fit a telephone
COMMENT = re.compile(r"  # (.+)")


def front():
    """Links to the names of the package itself."""
    names = PACKAGE.__all__
    homes = [f"{getattr(PACKAGE, name).__module__}.{name}" for name in names]
    return ", ".join(f"{{py:obj}}`{name} <{home}>`" for name, home in zip(names, homes))


def constants(module):
    """What documents the public names of a module that are neither functions nor classes."""
    for name in module.__all__:
        value = getattr(module, name)
        if not inspect.isroutine(value) and not inspect.isclass(value):
            wide = isinstance(value, str) and len(value) > LONG
            yield f".. autodata:: {module.__name__}.{name}\n{'   :no-value:' if wide else ''}\n"


def sections(chapters):
    """A section for each chapter whose module has public names."""
    for path in notebooks.chapters(chapters):
        name = notebooks.default_module(path)
        module = importlib.import_module(f"{PACKAGE.__name__}.{name}") if name else None
        if module and module.__all__:
            data = "".join(constants(module))
            yield (
                f"## {name}\n\nWritten in [{notebooks.title(path)}](../chapters/{path.name}).\n\n"
                f"```{{eval-rst}}\n.. automodule:: {module.__name__}\n   :members:\n\n{data}```\n"
            )


def write_names(app, docname, source):
    """Replace the two comments."""
    if MODULES in source[0]:
        text = source[0].replace(FRONT, front())
        source[0] = text.replace(MODULES, "\n".join(sections(Path(app.srcdir) / "chapters")))


@functools.cache
def comments(module):
    """{constant: the comment on its line} of a module."""
    source = inspect.getsource(importlib.import_module(module))
    lines, found = source.splitlines(), {}
    for node in ast.parse(source).body:
        if isinstance(node, ast.Assign):
            said = COMMENT.search(lines[node.lineno - 1])
            for name in ast.walk(node):
                if said and isinstance(name, ast.Name):
                    found[name.id] = said[1][0].upper() + said[1][1:]
    return found


def of_a_protocol(thing):
    """Whether a function is a method of a protocol, whose name and arguments say what it is."""
    owner = getattr(thing, "__qualname__", "").rpartition(".")[0]
    home = sys.modules.get(getattr(thing, "__module__", None))
    return getattr(getattr(home, owner, None), "_is_protocol", False)


def choose(app, what, name, thing, skipped, options):
    """Fields of a tuple stand in its signature alone; methods of a protocol need no docstring to stand on the page."""
    if (thing.__doc__ or "").startswith("Alias for field number"):
        return True
    if what == "class" and not name.startswith("_") and of_a_protocol(thing):
        return False
    return None


def explain_constants(app, what, name, thing, options, lines):
    """The comment of a constant takes the place of the docstring of its type."""
    if what == "data":
        module, _, constant = name.rpartition(".")
        lines[:] = [comments(module).get(constant, ""), ""]


def write_factories(app, what, name, obj, options, signature, returned):
    """Write the default of a field that a function makes as `...`; its name is no Python."""
    return (signature.replace("<factory>", "..."), returned) if signature else None


def setup(app):
    app.connect("source-read", write_names)
    app.connect("autodoc-skip-member", choose)
    app.connect("autodoc-process-docstring", explain_constants)
    app.connect("autodoc-process-signature", write_factories)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
