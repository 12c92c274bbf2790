"""Which alert is muted by a louder one. Two rules are built in; users' rules come with the routing file.

Source: alerts.md 6.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

from schemas.types import Instant, Level, Millis, VoiceName, split_subject

from .alerts import Alert
from .model import AlertRules, VoiceFacts

__all__ = ["alarmed_seams", "is_muted", "muted", "muted_by", "settle_ms"]


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


def muted(alerts: Mapping[str, Alert], now: Instant) -> dict[str, Alert]:
    """The alerts, each with what mutes it now. An alert whose mute did not change stays the same object."""
    seams = alarmed_seams(alerts.values())
    after = dict(alerts)
    for key, alert in alerts.items():
        by = muted_by(alert, seams) if alert.open else alert.muted_by
        if by != alert.muted_by:
            after[key] = replace(alert, muted_by=by, unmuted_at=now if by is None else None)
    return after


def is_muted(alert: Alert, now: Instant, rules: AlertRules) -> bool:
    """Whether it may not speak: muted, or set free so lately that its own clear may still be under way."""
    if alert.muted_by is not None:
        return True
    return alert.unmuted_at is not None and now < alert.unmuted_at + settle_ms(alert.level, rules)


def settle_ms(level: Level, rules: AlertRules) -> Millis:
    """How long a level waits for the louder voice that may be about to mute it, or to be cleared before it."""
    if level is Level.CONNECTION:
        return rules.connection_wait_ms
    return rules.ecosystem_wait_ms if level is Level.ECOSYSTEM else 0


def _over(facts: VoiceFacts) -> int:
    """Children over the threshold of the voice; more than one if that is not known."""
    over = facts.children_over
    if over is None:
        return 2
    if facts.voice is VoiceName.ALARM:
        return over.pain
    return over.distrust if facts.voice is VoiceName.CONCERN else over.chaos
