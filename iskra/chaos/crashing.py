"""The command line with a crash point armed: ``CRASH_AT=name:n python -m iskra.chaos.crashing worker scorer-0``.

``name:n`` sends SIGKILL to this process when the point ``name`` is passed the n-th time, ``name:n:stop`` SIGSTOP. For
proof runs and tests; nothing in the product arms a point.
"""

from __future__ import annotations

import os
import signal
import threading
import time

from pipeline.crashpoint import install

__all__ = ["CRASH_AT", "install_crash"]

CRASH_AT = "CRASH_AT"
_ON_ITS_WAY_S = 0.002


def install_crash(at: str) -> None:
    """Arm one crash point."""
    name, times, *how = at.split(":")
    number = signal.SIGSTOP if how == ["stop"] else signal.SIGKILL
    left = int(times)

    def hook(passed: str) -> None:
        nonlocal left
        if passed != name:
            return
        left -= 1
        if left:
            return
        if name == "commit.sent":
            threading.Thread(target=_soon, args=(number,), daemon=True).start()
        else:
            os.kill(os.getpid(), number)

    install(hook)


def _soon(number: signal.Signals) -> None:
    """The request leaves after the point is passed; give it the time a loop needs."""
    time.sleep(_ON_ITS_WAY_S)
    os.kill(os.getpid(), number)


if __name__ == "__main__":
    from iskra.commands.main import app

    if os.environ.get(CRASH_AT):
        install_crash(os.environ[CRASH_AT])
    app()
