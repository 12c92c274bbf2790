"""Which alert is muted by a louder one. Two rules are built in; users' rules come with the routing file.

Source: alerts.md 6.
"""

from __future__ import annotations

from collections.abc import Iterable

from schemas.types import Level, VoiceName, split_subject

from .alerts import Alert
from .model import VoiceFacts

__all__ = ["alarmed_seams", "muted_by"]


def alarmed_seams(alerts: Iterable[Alert]) -> dict[str, str]:
    """Seams whose Alarm is open: name → subject."""
    return {
        split_subject(alert.subject)[1]: alert.subject
        for alert in alerts
        if alert.level is Level.SEAM and alert.voice is VoiceName.ALARM and alert.open
    }


def muted_by(alert: Alert, seams: dict[str, str]) -> str | None:
    """The subject whose Alarm mutes this alert, None if it may speak.

    A seam's Alarm mutes the connections of that seam, and the ecosystem while that seam is the only one over the
    threshold of the ecosystem's voice.
    """
    if alert.level is Level.CONNECTION:
        return seams.get(alert.facts.seam_id)
    if alert.level is Level.ECOSYSTEM:
        worst = (alert.facts.worst_child or "").removeprefix("seam:")
        return seams.get(worst) if _over(alert.facts) <= 1 else None
    return None


def _over(facts: VoiceFacts) -> int:
    """Children over the threshold of the voice; more than one if that is not known."""
    over = facts.children_over
    if over is None:
        return 2
    if facts.voice is VoiceName.ALARM:
        return over.pain
    return over.distrust if facts.voice is VoiceName.CONCERN else over.chaos
