"""Buttons for Colab, the repository, issues and edits, on every page, when the book has a public address.

The address is `repository.url` in `_config.yml`. Jupyter Book would fill an empty one with its own repository's.
"""

BUTTONS = ("use_repository_button", "use_issues_button", "use_edit_page_button")
NEEDS_ADDRESS = ("repository_url", "repository_branch", "path_to_docs", "launch_buttons", *BUTTONS)


def choose_buttons(app, config):
    """Show every button that needs the address, or none of them."""
    options = config.html_theme_options
    if (options.get("repository_url") or "").strip():
        options.update(dict.fromkeys(BUTTONS, True))
    else:
        for name in NEEDS_ADDRESS:
            options.pop(name, None)


def setup(app):
    app.connect("config-inited", choose_buttons, priority=100)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
