"""What stands around the workers in a proof run and lives in an event loop: the links to the brokers, the receivers.

The loop has a thread of its own; whoever carries out a fault calls in from outside.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

from alerts.sinks import Sinks

from .proxy import FaultProxy

__all__ = ["Backstage"]

_T = TypeVar("_T")
_WITHIN_S = 10.0


class Backstage:
    """``with Backstage(received, upstreams) as stage``: sinks that write to the file, a link before each upstream."""

    def __init__(self, received: Path, upstreams: Sequence[tuple[str, int]] = ()) -> None:
        self.sinks = Sinks(record_to=received)
        self.proxy = FaultProxy.before(upstreams)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="backstage", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        self.wait_for(self.proxy.start())
        self.wait_for(self.sinks.start())
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.wait_for(self.sinks.stop())
        self.wait_for(self.proxy.stop())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(_WITHIN_S)
        self._loop.close()

    def call(self, what: Callable[[], _T]) -> _T:
        """Do this in the loop's thread."""

        async def there() -> _T:
            return what()

        return self.wait_for(there())

    def wait_for(self, work: Coroutine[Any, Any, _T]) -> _T:
        """Run this in the loop; its answer."""
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(_WITHIN_S)
