"""The peers' job for Quix Streams."""

from __future__ import annotations

import os
from typing import Any

import orjson
from quixstreams import Application
from quixstreams.dataframe.windows import Count, Sum
from quixstreams.models import Deserializer, IgnoreMessage

__all__ = ["main"]


class _Events(Deserializer):  # type: ignore[misc] # quixstreams is not in the environment of mypy
    """Parses an event once; what is none, or has no latency, is skipped."""

    def __call__(self, value: bytes, ctx: Any) -> dict[str, Any]:
        try:
            event = orjson.loads(value)
            return {"ts": event["ts"], "latency": event["data"]["latency_ms"]}
        except (ValueError, KeyError, TypeError) as error:
            raise IgnoreMessage from error


def _event_time(value: Any, _headers: Any, _timestamp: Any, _type: Any) -> int:
    return int(value["ts"])


def main() -> None:
    """Run until SIGTERM."""
    app = Application(
        broker_address=os.environ["BENCH_BOOTSTRAP"],
        consumer_group=os.environ["BENCH_GROUP"],
        auto_offset_reset="earliest",
        state_dir=os.environ["BENCH_STATE"],
        commit_interval=1.0,
        loglevel="ERROR",
    )
    source = app.topic(
        os.environ["BENCH_TOPIC"],
        key_deserializer="bytes",
        value_deserializer=_Events(),
        timestamp_extractor=_event_time,
    )
    output = app.topic(os.environ["BENCH_OUTPUT"], key_serializer="bytes", value_serializer="json")
    frame = app.dataframe(source)
    windows = frame.hopping_window(duration_ms=120_000, step_ms=30_000, grace_ms=180_000)
    means = windows.agg(total=Sum("latency"), count=Count()).current()
    means = means.apply(
        lambda told: {
            "start": told["start"],
            "total": told["total"],
            "count": told["count"],
            "mean": told["total"] / told["count"],
        }
    )
    means.to_topic(output)
    app.run()


if __name__ == "__main__":
    main()
