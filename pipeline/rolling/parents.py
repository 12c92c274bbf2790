"""What is remembered of one parent, a seam or the ecosystem of a key space: shares, published panes, voices."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

from pipeline.scoring.voices import MUTE, VoiceMemory
from schemas.types import Instant, Level, Millis, split_subject
from schemas.wire import MomentWire, PartialWire

from .merging import Triple

__all__ = ["Parent", "Told"]


class Told(NamedTuple):
    """A published score record: enough to see that another one differs."""

    revision: int
    digest: str
    scores: Triple
    """Rounded."""


@dataclass(slots=True)
class Parent:
    """One seam or ecosystem. Mutable, owned by one processor."""

    subject: str
    level: Level
    name: str
    """Without the experiment."""
    key_space: str
    """The experiment; empty in production."""
    shares: dict[Instant, dict[int, PartialWire]] = field(default_factory=dict)
    """By pane end and source."""
    early: dict[Instant, dict[int, PartialWire]] = field(default_factory=dict)
    """Shares of open panes, by the end of the pane in which they count, and source."""
    told: dict[Instant, Told] = field(default_factory=dict)
    memory: VoiceMemory = MUTE
    last_record: Instant | None = None
    """Newest pane with a record."""
    early_pain: dict[Instant, float] = field(default_factory=dict)
    """What was last told to the level above, by the end of the open pane."""

    @classmethod
    def of(cls, subject: str) -> Parent:
        """A parent of which nothing is known yet."""
        level, rest = split_subject(subject)
        name, _, key_space = rest.partition("@")
        return cls(subject, level, name, key_space)

    def share(self, end: Instant, source: int) -> PartialWire | None:
        """The share of a source at a pane's end."""
        return self.shares.get(end, {}).get(source)

    def recent(self, end: Instant, panes: int, pane: Millis) -> tuple[MomentWire, ...]:
        """The scores of the last panes up to this one, oldest first."""
        ends = sorted(e for e in self.told if end - panes * pane < e <= end)
        return tuple(MomentWire(e, *self.told[e].scores) for e in ends)

    def is_forgotten(self, final: Instant, after: Millis) -> bool:
        """Whether nothing of it is needed any more."""
        if self.shares or self.told or self.early:
            return False
        return self.memory is MUTE or self.last_record is None or final - self.last_record >= after
