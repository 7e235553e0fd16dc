"""The commands of the book: `python -m transformer_lib`, or `transformer-lib` where it is installed."""

import sys


def main() -> None:
    """Run a command; Ctrl-C while PyTorch is still being loaded is one sentence, too."""
    try:
        from .command_line import app

        app(prog_name="transformer-lib")
    except KeyboardInterrupt:
        print("stopped: nothing is lost", file=sys.stderr)
        sys.exit(130)


if __name__ == "__main__":
    main()
