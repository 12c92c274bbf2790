"""The pipeline's own records as bytes, and what becomes of bytes that are none."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas import wire
from schemas.codec import decode_partial, decode_score, decode_voice, encode, encode_event
from schemas.events import ConnectionEvent, EventData, FractalMetadata
from schemas.rejects import Rejected, RejectReason
from schemas.types import Level

from . import strategies as some

SCORE = wire.ScoreWire(
    id="s-1",
    subject="connection:c-1",
    level=Level.CONNECTION,
    window_start=0,
    window_end=30_000,
    revision=0,
    pain=0.0,
    chaos=0.25,
    trust=0.5,
    omega=wire.OmegasWire(1.0, 0.9, 0.1),
    dimension=1,
    counts=wire.CountsWire(1, 1, 0, 0),
    link_state="up",
    contributors=(wire.ContributorWire("0-0", "connection_lost", 1.0, 0, 0),),
    entropy=0.0,
)
SCORE_JSON = (
    b'{"schema_version":"1.0","id":"s-1","subject":"connection:c-1","level":"connection","window_start":0,'
    b'"window_end":30000,"revision":0,"pain":0.0,"chaos":0.25,"trust":0.5,"omega":{"pain":1.0,"chaos":0.9,"trust":0.1},'
    b'"dimension":1,"counts":{"events":1,"successes":1,"failures":0,"anomalies":0},"link_state":"up","contributors":'
    b'[{"event_id":"0-0","delta":"connection_lost","share":1.0,"partition":0,"offset":0}],"entropy":0.0}'
)


def test_a_record_is_written_field_by_field_and_without_what_is_none():
    assert encode(SCORE) == SCORE_JSON


def test_a_map_is_written_in_the_order_of_its_keys():
    def progress(live: dict[str, int]) -> bytes:
        return encode(wire.ProgressWire(id="p", level=Level.SEAM, source=0, window_end=0, watermark=0, live=live))

    assert progress({"b": 1, "a": 2}) == progress({"a": 2, "b": 1})


def test_an_event_is_written_by_alias_and_without_what_it_does_not_say():
    event = ConnectionEvent(
        delta="connection_lost",
        lambda_="watch_and_plan",
        fractal_metadata=FractalMetadata(seam_id="data_contract"),
        data=EventData(attempt=2),
    )
    assert encode_event(event) == (
        b'{"delta":"connection_lost","lambda":"watch_and_plan","fractal_metadata":{"seam_id":"data_contract"},'
        b'"data":{"attempt":2},"schema_version":"1.0"}'
    )


@pytest.mark.parametrize(
    ("value", "reason", "path"),
    [
        (b"", "not_json", None),
        (b"{", "not_json", None),
        (b"\xff", "not_json", None),
        (SCORE_JSON + b"x", "not_json", None),
        (SCORE_JSON.replace(b"s-1", b"\xff"), "not_json", None),
        (SCORE_JSON[:-1] + b',"x":' + b"[" * 100_000, "not_json", None),
        (b"[]", "wrong_type", None),
        (b'{"schema_version":"1.0"}', "missing_field", "id"),
        (SCORE_JSON.replace(b'"successes":1,', b""), "missing_field", "counts.successes"),
        (SCORE_JSON.replace(b'"revision":0', b'"revision":"0"'), "wrong_type", "revision"),
        (SCORE_JSON.replace(b'"share":1.0', b'"share":true'), "wrong_type", "contributors"),
        (SCORE_JSON.replace(b'"pain":0.0', b'"pain":1.5'), "wrong_type", "pain"),
        (SCORE_JSON.replace(b'"up"', b'"sideways"'), "wrong_type", "link_state"),
        (SCORE_JSON.replace(b'"1.0"', b'"2.0"'), "unknown_version", "schema_version"),
        (b'{"schema_version":"2.0","all":"different"}', "unknown_version", "schema_version"),
        (b'{"schema_version":7,"all":"different"}', "wrong_type", "schema_version"),
    ],
)  # fmt: skip
def test_a_record_that_does_not_fit_is_rejected_with_reason_and_place(value, reason, path):
    assert decode_score(value) == Rejected(RejectReason(reason), path)


def test_what_later_minor_versions_add_is_not_read():
    value = SCORE_JSON.replace(b'"1.0"', b'"1.7"')[:-1] + b',"mood":[1]}'
    assert decode_score(value) == msgspec.structs.replace(SCORE, schema_version="1.7")


@pytest.mark.parametrize("value", [b'{"kind":"gossip"}', b"{}"])
def test_what_is_neither_partial_nor_progress_is_rejected_by_its_kind(value):
    verdict = decode_partial(value)
    assert isinstance(verdict, Rejected)
    assert verdict.path == "kind"


@given(st.binary(max_size=200) | some.json_values.map(repr).map(str.encode))
def test_decoding_never_raises(value):
    for decode in (decode_score, decode_voice, decode_partial):
        assert isinstance(decode(value), Rejected)
