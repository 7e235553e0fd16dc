"""Settings for every test and for the kernels that nbval starts."""

import os
from pathlib import Path

from tools import notebooks

os.environ.setdefault("OMP_NUM_THREADS", "1")  # for small models a second thread gains little
# A thread that waits for another one sleeps. By default it spins, and on a busy machine, where the other one
# is kept waiting, two threads took twenty times the processor's time of one.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
os.environ.setdefault("TQDM_DISABLE", "1")  # progress bars leave no trace in outputs


def pytest_configure(config):
    """Mask the numbers behind "≈" wherever pytest is started: a path in addopts would begin there."""
    if not config.option.nbval_sanitize_with:
        config.option.nbval_sanitize_with = str(Path(__file__).parent / "tests" / "sanitize.cfg")


def pytest_itemcollected(item):
    """Give a kernel on a busy machine a minute for the outputs of a cell that is done; nbval gives it 5 s."""
    if hasattr(item, "output_timeout"):
        item.output_timeout = 60


def pytest_ignore_collect(collection_path):
    """Leave out what an editor or a system put beside the chapters: Untitled.ipynb, 01_text-Copy1.ipynb."""
    if collection_path.suffix == ".ipynb" and collection_path.parent.name == "chapters":
        return None if notebooks.is_chapter(collection_path) else True
    return None
