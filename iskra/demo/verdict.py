"""Was everything seen that the weather must cause? A table of rows, from facts alone.

Pure. Seconds count from the moment the demo was ready, like the weather's.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from schemas.types import Level, VoiceName

from .weather import CUT_LINKS, CUT_S

__all__ = ["SEAM", "Facts", "Heard", "Incident", "Message", "Row", "judge"]

SEAM = "seam:network_infrastructure"
HEALED_S, BLIPS_S, SLOW_S = 19.0, 57.0, 65.0


@dataclass(frozen=True, slots=True)
class Heard:
    """A voice record and when it reached a committed reader."""

    at_s: float
    subject: str
    level: Level
    voice: VoiceName
    delta: str


@dataclass(frozen=True, slots=True)
class Message:
    """A Slack message of the channel: the root, when it turned green, what stands in its thread."""

    at_s: float
    text: str
    green_at_s: float | None = None
    resolved_text: str = ""
    replies: tuple[tuple[float, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Incident:
    """A PagerDuty incident."""

    at_s: float
    dedup_key: str
    summary: str
    resolved_at_s: float | None = None


@dataclass(frozen=True, slots=True)
class Facts:
    """All that a run left behind."""

    voices: tuple[Heard, ...]
    calm_trust: float | None
    """The seam's last trust before the cut."""
    messages: tuple[Message, ...]
    incidents: tuple[Incident, ...]
    blip_links: tuple[str, ...]
    unaccounted: float | None
    """Sum of iskra_unaccounted_events over all workers; None when it could not be read."""
    left_running: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Row:
    """One thing that had to be seen."""

    expected: str
    seen: str
    ok: bool


def _first(
    voices: Sequence[Heard], *, after_s: float, voice: VoiceName, subject: str, deltas: Sequence[str]
) -> float | None:
    return next(
        (
            h.at_s
            for h in voices
            if h.at_s >= after_s and h.voice == voice and h.subject == subject and h.delta in deltas
        ),
        None,
    )


def _at(moment: float | None) -> str:
    return "not seen" if moment is None else f"at {moment:.1f} s"


_BEGINS = ("voice_raised", "voice_changed")


def _calm(facts: Facts) -> tuple[Row, ...]:
    early = [heard for heard in facts.voices if heard.at_s < CUT_S]
    trust = facts.calm_trust
    return (
        Row("calm: no voice", f"{len(early)} voices before the cut", not early),
        Row(
            "calm: trust of the seam over .7",
            "no score" if trust is None else f"trust {trust:.3f}",
            trust is not None and trust > 0.7,
        ),
    )


def _cut(facts: Facts) -> tuple[Row, ...]:
    links = {
        h.subject
        for h in facts.voices
        if h.level == Level.CONNECTION and h.voice == VoiceName.ALARM and CUT_S <= h.at_s < BLIPS_S
    }
    alarm = _first(facts.voices, after_s=CUT_S, voice=VoiceName.ALARM, subject=SEAM, deltas=_BEGINS)
    posts = [message for message in facts.messages if CUT_S <= message.at_s < BLIPS_S]
    pages = [incident for incident in facts.incidents if CUT_S <= incident.at_s < BLIPS_S]
    return (
        Row("cut: link Alarms", f"{len(links)} of {CUT_LINKS} links", 0 < len(links) <= CUT_LINKS),
        Row("cut: seam Alarm within 10 s", _at(alarm), alarm is not None and alarm <= CUT_S + 10),
        Row("cut: 1 Slack message", f"{len(posts)} messages", len(posts) == 1),
        Row(
            "cut: 1 PagerDuty incident in the whole run",
            f"{len(pages)} incidents, {len(facts.incidents)} in all",
            len(pages) == len(facts.incidents) == 1,
        ),
    )


def _back(facts: Facts) -> tuple[Row, ...]:
    alarm = next((message for message in facts.messages if CUT_S <= message.at_s < BLIPS_S), None)
    green = alarm.green_at_s if alarm else None
    lasted = None if alarm is None or green is None else green - alarm.at_s
    incident = next((incident for incident in facts.incidents if CUT_S <= incident.at_s < BLIPS_S), None)
    resolved = incident.resolved_at_s if incident else None
    party = _first(
        facts.voices, after_s=HEALED_S, voice=VoiceName.CELEBRATION, subject=SEAM, deltas=("voice_celebrated",)
    )
    thread = [at for at, text in alarm.replies if text.startswith("★")] if alarm else []
    return (
        Row(
            "back: the message turns green, duration ≤ 36 s",
            "not green" if lasted is None else f"after {lasted:.1f} s",
            lasted is not None and lasted <= 36,
        ),
        Row("back: PagerDuty resolved by the same key", _at(resolved), resolved is not None),
        Row(
            "back: Celebration 35 ± 5 s after the cut ended",
            _at(party),
            party is not None and 30 <= party - HEALED_S <= 40,
        ),
        Row("back: Celebration in the thread", f"{len(thread)} replies", len(thread) == 1),
    )


def _later(facts: Facts) -> tuple[Row, ...]:
    curious = {
        h.subject for h in facts.voices if h.voice == VoiceName.CURIOSITY and h.at_s >= BLIPS_S and h.delta in _BEGINS
    }
    blipped = {f"connection:{link}" for link in facts.blip_links}
    concern = _first(facts.voices, after_s=SLOW_S, voice=VoiceName.CONCERN, subject=SEAM, deltas=_BEGINS)
    told = [message for message in facts.messages if message.at_s >= SLOW_S and "Concern" in message.text]
    return (
        Row(
            "blips: Curiosity of these 3 links",
            f"{len(curious & blipped)} of {len(blipped)}",
            curious & blipped == blipped,
        ),
        Row("slow: Concern of the seam", _at(concern), concern is not None),
        Row("slow: told once in Slack", f"{len(told)} messages", len(told) == 1),
    )


def _end(facts: Facts) -> tuple[Row, ...]:
    left = facts.left_running
    unread = facts.unaccounted is None
    return (
        Row(
            "events unaccounted for: 0",
            "could not be read" if unread else f"{facts.unaccounted:g}",
            facts.unaccounted == 0,
        ),
        Row("no process left", ", ".join(left) or "none", not left),
    )


def judge(facts: Facts) -> tuple[Row, ...]:
    """Each row of the table, in the order of the weather."""
    return (*_calm(facts), *_cut(facts), *_back(facts), *_later(facts), *_end(facts))
