"""What the comparison of stored outputs lets pass, and what it does not."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
from jupyter_client.manager import start_new_kernel

from tools import notebooks
from tools.notebooks import masked, twice

ROOT = Path(__file__).parents[1]


@pytest.mark.parametrize(
    "one, other",
    [
        ("accuracy ≈ 0.83", "accuracy ≈ 0.9"),
        ("≈ 0.83 of 1,200", "≈ 1 of 1,200"),
        ("≈ -1.5e-07\n", "≈ 2\n"),
        ("≈ 1,234,567 words", "≈ 987 words"),
        ("≈ 83.1 %, as said", "≈ 83 %, as said"),
        ("≈ 83%.", "≈ 9.5%."),
        ("≈ +0.3 ± 0.02 nats", "≈ −0.31 ± 1 nats"),
        ("head 1  ≈  0.8   ≈ 12.5 ms", "head 1  ≈ 10.8   ≈  2.5 ms"),
        ("head 1 |   ≈ 0.8 | 3", "head 1 |  ≈ 10.8 | 3"),
        ("≈ [0.1, 0.25, -3.]", "≈ [0.12, 0.2, 4.5]"),
        ("≈ 83 % ± 2 %", "≈ 8 % ± 1.5 %"),
        ("<td>≈ 0.8</td>", "<td>≈ 0.85</td>"),
    ],
)
def test_a_number_behind_the_sign_may_differ(one, other):
    assert masked(one) == masked(other)


@pytest.mark.parametrize(
    "one, other",
    [
        ("3 heads, loss ≈ 0.83", "4 heads, loss ≈ 0.83"),
        ("loss ≈ 0.83 over 3 seeds", "loss ≈ 0.83 over 4 seeds"),
        ("≈ 0.83", "0.83"),
        ("≈ 0.83", "≈ nan"),
        ("≈ 0.83", "≈ inf"),
        ("≈ 0.83 nats", "≈ 0.83 bits"),
        ("≈ 0.83\n≈ 0.9", "≈ 0.83"),
        ("≈ 83 %", "≈ 83"),
        ("≈ 1 of 12", "≈ 1 of 13"),
        ("≈ 3. Then 4.", "≈ 3. Then 5."),
        ("≈ [0.1, 0.2] of [1, 2]", "≈ [0.1, 0.2] of [1, 3]"),
        ("(loss ≈ 0.83) 3", "(loss ≈ 0.83) 4"),
        ("a ≈ b: 3", "a ≈ b: 4"),
        ("≈ True", "≈ False"),
    ],
)
def test_everything_else_is_compared(one, other):
    assert masked(one) != masked(other)


BEHIND, BEFORE = "3 of 4, loss ≈ 0.9 %", "2 of 4, loss ≈ 0.83 %"  # stored: 3 of 4, loss ≈ 0.83 %


@pytest.mark.slow
@pytest.mark.parametrize("folder", [".", "chapters", "/"])
def test_a_wrong_number_passes_behind_the_sign_only_from_every_folder(tmp_path, folder):
    """A copy of the settings, and a notebook whose stored outputs are not what its cells print."""
    for name in ("pyproject.toml", "conftest.py", "tests/sanitize.cfg"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        shutil.copy(ROOT / name, tmp_path / name)
    shutil.copytree(ROOT / "tools", tmp_path / "tools")  # conftest.py uses it
    cells = [
        nbformat.v4.new_code_cell(f"print({printed!r})", execution_count=number)
        for number, printed in enumerate((BEHIND, BEFORE), 1)
    ]
    for cell in cells:
        cell.outputs = [nbformat.v4.new_output("stream", text="3 of 4, loss ≈ 0.83 %\n")]
    (tmp_path / "chapters").mkdir()
    path = tmp_path / "chapters" / "01_one.ipynb"
    nbformat.write(nbformat.v4.new_notebook(cells=cells), path)
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", path],
        cwd=tmp_path / folder,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1 and "1 failed, 1 passed" in done.stdout, done.stdout
    # not the last line but one: where CI is set, pytest tells the whole message there
    failed = re.findall(r"^FAILED \S*01_one\.ipynb::Cell (\d)", done.stdout, re.MULTILINE)
    assert failed == ["1"], done.stdout


def test_kernels_keep_no_history(monkeypatch):
    """In one file for all of them, one that waits too long takes it for damaged."""
    folder = Path(notebooks.ipython_folder())
    monkeypatch.setenv("IPYTHONDIR", str(folder))
    manager, client = start_new_kernel()
    client.execute_interactive("1 + 1", timeout=60, output_hook=print)
    client.stop_channels()
    manager.shutdown_kernel(now=True)
    assert (folder / "profile_default").is_dir() and not list(folder.rglob("history*"))


def test_a_kernel_that_does_not_answer_is_started_once_more():
    answers = [RuntimeError("Kernel didn't respond in 90 seconds"), "a kernel", OSError("no")]

    def start(name):
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return name, answer

    assert twice(start)("python3") == ("python3", "a kernel")
    with pytest.raises(OSError):
        twice(start)("python3")
