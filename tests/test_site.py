"""The built book, opened in a real browser: every page of the table of contents, over http and as a file.

Each page is opened once over http, in the fixture `visit`; the tests then look at what was seen there.
"""

import functools
import importlib
import itertools
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

import transformer_lib
from tools import notebooks

ROOT = Path(__file__).parents[1]
MODULES = sorted((ROOT / "transformer_lib").glob("[!_]*.py"))
TOC = yaml.safe_load((ROOT / "_toc.yml").read_text(encoding="utf-8"))
PAGES = [TOC["root"]] + [chapter["file"] for part in TOC["parts"] for chapter in part["chapters"]]
CHAPTERS = [page for page in PAGES if page.startswith("chapters/")]
ADDRESS = (
    yaml.safe_load((ROOT / "_config.yml").read_text(encoding="utf-8"))["repository"]["url"] or ""
).strip()
JUPYTER_BOOK = str(Path(sys.executable).with_name("jupyter-book"))

# What is read from a page at 1280 pixels, in the light theme.
LOOK = r"""() => {
  const article = document.querySelector("article.bd-article");
  const all = (selector, inside = article) => [...inside.querySelectorAll(selector)];
  const line = element => element.textContent.trim().slice(0, 90);
  return {
    undrawn: all(".math", document)
      .filter(formula => !formula.querySelector("mjx-container") || formula.querySelector("mjx-merror")).map(line),
    images: all("img:not(.figure-dark)").map(image => ({src: image.getAttribute("src"), alt: image.getAttribute("alt") || "",
      drawn: image.complete && image.naturalWidth > 0, cell: !!image.closest(".cell_output"),
      caption: image.closest("figure")?.querySelector("figcaption")?.innerText.trim() || ""})),
    headings: all("h1, h2, h3, h4, h5, h6").map(heading => +heading.tagName[1]),
    marks: all(".exported").map(cell => cell.dataset.module),
    directives: (article.innerText.match(/#\|.*/g) || []).slice(0, 5),
    wideCode: all(".cell_input pre, div.highlight pre, .cell_output pre").filter(pre =>
      pre.scrollWidth > pre.clientWidth + 1 && pre.offsetParent).map(line),
    undrawnTables: all("p").filter(text => /^\|.*\|/s.test(text.textContent.trim())).map(line),
    twice: all("[id]", document).map(element => element.id).filter((id, i, ids) => ids.indexOf(id) !== i),
    title: document.title,
    description: document.querySelector("meta[name=description]")?.content || "",
    solutions: all(".solution.dropdown").length,
    folds: all(".toggle-button").map(button => button.getAttribute("aria-label")),
    widgets: all("script[type='application/vnd.jupyter.widget-view+json']").length,
    drawnWidgets: all(".cell_output .widget-subarea > .jupyter-widgets").length,
  };
}"""
SIDEWAYS = r"""() => {
  const page = document.documentElement, wide = [];
  if (page.scrollWidth > page.clientWidth) {
    for (const e of document.querySelectorAll("article *"))
      if (e.getBoundingClientRect().right > page.clientWidth + 1) wide.push(e.outerHTML.slice(0, 90));
    return [`the page is ${page.scrollWidth} pixels wide`, ...wide.slice(0, 5)];
  }
  return [];
}"""
# Axe looks at every element, and code has thousands: keep one of each kind, and the list of pages on the first page.
THIN = r"""() => {
  const seen = new Set();
  for (const span of document.querySelectorAll("article :is(pre, dt.sig) span")) {
    const kind = span.className + (span.closest(".cell_output") ? " output" : "");
    if (seen.has(kind)) span.replaceWith(...span.childNodes);
    seen.add(kind);
  }
  document.querySelectorAll("article :is(pre, dt.sig)").forEach(code => code.normalize());
  [...document.querySelectorAll("mjx-container")].slice(2).forEach(formula => formula.remove());
  if (!location.pathname.endsWith("/index.html")) document.querySelector(".bd-links")?.remove();
}"""
# The colours of a page are looked at in both themes: two elements of each kind are enough.
KINDS = r"""() => {
  const seen = {};
  for (const element of [...document.querySelectorAll("article *")].reverse()) {
    if (element.children.length) continue;  // what holds a kind of its own stays
    let kind = "";
    for (let e = element; e && e.tagName !== "ARTICLE"; e = e.parentElement)
      kind += `${e.tagName} ${e.getAttribute("class")} ${e.getAttribute("style")} `;
    seen[kind] = (seen[kind] || 0) + 1;
    if (seen[kind] > 2) element.remove();
  }
}"""
DARK = r"""async () => {
  const all = selector => [...document.querySelectorAll("article :is(figure, .cell_output) " + selector)];
  const shown = images => images.filter(image => image.getClientRects().length);
  const dark = shown(all("img:not(.figure-light)")), paper = getComputedStyle(document.body).backgroundColor;
  const corner = async image => {
    const canvas = new OffscreenCanvas(4, 4), context = canvas.getContext("2d");
    image.loading = "eager";
    await image.decode();
    const style = getComputedStyle(image);
    if (image.src.endsWith(".png")) context.drawImage(image, 0, 0, 4, 4, 0, 0, 4, 4);
    const [r, g, b] = context.getImageData(0, 0, 1, 1).data;
    const plain = style.padding === "0px" && style.backgroundColor === "rgba(0, 0, 0, 0)";
    return plain && (image.src.endsWith(".svg") ? style.filter !== "none" : `rgb(${r}, ${g}, ${b})` === paper);
  };
  const framed = [];
  for (const image of dark) if (!await corner(image)) framed.push(image.src);
  return {light: shown(all("img.figure-light")).length, dark: dark.length, pairs: all("img.figure-light").length,
    drawings: all("img[src$='.svg']").length, framed};
}"""
DRAWN = r"""async () => {
  if (window.MathJax?.startup?.promise) await window.MathJax.startup.promise;
  const views = document.querySelectorAll("script[type='application/vnd.jupyter.widget-view+json']");
  for (let i = 0; i < 100 && [...views].some(v => !v.parentElement.querySelector(".jupyter-widgets")); i++)
    await new Promise(resolve => setTimeout(resolve, 50));
  await new Promise(resolve => setTimeout(resolve, 50));
}"""


