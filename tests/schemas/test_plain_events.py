"""The fast path against the full check: what it takes is equal to the last bit, and it takes what is usual."""

from __future__ import annotations

import json
import sys
from collections import Counter
from pathlib import Path
from random import Random
from types import ModuleType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from schemas import plain_events
from schemas.admission import admit
from schemas.codec import decode_event, encode_event
from schemas.events import ConnectionEvent
from schemas.hot import HotEvent
from schemas.plain_events import read_plain
from schemas.registry import builtin_registry, load_registry, merged
from schemas.rejects import Rejected
from schemas.types import Origin

from . import strategies as some
from .bodies import BROKER_TS, GOOD, ORIGIN, REQUIREMENT_EXAMPLE, event, raw, without
from .spoiling import SPOILING, good_members
from .test_admission import BOUNDARIES, ORDER, REJECTED
from .test_admission_properties import fragments, origins
from .test_strict_json import IMPLEMENTATION_DEFINED, JSON, NO_JSON

REGISTRY = builtin_registry()

HEARTBEAT = (
    b'{"delta":"heartbeat_summary","dimension":1,"omega":0.95,"lambda":"continue_monitoring","fractal_metadata":'
    b'{"seam_id":"network_infrastructure"},"event_id":"a017-0000004211","connection_id":"link-0012345","ts":1699999999000,'
    b'"agent_id":"a017","seq":4211,"data":{"latency_ms":68},"schema_version":"1.0"}'
)
SUMMARY = HEARTBEAT.replace(
    b'"latency_ms":68',
    b'"latency_ms":68.125,"latency_p95_ms":90.25,"pongs":2,"pings":2,"jitter_ms":1.5,"transport":"ws","lost":false',
)
"""As the agents of this project say it."""


def compare(value: bytes, origin: Origin = ORIGIN) -> tuple[HotEvent | None, HotEvent | Rejected]:
    """Both verdicts. ``repr`` tells apart what ``==`` does not: 1 and 1.0, 0.0 and -0.0."""
    fast, full = read_plain(value, origin, REGISTRY), admit(value, origin, REGISTRY)
    assert fast is None or (fast == full and repr(fast) == repr(full)), (value, origin)
    return fast, full


def outcome(value: bytes, origin: Origin) -> str:
    fast, full = compare(value, origin)
    return "bad" if isinstance(full, Rejected) else "left" if fast is None else "taken"


def wire(members: dict[str, Any], *, compact: bool = True, ascii_only: bool = False) -> bytes:
    return json.dumps(members, separators=(",", ":") if compact else None, ensure_ascii=ascii_only).encode()


# ------------------------------------------------------------------------------------------------------ what is taken

