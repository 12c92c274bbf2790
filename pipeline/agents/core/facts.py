"""What an agent says: facts as ∆DΩΛ events.

Pure. A machine emits a ``Fact``; the shell stamps it with who speaks and in which order; ``describe`` makes the event.
No fact claims pain, chaos or trust: severity is the registry's business. One physical fact, one event.

What keeps the promise of each Λ, by ``lambda_deadline_s``: ``attempt_reconnection_with_backoff`` the result of the
next attempt; ``validate_connection_health`` a heartbeat_summary or zombie_detected.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final, NamedTuple, TypeAlias

from schemas.events import ConnectionEvent
from schemas.types import Instant, Unit

__all__ = [
    "NETWORK_SEAM",
    "OMEGA_PEER",
    "OMEGA_SEEN",
    "ROUTINE",
    "SPEECH",
    "Fact",
    "Scalar",
    "Speech",
    "Stamp",
    "describe",
    "seam_of",
    "telling_text",
]

Scalar: TypeAlias = str | int | float | bool | None

OMEGA_PEER: Final[Unit] = 1.0
"""The peer said so."""
OMEGA_SEEN: Final[Unit] = 0.9
"""We saw it ourselves."""

NETWORK_SEAM: Final = "network_infrastructure"
_LOAD: Final = "load_balancing"
_ERRORS: Final = "error_handling"
_PERFORMANCE: Final = "performance_monitoring"
_RETRY: Final = "attempt_reconnection_with_backoff"
_WATCH: Final = "continue_monitoring"

_MAX_TEXT: Final = 123


class Speech(NamedTuple):
    """How a delta is told if its fact says no more: D, Ω, Λ and the seam."""

    dimension: int
    omega: Unit
    lambda_: str
    seam: str


SPEECH: Final[Mapping[str, Speech]] = MappingProxyType(
    {
        "connection_established": Speech(2, OMEGA_SEEN, _WATCH, NETWORK_SEAM),
        "connection_recovered": Speech(2, OMEGA_SEEN, "monitor_stability", NETWORK_SEAM),
        "connection_stable": Speech(2, 0.95, _WATCH, NETWORK_SEAM),
        "connection_lost": Speech(1, OMEGA_SEEN, _RETRY, NETWORK_SEAM),
        "connection_short_lived": Speech(2, OMEGA_SEEN, _RETRY, NETWORK_SEAM),
        "connection_closed_by_peer": Speech(1, OMEGA_PEER, _RETRY, NETWORK_SEAM),
        "zombie_detected": Speech(2, 0.7, _RETRY, NETWORK_SEAM),
        "connection_failed": Speech(3, OMEGA_SEEN, _RETRY, NETWORK_SEAM),
        "connection_timeout": Speech(3, 0.7, _RETRY, NETWORK_SEAM),
        "connection_unproved": Speech(2, 0.7, _RETRY, NETWORK_SEAM),
        "connection_suspended": Speech(2, 0.95, _RETRY, NETWORK_SEAM),
        "connection_abandoned": Speech(3, OMEGA_PEER, "escalate_to_human", NETWORK_SEAM),
        "connection_closed": Speech(1, OMEGA_SEEN, _WATCH, "lifecycle_management"),
        "heartbeat_summary": Speech(1, 0.95, _WATCH, NETWORK_SEAM),
        "heartbeat_missed": Speech(1, 0.7, "validate_connection_health", NETWORK_SEAM),
        "link_reported_up": Speech(1, OMEGA_SEEN, _WATCH, NETWORK_SEAM),
        "link_reported_down": Speech(2, OMEGA_SEEN, _RETRY, NETWORK_SEAM),
        "seam_verified": Speech(1, OMEGA_SEEN, _WATCH, "general_operation"),
        "server_overload": Speech(2, OMEGA_PEER, _RETRY, _LOAD),
        "rate_limited": Speech(2, OMEGA_PEER, _RETRY, _LOAD),
        "correlated_loss": Speech(4, 0.8, "spread_reconnects", _LOAD),
        "protocol_violation": Speech(3, OMEGA_SEEN, _RETRY, "data_contract"),
        "transport_blocked": Speech(3, OMEGA_PEER, _RETRY, "communication_protocol"),
        "auth_rejected": Speech(3, OMEGA_PEER, _RETRY, _ERRORS),
        "tls_failed": Speech(3, OMEGA_SEEN, _RETRY, _ERRORS),
        "error_detected": Speech(3, OMEGA_SEEN, _RETRY, _ERRORS),
        "local_stall_detected": Speech(4, OMEGA_SEEN, "verify_local_host", _PERFORMANCE),
        "telemetry_dropped": Speech(4, OMEGA_SEEN, "verify_local_host", _PERFORMANCE),
        "agent_started": Speech(1, OMEGA_SEEN, "monitor_stability", _PERFORMANCE),
        "agent_report": Speech(1, OMEGA_SEEN, "monitor_stability", _PERFORMANCE),
        "agent_stopped": Speech(1, OMEGA_SEEN, _WATCH, _PERFORMANCE),
    }
)
"""Every delta that an agent emits."""

ROUTINE: Final = frozenset({"heartbeat_summary", "agent_report", "seam_verified"})
"""What a full ring lets go first: the next report says it again."""


class Stamp(NamedTuple):
    """Who speaks, and the place of the word among all this agent has said since it started."""

    agent_id: str
    seq: int


@dataclass(frozen=True, slots=True)
class Fact:
    """Something that happened, not yet said."""

    delta: str
    connection_id: str
    omega: Unit | None = None
    lambda_: str | None = None
    seam: str | None = None
    deadline_s: int | None = None
    session_id: str | None = None
    episode_id: str | None = None
    data: Mapping[str, Scalar] = field(default_factory=dict)


def seam_of(fact: Fact) -> str:
    """The seam a fact concerns."""
    return fact.seam if fact.seam is not None else SPEECH[fact.delta].seam


def describe(fact: Fact, now: Instant, stamp: Stamp) -> ConnectionEvent:
    """The fact as an event.

    Shape: every field is written, extras only inside ``data``, so that the scorer's fast path takes it.
    The event id ends in the zero-padded seq: events of one millisecond sort in the order in which they were said.
    """
    speech = SPEECH[fact.delta]
    return ConnectionEvent.model_validate(
        {
            "delta": fact.delta,
            "dimension": speech.dimension,
            "omega": round(fact.omega if fact.omega is not None else speech.omega, 6),
            "lambda": fact.lambda_ or speech.lambda_,
            "fractal_metadata": {"seam_id": fact.seam or speech.seam},
            "event_id": f"{stamp.agent_id}-{stamp.seq:010d}",
            "connection_id": fact.connection_id,
            "ts": now,
            "agent_id": stamp.agent_id,
            "seq": stamp.seq,
            **({} if fact.session_id is None else {"session_id": fact.session_id}),
            **({} if fact.episode_id is None else {"episode_id": fact.episode_id}),
            **({} if fact.deadline_s is None else {"lambda_deadline_s": fact.deadline_s}),
            "data": {name: value for name, value in fact.data.items() if value is not None},
        }
    )


def telling_text(text: str) -> str:
    """Text of a peer or an error, fit to be told: at most 123 bytes, nothing that a terminal would act on."""
    shown = "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in text)
    return shown.encode("utf-8", "replace")[:_MAX_TEXT].decode("utf-8", "ignore")