class Listening:
    """A browser's page that remembers what it asked for and what went wrong."""

    def __init__(self, browser, inside):
        self.page = browser.new_page(
            viewport={"width": 1280, "height": 900}, color_scheme="light", reduced_motion="reduce"
        )
        self.outside, self.errors = [], []
        inner = (inside, "data:", "blob:")
        self.page.on(
            "request", lambda r: None if r.url.startswith(inner) else self.outside.append(r.url)
        )
        self.page.on("console", lambda m: self.errors.append(m.text) if m.type == "error" else None)
        self.page.on("pageerror", lambda e: self.errors.append(str(e)))
        self.page.on(
            "response",
            lambda r: self.errors.append(f"{r.status} {r.url}") if r.status >= 400 else None,
        )
        self.page.on("requestfailed", self.failed)

    def failed(self, request):
        if (
            request.failure != "net::ERR_ABORTED"
        ):  # by the next page; what is not there has a status
            self.errors.append(f"{request.failure} {request.url}")

    def heard(self):
        seen = {"outside": self.outside[:], "errors": self.errors[:]}
        self.outside.clear(), self.errors.clear()
        return seen


@pytest.fixture(scope="module")
def visit(browser, server, html):
    """Return what is seen on a page, which is opened once."""
    from axe_playwright_python.base import AXE_SCRIPT

    http_page = Listening(browser, server)

    def violations(**options):
        options = {"resultTypes": ["violations"], "preload": False, **options}
        run = "async options => (await axe.run(options)).violations"
        found = http_page.page.evaluate(run, options)
        return [
            f"{v['impact']} {v['id']}: {v['help']}\n    "
            + "\n    ".join(n["html"][:160] for n in v["nodes"][:4])
            for v in found
            if v["impact"] in ("serious", "critical")
        ]

    @functools.cache
    def look(name):
        page = http_page.page
        if not (html / f"{name}.html").exists():
            pytest.fail(f"{name}.html was not built", pytrace=False)
        page.set_viewport_size({"width": 1280, "height": 900})
        page.goto(f"{server}{name}.html")
        page.evaluate(DRAWN)
        seen = page.evaluate(LOOK)
        page.set_viewport_size({"width": 390, "height": 844})
        seen["sideways"] = page.evaluate(SIDEWAYS)
        page.set_viewport_size({"width": 1280, "height": 900})
        page.evaluate(THIN)
        page.evaluate(AXE_SCRIPT)
        colours = ["color-contrast", "link-in-text-block"]
        rest = violations(rules={rule: {"enabled": False} for rule in colours})
        page.evaluate(KINDS)
        seen["light"] = rest + violations(runOnly=colours)
        page.evaluate("document.documentElement.dataset.theme = 'dark'")
        seen["dark"] = violations(runOnly=colours)
        seen["http"] = http_page.heard()
        return seen

    return look


