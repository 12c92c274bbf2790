"""What is said in a proof run: nine good events of ten, the rest every class of bad input, repeats and late ones.

Pure: a seed gives one stream, byte for byte; only an event that tells how long ago it happened takes its time from who
sends it. Nothing here decides what is accepted.

Source: reliability.md 4 and 7.1.
"""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from random import Random
from typing import Final, NamedTuple, TypeAlias

from schemas.types import Instant, Millis

__all__ = ["BAD", "GOOD", "LATE", "Said", "Speech", "speak"]

GOOD: Final = "good"
LATE: Final = "E18 late"
_REPEATED: Final = "E17 repeated"
_CONFLICT: Final = "E17 conflict"
_TOMBSTONE: Final = "E1 tombstone"

_NONE_LATE_BEFORE: Final = 300
"""The first event of a partition is never late, however old: it is where event time begins."""
_LONG_AGO: Final[Instant] = 1_500_000_000_000
_FAR_AHEAD: Final[Instant] = 90_000_000_000_000
_CALM: Final = (
    "connection_established", "reconnection_success", "connection_stable", "session_resumed", "batch_sent",
    "message_processed", "reconnect_scheduled", "cosmic_ray",
)  # fmt: skip
_TROUBLE: Final = (
    "connection_lost", "connection_failed", "connection_timeout", "heartbeat_timeout", "zombie_detected",
    "error_detected", "auth_failed", "server_overload", "protocol_violation", "circuit_opened", "buffer_overflow",
)  # fmt: skip
_OUTAGE: Final = ("connection_lost", "connection_failed", "connection_failed", "connection_timeout")
_SEAMS: Final = ("billing_edge", "mobile_gateway", "performance_monitoring", "other")
_LATENCIES: Final = (20, 90, 185, 186, 300, 500, 640, 1_001, 2_500)

_Body: TypeAlias = dict[str, object]


class Said(NamedTuple):
    """One event as it is to be sent."""

    id: str
    kind: str
    """``good``, or the class of what is wrong with it."""
    key: bytes | None
    value: bytes | None
    """Without its time, if it tells one relative to its sending."""
    behind: Millis | None = None
    """So long before its sending it happened; None: it says nothing of it, or a fixed time."""

    def told(self, now: Instant) -> bytes | None:
        """The value as it is sent at this moment."""
        if self.behind is None or self.value is None:
            return self.value
        return self.value[:-1] + b', "ts": %d}' % (now - self.behind)


@dataclass(frozen=True, slots=True)
class Speech:
    """How a stream is made. Shares 0..1; a storm's place is told in events, not in time."""

    links: int = 200
    good: float = 0.9
    trouble: float = 0.03
    storm_every: int = 6_000
    storm_events: int = 2_000
    """For so many events a third of the links is in trouble; a new third each time."""


def speak(seed: int, speech: Speech = Speech()) -> Iterator[Said]:
    """The endless stream of this seed."""
    dice = Random(seed)  # noqa: S311 a fault run wants the same dice again
    told: deque[tuple[bytes, _Body]] = deque(maxlen=500)
    number = 0
    while True:
        name = f"{seed}-{number}"
        link = dice.randrange(speech.links)
        key = b"c-%03d" % link
        if dice.random() < speech.good or not told:
            body = _good(dice, speech, number, link)
            value = json.dumps(body).encode()
            # A few say when it happened: a moment ago, out of order, or so long ago that it is late.
            behind = dice.choice((0, 50, 400, 900, 20_000)) if dice.random() < 0.04 else None
            if "event_id" in body and behind is None:
                told.append((key, body))
            yield Said(name, GOOD, key, value, behind)
        else:
            yield _flawed(dice, name, key, told, number)
        number += 1


