"""Kernels that are forked: like any other, but with PyTorch imported."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from jupyter_client.manager import start_new_kernel

from tools import warm_kernels

ROOT = Path(__file__).parents[1]
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform != "linux", reason="kernels are forked on Linux only"),
]


@pytest.fixture(scope="module")
def warm():
    """Kernels of this process are forked, as they are where all tests are run."""
    before = {name: os.environ.get(name) for name in (warm_kernels.ADDRESS, "JUPYTER_PATH")}
    warm_kernels.begin()
    for _ in range(600):
        if Path(os.environ[warm_kernels.ADDRESS].partition(":")[2]).exists():
            break
        time.sleep(0.1)
    yield
    for name, value in before.items():
        os.environ.pop(name) if value is None else os.environ.__setitem__(name, value)


@pytest.fixture
def kernel(tmp_path):
    """start(**environment): the manager of a new kernel, and run(code), which returns (status, printed)."""
    started = []

    def start(**environment):
        manager, client = start_new_kernel(cwd=tmp_path, env=os.environ | environment)
        started.append((manager, client))

        def run(code):
            printed = []
            answer = client.execute_interactive(
                code,
                timeout=60,
                output_hook=lambda message: printed.append(message["content"].get("text", "")),
            )
            return answer["content"].get("ename", "ok"), "".join(printed)

        return manager, run

    yield start
    for manager, client in started:
        client.stop_channels()
        manager.shutdown_kernel(now=True)


ABOUT = """
import json, os, random, sys, threading
import numpy
print(json.dumps({
    "imported": [name in sys.modules for name in ("torch", "torch._dynamo", "matplotlib.pyplot")],
    "folder": os.getcwd(), "path": sys.path, "argv": sys.argv[0], "number": os.getpid(), "input": os.readlink("/proc/self/fd/0"), "mine": os.environ.get("MINE"),
    "backend": __import__("matplotlib").get_backend(), "drawn": [random.random(), numpy.random.rand()],
    "parent": os.getppid()}))
"""


def ended(number):
    """Wait until a process is gone; whether it is."""
    for _ in range(100):
        try:
            if Path(f"/proc/{number}/stat").read_text().rpartition(")")[2].split()[0] == "Z":
                return True
        except OSError:
            return True
        time.sleep(0.1)
    return False


def test_a_kernel_has_imported_and_else_what_it_was_given(warm, kernel, tmp_path, monkeypatch):
    one, other = (json.loads(kernel(MINE=mine)[1](ABOUT)[1]) for mine in "ab")
    monkeypatch.delenv(warm_kernels.ADDRESS)
    usual = json.loads(kernel(MINE="a")[1](ABOUT)[1])  # there is nobody to ask
    assert one["imported"] == [True, True, False] and usual["imported"] == [False] * 3
    assert (one["mine"], other["mine"], usual["mine"]) == ("a", "b", "a")
    for name in ("folder", "path", "argv", "backend"):
        assert one[name] == usual[name], name
    assert one["folder"] == str(tmp_path) and "inline" in one["backend"]
    assert len({one["number"], other["number"], usual["number"]}) == 3
    assert all(a != b for a, b in zip(one["drawn"], other["drawn"], strict=True))


def test_a_kernel_is_interrupted_and_goes_on(warm, kernel):
    manager, run = kernel()
    code = f"import os, signal, time\nos.kill({os.getpid()}, signal.SIGUSR1)\ntime.sleep(50)"
    was = signal.signal(signal.SIGUSR1, lambda *_: manager.interrupt_kernel())
    try:
        assert run(code)[0] == "KeyboardInterrupt"
    finally:
        signal.signal(signal.SIGUSR1, was)
    assert run("print(1 + 1)") == ("ok", "2\n")


def test_a_kernel_ends_with_what_jupyter_started_and_the_other_way_round(warm, kernel):
    manager, run = kernel()
    about = json.loads(run(ABOUT)[1])
    number = about["number"]
    assert about["input"] == os.readlink(f"/proc/{manager.provisioner.process.pid}/fd/0")
    os.kill(manager.provisioner.process.pid, signal.SIGKILL)
    assert ended(number)
    manager, run = kernel()
    os.kill(json.loads(run(ABOUT)[1])["number"], signal.SIGKILL)
    assert manager.provisioner.process.wait(20) is not None


SCRIPT = """
CODE = '''
import os, numpy, torch
big = numpy.random.rand(600, 600)  # products of this size are shared out
one, other = big @ big, torch.from_numpy(big) @ torch.from_numpy(big)
print(os.getpid(), os.getppid(), torch.get_num_threads(), numpy.allclose(one, other))
'''
import os, sys, time
from jupyter_client.manager import start_new_kernel
from tools import warm_kernels
warm_kernels.begin()
begun = os.environ[warm_kernels.ADDRESS]
warm_kernels.begin()
assert os.environ[warm_kernels.ADDRESS] == begun  # one will do
place = begun.partition(":")[2]
while not os.path.exists(place):
    time.sleep(0.1)
manager, client = start_new_kernel()
found = []
client.execute_interactive(CODE, timeout=60,
    output_hook=lambda message: found.append(message["content"].get("text", "")))
print(place, *"".join(found).split(), flush=True)
time.sleep(60)
"""


def test_with_two_threads_and_nothing_is_left_when_what_began_it_is_killed():
    environment = os.environ | {"OMP_NUM_THREADS": "2"}
    environment.pop(warm_kernels.ADDRESS, None)
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    with subprocess.Popen(
        [sys.executable, "-c", SCRIPT], cwd=ROOT, env=environment, **pipes
    ) as began:
        socket, *numbers, threads, alike = began.stdout.readline().split()
        assert Path(socket).exists() and (threads, alike) == ("2", "True")
        began.kill()
        assert all(map(ended, numbers))
        assert "DeprecationWarning" not in began.stderr.read()  # of a fork with threads


def test_where_no_socket_can_be_a_kernel_imports_for_itself(warm, kernel, monkeypatch, tmp_path):
    command = [sys.executable, "-m", "tools.warm_kernels", "serve", tmp_path / ("long" * 30)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    monkeypatch.setenv(warm_kernels.ADDRESS, f"{sys.executable}:{tmp_path / 'nobody'}")
    assert json.loads(kernel()[1](ABOUT)[1])["imported"] == [False] * 3


def test_another_python_gets_kernels_of_its_own(monkeypatch):
    monkeypatch.setenv(warm_kernels.ADDRESS, "/another/python:/socket")
    monkeypatch.setenv("JUPYTER_PATH", "/kept")
    asked = []
    monkeypatch.setattr(warm_kernels.atexit, "register", lambda *_, **__: None)

    class Server:
        def __init__(self, command, **_):
            asked.append(command)

        kill = None

    monkeypatch.setattr(warm_kernels.subprocess, "Popen", Server)
    warm_kernels.begin()
    assert asked[0][0] == sys.executable
    assert os.environ[warm_kernels.ADDRESS].startswith(sys.executable + ":")
    assert os.environ["JUPYTER_PATH"].endswith(":/kept")
