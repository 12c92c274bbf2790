"""How numbers, times and foreign text are written for people. Knows no channel."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from datetime import UTC, datetime

from schemas.types import Instant, Millis, Unit

__all__ = ["amount", "clock_time", "fit", "iso_time", "lasted", "sparkline", "visible"]

_BARS = "▁▂▃▄▅▆▇█"
_JOINER = "\u200d"
_ELLIPSIS = "…"
_SECONDS = (("d", 86_400), ("h", 3_600), ("min", 60), ("s", 1))
_SHOWN_AS_IS = frozenset("\n\t")


def amount(value: Unit) -> str:
    """A score: .81 for 0.8134, 1.00 for 1."""
    return f"{value:.2f}".removeprefix("0")


def clock_time(at: Instant) -> str:
    """The time of day: 14:03:20 UTC."""
    return datetime.fromtimestamp(at // 1_000, UTC).strftime("%H:%M:%S UTC")


def iso_time(at: Instant) -> str:
    """The instant as RFC 3339 with milliseconds."""
    return datetime.fromtimestamp(at / 1_000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def lasted(length: Millis) -> str:
    """A length of time in its two largest units: 36 s, 4 min 5 s, 2 h 10 min."""
    left = max(0, length) // 1_000
    parts = []
    for unit, size in _SECONDS:
        count, left = divmod(left, size)
        if count:
            parts.append(f"{count} {unit}")
    return " ".join(parts[:2]) or "0 s"


def sparkline(values: Sequence[Unit]) -> str:
    """Scores in 0..1 as a row of bars."""
    return "".join(_BARS[min(7, max(0, int(value * 8)))] for value in values)


def visible(text: str) -> str:
    """Foreign text with control, bidi and other unseen characters as escapes, backslash u and four digits."""
    return "".join(
        f"\\u{ord(letter):04x}"
        if unicodedata.category(letter) in {"Cc", "Cf", "Cs", "Co", "Zl", "Zp"}
        and letter not in _SHOWN_AS_IS
        and letter != _JOINER
        else letter
        for letter in text
    )


def fit(text: str, limit: int) -> str:
    """The text in at most ``limit`` characters, cut between graphemes and marked with an ellipsis.

    Shape: combining marks, variation selectors, skin tones, joined emoji and pairs of regional letters stay together.
    """
    if len(text) <= limit:
        return text
    end = max(0, limit - 1)
    while end > 0 and _sticks(text, end):
        end -= 1
    return text[:end] + _ELLIPSIS if limit > 0 else ""


def _sticks(text: str, at: int) -> bool:
    """Whether the character at this place belongs to the one before it."""
    letter, before = text[at], text[at - 1]
    if unicodedata.category(letter).startswith("M") or _JOINER in {letter, before}:
        return True
    if 0x1F3FB <= ord(letter) <= 0x1F3FF:
        return True
    if not _regional(letter) or not _regional(before):
        return False
    start = at
    while start > 0 and _regional(text[start - 1]):
        start -= 1
    return (at - start) % 2 == 1


def _regional(letter: str) -> bool:
    return 0x1F1E6 <= ord(letter) <= 0x1F1FF
