"""Take README's picture of a page anew, from the built pages: `python -m tools.page_picture`."""

import io

from tools.browser import QUIET, find
from tools.printable import READY, ROOT

PAGE, FIGURE, TARGET = "chapters/05_attention_head", 3, ROOT / "book" / "static" / "page.png"
SHOW = """number => {
  const cell = document.querySelectorAll("article figure")[number - 1].closest("div.cell");
  window.scrollTo({top: cell.getBoundingClientRect().top + scrollY - 120, behavior: "instant"});
}"""


def main():
    from PIL import Image
    from playwright import sync_api

    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=find(), args=QUIET)
        page = browser.new_page(viewport={"width": 1280, "height": 1000}, reduced_motion="reduce")
        page.goto((ROOT / "_build" / "html" / f"{PAGE}.html").as_uri())
        page.evaluate(READY)
        page.evaluate(SHOW, FIGURE)
        page.wait_for_timeout(1000)
        picture = Image.open(io.BytesIO(page.screenshot()))
        browser.close()
    picture.convert("RGB").quantize(128).save(TARGET, optimize=True)
    print(f"{TARGET.relative_to(ROOT)}: {TARGET.stat().st_size // 1000} kB")


if __name__ == "__main__":
    main()
