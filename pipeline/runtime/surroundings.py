"""What a running worker stands on, looked at again and again: does a broker answer, are the topics as at the start?

While something is wrong the lanes pause: nothing is read, cut or reopened, nothing is skipped, made anew or given up.
It is said once when it begins and once when it is over; ``/readyz`` says it all the time.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from typing import Literal, TypeAlias

from schemas.types import Millis

from .instruments import BrokerAway, Instruments, Resumed, TopicsChanged

__all__ = ["Surroundings", "Trouble", "changed_topics"]

Kind: TypeAlias = Literal["broker", "topics"]

LOOK_EVERY_MS: Millis = 5_000
LOOK_EVERY_IN_TROUBLE_MS: Millis = 1_000
ASKED_WITHIN_MS: Millis = 10_000
_SLEPT_MS: Millis = 2_000
"""A look that took so much longer than it may was slept through by this very process: it says nothing."""


@dataclass(frozen=True, slots=True)
class Trouble:
    """Why the lanes pause."""

    kind: Kind
    reason: str
    """One line: what is waited for, and the command that helps."""
    since: Millis
    """Monotonic."""


def changed_topics(expected: Mapping[str, int], found: Mapping[str, int]) -> str | None:
    """What is wrong with the topics of a running worker, or None.

    Shape: partition counts by full name, as they were at the start and as they are.
    """
    gone = sorted(name for name in expected if name not in found)
    if gone:
        return (
            f"topics gone: {', '.join(gone)}. Nothing is made anew by itself: see what is missing with: "
            "iskra topics plan, create it with: iskra topics apply"
        )
    other = [
        f"{name} has {found[name]}, had {expected[name]}" for name in sorted(expected) if found[name] != expected[name]
    ]
    if other:
        return (
            f"partitions changed: {', '.join(other)}. Keys are in other partitions now: stop the workers, "
            "then: iskra state show"
        )
    return None


class Surroundings:
    """What is wrong around the lanes now, if anything."""

    def __init__(
        self,
        ask: Callable[[], Awaitable[Mapping[str, int]]],
        address: str,
        instruments: Instruments,
        elapsed: Callable[[], Millis],
    ) -> None:
        """Nothing is wrong yet. ``ask`` answers with the partition counts of the cluster, by full name."""
        self.trouble: Trouble | None = None
        self.expected: Mapping[str, int] = {}
        """What ``ask`` answered at the start, of the topics that matter."""
        self.on_change: Callable[[Trouble | None], None] = lambda _over: None
        """Hears of a trouble that is over; of None when one begins."""
        self._ask = ask
        self._address = address
        self._instruments = instruments
        self._elapsed = elapsed
        self._clear = asyncio.Event()
        self._clear.set()
        self._over_at: Millis = 0
        self._outage: tuple[Millis, Millis] | None = None

    @property
    def over_at(self) -> Millis:
        """When the last trouble was over, monotonic; 0 when there was none yet."""
        return self._over_at

    def outage_since(self, began: Millis) -> bool:
        """Whether no broker answered at some time from ``began`` on."""
        if self.trouble is not None and self.trouble.kind == "broker":
            return True
        return self._outage is not None and self._outage[1] >= began

    async def clear(self) -> None:
        """Wait until nothing is wrong."""
        await self._clear.wait()

    async def look(self) -> Trouble | None:
        """Ask the cluster now; the answer is what is wrong."""
        began = self._elapsed()
        try:
            found = await asyncio.wait_for(self._ask(), ASKED_WITHIN_MS / 1000)
        except Exception as error:  # noqa: BLE001 - whatever keeps a client from its answer
            if self._elapsed() - began <= ASKED_WITHIN_MS + _SLEPT_MS:
                self.no_broker(error)
        else:
            reason = changed_topics(self.expected, found)
            self._is(None if reason is None else ("topics", reason))
        return self.trouble

    def no_broker(self, error: Exception) -> None:
        """Nobody answered."""
        self._is(("broker", f"waiting for a broker at {self._address}: {type(error).__name__}"))

    def answered(self) -> None:
        """Somebody did, and the topics are not known to be wrong."""
        self._is(None)

    async def run(self) -> None:
        """Look for ever."""
        while True:
            every = LOOK_EVERY_MS if self.trouble is None else LOOK_EVERY_IN_TROUBLE_MS
            await asyncio.sleep(every / 1000)
            await self.look()

    def _is(self, wrong: tuple[Kind, str] | None) -> None:
        now, before = self._elapsed(), self.trouble
        if before is not None and before.kind == "broker":
            self._outage = (before.since, now)
        if wrong is not None and before is not None and before.kind == wrong[0]:
            self.trouble = replace(before, reason=wrong[1])
            return
        if before is not None:
            self._instruments.waiting.labels(before.kind).set(0)
        if wrong is None:
            if before is None:
                return
            self.trouble = None
            self._over_at = now
            self._clear.set()
            self._instruments.tell(Resumed(before.reason, round((now - before.since) / 1000, 1)))
            self.on_change(before)
            return
        kind, reason = wrong
        self.trouble = Trouble(kind, reason, now)
        self._clear.clear()
        self._instruments.waiting.labels(kind).set(1)
        self._instruments.tell(BrokerAway(reason) if kind == "broker" else TopicsChanged(reason))
        self.on_change(None)
