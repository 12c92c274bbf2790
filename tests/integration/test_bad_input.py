"""Each class of bad input, produced to the real topic, lands on the rejected topic as it was; the next event is scored."""

from __future__ import annotations

import json
import time
import urllib.request
from collections.abc import Iterator
from typing import NamedTuple

import pytest
from kafka import KafkaConsumer, KafkaProducer, TopicPartition

from .processes import eventually, iskra, worker

pytestmark = pytest.mark.kafka

PREFIX = "badinput"
GOOD = b'{"delta": "heartbeat_success", "dimension": 1, "omega": 0.95, "lambda": "continue_monitoring"}'


class Case(NamedTuple):
    """One bad value, and what must be said of it."""

    name: str
    value: bytes
    reason: str
    path: str | None = None
    key: bytes | None = b"c-bad"


def _with(**fields: object) -> bytes:
    event: dict[str, object] = {
        "delta": "connection_lost",
        "dimension": 1,
        "omega": 0.9,
        "lambda": "continue_monitoring",
    }
    return json.dumps({**event, **fields}).encode()


def _cases(now_ms: int) -> list[Case]:
    return [
        Case("E2 empty", b"", "empty"),
        Case("E2 one byte over 64 KiB", b" " * 65_537, "too_large"),
        Case("E2 data over 8 KiB", _with(data={"note": "x" * 9_000}), "too_large", "data"),
        Case("E3 gzip", b"\x1f\x8b\x08\x00rest", "unsupported_encoding"),
        Case("E4 not UTF-8", b'{"delta": "\xff"}', "not_utf8"),
        Case("E5 33 levels", b"[" * 33 + b"]" * 33, "too_deep"),
        Case("E6 trailing comma", b'{"delta": "connection_lost",}', "not_json"),
        Case("E7 an array", b"[1]", "not_object"),
        Case("E7 a key twice", b'{"delta": "connection_lost", "delta": "connection_lost"}', "dup_key"),
        Case("E8 major 2", _with(schema_version="2.0"), "unknown_version", "schema_version"),
        Case(
            "E9 no delta", b'{"dimension": 1, "omega": 0.9, "lambda": "continue_monitoring"}', "missing_field", "delta"
        ),
        Case("E9 no connection", _with(), "missing_field", "connection_id", None),
        Case("E10 a text for a number", _with(omega="0.9"), "wrong_type", "omega"),
        Case("E11 NaN", b'{"delta": "connection_lost", "omega": NaN}', "nonfinite", "omega"),
        Case("E12 omega 1.5", _with(omega=1.5), "out_of_range", "omega"),
        Case("E13 a long id", _with(connection_id="x" * 129), "too_long", "connection_id"),
        Case("E14 a control character", _with(connection_id="a\x07b"), "bad_chars", "connection_id"),
        Case("E15 no offset", _with(ts="2026-01-01T00:00:00"), "bad_time", "ts"),
        Case("E16 an hour ahead", _with(ts=now_ms + 3_600_000), "future_time", "ts"),
    ]


@pytest.fixture
def settings(broker: str) -> dict[str, str]:
    return {
        "ISKRA_KAFKA__BOOTSTRAP": broker,
        "ISKRA_KAFKA__TOPIC_PREFIX": PREFIX,
        "ISKRA_SCORING__EMIT": "all",
        "ISKRA_SCORING__IDLE_TIMEOUT_S": "2",
    }


@pytest.fixture
def consumer(broker: str) -> Iterator[KafkaConsumer]:
    reader = KafkaConsumer(bootstrap_servers=broker, isolation_level="read_committed", enable_auto_commit=False)
    yield reader
    reader.close()


