"""The `gato` command before its imports, which take a second, and after its last word: Ctrl-C is one line there too."""

from __future__ import annotations

import os
import signal
import types


def main() -> None:
    """Entry point of the `gato` command, and of `python -m gato`."""
    is_heard = signal.getsignal(signal.SIGINT) is not signal.SIG_IGN  # a shell may have left us in the background
    if is_heard:
        signal.signal(signal.SIGINT, _end)
    # The products of numpy here are an actor's small ones: its threads would take MuJoCo's processors and wait there.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    from gato.cli import interrupt
    from gato.cli import main as run

    try:
        if is_heard:
            signal.signal(signal.SIGINT, interrupt)
        run()
    except KeyboardInterrupt:  # outside of the command proper
        _end()
    finally:
        signal.signal(signal.SIGINT, signal.SIG_IGN)


def _end(number: int = signal.SIGINT, frame: types.FrameType | None = None) -> None:
    os.write(2, b"gato: interrupted: nothing was begun\n")
    os._exit(130)


if __name__ == "__main__":
    main()
