"""The delta registry: what is known of each kind of event and of each seam, as versioned data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from .types import Unit

__all__ = ["DeltaRegistry", "DeltaRow", "LinkState", "Outcome", "Population"]


class Outcome(StrEnum):
    """What an event says about the connection's reliability. ``LATENCY``: decided by ``data.latency_ms``."""

    SUCCESS = "S"
    FAILURE = "F"
    NEUTRAL = "N"
    LATENCY = "L"


class LinkState(StrEnum):
    """The link state that an event proves."""

    UP = "up"
    DEGRADED = "degraded"
    DOWN = "down"
    CLOSED = "closed"


class Population(StrEnum):
    """Which connections are children of a seam: those that touched it, or all links."""

    TOUCHING = "touching"
    LINKS = "links"


@dataclass(frozen=True, slots=True)
class DeltaRow:
    """One kind of event."""

    delta: str
    severity: Unit
    outcome: Outcome
    state: LinkState | None
    dimension: int
    omega: Unit
    lambda_: str
    seam: str


@dataclass(frozen=True, slots=True)
class DeltaRegistry:
    """Rows by delta, populations by seam. A seam not named here is ``touching``."""

    version: str
    rows: Mapping[str, DeltaRow]
    seams: Mapping[str, Population]

    def population(self, seam_id: str) -> Population:
        """Which connections count as children of this seam."""
        return self.seams.get(seam_id, Population.TOUCHING)
