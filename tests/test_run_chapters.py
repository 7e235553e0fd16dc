"""What running the chapters stores: the same bytes each time, small pictures, nothing when it is interrupted."""

import base64
import io
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import nbformat
import numpy as np
import pytest
from PIL import Image, ImageDraw, PngImagePlugin

from tools import notebooks, pictures, run_chapters

ROOT = Path(__file__).parents[1]
CURVE = """
import matplotlib.pyplot as plt
figure, axes = plt.subplots(figsize=(4, 2))
axes.plot([1, 3, 2, 5])
axes.set_title("loss")
plt.show()
"""


def a_chapter(folder, *sources, name="01_one.ipynb"):
    folder.mkdir(parents=True, exist_ok=True)
    cells = [nbformat.v4.new_code_cell(source, id=f"c{i}") for i, source in enumerate(sources)]
    notebooks.write(nbformat.v4.new_notebook(cells=cells), folder / name)
    return folder / name


def command(*paths):
    return [sys.executable, ROOT / "tools" / "run_chapters.py", *map(str, paths)]


def picture(*, text="0.83", move=0, size=(320, 200), edge=0, extra=None):
    """A plot as PNG: a line, and a number; `edge` changes how grey the line's edge is."""
    image = Image.new("RGBA", size, "white")
    draw = ImageDraw.Draw(image)
    for x in range(20, size[0] - 20):
        y = 100 + move + x // 8
        draw.point((x, y), (0, 114, 178))
        draw.point((x, y + 1), (200 + edge, 220 + edge, 240))
    draw.text((60, 40), text, "black")
    made = io.BytesIO()
    note = PngImagePlugin.PngInfo()
    for key, value in (extra or {}).items():
        note.add_text(key, value)
    image.save(made, "PNG", pnginfo=note)
    return made.getvalue()


def test_same_pixels_give_the_same_bytes_whatever_program_and_day_they_were_made():
    one, other = picture(extra={"Software": "3.10"}), picture(extra={"Creation Time": "today"})
    assert one != other and pictures.smaller(one) == pictures.smaller(other)
    assert b"today" not in pictures.smaller(other)
    assert pictures.smaller(pictures.smaller(one)) == pictures.smaller(one)


def test_a_palette_is_used_where_nobody_can_see_it_and_not_elsewhere():
    random = np.random.default_rng(0)
    shades = np.clip(random.normal(128, 6, (200, 300, 3)), 0, 255).astype(np.uint8)
    noise = random.integers(0, 255, (300, 300, 3), dtype=np.uint8)
    for pixels, palette in ((shades, True), (noise, False)):
        made = io.BytesIO()
        Image.fromarray(pixels).save(made, "PNG")
        small = Image.open(io.BytesIO(pictures.smaller(made.getvalue())))
        assert (small.mode == "P") == palette
        off = abs(np.asarray(small.convert("RGB")).astype(int) - pixels).max()
        assert off <= (pictures.FARTHEST if palette else 0)


@pytest.mark.parametrize(
    "change, same",
    [
        ({}, True),
        ({"edge": 15}, True),
        ({"text": "0.84"}, False),
        ({"move": 3}, False),
        ({"size": (321, 200)}, False),
    ],
)
def test_pictures_are_alike_when_only_their_edges_differ(change, same):
    assert pictures.alike(picture(), picture(**change)) == same


def shown(path):
    (cell,) = (c for c in notebooks.code_cells(path) if run_chapters.stored_pictures(c))
    return run_chapters.stored_pictures(cell)[0][1]


def store(path, png):
    notebook = notebooks.read(path)
    for cell in notebook.cells:
        for data, _ in run_chapters.stored_pictures(cell):
            data["image/png"] = base64.b64encode(png).decode()
    notebooks.write(notebook, path)


