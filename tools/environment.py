"""Make the virtual environment .venv, or bring it up to date: `python3 tools/environment.py [--this-python]`.

`.venv/ready` says what a finished environment was made for: its folder, its Python, and the files that list what is
in it. What it says decides:

- it is there and right: nothing is done;
- the lists have changed: what changed is installed;
- it is not there (interrupted before the end), or the folder was moved, or its Python is gone, or
  --this-python asks for another one: the environment is made anew.

Needs nothing but a Python, an old one too, so that it can say what is wrong with it.
"""

import hashlib
import os
import shutil
import subprocess
import sys
import time

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
LISTS = ("pyproject.toml", "constraints.txt")
OLD = "Python 3.10 or newer is needed, %d.%d.%d is here: make PYTHON=python3.11"
SELDOM = r"site-packages.*[/\\](tests?|transformers[/\\]models)[/\\]"  # imported, and compiled when it is
NO_VENV = "Python's venv module is missing: on Debian and Ubuntu, apt-get install python3-venv"
ASK = "import sys; print(sys.prefix, *sys.version_info[:3])"


def wanted(root=ROOT):
    """What the lists hold, in short."""
    texts = []
    for name in LISTS:
        with open(os.path.join(root, name), "rb") as file:
            texts.append(file.read())
    return hashlib.sha256(b"".join(texts)).hexdigest()


def python_in(folder):
    return os.path.join(
        folder, *(("Scripts", "python.exe") if os.name == "nt" else ("bin", "python"))
    )


def described(folder):
    """The folder and version that the Python in an environment says it has, "" if it does not run."""
    try:
        return subprocess.run(
            [python_in(folder), "-I", "-c", ASK], capture_output=True, text=True, check=True
        ).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return ""


def state(root=ROOT, version=None):
    """What `.venv` needs: "nothing", "packages" or "everything"; `version` is the one it must have, if any."""
    folder = os.path.join(root, ".venv")
    try:
        with open(os.path.join(folder, "ready")) as file:
            who, lists = file.read().split("\n")[:2]
    except (OSError, ValueError):
        return "everything"
    if who != described(folder) or (version and who.split()[-3:-1] != version):
        return "everything"
    return "nothing" if lists == wanted(root) else "packages"


def main(root=ROOT, this_python=False):
    version = list(map(str, sys.version_info[:2])) if this_python else None
    needs = state(root, version)
    if needs == "nothing":
        return
    if sys.version_info < (3, 10):  # noqa: UP036
        sys.exit(OLD % sys.version_info[:3])
    try:
        import ensurepip  # noqa: F401
        import venv
    except ImportError:
        sys.exit(NO_VENV)
    folder, started = os.path.join(root, ".venv"), time.time()
    ready = os.path.join(folder, "ready")
    if os.path.exists(ready):
        os.remove(ready)  # until all is done again
    if needs == "everything":
        print("  new environment .venv with Python %d.%d.%d" % sys.version_info[:3], flush=True)
        shutil.rmtree(folder, ignore_errors=True)
        venv.create(folder, with_pip=True, clear=True)
    python = python_in(folder)
    # pip compiles one module after the other: done below, on all cores.
    pip = [python, "-m", "pip", "--disable-pip-version-check", "--no-input", "install", "--quiet"]
    pip += ["--no-compile", "--constraint", os.path.join(root, "constraints.txt")]
    compiling = [python, "-m", "compileall", "-qq", "-x", SELDOM, folder, "-j"]
    environment = dict(os.environ, PIP_ROOT_USER_ACTION="ignore", PYTHONWARNINGS="ignore")

    def failed(part, name, *what):
        print("  packages, part %d of 3: %s" % (part, name), flush=True)
        return subprocess.run(pip + list(what), env=environment, cwd=root).returncode

    # One as old as its Python takes twice as long, and will do.
    failed(1, "pip itself", "pip>=25")
    # PyTorch before the rest: a resolver that chooses it among them may take another build.
    wrong = failed(2, "PyTorch", "torch")
    if not wrong:
        compiled = subprocess.Popen(compiling + ["1"], cwd=root)  # while the rest is fetched
        wrong = failed(3, "the rest", "--editable", ".[book,test,bench]")
        compiled.wait()
    if wrong:
        sys.exit("the packages could not be installed (what pip says stands above)")
    subprocess.run(compiling + ["0"], cwd=root)  # what it cannot compile, nothing imports
    with open(ready + ".new", "w") as file:
        file.write("%s\n%s\n" % (described(folder), wanted(root)))
    os.replace(ready + ".new", ready)
    print("  environment ready in %.0f s" % (time.time() - started), flush=True)


if __name__ == "__main__":
    try:
        main(this_python="--this-python" in sys.argv)
    except KeyboardInterrupt:
        sys.exit("interrupted: the next make goes on")
