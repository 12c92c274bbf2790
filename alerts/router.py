"""Router: the routing log in, decisions and intents out. Decides nothing itself, reads no clock but the log's."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from pipeline.runtime.contract import Effects, Output, Record, StateRecord
from schemas import topics
from schemas.routing import parse_routing
from schemas.types import Instant

from .facts import decision_bytes, facts_of, intent_bytes
from .keeping import Shelf, open_box
from .policy.alerts import Alert
from .policy.grouping import Group
from .policy.model import Decide, Heard, Tick
from .policy.routing_step import Plan, RoutingState, outcome_of, step

__all__ = ["Router"]


@dataclass(frozen=True, slots=True)
class _Clock:
    now: Instant
    ticks: int


class Router:
    """A processor on ``routing.v1``, one partition: voices and time in one total order, so replay is the live run."""

    def __init__(self, plan: Plan) -> None:
        """The plan holds rules and routes."""
        self._plan = plan
        self._state = RoutingState()
        self._alerts: Shelf[Alert] = Shelf("alert|", Alert)
        self._groups: Shelf[Group] = Shelf("group|", Group)
        self._clock: Shelf[_Clock] = Shelf("clock|", _Clock)
        self._time = _Clock(0, 0)

    def restore(self, snapshot: Iterable[StateRecord]) -> None:
        """Take alerts, groups and the clock as last committed."""
        records = {record.key.decode(): open_box(record) for record in snapshot}
        self._time = self._clock.taken(records).get("", _Clock(0, 0))
        self._state = RoutingState(
            now=self._time.now,
            ticks=self._time.ticks,
            alerts=self._alerts.taken(records),
            groups=self._groups.taken(records),
        )

    def apply(self, batch: Sequence[Record], now: Instant) -> Effects:
        """Fold the log; ``now`` is not used, time is the append time of the records."""
        effects = Effects()
        for record in batch:
            outcome = self._take(record, effects)
            effects.counts[outcome] = effects.counts.get(outcome, 0) + 1
        return effects

    def tick(self, now: Instant, *, at_end: bool) -> Effects:
        """Nothing: time comes with the log."""
        return Effects()

    def snapshot(self) -> Iterable[StateRecord]:
        """Alerts, groups and clock, as far as they changed."""
        if (self._time.now, self._time.ticks) != (self._state.now, self._state.ticks):
            self._time = _Clock(self._state.now, self._state.ticks)
        return [
            *self._alerts.changed(self._state.alerts),
            *self._groups.changed(self._state.groups),
            *self._clock.changed({"": self._time} if self._time.now else {}),
        ]

    def _take(self, record: Record, effects: Effects) -> str:
        read = parse_routing(record.value)
        if read is None:
            return "rejected"
        heard = Tick() if read.voice is None else Heard(facts_of(read.voice))
        self._state, said = step(self._state, heard, record.timestamp, self._plan)
        for index, effect in enumerate(said):
            if isinstance(effect, Decide):
                body = decision_bytes(
                    effect, source=topics.ROUTING, position=record.offset, index=index, at=self._state.now
                )
                effects.outputs.append(Output(topics.ALERTS, effect.subject.encode(), body))
            else:
                effects.outputs.append(Output(topics.INTENTS, effect.destination.encode(), intent_bytes(effect)))
                effects.urgent = True
        return outcome_of(said, heard)