PLAIN: dict[str, tuple[bytes, Origin]] = {
    "the requirement's example": (REQUIREMENT_EXAMPLE, ORIGIN),
    "a heartbeat": (HEARTBEAT, ORIGIN),
    "a heartbeat of our agents": (SUMMARY, ORIGIN),
    "as the model writes it": (encode_event(ConnectionEvent.model_validate_json(SUMMARY)), ORIGIN),
    "a delta alone": (b'{"delta":"connection_lost"}', ORIGIN),
    "an unknown delta": (event(delta="never_heard_of"), ORIGIN),
    "spaces": (b" \r\n\t" + json.dumps(GOOD, indent=2).encode() + b"\n", ORIGIN),
    "ids in any script": (wire({**GOOD, "connection_id": "линия-é-\U0001f600", "agent_id": "中"}), ORIGIN),
    "a key in any script": (event(), replace(ORIGIN, key="линия".encode())),
    "free text in any script": (wire({**GOOD, "data": {"reason": "\u202eключ \x7f", "мимо": "да"}}), ORIGIN),
    "no key": (event(connection_id="c-1"), replace(ORIGIN, key=None)),
    "another key": (event(connection_id="c-2"), ORIGIN),
    "brackets, colons and commas in texts": (event(connection_id="[{a:1},b]", data={"reason": "}}]],:,"}), ORIGIN),
    "ahead as far as may be": (event(ts=BROKER_TS + 300_000), ORIGIN),
    "a later minor version": (event(schema_version="1.7"), ORIGIN),
    "whole numbers": (event(omega=1, fractal_metadata={"voice_pain": 0, "voice_trust": 1}, data={"latency_ms": 3}), ORIGIN),
    "zeros with a sign": (
        event().replace(b"0.9", b"-0.0").replace(
            b'{"seam_id": "network_infrastructure"}',
            b'{"voice_pain":-0.0,"voice_chaos":-0.0,"voice_trust":-0.0}',
        ).replace(b'"delta"', b'"data":{"latency_ms":-0.0},"delta"'),
        ORIGIN,
    ),
    "exactly 8 KiB": (event().ljust(8192), ORIGIN),
}  # fmt: skip
PLAIN |= {
    f"a field alone: {literal}": (raw(literal), ORIGIN)
    for literal in (
        '"event_id":"e-1"', '"connection_id":"c-1"', f'"ts":{BROKER_TS - 1}', '"ts":"2023-11-14T22:13:19.5Z"', '"session_id":"s"',
        '"episode_id":"p"', '"agent_id":"a"', '"trace_id":"t"', '"parent_id":"q"', '"seq":0', '"seq":9223372036854775807',
        '"lambda_deadline_s":86400', '"data":{}', '"experiment_id":"x"', '"schema_version":"1.0"',
        '"data":{"latency_ms":12.5}', '"data":{"close_code":1006}', '"data":{"attempt":1}', '"data":{"error_category":"dns"}',
        '"data":{"transport":""}', '"data":{"endpoint":"wss://a:443/b"}', '"data":{"reason":"gone"}',
        '"data":{"a":null,"b":true,"c":false,"d":-1,"e":1e-400,"":""}',
        '"data":{"a":9223372036854775807,"b":-9223372036854775808}',
    )
}  # fmt: skip
PLAIN |= {
    f"metadata of {literal}": (wire(GOOD).replace(b'{"seam_id":"network_infrastructure"}', literal.encode()), ORIGIN)
    for literal in ("{}", '{"seam_id":"ab"}', '{"voice_pain":0.5}', '{"voice_chaos":0.5}', '{"voice_trust":0.5}')
}
PLAIN |= {f"without {name}": (without(name), ORIGIN) for name in ("dimension", "omega", "lambda", "fractal_metadata")}


@pytest.mark.parametrize(("value", "origin"), PLAIN.values(), ids=PLAIN)
def test_a_plain_event_is_taken_with_equal_values(value, origin):
    fast, full = compare(value, origin)
    assert isinstance(full, HotEvent), full
    assert fast is not None


def test_what_a_row_fills_in_is_of_the_registry_that_is_asked():
    own = merged(REGISTRY, load_registry("""
        version = "1"
        [deltas]
        connection_lost = { severity = 1, outcome = "F", dimension = 7, omega = 0.25, seam = "own_seam", lambda = "own_step" }
    """))  # fmt: skip
    for registry in (REGISTRY, own, REGISTRY):
        full = admit(b'{"delta":"connection_lost"}', ORIGIN, registry)
        assert read_plain(b'{"delta":"connection_lost"}', ORIGIN, registry) == full


# ------------------------------------------------------------------------------------------------- what is left alone

IDS = ("event_id", "connection_id", "session_id", "episode_id", "agent_id", "trace_id", "parent_id", "experiment_id")

NO_UNITS: list[Any] = [-1, -1e-9, 1.0000001, 2, True, "0.9", 10**101, [0.9], {}]
NO_DATA: dict[str, list[Any]] = {
    "latency_ms": [-1, -1e-9, None, True, "1", [1]],
    "close_code": [999, 5000, 1000.0, None, True],
    "attempt": [0, 2**31, 1.0, None],
    "transport": [1, None, False, {}],
}

