"""The notebooks as stored, the exported package, and the tools around them."""

import ast
import functools
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import nbclient
import nbformat
import pytest
import yaml

from tools import address, export, imports, notebooks, pictures, run_chapters, student
from tools.notebooks import stored_text
from transformer_lib.saving import load_model

ROOT = Path(__file__).parents[1]
CHAPTERS = notebooks.chapters()
UNCHECKED = {"nbval-ignore-output", "nbval-skip"}
MOST_UNCHECKED = 30  # cells, in all chapters together
code_cells = functools.cache(notebooks.code_cells)  # many tests look at them, none changes them
WIDEST = 79  # characters of a line of code
LONG, MOST_LONG = 30, 0.1  # lines of a cell; the share of longer ones among the cells shown
MOST_LINES = 65  # of a function of the package, its docstring included

every_chapter = pytest.mark.parametrize("path", CHAPTERS, ids=lambda path: path.stem)


@every_chapter
def test_chapter_was_run_once_from_top_to_bottom(path):
    counts = [cell.execution_count for cell in code_cells(path) if cell.source.strip()]
    assert counts == list(range(1, len(counts) + 1))


@every_chapter
def test_no_error_is_stored_unless_expected(path):
    for cell in code_cells(path):
        failed = any(output.output_type == "error" for output in cell.outputs)
        assert failed == ("raises-exception" in cell.metadata.get("tags", [])), cell.source


@every_chapter
def test_no_path_address_or_warning_is_stored(path):
    leak = re.compile(
        r"(?:/(?:home|root|tmp|Users|content|work)/|[A-Z]:\\Users)|\b0x[0-9a-f]{6,}|Warning:"
    )
    for cell in code_cells(path):
        assert not any(output.get("name") == "stderr" for output in cell.outputs), cell.source
        for text in stored_text(cell):
            assert not leak.search(text), leak.search(text)


@every_chapter
def test_figures_are_described(path):
    for cell in code_cells(path):
        if any("image/png" in output.get("data", {}) for output in cell.outputs):
            assert len(cell.metadata.get("mystnb", {}).get("image", {}).get("alt", "")) > 20, (
                cell.source
            )


@every_chapter
def test_pictures_are_stored_small(path):
    for cell in code_cells(path):
        for _, png in run_chapters.stored_pictures(cell):
            assert len(png) <= 1.2 * len(pictures.smaller(png)), cell.source


@every_chapter
def test_no_cell_is_kept_from_the_formatter(path):
    assert not [
        cell.source for cell in code_cells(path) if re.search(r"# fmt: (skip|off)", cell.source)
    ]


def shown_cells(path):
    """The code cells that a reader of the page sees."""
    return [cell for cell in code_cells(path) if "remove-cell" not in cell.metadata.get("tags", [])]


@every_chapter
def test_lines_of_code_are_narrow(path):
    lines = [(cell.id, line) for cell in shown_cells(path) for line in cell.source.splitlines()]
    assert [(cell, line) for cell, line in lines if len(line) > WIDEST] == []


def test_nine_cells_in_ten_are_short():
    lengths = [len(cell.source.split("\n")) for path in CHAPTERS for cell in shown_cells(path)]
    long = sum(length > LONG for length in lengths)
    assert long <= MOST_LONG * len(lengths), f"{long} of {len(lengths)} cells"


@pytest.mark.parametrize(
    "more, most",
    [(["--depth", "1"], 16e6), ([], 30e6)],
    ids=["what a reader needs", "with its history, which can only grow"],
)
def test_a_fresh_clone_is_small(tmp_path, more, most):
    """The files and all pictures, without the history and with it."""
    into = tmp_path / "clone"
    command = ["git", "clone", "-q", "--no-local", "--single-branch", *more, ROOT.as_uri(), into]
    subprocess.run(command, check=True, capture_output=True)
    size = sum(p.stat().st_size for p in into.rglob("*") if p.is_file())
    assert size < most, f"{size / 1e6:.1f} MB"


@every_chapter
def test_widget_ids_are_numbered(path):
    text = json.dumps(notebooks.read(path).metadata.get("widgets", {}))
    assert all(model.startswith("0" * 20) for model in re.findall(r"\b[0-9a-f]{32}\b", text))


def test_few_cells_are_unchecked():
    unchecked = [
        cell
        for path in CHAPTERS
        for cell in code_cells(path)
        if UNCHECKED & set(cell.metadata.get("tags", []))
        or re.search(r"#\s*NBVAL_(SKIP|IGNORE_OUTPUT)", cell.source)
    ]
    assert len(unchecked) <= MOST_UNCHECKED
    assert not any("nbval-skip" in cell.metadata.get("tags", []) for cell in unchecked)


