"""When to try again: Retry-After as vendors really send it, and backoff with full jitter from a hash.

Source: alerts.md 7; reliability.md 7.2, row W.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from hashlib import sha256

from schemas.types import Instant, Millis

__all__ = ["BACKOFF_CAP_MS", "BREAKER_MS", "PAUSE_CAP_MS", "backoff", "pause", "retry_after_ms"]

BACKOFF_CAP_MS: Millis = 60_000
PAUSE_CAP_MS: Millis = 300_000
BREAKER_MS: Millis = 300_000
"""Between two probes of a destination whose configuration is refused."""

_SECOND: Millis = 1_000
_NUMBER = re.compile(r"[0-9]{1,12}(\.[0-9]{1,6})?")
_DATE = re.compile(r"[A-Z][a-z]{2}, ([0-9]{2}) ([A-Z][a-z]{2}) ([0-9]{4}) ([0-9]{2}):([0-9]{2}):([0-9]{2}) GMT")
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


def retry_after_ms(raw: str | None, now: Instant) -> Millis | None:
    """How long the far side asks to wait; None when it says nothing readable. Never negative.

    Shape: whole or decimal seconds, or an IMF-fixdate (RFC 9110, 5.6.7). A date in the past is 0.
    """
    text = (raw or "").strip()
    if _NUMBER.fullmatch(text):
        return int(float(text) * _SECOND)
    found = _DATE.fullmatch(text)
    if found is None or found[2] not in _MONTHS:
        return None
    try:
        at = datetime(
            int(found[3]),
            _MONTHS.index(found[2]) + 1,
            int(found[1]),
            int(found[4]),
            int(found[5]),
            min(int(found[6]), 59),
            tzinfo=UTC,
        )
    except ValueError:
        return None
    return max(0, int(at.timestamp()) * _SECOND - now)


def backoff(seed: str, attempt: int, *, floor_ms: Millis = _SECOND) -> Millis:
    """The wait before attempt ``attempt`` + 1: between the floor and a ceiling that doubles, up to 60 s.

    Units: attempt 1 gives floor..2 floor, attempt 2 floor..4 floor. The jitter is a hash of seed and attempt.
    """
    ceiling = max(floor_ms, min(BACKOFF_CAP_MS, floor_ms * 2 ** min(attempt, 10)))
    share = int.from_bytes(sha256(f"{seed}\x1f{attempt}".encode()).digest()[:4], "big") / 2**32
    return floor_ms + int(share * (ceiling - floor_ms))


def pause(raw: str | None, now: Instant, *, seed: str, attempt: int, floor_ms: Millis = _SECOND) -> Millis:
    """How long a throttled destination rests: what it asks for, at least the backoff, at most five minutes."""
    return min(max(retry_after_ms(raw, now) or 0, backoff(seed, attempt, floor_ms=floor_ms)), PAUSE_CAP_MS)