def _good(dice: Random, speech: Speech, number: int, link: int) -> _Body:
    """One valid event. In a storm a third of the links fails most of the time."""
    storm, place = divmod(number, speech.storm_every)
    struck = place >= speech.storm_every - speech.storm_events and link % 3 == storm % 3
    if struck and dice.random() < 0.7:
        body: _Body = {"delta": dice.choice(_OUTAGE)}
    elif dice.random() < speech.trouble:
        body = {"delta": dice.choice(_TROUBLE)}
    elif dice.random() < 0.2:
        body = {"delta": dice.choice(_CALM)}
    else:
        body = {"delta": "heartbeat_success", "data": {"latency_ms": dice.choice(_LATENCIES[: 4 if place % 7 else 9])}}
    if body["delta"] == "cosmic_ray" or dice.random() < 0.2:
        body |= {"dimension": dice.randint(1, 10), "omega": round(dice.uniform(0.2, 1), 3)}
        body["lambda"] = "continue_monitoring"
    claims: _Body = {}
    if dice.random() < 0.05:
        claims[dice.choice(("voice_pain", "voice_chaos", "voice_trust"))] = dice.choice((0.0, 0.34, 0.5, 0.7, 1.0))
    if dice.random() < 0.05:
        claims["seam_id"] = dice.choice(_SEAMS)
    if claims:
        body["fractal_metadata"] = claims
    if dice.random() < 0.9:
        body["event_id"] = f"e-{number}"
    return body


def _flawed(dice: Random, name: str, key: bytes, told: deque[tuple[bytes, _Body]], number: int) -> Said:
    """One event that must not be scored as it stands."""
    kind = dice.choice(_FLAWS)
    if kind == LATE and number < _NONE_LATE_BEFORE:
        kind = _TOMBSTONE
    if kind == _REPEATED:
        first, body = dice.choice(told)
        return Said(name, kind, first, json.dumps(body).encode())
    if kind == _CONFLICT:
        first, body = dice.choice(told)
        return Said(name, kind, first, json.dumps({**body, "schema_version": "1.1"}).encode())
    if kind == _TOMBSTONE:
        return Said(name, kind, key, None)
    if kind == LATE:
        return Said(name, kind, key, _with(ts=_LONG_AGO))
    return Said(name, kind, None if kind == "E9 no connection" else key, BAD[kind](dice))


def _with(**fields: object) -> bytes:
    return json.dumps({"delta": "connection_lost", "dimension": 1, "omega": 0.9, **fields}).encode()


def _fixed(value: bytes) -> Callable[[Random], bytes]:
    return lambda _: value


BAD: Final[Mapping[str, Callable[[Random], bytes]]] = {
    "E2 empty": _fixed(b""),
    "E2 too large": lambda dice: b" " * (65_537 + dice.randrange(3)),
    "E2 large data": _fixed(_with(data={"note": "x" * 9_000})),
    "E3 envelope": lambda dice: dice.choice((b"\x1f\x8b\x08\x00", b"\x28\xb5\x2f\xfd", b"\x00\x00\x07")) + b"rest",
    "E4 not UTF-8": lambda dice: b'{"delta": "' + dice.choice((b"\xff", b"\xc0\xaf", b"\xe2\x82")) + b'"}',
    "E5 too deep": lambda dice: b"[" * (33 + dice.randrange(200)),
    "E6 not JSON": lambda dice: dice.choice((b"{", b"{'a': 1}", b'{"delta": "connection_lost",}', b"{} {}", b"   ")),
    "E7 no object": lambda dice: dice.choice((b"[1]", b'"text"', b"17", b"null", b"NaN")),
    "E7 key twice": _fixed(b'{"delta": "connection_lost", "delta": "connection_lost"}'),
    "E8 version": lambda dice: _with(schema_version=dice.choice(("2.0", "1", 1.0, "01.0"))),
    "E9 no delta": _fixed(b'{"dimension": 1, "omega": 0.9, "lambda": "continue_monitoring"}'),
    "E9 no connection": _fixed(_with()),
    "E10 type": lambda dice: _with(omega=dice.choice(("0.9", None, True, []))),
    "E11 nonfinite": lambda dice: b'{"delta": "connection_lost", "omega": ' + dice.choice((b"NaN", b"1e400")) + b"}",
    "E12 range": lambda dice: _with(omega=dice.choice((1.5, -0.1, 10**30))),
    "E13 too long": _fixed(_with(connection_id="x" * 129)),
    "E14 characters": lambda dice: _with(connection_id=dice.choice(("a\x07b", "", "a\u202eb"))),
    "E15 time": lambda dice: _with(ts=dice.choice(("2026-01-01T00:00:00", "2026-02-30T00:00:00Z", 17, 1.5))),
    "E16 future": _fixed(_with(ts=_FAR_AHEAD)),
}  # fmt: skip
"""Bytes of each class that is refused, by the class."""

# What is not refused but not scored either comes as often as all classes of bad input together.
_FLAWS: Final = (*BAD, *(_REPEATED,) * 8, *(_CONFLICT,) * 2, *(_TOMBSTONE,) * 3, *(LATE,) * 6)
