from __future__ import annotations

import json
from typing import Any

import pytest

from alerts.intake import Intake
from alerts.policy.model import AlertRules
from pipeline.runtime.contract import Assignment, LogRecord, Output, StateRecord
from schemas.routing import parse_routing
from tests.alerts.saying import spoken, voice_bytes_of

NOW = 1_700_000_000_123
SEAM = b"seam:network_infrastructure"


def intake(partition: int = 0) -> Intake:
    fresh = Intake(Assignment(partition, {"voices.v1": 2}), AlertRules())
    fresh.restore([])
    return fresh


def record(value: bytes | None, offset: int = 0, key: bytes = SEAM) -> LogRecord:
    return LogRecord("voices.v1", 0, offset, NOW, key, value)


def test_a_voice_is_copied_byte_for_byte_and_keeps_its_key() -> None:
    value = voice_bytes_of(spoken("raise"))
    effects = intake().apply([record(value)], NOW)
    [output] = effects.outputs
    assert (output.topic, output.key, output.value) == (
        "routing.v1",
        SEAM,
        b'{"schema_version":"1.0","kind":"voice","voice":' + value + b"}",
    )
    assert (effects.counts, effects.urgent) == ({"copied": 1}, True)
    read = parse_routing(output.value)
    assert read is not None
    assert read.voice == spoken("raise")


@pytest.mark.parametrize(
    ("what", "voice", "urgent"),
    [("raise", "Concern", False), ("hold", "Alarm", False), ("clear", "Alarm", True), ("change", "Alarm", True)],
)
def test_only_alarms_that_begin_or_end_are_urgent(what: str, voice: str, urgent: bool) -> None:
    assert intake().apply([record(voice_bytes_of(spoken(what, voice)))], NOW).urgent is urgent


@pytest.mark.parametrize(
    ("subject", "more", "gate"),
    [("seam:a@drill", {"experiment_id": "drill"}, "experiment"), ("connection:c-1", {}, "level")],
)
def test_what_can_reach_nobody_stops_here_with_a_decision(subject: str, more: dict[str, Any], gate: str) -> None:
    value = voice_bytes_of(spoken("raise", subject=subject, **more))
    effects = intake(1).apply([record(value, 41)], NOW)
    [output] = effects.outputs
    assert (output.topic, output.key, effects.counts, effects.urgent) == (
        "alerts.v1",
        subject.encode(),
        {gate: 1},
        False,
    )
    decision = json.loads(output.value or b"")
    assert (decision["gate"], decision["position"], decision["at"]) == (gate, 41, NOW)


@pytest.mark.parametrize("value", [b"", b"{}", b"\xff", b"[1]", b'{"delta":"voice_raised"}', b"null"])
def test_what_is_no_voice_is_counted(value: bytes) -> None:
    effects = intake().apply([record(value)], NOW)
    assert (effects.outputs, effects.counts) == ([], {"rejected": 1})


def test_a_tombstone_is_counted() -> None:
    assert intake().apply([record(None)], NOW).counts == {"tombstone": 1}


def test_partition_0_tells_each_second_once() -> None:
    clock = intake()
    said = [clock.tick(NOW + ms, at_end=True).outputs for ms in (0, 100, 876, 877, 900, 5_000)]
    assert [[output.value for output in outputs] for outputs in said] == [
        [b'{"schema_version":"1.0","kind":"tick","at":1700000000123}'],
        [],
        [],
        [b'{"schema_version":"1.0","kind":"tick","at":1700000001000}'],
        [],
        [b'{"schema_version":"1.0","kind":"tick","at":1700000005123}'],
    ]
    assert said[0] == [Output("routing.v1", b"tick", b'{"schema_version":"1.0","kind":"tick","at":1700000000123}')]


def test_other_partitions_and_a_backlog_tell_no_time() -> None:
    assert intake(1).tick(NOW, at_end=True).outputs == []
    assert intake(0).tick(NOW, at_end=False).outputs == []


def test_a_second_that_was_told_is_not_told_again_after_a_restart() -> None:
    first = intake()
    first.tick(NOW, at_end=True)
    state = list(first.snapshot())
    assert list(first.snapshot()) == []
    second = Intake(Assignment(0, {}), AlertRules())
    second.restore(state)
    assert second.tick(NOW + 500, at_end=True).outputs == []
    assert list(second.snapshot()) == []


def test_state_of_a_newer_format_is_refused() -> None:
    with pytest.raises(ValueError, match="format 9"):
        intake().restore([StateRecord(b"clock|", b'{"v":9,"d":{}}')])
