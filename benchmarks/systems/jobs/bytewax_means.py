"""The peers' job for Bytewax: ``python -m bytewax.run benchmarks.systems.jobs.bytewax_means``.

Its Kafka source commits nothing, so the program writes down itself how many records it has taken.
"""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import bytewax.operators as op
import bytewax.operators.windowing as win
import orjson
from bytewax.connectors.kafka import KafkaSinkMessage
from bytewax.connectors.kafka import operators as kop
from bytewax.dataflow import Dataflow

__all__ = ["flow"]

_STEP_MS = 30_000
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_PROGRESS = Path(os.environ["BENCH_PROGRESS"])
_EVERY = 2_000
_taken = 0


def _parse(message: Any) -> tuple[str, tuple[datetime, float]] | None:
    global _taken  # noqa: PLW0603 - the program's one counter
    _taken += 1
    if _taken % _EVERY == 0:
        _PROGRESS.write_text(str(_taken))
    try:
        event = orjson.loads(message.value)
        latency = event["data"]["latency_ms"]
        return message.key.decode(), (_EPOCH + timedelta(milliseconds=event["ts"]), float(latency))
    except (ValueError, KeyError, TypeError):
        return None


def _new() -> tuple[float, int]:
    return 0.0, 0


def _add(mean: tuple[float, int], beat: tuple[datetime, float]) -> tuple[float, int]:
    return mean[0] + beat[1], mean[1] + 1


def _merge(one: tuple[float, int], other: tuple[float, int]) -> tuple[float, int]:
    return one[0] + other[0], one[1] + other[1]


def _message(told: tuple[str, tuple[int, tuple[float, int]]]) -> KafkaSinkMessage[bytes, bytes]:
    key, (window, (total, count)) = told
    value = {"start": window * _STEP_MS, "total": total, "count": count, "mean": total / count}
    return KafkaSinkMessage(key.encode(), orjson.dumps(value))


flow = Dataflow("means")
_in = kop.input(
    "in",
    flow,
    brokers=[os.environ["BENCH_BOOTSTRAP"]],
    topics=[os.environ["BENCH_TOPIC"]],
    tail=False,
    batch_size=1_000,
)
_beats = op.filter_map("parse", _in.oks, _parse)
_windows = win.fold_window(
    "means",
    _beats,
    win.EventClock(ts_getter=lambda beat: beat[0], wait_for_system_duration=timedelta(seconds=180)),
    win.SlidingWindower(length=timedelta(seconds=120), offset=timedelta(seconds=30), align_to=_EPOCH),
    _new,
    _add,
    _merge,
    ordered=False,
)
kop.output(
    "out",
    op.map("message", _windows.down, _message),
    brokers=[os.environ["BENCH_BOOTSTRAP"]],
    topic=os.environ["BENCH_OUTPUT"],
)
