"""The API reference: one section for each module of the package, in the order of the chapters that it is written in.

The comment `<!-- modules -->` of `book/api.md` becomes the sections. Names of shapes stand in annotations as they stand
in the code: `Float[Tensor, "B T C"]`.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))
from tools import notebooks

MARKER = "<!-- modules -->"


def modules(chapters):
    """Yield (module, title, file) of each chapter that exports a module."""
    for path in notebooks.chapters(chapters):
        module = notebooks.default_module(path)
        code = [notebooks.directives(cell.source)[0] for cell in notebooks.code_cells(path)]
        if module and any("export" in found for found in code):
            yield module, notebooks.title(path), path.name


def write_sections(app, docname, source):
    """Replace the marker by the sections."""
    if MARKER not in source[0]:
        return
    sections = [
        f"## {module}\n\nWritten in [{title}](../chapters/{file}).\n\n"
        f"```{{eval-rst}}\n.. automodule:: transformer_lib.{module}\n   :members:\n```\n"
        for module, title, file in modules(Path(app.srcdir) / "chapters")
    ]
    source[0] = source[0].replace(MARKER, "\n".join(sections))


def write_factories(app, what, name, obj, options, signature, returned):
    """Write the default of a field that a function makes as `...`; its name is no Python."""
    return (signature.replace("<factory>", "..."), returned) if signature else None


def setup(app):
    app.connect("source-read", write_sections)
    app.connect("autodoc-process-signature", write_factories)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