@every_chapter
def test_setup_cell_is_the_same_everywhere(path):
    first = code_cells(path)[0]
    assert first.metadata.tags == ["remove-cell"] and not first.outputs
    assert first.source == code_cells(CHAPTERS[0])[0].source
    assert f'REPOSITORY = "{address.read()}"' in first.source


def test_setup_cell_says_that_the_address_is_unset(tmp_path):
    source = code_cells(CHAPTERS[0])[0].source.replace("    %pip install", "    pass  #")
    source = source.replace('transformer_lib")', 'transformer_lib_that_is_missing")')
    source = re.sub('REPOSITORY = "[^"]*"', 'REPOSITORY = ""', source)
    with pytest.raises(ModuleNotFoundError, match="address is not set") as said:
        exec(source, {})
    beside = re.search(r"git\+\{REPOSITORY\} (.+)", source)[1]
    assert f"`pip install . {beside}`" in str(said.value)


def copy_of_the_book(folder):
    for name in ("chapters", "_config.yml", "CITATION.cff"):
        source = ROOT / name
        (shutil.copytree if source.is_dir() else shutil.copy)(source, folder / name)
    return folder


def test_address_is_written_everywhere(tmp_path):
    root = copy_of_the_book(tmp_path)
    address.write("https://example.org/a/b", root)
    assert address.read(root) == "https://example.org/a/b"
    for path in (root / "chapters").glob("*.ipynb"):
        assert code_cells(path)[0].source.count('REPOSITORY = "https://example.org/a/b"') == 1
    address.write(address.read(), root)
    for path in CHAPTERS:
        assert (root / "chapters" / path.name).read_bytes() == path.read_bytes()
    with pytest.raises(SystemExit, match="URL must begin with"):
        address.write("somewhere", root)


def test_package_is_what_the_chapters_say(tmp_path):
    shutil.copytree(ROOT / "chapters", tmp_path / "chapters")
    export.export(tmp_path / "chapters", tmp_path / "transformer_lib")
    assert export.differences(tmp_path / "transformer_lib", ROOT / "transformer_lib") == []


def a_notebook(folder, name, *sources):
    folder.mkdir(exist_ok=True)
    cells = [nbformat.v4.new_code_cell(source) for source in sources]
    nbformat.write(nbformat.v4.new_notebook(cells=cells), folder / name)


@pytest.mark.parametrize(
    "sources, message",
    [
        (["#| export\nx = 1"], "default_exp"),
        (["#| default_exp one", "#| export\nx = ("], "does not parse"),
        (["#| default_exp one", "#| export\n%time x = 1"], "does not parse"),
        (["#| default_exp other", "#| export\nx = 1"], "must be one"),
        (["#| default_exp one", "#| export other\nx = 1"], "no target"),
        (["#| default_exp one", "#| exporti other\nx = 1"], "no target"),
        (["#| exporti\nx = 1"], "default_exp"),
    ],
)
def test_export_refuses(tmp_path, sources, message):
    a_notebook(tmp_path / "chapters", "01_one.ipynb", *sources)
    with pytest.raises(SystemExit, match=message):
        export.export(tmp_path / "chapters", tmp_path / "package")


def test_export_removes_and_sees_a_module_without_a_chapter(tmp_path):
    a_notebook(tmp_path / "chapters", "01_one.ipynb", "#| default_exp one", "#| export\nx = 1")
    export.export(tmp_path / "chapters", tmp_path / "package")
    shutil.copytree(tmp_path / "package", tmp_path / "committed")
    (tmp_path / "committed" / "stray.py").write_text("y = 2\n")
    assert export.differences(tmp_path / "package", tmp_path / "committed") == ["stray.py"]
    (tmp_path / "package" / "stray.py").write_text("y = 2\n")
    export.export(tmp_path / "chapters", tmp_path / "package")
    assert sorted(p.name for p in (tmp_path / "package").glob("*.py")) == [
        "__init__.py",
        "_modidx.py",
        "one.py",
    ] or sorted(p.name for p in (tmp_path / "package").glob("*.py")) == ["__init__.py", "one.py"]


