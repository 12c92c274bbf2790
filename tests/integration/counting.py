"""A processor that counts, to try the runtime with: each record's value says what to do.

``urgent``, ``silent`` (state only), ``poison`` (refused), ``forgotten`` (no outcome: a bug on purpose), ``raise``,
``call:NAME`` (one call, its answer is written), ``ticking`` (writes one record when the end of the log is reached),
``huge`` (a record no broker takes); anything else is counted by key.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterable, Sequence

from pipeline.runtime.contract import Answer, Assignment, Call, Effects, Output, Record, Stage, StateRecord
from schemas.types import Instant

__all__ = [
    "CALLED",
    "COUNTED",
    "NUMBERS",
    "RECOUNTED",
    "RECOUNTING_STATE",
    "REFUSED",
    "STATE",
    "TOPICS",
    "CountingProcessor",
    "counting_stage",
    "recounting_stage",
]

NUMBERS = "numbers.v1"
COUNTED = "counted.v1"
REFUSED = "refused.v1"
CALLED = "called.v1"
STATE = "state.counting.v1"
RECOUNTED = "recounted.v1"
RECOUNTING_STATE = "state.recounting.v1"
TOPICS = (NUMBERS, COUNTED, REFUSED, CALLED, STATE, RECOUNTED, RECOUNTING_STATE)


class CountingProcessor:
    """Counts records per key; its state is the counts."""

    def __init__(self, assignment: Assignment, to: str = COUNTED) -> None:
        self._to = to
        self.partition = assignment.partition
        self.totals: dict[bytes, int] = {}
        self._changed: set[bytes] = set()
        self._ticking = False

    def restore(self, snapshot: Iterable[StateRecord]) -> None:
        for key, value in snapshot:
            if value is not None:
                content = json.loads(value)
                if content.get("format", 1) > 1:
                    message = "its format 2 is newer than 1"
                    raise ValueError(message)
                self.totals[key] = content["total"]

    def apply(self, batch: Sequence[Record], now: Instant) -> Effects:
        effects = Effects()
        for record in batch:
            self._one(record, effects)
        return effects

    def _one(self, record: Record, effects: Effects) -> None:
        value = record.value
        if value is None:
            _count(effects, "tombstone")
        elif value == b"poison":
            _count(effects, "rejected")
            effects.outputs.append(Output(REFUSED, record.key, value))
        elif value == b"forgotten":
            return
        elif value == b"raise":
            message = "told to raise"
            raise RuntimeError(message)
        elif value == b"huge":
            _count(effects, "counted")
            effects.outputs.append(Output(self._to, record.key, b"x" * 3_000_000))
        elif value.startswith(b"call:"):
            _count(effects, "counted")
            effects.calls.append(Call(f"{self.partition}-{record.offset}", value[5:].decode(), value))
            effects.urgent = True
        else:
            key = record.key or b""
            self.totals[key] = total = self.totals.get(key, 0) + 1
            self._changed.add(key)
            _count(effects, "counted")
            self._ticking = self._ticking or value == b"ticking"
            effects.urgent = effects.urgent or value == b"urgent"
            if value != b"silent":
                content = {"key": key.decode(), "total": total, "partition": record.partition, "offset": record.offset}
                effects.outputs.append(Output(self._to, key, json.dumps(content).encode()))

    def tick(self, now: Instant, *, at_end: bool) -> Effects:
        if not (self._ticking and at_end):
            return Effects()
        self._ticking = False
        return Effects(outputs=[Output(self._to, b"tick", b'{"key": "tick"}')])

    def answered(self, answer: Answer, now: Instant) -> Effects:
        return Effects(outputs=[Output(CALLED, answer.call_id.encode(), answer.payload)], urgent=True)

    def snapshot(self) -> Iterable[StateRecord]:
        changed, self._changed = self._changed, set()
        return [StateRecord(key, json.dumps({"total": self.totals[key]}).encode()) for key in sorted(changed)]


def _count(effects: Effects, outcome: str) -> None:
    effects.counts[outcome] = effects.counts.get(outcome, 0) + 1


async def _perform(call: Call) -> Answer:
    await asyncio.sleep(0.02)
    return Answer(call.call_id, call.destination, b"answer to " + call.payload)


def recounting_stage() -> Stage:
    """A second stage that counts what the first has written."""
    return Stage(
        "recounting",
        COUNTED,
        RECOUNTING_STATE,
        (RECOUNTED, REFUSED, CALLED),
        lambda assignment: CountingProcessor(assignment, RECOUNTED),
        _perform,
    )


def _refuse(record: Record, digest: str) -> Output:
    return Output(REFUSED, record.key, record.value, (("stack_digest", digest.encode()),))


def counting_stage() -> Stage:
    """The stage of the counting role."""
    return Stage("counting", NUMBERS, STATE, (COUNTED, REFUSED, CALLED), CountingProcessor, _perform, refuse=_refuse)
