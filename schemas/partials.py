"""Partial sums between the levels: what a scorer says of its share of a seam, a roll-up of its share of the ecosystem.

One operator serves both steps. A parent (a seam, the ecosystem) is merged from the partials of all its
sources (input partitions of the level below); progress records tell when a pane is final.
Both kinds travel on ``partials.v1``: a partial with key = the parent's name (``network_infrastructure``,
``ecosystem``; with ``@experiment`` in an experiment), progress to every partition of the topic.
"""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from .types import Instant, Level

__all__ = ["Gone", "PartialContributor", "PartialRecord", "PowerTerms", "ProgressRecord", "WorstChild"]


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class PowerTerms(_Frozen):
    """The mergeable terms of one power mean: the sum of w·x^p, and of w·x^p·Ω, over the children."""

    sum: float = 0.0
    omega_sum: float = 0.0


class PartialContributor(_Frozen):
    """An event that hurt, before shares are known. ``mass`` is −ln(1 − h); of an anomaly without harm it is 0."""

    event_id: str
    delta: str
    partition: int
    offset: int
    mass: float
    omega: float
    time: Instant
    dimension: int


class WorstChild(_Frozen):
    """The child with the highest pain, then the lowest trust, then the first name."""

    subject: str
    pain: float
    trust: float


class Gone(_Frozen):
    """Of the children over a threshold one pane earlier: how many were forgotten, how many are no longer over it."""

    forgotten: int = 0
    recovered: int = 0


class PartialRecord(_Frozen):
    """One source's share of a parent at the end of a pane (or early, in the open pane)."""

    kind: Literal["partial"] = "partial"
    schema_version: str = "1.0"
    id: str
    parent: str
    """Subject of the parent: ``seam:…`` or ``ecosystem:…``."""
    level: Level
    source: int
    """Input partition of the level below that these sums come from."""
    window_start: Instant
    window_end: Instant
    revision: int
    early: bool = False
    children: int
    """Children by evidence."""
    weight: float
    """Sum of their weights."""
    pain: PowerTerms
    chaos: PowerTerms
    distrust: PowerTerms
    over_pain: int = 0
    over_chaos: int = 0
    over_distrust: int = 0
    healthy: int = 0
    """Connections with trust > .7; for the ecosystem: seams of which at least 95 % of the children are."""
    worst: WorstChild | None = None
    dimension: int = 1
    """Largest D of the contributors, plus the levels already climbed."""
    events: int = 0
    successes: int = 0
    failures: int = 0
    anomalies: int = 0
    contributors: list[PartialContributor] = Field(default_factory=list)
    """At most 5, the heaviest first."""
    mass: float = 0.0
    """Sum of −ln(1 − h) over all that hurts, for the shares."""
    anomaly_mass: float = 0.0
    """Sum of Ω over all anomalies of the chaos window, for the shares where nothing hurts."""
    deltas: dict[str, int] = Field(default_factory=dict)
    """Events by delta in the chaos window, for the entropy."""
    last_success: Instant | None = None
    last_harm: Instant | None = None
    last_anomaly: Instant | None = None
    last_failure: Instant | None = None
    gone_pain: Gone = Gone()
    gone_chaos: Gone = Gone()
    gone_distrust: Gone = Gone()
    live: int | None = None
    """Early only: known, unclosed connections of the key space by now, for seams of which all links are children."""


class ProgressRecord(_Frozen):
    """How far a source has come: sent to every partition of the partials topic whenever it closes a pane."""

    kind: Literal["progress"] = "progress"
    schema_version: str = "1.0"
    id: str
    level: Level
    """Level of the parents it speaks about: ``seam`` from a scorer, ``ecosystem`` from a roll-up."""
    source: int
    window_end: Instant
    """End of the newest closed pane of the source."""
    watermark: Instant
    held: bool = False
    live: dict[str, int] = Field(default_factory=dict)
    """Known, unclosed connections by key space (``""`` is production, else the experiment) at that pane's end."""
