from __future__ import annotations

import json
from functools import cache
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from alerts.policy.model import AlertRules, Receiver, builtin_routes
from alerts.policy.routing_step import Plan
from alerts.router import Router
from pipeline.runtime.contract import LogRecord, Output, StateRecord
from schemas.decisions import DecisionRecord
from schemas.intents import IntentRecord
from schemas.routing import tick_bytes, voice_bytes
from schemas.types import Level
from schemas.voices import VoiceRecord
from tests.alerts.saying import spoken, voice_bytes_of

PLAN = Plan(
    AlertRules(levels=(Level.CONNECTION, Level.SEAM, Level.ECOSYSTEM)),
    builtin_routes(
        (Receiver("pagerduty", "pagerduty", "pagerduty:default"), Receiver("slack", "slack", "slack:default/C1"))
    ),
)
NOW = 1_700_000_000_000


def log_of(*records: VoiceRecord | int | None) -> list[LogRecord]:
    """Voices, and numbers for so many ticks."""
    values: list[bytes] = []
    for record in records:
        if isinstance(record, int):
            values += [tick_bytes(0)] * record
        else:
            values.append(b"?" if record is None else voice_bytes(voice_bytes_of(record)))
    return [LogRecord("routing.v1", 0, nth, NOW + nth * 1_000, b"k", value) for nth, value in enumerate(values)]


STORY = log_of(
    spoken("raise", "Concern", trust=0.2),
    31,
    spoken("raise", "Alarm", "connection:c-1"),
    spoken("change", "Alarm", end=60_000),
    5,
    spoken("raise", "Alarm", "ecosystem:iskra", end=60_000, worst_child="seam:network_infrastructure",
           children_over={"pain": 1, "chaos": 0, "distrust": 0}),
    None,
    spoken("hold", "Alarm", end=90_000, since=60_000, pain=0.95),
    130,
    spoken("clear", "Alarm", end=120_000, since=60_000),
    spoken("clear", "Alarm", "connection:c-1", end=120_000),
    20,
    spoken("celebrate", "Celebration", end=600_000),
)  # fmt: skip


def fresh(state: dict[bytes, bytes] | None = None) -> Router:
    router = Router(PLAN)
    router.restore([StateRecord(key, value) for key, value in (state or {}).items()])
    return router


def merged(state: dict[bytes, bytes], router: Router) -> None:
    for record in router.snapshot():
        if record.value is None:
            state.pop(record.key, None)
        else:
            state[record.key] = record.value


@cache
def whole() -> tuple[list[Output], dict[bytes, bytes]]:
    router, state = fresh(), dict[bytes, bytes]()
    outputs = router.apply(STORY, 0).outputs
    merged(state, router)
    return outputs, state


@given(st.lists(st.integers(0, len(STORY)), max_size=6), st.booleans())
def test_any_cut_into_batches_and_restarts_gives_the_same_outputs_and_state(cuts: list[int], restart: bool) -> None:
    router, state = fresh(), dict[bytes, bytes]()
    outputs: list[Output] = []
    edges = sorted({0, len(STORY), *cuts})
    for begin, end in pairwise(edges):
        outputs += router.apply(STORY[begin:end], 0).outputs
        merged(state, router)
        if restart:
            router = fresh(state)
    assert (outputs, state) == whole()


def test_each_record_has_one_outcome_and_garbage_is_counted() -> None:
    counts = fresh().apply(STORY, 0).counts
    assert counts == {"heard": 7, "held": 1, "tick": 186, "rejected": 1}
    assert sum(counts.values()) == len(STORY)


def test_what_it_writes_can_be_read_and_each_id_is_its_own() -> None:
    outputs, _ = whole()
    decisions = [DecisionRecord.model_validate_json(one.value or b"") for one in outputs if one.topic == "alerts.v1"]
    intents = [IntentRecord.model_validate_json(one.value or b"") for one in outputs if one.topic == "intents.v1"]
    assert [(one.kind, one.action, one.why) for one in intents] == [
        ("slack", "open", "first"),
        ("slack", "note", "escalated"),
        ("pagerduty", "open", "first"),
        ("slack", "update", "changed"),
        ("slack", "note", "stale"),
        ("slack", "resolve", "all_resolved"),
        ("pagerduty", "resolve", "all_resolved"),
        ("pagerduty", "open", "inhibitor_gone"),
        ("slack", "open", "inhibitor_gone"),
        ("slack", "good", "celebrated"),
    ]
    assert len({one.id for one in decisions}) == len(decisions)
    assert {one.key for one in outputs if one.topic == "intents.v1"} == {b"slack:default/C1", b"pagerduty:default"}
    named = sorted(name for one in decisions for verdict in one.verdicts for name in verdict.notification_ids)
    assert named == sorted(one.notification_id for one in intents)


def test_it_reads_no_clock_but_the_logs() -> None:
    assert fresh().tick(10**15, at_end=True).outputs == []
    assert fresh().apply(STORY, 10**15).outputs == whole()[0]


def test_no_output_holds_more_than_it_needs() -> None:
    outputs, _ = whole()
    assert max(len(one.value or b"") for one in outputs) < 4_000
    assert all(json.loads(one.value or b"") for one in outputs)
