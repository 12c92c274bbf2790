"""The peers' job for stock Faust, the documented way: an agent that adds to a hopping table.

Faust has no mean; its documentation adds with ``+=``, so sum and count are one value that can be added: one table, one
changelog. Times are milliseconds, and so are sizes: Faust takes any unit as long as it is one.
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


class Mean(faust.Record):
    """Sum and count of a window."""

    total: float
    count: int

    def __add__(self, other: Mean) -> Mean:
        """Of both."""
        return Mean(self.total + other.total, self.count + other.count)


_means = (
    app.Table("means", default=lambda: Mean(0.0, 0), value_type=Mean).hopping(_SIZE, _STEP).relative_to(_event_time)  # type: ignore[attr-defined] # Faust's interface lacks its own method
)


@app.agent(events)
async def means(stream: Any) -> None:
    """Add each latency to the windows of its link."""
    async for link, event in stream.items():
        latency = event["data"].get("latency_ms") if isinstance(event, dict) else None
        if latency is not None:
            _means[link] += Mean(latency, 1)


if __name__ == "__main__":
    app.main()
