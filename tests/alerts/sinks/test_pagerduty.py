from __future__ import annotations

import json
from typing import Any

import pytest

from alerts.sinks.pagerduty import PagerDutySink

PAYLOAD = {"summary": "s", "source": "x", "severity": "critical"}


def event(action: str = "trigger", key: str = "k", routing_key: str = "r1", **payload: Any) -> bytes:
    return json.dumps(
        {"routing_key": routing_key, "event_action": action, "dedup_key": key, "payload": PAYLOAD | payload}
    ).encode()


def statuses(sink: PagerDutySink) -> list[tuple[str, int]]:
    return [(one["status"], one["triggers"]) for one in sink.incidents]


def test_triggers_on_an_open_key_are_one_incident_and_after_a_resolve_a_new_one() -> None:
    sink = PagerDutySink(lambda: 0.0)
    for action in ("trigger", "trigger", "acknowledge", "resolve", "trigger"):
        assert sink.enqueue(event(action))[0] == 202
    assert statuses(sink) == [("resolved", 2), ("triggered", 1)]


def test_a_resolve_by_another_key_is_accepted_and_ignored() -> None:
    sink = PagerDutySink(lambda: 0.0)
    sink.enqueue(event())
    assert sink.enqueue(event("resolve", routing_key="r2"))[0] == 202
    assert sink.enqueue(event("resolve", key="other"))[0] == 202
    assert statuses(sink) == [("triggered", 1)]
    assert [one["dedup_key"] for one in sink.ignored] == ["k", "other"]


@pytest.mark.parametrize(
    ("raw", "status"),
    [
        (event(), 202),
        (event("explode"), 400),
        (event(severity="bad"), 400),
        (event(summary=""), 400),
        (event(summary="x" * 1_025), 400),
        (event(key="x" * 256), 400),
        (event("resolve", key=""), 400),
        (event(routing_key="wrong"), 400),
        (b"?", 400),
        (b"[]", 400),
        (b" " * 524_289, 413),
    ],
)
def test_bad_events_are_refused(raw: bytes, status: int) -> None:
    assert PagerDutySink(lambda: 0.0, keys=frozenset({"r1"})).enqueue(raw)[0] == status


def test_events_are_limited_per_minute() -> None:
    now = [0.0]
    sink = PagerDutySink(lambda: now[0], per_minute=2)
    assert [sink.enqueue(event())[0] for _ in range(3)] == [202, 202, 429]
    now[0] = 60.0
    assert sink.change(event())[0] == 202
    assert len(sink.changes) == 1
    assert sink.change(event(summary=""))[0] == 400
