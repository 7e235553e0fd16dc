"""The commands of the book: `python -m transformer_lib`, or `transformer-lib` where it is installed."""

import os
import signal
import sys
from typing import Any

STOPPED = "stopped: nothing is lost\n"


def end_at_once(*_: Any) -> None:
    """What Ctrl-C does while PyTorch is loaded, whose parts in C make another error of an exception."""
    os.write(2, STOPPED.encode())
    os._exit(130)


def main() -> None:
    """Run a command; Ctrl-C while PyTorch is still being loaded is one sentence, too."""
    try:
        usual = signal.getsignal(signal.SIGINT)
        if usual is signal.default_int_handler:  # else it is to be ignored, as nohup does
            signal.signal(signal.SIGINT, end_at_once)
        from .command_line import app

        signal.signal(signal.SIGINT, usual)
        app(prog_name="transformer-lib")
    except KeyboardInterrupt:
        sys.stderr.write(STOPPED)
        sys.exit(130)


if __name__ == "__main__":
    main()
