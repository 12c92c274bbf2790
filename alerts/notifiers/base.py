"""What a notifier is: an order in, delivered or refused out, never an exception."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, Protocol, TypeAlias

from alerts.calling import CallBody
from alerts.rendering.wording import visible

__all__ = [
    "Delivered",
    "Notifier",
    "Outcome",
    "Refused",
    "RefusedClass",
    "class_of_status",
    "possibly_seen",
    "redacted",
]

RefusedClass: TypeAlias = Literal["throttled", "transient", "ambiguous", "config", "payload", "unknown"]
_TEXT = 4_096
_TOKENS = re.compile(r"xox[a-z]-[A-Za-z0-9-]+|Bearer\s+\S+|(?<=[?&])[^=&\s]*(?:token|key)[^=&\s]*=[^&\s]+")
_STATUSES: dict[int, RefusedClass] = {429: "throttled", 401: "config", 403: "config", 404: "config", 410: "config"}
_PAYLOAD_STATUSES = frozenset({400, 413, 415, 422})


@dataclass(frozen=True, slots=True)
class Delivered:
    """The far side accepted it, by the exact sign its vendor gives."""

    ids: Mapping[str, str] = field(default_factory=dict)
    body_sha256: str | None = None


@dataclass(frozen=True, slots=True)
class Refused:
    """It was not accepted, or nobody knows."""

    kind: RefusedClass
    text: str
    """For people, without secrets, at most 4 KiB."""
    retry_after: str | None = None
    """The header as it came."""
    seen: bool = False
    """Whether the far side may have taken it all the same."""


Outcome: TypeAlias = Delivered | Refused


class Notifier(Protocol):
    """One vendor, one destination."""

    async def send(self, order: CallBody) -> Outcome:
        """Deliver it. Never raises."""


def class_of_status(status: int) -> RefusedClass:
    """The class of an HTTP status that is no success; a success without its exact sign is unknown."""
    if status in _STATUSES:
        return _STATUSES[status]
    if status in _PAYLOAD_STATUSES:
        return "payload"
    if 300 <= status < 400:
        return "config"
    return "transient" if status >= 500 else "unknown"


def possibly_seen(kind: RefusedClass) -> bool:
    """Whether an answer of this class leaves open that the message was taken."""
    return kind in {"transient", "ambiguous", "unknown"}


def redacted(text: str, secrets: tuple[str, ...]) -> str:
    """The text without secrets, even if the far side echoes them."""
    for secret in secrets:
        if secret:
            text = text.replace(secret, "***")
    return visible(_TOKENS.sub("***", text))[:_TEXT]
