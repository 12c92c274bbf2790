"""Intake: voices of one partition into the routing log, and a tick each second from the one of partition 0."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from pydantic import ValidationError

from pipeline.runtime.contract import Assignment, Effects, Output, Record, StateRecord
from schemas import topics
from schemas.routing import TICK_KEY, tick_bytes, voice_bytes
from schemas.types import Instant, VoiceName
from schemas.voices import VoiceRecord

from .facts import decision_bytes, facts_of
from .keeping import Shelf, open_box
from .policy.model import AlertRules, Decide
from .policy.routing_step import stopped_at_the_door

__all__ = ["Intake"]

_TICK_MS = 1_000


@dataclass(frozen=True, slots=True)
class _Clock:
    second: Instant
    """The last second that was told."""


class Intake:
    """A processor on ``voices.v1``. What can reach nobody stops here, with a decision."""

    def __init__(self, assignment: Assignment, rules: AlertRules) -> None:
        """Only the intake of partition 0 tells the time, so that a second is one tick."""
        self._assignment = assignment
        self._rules = rules
        self._clock = _Clock(0)
        self._shelf: Shelf[_Clock] = Shelf("clock|", _Clock)

    def restore(self, snapshot: Iterable[StateRecord]) -> None:
        """Take the last second that was told."""
        clocks = self._shelf.taken({record.key.decode(): open_box(record) for record in snapshot})
        self._clock = clocks.get("", _Clock(0))

    def apply(self, batch: Sequence[Record], now: Instant) -> Effects:
        """Copy what can be read."""
        effects = Effects()
        for record in batch:
            outcome = self._take(record, effects)
            effects.counts[outcome] = effects.counts.get(outcome, 0) + 1
        return effects

    def tick(self, now: Instant, *, at_end: bool) -> Effects:
        """Tell a new second; not while behind, so that a backlog makes nothing stale."""
        second = now // _TICK_MS
        if self._assignment.partition != 0 or not at_end or second <= self._clock.second:
            return Effects()
        self._clock = _Clock(second)
        return Effects(outputs=[Output(topics.ROUTING, TICK_KEY, tick_bytes(now))])

    def snapshot(self) -> Iterable[StateRecord]:
        """The last second that was told, if it is a new one."""
        return list(self._shelf.changed({"": self._clock} if self._clock.second else {}))

    def _take(self, record: Record, effects: Effects) -> str:
        if record.value is None:
            return "tombstone"
        try:
            voice = VoiceRecord.model_validate_json(record.value)
        except ValidationError:
            return "rejected"
        stopped = stopped_at_the_door(facts_of(voice, chart=False), self._rules)
        if stopped is not None:
            effects.outputs.append(self._decision(record, stopped))
            return str(stopped.gate)
        effects.outputs.append(Output(topics.ROUTING, record.key, voice_bytes(record.value)))
        effects.urgent = effects.urgent or self._is_urgent(voice)
        return "copied"

    @staticmethod
    def _is_urgent(voice: VoiceRecord) -> bool:
        return voice.voice is VoiceName.ALARM and voice.delta != "voice_held"

    def _decision(self, record: Record, decide: Decide) -> Output:
        source = f"{topics.VOICES}/{self._assignment.partition}"
        body = decision_bytes(decide, source=source, position=record.offset, index=0, at=record.timestamp)
        return Output(topics.ALERTS, decide.subject.encode(), body)