HOSTILE: dict[str, list[tuple[bytes, Origin]]] = {
    "data of more than 8 KiB": [
        (raw(f'"data":{{"note":"{"x" * 8190}"}}'), ORIGIN),
        (raw(f'"data":{{{" " * 8200}}}'), ORIGIN),
        (event().ljust(65_537), ORIGIN),
    ],
    "escapes": [
        (raw(r'"connection_id":"a\nb"'), ORIGIN),
        (raw(r'"connection_id":"\ud800"'), ORIGIN),
        (raw(r'"connection_id":"\u202e"'), ORIGIN),
        (raw(r'"data":{"reason":"\udc00"}'), ORIGIN),
        (raw(r'"\u0064elta":"connection_lost"'), ORIGIN),
        (raw(r'"data":{"a":"\u0022","\u0061":"\u0022"}'), ORIGIN),
        (event().replace(b"connection_lost", rb"connection_lost\n"), ORIGIN),
    ],
    "bytes that are not UTF-8": [
        (raw('"connection_id":"@"').replace(b"@", bad), ORIGIN)
        for bad in (b"\xff", b"\xc0\xaf", b"\xed\xa0\x80", b"\xe2\x88", b"\xf4\xbf\xbf\xbf")
    ] + [
        (raw('"data":{"@":1}').replace(b"@", b"\xff"), ORIGIN),
        (raw('"data":{"a":"@"}').replace(b"@", b"\xed\xb0\x80"), ORIGIN),
        (raw('"@":1').replace(b"@", b"\xff"), ORIGIN),
    ],
    "a key twice, or null": [
        (raw(literal), ORIGIN)
        for literal in (
            '"delta":"connection_lost"', '"dimension":2', '"omega":0.9', '"lambda":"monitor_stability"', '"fractal_metadata":{}',
            '"seq":1,"seq":1', '"ts":1700000000000,"ts":1700000000000', '"agent_id":"a","agent_id":"a"', '"agent_id":"a","agent_id" :"a"',
            '"data":{},"data":{}', '"data":{"a":1},"data":{}', '"data":{"a":1,"a":1}', '"data":{"a":"x","a":1}', '"data":{"a":1,"a":"x"}',
            '"data":{"latency_ms":1,"latency_ms":2}', '"schema_version":"1.0","schema_version":"1.0"', '"event_id":"a","seq":1,"event_id":"b"',
            '"event_id":null', '"connection_id":null', '"ts":null', '"session_id":null', '"episode_id":null', '"agent_id":null', '"trace_id":null',
            '"parent_id":null', '"seq":null', '"lambda_deadline_s":null', '"data":null', '"experiment_id":null', '"schema_version":null',
            # what one adds another does not take away
            '"seq":null,"agent_id":"a"', '"ts":null,"data":{"a":"x"}', '"seq":1,"data":{"a":null,"a":""}',
        )
    ] + [
        (event(**{name: None}), ORIGIN) for name in ("dimension", "omega", "lambda", "fractal_metadata")
    ] + [
        (event(fractal_metadata={name: None}), ORIGIN) for name in ("seam_id", "voice_pain", "voice_chaos", "voice_trust")
    ] + [
        (event().replace(b'{"seam_id"', b'{"seam_id":"other","seam_id"'), ORIGIN),
        (event().replace(b'{"seam_id"', b'{"voice_pain":0,"voice_pain":1,"seam_id"'), ORIGIN),
    ],
    "names": [
        (event(delta=delta), ORIGIN) for delta in ("", "ab", "Abc", "a-b-c", "1abc", "d" * 65, "d\u00e9lta", "abc\u0661", "abc ")
    ] + [
        (event(**{"lambda": name}), ORIGIN) for name in ("", "ab", "a b c", "l" * 65, "ab\u212a")
    ] + [
        (event(fractal_metadata={"seam_id": name}), ORIGIN) for name in ("", "a", "A1", "s" * 65, "seam:1")
    ],
    "what no registry fills in": [
        (without("dimension", delta="never_heard_of"), ORIGIN),
        (without("omega", delta="never_heard_of"), ORIGIN),
        (without("lambda", delta="never_heard_of"), ORIGIN),
        (without("delta"), ORIGIN),
        (b"{}", ORIGIN),
    ],
    **{
        f"characters of {name}": [
            (wire({**GOOD, name: f"a{char}b"}), ORIGIN)
            for char in ("\u202e", "\u2066", "\u200b", "\ufeff", "\u2028", "\u2029", "\x85", "\u00ad", "\x7f")
        ]
        for name in IDS
    },
    "lengths": [
        (event(**{name: text}), ORIGIN) for name in IDS for text in ("", "x" * 129)
    ] + [
        (event(event_id="x" * 65), ORIGIN),
        (wire({**GOOD, "agent_id": "é" * 129}), ORIGIN),
        (event(data={"reason": "x" * 513}), ORIGIN),
        (event(data={"endpoint": "x" * 513}), ORIGIN),
    ],
    "the key as id": [
        (event(), replace(ORIGIN, key=key)) for key in (b"", b"\xff", b"a\nb", b"\x7f", "a\u202e".encode(), b"x" * 129)
    ],
    "no key": [(event(), replace(ORIGIN, key=None))],
    "times": [
        (event(ts=ts), ORIGIN)
        for ts in (
            10**11 - 1, 10**14 + 1, 0, -1, 1_700_000_000, 1.7e12, True, "", "now", "2023-11-14T22:13:20", "2023-02-29T00:00:00Z",
            "2023-11-14T22:13:60Z", "2023-11-14T22:13:20Z ", "1700000000000",
        )
    ],
    "ahead of the broker": [
        (event(ts=BROKER_TS + 300_001), ORIGIN),
        (event(ts="2023-11-14T22:18:20.001Z"), ORIGIN),
        (event(ts=10**14), ORIGIN),
    ],
    "versions": [
        (event(schema_version=version), ORIGIN) for version in ("", "2.0", "1", "1.01", "1.0 ", "1.1000000", "1.\u0661", 1.0)
    ],
    "numbers": [
        (event(dimension=number), ORIGIN) for number in (0, 11, -1, 2.0, True, "2", 10**30, [2])
    ] + [
        (event(omega=number), ORIGIN) for number in NO_UNITS
    ] + [
        (event(fractal_metadata={name: number}), ORIGIN)
        for name in ("voice_pain", "voice_chaos", "voice_trust")
        for number in (-1, 1.1, True, "0", 10**101)
    ] + [
        (event(seq=number), ORIGIN) for number in (-1, 2**63, 2**64, 10**101, 1.0, False)
    ] + [
        (event(lambda_deadline_s=number), ORIGIN) for number in (0, 86_401, 60.0, -60)
    ] + [
        (wire(GOOD).replace(b'"dimension":2', b'"dimension":' + literal), ORIGIN)
        for literal in (b"1e3", b"1e0", b"2.0", b"1E400", b"02", b"+2", b"0x2", b"NaN", b"2 3")
    ] + [
        (wire(GOOD).replace(b'"omega":0.9', b'"omega":' + literal), ORIGIN)
        for literal in (b"NaN", b"Infinity", b"-Infinity", b"1e400", b"1e", b".5", b"5.", b"00", b"0_1", b"inf")
    ],
    "data": [
        (event(data={name: item}), ORIGIN)
        for name, items in NO_DATA.items()
        for item in items
    ] + [
        (raw(f'"data":{{"{name}":{literal}}}'), ORIGIN)
        for name in ("latency_ms", "other")
        for literal in ("1e400", "-1e400", "NaN", "1" * 101, "-" + "1" * 101, "1" * 5000, "[1e400]", '{"a":1,"a":1}', "[" * 40 + "]" * 40)
    ],
    "no event at all": [
        (value, ORIGIN)
        for value in (
            b"", b" ", b"null", b"[]", b'"a"', b"1", b"\xef\xbb\xbf" + event(), event() + event(), event() + b"x", event() + b"\x00", event()[:-1],
            event()[:-1] + b",}", b"[" + event() + b"]", b"\x00" + event(), b"\x85" + event(), event().decode().encode("utf-16"), b"{" * 33,
            event().replace(b":", b"\xc2\xa0:", 1), event() + b"/**/", b"{" + event()[1:].replace(b"{", b"{,"),
        )
    ],
}  # fmt: skip
"""What must not be taken, by what guards against it."""


