"""Whose word a level waits for: how far each source has come, and when a pane is final.

A source is an input partition of the level below. It is passed over, and keeps its last children, while it is silent
(the worker's clock says so, in :meth:`Sources.waited`) or held (it says so itself) and others go on.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from schemas.types import Instant, Millis
from schemas.wire import ProgressWire

__all__ = ["Patience", "Source", "Sources"]


@dataclass(frozen=True, slots=True)
class Patience:
    """How long a level waits, by the clock of its worker. Units: milliseconds."""

    silent_after: Millis
    """A source that said nothing for so long …"""
    blocked_after: Millis
    """… and has kept a pane of others waiting for so long counts as passed."""
    mute_after: Millis
    """A source that said nothing for so long is not asked whether it is held, too."""
    blind_after: Millis = 5_000
    """Steps of the clock further apart than this say nothing about the sources: the worker itself was away."""


@dataclass(slots=True)
class Source:
    """What is known of one source. Mutable, owned by :class:`Sources`."""

    window_end: Instant | None = None
    """End of its newest closed pane; None: never heard."""
    watermark: Instant | None = None
    held: bool = False
    silent: bool = False
    mute: bool = False
    live: dict[Instant, dict[str, int]] = field(default_factory=dict)
    """Living connections by key space, at the ends of its newest panes."""
    quiet_since: Instant | None = None
    """First step of the clock after its last word. Not part of the state: a new worker starts to wait anew."""
    blocking_since: Instant | None = None
    """First step of the clock at which it kept others waiting."""

    def live_at(self, end: Instant, key_space: str) -> int:
        """Living connections at this pane's end, or at the last one before of which it told."""
        told = max((pane for pane in self.live if pane <= end), default=None)
        return 0 if told is None else self.live[told].get(key_space, 0)

    def forget_before(self, floor: Instant) -> bool:
        """Drop what no pane from ``floor`` on asks for."""
        newest = max((pane for pane in self.live if pane <= floor), default=None)
        old = [pane for pane in self.live if newest is not None and pane < newest]
        for pane in old:
            del self.live[pane]
        return bool(old)


class Sources:
    """All sources of one level, and the end of its newest final pane."""

    def __init__(self, count: int, patience: Patience) -> None:
        self.all = [Source() for _ in range(count)]
        self.final: Instant | None = None
        self._patience = patience
        self._stepped: Instant | None = None

    def __contains__(self, number: int) -> bool:
        return 0 <= number < len(self.all)

    def passed(self, number: int, end: Instant) -> bool:
        """Whether the source itself has closed the pane that ends here."""
        own = self.all[number].window_end
        return own is not None and own >= end

    def heard(self, progress: ProgressWire) -> bool:
        """Take a word of a source. Whether it said anything new (else it is a repeat)."""
        source = self.all[progress.source]
        newer = source.window_end is None or progress.window_end > source.window_end
        changed = newer or source.live.get(progress.window_end) != progress.live
        if newer or (progress.window_end == source.window_end and source.held != progress.held):
            changed = True
            source.held = progress.held
        changed = self.spoke(progress.source) or changed
        if newer:
            source.window_end = progress.window_end
            source.watermark = progress.watermark
        if changed:
            source.live[progress.window_end] = dict(progress.live)
        return changed

    def spoke(self, number: int) -> bool:
        """A source said something. Whether that ended its silence."""
        source = self.all[number]
        was_quiet = source.silent or source.mute
        source.silent = source.mute = False
        source.quiet_since = source.blocking_since = None
        return was_quiet

    def waited(self, now: Instant, *, at_end: bool) -> list[int]:
        """Let the clock judge who is silent. The sources whose standing changed.

        Only steps that follow one another at the end of the log count: what was not read cannot be called silence.
        """
        last, self._stepped = self._stepped, now if at_end else None
        if last is None or not 0 <= now - last <= self._patience.blind_after:
            for source in self.all:
                source.quiet_since = source.blocking_since = None
        if not at_end:
            return []
        front = max((s.window_end for s in self.all if s.window_end is not None), default=None)
        changed: list[int] = []
        for number, source in enumerate(self.all):
            if source.quiet_since is None:
                source.quiet_since = now
            behind = front is not None and (source.window_end is None or source.window_end < front)
            if not behind:
                source.blocking_since = None
            elif source.blocking_since is None:
                source.blocking_since = now
            quiet = now - source.quiet_since
            blocks = source.blocking_since is not None and now - source.blocking_since >= self._patience.blocked_after
            silent = source.silent or (blocks and quiet >= self._patience.silent_after)
            mute = source.mute or quiet >= self._patience.mute_after
            if (silent, mute) != (source.silent, source.mute):
                source.silent, source.mute = silent, mute
                changed.append(number)
        return changed

    def due(self) -> Instant | None:
        """End of the newest pane that every source has passed or is passed over for; never before ``final``."""
        waited_for = [source for source in self.all if not self._excused(source)]
        if not waited_for or any(source.window_end is None for source in waited_for):
            return self.final
        end = min(source.window_end for source in waited_for if source.window_end is not None)
        return end if self.final is None else max(end, self.final)

    def slowest(self) -> Instant | None:
        """End of the newest pane closed by all sources; None while one was never heard."""
        ends = [source.window_end for source in self.all]
        known = [end for end in ends if end is not None]
        return min(known) if known and len(known) == len(ends) else None

    def last_panes(self) -> set[Instant]:
        """The panes whose children are kept for sources that may be passed over."""
        return {source.window_end for source in self.all if source.window_end is not None}

    def forget_before(self, floor: Instant) -> Iterable[int]:
        """Drop what no pane from ``floor`` on asks for. The sources that changed."""
        return [number for number, source in enumerate(self.all) if source.forget_before(floor)]

    def _excused(self, source: Source) -> bool:
        if source.silent:
            return True
        if not source.held:
            return False
        return not all(other.held for other in self.all if other.window_end is not None and not other.mute)
