"""Whatever the bytes are, there is one verdict; and order, spelling and spacing of good ones do not matter."""

from __future__ import annotations

import json
import random

from hypothesis import given
from hypothesis import strategies as st

from schemas.admission import ALIASES
from schemas.hot import HotEvent
from schemas.rejects import Rejected, RejectReason
from schemas.types import Origin

from . import strategies as some
from .bodies import BROKER_TS, GOOD, ORIGIN, decode

NOT_OF_ONE_VALUE = {RejectReason.ID_CONFLICT, RejectReason.INTERNAL_ERROR}
WITHOUT_PATH = {
    RejectReason.EMPTY, RejectReason.UNSUPPORTED_ENCODING, RejectReason.NOT_UTF8, RejectReason.TOO_DEEP,
    RejectReason.NOT_JSON, RejectReason.NOT_OBJECT, RejectReason.DUP_KEY,
}  # fmt: skip

origins = st.builds(Origin, st.none() | st.binary(max_size=200), st.integers(0, 99), st.integers(0, 2**63), some.times)
fragments = st.sampled_from(
    [b"{", b"}", b"[", b"]", b'"', b"\\", b":", b",", b"null", b"NaN", b"-0.0", b"1e999", b"\\ud800", b"\xff", b"\xef\xbb\xbf", b"\x00",
     b'"delta"', b'"omega"', "\u2206".encode(), b'"data":', b"1" * 101, b" ", b"\n", b"true", b'"ts":"2023-13-01T00:00:00Z"']
)  # fmt: skip


def verdict(value: bytes, origin: Origin = ORIGIN) -> HotEvent | Rejected:
    got = decode(value, origin)
    if isinstance(got, Rejected):
        assert got.reason not in NOT_OF_ONE_VALUE
        assert got.reason not in WITHOUT_PATH or got.path is None
        assert got.path is None or got.path.encode()
    else:
        check(got, origin)
    assert decode(value, origin) == got
    return got


def check(got: HotEvent, origin: Origin) -> None:
    """What scoring relies on."""
    assert 0 <= got.omega <= 1
    assert 1 <= got.dimension <= 10
    assert got.time == min(got.ts, origin.broker_ts)
    assert got.ts - origin.broker_ts <= 300_000
    assert all(claim is None or 0 <= claim <= 1 for claim in (got.voice_pain, got.voice_chaos, got.voice_trust))
    assert 1 <= len(got.connection_id) <= 128
    assert "\x1f" not in got.connection_id + got.event_id + (got.experiment_id or "")
    assert all(type(number) is float for number in (got.omega, got.voice_pain or 0.0, got.latency_ms or 0.0))
    assert len(got.unknown_fields) <= 64


@given(st.binary(max_size=300), origins)
def test_any_bytes_have_a_verdict(value, origin):
    verdict(value, origin)


@given(st.lists(fragments, max_size=30).map(b"".join), origins)
def test_any_pieces_of_json_have_a_verdict(value, origin):
    verdict(value, origin)


@given(some.events, st.data())
def test_a_mutilated_event_has_a_verdict(members, data):
    value = bytearray(json.dumps(members, ensure_ascii=data.draw(st.booleans())).encode())
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(value)))
        value[at : at + data.draw(st.integers(0, 3))] = data.draw(fragments | st.binary(max_size=3))
    verdict(bytes(value))


@given(
    some.events,
    st.sampled_from([*GOOD, "ts", "data", "seq", "event_id", "more"]),
    some.json_values,
)
def test_an_event_with_any_value_in_any_field_has_a_verdict(members, name, value):
    verdict(json.dumps({**members, name: value}).encode())


@given(some.events)
def test_a_good_event_is_accepted_with_equal_values(members):
    got = verdict(json.dumps(members).encode())
    assert isinstance(got, HotEvent), got
    metadata, data = members.get("fractal_metadata", {}), members.get("data", {})
    assert {
        "delta": got.delta, "dimension": got.dimension, "omega": got.omega, "lambda": got.lambda_,
    } == {name: members[name] for name in ("delta", "dimension", "omega", "lambda")}  # fmt: skip
    assert (got.voice_pain, got.voice_chaos, got.voice_trust, got.latency_ms) == (
        metadata.get("voice_pain"), metadata.get("voice_chaos"), metadata.get("voice_trust"), data.get("latency_ms"),
    )  # fmt: skip
    for name in ("session_id", "episode_id", "agent_id", "trace_id", "parent_id", "seq", "experiment_id"):
        assert getattr(got, name) == members.get(name)
    assert got.connection_id == members.get("connection_id", "c-1")
    assert got.event_id == members.get("event_id", "3-7")
    assert got.ts == members.get("ts", BROKER_TS)


@given(some.events, st.randoms(use_true_random=False), st.sampled_from([None, 1]), st.booleans())
def test_order_spacing_and_spelling_change_nothing(members, dice: random.Random, indent, ascii_only):
    names = list(members)
    dice.shuffle(names)
    spellings = {"delta": ["delta"], "omega": ["omega"], "lambda": ["lambda"], "dimension": ["dimension"]}
    for alias, name in ALIASES.items():
        spellings[name].append(alias)
    other = {dice.choice(spellings.get(name, [name])): members[name] for name in names}
    assert decode(json.dumps(other, indent=indent, ensure_ascii=ascii_only).encode()) == decode(
        json.dumps(members).encode()
    )
