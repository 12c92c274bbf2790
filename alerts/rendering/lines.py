"""One line of text per intent, for the console."""

from __future__ import annotations

from schemas.intents import IntentRecord

from .sandbox import plain
from .wording import iso_time
from .wordings import worded

__all__ = ["line_of"]


def line_of(intent: IntentRecord) -> str:
    """Time, action, title and what there is to say."""
    words = worded(intent, plain)
    said = words.reply if intent.action == "note" else words.summary
    return f"{iso_time(intent.created)} {intent.action:<7} {words.title}: {said}".replace("\n", " ")
