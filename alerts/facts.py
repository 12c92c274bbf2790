"""Between records and policy: a voice record's facts in, intent, decision and ledger records out."""

from __future__ import annotations

from schemas.decisions import DecisionRecord
from schemas.ids import record_id
from schemas.intents import IntentRecord
from schemas.ledger import DeadRecord, LedgerRecord
from schemas.types import Instant, Unit, VoiceName
from schemas.voices import VoiceRecord

from .policy.model import Children, Decide, Intend, Moment, VoiceFacts
from .policy.sending_step import Bury, Pending, Settle

__all__ = ["dead_bytes", "decision_bytes", "facts_of", "intent_bytes", "ledger_bytes", "pending_of"]

_ANSWER_CHARACTERS = 4_096


def facts_of(record: VoiceRecord, *, chart: bool = True) -> VoiceFacts:
    """What the policy needs of a voice record; without the panes of the chart if nobody will see it."""
    over = record.children_over
    return VoiceFacts(
        id=record.id,
        delta=record.delta,
        subject=record.subject,
        level=record.level,
        voice=record.voice,
        seam_id=record.fractal_metadata.seam_id,
        dimension=record.dimension,
        omega=record.omega,
        lambda_=record.lambda_,
        pain=record.fractal_metadata.voice_pain,
        chaos=record.fractal_metadata.voice_chaos,
        trust=record.fractal_metadata.voice_trust,
        threshold=_threshold(record),
        window_end=record.window_end,
        since=record.since,
        episode_id=record.episode_id,
        reason=record.reason,
        recent=tuple(Moment(one.window_end, one.pain, one.chaos, one.trust) for one in record.recent) if chart else (),
        children=record.children,
        children_over=None if over is None else Children(over.pain, over.chaos, over.distrust),
        worst_child=record.worst_child,
        experiment_id=record.experiment_id,
    )


def _threshold(record: VoiceRecord) -> Unit:
    levels = record.thresholds
    return {
        VoiceName.ALARM: levels.alarm_pain_above,
        VoiceName.CONCERN: levels.concern_trust_below,
        VoiceName.CURIOSITY: levels.curiosity_chaos_above,
        VoiceName.CELEBRATION: levels.celebration_trust_above,
    }[record.voice]


def intent_bytes(intend: Intend) -> bytes:
    """The intent record."""
    record = IntentRecord.model_validate(intend, from_attributes=True)
    return record.model_dump_json(exclude_none=True).encode()


def decision_bytes(decide: Decide, *, source: str, position: int, index: int, at: Instant) -> bytes:
    """The decision record; its id is that of the place in the log that was decided on."""
    record = DecisionRecord.model_validate(
        {
            "id": record_id("decision", source, position, index),
            "subject": decide.subject,
            "level": decide.level,
            "voice": decide.voice,
            "at": at,
            "position": position,
            "trigger": decide.trigger,
            "gate": decide.gate,
            "transitions": decide.transitions,
            "verdicts": decide.verdicts,
            "episode_id": decide.episode_id,
            "experiment_id": decide.experiment_id,
        },
        from_attributes=True,
    )
    return record.model_dump_json(exclude_none=True).encode()


def pending_of(record: IntentRecord) -> Pending:
    """What the order of sending needs of an intent record."""
    return Pending(
        notification_id=record.notification_id,
        group_episode=record.group_episode,
        dedup_key=record.dedup_key,
        action=record.action,
        severity=record.severity,
        sequence=record.sequence,
        created=record.created,
    )


def ledger_bytes(settle: Settle, *, destination: str, at: Instant) -> bytes:
    """The ledger record."""
    record = LedgerRecord.model_validate(
        {
            "notification_id": settle.intent.notification_id,
            "destination": destination,
            "group_episode": settle.intent.group_episode,
            "dedup_key": settle.intent.dedup_key,
            "action": settle.intent.action,
            "sequence": settle.intent.sequence,
            "outcome": settle.outcome,
            "reason": settle.reason,
            "created": settle.intent.created,
            "finished": at,
            "provider_ids": settle.ids,
            "attempts": settle.attempts,
            "body_sha256": settle.body_sha256,
        },
        from_attributes=True,
    )
    return record.model_dump_json(exclude_none=True).encode()


def dead_bytes(bury: Bury, *, destination: str, at: Instant) -> bytes:
    """The dead letter."""
    record = DeadRecord(
        notification_id=bury.waiting.intent.notification_id,
        destination=destination,
        reason=bury.reason,
        answer=bury.answer[:_ANSWER_CHARACTERS],
        intent=bury.waiting.body,
        at=at,
    )
    return record.model_dump_json().encode()