@pytest.mark.parametrize("rows", HOSTILE.values(), ids=HOSTILE)
def test_what_is_bad_is_left_to_the_full_check(rows):
    for value, origin in rows:
        fast, full = compare(value, origin)
        assert isinstance(full, Rejected), value
        assert fast is None
        assert decode_event(value, origin, REGISTRY) == full


ODD = [
    event(note=1), event(fractal_metadata={"mood": 1}), event(data={"more": [1, {"a": None}]}), raw('"data":{"a":1234567890123456789012}'),
    without("delta", **{"\u2206": "connection_lost"}), without("omega", Ω=0.5), without("dimension", D=3), event(lambda_="x"),
    raw(r'"connection_id":"\u00e9"'), raw(r'"\u0073eq":1'), event().ljust(8193), raw('"data":{}, "a":{}'),
]  # fmt: skip


@pytest.mark.parametrize("value", ODD)
def test_what_is_good_but_odd_is_left_to_the_full_check_too(value):
    fast, full = compare(value)
    assert isinstance(full, HotEvent), full
    assert fast is None
    assert decode_event(value, ORIGIN, REGISTRY) == full


TABLES = [*(row[1] for row in (*REJECTED, *ORDER)), *(row[1] for row in BOUNDARIES)]
SUITE = [*NO_JSON, *JSON, *(literal for literal, _ in IMPLEMENTATION_DEFINED)]


