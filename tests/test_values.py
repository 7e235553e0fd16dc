"""Values that people pass: each works, or one error names the argument and what it may be."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FUZZ_SECONDS = float(os.environ.get("FUZZ_SECONDS", "5"))  # 3600 for an hour


@pytest.fixture(scope="module")
def said():
    """The table, and what random input raised, from a process: here every signature is checked, there none."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.values", str(FUZZ_SECONDS)],
        cwd=ROOT, capture_output=True, text=True, env={**os.environ, "TQDM_DISABLE": "1"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout.splitlines()[-1])


@pytest.fixture(scope="module")
def outcomes(said):
    return said[0]


@pytest.mark.slow
def test_the_table_is_long(outcomes):
    assert len({name for name, *_ in outcomes}) == len(outcomes) > 80


@pytest.mark.slow
def test_every_value_works_or_is_one_sentence_that_names_it(outcomes):
    wrong = []
    for name, outcome, message, words in outcomes:
        if words is None:
            good = outcome == "works"
        else:
            named = outcome.endswith("Error") and outcome not in ("TypeError", "KeyError")
            good = named and words in message and "\n" not in message
            good = good and outcome in ("ValueError", "OSError", "FileNotFoundError")
        if not good:
            wrong.append(f"{name}: {outcome}: {message[:200]} (wanted {words!r})")
    assert not wrong, "\n".join(wrong)


@pytest.mark.slow
def test_random_input_raises_nothing_else(said):
    """FUZZ_SECONDS=3600 in the environment makes it an hour of a processor."""
    assert not said[1], "\n".join(said[1])
