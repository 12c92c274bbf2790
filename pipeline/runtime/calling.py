"""Runs the calls a processor asked for, one at a time per destination, and hands each answer back.

A call comes here only after the checkpoint that recorded it is committed. What a call was about, whether it may be
repeated and what its answer means is the processor's.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterable

from pipeline.crashpoint import crashpoint

from .contract import Answer, Call, Perform

__all__ = ["Caller"]


class Caller:
    """The calls of one open input partition."""

    def __init__(
        self, perform: Perform, answered: Callable[[Answer], None], failed: Callable[[Exception], None]
    ) -> None:
        """Answers go to ``answered``; ``failed`` hears of a ``perform`` that raised, which it never should."""
        self._perform = perform
        self._answered = answered
        self._failed = failed
        self._waiting: dict[str, deque[Call]] = {}
        self._running: dict[str, asyncio.Task[None]] = {}
        self._closed = False

    @property
    def in_flight(self) -> int:
        """How many destinations have a call under way."""
        return len(self._running)

    def start(self, calls: Iterable[Call]) -> None:
        """Begin these calls, each as soon as those before it to the same destination are answered."""
        if self._closed:
            return
        for call in calls:
            self._waiting.setdefault(call.destination, deque()).append(call)
        for destination in list(self._waiting):
            self._next(destination)

    async def close(self, *, within: float) -> None:
        """Begin no more calls, give those under way some time to be answered, then drop them.

        Units: within in seconds.
        """
        self._closed = True
        self._waiting.clear()
        running = list(self._running.values())
        if not running:
            return
        _, late = await asyncio.wait(running, timeout=within)
        for task in late:
            task.cancel()
        await asyncio.gather(*late, return_exceptions=True)

    def _next(self, destination: str) -> None:
        if destination in self._running or self._closed:
            return
        waiting = self._waiting.get(destination)
        if not waiting:
            self._waiting.pop(destination, None)
            return
        call = waiting.popleft()
        self._running[destination] = asyncio.ensure_future(self._run(call))

    async def _run(self, call: Call) -> None:
        crashpoint("sending.committed")
        try:
            answer = await self._perform(call)
        except Exception as error:  # noqa: BLE001 - the crash-only boundary: perform promises not to raise
            self._failed(error)
            return
        finally:
            self._running.pop(call.destination, None)
        crashpoint("reply.ok")
        self._answered(answer)
        self._next(call.destination)
