"""The fast path of decoding: events that are plain, so that what msgspec reads of them is proved to be all there is.

What is taken here ``admission.admit`` accepts with equal values. What is not plain, whether bad or only odd, is left to
it: this module never says why not.

Why msgspec (0.22) alone proves nothing: of a key that comes twice it takes the last, and it does not look inside fields
it does not know. Why it proves enough behind these guards: a field nobody knows is an error, so every string is a known
name or decoded as UTF-8, every number is read, no level is below the second (E4 to E6, E11); it is strict and takes no
``2.0`` for an integer and no ``true`` for a number (E10); control characters are errors. What is left is asked here.
"""

from __future__ import annotations

from typing import Annotated, Final, TypeAlias

import msgspec
from msgspec import Meta

from .admission import AHEAD_AT_MOST, DEADLINE_S, known_version
from .fields import EVENT_FIELDS, MAX_DATA_BYTES
from .hot import HotEvent
from .names import MAX_EVENT_ID, MAX_ID, has_id_characters
from .registry import DeltaRegistry
from .timestamps import EARLIEST_INTEGER, LATEST_INTEGER, instant_of_text
from .types import Origin

__all__ = ["read_plain"]

_Unit: TypeAlias = Annotated[float, Meta(ge=0, le=1)]
_Id: TypeAlias = Annotated[str, Meta(min_length=1, max_length=MAX_ID)]
_Scalar: TypeAlias = str | Annotated[int, Meta(ge=-(2**63), le=2**63 - 1)] | float | bool | None
"""Of ``data``. No lists and objects, so nothing is deep; no integer of more than 100 digits."""


class _Claims(msgspec.Struct, gc=False, forbid_unknown_fields=True):
    """``fractal_metadata``. Its seam is asked for its pattern together with the other names."""

    seam_id: str | None = None
    voice_pain: _Unit | None = None
    voice_chaos: _Unit | None = None
    voice_trust: _Unit | None = None


class _Plain(msgspec.Struct, gc=False, forbid_unknown_fields=True):
    """An event as msgspec reads it: in the order in which our agents write, for that is the quickest to look up.

    ``null`` reads as not there, which it is not: the key it came with is what the count of strings does not expect.
    """

    delta: str
    dimension: Annotated[int, Meta(ge=1, le=10)] | None = None
    omega: _Unit | None = None
    lambda_: str | None = msgspec.field(default=None, name="lambda")
    fractal_metadata: _Claims | None = None
    event_id: Annotated[str, Meta(min_length=1, max_length=MAX_EVENT_ID)] | None = None
    connection_id: _Id | None = None
    ts: Annotated[int, Meta(ge=EARLIEST_INTEGER, le=LATEST_INTEGER)] | str | None = None
    session_id: _Id | None = None
    episode_id: _Id | None = None
    agent_id: _Id | None = None
    trace_id: _Id | None = None
    parent_id: _Id | None = None
    seq: Annotated[int, Meta(ge=0, le=2**63 - 1)] | None = None
    lambda_deadline_s: Annotated[int, Meta(ge=1, le=86_400)] | None = None
    data: dict[str, _Scalar] | None = None
    experiment_id: _Id | None = None
    schema_version: str | None = None


_BACKSLASH, _DEL = 0x5C, 0x7F  # a number is found in bytes five times as fast as bytes are
_decode: Final = msgspec.json.Decoder(_Plain).decode
_DATA_CHECKS: Final = {name: field.check for name, field in (EVENT_FIELDS["data"].members or {}).items()}


