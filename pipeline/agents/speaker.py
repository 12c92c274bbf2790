"""Where facts become numbered events: one order of speaking for the whole agent, from whichever thread."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping

from schemas.events import ConnectionEvent
from schemas.types import Instant, Unit

from .core.facts import Fact, Scalar, Stamp, describe
from .publisher import Publisher

__all__ = ["Speaker"]


class Speaker:
    """Numbers events and passes them on, so that seq, order in the ring and order on the wire are the same."""

    def __init__(
        self,
        agent_id: str,
        publisher: Publisher,
        wall: Callable[[], Instant],
        listener: Callable[[ConnectionEvent], None] | None = None,
    ) -> None:
        self.agent_id = agent_id
        self._publisher = publisher
        self._wall = wall
        self._listener = listener
        self._lock = threading.Lock()
        self._seq = 0

    def say(self, fact: Fact) -> ConnectionEvent:
        """Say a fact of the agent's own."""
        with self._lock:
            event = describe(fact, self._wall(), Stamp(self.agent_id, self._seq))
            self._pass_on(event)
        return event

    def report(
        self,
        delta: str,
        *,
        connection_id: str,
        dimension: int | None,
        omega: Unit | None,
        lambda_: str | None,
        seam_id: str | None,
        data: Mapping[str, Scalar] | None,
        claims: Mapping[str, Unit | None],
    ) -> ConnectionEvent:
        """Say what somebody else saw. What is left out is filled by the registry.

        Errors: ValueError with the place of the first thing that does not fit; the number is then not used up.
        """
        with self._lock:
            metadata = {name: value for name, value in {**claims, "seam_id": seam_id}.items() if value is not None}
            fields: dict[str, object] = {
                "delta": delta,
                "dimension": dimension,
                "omega": omega,
                "lambda": lambda_,
                "fractal_metadata": metadata or None,
                "event_id": f"{self.agent_id}-{self._seq:010d}",
                "connection_id": connection_id,
                "ts": self._wall(),
                "agent_id": self.agent_id,
                "seq": self._seq,
                "data": dict(data) if data else None,
            }
            event = ConnectionEvent.model_validate({name: value for name, value in fields.items() if value is not None})
            self._pass_on(event)
        return event

    def _pass_on(self, event: ConnectionEvent) -> None:
        self._publisher.publish(event)
        self._seq += 1
        if self._listener is not None:
            self._listener(event)