def test_the_tables_of_the_full_check_have_the_same_verdicts():
    for value in TABLES:
        compare(value)


@pytest.mark.parametrize("literal", SUITE)
def test_no_corner_of_json_is_read_differently_wherever_it_stands(literal):
    good = wire(GOOD)
    for value in (
        good.replace(b"0.9", literal),
        good.replace(b'"connection_lost"', literal),
        good.replace(b'{"seam_id":"network_infrastructure"}', literal),
        good[:-1] + b',"data":{"note":' + literal + b"}}",
        good[:-1] + b',"data":{"latency_ms":' + literal + b"}}",
        good[:-1] + b',"data":' + literal + b"}",
        good[:-1] + b',"ts":' + literal + b"}",
        good[:-1] + b',"seq":' + literal + b"}",
        good[:-1] + b',"agent_id":' + literal + b"}",
        good[:-1] + b"," + literal + b":1}",
        literal,
        literal + good,
        good + literal,
    ):
        compare(value)


# ------------------------------------------------------------------------------------------ a weaker guard is noticed

SOURCE = Path(plain_events.__file__).read_text(encoding="utf-8")

WEAKER: list[tuple[str, str]] = [
    ("len(value) > MAX_DATA_BYTES or ", ""),
    (" or _BACKSLASH in value", ""),
    ("(msgspec.DecodeError, UnicodeDecodeError)", "msgspec.DecodeError"),
    ("(msgspec.DecodeError, UnicodeDecodeError)", "(msgspec.ValidationError, UnicodeDecodeError)"),
    ("pain = pain or 0.0", "pass"),
    ("chaos = chaos or 0.0", "pass"),
    ("trust = trust or 0.0", "pass"),
    ("omega = event.omega or 0.0", "omega = event.omega"),
    ("if meaning is None:", "if False:"),
    ("if dimension is None or omega is None:", "if dimension is None:"),
    ("if dimension is None or omega is None:", "if omega is None:"),
    ("if not value.isascii() or ", "if "),
    (" or _DEL in value", ""),
    ("if text is not None and not has_id_characters(text):", "if False:"),
    ("key is not None and key != connection_id.encode()", "False"),
    ("if key is None:", "if False:"),
    ("except UnicodeDecodeError:", "except ZeroDivisionError:"),
    ("len(connection_id) > MAX_ID or ", ""),
    ("or not has_id_characters(connection_id):", ":"),
    ("            if ts is None:\n                return None", "            pass"),
    ("if ts - broker_ts > AHEAD_AT_MOST:", "if False:"),
    ("if ts - broker_ts > AHEAD_AT_MOST:", "if ts - broker_ts > AHEAD_AT_MOST + 1:"),
    ("ts if ts < broker_ts else broker_ts", "ts"),
    ('if version != "1.0" and not known_version(version):', "if False:"),
    ("if name in _DATA_CHECKS and _DATA_CHECKS[name](item) is not None:", "if False:"),
    (" or item < 0:", ":"),
    ("(type(item) is not float and type(item) is not int)", "item is None or item is True"),
    ("item + 0.0", "item"),
    ("""if value.count(b'"') != 2 * strings:""", "if False:"),
    ("""if value.count(b'"') != 2 * strings:""", """if value.count(b'"') < 2 * strings:"""),
    ("""if value.count(b'"') != 2 * strings:""", """if value.count(b'"') > 2 * strings + 2:"""),
    ("Annotated[float, Meta(ge=0, le=1)]", "Annotated[float, Meta(le=1)]"),
    ("Annotated[float, Meta(ge=0, le=1)]", "Annotated[float, Meta(ge=0)]"),
    ("Meta(min_length=1, max_length=MAX_ID)", "Meta(max_length=MAX_ID)"),
    ("Meta(min_length=1, max_length=MAX_ID)", "Meta(min_length=1)"),
    ("Meta(min_length=1, max_length=MAX_EVENT_ID)", "Meta(max_length=MAX_EVENT_ID)"),
    ("Meta(min_length=1, max_length=MAX_EVENT_ID)", "Meta(min_length=1, max_length=MAX_ID)"),
    ("Annotated[int, Meta(ge=-(2**63), le=2**63 - 1)]", "int"),
    ("Meta(ge=1, le=10)", "Meta(le=10)"),
    ("Meta(ge=1, le=10)", "Meta(ge=1)"),
    ("Annotated[int, Meta(ge=1, le=10)]", "float"),
    ("Meta(ge=EARLIEST_INTEGER, le=LATEST_INTEGER)", "Meta(le=LATEST_INTEGER)"),
    ("Annotated[int, Meta(ge=0, le=2**63 - 1)]", "Annotated[int, Meta(le=2**63 - 1)]"),
    ("Annotated[int, Meta(ge=0, le=2**63 - 1)]", "Annotated[int, Meta(ge=0)]"),
    ("Meta(ge=1, le=86_400)", "Meta(le=86_400)"),
    ("Meta(ge=1, le=86_400)", "Meta(ge=1)"),
]
"""A guard, and what a careless hand could make of it."""
WEAKER += [
    (f"(event_id, connection_id, {ids})", f"({', '.join(kept)},)")
    for ids in ["session_id, episode_id, agent_id, trace_id, parent_id, experiment_id"]
    for kept in [[name for name in IDS if name != dropped] for dropped in IDS]
]


