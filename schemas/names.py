"""How things may be called: deltas and next steps, seams, ids. One pattern each, for every door they come in by."""

from __future__ import annotations

import re
from typing import Final
from unicodedata import category

__all__ = [
    "DELTA_PATTERN",
    "GENERAL_SEAM",
    "MAX_EVENT_ID",
    "MAX_ID",
    "MAX_NAME",
    "SEAM_PATTERN",
    "has_id_characters",
    "is_delta",
    "is_seam",
    "short_name",
]

DELTA_PATTERN: Final = "[a-z][a-z0-9_]{2,63}"
"""Of a delta and of a lambda."""

SEAM_PATTERN: Final = "[a-z][a-z0-9_]{1,63}"

GENERAL_SEAM: Final = "general_operation"
"""Of an event that names no seam and whose delta nobody knows."""

MAX_NAME: Final = 64
"""Longest delta, lambda, seam, and name of an unknown field that is told, in code points."""

MAX_ID: Final = 128
MAX_EVENT_ID: Final = 64

_DELTA = re.compile(DELTA_PATTERN)
_SEAM = re.compile(SEAM_PATTERN)
_INVISIBLE: Final = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})


def is_delta(text: str) -> bool:
    """Whether this can be a delta or a lambda."""
    return _DELTA.fullmatch(text) is not None


def is_seam(text: str) -> bool:
    """Whether this can be a seam."""
    return _SEAM.fullmatch(text) is not None


def has_id_characters(text: str) -> bool:
    """Whether an id is made of characters that can be seen: not empty, no controls, formats, line separators.

    Ids are not normalised: two spellings are two ids.
    """
    if text.isascii():
        return text.isprintable() and text != ""
    return not any(category(char) in _INVISIBLE for char in text)


def short_name(name: str) -> str:
    """What a field nobody knows is called where it is told: a sender may not make the names long or unwritable."""
    if len(name) > MAX_NAME:
        return "other"
    return name if name.isascii() else name.encode(errors="backslashreplace").decode()
