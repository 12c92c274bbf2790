"""The scorer alone, without Kafka: ``python -m benchmarks.profile``.

Records of the load as one of four partitions would see them go through ``pipeline.scorer.Scorer`` in slices, with a
snapshot every so often, as the runtime does it. Prints µs of CPU per event: decoding (measured apart, over the same
bytes), folding, closing panes, snapshots. With ``--top N`` also what cProfile says.
"""

from __future__ import annotations

import argparse
import cProfile
import gc
import json
import pstats
import time
from collections import Counter
from dataclasses import asdict, dataclass

from pipeline.runtime.contract import Assignment, LogRecord
from pipeline.scorer import Scorer
from pipeline.scoring.rules import ScoreRules
from schemas.codec import decode_event
from schemas.registry import builtin_registry
from schemas.topics import ALL, EVENTS
from schemas.types import Instant, Origin

from .load import Load, generate

__all__ = ["Costs", "main", "measured", "records_of"]

BEGIN: Instant = 1_700_000_010_000
_APPENDED_PER_MS = 200


@dataclass(frozen=True, slots=True)
class Costs:
    """What one event costs. Units: µs of CPU per event; bytes per event."""

    events: int
    decode_us: float
    """Part of ``apply_us``, measured apart."""
    apply_us: float
    """``Scorer.apply`` without the closing of panes."""
    close_us: float
    snapshot_us: float
    closes: int
    """Panes closed."""
    outputs: int
    output_bytes: float
    state_records: int
    state_bytes: float
    outcomes: dict[str, int]

    @property
    def total_us(self) -> float:
        """All of it."""
        return self.apply_us + self.close_us + self.snapshot_us


class _TimedScorer(Scorer):
    """Notes how long it spends in the closing of panes."""

    closing = 0.0
    closes = 0

    def _close(self, number: int) -> None:
        began = time.process_time()
        super()._close(number)
        self.closing += time.process_time() - began
        self.closes += 1


def records_of(load: Load, begin: Instant = BEGIN) -> list[LogRecord]:
    """The load as one log, appended after all of it happened, as the benchmark's topic is."""
    end = begin + load.span
    return [
        LogRecord("iskra." + EVENTS, 0, offset, end + offset // _APPENDED_PER_MS, event.key, event.value)
        for offset, event in enumerate(generate(load, begin))
    ]


def measured(
    records: list[LogRecord], *, slice_records: int = 2_000, snapshot_every: int = 20_000, emit: str = "changed"
) -> Costs:
    """Feed a new scorer. Shape: a snapshot after each ``snapshot_every`` records."""
    registry = builtin_registry()
    rules = ScoreRules(emit=emit)  # type: ignore[arg-type] # one of the words of Emit; argparse checks it
    scorer = _TimedScorer(Assignment(0, {topic.name: 4 for topic in ALL}), rules, registry)
    outcomes: Counter[str] = Counter()
    outputs = output_bytes = state_records = state_bytes = 0
    applying = snapping = 0.0
    since = 0
    gc.collect()
    for start in range(0, len(records), slice_records):
        batch = records[start : start + slice_records]
        began = time.process_time()
        effects = scorer.apply(batch, batch[-1].timestamp)
        applying += time.process_time() - began
        outcomes.update(effects.counts)
        outputs += len(effects.outputs)
        output_bytes += sum(len(output.value or b"") for output in effects.outputs)
        since += len(batch)
        if since >= snapshot_every or start + slice_records >= len(records):
            since = 0
            began = time.process_time()
            state = list(scorer.snapshot())
            snapping += time.process_time() - began
            state_records += len(state)
            state_bytes += sum(len(record.key) + len(record.value or b"") for record in state)
    count = len(records)
    return Costs(
        events=count,
        decode_us=_decoding(records),
        apply_us=(applying - scorer.closing) * 1e6 / count,
        close_us=scorer.closing * 1e6 / count,
        snapshot_us=snapping * 1e6 / count,
        closes=scorer.closes,
        outputs=outputs,
        output_bytes=output_bytes / count,
        state_records=state_records,
        state_bytes=state_bytes / count,
        outcomes=dict(outcomes),
    )


def _decoding(records: list[LogRecord]) -> float:
    registry = builtin_registry()
    began = time.process_time()
    for record in records:
        decode_event(
            record.value or b"", Origin(record.key, record.partition, record.offset, record.timestamp), registry
        )
    return (time.process_time() - began) * 1e6 / len(records)


def main() -> None:
    """Parse, generate, measure, print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.profile", description=__doc__)
    parser.add_argument("--events", type=int, default=200_000)
    parser.add_argument("--connections", type=int, default=5_000, help="of this one partition (a quarter of 20,000)")
    parser.add_argument("--beat-ms", type=int, default=10_000, help="each link says one thing in this time")
    parser.add_argument("--slice", type=int, default=2_000)
    parser.add_argument("--snapshot-every", type=int, default=20_000, help="events between two snapshots")
    parser.add_argument("--emit", choices=("changed", "all", "voices"), default="changed")
    parser.add_argument("--repeat", type=int, default=1)
    parser.add_argument("--top", type=int, default=0, help="also print so many functions by cProfile")
    parser.add_argument("--json", action="store_true")
    chosen = parser.parse_args()

    load = Load(chosen.events, chosen.connections, partitions=1, beat=chosen.beat_ms)
    records = records_of(load)
    how = {"slice_records": chosen.slice, "snapshot_every": chosen.snapshot_every, "emit": chosen.emit}
    for _ in range(chosen.repeat):
        costs = measured(records, **how)
        if chosen.json:
            print(json.dumps({**asdict(costs), "total_us": costs.total_us}))
        else:
            print(_text(costs, load), flush=True)
    if chosen.top:
        profiler = cProfile.Profile()
        profiler.runcall(measured, records, **how)
        pstats.Stats(profiler).sort_stats("tottime").print_stats(chosen.top)


def _text(costs: Costs, load: Load) -> str:
    return (
        f"{costs.events} events, {load.connections} connections, {load.span / 1000:.0f} s of event time, "
        f"{costs.closes} panes closed; {costs.outcomes}\n"
        f"  apply     {costs.apply_us:8.2f} µs/event   (decode alone {costs.decode_us:.2f})\n"
        f"  close     {costs.close_us:8.2f} µs/event\n"
        f"  snapshot  {costs.snapshot_us:8.2f} µs/event   ({costs.state_records} records, "
        f"{costs.state_bytes:.0f} bytes/event)\n"
        f"  total     {costs.total_us:8.2f} µs/event = {1e6 / costs.total_us:,.0f} events/s; "
        f"{costs.outputs} outputs, {costs.output_bytes:.0f} bytes/event"
    )


if __name__ == "__main__":
    main()
