"""The ledger: what became of each notification, and the ones that nobody could deliver."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from .types import Instant

__all__ = ["Attempt", "DeadRecord", "LedgerOutcome", "LedgerRecord", "parse_ledger"]

LedgerOutcome = Literal["delivered", "dropped", "superseded", "expired", "undeliverable", "dead"]


class _Open(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore", from_attributes=True)


class Attempt(_Open):
    """One call that was answered, or none when the worker that made it ended first."""

    at: Instant
    outcome: str
    """``ok`` or the class of the refusal."""


class LedgerRecord(_Open):
    """A record of ``iskra.notifications.v1``; key = notification id. Exactly one per intent."""

    schema_version: str = "1.0"
    notification_id: str
    destination: str
    group_episode: str
    dedup_key: str
    action: str
    sequence: int
    outcome: LedgerOutcome
    reason: str
    """``ok``, ``overtaken``, ``never_opened``, ``superseded``, ``payload``…"""
    created: Instant
    finished: Instant
    provider_ids: dict[str, str] = {}
    """Slack: ``channel``, ``ts``; PagerDuty: ``dedup_key``."""
    attempts: list[Attempt] = []
    body_sha256: str | None = None
    """Of the bytes that were sent, so that a later rendering can be compared."""


class DeadRecord(_Open):
    """A record of ``iskra.notifications.dead.v1``; key = notification id."""

    schema_version: str = "1.0"
    notification_id: str
    destination: str
    reason: str
    answer: str
    """What the far side said, at most 4 KiB, without secrets."""
    intent: str
    """The intent record's own JSON."""
    at: Instant


def parse_ledger(value: bytes | None) -> LedgerRecord | None:
    """The record, or None for bytes that are none."""
    try:
        return LedgerRecord.model_validate_json(value or b"")
    except ValidationError:
        return None
