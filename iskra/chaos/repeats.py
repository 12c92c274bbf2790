"""I8: each record's id is seen once; to the outside, no more repeats than kills and cuts can excuse."""

from __future__ import annotations

from collections.abc import Mapping

from schemas.topics import ALERTS, INTENTS, NOTIFICATIONS, PARTIALS, SCORES, VOICES

from .deliveries import extra_deliveries
from .evidence import Evidence, content
from .judging import Finding, Judgement, Place, joined
from .states import States

__all__ = ["record_repeats", "repeats"]

_IDS: Mapping[str, str] = {
    SCORES: "id",
    VOICES: "id",
    PARTIALS: "id",
    ALERTS: "id",
    INTENTS: "notification_id",
    NOTIFICATIONS: "notification_id",
}
_SHOWN = 20


def repeats(evidence: Evidence, states: States) -> Judgement:
    """Both halves."""
    return joined((record_repeats(evidence, states), extra_deliveries(evidence, states)))


def record_repeats(evidence: Evidence, states: States) -> Judgement:
    """Whether a committed reader sees any output twice. Inside Kafka the budget is 0."""
    findings: list[Finding] = []
    number = 0
    for topic, field in _IDS.items():
        first: dict[tuple[str, int], Place] = {}
        for place, record in evidence.records(topic):
            value = content(record)
            if value is None:
                continue
            # Progress goes to every partition of its topic: there an id is seen once in each.
            key = (str(value.get(field, "")), place.partition if value.get("kind") == "progress" else -1)
            if key in first:
                number += 1
                if len(findings) < _SHOWN:
                    findings.append(Finding(f"{field} {key[0]} was seen before, at {first[key]}", place))
            else:
                first[key] = place
    return Judgement(tuple(findings), (), {"repeats": number, "repeats_budget": 0})