def test_a_name_can_be_exported_without_being_published(tmp_path):
    cells = ("#| default_exp one", "#| exporti\ndef helper():\n    pass", "#| export\nx = 1")
    a_notebook(tmp_path / "chapters", "01_one.ipynb", *cells)
    export.export(tmp_path / "chapters", tmp_path / "package")
    text = (tmp_path / "package" / "one.py").read_text("utf-8")
    assert "def helper()" in text and "__all__ = ['x']" in text


def in_a_new_process(code):
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_front_gives_the_names_that_people_use_and_imports_them_when_asked():
    import transformer_lib

    classes = "AttentionHead MultiHeadAttention FeedForward Block Encoder Classifier EncoderClassifier Decoder"
    functions = "train_tokenizer load_tokenizer train generate save_model load_model view_attention"
    assert set(transformer_lib.__all__) == {*classes.split(), *functions.split()}
    for name in transformer_lib.__all__:
        assert callable(getattr(transformer_lib, name)) and name in dir(transformer_lib)
    with pytest.raises(AttributeError, match="has no attribute 'Decodr'"):
        transformer_lib.Decodr  # noqa: B018
    assert in_a_new_process(
        "import sys, transformer_lib; print('torch' in sys.modules);"
        "from transformer_lib import Decoder; print(Decoder.__module__)"
    ).split() == ["False", "transformer_lib.decoder"]


def test_version_is_said_once():
    import transformer_lib

    text = (ROOT / "pyproject.toml").read_text("utf-8")
    assert f'\nversion = "{transformer_lib.__version__}"\n' in text
    citation = (ROOT / "CITATION.cff").read_text("utf-8")
    assert f"\nversion: {transformer_lib.__version__}\n" in citation


def test_package_is_run_as_a_module():
    done = subprocess.run(
        [sys.executable, "-m", "transformer_lib", "--help"],
        capture_output=True,
        text=True,
        cwd=ROOT,
    )
    assert done.returncode == 0 and "Usage: transformer-lib " in done.stdout


def test_every_module_has_a_docstring():
    for module in (ROOT / "transformer_lib").glob("*.py"):
        assert module.read_text("utf-8").lstrip().startswith('"""'), module.name


MODULES = sorted((ROOT / "transformer_lib").glob("[!_]*.py"))


def public_names(module):
    """What a module defines at its top level: functions, classes, and what it assigns."""
    found = set()
    for node in ast.parse(module.read_text("utf-8")).body:
        targets = getattr(node, "targets", [getattr(node, "target", None)])
        found |= {name.id for name in targets if isinstance(name, ast.Name)}
        found |= {node.name} if hasattr(node, "name") else set()
    return {name for name in found if not name.startswith("_")}


def test_no_public_name_stands_in_two_modules():
    homes = {}
    for module in MODULES:
        for name in public_names(module):
            homes.setdefault(name, []).append(module.stem)
    assert len(homes) > 150  # it does find names
    assert {name: found for name, found in homes.items() if len(found) > 1} == {}


def test_no_module_imports_itself_by_way_of_others():
    drawn = imports.drawing(ROOT / "transformer_lib")
    assert set(drawn) == {module.stem for module in MODULES}
    assert "attention_head" in drawn["multi_head_attention"]
    assert imports.circles(drawn) == []
    assert imports.circles({"a": ["b"], "b": ["c"], "c": ["a"], "d": []}) == ["a", "b", "c"]


def test_the_drawing_of_the_imports_sees_every_kind_of_import(tmp_path):
    sources = {
        "a": "from .b import x",
        "b": "def f():\n    from transformer_lib.c import x",
        "c": "if True:\n    import transformer_lib.d",
        "d": "from . import e",
        "e": "def f():\n    from transformer_lib import a, Decoder",
        "f": "import a, numpy.b\nfrom c import d",
    }
    for name, source in sources.items():
        (tmp_path / f"{name}.py").write_text(source)
    drawn = imports.drawing(tmp_path)
    assert drawn == {"a": ["b"], "b": ["c"], "c": ["d"], "d": ["e"], "e": ["a"], "f": []}


def test_the_drawing_of_the_imports_has_a_row_for_each_module():
    rows = imports.as_text(imports.drawing(ROOT / "transformer_lib")).splitlines()
    assert sorted(row.split()[0] for row in rows) == [module.stem for module in MODULES]


def test_no_function_is_longer_than_a_screen():
    lengths = {
        f"{module.stem}.{node.name}": node.end_lineno - node.lineno + 1
        for module in MODULES
        for node in ast.walk(ast.parse(module.read_text("utf-8")))
        if isinstance(node, ast.FunctionDef)
    }
    assert {name: lines for name, lines in lengths.items() if lines > MOST_LINES} == {}


