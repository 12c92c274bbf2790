"""The score record: pain, chaos and trust of one subject at the end of one pane."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from .types import Instant, Level

__all__ = ["Contributor", "Counts", "Omegas", "Over", "ScoreRecord"]


class _Open(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class Omegas(_Open):
    """How sure each score is, 0..1."""

    pain: float = Field(ge=0, le=1)
    chaos: float = Field(ge=0, le=1)
    trust: float = Field(ge=0, le=1)


class Counts(_Open):
    """Events of the pane itself; of a level: summed over its children."""

    events: int = Field(ge=0)
    successes: int = Field(ge=0)
    failures: int = Field(ge=0)
    anomalies: int = Field(ge=0)


class Contributor(_Open):
    """One of the (at most five) events that explain a score, with its share of the whole."""

    event_id: str
    delta: str
    share: float = Field(ge=0, le=1)
    partition: int
    offset: int


class Over(_Open):
    """How many children are over each threshold: pain > .7, chaos > .5, trust < .3."""

    pain: int = Field(ge=0)
    chaos: int = Field(ge=0)
    distrust: int = Field(ge=0)


class ScoreRecord(_Open):
    """A record of ``iskra.scores.v1``; key = subject. Scores are rounded to 6 decimals."""

    schema_version: str = "1.0"
    id: str
    subject: str
    level: Level
    window_start: Instant
    window_end: Instant
    revision: int = Field(ge=0)
    pain: float = Field(ge=0, le=1)
    chaos: float = Field(ge=0, le=1)
    trust: float = Field(ge=0, le=1)
    omega: Omegas
    dimension: int = Field(ge=1, le=10)
    counts: Counts
    link_state: Literal["up", "degraded", "down", "closed", "unknown"] | None = None
    """Connections only."""
    contributors: list[Contributor] = Field(max_length=5)
    entropy: float = Field(ge=0)
    """Shannon entropy in bits of the deltas in the chaos window; an explanation, never a score."""
    children: int | None = None
    children_over: Over | None = None
    worst_child: str | None = None
    experiment_id: str | None = None
