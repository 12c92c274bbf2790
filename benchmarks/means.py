"""The peers' job and its brute-force oracle: mean heartbeat latency per link, windows of 120 s that hop by 30 s.

Each system reads the load's topic, takes ``data.latency_ms`` of the events that have it, by the event time in ``ts``,
and keeps sum and count per link and window. What cannot be parsed is skipped. What is too late for a window is left
out of it; each system has its own rule for that, so the rule is an argument. Pure.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, NamedTuple

from schemas.types import Instant, Millis

__all__ = ["GRACE", "SIZE", "STEP", "Beat", "Lateness", "Mean", "Window", "beat_of", "differences", "means"]

SIZE: Final[Millis] = 120_000
STEP: Final[Millis] = 30_000
GRACE: Final[Millis] = 180_000
"""A window takes events until stream time is so far past its end: size + grace is the store's retention, 300 s."""


class Lateness(StrEnum):
    """When an event is too late for a window."""

    PARTITION = "partition"
    """Its end + grace is at or before the highest time read from the partition (Kafka Streams)."""
    KEY = "key"
    """The same by the highest time read of its own link."""
    EVENT_BY_KEY = "event_by_key"
    """The event is more than the grace behind the highest time of its own link: no window takes it (Bytewax)."""
    NEVER = "never"
    """No event is too late (a Faust table that expires nothing yet)."""


@dataclass(frozen=True, slots=True)
class Beat:
    """What the job reads of one record."""

    partition: int
    key: bytes
    time: Instant
    latency: float


class Window(NamedTuple):
    """Which mean."""

    key: bytes
    start: Instant


class Mean(NamedTuple):
    """Sum and count, in ms and events."""

    total: float
    events: int


def beat_of(partition: int, key: bytes, value: bytes) -> Beat | None:
    """The job's reading of a record; None when there is no latency in it, or it is no event."""
    try:
        event = json.loads(value)
        return Beat(partition, key, int(event["ts"]), float(event["data"]["latency_ms"]))
    except (ValueError, KeyError, TypeError):
        return None


def means(beats: Iterable[Beat], lateness: Lateness) -> dict[Window, Mean]:
    """Sum and count of every window. Shape: the beats of each partition in offset order."""
    found: dict[Window, Mean] = {}
    newest: dict[object, Instant] = {}
    for beat in beats:
        scale: object = beat.partition if lateness is Lateness.PARTITION else beat.key
        now = newest[scale] = max(newest.get(scale, beat.time), beat.time)
        if lateness is Lateness.EVENT_BY_KEY and beat.time < now - GRACE:
            continue
        first = (beat.time - SIZE) // STEP * STEP + STEP
        for start in range(first, beat.time + 1, STEP):
            by_window = lateness in (Lateness.PARTITION, Lateness.KEY)
            if by_window and start + SIZE <= now - GRACE:
                continue
            window = Window(beat.key, start)
            total, events = found.get(window, Mean(0.0, 0))
            found[window] = Mean(total + beat.latency, events + 1)
    return found


def differences(told: Mapping[Window, Mean], expected: Mapping[Window, Mean]) -> list[str]:
    """One line per window that differs or that one side only has."""
    lines: list[str] = []
    for window in sorted(told.keys() | expected.keys()):
        ours, right = told.get(window), expected.get(window)
        if ours is None or right is None or not _same(ours, right):
            lines.append(f"{window.key.decode()} from {window.start}: told {ours}, by the oracle {right}")
    return lines


def _same(ours: Mean, right: Mean) -> bool:
    """Sums may be added in another order."""
    return ours.events == right.events and abs(ours.total - right.total) <= 1e-6 * right.events
