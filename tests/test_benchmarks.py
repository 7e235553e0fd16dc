"""Each measurement runs in its smallest form and stores what the chapters read."""

import importlib
import json
import math
import os
import runpy
import subprocess
import sys
from pathlib import Path
from pydoc_data.topics import topics
from types import SimpleNamespace

import pytest
import torch

pytestmark = pytest.mark.slow  # each starts Python and trains
BENCHMARKS = Path(__file__).parents[1] / "benchmarks"


def measure(folder, name, *arguments, stored=None, kernels=None, command=None):
    """The results that a script stores, under its name or another, after checking what stands beside them."""
    done = subprocess.run(
        [sys.executable, BENCHMARKS / f"{name}.py", *arguments],
        capture_output=True,
        text=True,
        timeout=300,
        cwd=folder,
        env=os.environ | {"BENCHMARK_RESULTS": str(folder), "CUDA_VISIBLE_DEVICES": ""},
    )
    assert done.returncode == 0, done.stderr[-2000:]
    content = json.loads((folder / f"{stored or name}.json").read_text("utf-8"))
    assert set(content) == {"machine", "commit", "date", "command", "results"}
    machine = content["machine"]
    assert {"processor", "cores", "threads", "python", "torch"} <= set(machine)
    assert machine["kernels"] == (kernels or torch.backends.cpu.get_cpu_capability())
    own = " ".join([f"python benchmarks/{name}.py", *arguments])
    assert content["command"] == (command or own)
    return content["results"]


def test_speed(tmp_path):
    pytest.importorskip("transformers")
    pytest.importorskip("x_transformers")
    quick = ["--seconds", "0.1", "--rounds", "3", "--no-compile", "--shapes", "0"]
    rows = measure(tmp_path, "speed", *quick)
    kinds = [row["what"] for row in rows]
    *training, whole, also_whole, generation = rows
    assert kinds[-3:] == ["whole step", "whole step", "generation"]
    assert set(kinds[:-3]) == {"training"}
    dropped = [row["dropout"] for row in rows[:-1]]
    half = len(training) // 2
    assert dropped == [0.0] * half + [0.1] * half + [0.0, 0.1]
    whole_steps = [(whole, 6), (also_whole, 6)]
    for row, models in [*((row, 5) for row in training), *whole_steps, (generation, 4)]:
        rates = row["tokens_per_second"]
        best = max(rate for name, rate in rates.items() if not name.startswith("ours"))
        assert rates[row["best_peer"]] == best > 0 and row["ratio"] == rates["ours"] / best
        assert len(rates) == models and row["rounds"] >= 3
        low, high = row["ratio_quartiles"]
        assert 0 < low <= high and low < 2 * row["ratio"] and row["ratio"] < 2 * high
    for row in training:  # the same model five times, but for a few biases
        counts = row["parameters"].values()
        assert max(counts) < 1.01 * min(counts) and 0 < row["share_of_peak"] < 1.5
    assert "to_best_peer_in_fp32" in training[half - 1] and "to_best_peer_in_fp32" in training[-1]
    assert "profile" in training[0] and "profile" not in training[half]
    for row in (whole, also_whole):
        shares = row["optimizers_share"]
        assert shares.keys() == row["tokens_per_second"].keys()
        assert all(0 < share < 1 for share in shares.values())
        assert shares["ours"] > shares["ours, AdamW"]  # the default recipe does more


def test_a_tenth_is_dropped_by_every_model_that_is_timed(monkeypatch):
    pytest.importorskip("transformers")
    pytest.importorskip("x_transformers")
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    speed = importlib.import_module("speed")
    torch.manual_seed(0)
    shape, tokens = (16, 2, 1, 8, 11), torch.zeros(1, 8).long()
    for dropout in speed.DROPOUTS:
        for name, (model, logits) in speed.models(*shape, dropout).items():
            first, second = (logits(model.train(), tokens) for _ in range(2))
            assert torch.equal(first, second) == (dropout == 0), name


def test_speeds_with_older_kernels_are_stored_beside_the_others(tmp_path):
    pytest.importorskip("transformers")
    pytest.importorskip("x_transformers")
    if not torch.backends.cpu.get_cpu_capability().startswith("AVX"):
        pytest.skip("no such kernels on this processor")
    rest = ["--avx2", "--seconds", "0.1", "--rounds", "3", "--shapes", "0", "--only", "generation"]
    rows = measure(tmp_path, "speed", *rest, stored="speed_avx2", kernels="AVX2")
    assert [row["what"] for row in rows] == ["generation"]