@pytest.mark.parametrize(("guard", "weaker"), WEAKER)
def test_a_weaker_guard_would_be_noticed(guard, weaker, monkeypatch):
    assert SOURCE.count(guard) == 1, "the list follows the source"
    module = ModuleType("schemas.weaker_plain_events")
    module.__package__ = "schemas"
    monkeypatch.setitem(sys.modules, module.__name__, module)
    exec(compile(SOURCE.replace(guard, weaker), "weaker_plain_events.py", "exec"), module.__dict__)

    def differs(value: bytes, origin: Origin) -> bool:
        try:
            got = module.read_plain(value, origin, REGISTRY)
        except Exception:  # noqa: BLE001  # whatever a broken guard lets happen
            return True
        return got is not None and repr(got) != repr(admit(value, origin, REGISTRY))

    rows = [row for table in (*HOSTILE.values(), PLAIN.values()) for row in table]
    assert any(differs(*row) for row in rows)


# ---------------------------------------------------------------------------------------------- many, of all the kinds


def test_a_hundred_thousand_made_and_spoilt_events_have_one_verdict():
    dice = Random(4)
    keys = [*[b"c-1"] * 10, None, "ключ".encode(), b"\xff", b"", b"x" * 128, b"x" * 129]
    made: Counter[str] = Counter()
    spoilt: Counter[tuple[str, str]] = Counter()
    for _ in range(25_000):
        origin = Origin(dice.choice(keys), dice.randrange(9), dice.randrange(10**9), BROKER_TS)
        value = wire(good_members(dice), compact=dice.random() < 0.7)
        made[outcome(value, origin)] += 1
        for _ in range(3):
            how = dice.choice(list(SPOILING))
            other = SPOILING[how](value, dice)
            if dice.random() < 0.1:
                other = SPOILING[dice.choice(list(SPOILING))](other, dice)
            spoilt[how, outcome(other, origin)] += 1
    assert made.total() + spoilt.total() == 100_000
    # Nothing of this would be worth a thing if the fast path took little, or if little were bad.
    assert made["left"] == 0, "every good event that is plain is taken"
    assert made["taken"] > 20_000
    assert sum(count for (_, what), count in spoilt.items() if what == "taken") > 8_000
    assert sum(count for (_, what), count in spoilt.items() if what == "bad") > 40_000
    assert all(spoilt[how, "bad"] > 100 for how in SPOILING)
    assert all(spoilt[how, "taken"] > 100 for how in SPOILING if how not in {"unknown", "deep"})


