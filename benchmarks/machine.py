"""What the figures were measured on, stored with them."""

import json
import os
import platform
import subprocess
import sys
import time
from pathlib import Path

import torch

# Each script writes into this folder; tests set another.
RESULTS = Path(os.environ.get("BENCHMARK_RESULTS") or Path(__file__).parent / "results")


def processor():
    """The processor's name, as the system gives it."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        return next(
            line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")
        )
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


def describe():
    """The machine, as a dictionary of plain words and numbers."""
    found = {
        "processor": processor(),
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "system": platform.system(),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "kernels": torch.backends.cpu.get_cpu_capability(),
    }
    if hasattr(torch.cpu, "get_capabilities"):
        found["bf16"] = bool(
            torch.cpu.get_capabilities().get("avx512_bf16")
            or torch.cpu.get_capabilities().get("amx_bf16")
        )
    if torch.cuda.is_available():
        found["gpu"] = torch.cuda.get_device_name()
    return found


def commit():
    """The commit that was measured; "+" behind it where files differ from it, None without git."""
    if os.environ.get("BENCHMARK_COMMIT"):  # on a machine that has only a copy of the files
        return os.environ["BENCHMARK_COMMIT"]
    here = Path(__file__).parent

    def git(*words):
        return subprocess.run(
            ["git", *words], cwd=here, capture_output=True, text=True, check=True
        ).stdout.strip()

    try:
        changed = git("status", "--porcelain", "--", "../transformer_lib", "*.py")
        return git("rev-parse", "--short=12", "HEAD") + ("+" if changed else "")
    except (OSError, subprocess.CalledProcessError):
        return None


def origin():
    """What every file of results says of itself: machine, commit, date and command."""
    return {
        "machine": describe(),
        "commit": commit(),
        "date": time.strftime("%Y-%m-%d"),
        "command": " ".join(["python", f"benchmarks/{Path(sys.argv[0]).name}", *sys.argv[1:]]),
    }


def write(name, content):
    """Write content to RESULTS/NAME.json."""
    RESULTS.mkdir(parents=True, exist_ok=True)
    (RESULTS / f"{name}.json").write_text(json.dumps(content, indent=1) + "\n", "utf-8")


def store(name, results):
    """Write results, and where they come from, to RESULTS/NAME.json."""
    write(name, origin() | {"results": results})
