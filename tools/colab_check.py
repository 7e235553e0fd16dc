"""Run chapters as Colab would: alone in an empty folder, in an environment with what Colab brings,
the package installed by their set-up cell from a git clone of this repository.

    python -m tools.colab_check [--here] [chapters/NN_name.ipynb ...]

Without names: every chapter. What is committed is what is checked. With --here the environment is the one that this
runs in: for Colab's own image.
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import venv
from importlib import metadata
from importlib.util import cache_from_source
from pathlib import Path

import nbclient
from jupyter_client.manager import AsyncKernelManager

from tools import address, notebooks, warm_kernels
from tools.bare_import import brought

ROOT = Path(__file__).parents[1]
BROUGHT = ("torch", "numpy", "matplotlib", "ipywidgets", "ipykernel")  # by Colab


def run(*command, **options):
    """Run a command; return what it printed; stop with its words if it fails."""
    done = subprocess.run(
        [str(part) for part in command], capture_output=True, text=True, **options
    )
    if done.returncode:
        raise RuntimeError(f"{' '.join(map(str, command))}\n{done.stdout}{done.stderr}")
    return done.stdout


def link(name, folder):
    """Put the modules of an installed distribution into another site-packages, as second names of the same files."""
    try:
        found = metadata.distribution(name)
    except metadata.PackageNotFoundError:  # one that this system does not need
        return
    here = Path(found.locate_file(""))
    for file in (here / file for file in found.files or () if ".." not in file.parts):
        # What was compiled is as good there: its source keeps its date.
        for path in (file, Path(cache_from_source(file))):
            new = folder / path.relative_to(here)
            if path.exists() and not new.exists():
                new.parent.mkdir(parents=True, exist_ok=True)
                os.link(path, new)


def environment(folder):
    """The Python of a virtual environment with only what Colab brings, in the versions that are here (made once)."""
    python = folder / "bin" / "python"
    if not (folder / "ready").exists():
        venv.create(folder, with_pip=True, clear=True)
        where = run(python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))")
        for name in set().union(*map(brought, BROUGHT)):
            link(name, Path(where.strip()))
        (folder / "ready").touch()
    return python


def published(folder):
    """A git repository of one commit that holds what is committed here; its address."""
    run("git", "clone", "-q", ROOT.as_uri(), folder)
    shutil.rmtree(
        folder / ".git"
    )  # a clone of a shallow clone cannot be cloned in part, as pip does
    who = ("-c", "user.name=check", "-c", "user.email=check@localhost")
    run("git", "init", "-q", folder)
    run("git", "-C", folder, "add", "-A")
    run("git", "-C", folder, *who, "commit", "-q", "-m", "What is committed")
    return folder.as_uri()


class Kernel(AsyncKernelManager):
    """A kernel of another Python; nbclient's own options are passed on."""

    python = sys.executable

    def format_kernel_cmd(self, extra_arguments=None):
        return [str(self.python), *super().format_kernel_cmd(extra_arguments)[1:]]


def check(chapter, python, url):
    """Run one chapter alone in an empty folder; raise if a cell fails or torch is another one after."""

    def torch():
        return run(python, "-m", "pip", "list", "--format", "freeze").split("torch==")[1].split()[0]

    before = torch()
    with tempfile.TemporaryDirectory() as folder:
        notebook = notebooks.read(chapter)
        for cell in notebook.cells:
            if "REPOSITORY = " in cell.source:
                cell.source = cell.source.replace(
                    f'REPOSITORY = "{address.read()}"', f'REPOSITORY = "{url}"'
                )
        Kernel.python = python
        nbclient.NotebookClient(
            notebook,
            timeout=900,
            kernel_manager_class=Kernel,
            extra_arguments=["--IPKernelApp.log_level=40"],  # errors only
            resources={"metadata": {"path": folder}},
        ).execute(cwd=folder)
        where = run(python, "-c", "import transformer_lib as t; print(t.__file__)", cwd=folder)
    if "site-packages" not in where:
        raise RuntimeError(f"transformer_lib was not installed but found at {where}")
    if torch() != before:
        raise RuntimeError(f"the set-up cell replaced torch {before} by {torch()}")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--here", action="store_true", help="in this environment, not in a bare one"
    )
    parser.add_argument("chapters", nargs="*", type=Path)
    arguments = parser.parse_args()
    os.environ.pop("PYTHONPATH", None)
    os.environ.pop(warm_kernels.ADDRESS, None)  # no kernels of the environment of the book
    os.environ["PIP_COMPILE"] = "0"  # most modules are never imported
    python = Path(sys.executable) if arguments.here else environment(ROOT / "_build" / "colab")
    run(python, "-m", "pip", "uninstall", "-q", "-y", "transformer_lib")
    with tempfile.TemporaryDirectory() as folder:
        url = published(Path(folder, "published"))
        for chapter in arguments.chapters or notebooks.chapters():
            check(chapter, python, url)
            print(f"{chapter.name} runs as in Colab", flush=True)


if __name__ == "__main__":
    main()
