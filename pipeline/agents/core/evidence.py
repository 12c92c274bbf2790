"""Why an attempt failed or a socket died: what was seen, its category, and what to do about it.

Pure. Turning exceptions into ``Evidence`` is left to the transports; waiting to ``link``.
Order of evidence: the peer's close frame > HTTP status > OS error > TLS alert > a timer of ours.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from schemas.types import Millis

__all__ = ["Category", "Evidence", "Moment", "Source", "Verdict", "Witness", "classify", "retry_after"]


class Source(StrEnum):
    """Where the evidence comes from, most telling first."""

    PEER_CLOSE = "peer_close"
    """The peer sent a close frame."""
    HTTP = "http"
    """The upgrade was answered with a status other than 101."""
    SYSTEM = "system"
    """An error of the operating system, or the stream ended without a close frame."""
    NAME = "name"
    """The name did not resolve."""
    TLS = "tls"
    TIMER = "timer"
    """A time-out of ours."""
    OUR_CLOSE = "our_close"
    """We closed, because what the peer sent cannot be read."""
    LOCAL = "local"
    """No descriptors, no memory, no ports: this machine."""
    UNKNOWN = "unknown"


class Category(StrEnum):
    """What kind of failure it is; each has one policy."""

    DNS = "dns"
    NETWORK = "network"
    TIMEOUT = "timeout"
    SERVER = "server"
    RATE_LIMITED = "rate_limited"
    PROTOCOL = "protocol"
    TLS = "tls"
    AUTH = "auth"
    MESSAGE = "message"
    LOCAL = "local"
    UNKNOWN = "unknown"


class Moment(StrEnum):
    """How far the socket had come."""

    CONNECTING = "connecting"
    PROVING = "proving"
    PROVED = "proved"


class Witness(StrEnum):
    """Who says so, which gives Ω."""

    PEER = "peer"
    SEEN = "seen"
    TIMER = "timer"


@dataclass(frozen=True, slots=True)
class Evidence:
    """What was seen. Peer's text is cut and escaped where it is read, here it is only carried."""

    source: Source
    code: int | None = None
    """Close code or HTTP status."""
    reason: str = ""
    retry_after_ms: Millis | None = None
    challenged: bool = False
    """A 401 or 403 came with ``WWW-Authenticate``."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the evidence means."""

    category: Category
    delta: str | None
    """The one event that tells it; None where a loss is told by how the socket lived (lost, short-lived, …)."""
    witness: Witness
    hint_ms: Millis | None = None
    """What the server asked for."""


_CLEAN: Final = frozenset({1000, 1001, 1005})
_PROTOCOL_CODES: Final = frozenset({1002, 1003, 1007, 1010})
_SERVER_CODES: Final = frozenset({1011, 1014})
_BLOCKED_STATUS: Final = frozenset({400, 403, 404, 405, 410, 426, 501})
_GENERIC: Final[Mapping[int, Category]] = {
    4401: Category.AUTH,
    4403: Category.AUTH,
    4408: Category.TIMEOUT,
    4429: Category.RATE_LIMITED,
}
_FAILED: Final[Mapping[Category, str]] = {
    Category.DNS: "connection_failed",
    Category.NETWORK: "connection_failed",
    Category.TIMEOUT: "connection_timeout",
    Category.SERVER: "connection_failed",
    Category.RATE_LIMITED: "rate_limited",
    Category.PROTOCOL: "protocol_violation",
    Category.TLS: "tls_failed",
    Category.AUTH: "auth_rejected",
    Category.MESSAGE: "protocol_violation",
    Category.LOCAL: "connection_failed",
    Category.UNKNOWN: "error_detected",
}
_PLAIN_LOSSES: Final = frozenset({Category.DNS, Category.NETWORK, Category.LOCAL})
"""Of a proved socket these are told by how it lived."""


