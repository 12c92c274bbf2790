"""Dispatcher: intents in, calls and ledger out. Announces a call in its state before the runtime makes it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from pydantic import ValidationError

from pipeline.crashpoint import crashpoint
from pipeline.runtime.contract import Answer, Call, Effects, Output, Record, StateRecord
from schemas import topics
from schemas.intents import IntentRecord, parse_intent
from schemas.ledger import LedgerRecord, parse_ledger
from schemas.types import Instant

from .calling import AnswerBody, CallBody
from .facts import dead_bytes, ledger_bytes, pending_of
from .keeping import Shelf, open_box
from .policy.sending_step import (
    Answered,
    Arrived,
    Bury,
    DestinationState,
    Head,
    Known,
    SendEvent,
    Settle,
    Start,
    Waiting,
    Woke,
    recollected,
    recovered,
    step,
)

__all__ = ["Dispatcher"]

_BETWEEN = "|"


class Dispatcher:
    """A calling processor on ``intents.v1``: the only owner of the destinations of its partition."""

    def __init__(self) -> None:
        """Nothing is known until restored."""
        self._states: dict[str, DestinationState] = {}
        self._heads: Shelf[Head] = Shelf("head|", Head)
        self._waiting: Shelf[Waiting] = Shelf("wait|", Waiting)
        self._known: Shelf[Known] = Shelf("known|", Known)
        self._ends: dict[str, LedgerRecord] | None = None
        """Of all notifications, while the state is rebuilt."""

    def restore(self, snapshot: Iterable[StateRecord]) -> None:
        """Take the destinations as last committed. What was announced and has no answer may have arrived."""
        records = {record.key.decode(): open_box(record) for record in snapshot}
        self._states = {name: DestinationState(head) for name, head in self._heads.taken(records).items()}
        for name, one in sorted(self._waiting.taken(records).items(), key=lambda item: item[1].order):
            destination, _, key = name.rpartition(_BETWEEN)
            state = self._states[destination]
            self._states[destination] = replace(state, waiting={**state.waiting, key: one})
        for name, known in self._known.taken(records).items():
            destination, _, key = name.rpartition(_BETWEEN)
            state = self._states[destination]
            self._states[destination] = replace(state, known={**state.known, key: known})
        self._states = {name: recovered(state) for name, state in self._states.items()}

    def remember(self, ledger: Iterable[Record]) -> None:
        """Take what became of each notification: the state is rebuilt, nothing is sent."""
        self._ends = {}
        for record in ledger:
            end = parse_ledger(record.value)
            if end is not None:
                self._ends[end.notification_id] = end

    def apply(self, batch: Sequence[Record], now: Instant) -> Effects:
        """Take intents; start what is due."""
        effects = Effects()
        for record in batch:
            outcome = self._take(record, now, effects)
            effects.counts[outcome] = effects.counts.get(outcome, 0) + 1
        return effects

    def tick(self, now: Instant, *, at_end: bool) -> Effects:
        """Start what has become due."""
        effects = Effects()
        if self._ends is not None:
            return effects
        for destination in self._states:
            self._step(destination, Woke(), now, effects)
        return effects

    def answered(self, answer: Answer, now: Instant) -> Effects:
        """Take an answer: ledger record and end of the intent go into one checkpoint. Of an unreadable one nothing."""
        effects = Effects()
        try:
            body = AnswerBody.model_validate_json(answer.payload)
        except ValidationError:
            body = AnswerBody(refused="unknown", text="unreadable answer", seen=True)
        event = Answered(
            answer.call_id, body.refused, body.ids, body.retry_after, body.text, body.seen, body.body_sha256
        )
        if answer.destination in self._states:
            self._step(answer.destination, event, now, effects)
        effects.urgent = True
        return effects

    def snapshot(self) -> Iterable[StateRecord]:
        """Heads, waiting intents and known messages, as far as they changed."""
        states = self._states.items()
        waiting = {name + _BETWEEN + key: one for name, state in states for key, one in state.waiting.items()}
        known = {name + _BETWEEN + key: one for name, state in states for key, one in state.known.items()}
        return [
            *self._heads.changed({name: state.head for name, state in states}),
            *self._waiting.changed(waiting),
            *self._known.changed(known),
        ]

    def waiting(self) -> int:
        """Intents that are not settled: the last term of the balance of notifications."""
        return sum(len(state.waiting) for state in self._states.values())

    def _take(self, record: Record, now: Instant, effects: Effects) -> str:
        crashpoint("intent.received")
        intent = parse_intent(record.value)
        if intent is None:
            return "tombstone" if record.value is None else "rejected"
        name = intent.destination
        state = self._states.setdefault(name, DestinationState(Head(destination=name, kind=intent.kind)))
        if intent.notification_id in state.waiting:
            return "duplicate"
        arrived = Arrived(pending_of(intent), intent.model_dump_json(exclude_none=True))
        if self._ends is None:
            self._step(name, arrived, now, effects)
        else:
            end = self._ends.get(intent.notification_id)
            delivered = None if end is None or end.outcome != "delivered" else (end.provider_ids, end.finished)
            self._states[name] = recollected(state, arrived, delivered=delivered, settled=end is not None)
        return "accepted"

    def _step(self, destination: str, event: SendEvent, now: Instant, effects: Effects) -> None:
        self._states[destination], said = step(self._states[destination], event, now)
        for effect in said:
            if isinstance(effect, Start):
                effects.calls.append(Call(effect.call_id, destination, _call_body(effect)))
            elif isinstance(effect, Settle):
                key, body = (
                    effect.intent.notification_id.encode(),
                    ledger_bytes(effect, destination=destination, at=now),
                )
                effects.outputs.append(Output(topics.NOTIFICATIONS, key, body))
            elif isinstance(effect, Bury):
                body = dead_bytes(effect, destination=destination, at=now)
                key = effect.waiting.intent.notification_id.encode()
                effects.outputs.append(Output(topics.NOTIFICATIONS_DEAD, key, body))
            effects.urgent = True


def _call_body(start: Start) -> bytes:
    one = start.waiting
    intent = IntentRecord.model_validate_json(one.body)
    body = CallBody(intent=intent, ids=dict(start.ids), look_first=one.seen, minimal=one.minimal)
    return body.model_dump_json(exclude_none=True).encode()