def test_gpu_runs_small_without_a_gpu(tmp_path):
    """The script for one GPU, uncompiled and on whatever is here."""
    pytest.importorskip("transformers")
    found = measure(tmp_path, "gpu", "--tiny", "--eager", "--ready", "200", "--end", "250")
    assert not found["left_out"]
    recipes = [(row["model"], row["recipe"]) for row in found["rows"]]
    assert recipes == [
        ("ours", "default"),
        ("ours", "AdamW"),
        *[("ours", "PyTorch's Muon")] * hasattr(torch.optim, "Muon"),
        ("transformers GPT-2", "AdamW"),
        ("fused by hand", "AdamW"),
    ]
    sizes, rows = found["sizes"], found["rows"]
    C, L, T, V = (sizes[letter] for letter in "CLTV")
    for row in rows:  # the weights that a token is multiplied with, and attention
        assert row["flops_a_token"] == 6 * (L * 12 * C**2 + C * V) + 12 * L * C * T
        assert 0 < row["tokens_per_second"] and 0 < row["share_of_peak"] < 1


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
    text = tmp_path / "text.txt"  # less to count than in the standard library's prose
    text.write_text("\n\n".join(topics.values())[:60_000], "utf-8")
    few = ("--characters", "1600", "--judged", "2000", "--text", str(text))
    rows = measure(tmp_path, "learning", "--seeds", "2", *few)
    names = [row["recipe"] for row in rows]
    swept = [f"AdamW {rate}e-3" for rate in (1, 2, 4, 8)]
    both = ["default"] * 2 + ["default, with a teacher"] * 2
    assert names[:8] == [*swept, *both]
    best = min(rows[:4], key=lambda row: row["validation_loss"])["recipe"]
    also = (f"{best}, same seconds", f"{best}, with a teacher", "default, a teacher's seconds")
    assert names[8:15] == [best] + [name for name in also for _ in range(2)]
    assert names[15].startswith("Kneser-Ney, ") and len(rows) == 16
    assert [row.get("seed") for row in rows] == [0] * 4 + [0, 1, 0, 1, 1] + [0, 1] * 3 + [None]
    assert rows[15]["validation_loss"] < rows[0]["validation_loss"]  # a few steps learn less
    assert rows[4]["validation_loss"] != rows[6]["validation_loss"]
    for row in rows:
        assert row["steps"] > 0 or "seed" not in row
        assert row["seconds"] > 0 and 1 < row["validation_loss"] < 6
        assert 1 < row["windows_loss"] < 6
        for kind in ("validation", "windows"):
            assert row[f"{kind}_bits"] == pytest.approx(row[f"{kind}_loss"] / math.log(2))
    stored = tmp_path / "learning.json"  # counted again, the models' rows stay as they are
    content = json.loads(stored.read_text("utf-8"))
    content["results"][15]["validation_loss"] = 9.0
    stored.write_text(json.dumps(content | {"commit": "old"}), "utf-8")
    few = ("--text", str(text), "--judged", "2000", "--count")
    again = measure(tmp_path, "learning", *few, command=content["command"])
    origin = again[15].pop("origin")
    assert origin["command"] == " ".join(["python benchmarks/learning.py", *few])
    again[15]["seconds"] = rows[15]["seconds"]
    assert again == rows and json.loads(stored.read_text("utf-8"))["commit"] == "old"


def test_recipe(tmp_path):
    rows = measure(tmp_path, "recipe", "--seeds", "2", "--steps", "3")
    assert [row["seed"] for row in rows] == [0, 0, 0, 1, 1, 1]
    names = ["straight, 0.9, 4", "straight, 0.9, 5", "cosine, 0.95, 5"]
    assert [row["recipe"] for row in rows] == names * 2
    losses = [row["validation_loss"] for row in rows]
    assert all(3 < loss < 6 for loss in losses) and len(set(losses)) == 6


def test_classifier_says_where_it_comes_from_and_goes_on_only_there(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    classifier, out, seeds = importlib.import_module("classifier"), tmp_path / "c.json", []

    def run(seed, *_):
        seeds.append(seed)
        return {"pretrained": {"test": 0.5}, "scratch": {"test": 0.5}}

    chosen = dict.fromkeys(("tfidf", "tfidf_unlabelled", "tfidf_best_on_test"), {"test": 0.5})
    for name, stub in {
        "keep_memory": bool,
        "which_library": lambda: SimpleNamespace(train=[], validation=[], test=[]),
        "python_documentation": list,
        "overlap": lambda *_: {},
        "baselines": lambda *_: {"majority": 0.5} | chosen,
        "run": run,
    }.items():
        monkeypatch.setattr(classifier, name, stub)
    for commit, count, expected in (
        ("one", 2, [0, 1]),
        ("one", 3, [2]),
        ("two", 1, [0]),
    ):
        seeds.clear()
        command = ["classifier.py", "--device", "cpu", "--seeds", str(count), "--out", str(out)]
        monkeypatch.setattr(sys, "argv", command)
        monkeypatch.setenv("BENCHMARK_COMMIT", commit)
        classifier.main()
        content = json.loads(out.read_text("utf-8"))
        assert seeds == expected and len(content["runs"]) == count
        assert content["commit"] == commit and content["date"] and "processor" in content["machine"]
        assert content["command"] == "python benchmarks/" + " ".join(command)


def test_run_measures_all_that_needs_no_graphics_card(monkeypatch):
    asked = []
    monkeypatch.setattr(subprocess, "run", lambda command, **_: asked.append(command[1:]))
    monkeypatch.setattr(sys, "argv", ["run.py"])
    runpy.run_path(str(BENCHMARKS / "run.py"))
    scripts = {path.name for path in BENCHMARKS.glob("*.py")} - {"gpu.py", "machine.py", "run.py"}
    assert {path.name for path, *_ in asked} == scripts
    stored = {path.stem for path in (BENCHMARKS / "results").glob("*.json")} - {"gpu"}
    assert len(asked) == len(stored) and [BENCHMARKS / "speed.py", "--avx2"] in asked


def test_run_measures_what_it_is_told(tmp_path):
    done = subprocess.run(
        [sys.executable, BENCHMARKS / "run.py", "no_such_measurement"],
        capture_output=True,
        text=True,
        cwd=tmp_path,
    )
    assert done.returncode and "no_such_measurement" in done.stdout
