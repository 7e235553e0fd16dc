"""Build the wheel and the source archive: the same commit gives the same bytes.

    python -m tools.dist [_build/dist]

What is committed is what is built, in a folder of its own; times are the commit's (or SOURCE_DATE_EPOCH).
"""

import gzip
import hashlib
import io
import os
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

ROOT = Path(__file__).parents[1]
BUILD = "import setuptools.build_meta as b; b.build_sdist('dist'); b.build_wheel('dist')"


def git(*arguments, root=ROOT):
    """What a git command prints, as bytes."""
    return subprocess.run(["git", "-C", str(root), *arguments], check=True, stdout=-1).stdout


def repack(archive, seconds):
    """Write a source archive anew: members sorted, of one time and nobody's."""
    with tarfile.open(archive) as old:
        members = sorted(old.getmembers(), key=lambda member: member.name)
        contents = [old.extractfile(m).read() if m.isfile() else None for m in members]
    with (
        open(archive, "wb") as file,
        gzip.GzipFile("", "wb", 9, file, mtime=seconds) as packed,
        tarfile.open(fileobj=packed, mode="w", format=tarfile.PAX_FORMAT) as new,
    ):
        for member, content in zip(members, contents, strict=True):
            member.uid = member.gid = 0
            member.uname = member.gname = ""
            member.mtime, member.pax_headers = seconds, {}
            member.mode = 0o755 if member.isdir() else 0o644
            new.addfile(member, io.BytesIO(content) if content is not None else None)


def build(target, root=ROOT):
    """Build both files of the commit that is checked out in `root`; their paths."""
    seconds = int(
        os.environ.get("SOURCE_DATE_EPOCH") or git("log", "-1", "--format=%ct", root=root)
    )
    target.mkdir(parents=True, exist_ok=True)
    for old in [*target.glob("*.whl"), *target.glob("*.tar.gz")]:
        old.unlink()
    with tempfile.TemporaryDirectory() as folder:
        files = git("-c", "tar.umask=0022", "archive", "--format=tar", "HEAD", root=root)
        with tarfile.open(fileobj=io.BytesIO(files)) as archive:
            archive.extractall(
                folder, **({"filter": "tar"} if hasattr(tarfile, "data_filter") else {})
            )
        done = subprocess.run(
            [sys.executable, "-c", BUILD],
            cwd=folder,
            env={**os.environ, "SOURCE_DATE_EPOCH": str(seconds), "PYTHONHASHSEED": "0"},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            umask=0o022,
        )
        if done.returncode:
            sys.exit(done.stdout)
        made = sorted(Path(folder, "dist").iterdir())
        for path in made:
            if path.name.endswith(".tar.gz"):
                repack(path, seconds)
            (target / path.name).write_bytes(path.read_bytes())
    return [target / path.name for path in made]


if __name__ == "__main__":
    for path in build(Path(sys.argv[1]) if sys.argv[1:] else ROOT / "_build" / "dist"):
        print(hashlib.sha256(path.read_bytes()).hexdigest(), path)
