"""Logs written by hand: a connection's story in seconds, and what the oracle makes of it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from iskra.chaos.oracle import ClockStep, OracleEvent, OracleResult, OracleRules, OracleScore, OracleVoice, evaluate
from schemas.hot import HotEvent
from schemas.registry import builtin_registry
from schemas.types import Level

RULES = OracleRules(registry=builtin_registry())
LINK = "c-1"


class Said(NamedTuple):
    """One event of a story: when (seconds), what, and what it claims or differs in."""

    at: float
    delta: str
    fields: Mapping[str, object] = {}
    connection: str = LINK


def said(at: float, delta: str, connection: str = LINK, **fields: object) -> Said:
    return Said(at, delta, fields, connection)


def established(at: float = 0, connection: str = LINK) -> list[Said]:
    return [said(at, "connection_established", connection)]


def beats(begin: float, end: float, every: float = 30, latency_ms: float = 120, connection: str = LINK) -> list[Said]:
    found, at = [], begin
    while at < end:
        found.append(said(at, "heartbeat_success", connection, latency_ms=latency_ms))
        at += every
    return found


def blip(at: float, connection: str = LINK) -> list[Said]:
    return [said(at, "connection_lost", connection), said(at + 2, "reconnection_success", connection)]


def hot(story: Said, offset: int, partition: int = 0) -> HotEvent:
    """The story's event as the decoder would give it: the registry fills what is not said."""
    row = RULES.registry.rows.get(story.delta)
    fields: dict[str, object] = {
        "connection_id": story.connection,
        "delta": story.delta,
        "known": row is not None,
        "dimension": row.dimension if row else 1,
        "omega": row.omega if row else 0.8,
        "lambda_": "continue_monitoring",
        "seam_id": row.seam if row else "general_operation",
        "event_id": f"{partition}-{offset:06d}",
        "explicit_id": False,
        "ts": round(story.at * 1000),
        "time": round(story.at * 1000),
        "partition": partition,
        "offset": offset,
    }
    return HotEvent(**{**fields, **story.fields})  # type: ignore[arg-type]  # the fields of a story are a free table


def log_of(stories: Iterable[Said], partition: int = 0) -> list[OracleEvent]:
    """A log in which every event arrives the moment it happens."""
    found: list[OracleEvent] = []
    for offset, story in enumerate(sorted(stories, key=lambda one: one.at)):
        event = hot(story, offset, partition)
        found.append(OracleEvent(offset, event.time, event, value=event.event_id.encode()))
    return found


def told(*stories: Iterable[Said], until: float, rules: OracleRules = RULES) -> OracleResult:
    """What the oracle says of one partition whose clock goes on to ``until`` seconds.

    Tombstones every 30 s keep the partition awake: a hole in its append times would hold its watermark.
    """
    spoken = [one for story in stories for one in story if one.at < until]
    log: list[OracleEvent] = []
    awake = [Said(at, "") for at in range(0, int(until), 30)]
    for offset, story in enumerate(sorted([*spoken, *awake], key=lambda one: one.at)):
        event = hot(story, offset) if story.delta else None
        log.append(OracleEvent(offset, round(story.at * 1000), event, value=str(offset).encode()))
    end = round(until * 1000)
    return evaluate([log], rules, clock={0: [ClockStep(after_offset=len(log), watermark=end, now=end)]})


def score_at(result: OracleResult, at: float, subject: str = f"connection:{LINK}") -> OracleScore:
    return result.scores[subject, round(at * 1000)]


def lines(result: OracleResult, subject: str = f"connection:{LINK}") -> list[tuple[float, str, str]]:
    """The voices of a subject as (seconds, what, who)."""
    return [(v.window_end / 1000, v.delta.value, v.voice.value) for v in result.voices if v.subject == subject]


def speaker_at(result: OracleResult, at: float, subject: str = f"connection:{LINK}") -> str | None:
    """Who speaks at a pane's end."""
    speaker: str | None = None
    for voice in voices_of(result, subject):
        if voice.window_end <= at * 1000 and voice.delta != "voice_celebrated":
            speaker = None if voice.delta == "voice_cleared" else voice.voice.value
    return speaker


def voices_of(result: OracleResult, subject: str) -> list[OracleVoice]:
    return [voice for voice in result.voices if voice.subject == subject]


def level_voices(result: OracleResult) -> list[OracleVoice]:
    return [voice for voice in result.voices if voice.level is not Level.CONNECTION]