def test_a_number_is_read_to_the_last_bit():
    dice = Random(7)

    def literal() -> str:
        digits = "".join(
            dice.choices("0123456789", k=dice.choice([1, 3, 15, 16, 17, 18, 19, 20, 21, 25, 40, 400, 800]))
        )
        kind = dice.randrange(6)
        if kind == 0:
            return f"0.{digits}"
        if kind == 1:
            return f"{dice.randint(0, 9)}.{digits}e-{dice.randint(0, 330)}"
        if kind == 2:
            return repr(dice.random())
        if kind == 3:  # half way between two neighbours, or by a digit beside it
            number = dice.random() * 10.0 ** dice.randint(-320, 0)
            return f"{number:.{dice.randint(15, 60)}e}{dice.choice(['', '0'])}"
        if kind == 4:
            return f"{int(digits[:19])}{dice.choice(['.0', 'e0', 'E+2', 'e-18', ''])}"
        return f"0.{'0' * dice.randint(0, 400)}{digits}{dice.choice(['', 'e3', 'E+10', 'e-5'])}"

    taken = 0
    for _ in range(20_000):
        text = literal().encode()
        taken += compare(b'{"delta":"connection_lost","omega":%b}' % text)[0] is not None
        taken += compare(b'{"delta":"connection_lost","data":{"latency_ms":%b}}' % text)[0] is not None
    assert taken > 25_000


@given(some.events, origins, st.booleans(), st.booleans())
def test_any_good_event_has_one_verdict(members, origin, compact, ascii_only):
    compare(wire(members, compact=compact, ascii_only=ascii_only), origin)


@given(some.events, origins, st.data())
def test_any_mutilated_event_has_one_verdict(members, origin, data):
    value = bytearray(wire(members, compact=data.draw(st.booleans())))
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(0, len(value)))
        value[at : at + data.draw(st.integers(0, 3))] = data.draw(fragments | st.binary(max_size=3))
    compare(bytes(value), origin)


@given(st.binary(max_size=200), origins)
def test_any_bytes_have_one_verdict(value, origin):
    compare(value, origin)
