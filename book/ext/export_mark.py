"""Show which cells become the package: `#| ...` lines leave the page, and an exported cell names its module.

The name is put in an attribute that the style sheet writes out, so that it stays out of the search and of the text that
a reader copies. The notebook itself is not changed.
"""

import json
import re
from pathlib import Path

from docutils import nodes

DIRECTIVE = re.compile(r"#\|\s*([\w-]+):?[ \t]*(.*)")


class exported(nodes.container):
    """A code cell that is also a part of the package; `module` is the name of the part."""


def split(source):
    """Return the leading `#| name value` lines as a dictionary, and the rest of the cell."""
    found, lines = {}, source.split("\n")
    while lines and (match := DIRECTIVE.fullmatch(lines[0].strip())):
        found[match[1]] = match[2].strip()
        lines.pop(0)
    return found, "\n".join(lines).lstrip("\n")


def default_module(path):
    """Return the module that the notebook's `#| default_exp` line names, or None."""
    if Path(path).suffix != ".ipynb":
        return None
    for cell in json.loads(Path(path).read_text(encoding="utf-8"))["cells"]:
        if cell["cell_type"] == "code":
            name = split("".join(cell["source"]))[0].get("default_exp")
            if name:
                return name
    return None


def mark_cells(app, doctree):
    """Take the directive lines out of each cell's code, and mark the cells that are exported."""
    cells = [c for c in doctree.findall(nodes.container) if c.get("nb_element") == "cell_code"]
    default = default_module(app.env.doc2path(app.env.docname))
    for cell in cells:
        sources = [
            b
            for b in cell.findall(nodes.literal_block)
            if b.parent.get("nb_element") == "cell_code_source"
        ]
        for block in sources:
            found, rest = split(block.astext())
            if not found:
                continue
            if not rest.strip():  # directives only: nothing is left to show
                cell.parent.remove(cell)
                break
            new = nodes.literal_block(rest, rest, **block.attributes)
            new.source, new.line = block.source, block.line
            block.replace_self(new)
            if "export" in found or "exports" in found:
                module = found.get("export") or found.get("exports") or default
                wrapper = exported(module=f"{app.config.export_mark_package}.{module}")
                cell.replace_self(wrapper)
                wrapper += cell


def visit_exported(self, node):
    module = self.attval(node["module"])
    self.body.append(
        f'<div class="exported" data-module="{module}" title="This cell is a part of {module}">\n'
    )


def depart_exported(self, node):
    self.body.append("</div>\n")


def skip(self, node):
    """Other builders show the cell as it is."""


def setup(app):
    app.add_config_value("export_mark_package", "transformer_lib", "env")
    other = (skip, skip)
    app.add_node(
        exported,
        html=(visit_exported, depart_exported),
        latex=other,
        text=other,
        man=other,
        texinfo=other,
    )
    app.connect("doctree-read", mark_cells)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
