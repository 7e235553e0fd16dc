"""Show which cells become the package: `#| ...` lines leave the page, and an exported cell names its module.

The name is put in an attribute that the style sheet writes out, so that it stays out of the search and of the text that
a reader copies. The notebook itself is not changed.
"""

import sys
from pathlib import Path

from docutils import nodes

sys.path.insert(0, str(Path(__file__).parents[2]))
from tools import notebooks

PACKAGE = {"export", "exporti"}  # what tools/export.py puts into the package


class exported(nodes.container):
    """A code cell that is also a part of the package; `module` is the name of the part."""


def mark_cells(app, doctree):
    """Take the directive lines out of each cell's code, and mark the cells that are exported."""
    cells = [c for c in doctree.findall(nodes.container) if c.get("nb_element") == "cell_code"]
    path = Path(app.env.doc2path(app.env.docname))
    default = notebooks.default_module(path) if path.suffix == ".ipynb" else None
    for cell in cells:
        sources = [
            b
            for b in cell.findall(nodes.literal_block)
            if b.parent.get("nb_element") == "cell_code_source"
        ]
        for block in sources:
            found, rest = notebooks.directives(block.astext())
            if not found:
                continue
            if not rest.strip():  # directives only: nothing is left to show
                cell.parent.remove(cell)
                break
            new = nodes.literal_block(rest, rest, **block.attributes)
            new.source, new.line = block.source, block.line
            block.replace_self(new)
            if PACKAGE & set(found):
                wrapper = exported(module=f"{app.config.export_mark_package}.{default}")
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
