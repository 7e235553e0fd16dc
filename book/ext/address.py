"""Buttons for Colab, the repository, issues and edits, on every page, when the book has a public address.

The address is `repository.url` in `_config.yml`, or the variable BOOK_ADDRESS, with which a server that publishes the
book says where it runs. Jupyter Book would fill an empty one with its own repository's. The button for Colab opens the
commit that the page was built from; the others lead to the branch.
"""

import os

import stamp

BUTTONS = ("use_repository_button", "use_issues_button", "use_edit_page_button")
NEEDS_ADDRESS = ("repository_url", "repository_branch", "path_to_docs", "launch_buttons", *BUTTONS)


def choose_buttons(app, config):
    """Show every button that needs the address, or none of them."""
    options = config.html_theme_options
    address = os.environ.get("BOOK_ADDRESS") or options.get("repository_url") or ""
    if address.strip():
        options.update(dict.fromkeys(BUTTONS, True), repository_url=address.strip().rstrip("/"))
    else:
        for name in NEEDS_ADDRESS:
            options.pop(name, None)


def open_the_commit(app, pagename, templatename, context, doctree):
    """Let the button for Colab open this commit; a page of uncommitted text opens the branch."""
    commit, _, changed = stamp.commit(app.srcdir)
    branch = app.config.html_theme_options.get("repository_branch")
    if not commit or changed or not branch:
        return
    for group in context.get("header_buttons") or []:
        for button in group.get("buttons", []) if isinstance(group, dict) else []:
            if "colab.research.google.com" in (button.get("url") or ""):
                button["url"] = button["url"].replace(f"/blob/{branch}/", f"/blob/{commit}/")


def setup(app):
    app.connect("config-inited", choose_buttons, priority=100)
    app.connect("html-page-context", open_the_commit, priority=950)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
