"""Event time of one partition: the watermark, what is late, the idle clock and the hold (semantics.md 3.2).

Knows nothing of panes' contents. Append times are the broker's; the worker's own clock only adds to the last of them,
and only while the worker reads at the end of the log, so an outage of Kafka is not taken for silence.
"""

from __future__ import annotations

from typing import Any

from schemas.types import Instant

from .rules import ScoreRules

__all__ = ["NEVER", "PartitionTime"]

NEVER: Instant = -(1 << 53)
"""Before everything: the watermark of a partition that has accepted no event."""


class PartitionTime:
    """How far a partition has come. Mutable."""

    __slots__ = ("_clock", "_rules", "_stepped", "held_since", "highest", "last_append", "watermark")

    def __init__(self, rules: ScoreRules) -> None:
        """Nothing was read yet."""
        self._rules = rules
        self.watermark: Instant = NEVER
        self.highest: Instant = NEVER
        """Highest event time accepted."""
        self.last_append: Instant | None = None
        self.held_since: Instant | None = None
        self._clock: Instant = NEVER
        """The append time that a record written now would have, as far as is known."""
        self._stepped: Instant | None = None
        """The worker's clock at the last step; not part of the state: another worker has another clock."""

    @property
    def held(self) -> bool:
        """Whether the watermark is held."""
        return self.held_since is not None

    @property
    def clock(self) -> Instant:
        """The append time that a record written now would have, as far as is known."""
        return self._clock

    def appended(self, append_ts: Instant, now: Instant) -> None:
        """A record was read, whatever becomes of it: it may end a hold, and the hole before it may begin one."""
        self._release(append_ts)
        last = self.last_append
        if last is None or append_ts > last:
            if last is not None and append_ts - last > self._rules.hole and self.held_since is None:
                self.held_since = append_ts
            self.last_append = append_ts
        self._clock = max(self._clock, append_ts)
        self._stepped = now

    def accepted(self, time: Instant) -> None:
        """An event of this time was accepted."""
        if time > self.highest:
            self.highest = time
            self._follow()

    def waited(self, now: Instant, *, at_end: bool) -> None:
        """The worker's clock went on. An idle partition follows it in steps of whole panes."""
        if at_end and self._stepped is not None and self._clock != NEVER:
            self._clock += max(0, now - self._stepped)
        self._stepped = now
        if not at_end or self.last_append is None:
            return
        self._release(self._clock)
        rules = self._rules
        if self.held or self.watermark == NEVER or self._clock - self.last_append < rules.idle_timeout:
            return
        reached = self._clock - rules.idle_timeout - rules.out_of_orderness
        self.watermark = max(self.watermark, reached // rules.pane * rules.pane)

    def is_late(self, time: Instant, newest: Instant | None) -> bool:
        """Whether an event comes too late. ``newest``: the newest accepted time of its own connection, if any."""
        rules = self._rules
        if (time // rules.pane + 1) * rules.pane + rules.grace > self.watermark:
            return False
        in_order = newest is None or time >= newest
        return not (in_order and time >= self.watermark - rules.late_horizon)

    def dump(self) -> list[Any]:
        """Plain values, for the state record."""
        return [self.watermark, self.highest, self.last_append, self.held_since, self._clock]

    def restore(self, dumped: list[Any]) -> None:
        """The inverse of ``dump``."""
        self.watermark, self.highest, self.last_append, self.held_since, self._clock = dumped

    def _release(self, append_ts: Instant) -> None:
        if self.held_since is not None and append_ts >= self.held_since + self._rules.hold:
            self.held_since = None
            self._follow()

    def _follow(self) -> None:
        if self.held_since is None and self.highest != NEVER:
            self.watermark = max(self.watermark, self.highest - self._rules.out_of_orderness)
