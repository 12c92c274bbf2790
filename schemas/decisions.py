"""The decision record: why people were told, or why not, one per transition and hold."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict

from .types import Instant, Level, VoiceName

__all__ = ["DecisionRecord", "Transition", "Verdict"]


class _Open(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class Transition(_Open):
    """One alert from one state to the next."""

    subject: str
    voice: VoiceName
    before: str
    """``none``, ``firing``, ``stale``, ``flapping``, ``resolved``."""
    after: str
    cause: str
    """The delta that did it, a clear's reason, ``changed``, ``adopted``, ``silence`` (no record), ``quiet``."""


class Verdict(_Open):
    """What was decided for one receiver: spoken with a reason, or held by a gate."""

    route: str
    receiver: str
    group_episode: str
    why_notify: str
    """The reason to speak, or ``none``."""
    gate: str | None = None
    """What stopped it, when ``why_notify`` is ``none``."""
    notification_ids: list[str] = []
    flips_at: Instant | None = None
    """The instant at which the verdict changes by itself."""
    flips_when: str | None = None
    """What must happen for the verdict to change."""


class DecisionRecord(_Open):
    """A record of ``iskra.alerts.v1``; key = subject."""

    schema_version: str = "1.0"
    id: str
    subject: str
    level: Level
    voice: VoiceName
    at: Instant
    """Append time of the routing log."""
    position: int
    """Offset of the record that was decided on, in the routing log (of experiments: in the voice topic)."""
    trigger: str
    """The delta of the voice record, or ``tick``."""
    gate: str | None = None
    """What stopped the record before any group: ``experiment``, ``level``, ``repeat``…"""
    transitions: list[Transition] = []
    verdicts: list[Verdict] = []
    episode_id: str | None = None
    experiment_id: str | None = None
