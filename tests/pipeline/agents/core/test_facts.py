"""Facts as events."""

from __future__ import annotations

import pytest

from pipeline.agents.core.facts import ROUTINE, SPEECH, Fact, Stamp, describe, seam_of, telling_text
from schemas.codec import decode_event, encode_event
from schemas.registry import builtin_registry
from schemas.rejects import Rejected
from schemas.types import Origin


def test_a_fact_becomes_an_event_with_every_field_and_nothing_empty():
    fact = Fact(
        "connection_lost",
        "billing/orders",
        omega=0.9,
        deadline_s=61,
        session_id="s.1",
        episode_id="s.e1",
        data={"reason": "ECONNRESET", "close_code": None, "attempt": 1},
    )
    assert describe(fact, 1_800_000_000_000, Stamp("billing.17", 42)).model_dump(mode="json") == {
        "delta": "connection_lost",
        "dimension": 1,
        "omega": 0.9,
        "lambda": "attempt_reconnection_with_backoff",
        "fractal_metadata": {"seam_id": "network_infrastructure"},
        "event_id": "billing.17-0000000042",
        "connection_id": "billing/orders",
        "ts": 1_800_000_000_000,
        "session_id": "s.1",
        "episode_id": "s.e1",
        "agent_id": "billing.17",
        "seq": 42,
        "lambda_deadline_s": 61,
        "data": {"reason": "ECONNRESET", "attempt": 1},
        "schema_version": "1.0",
    }


def test_a_fact_may_name_its_own_seam_and_step():
    fact = Fact("seam_verified", "a/b", seam="load_balancing", lambda_="escalate_to_human")
    event = describe(fact, 1_800_000_000_000, Stamp("a.1", 0))
    assert event.fractal_metadata is not None
    assert (seam_of(fact), event.fractal_metadata.seam_id, event.lambda_) == ("load_balancing",) * 2 + (
        "escalate_to_human",
    )


@pytest.mark.parametrize("delta", sorted(SPEECH))
def test_what_agents_say_is_in_the_registry_with_the_same_depth_and_seam(delta):
    row, speech = builtin_registry().rows[delta], SPEECH[delta]
    assert (speech.dimension, speech.seam) == (row.dimension, row.seam)


@pytest.mark.parametrize("delta", sorted(SPEECH))
def test_what_agents_say_is_admitted_as_it_stands(delta):
    now = 1_800_000_000_000
    fact = Fact(delta, "agent:a", session_id="s", episode_id="e", deadline_s=60, data={"reason": "x", "own_field": 1})
    value = encode_event(describe(fact, now, Stamp("a.1", 7)))
    read = decode_event(value, Origin(b"agent:a", 0, 0, now), builtin_registry())
    assert not isinstance(read, Rejected)
    assert (read.delta, read.connection_id, read.ts, read.event_id) == (delta, "agent:a", now, "a.1-0000000007")


def test_what_a_full_ring_lets_go_first_changes_no_state():
    assert all(builtin_registry().rows[delta].outcome.value in "SL" for delta in ROUTINE)


def test_events_of_one_millisecond_sort_as_they_were_said():
    ids = [
        describe(Fact("agent_report", "agent:a"), 1_800_000_000_000, Stamp("a.1", seq)).event_id for seq in (9, 10, 100)
    ]
    assert ids == sorted(ids, key=str)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("going away", "going away"),
        ("\x1b[2J\nrm", "\\x1b[2J\\nrm"),
        ("\u202egnp", "\\u202egnp"),
        ("é" * 100, "é" * 61),
        ("x" * 500, "x" * 123),
        ("\ud800", "\\ud800"),
    ],
)
def test_a_peers_words_are_cut_and_made_harmless(text, expected):
    assert telling_text(text) == expected
