"""What a page needs beside its text: a description and a title of its own, lines that break in the right places.

The description is what a search engine or a link preview shows: the line under a chapter's title, or the first
sentences of another page.
"""

import html
import re

from docutils import nodes

LONGEST_LINE = 84  # characters of code that fit in the column at 1280 pixels
LONGEST_DESCRIPTION = 200
DESCRIPTIONS = {
    "genindex": "All names of the package and all words of the glossary, in the order of the alphabet.",
    "search": "Find a word in the book.",
}
# A formula, and what stands against it without a space: a comma, a bracket, an ending.
FORMULA = r'<span class="math notranslate nohighlight">[^<]*</span>'
AGAINST = re.compile(rf"([(\[“‘]*)({FORMULA})([^\s<]*)")


def mark_code(app, doctree):
    """Mark the outputs that may wrap, always or on a telephone; show indented functions as Python."""
    for block in doctree.findall(nodes.literal_block):
        if block.parent.get("nb_element") == "cell_code_output":
            text = block.astext()
            if max(map(len, text.split("\n"))) > LONGEST_LINE:
                block["classes"].append("long")
            elif not re.search(r"\S {2,}\S|^ ", text, re.MULTILINE):  # nothing stands in columns
                block["classes"].append("prose")
        elif block.get("language") == "none" and re.match(r"(def|class) \w", block.astext()):
            block["language"] = "python"


def describe(doctree):
    """Return the first sentences of a page, as many as fit."""
    paragraph = next((p for p in doctree.findall(nodes.paragraph) if p.astext().strip()), None)
    text = " ".join(paragraph.astext().split()) if paragraph else ""
    if len(text) > LONGEST_DESCRIPTION:
        sentences = text[:LONGEST_DESCRIPTION].rpartition(". ")[0]
        text = (
            sentences + "." if sentences else text[:LONGEST_DESCRIPTION].rpartition(" ")[0] + " …"
        )
    return text


def keep(match):
    """Return a formula that no line break parts from what stands against it."""
    before, formula, after = match.groups()
    return f'<span class="keep">{match[0]}</span>' if before or after else formula


def mend_page(app, pagename, templatename, context, doctree):
    """Describe the page, name the first page once, and keep formulas and lines together."""
    description = describe(doctree) if doctree else DESCRIPTIONS.get(pagename)
    if description:
        tag = f'<meta name="description" content="{html.escape(description)}" />\n'
        context["metatags"] = context.get("metatags", "") + tag
    if pagename == app.config.root_doc:
        context["docstitle"] = ""  # else the title of the book stands twice in the window's
    if context.get("body"):
        body = AGAINST.sub(keep, context["body"])
        body = body.replace("\n\n</pre>", "\n</pre>")
        body = re.sub(r"Solution to(<a [^>]*>) ", r"Solution to \1", body)
        # These names stand once for each exercise, and an id may stand once a page.
        context["body"] = re.sub(r'<section id="(exercise|solution)-content">', "<section>", body)


def setup(app):
    app.connect("doctree-read", mark_code)
    app.connect("html-page-context", mend_page)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
