"""PagerDuty Events v2 bodies, without the routing key: that is added at the last moment, by the notifier.

Source: alerts.md 8; developer.pagerduty.com, Events API v2.
"""

from __future__ import annotations

from typing import Any

from schemas.intents import IntentRecord

from .sandbox import plain
from .wording import fit, iso_time
from .wordings import worded

__all__ = ["change_event", "pagerduty_event"]

_SUMMARY = 1_024
_CLIENT = "iskra-voices"


def pagerduty_event(intent: IntentRecord, *, minimal: bool = False) -> dict[str, Any]:
    """An event of ``/v2/enqueue``: a trigger for whatever is open, a resolve by the same dedup key."""
    if intent.action == "resolve":
        return {"event_action": "resolve", "dedup_key": intent.dedup_key}
    words = worded(intent, plain)
    payload: dict[str, Any] = {
        "summary": fit(f"{words.title}: {words.summary}", _SUMMARY),
        "source": plain(intent.voice.subject),
        "severity": intent.severity,
    }
    if not minimal:
        payload |= {
            "timestamp": iso_time(intent.created),
            "component": plain(intent.voice.seam_id),
            "class": intent.voice.voice.value,
            "custom_details": _details(intent),
        }
    return {"event_action": "trigger", "dedup_key": intent.dedup_key, "client": _CLIENT, "payload": payload}


def change_event(intent: IntentRecord, *, minimal: bool = False) -> dict[str, Any]:
    """An event of ``/v2/change/enqueue`` for good news and oddities: it never pages."""
    words = worded(intent, plain)
    payload: dict[str, Any] = {
        "summary": fit(f"{words.title}: {words.summary}", _SUMMARY),
        "source": plain(intent.voice.subject),
        "timestamp": iso_time(intent.created),
    }
    if not minimal:
        payload["custom_details"] = _details(intent)
    return {"payload": payload}


def _details(intent: IntentRecord) -> dict[str, Any]:
    voice = intent.voice
    words = worded(intent, plain)
    over = voice.children_over
    return {
        "what": words.body.replace("*", ""),
        "numbers": words.footer,
        "next_step": plain(voice.lambda_),
        "omega": voice.omega,
        "pain": voice.pain,
        "chaos": voice.chaos,
        "trust": voice.trust,
        "threshold": voice.threshold,
        "since": iso_time(intent.since),
        "children": voice.children,
        "children_over": None if over is None else over.model_dump(),
        "worst_child": None if voice.worst_child is None else plain(voice.worst_child),
        "recent_pain": [moment.pain for moment in voice.recent],
        "notification_id": intent.notification_id,
        "group_episode": intent.group_episode,
    }
