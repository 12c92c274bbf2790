"""The fragments of one intent, rendered for a channel; plain text with a note when a template fails."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from schemas.intents import IntentRecord

from .context import Scalars, context_of
from .sandbox import Unrenderable, fragment

__all__ = ["Wording", "worded"]


@dataclass(frozen=True, slots=True)
class Wording:
    """What is said, in parts; code puts them where a channel wants them."""

    title: str
    summary: str
    body: str
    footer: str
    reply: str


def worded(intent: IntentRecord, escape: Callable[[object], str]) -> Wording:
    """All fragments, never empty and never an exception."""
    context = context_of(intent)
    return Wording(
        title=_said("title", context, escape),
        summary=_said("summary", context, escape),
        body=_said("body", context, escape),
        footer=_said("footer", context, escape),
        reply=_said("reply", context, escape),
    )


def _said(name: str, context: Scalars, escape: Callable[[object], str]) -> str:
    try:
        text = fragment(name, context, escape)
    except Unrenderable:
        text = ""
    return text or _fallback(context, escape)


def _fallback(context: Scalars, escape: Callable[[object], str]) -> str:
    words = ("voice", "action", "level", "name", "driver", "driver_score")
    return " ".join(escape(context[word]) for word in words) + " (template failed)"