@every_chapter
def test_student_edition_has_no_solution(path):
    notebook = student.without_solutions(notebooks.read(path))
    text = "\n".join(cell.source for cell in notebook.cells)
    original = path.read_text("utf-8")
    assert "solution-start" not in text and "{solution}" not in text
    assert text.count("{exercise}") == original.count("{exercise}")
    assert all(not cell.outputs for cell in notebook.cells if cell.cell_type == "code")


@pytest.mark.slow
def test_student_edition_runs(tmp_path):
    path = ROOT / "chapters" / "07_feed_forward.ipynb"
    notebook = student.without_solutions(notebooks.read(path))
    nbclient.NotebookClient(
        notebook, timeout=120, resources={"metadata": {"path": str(tmp_path)}}
    ).execute()
    printed = "".join(
        text for cell in notebook.cells if cell.cell_type == "code" for text in stored_text(cell)
    )
    assert "Not yet" in printed


@pytest.mark.slow
def test_plain_install_leaves_the_book_out(tmp_path):
    """The wheel holds the package alone, and asks for lower bounds only."""
    subprocess.run(
        [sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "-w", tmp_path, ROOT], check=True
    )
    wheel = next(tmp_path.glob("transformer_lib-*.whl"))
    names = subprocess.run(
        [sys.executable, "-m", "zipfile", "-l", wheel], capture_output=True, text=True, check=True
    ).stdout
    assert (
        all(
            f"transformer_lib/{name}" in names for name in ("decoder.py", "__main__.py", "py.typed")
        )
        and "chapters" not in names
        and "tests" not in names
    )
    assert not re.search(r'"[\w-]+\s*==', (ROOT / "pyproject.toml").read_text())


def test_landing_page_draws_the_model_of_the_package():
    from transformer_lib.figures import BOXES

    drawn = (ROOT / "book" / "static" / "model.svg").read_text("utf-8")
    assert [text for *_, text, _ in BOXES if f">{text}</text>" not in drawn] == []


@pytest.mark.slow
def test_chapter_runs_as_in_colab():
    done = subprocess.run(
        [sys.executable, "-m", "tools.colab_check", "chapters/07_feed_forward.ipynb"],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert "07_feed_forward.ipynb runs as in Colab" in done.stdout, done.stderr


def test_hooks_before_a_commit_run_what_lint_and_export_run():
    text = (ROOT / ".pre-commit-config.yaml").read_text("utf-8")
    entries = [hook["entry"] for hook in yaml.safe_load(text)["repos"][0]["hooks"]]
    lint = (ROOT / "Makefile").read_text("utf-8")
    for entry in entries:
        words = entry.split()
        assert words[0] == ".venv/bin/python"
        if words[1] == "-m":
            assert f"$(PY) -m {' '.join(words[2:4])}".removesuffix(" --no-error-summary") in lint
        else:
            assert (ROOT / words[1]).exists()


def test_live_page_names_the_classifier_that_it_loads():
    content = json.loads((ROOT / "benchmarks/results/classifier.json").read_text("utf-8"))
    kept, page = content["kept"], (ROOT / "book/live/answers.md").read_text("utf-8")
    loaded = load_model(ROOT / "transformer_lib/weights/classifier").model
    assert sum(p.numel() for p in loaded.parameters()) == kept["parameters"]
    assert f"{loaded.encoder.token_embedding.embedding_dim} wide" in page
    assert f"{kept['test_of_8_bits']:.3f} of its" in page


def test_changelog_begins_with_the_first_edition():
    import transformer_lib

    text = (ROOT / "CHANGELOG.md").read_text("utf-8")
    versions = re.findall(r"(?m)^## (\d+\.\d+\.\d+)", text)
    assert versions[-1] == "0.1.0" and versions[0] == transformer_lib.__version__
    named = re.findall(
        r"`(\w+)`", text[text.index("### The package") : text.index("Each is imported")]
    )
    assert set(named) - {"transformer_lib"} == set(transformer_lib.__all__)


def test_contributing_names_chapters_and_commands_that_exist():
    text = (ROOT / "CONTRIBUTING.md").read_text("utf-8")
    assert [
        p for p in re.findall(r"chapters/\d\d_\w+\.ipynb", text) if not (ROOT / p).exists()
    ] == []
    targets = re.findall(r"(?m)^([a-z-]+):.*##", (ROOT / "Makefile").read_text("utf-8"))
    assert set(re.findall(r"`make ([a-z-]+)", text)) <= set(targets)