every_page = pytest.mark.parametrize("name", PAGES)
every_chapter = pytest.mark.parametrize("name", CHAPTERS)


def cells(name):
    """Return the code cells of a chapter that its page shows."""
    code = notebooks.code_cells(ROOT / f"{name}.ipynb")
    return [c for c in code if not {"remove-cell", "remove_cell"} & notebooks.tags(c)]


@every_page
def test_nothing_is_asked_of_another_host(visit, name):
    assert visit(name)["http"]["outside"] == []


@every_page
def test_no_error_in_the_console(visit, name):
    assert visit(name)["http"]["errors"] == []


@every_page
def test_mathematics_is_drawn(visit, name):
    assert visit(name)["undrawn"] == []


def test_a_page_of_each_kind_works_as_a_file(browser, html):
    """One page for each set of scripts: what a page is made of besides is the same from a server and from a disk."""
    kinds = {}
    for name in PAGES:
        text = (html / f"{name}.html").read_text("utf-8")
        assert not re.search(r"""(src|href)=["']/""", text), (
            f"{name}: an address that needs a server"
        )
        scripts = re.findall(r"""<script[^>]*src=["']([^"']+)""", text)
        kinds.setdefault(frozenset(path.split("/")[-1] for path in scripts), name)
    assert len(kinds) > 3
    listening = Listening(browser, html.as_uri() + "/")
    for name in kinds.values():
        listening.page.goto(f"{html.as_uri()}/{name}.html")
        listening.page.evaluate(DRAWN)
        assert listening.page.evaluate(LOOK)["undrawn"] == [], name
        assert listening.heard() == {"outside": [], "errors": []}, name
    listening.page.close()


@every_page
def test_tables_are_drawn(visit, name):
    assert visit(name)["undrawnTables"] == []


@every_page
def test_no_id_stands_twice(visit, name):
    assert visit(name)["twice"] == []


def test_each_page_has_a_title_and_a_description_of_its_own(visit):
    seen = [visit(name) for name in PAGES]
    titles, descriptions = ([page[key] for page in seen] for key in ("title", "description"))
    assert len(set(titles)) == len(set(descriptions)) == len(PAGES)
    assert titles[0].count("Transformers, Built") == 1
    assert [d for d in descriptions if not 20 < len(d) <= 202 or d[-1] not in ".?…"] == []


@every_page
def test_images_are_drawn_and_described(visit, name):
    images = visit(name)["images"]
    assert [i["src"] for i in images if not i["drawn"]] == [], "not loaded"
    undescribed = [
        i for i in images if len(i["alt"]) < 15 or re.search(r"\.(png|svg|jpe?g)$", i["alt"])
    ]
    assert [i["src"] for i in undescribed] == [], "no alt text that says what the figure shows"
    assert [i["src"] for i in images if i["cell"] and not i["caption"]] == [], "no caption"


@every_page
def test_headings_are_in_order(visit, name):
    levels = visit(name)["headings"]
    assert levels[:1] == [1] and levels.count(1) == 1
    assert all(after <= before + 1 for before, after in itertools.pairwise(levels)), levels


