"""How the program begins: what ends it before its modules are there."""

import subprocess
import sys


def test_ctrl_c_while_a_module_is_loaded_ends_at_once():
    """A part in C makes another exception of it, or none."""
    program = (
        "import builtins, signal, transformer_lib.__main__ as m; real = builtins.__import__\n"
        "def imported(name, *more, **named):\n"
        "    if name == 'command_line' and more[3]:\n"
        "        try: signal.raise_signal(signal.SIGINT)\n"
        "        except KeyboardInterrupt: raise RecursionError from None\n"
        "    return real(name, *more, **named)\n"
        "signal.signal(signal.SIGINT, %s)\n"
        "builtins.__import__ = imported; m.main()"
    )
    usual = [sys.executable, "-c", program % "signal.default_int_handler"]
    done = subprocess.run(usual, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (130, "stopped: nothing is lost\n")
    ignored = [sys.executable, "-c", program % "signal.SIG_IGN", "--help"]  # as nohup has it
    done = subprocess.run(ignored, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "") and "train-decoder" in done.stdout
