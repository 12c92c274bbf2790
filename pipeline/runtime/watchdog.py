"""Ends a process in which records wait and nothing moves: the supervisor starts a new one.

Faust and aiokafka stall after some rebalances for reasons nobody has found; a restart from committed state is cheap.
"""

from __future__ import annotations

import asyncio
import io
import sys
import threading
import time
import traceback
from collections.abc import Callable

from .instruments import Stalled
from .lane import Verdict
from .lanes import Lanes

__all__ = ["all_stacks", "watch"]

_LOOK_EVERY = 1.0


def all_stacks() -> str:
    """Where every thread and every task of this loop is now."""
    text = io.StringIO()
    names = {thread.ident: thread.name for thread in threading.enumerate()}
    for ident, frame in sys._current_frames().items():  # noqa: SLF001 - the documented way to other threads' stacks
        text.write(f"thread {names.get(ident, ident)}\n")
        text.write("".join(traceback.format_stack(frame)))
    for task in asyncio.all_tasks():
        task.print_stack(file=text)
    return text.getvalue()


async def watch(lanes: Lanes, rebalancing: Callable[[], bool]) -> None:
    """Look again and again; end the process when it stalls."""
    limit = lanes.runtime.stall_after_ms / 1000
    rebalancing_since: float | None = None
    while True:
        await asyncio.sleep(min(_LOOK_EVERY, limit / 4))
        waits = lanes.surroundings.trouble is not None
        rebalancing_since = (rebalancing_since or time.monotonic()) if rebalancing() and not waits else None
        reason = lanes.stalled()
        if reason is None and rebalancing_since is not None and time.monotonic() - rebalancing_since > 2 * limit:
            reason = f"a rebalance takes longer than {2 * limit:.0f} s"
        if reason is not None:
            lanes.instruments.tell(Stalled(reason, all_stacks()))
            lanes.end(Verdict.STALLED, reason)
            return