@every_page
def test_page_is_accessible_in_both_themes(visit, name):
    assert visit(name)["light"] == [], "\n".join(visit(name)["light"])
    assert visit(name)["dark"] == [], "\n".join(visit(name)["dark"])


@every_page
def test_page_fits_a_telephone_and_code_fits_a_screen(visit, name):
    assert visit(name)["sideways"] == [], "at 390 pixels"
    assert visit(name)["wideCode"] == [], "at 1280 pixels"


@every_chapter
def test_exported_cells_are_marked(visit, name):
    exported = [
        c for c in cells(name) if re.match(r"(#\|.*\n)*?#\|\s*exporti?\b", "".join(c["source"]))
    ]
    module = f"transformer_lib.{name.split('/')[-1][3:]}"
    assert visit(name)["marks"] == [module] * len(exported)
    assert visit(name)["directives"] == []


@every_page
def test_what_unfolds_has_a_name_of_its_own(visit, name):
    """For whoever hears the buttons one after another."""
    folds = visit(name)["folds"]
    assert len(set(folds)) == len(folds) and "Toggle hidden content" not in folds, folds


@every_chapter
def test_figures_and_widgets_of_the_notebook_are_on_the_page(visit, name):
    data = [output.get("data", {}) for cell in cells(name) for output in cell["outputs"]]
    figures = sum(any(kind.startswith("image/") for kind in mime) for mime in data)
    widgets = sum("application/vnd.jupyter.widget-view+json" in mime for mime in data)
    seen = visit(name)
    assert sum(image["cell"] for image in seen["images"]) >= figures
    assert seen["widgets"] == widgets
    assert seen["drawnWidgets"] >= widgets


@pytest.mark.parametrize("name", [PAGES[0], CHAPTERS[4], CHAPTERS[-1]])
def test_figures_have_no_frame_in_the_dark_theme(browser, server, name):
    """Each figure that is drawn on white has one drawn on the colour of the dark page, and it alone is shown."""
    page = browser.new_page(color_scheme="dark", viewport={"width": 1280, "height": 900})
    page.goto(f"{server}{name}.html")
    seen = page.evaluate(DARK)
    assert seen["light"] == 0 and seen["dark"] == seen["pairs"] + seen["drawings"] > 0
    assert seen["framed"] == []
    page.close()


@every_page
def test_the_place_of_a_figure_is_kept_before_it_comes(html, name):
    """With its width and its height in the page, nothing below a figure moves when it arrives."""
    from PIL import Image

    text = (html / f"{name}.html").read_text("utf-8")
    for tag in re.findall(r"<img [^>]*_images/[^>]*\.png[^>]*>", text):
        path = html / "_images" / re.search(r'_images/([^"]*)"', tag)[1]
        with Image.open(path) as image:
            width, height = image.size
        assert f'width="{width}" height="{height}"' in tag, tag


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_a_link_within_a_page_leads_to_its_target(browser, server, theme):
    page = browser.new_page(color_scheme=theme, viewport={"width": 1280, "height": 900})
    page.goto(f"{server}chapters/09_encoder.html")
    page.evaluate(DRAWN)
    page.locator(".bd-sidebar-secondary a", has_text="Exercises").first.click()
    page.wait_for_timeout(1500)  # pictures on the way arrive
    top = page.evaluate("document.getElementById('exercises').getBoundingClientRect().top")
    assert 0 <= top < 200
    page.close()


def test_a_figure_opens_in_the_colours_of_the_page(browser, server):
    page = browser.new_page(color_scheme="dark", viewport={"width": 390, "height": 844})
    for theme, ending in (("dark", ".dark.png"), ("light", ".png")):
        page.goto(f"{server}{CHAPTERS[4]}.html")
        page.wait_for_selector("a.full-size")
        page.evaluate("theme => (document.documentElement.dataset.theme = theme)", theme)
        page.locator("a.full-size").first.click()
        page.wait_for_url("**/_images/*")
        assert "".join(Path(page.url).suffixes) == ending
    page.close()


