"""Reading a topic without a group, and a record as data or as a line. Committed records only; nothing is committed."""

from __future__ import annotations

import base64
import datetime as dt
import json
import time
from collections.abc import Iterator
from typing import Any

from iskra import strict_json
from iskra.problems import SettingsProblem
from pipeline.runtime.contract import Record
from schemas import topics

__all__ = ["as_data", "as_line", "logical_name", "records"]

POLL_MS = 250


def logical_name(word: str) -> str:
    """The topic a person means: ``voices``, ``rejected``, ``state.scorer``, ``voices.v1``.

    Errors: SettingsProblem naming the topics.
    """
    names = [topic.name for topic in topics.ALL]
    for candidate in (word, f"{word}.v1", f"events.{word}.v1", f"notifications.{word}.v1"):
        if candidate in names:
            return candidate
    raise SettingsProblem(
        [f"{word[:64]!r} is no topic: one of {', '.join(name.removesuffix('.v1') for name in names)}"]
    )


def records(
    consumer: Any, topic: str, *, ago_ms: int | None, from_beginning: bool, patience_ms: int | None
) -> Iterator[Record]:
    """The topic's records from now, from the beginning or from so long ago; ends when nothing came for the patience."""
    from kafka import TopicPartition

    places = [TopicPartition(topic, number) for number in sorted(consumer.partitions_for_topic(topic))]
    consumer.assign(places)
    if from_beginning:
        consumer.seek_to_beginning(*places)
    else:
        consumer.seek_to_end(*places)
    if ago_ms is not None:
        then = time.time_ns() // 1_000_000 - ago_ms
        for place, found in consumer.offsets_for_times(dict.fromkeys(places, then)).items():
            if found is not None:
                consumer.seek(place, found.offset)
    for place in places:  # fixes the positions: records from now on count
        consumer.position(place)
    quiet_since = time.monotonic()
    while patience_ms is None or (time.monotonic() - quiet_since) * 1000 < patience_ms:
        for batch in consumer.poll(timeout_ms=POLL_MS).values():
            for record in batch:
                yield record
                quiet_since = time.monotonic()


def as_data(record: Record) -> dict[str, Any]:
    """The whole record for one JSON line; a value that is no JSON stands as text, or in base64 if it is none."""
    shown: dict[str, Any] = {
        "topic": record.topic,
        "partition": record.partition,
        "offset": record.offset,
        "timestamp": record.timestamp,
        "key": _text(record.key),
        "headers": {name: _text(value) for name, value in record.headers},
        "value": None,
    }
    if record.value is not None:
        try:
            shown["value"] = strict_json.loads(record.value)
        except ValueError:
            try:
                shown["value"] = record.value.decode()
            except UnicodeDecodeError:
                shown["value_base64"] = base64.b64encode(record.value).decode()
    return shown


def as_line(record: Record) -> str:
    """The record as one line for a person; control characters escaped."""
    clock = dt.datetime.fromtimestamp(record.timestamp / 1000, dt.UTC).strftime("%H:%M:%S.%f")[:12]
    value = as_data(record)["value"]
    if isinstance(value, dict) and "voice" in value and "subject" in value:
        scores = value.get("fractal_metadata") or {}
        numbers = " ".join(
            f"{name} {scores[f'voice_{name}']:.2f}"
            for name in ("pain", "chaos", "trust")
            if isinstance(scores.get(f"voice_{name}"), int | float)
        )
        said = f"{value['voice']:<11} {value.get('delta', '')}  {value['subject']}  {numbers}"
    else:
        said = f"{_text(record.key)}  {json.dumps(value, ensure_ascii=False)}"
    headers = {name: _text(content) for name, content in record.headers if name in {"iskra.reason", "iskra.path"}}
    return _escaped(f"{clock}  {said}" + "".join(f"  {name}={content}" for name, content in headers.items()))


def _text(value: bytes | None) -> str | None:
    return None if value is None else value.decode("utf-8", "backslashreplace")


def _escaped(line: str) -> str:
    """Without characters that would move a terminal's cursor or turn its text around."""
    return "".join(sign if sign.isprintable() else sign.encode("unicode_escape").decode() for sign in line)
