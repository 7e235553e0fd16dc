"""The tools that check the book again: many times, on other Pythons, with other versions."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest

from tools import lock, matrix, notebooks, repeat

ROOT = Path(__file__).parents[1]


def tell(monkeypatch, module, *arguments):
    monkeypatch.setattr(sys, "argv", [module.__name__, *arguments])
    with pytest.raises(SystemExit) as done:
        module.main()
    return done.value.code


def test_every_package_of_pyproject_is_in_the_lock():
    text = (ROOT / "pyproject.toml").read_text("utf-8")
    listed = re.findall(r'"([A-Za-z][\w.-]*)(?:\[\w+\])?[<>=]=?[\d.]', text)
    assert {"torch", "nbval", "mypy", "transformers"} <= set(listed)
    locked = re.findall(r"(?m)^([\w.-]+)==", (ROOT / "constraints.txt").read_text("utf-8"))
    plain = {name.lower().replace("_", "-") for name in locked}
    assert {name.lower().replace("_", "-") for name in listed} - plain - {"setuptools"} == set()
    assert not any(lock.CUDA.match(name) for name in locked)


def test_lock_leaves_out_what_pytorch_brings_itself():
    text = "numpy==2.4.6\nnvidia-cudnn-cu13==9.1 ; x\ntriton==3.7\ntritonclient==1\ntorch==2.13.0\n"
    assert lock.without_cuda(text) == "numpy==2.4.6\ntritonclient==1\ntorch==2.13.0\n"


# Many times


@pytest.mark.slow
def test_repeat_counts_what_does_not_come_out_the_same(tmp_path, monkeypatch, capsys):
    """A chapter that is right every second time is found."""
    code = "from pathlib import Path\np = Path('n')\nn = len(p.read_text()) if p.exists() else 0\n"
    code += "p.write_text('x' * (n + 1))\nprint(n % 2)"
    cell = nbformat.v4.new_code_cell(code, execution_count=1)
    cell.outputs = [nbformat.v4.new_output("stream", text="0\n")]
    (tmp_path / "chapters").mkdir()
    path = tmp_path / "chapters" / "01_one.ipynb"
    notebooks.write(nbformat.v4.new_notebook(cells=[cell]), path)
    (tmp_path / "pyproject.toml").write_text(
        "[tool.pytest.ini_options]\naddopts = '--nbval --nbval-current-env'\n"
    )
    monkeypatch.setattr(repeat, "ROOT", tmp_path)
    busy, kept = [], repeat.loaded  # the load itself: the next test
    monkeypatch.setattr(repeat, "loaded", lambda cores: busy.append(cores) or kept(0))
    assert tell(monkeypatch, repeat, "--times", "2", "--loaded", "1", str(path)) == 1
    said = capsys.readouterr().out
    assert "run 1 of 2: 1 passed, 0 failed" in said and "run 2 of 2: 0 passed, 1 failed" in said
    assert "1 of 2 runs passed\n  1 times: chapters/01_one.ipynb::Cell 0" in said
    assert busy[0] == 0 and busy[1] >= 1
    runs = json.loads((tmp_path / "_build" / "repeat.json").read_text())
    assert [len(run["failed"]) for run in runs] == [0, 1]
    assert (tmp_path / "_build" / "repeat-2.log").exists()


def test_load_ends_with_the_run():
    with repeat.loaded(1):
        made = subprocess.run(["pgrep", "-f", "hashlib.sha256"], capture_output=True, text=True)
    left = subprocess.run(["pgrep", "-f", "hashlib.sha256"], capture_output=True, text=True)
    assert set(left.stdout.split()) < set(made.stdout.split())


# Every Python


def test_matrix_has_a_row_for_each_python_kernel_thread_count_and_the_oldest_torch():
    rows = {row["name"]: row for row in matrix.rows()}
    assert {"avx2", "threads2", "avx2-threads2", "oldest-torch"} < set(rows)
    assert rows["avx2"]["settings"]["ATEN_CPU_CAPABILITY"] == "avx2"
    assert rows["threads2"]["settings"] == {"OMP_NUM_THREADS": "2"}
    text = (ROOT / "pyproject.toml").read_text("utf-8")
    assert f'"torch>={rows["oldest-torch"]["torch"]}"' in text
    assert f"torch=={rows['avx2']['torch']}\n" in (ROOT / "constraints.txt").read_text("utf-8")
    assert ".".join(map(str, sys.version_info[:3])) in rows


def test_another_torch_is_installed_with_the_other_pins(tmp_path):
    row = {"torch": "2.6"}
    lines = matrix.constraints(row, tmp_path).read_text("utf-8").splitlines()
    assert "torch==2.6.*" in lines and f"torch=={matrix.pinned('torch')}" not in lines
    assert any(line.startswith("numpy==") for line in lines)
    row["torch"] = matrix.pinned("torch")
    assert matrix.constraints(row, tmp_path).read_text("utf-8") == (
        ROOT / "constraints.txt"
    ).read_text("utf-8")


def test_matrix_says_in_words_what_it_runs():
    assert matrix.chosen_tests(False, None)[0] == "all"
    assert matrix.chosen_tests(True, None)[0] == "quick tests"
    assert matrix.chosen_tests(False, "all") == ("all chapters", ["chapters"])
    words, what = matrix.chosen_tests(True, "all")
    assert words == "all chapters, quick tests" and {"chapters", "tests"} <= set(what)
    words, paths = matrix.chosen_tests(False, "01,17")
    names = [Path(path).stem for path in paths]
    assert words == "chapters 01, 17" and names == ["01_text", "17_ngrams"]
    with pytest.raises(SystemExit, match="no such chapters: 01,99"):
        matrix.chosen_tests(False, "01,99")


@pytest.mark.slow
def test_matrix_goes_on_after_a_row_that_fails_and_keeps_what_was_run(
    tmp_path, monkeypatch, capsys
):
    made = []

    def environment(row, folder):
        made.append(folder.name)
        folder.mkdir(exist_ok=True)
        return ("not installed: no such version" if row["name"] == "oldest-torch" else ""), Path(
            "python"
        )

    def test(row, *_):
        assert row["settings"].get("ATEN_CPU_CAPABILITY") == (
            "avx2" if row["name"] == "avx2" else None
        )
        failed = ["tests/test_x.py::test_y"] if row["name"] == "threads2" else []
        return {
            "result": "failed" if failed else "passed",
            "passed": 9,
            "failed": failed,
            "minutes": 1.5,
        }

    monkeypatch.setattr(matrix, "FOLDER", tmp_path)
    monkeypatch.setattr(matrix, "environment", environment)
    monkeypatch.setattr(matrix, "test", test)
    assert tell(monkeypatch, matrix, "avx2", "threads2", "oldest-torch") is True
    said = capsys.readouterr().out
    assert "row 2 of 3: threads2" in said and "not installed: no such version" in said
    stored = json.loads((tmp_path / "results.json").read_text())
    assert {name: row["result"] for name, row in stored.items()} == {
        "avx2": "passed",
        "threads2": "failed",
        "oldest-torch": "not installed: no such version",
    }
    assert [path.name for path in tmp_path.iterdir() if path.is_dir()] == []  # no gigabytes stay
    assert tell(monkeypatch, matrix, "avx2") is False
    assert "threads2" in capsys.readouterr().out  # its last result
    assert "no such row: avx3" in tell(monkeypatch, matrix, "avx3")


def test_matrix_does_not_fill_the_disk(tmp_path, monkeypatch):
    monkeypatch.setattr(matrix, "FREE", 1e18)
    assert matrix.environment({"python": "x"}, tmp_path / "e")[0] == "too little room on the disk"
    assert not (tmp_path / "e").exists()


LEARN = """
import os
import time
import torch
from tools import repeat

model = torch.nn.Sequential(*[torch.nn.Linear(64, 64) for _ in range(20)])
x = torch.randn(1024, 64)
with repeat.loaded(os.cpu_count()):
    for threads in (1, 2):
        torch.set_num_threads(threads)
        began = time.process_time()
        for _ in range(20):
            model(x).square().mean().backward()
        print(time.process_time() - began)
"""


@pytest.mark.slow
@pytest.mark.skipif((os.cpu_count() or 1) < 2, reason="needs two cores")
def test_two_threads_on_a_busy_machine_do_not_wait_at_its_cost():
    """What conftest.py asks of threads that wait reaches every process that the tests start."""
    done = subprocess.run(
        [sys.executable, "-c", LEARN], cwd=ROOT, env=os.environ | {"OMP_NUM_THREADS": "2"},
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    one, two = map(float, done.stdout.split())
    assert two < 6 * one
