"""What goes into the machines and what comes out: facts as events, wishes as data."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TypeAlias

from schemas.types import Instant, Millis

from .evidence import Evidence
from .facts import Fact

__all__ = [
    "AttemptOver",
    "ClearTimer",
    "CloseTransport",
    "CloseWanted",
    "ConnectWanted",
    "CutTransport",
    "Due",
    "Emit",
    "Granted",
    "Heard",
    "LinkEffect",
    "LinkEvent",
    "LinksCounted",
    "LossSeen",
    "Lost",
    "OpenFailed",
    "OpenTransport",
    "Opened",
    "Ponged",
    "ProcessDue",
    "ProcessEffect",
    "ProcessEvent",
    "Restate",
    "SendPing",
    "SetProcessTimer",
    "SetTimer",
    "Spread",
    "Tell",
    "Timer",
    "ToLink",
    "Wake",
    "Wanted",
]


class Timer(StrEnum):
    """The timers of one link; each is set at most once at a time."""

    OPEN = "open"
    PROOF = "proof"
    STABLE = "stable"
    RETRY = "retry"
    SUSPEND = "suspend"
    PING = "ping"
    PONG = "pong"
    REPORT = "report"
    DRAIN = "drain"


# Into a link


@dataclass(frozen=True, slots=True)
class Wanted:
    """Somebody wants the link; also reopens a closed or failed one."""


@dataclass(frozen=True, slots=True)
class CloseWanted:
    """Nobody wants it any more."""


@dataclass(frozen=True, slots=True)
class Granted:
    """The connect budget lets one attempt go."""


@dataclass(frozen=True, slots=True)
class Opened:
    """The upgrade of this attempt is done."""

    attempt: int


@dataclass(frozen=True, slots=True)
class OpenFailed:
    """This attempt did not get as far as the upgrade."""

    attempt: int
    evidence: Evidence


@dataclass(frozen=True, slots=True)
class Heard:
    """Data came. Only told until the link is proved; later messages bypass the machine."""

    attempt: int


@dataclass(frozen=True, slots=True)
class Ponged:
    """A pong with a payload of ours."""

    attempt: int
    number: int
    rtt_ms: float


@dataclass(frozen=True, slots=True)
class Lost:
    """The socket of this attempt is gone."""

    attempt: int
    evidence: Evidence


@dataclass(frozen=True, slots=True)
class Due:
    """A timer fell due."""

    timer: Timer
    heard_at: Instant | None = None
    """When the last byte came in on this socket."""
    lag_ms: Millis = 0
    """The longest time the loop stood still while the timer ran."""
    blocked: bool = False
    """The user's handler does not take messages, so nothing is read: pongs may be waiting unread."""


@dataclass(frozen=True, slots=True)
class Spread:
    """Many links of the process were lost together: use the wider series."""


@dataclass(frozen=True, slots=True)
class Wake:
    """There is reason to try now: cuts the backoff, not what a server asked for."""


@dataclass(frozen=True, slots=True)
class Restate:
    """Say how you are: telemetry was lost or late."""


LinkEvent: TypeAlias = (
    Wanted | CloseWanted | Granted | Opened | OpenFailed | Heard | Ponged | Lost | Due | Spread | Wake | Restate
)


# Into the process


@dataclass(frozen=True, slots=True)
class LinksCounted:
    """So many links share the budget now."""

    links: int


@dataclass(frozen=True, slots=True)
class ConnectWanted:
    """A link would like to make an attempt towards this host."""

    link_id: str
    host: str


@dataclass(frozen=True, slots=True)
class AttemptOver:
    """The attempt, or the wish for one, of this link is over."""

    link_id: str
    host: str


@dataclass(frozen=True, slots=True)
class LossSeen:
    """A proved link was lost."""

    link_id: str


@dataclass(frozen=True, slots=True)
class ProcessDue:
    """The process's timer fell due."""


ProcessEvent: TypeAlias = LinksCounted | ConnectWanted | AttemptOver | LossSeen | ProcessDue


# Out of a link


@dataclass(frozen=True, slots=True)
class OpenTransport:
    """Make one attempt."""

    attempt: int
    url: str


@dataclass(frozen=True, slots=True)
class SendPing:
    """Send a ping with this number in its payload."""

    attempt: int
    number: int


@dataclass(frozen=True, slots=True)
class CutTransport:
    """Abort the attempt or socket now; nothing more is expected of it."""

    attempt: int


@dataclass(frozen=True, slots=True)
class CloseTransport:
    """Close cleanly; ``Lost`` follows."""

    attempt: int
    code: int


@dataclass(frozen=True, slots=True)
class SetTimer:
    """Set or move a timer."""

    timer: Timer
    at: Instant


@dataclass(frozen=True, slots=True)
class ClearTimer:
    """Forget a timer."""

    timer: Timer


@dataclass(frozen=True, slots=True)
class Emit:
    """Say this."""

    fact: Fact


@dataclass(frozen=True, slots=True)
class Tell:
    """Pass this to the process."""

    event: ProcessEvent


LinkEffect: TypeAlias = OpenTransport | SendPing | CutTransport | CloseTransport | SetTimer | ClearTimer | Emit | Tell


# Out of the process


@dataclass(frozen=True, slots=True)
class ToLink:
    """Pass this to a link."""

    link_id: str
    event: Granted | Spread


@dataclass(frozen=True, slots=True)
class SetProcessTimer:
    """Set or move the process's one timer."""

    at: Instant


ProcessEffect: TypeAlias = ToLink | SetProcessTimer | Emit