def test_a_chapter_is_printed_dark_on_white(browser, server):
    """Whatever the theme on the screen, which is there again afterwards."""
    page = browser.new_page(color_scheme="dark")
    page.goto(f"{server}{CHAPTERS[4]}.html")
    page.wait_for_function("document.documentElement.dataset.theme === 'dark'")
    page.wait_for_selector("a.full-size", state="attached")  # the scripts have run
    page.emulate_media(media="print")
    pale = """() => [...document.querySelectorAll("article :is(p, li, pre, pre span, .admonition-title)")]
      .filter(e => e.getClientRects().length && Math.min(...getComputedStyle(e).color.match(/\\d+/g).slice(0, 3)) > 140)
      .map(e => e.outerHTML.slice(0, 90)).slice(0, 5)"""
    page.evaluate("window.dispatchEvent(new Event('beforeprint'))")
    assert page.evaluate(pale) == []
    page.evaluate("window.dispatchEvent(new Event('afterprint'))")
    assert page.evaluate("document.documentElement.dataset.theme") == "dark"
    page.close()


def test_no_large_script_holds_a_page_up(html):
    """A page is drawn before a script of more than 200 kB has come."""
    for name in PAGES:
        page = html / f"{name}.html"
        for tag, path in re.findall(
            r"""(<script[^>]*src=["']([^"'?]+)[^>]*>)""", page.read_text("utf-8")
        ):
            large = (page.parent / path).resolve().stat().st_size > 200_000
            assert not large or " defer" in tag, f"{name}: {tag}"


def test_on_a_telephone_folds_are_marked_maps_fit_and_options_stay_whole(browser, server):
    """A fold has its arrow, "output moves" is on the screen, and no line ends between two hyphens."""
    page = browser.new_page(viewport={"width": 390, "height": 844})
    page.goto(f"{server}chapters/35_what_was_measured.html")
    signs = """[...document.querySelectorAll("details.hide > summary")].map(s => getComputedStyle(s, "::before").content)"""
    assert {sign[1] for sign in page.evaluate(signs)} == {"▸"}
    option = page.locator(".pre", has_text=re.compile(r"^--\w+$")).first
    assert option.evaluate("e => e.getClientRects().length") == 1
    assert option.evaluate("e => e.getBoundingClientRect().height") < 30
    page.goto(f"{server}chapters/33_devices.html")
    title = page.locator(".solution > .admonition-title", has_text="Lost in rounding")
    end, arrow = (title.locator(part).bounding_box() for part in ("a", "svg"))
    assert arrow["x"] >= end["x"] + end["width"]  # the arrow is not on the words
    page.goto(f"{server}book/live/touch.html")
    wide = "[...document.querySelectorAll('.live-scroll')].filter(e => e.scrollWidth > e.clientWidth).length"
    assert page.evaluate(wide) == 0
    page.set_viewport_size({"width": 320, "height": 568})
    page.goto(f"{server}index.html")
    assert page.evaluate("document.documentElement.scrollWidth") == 320
    page.goto(f"{server}book/live/touch.html")
    page.emulate_media(media="print")  # on paper nothing can be pressed
    pressed = "[...document.querySelectorAll('.live :is(button, input, select)')].filter(e => e.getClientRects().length).length"
    assert page.evaluate(pressed) == 0
    page.close()


def links(html, name):
    """Return the addresses that the page links to."""
    return re.findall(r'href="([^"]*)"', (html / f"{name}.html").read_text(encoding="utf-8"))


@every_page
def test_buttons_point_to_the_address_or_are_not_there(html, name):
    colab = [link for link in links(html, name) if "colab.research.google.com" in link]
    if ADDRESS and name in CHAPTERS:
        path = ADDRESS.rstrip("/").removeprefix("https://github.com/")
        opened = rf"https://colab\.research\.google\.com/github/{path}/blob/([0-9a-f]{{40}}|main)/{name}\.ipynb"
        assert len(colab) == 1 and re.fullmatch(opened, colab[0]), colab
    else:
        assert colab == []
    assert [
        link for link in links(html, name) if re.search("executablebooks|jupyter-book|OWNER", link)
    ] == []


