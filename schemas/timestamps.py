"""Times on the wire: RFC 3339 text with an offset, or integer milliseconds since the epoch."""

from __future__ import annotations

import re
from datetime import date
from typing import Final

from .types import Instant

__all__ = ["EARLIEST_INTEGER", "LATEST_INTEGER", "instant_of_integer", "instant_of_text"]

EARLIEST_INTEGER: Final[Instant] = 10**11
"""1973. Smaller numbers are seconds by mistake."""

LATEST_INTEGER: Final[Instant] = 10**14
"""5138. Larger numbers are microseconds by mistake."""

_RFC3339 = re.compile(
    r"(?P<year>[0-9]{4})-(?P<month>[0-9]{2})-(?P<day>[0-9]{2})[Tt]"
    r"(?P<hour>[01][0-9]|2[0-3]):(?P<minute>[0-5][0-9]):(?P<second>[0-5][0-9])(?:\.(?P<fraction>[0-9]{1,30}))?"
    r"(?:[Zz]|(?P<sign>[+-])(?P<ahead>(?:[01][0-9]|2[0-3]):[0-5][0-9]))"
)
_EPOCH_DAY = date(1970, 1, 1).toordinal()
_DAY, _HOUR, _MINUTE, _SECOND = 86_400_000, 3_600_000, 60_000, 1000


def instant_of_integer(number: int) -> Instant | None:
    """The instant, or None if this cannot be milliseconds. Both ends of the range belong to it."""
    return number if EARLIEST_INTEGER <= number <= LATEST_INTEGER else None


def instant_of_text(text: str) -> Instant | None:
    """The instant, or None if this is no RFC 3339 time.

    Errors: None without an offset, for an impossible date, the year 0, a leap second, another separator than T.
    Units: a fraction of at most 30 digits is cut to milliseconds, not rounded.
    """
    match = _RFC3339.fullmatch(text)
    if match is None:
        return None
    year, month, day, hour, minute, second, fraction, sign, ahead = match.groups()
    try:
        days = date(int(year), int(month), int(day)).toordinal() - _EPOCH_DAY
    except ValueError:  # 30 February, month 13, year 0000
        return None
    local = days * _DAY + int(hour) * _HOUR + int(minute) * _MINUTE + int(second) * _SECOND
    if fraction:
        local += int(fraction[:3].ljust(3, "0"))
    if ahead is None:
        return local
    offset = int(ahead[:2]) * _HOUR + int(ahead[3:]) * _MINUTE
    return local + offset if sign == "-" else local - offset
