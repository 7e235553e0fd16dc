"""Print the built book: each page as a PDF, with its solutions at the end, in `_build/print`.

    python -m tools.printable [PAGE ...]          for example chapters/08_block

Needs the built pages and Chromium. Where `pdfunite` is installed, the pages are also joined to one file.
"""

import argparse
import functools
import http.server
import re
import shutil
import subprocess
import sys
import threading
from pathlib import Path

import yaml

from tools.browser import MISSING, QUIET, find

ROOT = Path(__file__).parents[1]
READY = """async () => {
  if (window.MathJax?.startup?.promise) await window.MathJax.startup.promise;
  await Promise.all([...document.images].map(image => {
    image.loading = "eager";
    return image.decode().catch(() => {});
  }));
  await document.fonts.ready;
}"""
FOOT = (
    '<div style="width: 100%; margin: 0 17mm; font: 8px sans-serif; color: #4d5761; display: flex;'
    ' justify-content: space-between"><span class="title"></span>'
    '<span><span class="pageNumber"></span> / <span class="totalPages"></span></span></div>'
)


def pages():
    """The pages of the table of contents, in order."""
    toc = yaml.safe_load((ROOT / "_toc.yml").read_text("utf-8"))
    return [toc["root"]] + [c["file"] for part in toc["parts"] for c in part["chapters"]]


class Quiet(http.server.SimpleHTTPRequestHandler):
    """Serves the pages to this program, and says nothing."""

    def log_message(self, *args):
        pass


def write(browser, html, target, names):
    """Print the pages with a browser that runs; the files, in order."""
    target.mkdir(parents=True, exist_ok=True)
    made = []
    handler = functools.partial(Quiet, directory=str(html))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        page = browser.new_page(color_scheme="light", viewport={"width": 800, "height": 1100})
        for number, name in enumerate(names):
            page.goto(f"http://127.0.0.1:{server.server_port}/{name}.html")
            page.evaluate(READY)
            path = target / f"{number:02}_{re.sub(r'^[0-9]+_', '', name.split('/')[-1])}.pdf"
            page.pdf(
                path=path,
                prefer_css_page_size=True,
                print_background=True,
                display_header_footer=True,
                header_template="<span></span>",
                footer_template=FOOT,
                outline=True,
                tagged=True,
            )
            made.append(path)
        page.close()
        server.shutdown()
    return made


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("pages", nargs="*", help="all of the table of contents, if none is named")
    names = parser.parse_args().pages
    html, target = ROOT / "_build" / "html", ROOT / "_build" / "print"
    if find() is None:
        sys.exit(MISSING)
    if not (html / "index.html").exists():
        sys.exit("The pages are not built: type make html")
    from playwright import sync_api

    if not names:
        shutil.rmtree(target, ignore_errors=True)
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=find(), args=QUIET)
        made = write(browser, html, target, names or pages())
        browser.close()
    if shutil.which("pdfunite") and not names:
        whole = target / "transformers-built.pdf"
        subprocess.run(["pdfunite", *map(str, made), str(whole)], check=True)
        made.append(whole)
    print(f"{len(made)} files in {target}")


if __name__ == "__main__":
    main()