def classify(evidence: Evidence, moment: Moment) -> Verdict:
    """What the evidence means at this moment of a socket's life.

    Shape: any evidence gets a verdict; what no row names is ``unknown``.
    """
    match evidence.source:
        case Source.PEER_CLOSE:
            return _of_close(evidence, moment)
        case Source.HTTP:
            return _of_status(evidence)
        case Source.OUR_CLOSE:
            category = Category.MESSAGE if evidence.code == 1009 else Category.PROTOCOL
            return _verdict(category, moment, Witness.SEEN, evidence)
        case Source.TIMER:
            return _verdict(Category.TIMEOUT, moment, Witness.TIMER, evidence)
        case Source.SYSTEM:
            return _verdict(Category.NETWORK, moment, Witness.SEEN, evidence)
        case Source.NAME:
            return _verdict(Category.DNS, moment, Witness.SEEN, evidence)
        case Source.TLS:
            return _verdict(Category.TLS, moment, Witness.SEEN, evidence)
        case Source.LOCAL:
            return _verdict(Category.LOCAL, moment, Witness.SEEN, evidence)
        case Source.UNKNOWN:  # pragma: no branch - the last of a closed list
            return _verdict(Category.UNKNOWN, moment, Witness.SEEN, evidence)


def _of_close(evidence: Evidence, moment: Moment) -> Verdict:
    code = evidence.code if evidence.code is not None else 1005
    if code == 1013:
        return Verdict(Category.RATE_LIMITED, "server_overload", Witness.PEER, evidence.retry_after_ms)
    if code == 1008 and moment is not Moment.PROVED:
        return _verdict(Category.AUTH, moment, Witness.PEER, evidence)
    return _verdict(_category_of_code(code), moment, Witness.PEER, evidence)


def _category_of_code(code: int) -> Category:
    if code in _CLEAN or code == 1006:
        return Category.NETWORK
    if code == 1012 or code in _SERVER_CODES:
        return Category.SERVER
    if code in _PROTOCOL_CODES:
        return Category.PROTOCOL
    if code in {1008, 1009}:
        return Category.MESSAGE
    if code == 1015:
        return Category.TLS
    return _GENERIC.get(code, Category.UNKNOWN)


def _of_status(evidence: Evidence) -> Verdict:
    status = evidence.code or 0
    if status == 401 or (status == 403 and evidence.challenged):
        return _verdict(Category.AUTH, Moment.CONNECTING, Witness.PEER, evidence)
    if status == 429:
        return _verdict(Category.RATE_LIMITED, Moment.CONNECTING, Witness.PEER, evidence)
    if status == 503:
        return Verdict(Category.SERVER, "server_overload", Witness.PEER, evidence.retry_after_ms)
    if status >= 500 and status != 501:
        return _verdict(Category.SERVER, Moment.CONNECTING, Witness.PEER, evidence)
    if status in _BLOCKED_STATUS or 200 <= status < 400:
        return Verdict(Category.PROTOCOL, "transport_blocked", Witness.PEER, evidence.retry_after_ms)
    return _verdict(Category.UNKNOWN, Moment.CONNECTING, Witness.PEER, evidence)


def _verdict(category: Category, moment: Moment, witness: Witness, evidence: Evidence) -> Verdict:
    delta: str | None = _FAILED[category]
    if moment is Moment.PROVED and category in _PLAIN_LOSSES:
        delta = None
    if moment is Moment.PROVING and category in {Category.NETWORK, Category.TIMEOUT}:
        delta = "connection_unproved"
    return Verdict(category, delta, witness, evidence.retry_after_ms)


def retry_after(text: str | None, *, now_s: float, date_s: float | None, cap_ms: Millis) -> Millis | None:
    """The wait a ``Retry-After`` header asks for, within 0 and the cap; None for garbage.

    Shape: the header's text, the clock, and the text read as an HTTP date by the caller if it is one.
    Source: RFC 9110, 10.2.3: delay seconds or a date.
    """
    if text is None:
        return None
    stripped = text.strip()
    if stripped.isascii() and stripped.isdecimal():
        # No int() before the length is bounded: a header of a million digits is legal text.
        return min(cap_ms, int(stripped) * 1000) if len(stripped) <= 9 else cap_ms
    if date_s is None:
        return None
    return min(cap_ms, max(0, round((date_s - now_s) * 1000)))
