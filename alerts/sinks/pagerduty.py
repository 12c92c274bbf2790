"""PagerDuty's Events v2 as far as it matters to a sender: incidents by dedup key, changes, limits. No HTTP here.

Source: developer.pagerduty.com: Events API v2, change events, rate limits.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from hashlib import sha256
from typing import Any

__all__ = ["PagerDutySink"]

_EVENTS_A_MINUTE = 120
_MINUTE = 60.0
_BODY = 512 * 1024
_SUMMARY = 1_024
_DEDUP_KEY = 255
_ACTIONS = frozenset({"trigger", "acknowledge", "resolve"})
_SEVERITIES = frozenset({"critical", "error", "warning", "info"})


class PagerDutySink:
    """One account. ``enqueue`` and ``change`` answer like PagerDuty: status and body."""

    def __init__(
        self, clock: Callable[[], float], *, keys: frozenset[str] = frozenset(), per_minute: int = _EVENTS_A_MINUTE
    ) -> None:
        """An empty set accepts any routing key."""
        self._clock = clock
        self._keys = keys
        self._per_minute = per_minute
        self._events: list[float] = []
        self.incidents: list[dict[str, Any]] = []
        self.changes: list[dict[str, Any]] = []
        self.ignored: list[dict[str, Any]] = []
        """Resolves of what is not open, or by another key: accepted and without effect."""

    def enqueue(self, raw: bytes) -> tuple[int, dict[str, Any]]:
        """Answer ``/v2/enqueue``."""
        event, refusal = self._taken(raw)
        if event is None:
            return refusal
        action, key = event.get("event_action"), str(event.get("dedup_key") or "")
        payload = event.get("payload") or {}
        faults = []
        if action not in _ACTIONS:
            faults.append("'event_action' is invalid")
        if len(key) > _DEDUP_KEY or (action in {"acknowledge", "resolve"} and not key):
            faults.append("'dedup_key' is invalid")
        if action == "trigger":
            faults += [
                f"'payload.{name}' is missing or blank" for name in ("summary", "source") if not payload.get(name)
            ]
            if payload.get("severity") not in _SEVERITIES:
                faults.append("'payload.severity' is invalid")
            if len(str(payload.get("summary", ""))) > _SUMMARY:
                faults.append("'payload.summary' is too long")
        if faults:
            return _invalid(faults)
        alias = _alias(event["routing_key"])
        open_one = self._open(alias, key)
        if action == "trigger":
            self._trigger(alias, key or f"sink-{len(self.incidents)}", payload, open_one)
        elif open_one is None:
            self.ignored.append({"action": action, "dedup_key": key, "service": alias, "at": self._clock()})
        elif action == "resolve":
            open_one |= {"status": "resolved", "resolved_at": self._clock()}
        else:
            open_one["status"] = "acknowledged"
        return 202, {"status": "success", "message": "Event processed", "dedup_key": key}

    def change(self, raw: bytes) -> tuple[int, dict[str, Any]]:
        """Answer ``/v2/change/enqueue``."""
        event, refusal = self._taken(raw)
        if event is None:
            return refusal
        payload = event.get("payload") or {}
        if not payload.get("summary") or len(str(payload["summary"])) > _SUMMARY:
            return _invalid(["'payload.summary' is missing or too long"])
        self.changes.append({"service": _alias(event["routing_key"]), "payload": payload, "at": self._clock()})
        return 202, {"status": "success", "message": "Change event processed"}

    def _taken(self, raw: bytes) -> tuple[dict[str, Any] | None, tuple[int, dict[str, Any]]]:
        now = self._clock()
        if len(raw) > _BODY:
            return None, (413, {"status": "invalid event", "message": "Request entity too large"})
        try:
            event = json.loads(raw)
        except ValueError:
            event = None
        if not isinstance(event, dict):
            return None, _invalid(["body is not a JSON object"])
        key = event.get("routing_key")
        if not isinstance(key, str) or not key or (self._keys and key not in self._keys):
            return None, _invalid(["Routing key is invalid"])
        self._events = [at for at in self._events if now - at < _MINUTE]
        if len(self._events) >= self._per_minute:
            return None, (429, {"status": "throttle exceeded", "message": "Requests are sent too quickly"})
        self._events.append(now)
        return event, (202, {})

    def _open(self, alias: str, key: str) -> dict[str, Any] | None:
        return next(
            (
                one
                for one in self.incidents
                if one["service"] == alias and one["dedup_key"] == key and one["status"] != "resolved"
            ),
            None,
        )

    def _trigger(self, alias: str, key: str, payload: dict[str, Any], open_one: dict[str, Any] | None) -> None:
        """A trigger on an open key is one more alert of the same incident; after a resolve it is a new incident."""
        if open_one is not None:
            open_one["triggers"] += 1
            open_one["payload"] = payload
            return
        self.incidents.append(
            {
                "service": alias,
                "dedup_key": key,
                "status": "triggered",
                "triggers": 1,
                "payload": payload,
                "opened_at": self._clock(),
                "resolved_at": None,
            }
        )


def _alias(routing_key: str) -> str:
    """Which service a key belongs to, without telling the key."""
    return sha256(routing_key.encode()).hexdigest()[:8]


def _invalid(faults: list[str]) -> tuple[int, dict[str, Any]]:
    return 400, {"status": "invalid event", "message": "Event object is invalid", "errors": faults}