@pytest.mark.slow
@pytest.mark.parametrize("address", ["", "https://github.com/someone/a-book"])
def test_setting_the_address_makes_the_buttons(tmp_path, address):
    """A book of one chapter, with this book's settings and the given address."""
    config = (ROOT / "_config.yml").read_text(encoding="utf-8")
    config, count = re.subn(r"(?m)^  url: .*$", f'  url: "{address}"', config)
    assert count == 1
    (tmp_path / "_config.yml").write_text(config)
    (tmp_path / "_toc.yml").write_text(
        "format: jb-book\nroot: index\nchapters:\n- file: chapters/01_one\n"
    )
    (tmp_path / "index.md").write_text("# A book\n\n" + "It has one chapter. " * 20)
    (tmp_path / "_build" / "vendor").mkdir(parents=True)
    shutil.copytree(ROOT / "book", tmp_path / "book")
    shutil.copytree(ROOT / "tools", tmp_path / "tools")
    notebook = {
        "cells": [
            {
                "cell_type": "markdown",
                "id": "a",
                "metadata": {},
                "source": "# One\n\n" + "Words. " * 40,
            }
        ],
        "metadata": {},
        "nbformat": 4,
        "nbformat_minor": 5,
    }
    (tmp_path / "chapters").mkdir()
    (tmp_path / "chapters" / "01_one.ipynb").write_text(json.dumps(notebook))
    command = [JUPYTER_BOOK, "build", str(tmp_path), "-W", "--keep-going"]
    result = subprocess.run(command, capture_output=True, text=True)
    assert result.returncode == 0, result.stdout + result.stderr
    found = [
        link
        for link in links(tmp_path / "_build" / "html", "chapters/01_one")
        if link.startswith("http")
    ]
    wanted = {
        "https://colab.research.google.com/github/someone/a-book/blob/main/chapters/01_one.ipynb",
        "https://github.com/someone/a-book",
        "https://github.com/someone/a-book/edit/main/chapters/01_one.ipynb",
    }
    if address:
        assert wanted <= set(found)
        assert any(
            link.startswith("https://github.com/someone/a-book/issues/new") for link in found
        )
        assert all("someone/a-book" in link for link in found)
    else:
        assert found == []


def test_search_finds_a_word(browser, server):
    listening = Listening(browser, server)
    listening.page.goto(f"{server}search.html?q=attention")
    listening.page.wait_for_selector("#search-results li a", timeout=10000)
    found = listening.page.locator("#search-results li a").all_inner_texts()
    assert any("ttention" in text for text in found), found
    link = listening.page.locator("a", has_text="Seeing attention")
    chapter = listening.page.locator("#search-results li", has=link).first
    summary = chapter.locator("p.context").inner_text(timeout=10000)
    assert "attention map" in summary and ".pdf" not in summary, summary
    listening.page.goto(f"{server}search.html?q=perplexity")
    word = listening.page.locator(
        "#search-results li", has_text="perplexity: e to the power of the mean loss"
    )
    word.first.wait_for(timeout=10000)  # of the glossary: its formulas without the signs of TeX
    assert "\\" not in word.first.inner_text()
    assert listening.heard() == {"outside": [], "errors": []}


@pytest.mark.parametrize("name", ["genindex", "search"])
def test_pages_that_are_made_fit_a_telephone(browser, server, name):
    listening = Listening(browser, server)
    listening.page.set_viewport_size({"width": 390, "height": 844})
    listening.page.goto(f"{server}{name}.html")
    assert listening.page.evaluate(SIDEWAYS) == []
    assert listening.page.locator("meta[name=description]").count() == 1
    assert listening.heard() == {"outside": [], "errors": []}


@every_page
def test_no_address_of_an_object_is_printed(html, name):
    assert not re.search(r"\b0x[0-9a-f]{6,}", (html / f"{name}.html").read_text(encoding="utf-8"))


