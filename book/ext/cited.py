"""The list of references says where each is cited: the chapters' numbers, in order, each a link.

sphinxcontrib-bibtex links from a page to the list, and not back.
"""

from docutils import nodes


def number(app, docname):
    """Return the number of a chapter, or the title of a page without one."""
    secnumber = app.env.toc_secnumbers.get(docname, {}).get("", ())
    return ".".join(map(str, secnumber)) or app.env.titles[docname].astext()


def citing_chapters(app):
    """Return {key of a reference: the chapters that cite it, in the order of the book}."""
    order = app.env.toctree_includes[app.config.root_doc]
    found = {}
    for reference in app.env.get_domain("cite").citation_refs:
        if app.env.doc2path(reference.docname).endswith(".ipynb"):
            for target in reference.targets:
                found.setdefault(target.key, set()).add(reference.docname)
    return {key: sorted(chapters, key=order.index) for key, chapters in found.items()}


def say_where(app, doctree, docname):
    """Add to each reference the chapters that cite it."""
    entries = list(doctree.findall(nodes.citation))
    if not entries or app.builder.format != "html":
        return
    keys = {c.citation_id: c.key for c in app.env.get_domain("cite").citations}
    chapters = citing_chapters(app)
    for entry in entries:
        cited = [page for name in entry["ids"] for page in chapters.get(keys.get(name), [])]
        if not cited:
            continue
        paragraph = next(entry.findall(nodes.paragraph))
        paragraph += nodes.Text(" Cited in ")
        for i, page in enumerate(cited):
            uri = app.builder.get_relative_uri(docname, page)
            title = app.env.titles[page].astext()
            paragraph += nodes.Text(", " if i else "")
            paragraph += nodes.reference(
                "", number(app, page), internal=True, refuri=uri, reftitle=title
            )
        paragraph += nodes.Text(".")


def write_again(app, env):
    """Write the list at every build, since a page may cite something new."""
    return sorted({key.docname for key in env.get_domain("cite").bibliographies})


def setup(app):
    app.connect("env-updated", write_again)
    app.connect("doctree-resolved", say_where)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
