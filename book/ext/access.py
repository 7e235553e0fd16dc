"""Mend what keeps a page from being read with a screen reader or used with the keyboard.

What can be mended when the page is written is mended here; what a script makes in the browser (the widgets, the
boxes that scroll) is mended by `book/static/access.js`.
"""

import re

# A signature of several lines is written as a list of definitions in which nothing is defined.
LONG_SIGNATURE = re.compile(r'<dl>\n((?:<dd><em class="sig-param.*</dd>\n)+)</dl>')

# The line that unfolds the check of an exercise.
CHECK = re.compile(
    r'(<div class="cell [^"]*tag_exercise-check[^>]*>\s*<details[^>]*>\s*<summary>\s*)<p class="collapsed.*?</summary>',
    re.DOTALL,
)
CHECK_SUMMARY = (
    r'\1<p class="collapsed">Show how it is checked</p>'
    '<p class="expanded">Hide how it is checked</p></summary>'
)


def as_lines(match):
    """Return the parameters of a signature as plain lines."""
    lines = match[1].replace("<dd>", '<span class="sig-line">').replace("</dd>", "</span>")
    return f'<span class="sig-lines">{lines}</span>'


def mend_page(app, pagename, templatename, context, doctree):
    """Write signatures as lines, say what unfolds, and take away the roles that forbid links in a list."""
    body = context.get("body")
    if body:
        body = body.replace(
            '<div role="list" class="citation-list">', '<div class="citation-list">'
        )
        body = body.replace(' role="doc-biblioentry"', "")
        body = body.replace('<summary aria-label="Toggle hidden content">', "<summary>")
        body = CHECK.sub(CHECK_SUMMARY, body)
        context["body"] = LONG_SIGNATURE.sub(as_lines, body)


def setup(app):
    app.add_js_file("access.js", loading_method="defer")
    app.connect("html-page-context", mend_page)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
