"""The shared vocabulary: instants, levels, where a record came from."""

from __future__ import annotations

from enum import StrEnum
from typing import TypeAlias

import msgspec

__all__ = ["Headers", "Instant", "Level", "Millis", "Origin", "Unit", "VoiceName", "join_subject", "split_subject"]

Instant: TypeAlias = int
"""Milliseconds since the epoch, UTC."""

Millis: TypeAlias = int
"""A length of time in milliseconds."""

Unit: TypeAlias = float
"""A number in [0, 1]."""

Headers: TypeAlias = tuple[tuple[str, bytes], ...]
"""Kafka record headers, in order; a name may repeat."""


class Level(StrEnum):
    """How far up the fractal a subject stands."""

    CONNECTION = "connection"
    SEAM = "seam"
    ECOSYSTEM = "ecosystem"
    PIPELINE = "pipeline"


class VoiceName(StrEnum):
    """The four voices, loudest first."""

    ALARM = "Alarm"
    CONCERN = "Concern"
    CURIOSITY = "Curiosity"
    CELEBRATION = "Celebration"


class Origin(msgspec.Struct, frozen=True, gc=False):
    """Where in Kafka a value was read. A struct, because one is made for each event: three times as fast as a tuple."""

    key: bytes | None
    partition: int
    offset: int
    broker_ts: Instant


def join_subject(level: Level, name: str, experiment_id: str | None = None) -> str:
    """What a subject is called: ``seam:network_infrastructure``, ``connection:c-1@drill-7`` in an experiment."""
    return f"{level.value}:{name}@{experiment_id}" if experiment_id else f"{level.value}:{name}"


def split_subject(subject: str) -> tuple[Level, str]:
    """The level and the rest (name, with ``@experiment`` if there is one) of a subject."""
    level, _, name = subject.partition(":")
    return Level(level), name