@pytest.mark.slow
def test_chapters_are_stored_alike_and_keep_the_pictures_that_show_the_same(tmp_path):
    """Two runs of one chapter are the same bytes; a picture smoothed otherwise stays, another one goes."""
    sources = ("print({'a', 'b', 'c', 'd', 'e'})\nprint('≈ 1')", CURVE)
    first, second = (a_chapter(tmp_path / folder, *sources) for folder in ("one", "other"))
    done = subprocess.run(command(first, second), capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert first.read_bytes() == second.read_bytes()
    assert b"Matplotlib" not in shown(first) and Image.open(io.BytesIO(shown(first))).mode == "P"

    made = Image.open(io.BytesIO(shown(first))).convert("RGB")
    kept = np.asarray(made).copy()
    kept[kept > 250] -= 4  # another version's white
    buffer = io.BytesIO()
    Image.fromarray(kept).save(buffer, "PNG", optimize=True)
    store(first, pictures.smaller(buffer.getvalue()))
    before = first.read_bytes()
    store(second, picture())
    assert subprocess.run(command(first, second), capture_output=True).returncode == 0
    assert first.read_bytes() == before
    assert pictures.alike(shown(second), shown(first)) and shown(second) != picture()


@pytest.mark.slow
def test_running_says_which_chapter_of_how_many_and_how_long(tmp_path):
    paths = [a_chapter(tmp_path, "x = 1", name=f"0{i}_part.ipynb") for i in (1, 2, 3)]
    bad = a_chapter(tmp_path, "raise OSError('no text')", name="04_bad.ipynb")
    done = subprocess.run(command(*paths, bad), capture_output=True, text=True)
    lines = done.stdout.splitlines()
    assert lines[0] == "  4 chapters: 01_part first" and len(lines) == 5
    assert all(
        re.search(rf"chapter {i} of 4: \d\d_\w+ (done|failed) in \d+ s", lines[i])
        for i in (1, 2, 3, 4)
    )
    assert "(now: " in lines[1] and done.returncode == 1
    assert "04_bad.ipynb" in done.stderr and "no text" in done.stderr


def test_only_chapters_that_time_something_themselves_run_alone(tmp_path):
    clock = "import time\nbegan = time.perf_counter()"
    for name, source, alone in (
        ("01_one.ipynb", "x = 1", False),
        ("02_two.ipynb", clock, True),
        ("03_three.ipynb", f"#| exporti\n{clock}", False),
    ):
        assert run_chapters.measures_time(a_chapter(tmp_path, source, name=name)) is alone
    alone = [path.stem[:2] for path in notebooks.chapters() if run_chapters.measures_time(path)]
    assert alone == ["21", "23", "32", "33"]


def children(pid):
    out = subprocess.run(["ps", "-o", "pid=", "--ppid", str(pid)], capture_output=True, text=True)
    found = [int(word) for word in out.stdout.split()]
    return found + [child for one in found for child in children(one)]


def alive(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().split(")")[1].split()[0] != "Z"
    except OSError:
        return False


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="looks for processes in /proc")
@pytest.mark.parametrize(
    "how", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL], ids=lambda s: s.name
)
def test_an_interrupted_run_leaves_the_chapter_as_it_was_and_no_process(tmp_path, how):
    mark = tmp_path / "begun"
    path = a_chapter(tmp_path, f"open({str(mark)!r}, 'w').close()\nimport time\ntime.sleep(600)")
    before = path.read_bytes()
    process = subprocess.Popen(
        command(path),
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        # a shell lets what it runs in the background ignore Ctrl-C, and all that this starts too
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    end = time.monotonic() + 120
    while not mark.exists() and time.monotonic() < end:
        time.sleep(0.1)
    family = children(process.pid)
    assert mark.exists() and len(family) >= 2  # a worker and its kernel
    os.kill(process.pid, how)
    said = process.communicate(timeout=60)[1] if how == signal.SIGINT else ""
    process.wait(60)
    while any(map(alive, family)) and time.monotonic() < end:
        time.sleep(0.1)
    assert not any(map(alive, family))
    assert path.read_bytes() == before and sorted(p.name for p in tmp_path.iterdir()) == [
        path.name,
        "begun",
    ]
    if how == signal.SIGINT:
        assert said == "interrupted: the chapters that were running are as they were\n"
        assert process.returncode == 130


def test_a_notebook_is_written_in_one_step(tmp_path, monkeypatch):
    path = a_chapter(tmp_path, "x = 1")
    before = path.read_bytes()

    def killed(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(notebooks.os, "replace", killed)
    with pytest.raises(KeyboardInterrupt):
        notebooks.write(nbformat.v4.new_notebook(), path)
    assert path.read_bytes() == before
    monkeypatch.undo()
    notebooks.write(notebooks.read(path), path)
    assert path.read_bytes() == before and [p.name for p in tmp_path.iterdir()] == [path.name]