def test_the_reference_has_every_public_name_and_links_those_of_the_package(html):
    page = (html / "book" / "api.html").read_text(encoding="utf-8")
    found = [importlib.import_module(f"transformer_lib.{path.stem}") for path in MODULES]
    names = [f"{module.__name__}.{name}" for module in found for name in module.__all__]
    assert len(names) > 100 and [name for name in names if f'id="{name}"' not in page] == []
    front = [getattr(transformer_lib, name) for name in transformer_lib.__all__]
    links = [f'href="#{thing.__module__}.{thing.__name__}"' for thing in front]
    assert [link for link in links if link not in page] == []
    for empty in (module for module in found if not module.__all__):
        assert f"<h2>{empty.__name__.rpartition('.')[2]}<" not in page
    assert "Alias for field" not in page
    assert 'id="transformer_lib.training.Checkpointing.restore"' in page  # of a protocol
    assert "Their ids, in every vocabulary" in page  # a constant is explained by its comment


def test_references_name_the_chapters_that_cite_them(html):
    """Each entry leads back to every chapter that has a link to it, and to no other."""
    page = (html / "book" / "references.html").read_text(encoding="utf-8")
    entries = dict(re.findall(r'(?s)<div class="citation" id="(.*?)">(.*?)</div>', page))
    assert len(entries) > 30
    cited = {name: set() for name in entries}
    for name in CHAPTERS:
        for link in links(html, name):
            if "book/references.html#" in link:
                cited[link.split("#")[1]].add(f"{name}.html")
    for name, entry in entries.items():
        assert set(re.findall(r'href="\.\./(chapters/[^"#]*)"', entry)) == cited[name], entry


def test_a_button_that_copies_is_seen_when_it_has_the_focus(browser, server):
    page = Listening(browser, server).page
    page.goto(f"{server}{CHAPTERS[0]}.html")
    button = page.locator("button.copybtn").first
    page.keyboard.press("Tab")
    button.focus()
    assert button.evaluate("e => e.matches(':focus-visible') && getComputedStyle(e).opacity") == "1"


def test_a_slider_changes_the_picture_and_says_its_value(browser, server, html):
    """Without a kernel: the arrow keys move the slider of the temperature, and what it links to."""
    page = Listening(browser, server).page
    page.goto(f"{server}chapters/20_sampling.html")
    slider = page.locator(".cell_output [role=slider]").first
    slider.focus()

    def seen():
        shown = page.locator(".cell_output .widget-html-content:visible").all_inner_texts()
        return slider.get_attribute("aria-valuetext"), "".join(shown)

    page.keyboard.press("Home")
    page.wait_for_function("document.querySelector('.widget-readout').textContent.trim() === '0'")
    low = seen()
    page.keyboard.press("End")
    page.wait_for_function("document.querySelector('.widget-readout').textContent.trim() === '4'")
    high = seen()
    assert (low[0], high[0]) == ("0", "4")
    assert "1.00" in low[1] and "1.00" not in high[1] and low[1] != high[1]


def test_a_folded_solution_opens_with_the_keyboard(browser, server, html):
    pattern = re.compile(r'class="[^"]*solution[^"]*dropdown')
    name = next(
        (n for n in CHAPTERS if pattern.search((html / f"{n}.html").read_text(encoding="utf-8"))),
        None,
    )
    assert name, "no chapter has a folded solution"
    page = Listening(browser, server).page
    page.goto(f"{server}{name}.html")
    solution = page.locator(".solution.dropdown").first
    hidden = solution.locator("> :not(.admonition-title)").first
    assert not hidden.is_visible()
    solution.locator("button.toggle-button").focus()
    page.keyboard.press("Enter")
    hidden.wait_for(state="visible", timeout=2000)


@pytest.mark.parametrize(("page", "least"), [("pytorch", 41), ("reminders", 10)])
def test_examples_of_a_page_are_true(page, least):
    import doctest

    result = doctest.testfile(str(ROOT / "book" / f"{page}.md"), module_relative=False)
    assert result.attempted >= least and result.failed == 0
