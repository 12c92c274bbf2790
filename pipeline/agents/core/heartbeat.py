"""Is the peer alive, how fast does it answer, and how sure is its death."""

from __future__ import annotations

import math
import struct
from typing import Final, NamedTuple

from schemas.types import Instant, Millis, Unit

from .options import HeartbeatOptions

__all__ = [
    "Heart",
    "Ping",
    "answered",
    "certainty",
    "median",
    "missed",
    "payload",
    "percentile",
    "pong_timeout",
    "read_payload",
    "sent",
    "suspicion",
    "timer_omega",
]

_PAYLOAD: Final = struct.Struct("!4sIq")
_MARK: Final = b"isk1"
_GAPS: Final = 32
_GAPS_NEEDED: Final = 20
_SIGMA_LEAST_MS: Final = 500.0


class Ping(NamedTuple):
    """A ping on its way."""

    number: int
    sent_at: Instant


class Heart(NamedTuple):
    """What is known of one socket's pulse. A new socket has a new heart; only the path's SRTT is inherited."""

    last_number: int = 0
    outstanding: Ping | None = None
    misses: int = 0
    srtt_ms: float | None = None
    rttvar_ms: float = 0.0
    jitter_ms: float = 0.0
    last_rtt_ms: float | None = None
    heard_at: Instant | None = None
    gaps_ms: tuple[Millis, ...] = ()


def payload(number: int, monotonic_ns: int) -> bytes:
    """Sixteen bytes that differ in every ping, so that no old pong answers a new one."""
    return _PAYLOAD.pack(_MARK, number & 0xFFFFFFFF, monotonic_ns)


def read_payload(data: bytes) -> tuple[int, int] | None:
    """Number and monotonic nanoseconds of a payload of ours; None for anybody else's."""
    if len(data) != _PAYLOAD.size or not data.startswith(_MARK):
        return None
    _, number, monotonic_ns = _PAYLOAD.unpack(data)
    return number, monotonic_ns


def sent(heart: Heart, now: Instant) -> Heart:
    """The heart after one more ping."""
    number = heart.last_number + 1
    return heart._replace(last_number=number, outstanding=Ping(number, now))


def answered(heart: Heart, number: int, rtt_ms: float, now: Instant) -> Heart:
    """The heart after a pong, of the newest ping or of one already given up: both are life.

    Units: milliseconds. Source: RFC 6298 for SRTT (1/8) and RTTVAR (1/4), RFC 3550 for jitter (1/16).
    """
    if heart.srtt_ms is None:
        srtt, rttvar, jitter = rtt_ms, rtt_ms / 2, 0.0
    else:
        srtt = heart.srtt_ms + (rtt_ms - heart.srtt_ms) / 8
        rttvar = heart.rttvar_ms + (abs(heart.srtt_ms - rtt_ms) - heart.rttvar_ms) / 4
        difference = abs(rtt_ms - (heart.last_rtt_ms if heart.last_rtt_ms is not None else rtt_ms))
        jitter = heart.jitter_ms + (difference - heart.jitter_ms) / 16
    gaps = heart.gaps_ms if heart.heard_at is None else (*heart.gaps_ms, now - heart.heard_at)[-_GAPS:]
    is_newest = heart.outstanding is not None and heart.outstanding.number == number
    return heart._replace(
        outstanding=None if is_newest else heart.outstanding,
        misses=0,
        srtt_ms=srtt,
        rttvar_ms=rttvar,
        jitter_ms=jitter,
        last_rtt_ms=rtt_ms,
        heard_at=now,
        gaps_ms=gaps,
    )


def missed(heart: Heart) -> Heart:
    """The heart after a ping was not answered in time."""
    return heart._replace(outstanding=None, misses=heart.misses + 1)


def pong_timeout(heart: Heart, options: HeartbeatOptions) -> Millis:
    """How long to wait for the next pong: SRTT + 4·RTTVAR within bounds; the upper bound while nothing is known."""
    if heart.srtt_ms is None:
        return options.pong_timeout_most_ms
    expected = round(heart.srtt_ms + 4 * heart.rttvar_ms)
    return min(options.pong_timeout_most_ms, max(options.pong_timeout_least_ms, expected))


def suspicion(gaps_ms: tuple[Millis, ...], silence_ms: Millis) -> float | None:
    """φ = -log10 of the chance that the next sign of life is still to come after so long a silence.

    Shape: None with fewer than 20 gaps seen. The result is capped at 16, where double precision ends.
    Source: Hayashibara et al., "The φ accrual failure detector", with a deviation of at least 0.5 s.
    """
    if len(gaps_ms) < _GAPS_NEEDED:
        return None
    mean = sum(gaps_ms) / len(gaps_ms)
    variance = sum((gap - mean) ** 2 for gap in gaps_ms) / len(gaps_ms)
    sigma = max(_SIGMA_LEAST_MS, math.sqrt(variance))
    still_to_come = math.erfc((silence_ms - mean) / (sigma * math.sqrt(2))) / 2
    return 16.0 if still_to_come < 1e-16 else max(0.0, -math.log10(still_to_come))


def certainty(heart: Heart, silence_ms: Millis, *, lag_ms: Millis, timeout_ms: Millis) -> Unit:
    """Ω of a death found by silence: by φ where enough gaps are known, else that of a timer."""
    phi = suspicion(heart.gaps_ms, silence_ms)
    return timer_omega(lag_ms, timeout_ms) if phi is None else min(0.95, 1 - 10**-phi)


def timer_omega(lag_ms: Millis, timeout_ms: Millis) -> Unit:
    """Ω of what a timer says: .7, less by the share of the time in which our own loop stood still."""
    return 0.7 * (1 - min(1.0, max(0, lag_ms) / timeout_ms))


def median(values: tuple[float, ...]) -> float:
    """The middle of at least one value."""
    return percentile(values, 0.5)


def percentile(values: tuple[float, ...], share: Unit) -> float:
    """The value that a share of at least one value does not exceed, between neighbours by proportion."""
    ordered = sorted(values)
    place = share * (len(ordered) - 1)
    below = math.floor(place)
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (ordered[above] - ordered[below]) * (place - below)
