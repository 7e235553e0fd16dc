"""Settings for every test and for the kernels that nbval starts."""

import os
from pathlib import Path

import nbval.kernel

from tools import notebooks, warm_kernels

os.environ.setdefault("OMP_NUM_THREADS", "1")  # for small models a second thread gains little
# A thread that waits for another one sleeps. By default it spins, and on a busy machine, where the other one
# is kept waiting, two threads took twenty times the processor's time of one.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
os.environ.setdefault("TQDM_DISABLE", "1")  # progress bars leave no trace in outputs
if "PYTEST_XDIST_WORKER" not in os.environ:  # a worker has what began it
    os.environ["IPYTHONDIR"] = notebooks.ipython_folder()


nbval.kernel.start_new_kernel = notebooks.twice(nbval.kernel.start_new_kernel)

# The files that take longest, the longest first: begun last, one of them would keep a single worker busy at the end.
LONGEST = """
tests/test_site.py
tests/test_text.py
tests/test_live.py
tests/test_repository.py
tests/test_benchmarks.py
tests/test_checkpoints.py
chapters/22_seeing_attention.ipynb
tests/test_publish.py
chapters/15_pretraining.ipynb
tests/test_every_python.py
chapters/14_trained_classifier.ipynb
chapters/11_training.ipynb
tests/test_sampling.py
tests/test_command_line.py
chapters/12_optimizers.ipynb
tests/test_checking.py
chapters/19_trained_generator.ipynb
chapters/34_many_machines.ipynb
tests/test_training.py
tests/test_seeing_attention.py
tests/test_files.py
tests/test_batches.py
tests/test_values.py
tests/test_make.py
tests/test_run_chapters.py
tests/test_splits.py
""".split()


def pytest_configure(config):
    """Mask the numbers behind "≈" wherever pytest is started: a path in addopts would begin there."""
    config.option.loadscopereorder = False  # else xdist begins with the files of the most tests
    chapters = not config.option.collectonly and not all(".py" in name for name in config.args)
    if chapters and "PYTEST_XDIST_WORKER" not in os.environ:
        warm_kernels.begin()
    if not config.option.nbval_sanitize_with:
        config.option.nbval_sanitize_with = str(Path(__file__).parent / "tests" / "sanitize.cfg")


def pytest_itemcollected(item):
    """Give a kernel on a busy machine a minute for the outputs of a cell that is done; nbval gives it 5 s."""
    if hasattr(item, "output_timeout"):
        item.output_timeout = 60


def pytest_collection_modifyitems(config, items):
    """Several workers take the files in this order: the longest, the chapters, the others."""
    if hasattr(config, "workerinput"):
        place = {name: number for number, name in enumerate(LONGEST)}
        items.sort(key=lambda item: place.get(item.nodeid.split("::")[0], len(place)))


def pytest_ignore_collect(collection_path):
    """Leave out what an editor or a system put beside the chapters: Untitled.ipynb, 01_text-Copy1.ipynb."""
    if collection_path.suffix == ".ipynb" and collection_path.parent.name == "chapters":
        return None if notebooks.is_chapter(collection_path) else True
    return None
