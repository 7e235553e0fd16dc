"""Pages load nothing from another host, run no inline script twice, and are drawn before their icons have come."""

import re

ICONS = re.compile(r'<script (src="[^"]*/fontawesome\.js)')


def keep_local_scripts(app, pagename, templatename, context, doctree):
    """Drop the scripts of Thebe, which would start a kernel elsewhere, and repeated inline scripts."""
    seen, kept = set(), []
    for script in context["script_files"]:
        body = (getattr(script, "attributes", None) or {}).get("body")
        name = str(getattr(script, "filename", script))
        if "THEBE_JS_URL" in (body or "") or "sphinx-thebe" in name or (body and body in seen):
            continue
        seen.add(body)
        kept.append(script)
    context["script_files"][:] = kept
    context["css_files"][:] = [
        f for f in context["css_files"] if "sphinx-thebe" not in str(getattr(f, "filename", f))
    ]


def draw_before_icons(app):
    """Let the script of the icons, the largest, wait for the page: the theme's template has it in the head, at once."""
    if app.builder.format == "html":
        templates = app.builder.templates
        render = templates.render
        templates.render = lambda *given: ICONS.sub(r"<script defer \1", render(*given))


def setup(app):
    app.connect("builder-inited", draw_before_icons)
    app.connect("html-page-context", keep_local_scripts, priority=900)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