def read_plain(value: bytes, origin: Origin, registry: DeltaRegistry) -> HotEvent | None:
    """The event, if it is plain and good; None leaves the verdict to the full check.

    Shape: written in one piece and without calls, because it is what each event costs.
    """
    # Data are at most as long as the value (E2). Without escapes a string is the bytes between two quotes, which
    # has no lone surrogate and no control character.
    if len(value) > MAX_DATA_BYTES or _BACKSLASH in value:
        return None
    try:
        event = _decode(value)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None

    # Keys and texts of what was read are counted as they are looked at; ``delta`` and its key are the first.
    strings = 2
    claims = event.fractal_metadata
    if claims is None:
        seam_id = pain = chaos = trust = None
    else:
        strings += 1
        seam_id, pain, chaos, trust = claims.seam_id, claims.voice_pain, claims.voice_chaos, claims.voice_trust
        if seam_id is not None:
            strings += 2
        if pain is not None:
            strings += 1
            pain = pain or 0.0  # -0.0 stands for 0
        if chaos is not None:
            strings += 1
            chaos = chaos or 0.0
        if trust is not None:
            strings += 1
            trust = trust or 0.0

    lambda_ = event.lambda_
    if lambda_ is not None:
        strings += 2
    # The patterns of names, and what the registry fills in: asked once for each three names.
    meaning = registry.meanings.get((event.delta, lambda_, seam_id)) or registry.meaning(event.delta, lambda_, seam_id)
    if meaning is None:
        return None
    known, delta, lambda_, seam_id, dimension, omega = meaning
    if event.dimension is not None:
        strings += 1
        dimension = event.dimension
    if event.omega is not None:
        strings += 1
        omega = event.omega or 0.0
    if dimension is None or omega is None:
        return None

    key, broker_ts = origin.key, origin.broker_ts
    event_id, connection_id = event.event_id, event.connection_id
    session_id, episode_id, agent_id = event.session_id, event.episode_id, event.agent_id
    trace_id, parent_id, experiment_id = event.trace_id, event.parent_id, event.experiment_id
    # Visible ASCII is what JSON allows in a string but DEL; anything else is asked character by character.
    if not value.isascii() or _DEL in value:
        for text in (event_id, connection_id, session_id, episode_id, agent_id, trace_id, parent_id, experiment_id):
            if text is not None and not has_id_characters(text):
                return None
    explicit_id = event_id is not None
    if event_id is None:
        event_id = f"{origin.partition}-{origin.offset}"
    else:
        strings += 2
    key_mismatch = False
    if connection_id is not None:
        strings += 2
        key_mismatch = key is not None and key != connection_id.encode()
    else:
        if key is None:
            return None
        try:
            connection_id = key.decode()
        except UnicodeDecodeError:
            return None
        if len(connection_id) > MAX_ID or not has_id_characters(connection_id):
            return None
    if session_id is not None:
        strings += 2
    if episode_id is not None:
        strings += 2
    if agent_id is not None:
        strings += 2
    if trace_id is not None:
        strings += 2
    if parent_id is not None:
        strings += 2
    if experiment_id is not None:
        strings += 2

    ts = event.ts
    if ts is None:
        ts = broker_ts
    else:
        strings += 1
        if isinstance(ts, str):
            strings += 1
            ts = instant_of_text(ts)
            if ts is None:
                return None
    if ts - broker_ts > AHEAD_AT_MOST:
        return None

    seq, deadline_s, version = event.seq, event.lambda_deadline_s, event.schema_version
    if seq is not None:
        strings += 1
    if deadline_s is None:
        deadline_s = DEADLINE_S
    else:
        strings += 1
    if version is not None:
        strings += 2
        if version != "1.0" and not known_version(version):
            return None

    latency_ms = None
    data = event.data
    if data is not None:
        strings += 1 + len(data)
        for name, item in data.items():
            if name == "latency_ms":  # of heartbeats, so nearly always: no call
                if (type(item) is not float and type(item) is not int) or item < 0:
                    return None
                latency_ms = item + 0.0
            else:
                if type(item) is str:
                    strings += 1
                if name in _DATA_CHECKS and _DATA_CHECKS[name](item) is not None:
                    return None

    # Without escapes each string has two quotes and no other, so the value has as many strings as were counted or
    # more: a key that came twice (E7), with a text or without, or one that came with ``null`` (E10).
    if value.count(b'"') != 2 * strings:
        return None
    return HotEvent(
        connection_id,
        delta,
        known,
        dimension,
        omega,
        lambda_,
        seam_id,
        event_id,
        explicit_id,
        ts,
        ts if ts < broker_ts else broker_ts,  # noqa: FURB136  # a call is three times as slow
        origin.partition,
        origin.offset,
        pain,
        chaos,
        trust,
        latency_ms,
        experiment_id,
        session_id,
        episode_id,
        agent_id,
        trace_id,
        parent_id,
        seq,
        deadline_s,
        (),
        key_mismatch,
    )
