"""Good events by the dice, and what may be done to the bytes of one so that it is good no longer, or only odd."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from random import Random
from typing import Any, Final, TypeAlias

from schemas.registry import builtin_registry

from .bodies import BROKER_TS

__all__ = ["SPOILING", "good_members"]

Spoil: TypeAlias = Callable[[bytes, Random], bytes]

DELTAS = [*builtin_registry().rows, "never_heard_of", "abc", "d" * 64]
STEPS = ["continue_monitoring", "monitor_stability", "wait_and_see"]
SEAMS = ["network_infrastructure", "data_contract", "s2", "billing_edge"]
IDS = ["event_id", "connection_id", "session_id", "episode_id", "agent_id", "trace_id", "parent_id", "experiment_id"]

NUMBERS = [
    b"1e3", b"-0.0", b"-0", b"1E400", b"-1e400", b"2.0", b"NaN", b"Infinity", b"1" * 101, b"0.1e1", b"1e-400", b"0", b"1", b"10", b"01", b"1.",
    b"9223372036854775808", b"18446744073709551616", b"0.30000000000000004440892098500626", b"true", b"null", b'"1"', b"[1]", b"{}",
]  # fmt: skip
TEXTS = [
    b"", b"\\n", b"\\ud800", b"\\u0061", b"\\u0022", b"\xe2\x80\xae", b"\xff", b"\xed\xa0\x80", b"\x7f", b"\n", b"\x00", "ключ".encode(), b"[{:,", b"a" * 64,
    b"a" * 129, b"2023-11-14T22:13:20Z", b"2023-11-14T22:13:20.123456+00:00", b"1.0", b"1.7", b"connection_lost",
]  # fmt: skip
SPELLINGS = [
    ("delta", "\u2206"), ("delta", "\u0394"), ("omega", "\u03a9"), ("omega", "\u2126"), ("lambda", "\u039b"), ("dimension", "D"), ("dimension", "depth"),
    ("lambda", "lambda_"), ("seq", "Seq"), ("data", "datum"), ("omega", "\\u006fmega"),
]  # fmt: skip
KNOWN = [
    b'"omega":0.5', b'"seq":1', b'"agent_id":"a"', b'"data":{"a":"b"}', b'"fractal_metadata":{}', b'"dimension":1', b'"ts":1699999999999',
    b'"delta":"connection_lost"',
]  # fmt: skip
UNKNOWN = [b'"note":1,', b'"note":{"a":[1e400]},', b'"":"",', b'"n":"\xff",', b'"a":1,"a":1,']
AROUND = [b"\xef\xbb\xbf", b" ", b"\n", b"\x00", b"{", b"}", b",", b"x", b"\t\r\n ", b"\x0c"]


def good_members(dice: Random) -> dict[str, Any]:
    """An event that is good and plain, of any of the fields, sometimes in any order."""

    def text() -> str:
        letters = "abc-:/ 7" if dice.random() < 0.95 else "aé中\U0001f600"
        return "".join(dice.choices(letters, k=dice.randint(1, 24)))

    def some(members: dict[str, Any], most: int) -> dict[str, Any]:
        return {name: members[name] for name in dice.sample(list(members), dice.randint(0, most))}

    def second() -> str:
        day, hour, minute = dice.randint(1, 14), dice.randint(0, 21), dice.randint(0, 59)
        return f"2023-11-{day:02d}T{hour:02d}:{minute:02d}:{dice.randint(0, 59):02d}"

    members: dict[str, Any] = {"delta": dice.choice(DELTAS)}
    filled = members["delta"] in builtin_registry().rows
    told = {
        "dimension": dice.randint(1, 10),
        "omega": dice.choice([0, 1, dice.random(), 0.9]),
        "lambda": dice.choice(STEPS),
    }
    members |= {name: value for name, value in told.items() if not filled or dice.random() < 0.9}
    if dice.random() < 0.8:
        claims = {
            "voice_pain": dice.random(),
            "voice_chaos": dice.choice([0, 1, 0.5]),
            "voice_trust": round(dice.random(), 3),
        }
        members["fractal_metadata"] = some({"seam_id": dice.choice(SEAMS), **claims}, 4)
    members |= {name: text() for name in IDS if dice.random() < 0.4}
    if dice.random() < 0.6:
        ending = dice.choice(["Z", ".25Z", ".123Z", ".123456+00:00", "-02:00"])
        members["ts"] = dice.choice([BROKER_TS - dice.randint(-300_000, 10**9), second() + ending])
    if dice.random() < 0.5:
        members["seq"] = dice.choice([0, dice.randint(0, 10**6), 2**63 - 1])
    if dice.random() < 0.2:
        members["lambda_deadline_s"] = dice.randint(1, 86_400)
    if dice.random() < 0.6:
        known = {
            "latency_ms": dice.choice([0, 12, dice.random() * 1000, 1e308]),
            "close_code": dice.randint(1000, 4999),
            "attempt": dice.randint(1, 9),
        }
        texts = {"reason": text(), "endpoint": text(), "transport": "ws", "error_category": ""}
        more = {"pongs": dice.randint(-5, 5), "note": text(), "proof": None, "held": True, "é": 1.5}
        members["data"] = some({**known, **texts, **more}, 5)
    if dice.random() < 0.5:
        members["schema_version"] = dice.choice(["1.0", "1.0", "1.3"])
    names = list(members)
    if dice.random() < 0.3:
        dice.shuffle(names)
    return {name: members[name] for name in names}


def _places(value: bytes, char: bytes) -> list[int]:
    """Where the character stands; the beginning if nowhere."""
    return [match.start() for match in re.finditer(char, value)] or [0]


def _byte(value: bytes, dice: Random) -> bytes:
    at = dice.randrange(len(value))
    byte = dice.choice([value[at] ^ (1 << dice.randrange(8)), dice.randrange(256)])
    return value[:at] + bytes([byte]) + value[at + 1 :]


def _cut(value: bytes, dice: Random) -> bytes:
    at = dice.randrange(len(value))
    return value[:at] + value[at + dice.randint(1, 3) :]


def _splice(value: bytes, dice: Random) -> bytes:
    at, start = dice.randrange(len(value)), dice.randrange(len(value))
    return value[:at] + value[start : start + 12] + value[at:]


def _other_value(value: bytes, literal: bytes, dice: Random) -> bytes:
    start = dice.choice(_places(value, b":")) + 1
    end = min(place for place in (value.find(b",", start), value.find(b"}", start), len(value)) if place >= start)
    return value[:start] + literal + value[end:]


def _number(value: bytes, dice: Random) -> bytes:
    return _other_value(value, dice.choice(NUMBERS), dice)


def _null(value: bytes, dice: Random) -> bytes:
    return _other_value(value, b"null", dice)


def _text(value: bytes, dice: Random) -> bytes:
    at = dice.choice(_places(value, b'"')) + 1
    return value[:at] + dice.choice(TEXTS) + value[at:]


def _between_quotes(value: bytes, dice: Random) -> bytes:
    first, second = sorted(dice.choices(_places(value, b'"'), k=2))
    return value[:first] + value[second:]


def _twice(value: bytes, dice: Random) -> bytes:
    one = dice.choice(KNOWN)
    if dice.random() < 0.5:
        return value[:1] + one + b"," + value[1:]
    return value.rstrip()[:-1] + b"," + one + b"}"


def _spelling(value: bytes, dice: Random) -> bytes:
    name, other = dice.choice(SPELLINGS)
    return value.replace(f'"{name}"'.encode(), f'"{other}"'.encode())


def _around(value: bytes, dice: Random) -> bytes:
    return dice.choice(AROUND) + value if dice.random() < 0.5 else value + dice.choice(AROUND)


def _unknown(value: bytes, dice: Random) -> bytes:
    return value[:1] + dice.choice(UNKNOWN) + value[1:]


def _deep(value: bytes, dice: Random) -> bytes:
    levels = dice.choice([1, 2, 29, 30, 31, 40, 200])
    return value[:1] + b'"data":{"d":' + b"[" * levels + b"]" * levels + b"}," + value[1:]


def _long(value: bytes, dice: Random) -> bytes:
    return value[:1] + b" " * dice.choice([8192 - len(value), 8193 - len(value), 9000, 66_000]) + value[1:]


SPOILING: Final[Mapping[str, Spoil]] = {
    "byte": _byte,
    "cut": _cut,
    "splice": _splice,
    "number": _number,
    "null": _null,
    "text": _text,
    "between quotes": _between_quotes,
    "twice": _twice,
    "spelling": _spelling,
    "around": _around,
    "unknown": _unknown,
    "deep": _deep,
    "long": _long,
}
"""What is done to a value, by its name. None of them raises, whatever the bytes are, but for no bytes at all."""
