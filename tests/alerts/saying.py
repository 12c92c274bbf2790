"""Voice records and facts as the scoring side makes them, short enough to write stories with."""

from __future__ import annotations

from typing import Any

from alerts.facts import facts_of
from alerts.policy.model import VoiceFacts
from schemas.intents import IntentRecord
from schemas.types import Level, VoiceName
from schemas.voices import VoiceRecord

__all__ = ["THRESHOLDS", "facts", "intent", "spoken", "voice_bytes_of"]

THRESHOLDS = {
    "alarm_pain_above": 0.7,
    "alarm_clear_pain": 0.6,
    "concern_trust_below": 0.3,
    "concern_clear_trust": 0.45,
    "curiosity_chaos_above": 0.5,
    "curiosity_clear_chaos": 0.3,
    "celebration_trust_above": 0.7,
}
_LAMBDAS = {
    "Alarm": "page_owner",
    "Concern": "watch_and_plan",
    "Curiosity": "investigate_anomaly",
    "Celebration": "resolve_incident",
}
_DELTAS = {
    "raise": "voice_raised",
    "change": "voice_changed",
    "hold": "voice_held",
    "clear": "voice_cleared",
    "celebrate": "voice_celebrated",
}


def spoken(
    what: str,
    voice: str = "Alarm",
    subject: str = "seam:network_infrastructure",
    *,
    end: int = 30_000,
    since: int | None = None,
    episode: str | None = None,
    pain: float = 0.81,
    chaos: float = 0.1,
    trust: float = 0.4,
    seam: str | None = None,
    n: int = 0,
    **more: Any,
) -> VoiceRecord:
    """One voice record: ``spoken("raise", "Alarm", "seam:a", end=30_000)``. Ids differ with all that is said."""
    level, _, name = subject.partition(":")
    episode = episode or f"{subject}/{voice}/{since or end}"
    body: dict[str, Any] = {
        "id": f"{what}/{voice}/{subject}/{end}/{episode}/{n}",
        "delta": _DELTAS[what],
        "dimension": 7,
        "omega": 0.93,
        "lambda": _LAMBDAS[voice],
        "fractal_metadata": {
            "voice_pain": pain,
            "voice_chaos": chaos,
            "voice_trust": trust,
            "seam_id": seam or {"seam": name, "connection": "network_infrastructure"}.get(level, level),
        },
        "subject": subject,
        "level": level,
        "voice": voice,
        "window_start": end - 30_000,
        "window_end": end,
        "since": end if since is None else since,
        "revision": 0,
        "episode_id": episode,
        "thresholds": THRESHOLDS,
        "recent": [],
        "contributors": [],
        "reason": "recovered" if what == "clear" else None,
    }
    return VoiceRecord.model_validate(body | more)


def voice_bytes_of(record: VoiceRecord) -> bytes:
    """The record as it stands in the voice topic."""
    return record.model_dump_json(by_alias=True).encode()


def facts(*args: Any, **kwargs: Any) -> VoiceFacts:
    """What the policy sees of ``spoken(…)``."""
    return facts_of(spoken(*args, **kwargs))


def intent(**more: Any) -> IntentRecord:
    """An intent to open an Alarm of a seam, with what is given changed; ``voice`` changes the excerpt."""
    excerpt = {
        "id": "v1",
        "delta": "voice_raised",
        "subject": "seam:network_infrastructure",
        "level": Level.SEAM,
        "voice": VoiceName.ALARM,
        "seam_id": "network_infrastructure",
        "dimension": 7,
        "omega": 0.93,
        "lambda_": "page_owner",
        "pain": 0.8134,
        "chaos": 0.12,
        "trust": 0.44,
        "threshold": 0.7,
        "window_end": 90_000,
        "since": 90_000,
        "episode_id": "e1",
        "recent": [
            {"window_end": 60_000, "pain": 0.68, "chaos": 0.1, "trust": 0.5},
            {"window_end": 90_000, "pain": 0.8134, "chaos": 0.12, "trust": 0.44},
        ],
        "children": 60,
        "children_over": {"pain": 36, "chaos": 2, "distrust": 1},
        "worst_child": "connection:c-17",
    } | more.pop("voice", {})
    body = {
        "notification_id": "n-1",
        "destination": "slack:default/C1",
        "kind": "slack",
        "action": "open",
        "why": "first",
        "route": "talk",
        "group_episode": "g-1",
        "dedup_key": "iskra:1",
        "sequence": 1,
        "severity": "critical",
        "created": 94_000,
        "voice": excerpt,
        "since": 90_000,
        "peak_pain": 0.9,
        "firing": 1,
        "muted": 0,
        "subjects": ["seam:network_infrastructure"],
    }
    return IntentRecord.model_validate(body | more)
