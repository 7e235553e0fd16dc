"""Write constraints.txt: the newest versions that fit together, for every Python and system: `make lock`.

The resolver is uv's, which looks at all systems at once; it is installed in a temporary folder. PyTorch stays at the
version that constraints.txt names (`--torch VERSION` names another): a new one is a decision, not an accident.
"""

import argparse
import re
import subprocess
import sys
import tempfile
import venv
from pathlib import Path

ROOT = Path(__file__).parents[1]
EXTRAS = ("book", "test", "bench")
CUDA = re.compile(r"^(nvidia-|cuda-|triton\b)")  # what PyTorch's own builds bring, and decide


def without_cuda(text):
    """The lines of a lock that are not PyTorch's own business."""
    return "".join(line for line in text.splitlines(keepends=True) if not CUDA.match(line))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    file = ROOT / "constraints.txt"
    now = re.search(r"(?m)^torch==(\S+)", file.read_text("utf-8"))[1]
    parser.add_argument("--torch", default=now, help="the version of PyTorch")
    torch = parser.parse_args().torch
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        venv.create(folder / "uv", with_pip=True)
        python = folder / "uv" / "bin" / "python"
        pip = [python, "-m", "pip", "--disable-pip-version-check", "install", "-q", "uv"]
        subprocess.run(pip, check=True)
        (folder / "torch.txt").write_text(f"torch=={torch}\n")
        command = [
            python,
            "-m",
            "uv",
            "pip",
            "compile",
            "--universal",
            "--python-version",
            "3.10",
            "--quiet",
        ]
        command += [
            "--no-header",
            "--no-annotate",
            "--no-config",
            "--fork-strategy",
            "fewest",
            "--constraint",
            folder / "torch.txt",
        ]
        command += [argument for extra in EXTRAS for argument in ("--extra", extra)]
        command += ["--output-file", folder / "lock.txt", ROOT / "pyproject.toml"]
        if subprocess.run(command, cwd=folder).returncode:
            sys.exit("no versions fit together: constraints.txt is as it was")
        before, after = (
            file.read_text("utf-8"),
            without_cuda((folder / "lock.txt").read_text("utf-8")),
        )
    file.write_text(after, "utf-8")
    lines = set(before.splitlines()), set(after.splitlines())
    print(*(f"- {line}" for line in sorted(lines[0] - lines[1])), sep="\n")
    print(*(f"+ {line}" for line in sorted(lines[1] - lines[0])), sep="\n")


if __name__ == "__main__":
    main()
