"""Events in words for people."""

from __future__ import annotations

import pytest

from pipeline.agents.core.facts import SPEECH, Fact, Scalar, Stamp, describe
from pipeline.agents.running import words

DATA: dict[str, Scalar] = {
    "proof": "pong", "connect_ms": 12, "outage_ms": 3_210, "endpoint": "ws://h/", "down_ms": 120_000, "waited_ms": 2_000,
    "dropped": 3, "lag_ms": 1_500,
}  # fmt: skip
FAILURE: dict[str, Scalar] = {"error_category": "network", "reason": "ECONNREFUSED", "retry_in_ms": 640}


@pytest.mark.parametrize(
    ("delta", "data", "expected"),
    [
        ("connection_established", DATA, "proved by pong in 12 ms, ws://h/"),
        ("connection_recovered", DATA, "proved again by pong after 3.2 s, ws://h/"),
        ("connection_stable", DATA, "stable again"),
        ("connection_suspended", DATA, "no service for 120 s: retrying slowly"),
        ("connection_closed", DATA, "closed"),
        ("heartbeat_missed", DATA, "a ping was not answered within 2.0 s, trying once more"),
        ("telemetry_dropped", DATA, "3 events dropped"),
        ("local_stall_detected", DATA, "this process stood still for 1.5 s"),
        ("connection_lost", FAILURE, "down: network: ECONNREFUSED; next attempt in 0.6 s"),
        (
            "connection_closed_by_peer",
            {"error_category": "network", "close_code": 1000, "retry_in_ms": 0},
            "down: network: 1000; next attempt in 0.0 s",
        ),
        ("auth_rejected", {"error_category": "auth", "reason": "HTTP 401"}, "down: auth: HTTP 401"),
        (
            "connection_abandoned",
            {"error_category": "auth", "reason": "HTTP 401"},
            "given up, needs a human: auth: HTTP 401",
        ),
        ("heartbeat_summary", {"latency_ms": 3.0}, None),
        ("agent_report", {}, None),
    ],
)
def test_an_event_is_told_in_words_if_it_says_something_new(delta, data, expected):
    event = describe(Fact(delta, "a/b", data=data), 1_800_000_000_000, Stamp("a.1", 0))
    assert words(event) == expected


def test_words_never_hold_the_name_of_a_delta_so_that_data_and_talk_can_be_told_apart():
    for delta in SPEECH:
        told = words(describe(Fact(delta, "a/b", data={**DATA, **FAILURE}), 1_800_000_000_000, Stamp("a.1", 0)))
        assert told is None or not any(other in told for other in SPEECH)
