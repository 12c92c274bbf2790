"""PagerDuty Events v2 over aiohttp: the vendor's SDK is synchronous and retries 429 without end.

Source: alerts.md 7, 8; developer.pagerduty.com, Events API v2.
"""

from __future__ import annotations

import hashlib
import json
from typing import Any

from aiohttp import ClientSession

from alerts.calling import CallBody
from alerts.rendering.pagerduty import change_event, pagerduty_event

from .base import Delivered, Outcome, Refused, class_of_status, possibly_seen, redacted
from .http import refusal_of

__all__ = ["PagerDutyNotifier"]

_ACCEPTED = 202
_BODY_CAP = 500_000
_BAD_REQUEST = 400


class PagerDutyNotifier:
    """One integration key. A repeat under the same dedup key is the same incident, so nothing is looked up."""

    def __init__(self, *, routing_key: str, base_url: str, session: ClientSession) -> None:
        """The session is the guarded one."""
        self._routing_key = routing_key
        self._base = base_url.rstrip("/")
        self._session = session

    def __repr__(self) -> str:
        """Without the key."""
        return "PagerDutyNotifier()"

    async def send(self, order: CallBody) -> Outcome:
        """Deliver it. Never raises."""
        try:
            return await self._send(order)
        except Exception as error:  # noqa: BLE001 - the promise of a notifier: any failure is a value
            return refusal_of(error, (self._routing_key,))

    async def _send(self, order: CallBody) -> Outcome:
        intent = order.intent
        quiet = intent.action in {"good", "odd"}
        path = "/v2/change/enqueue" if quiet else "/v2/enqueue"
        event = _fitted(order, quiet=quiet)
        digest = hashlib.sha256(json.dumps(event, sort_keys=True).encode()).hexdigest()
        body = json.dumps({"routing_key": self._routing_key, **event}).encode()
        headers = {"Content-Type": "application/json"}
        async with self._session.post(self._base + path, data=body, headers=headers) as answer:
            text = (await answer.read()).decode("utf-8", "replace")
            if answer.status == _ACCEPTED:
                return Delivered({"dedup_key": intent.dedup_key}, digest)
            kind = class_of_status(answer.status)
            if answer.status == _BAD_REQUEST and "key" in text.lower() and "dedup" not in text.lower():
                kind = "config"
            said = redacted(f"status {answer.status}: {text}", (self._routing_key,))
            return Refused(kind, said, answer.headers.get("Retry-After"), seen=possibly_seen(kind))


def _fitted(order: CallBody, *, quiet: bool) -> dict[str, Any]:
    """The event, without its details if they would make it too large."""
    build = change_event if quiet else pagerduty_event
    event = build(order.intent, minimal=order.minimal)
    if len(json.dumps(event).encode()) > _BODY_CAP:
        return build(order.intent, minimal=True)
    return event
