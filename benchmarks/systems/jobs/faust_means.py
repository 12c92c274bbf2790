"""The peers' job for stock Faust, the documented way: an agent that adds to hopping tables.

Faust has no mean; its documentation adds with ``+=``, so sum and count are two tables. Times are milliseconds, and so
are sizes: Faust takes any unit as long as it is one.
"""

from __future__ import annotations

import os
from typing import Any

import faust

__all__ = ["app"]

_SIZE, _STEP = 120_000, 30_000
_PARTITIONS = int(os.environ["BENCH_PARTITIONS"])

app = faust.App(
    os.environ["BENCH_GROUP"],
    broker=f"kafka://{os.environ['BENCH_BOOTSTRAP']}",
    store="memory://",
    topic_partitions=_PARTITIONS,
    web_enabled=False,
    datadir=os.environ["BENCH_STATE"],
)
events = app.topic(os.environ["BENCH_TOPIC"], key_type=str, value_serializer="json")


def _event_time(event: Any) -> float:
    return float(event.value["ts"])


_totals = app.Table("totals", default=float).hopping(_SIZE, _STEP).relative_to(_event_time)  # type: ignore[attr-defined] # Faust's interface lacks its own method
_counts = app.Table("counts", default=int).hopping(_SIZE, _STEP).relative_to(_event_time)  # type: ignore[attr-defined] # Faust's interface lacks its own method


@app.agent(events)
async def means(stream: Any) -> None:
    """Add each latency to the windows of its link."""
    async for link, event in stream.items():
        latency = event["data"].get("latency_ms") if isinstance(event, dict) else None
        if latency is not None:
            _totals[link] += latency
            _counts[link] += 1


if __name__ == "__main__":
    app.main()
