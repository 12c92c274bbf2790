"""What travels in a call to the outside and in its answer, as bytes."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict

from schemas.intents import IntentRecord

__all__ = ["AnswerBody", "CallBody"]


class CallBody(BaseModel):
    """One notification to be delivered."""

    model_config = ConfigDict(frozen=True)

    intent: IntentRecord
    ids: dict[str, str] = {}
    """What the far side knows the group episode by."""
    look_first: bool = False
    """The message may have arrived already: look before sending again."""
    minimal: bool = False
    """As plain text."""


class AnswerBody(BaseModel):
    """What became of it."""

    model_config = ConfigDict(frozen=True)

    refused: Literal["throttled", "transient", "ambiguous", "config", "payload", "unknown"] | None = None
    ids: dict[str, str] = {}
    retry_after: str | None = None
    text: str = ""
    seen: bool = False
    body_sha256: str | None = None