def test_every_class_is_kept_with_its_reason_and_the_next_event_is_scored(
    broker: str, settings: dict[str, str], consumer: KafkaConsumer
) -> None:
    assert iskra("topics", "apply", "--partitions", "1", settings=settings).returncode == 0
    cases = _cases(int(time.time() * 1000))
    producer = KafkaProducer(bootstrap_servers=broker, acks="all")
    events = f"{PREFIX}.events.v1"
    headers = [("who", b"a sender"), ("iskra.reason", b"forged")]
    with worker("scorer-0", settings) as scorer:
        offsets: dict[str, int] = {}
        for case in cases:
            offsets[case.name] = producer.send(events, key=case.key, value=case.value, headers=headers).get(10).offset
            producer.send(events, key=b"c-good", value=GOOD).get(10)
        twin = _with(event_id="e-1")
        producer.send(events, key=b"c-twin", value=twin).get(10)
        producer.send(events, key=b"c-twin", value=twin).get(10)
        conflict = producer.send(events, key=b"c-twin", value=_with(event_id="e-1", omega=0.5)).get(10).offset
        producer.send(events, key=b"c-gone", value=None).get(10)
        old = producer.send(events, key=b"c-good", value=GOOD[:-1] + b', "ts": 1500000000000}').get(10).offset
        producer.close()

        rejected = TopicPartition(f"{PREFIX}.events.rejected.v1", 0)
        late = TopicPartition(f"{PREFIX}.events.late.v1", 0)
        scores = TopicPartition(f"{PREFIX}.scores.v1", 0)
        wanted = len(cases) + 1
        consumer.assign([rejected, late, scores])
        consumer.seek_to_beginning()
        seen: dict[TopicPartition, list[object]] = {rejected: [], late: [], scores: []}

        def all_there() -> bool:
            for place, records in consumer.poll(timeout_ms=200).items():
                seen[place] += records
            return len(seen[rejected]) >= wanted and len(seen[late]) >= 1

        eventually(all_there, within_s=30, what=f"{wanted} rejected and 1 late; {scorer.tail()}")
        got = {
            int(dict(record.headers)["iskra.offset"]): record  # type: ignore[attr-defined]  # kafka-python has no types
            for record in seen[rejected]
        }
        for case in cases:
            record = got[offsets[case.name]]
            named = [(name, value) for name, value in record.headers if name in ("iskra.reason", "iskra.path", "who")]  # type: ignore[attr-defined]  # no types
            path = [] if case.path is None else [("iskra.path", case.path.encode())]
            assert sorted(named) == sorted([("iskra.reason", case.reason.encode()), *path, ("who", b"a sender")]), (
                case.name
            )
            assert (record.key, record.value) == (case.key, case.value), case.name  # type: ignore[attr-defined]  # no types
        reasons = dict(got[conflict].headers)  # type: ignore[attr-defined]  # no types
        assert (reasons["iskra.reason"], reasons["iskra.path"]) == (b"id_conflict", b"event_id")
        assert [int(dict(record.headers)["iskra.offset"]) for record in seen[late]] == [old]  # type: ignore[attr-defined]  # no types

        def counted() -> bool:
            text = urllib.request.urlopen(f"http://127.0.0.1:{scorer.port()}/metrics", timeout=5).read().decode()
            lines = dict(line.rsplit(" ", 1) for line in text.splitlines() if line.startswith("iskra_"))
            total = {
                outcome: sum(
                    float(v)
                    for name, v in lines.items()
                    if name.startswith("iskra_events_total") and f'outcome="{outcome}"' in name
                )
                for outcome in ("scored", "rejected", "late", "duplicate", "tombstone")
            }
            unaccounted = [float(value) for name, value in lines.items() if name.startswith("iskra_unaccounted_events")]
            wanted_counts = {
                "scored": len(cases) + 1.0,
                "rejected": len(cases) + 1.0,
                "late": 1.0,
                "duplicate": 1.0,
                "tombstone": 1.0,
            }
            return total == wanted_counts and bool(unaccounted) and set(unaccounted) == {0.0}

        eventually(counted, within_s=15, what="each outcome counted, nothing unaccounted")

        def scored() -> bool:
            for place, records in consumer.poll(timeout_ms=200).items():
                seen[place] += records
            return any(record.key == b"connection:c-good" for record in seen[scores])  # type: ignore[attr-defined]  # no types

        eventually(scored, within_s=75, what="the good connection's score")
        assert scorer.terminate() == 0
