"""Kernels that begin with PyTorch imported: `begin()` starts a process that has, and that forks for each of them.

To import PyTorch, its compiler, which an optimizer asks for, and what draws takes some four seconds of a processor,
and the book has dozens of kernels. On Linux only; elsewhere, and before that process is ready, a kernel imports for itself.

    python -m tools.warm_kernels serve SOCKET        it imports, waits at the socket, and forks
    python .../warm_kernels.py kernel -f FILE ...    what Jupyter takes for the kernel: it asks for one,
                                                     hands signals on, and ends when the kernel does
"""

import atexit
import contextlib
import importlib.util
import json
import os
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import warnings
from pathlib import Path

# In the environment: whose kernels they are (a Python), a colon, and where the socket is.
ADDRESS = "WARM_KERNELS"
IMPORTED = "ipykernel.kernelapp torch._dynamo matplotlib.backends.backend_agg sklearn.linear_model"


def begin(environment=None):
    """From here on, kernels called python3 are forked, here and in the processes that are started here.

    environment: that of the process that imports; None is this one's. What it says to libraries that are imported
    there, and to Python itself, holds for all kernels.
    """
    if sys.platform != "linux" or os.environ.get(ADDRESS, "").startswith(sys.executable + ":"):
        return
    folder = Path(tempfile.mkdtemp(prefix="kernels-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    spec = folder / "kernels" / "python3" / "kernel.json"
    spec.parent.mkdir(parents=True)
    command = [sys.executable, "-IS", __file__, "kernel", "-f", "{connection_file}"]
    spec.write_text(json.dumps({"argv": command, "display_name": "Python 3", "language": "python"}))
    place = folder / "socket"
    server = subprocess.Popen(
        [sys.executable, "-m", "tools.warm_kernels", "serve", place],
        cwd=Path(__file__).parents[1],
        env=environment,
        stdin=subprocess.PIPE,  # its end tells the server that this process has ended
        start_new_session=True,  # Ctrl-C is for the kernels
    )
    atexit.register(server.kill)
    os.environ[ADDRESS] = f"{sys.executable}:{place}"
    paths = [str(folder), os.environ.get("JUPYTER_PATH")]
    os.environ["JUPYTER_PATH"] = os.pathsep.join(filter(None, paths))


def serve(place):
    """Import, then fork for each that connects, until the process that began this one has ended.

    Nobody can connect before: the ports of a kernel are chosen before it is asked for, and while it was waited for
    somebody else could take one.
    """
    # What is read when it is imported: kernels end with this process, and draw into the notebook.
    os.environ["JPY_PARENT_PID"] = str(os.getpid())
    os.environ["MPLBACKEND"] = "module://matplotlib_inline.backend_inline"
    for name in IMPORTED.split():
        with contextlib.suppress(ImportError):
            importlib.import_module(name)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for them here
    listener = socket.socket(socket.AF_UNIX)
    try:
        listener.bind(place)
    except OSError:  # the path of the temporary folder is too long for a socket
        return
    listener.listen(64)
    while sys.stdin not in select.select([listener, sys.stdin], [], [])[0]:
        client, _ = listener.accept()
        with warnings.catch_warnings():
            # Of threads: those of the libraries are at rest, and begun anew.
            warnings.simplefilter("ignore", DeprecationWarning)
            number = os.fork()
        if not number:
            listener.close()
            become_kernel(client)
            return
        client.close()


def become_kernel(client):
    """In a process of its own: take over what the client has, tell it the number of the process, and run."""
    import ipykernel.kernelapp
    import numpy

    _, files, _, _ = socket.recv_fds(client, 1, 3)
    arguments, folder, environment = json.loads(client.makefile("r", encoding="utf-8").readline())
    os.setsid()
    for place, file in enumerate(files):
        os.dup2(file, place)
        os.close(file)
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    sys.argv = [importlib.util.find_spec("ipykernel_launcher").origin, *arguments]
    sys.path.remove(str(Path(__file__).parents[1]))
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    numpy.random.seed()  # Python's own is begun anew by a fork
    client.sendall(b"%d\n" % os.getpid())

    def end_with_client():
        client.recv(1)  # returns when the client is gone
        os._exit(1)

    threading.Thread(target=end_with_client, daemon=True).start()
    ipykernel.kernelapp.launch_new_instance()


def ask(arguments):
    """Have a kernel forked, and end when it ends; begin one here if there is nobody to ask."""
    with socket.socket(socket.AF_UNIX) as server:
        try:
            server.connect(os.environ[ADDRESS].partition(":")[2])
            socket.send_fds(server, [b"."], [0, 1, 2])
            what = [arguments, os.getcwd(), dict(os.environ)]
            server.sendall(json.dumps(what).encode() + b"\n")
            number = int(server.makefile("r").readline())
        except (KeyError, OSError, ValueError):
            launcher = [sys.executable, "-m", "ipykernel_launcher"]
            os.execv(launcher[0], launcher + arguments)
        for one in (signal.SIGINT, signal.SIGTERM):
            signal.signal(one, lambda given, _: os.kill(number, given))
        parent = os.getppid()
        while not select.select([server], [], [], 1)[0] and os.getppid() == parent:
            pass  # nothing comes but the end of the kernel, or of what asked for it


if __name__ == "__main__":
    if sys.argv[1] == "serve":
        serve(sys.argv[2])
    else:
        ask(sys.argv[2:])
