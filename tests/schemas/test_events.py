"""The published event: what the model makes, the decoder accepts with equal values."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from pydantic import ValidationError

from schemas.codec import encode_event
from schemas.events import ConnectionEvent, EventData, FractalMetadata
from schemas.hot import HotEvent

from . import strategies as some
from .bodies import BROKER_TS, REQUIREMENT_EXAMPLE, decode


def test_the_requirements_own_example_is_an_event():
    assert ConnectionEvent.model_validate_json(REQUIREMENT_EXAMPLE) == ConnectionEvent(
        delta="connection_established",
        dimension=2,
        omega=0.9,
        lambda_="monitor_stability",
        fractal_metadata=FractalMetadata(
            voice_pain=0.1, voice_chaos=0.1, voice_trust=0.8, seam_id="network_infrastructure"
        ),
    )


@given(some.events)
def test_what_the_model_writes_is_accepted_with_equal_values(members):
    event = ConnectionEvent.model_validate_json(json.dumps(members))
    value = encode_event(event)
    assert json.loads(value) == {"schema_version": "1.0", **members}
    got = decode(value)
    assert isinstance(got, HotEvent)
    assert got == decode(json.dumps(members).encode())
    said = {
        "delta": got.delta,
        "dimension": got.dimension,
        "omega": got.omega,
        "lambda_": got.lambda_,
        "connection_id": event.connection_id and got.connection_id,
        "event_id": event.event_id and got.event_id,
        "ts": event.ts and got.ts,
        "seq": got.seq,
        "lambda_deadline_s": event.lambda_deadline_s and got.lambda_deadline_s,
        "experiment_id": got.experiment_id,
    }
    assert said == {name: getattr(event, name) for name in said}


def test_what_nobody_knows_is_kept():
    event = ConnectionEvent(delta="connection_lost", data=EventData.model_validate({"peer": {"as": 64512}}))
    later = ConnectionEvent.model_validate({**event.model_dump(), "mood": [1, None]})
    assert json.loads(encode_event(later)) == {
        "delta": "connection_lost",
        "data": {"peer": {"as": 64512}},
        "schema_version": "1.0",
        "mood": [1, None],
    }


@pytest.mark.parametrize(
    ("ts", "instant"),
    [("2023-11-14T22:13:20Z", BROKER_TS), ("2023-11-14T23:13:20.0009+01:00", BROKER_TS), (BROKER_TS, BROKER_TS)],
)
def test_a_time_is_written_as_milliseconds(ts, instant):
    event = ConnectionEvent.model_validate({"delta": "connection_lost", "ts": ts})
    assert event.ts == instant
    assert json.loads(encode_event(event))["ts"] == instant


@pytest.mark.parametrize(
    "wrong",
    [
        {"delta": "No"},
        {"delta": "connection_lost\n"},
        {"dimension": 11},
        {"dimension": 2.0},
        {"dimension": True},
        {"omega": "0.9"},
        {"omega": float("nan")},
        {"omega": 1.1},
        {"lambda": "x"},
        {"fractal_metadata": {"seam_id": "s"}},
        {"fractal_metadata": {"voice_pain": -0.1}},
        {"event_id": ""},
        {"event_id": "e" * 65},
        {"connection_id": "a\x00"},
        {"connection_id": "a\u202e"},
        {"connection_id": "c" * 129},
        {"ts": "2023-11-14T22:13:20"},
        {"ts": 1_700_000_000},
        {"ts": 1.5},
        {"ts": True},
        {"seq": -1},
        {"seq": 2**63},
        {"lambda_deadline_s": 0},
        {"data": {"latency_ms": float("inf")}},
        {"data": {"close_code": 999}},
        {"data": {"attempt": 0}},
        {"data": {"reason": "r" * 513}},
        {"schema_version": "2.0"},
    ],
)
def test_a_wrong_field_is_refused(wrong):
    with pytest.raises(ValidationError):
        ConnectionEvent.model_validate({"delta": "connection_lost", **wrong})


def test_the_contract_names_the_fields_as_they_stand_on_the_wire():
    schema = ConnectionEvent.model_json_schema()
    assert schema["required"] == ["delta"]
    assert "lambda" in schema["properties"]
    assert "lambda_" not in schema["properties"]
