"""Each measurement runs in its smallest form and stores what the chapters read."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"


def measure(folder, name, *arguments):
    """The results that a script stores, after checking what stands beside them."""
    done = subprocess.run(
        [sys.executable, BENCHMARKS / f"{name}.py", *arguments],
        capture_output=True,
        text=True,
        timeout=300,
        cwd=folder,
        env=os.environ | {"BENCHMARK_RESULTS": str(folder), "CUDA_VISIBLE_DEVICES": ""},
    )
    assert done.returncode == 0, done.stderr[-2000:]
    content = json.loads((folder / f"{name}.json").read_text("utf-8"))
    assert set(content) == {"machine", "date", "command", "results"}
    assert {"processor", "cores", "threads", "python", "torch"} <= set(content["machine"])
    assert content["command"] == " ".join([f"python benchmarks/{name}.py", *arguments])
    return content["results"]


def test_speed(tmp_path):
    pytest.importorskip("transformers")
    pytest.importorskip("x_transformers")
    rows = measure(tmp_path, "speed", "--seconds", "0.1", "--no-compile", "--shapes", "0")
    assert [row["what"] for row in rows] in (
        ["training", "generation"],
        ["training", "training", "generation"],
    )
    for row in rows:
        rates = row["tokens_per_second"]
        best = max(rate for name, rate in rates.items() if name != "ours")
        assert rates[row["best_peer"]] == best > 0 and row["ratio"] == rates["ours"] / best
        assert len(rates) == (5 if row["what"] == "training" else 4)
    *training, generation = rows
    for row in training:  # the same model five times, but for a few biases
        counts = row["parameters"].values()
        assert max(counts) < 1.01 * min(counts) and 0 < row["share_of_peak"] < 1.5
    assert "to_best_peer_in_fp32" in training[-1]


def test_memory(tmp_path):
    rows = measure(tmp_path, "memory", "--lengths", "512")
    assert [(row["batch"], row["maps"]) for row in rows] == [
        (1, False),
        (1, True),
        (16, False),
        (16, True),
    ]
    without, with_maps = rows[2:]
    assert all(row["length"] == 512 for row in rows) and 0 < without["bytes"] < with_maps["bytes"]


def test_learning(tmp_path):
    rows = measure(tmp_path, "learning", "--seeds", "1", "--characters", "1000")
    names = ["default", "AdamW 1e-3", "AdamW 1e-3, same seconds", "AdamW 3e-3"]
    assert [row["recipe"] for row in rows] == names
    assert all(
        row["seed"] == 0 and row["steps"] > 0 and 2 < row["validation_loss"] < 6 for row in rows
    )


def test_run_measures_what_it_is_told(tmp_path):
    done = subprocess.run(
        [sys.executable, BENCHMARKS / "run.py", "no_such_measurement"],
        capture_output=True,
        text=True,
        cwd=tmp_path,
    )
    assert done.returncode and "no_such_measurement" in done.stdout
